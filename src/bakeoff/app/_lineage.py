"""Over many runs: versions of prompts with how they did, and a metric from run to run."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from math import isfinite, isnan, nan
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from bakeoff.app._text import h

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import plotly.graph_objects as go

    from bakeoff.experiments import Analysis, Manifest
    from bakeoff.stats import ControlChart, Estimate

__all__ = ["PromptVersion", "RunPoint", "chart_of", "prompt_text", "prompt_versions", "run_points", "trend_figure"]


_PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#B8A900", "#7A7A7A")
"""Okabe and Ito's colours, as in the reports."""


@dataclass(slots=True, kw_only=True)
class PromptVersion:
    """One text of a prompt, and the runs that used it."""

    prompt: str
    version: str
    messages: list[dict[str, Any]]
    first_seen: str
    runs: list[Manifest] = field(default_factory=list)


def prompt_versions(runs: Sequence[Manifest]) -> dict[str, list[PromptVersion]]:
    """Return every version of every prompt, newest first."""
    found: dict[tuple[str, str], PromptVersion] = {}
    for manifest in sorted(runs, key=lambda m: m.created_at):
        for name, stored in manifest.prompts.items():
            key = (name, str(stored.get("version", "")))
            entry = found.setdefault(
                key,
                PromptVersion(
                    prompt=name, version=key[1], messages=list(stored.get("messages", [])),
                    first_seen=manifest.created_at,
                ),
            )  # fmt: skip
            entry.runs.append(manifest)
    named: dict[str, list[PromptVersion]] = {}
    for (name, _), entry in found.items():
        named.setdefault(name, []).insert(0, entry)
    return dict(sorted(named.items(), key=lambda pair: pair[1][0].first_seen, reverse=True))


def prompt_text(messages: Sequence[dict[str, Any]]) -> str:
    """Return the messages of a prompt as one text.

    Examples:
        >>> prompt_text([{"role": "user", "content": "Hi"}])
        'Hi'
        >>> print(prompt_text([{"role": "system", "content": "S"}, {"role": "user", "content": "U"}]))
        [system]
        S
        <BLANKLINE>
        [user]
        U
    """
    texts = [
        m["content"] if isinstance(m.get("content"), str) else json.dumps(m.get("content"), ensure_ascii=False)
        for m in messages
    ]
    if len(messages) == 1:
        return texts[0]
    return "\n\n".join(f"[{m.get('role', '')}]\n{text}" for m, text in zip(messages, texts, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPoint:
    """One run of an experiment on one metric."""

    manifest: Manifest
    estimates: dict[str, Estimate]
    """By variant."""


def run_points(runs: Sequence[Manifest], metric: str, analysis_of: Callable[[Manifest], Analysis]) -> list[RunPoint]:
    """Return the runs that have a metric, oldest first, with the estimate of each variant."""
    points: list[RunPoint] = []
    for manifest in sorted(runs, key=lambda m: m.created_at):
        if manifest.status not in ("complete", "partial"):
            continue
        found = next((m for m in analysis_of(manifest).metrics if m.metric == metric and m.kind != "label"), None)
        if found is not None:
            points.append(RunPoint(manifest=manifest, estimates={s.variant: s.estimate for s in found.scores}))
    return points


def chart_of(points: Sequence[RunPoint], variant: str) -> ControlChart | None:
    """Return the CUSUM chart of a variant over its runs; `None` with fewer than four."""
    from bakeoff.stats import control_chart

    estimates = [point.estimates.get(variant) for point in points]
    values = np.array([nan if e is None else e.estimate for e in estimates])
    errors = np.array([nan if e is None else standard_error(e) for e in estimates])
    if np.isfinite(values).sum() < 4:
        return None
    known = np.isfinite(errors) & (errors > 0)
    base = min(20, max(3, len(values) // 2))
    return control_chart(
        values, se=np.where(known, errors, np.nanmean(errors[known]) if known.any() else 0.0) if known.any() else None,
        baseline_runs=base,
    )  # fmt: skip


def standard_error(estimate: Estimate) -> float:
    """Return the standard error of an estimate, read off its interval where none is given."""
    if isfinite(estimate.se):
        return estimate.se
    if isnan(estimate.low) or isnan(estimate.high):
        return nan
    return (estimate.high - estimate.low) / (2 * NormalDist().inv_cdf((1 + estimate.confidence) / 2))


def trend_figure(
    points: Sequence[RunPoint], variants: Sequence[str], metric: str, *, mode: str, percent: bool
) -> go.Figure:
    """Draw a metric over runs with its interval, one line a variant."""
    import plotly.graph_objects as go

    scale = 100.0 if percent else 1.0
    ink = "#e8eaf0" if mode == "dark" else "#1f2430"
    grid = "rgba(128, 134, 150, 0.22)"
    figure = go.Figure()
    labels = [f"{p.manifest.created_at[5:16].replace('T', ' ')}<br>{h(p.manifest.run_id[-4:])}" for p in points]
    for index, variant in enumerate(variants):
        kept = [
            (label, p.estimates[variant]) for label, p in zip(labels, points, strict=True) if variant in p.estimates
        ]
        colour = _PALETTE[index % len(_PALETTE)]
        values = [e.estimate * scale for _, e in kept]
        figure.add_trace(
            go.Scatter(
                x=[label for label, _ in kept], y=values, mode="lines+markers", name=h(variant, 40),
                line={"color": colour, "width": 2}, marker={"size": 9, "color": colour},
                error_y={
                    "type": "data", "symmetric": False, "thickness": 1.6, "width": 5, "color": colour,
                    "array": [_reach(e.high - e.estimate) * scale for _, e in kept],
                    "arrayminus": [_reach(e.estimate - e.low) * scale for _, e in kept],
                },
                hovertemplate="%{y:.4g}<extra>" + h(variant, 40) + "</extra>",
            )
        )  # fmt: skip
    figure.update_layout(
        paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)", height=400, font={"color": ink, "size": 14},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0}, hovermode="x unified",
    )  # fmt: skip
    figure.update_xaxes(type="category", gridcolor=grid, automargin=True, title="Run")
    figure.update_yaxes(
        gridcolor=grid, zeroline=False, automargin=True, title=f"{h(metric, 60)}{' (% passed)' if percent else ''}"
    )
    return figure


def _reach(value: float) -> float:
    return value if isfinite(value) and value > 0 else 0.0
