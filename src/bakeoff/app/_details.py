"""The closer looks of the results page."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING

import streamlit as st

from bakeoff.app import _parts, _segments, _state
from bakeoff.app._text import h, md, named, signed

if TYPE_CHECKING:
    from bakeoff.experiments import Analysis, Comparison, LocalStore, Manifest, MetricAnalysis
    from bakeoff.stats import Estimate

__all__ = ["all_metrics", "label_counts", "methods", "segments"]


def label_counts(store: LocalStore, manifest: Manifest, metric: MetricAnalysis) -> None:
    """Show how often each label came, by variant."""
    with store.connect([manifest.run_id]) as connection:
        rows = connection.execute(
            "SELECT variant, label, count(*) FROM scores WHERE metric = ? AND label IS NOT NULL GROUP BY ALL",
            [metric.metric],
        ).fetchall()
    totals: dict[str, int] = {}
    counts: dict[tuple[str, str], int] = {}
    for variant, label, count in rows:
        totals[label] = totals.get(label, 0) + count
        counts[variant, label] = count
    labels = sorted(totals, key=lambda label: -totals[label])[:20]
    head = "".join(f"<th class=r>{h(label, 30)}</th>" for label in labels)
    body = "".join(
        f"<tr><td class=name>{named(v)}</td>"
        + "".join(f"<td class=r>{counts.get((v, label), 0):,}</td>" for label in labels)
        + "</tr>"
        for v in manifest.variant_names
    )
    st.subheader("Labels by variant")
    _state.html(
        _parts.wrap(f'<div class="bo-card bo-scroll"><table><tr><th>Variant</th>{head}</tr>{body}</table></div>')
    )


def segments(manifest: Manifest, analysis: Analysis, metric: MetricAnalysis) -> None:
    """Show every variant, and every comparison, within the groups of a metadata field."""
    fields = _segments.segment_fields(_state.the_store(), manifest.run_id)
    if not fields:
        text = "Items with metadata such as `language` or `difficulty` can be broken down here."
        _state.html(_parts.empty("≡", "Nothing to break down by", text))
        return
    declared = manifest.spec.get("analysis", {}).get("segments") or []
    default = next((name for name in declared if name in fields), fields[0])
    name = _state.choose("Break down by", fields, name="segment", default=default, scope=manifest.run_id)
    parts = _state.segments_of(manifest, metric.metric, name, baseline=analysis.baseline)
    if not parts:
        text = "Each value has fewer than five items, or the run was allocated while it was watched."
        _state.html(_parts.empty("≡", "Too little to break down", text))
        return
    head = "".join(f"<th class=r>{named(v, 40)}</th>" for v in manifest.variant_names)
    body = []
    for part in parts:
        scores = {row.variant: row.estimate for row in part.metric.scores}
        verdicts = {c.candidate: c for c in part.metric.comparisons if c.baseline == analysis.baseline}
        cells = "".join(_segment_cell(scores.get(v), verdicts.get(v), metric) for v in manifest.variant_names)
        few = '<br><span class="bo-soft"><small>few items</small></span>' if part.n_items < _FEW else ""
        body.append(
            f"<tr><td class=name>{h(part.value, 60)}<small>{part.n_items:,} items</small>{few}</td>{cells}</tr>"
        )
    table = f"<table><tr><th>{h(name, 60)}</th>{head}</tr>{''.join(body)}</table>"
    _state.html(_parts.wrap(f'<div class="bo-card bo-scroll">{table}</div>'))
    st.caption(
        f"{100 * analysis.confidence:g}% intervals. Verdicts against {md(analysis.baseline, 60)} are adjusted over all "
        "values of this field: ten segments are ten chances to find something by luck. Values with fewer than five "
        "items are left out."
    )


_FEW = 30


def _segment_cell(estimate: Estimate | None, comparison: Comparison | None, metric: MetricAnalysis) -> str:
    if estimate is None or isnan(estimate.estimate):
        return "<td class=r>–</td>"
    ends = "–"
    if not isnan(estimate.low):
        ends = f"{_parts.shown(estimate.low, metric)} – {_parts.shown(estimate.high, metric)}"
    verdict = ""
    if comparison is not None:
        points = metric.kind == "binary"
        said = signed(comparison.difference.estimate, points=points)
        verdict = f"<br>{_parts.verdict_chip(comparison.label)} <small>{h(said)}</small>"
    return (
        f"<td class=r><b>{h(_parts.shown(estimate.estimate, metric))}</b>"
        f"<br><span class=bo-soft><small>{h(ends)}</small></span>{verdict}</td>"
    )


def all_metrics(analysis: Analysis) -> None:
    """Show every metric with its comparisons in one table."""
    rows = []
    for metric in analysis.metrics:
        for c in metric.comparisons:
            d = c.difference
            points = metric.kind == "binary"
            ends = "–" if d.low != d.low else f"{signed(d.low, points=points)} to {signed(d.high, points=points)}"
            unit = "points" if points else metric.unit
            rows.append(
                f"<tr><td class=name>{h(metric.metric, 60)}<small>{h(metric.role)}</small></td>"
                f"<td>{_parts.verdict_chip(c.label)}</td><td>{named(c.candidate, 60)} <span class=bo-soft>vs</span> "
                f"{named(c.baseline, 60)}</td><td class=r><b>{h(signed(d.estimate, points=points))}</b> "
                f"<span class=bo-soft>{h(unit, 20)}</span></td><td class=r>{h(ends)}</td></tr>"
            )
    right = "<th class=r>Difference</th><th class=r>Interval</th>"
    head = f"<tr><th>Metric</th><th>Verdict</th><th>Comparison</th>{right}</tr>"
    _state.html(_parts.wrap(f'<div class="bo-card bo-scroll"><table>{head}{"".join(rows)}</table></div>'))


def methods(analysis: Analysis, manifest: Manifest) -> None:
    """Show how the numbers came about, and on what."""
    notes = {w for metric in analysis.metrics for row in metric.scores for w in row.estimate.warnings}
    notes |= {w for metric in analysis.metrics for c in metric.comparisons for w in c.difference.warnings}
    listed = "".join(f"<li>{h(note, 400)}</li>" for note in sorted(notes))
    versions = ", ".join(f"{name} {value}" for name, value in manifest.environment.items() if name != "host")
    facts = [
        ("Data", analysis.dataset),
        ("Run", manifest.run_id),
        (
            "Commit",
            manifest.git.get("commit", "")[:12]
            + (" with changes" if manifest.git.get("uncommitted_changes") == "yes" else ""),
        ),
        ("Prompts", ", ".join(f"{name} ({p.get('version', '')})" for name, p in manifest.prompts.items())),
        ("Evaluators", ", ".join(f"{m.metric} ({m.evaluator} {m.version})" for m in manifest.metrics)),
        ("Versions", versions),
    ]
    rows = "".join(
        f"<tr><td class=bo-soft>{h(name)}</td><td>{h(value, 600)}</td></tr>" for name, value in facts if value.strip()
    )
    _state.html(
        _parts.wrap(
            f'<div class="bo-card"><p style="margin-top:0">{h(analysis.methods, 3000)}</p>'
            f"{f'<ul>{listed}</ul>' if listed else ''}<table>{rows}</table></div>"
        )
    )
