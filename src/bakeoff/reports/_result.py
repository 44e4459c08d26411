"""What a run gives back in Python."""

from __future__ import annotations

import html
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bakeoff.experiments import Analysis, Insights, analyse, insights
from bakeoff.reports._frames import comparison_frame, leaderboard_frame, trial_frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from bakeoff.experiments import LocalStore, Manifest

__all__ = ["RunResult"]


class RunResult:
    """One run: its analysis, its tables, its files."""

    def __init__(self, store: LocalStore, run_id: str) -> None:
        self.store = store
        self.run_id = run_id

    @property
    def manifest(self) -> Manifest:
        """What ran, on what, with which versions."""
        return self.store.manifest(self.run_id)

    @property
    def folder(self) -> Path:
        """Where the run lies."""
        return self.store.run_paths(self.run_id).folder

    @cached_property
    def analysis(self) -> Analysis:
        """The declared analysis, as plain data."""
        return analyse(self.store, self.run_id)

    @cached_property
    def insights(self) -> Insights:
        """What each factor does, how often k answers suffice, where the noise comes from."""
        return insights(self.store, self.run_id)

    @property
    def headline(self) -> str:
        """The answer to the declared question in one sentence."""
        return self.analysis.headline

    def to_frame(self) -> pd.DataFrame:
        """Return one row for each trial, with a column for each metric (`nan` where a score is missing)."""
        return trial_frame(self.store, self.run_id)

    def leaderboard(self, metric: str | None = None) -> pd.DataFrame:
        """Return one row for each variant, best first: estimate, interval, missing trials, cost, latency, tokens."""
        return leaderboard_frame(self.analysis, metric)

    def compare(
        self,
        baseline: str | None = None,
        *,
        metric: str | None = None,
        pairs: Literal["baseline", "all"] | None = None,
        alpha: float | None = None,
        margin: float | None = None,
    ) -> pd.DataFrame:
        """Return one row for each comparison: difference, interval, adjusted p, verdict.

        Args:
            baseline: Variant to compare with, instead of the declared one.
            metric: Only this metric; all when omitted.
            pairs: `all` for every pair of variants.
            alpha: Level, instead of the declared one.
            margin: Largest difference that does not matter; allows the verdict `equivalent`.
        """
        changed = any(option is not None for option in (baseline, pairs, alpha, margin))
        analysis = self.analysis
        if changed:
            analysis = analyse(
                self.store, self.run_id, baseline=baseline, pairs=pairs, alpha=alpha, margin=margin,
                primary=metric if margin is not None else None,
            )  # fmt: skip
        return comparison_frame(analysis, metric)

    def report(self, path: Path | str | None = None) -> Path:
        """Write the run as one HTML file that opens offline; return where it is."""
        from bakeoff.reports._html import write_report

        return write_report(self.store, self.run_id, Path(path) if path is not None else None)

    def export(self, path: Path | str) -> Path:
        """Write the trials with their scores to .csv, .parquet, .json, .jsonl or .xlsx."""
        from bakeoff.reports._export import export_run

        return export_run(self.store, self.run_id, Path(path))

    def __repr__(self) -> str:
        return f"RunResult({self.run_id!r}: {self.headline})"

    def _repr_html_(self) -> str:
        analysis = self.analysis
        parts = [f"<p><strong>{html.escape(analysis.headline)}</strong></p>"]
        parts += [_table(self.leaderboard().reset_index()), _table(self.compare(metric=analysis.primary))]
        parts += [f"<p>⚠ {html.escape(warning)}</p>" for warning in analysis.warnings]
        return "\n".join(parts)


def _table(frame: pd.DataFrame, rows: Sequence[Any] = ()) -> str:
    if frame.empty:
        return ""
    shown: str = frame.to_html(index=False, escape=True, border=0, float_format=lambda value: f"{value:.4g}")
    return shown
