"""An analysis, or the trials behind it, as pandas DataFrames."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from bakeoff.experiments import Analysis, LocalStore

__all__ = ["comparison_frame", "leaderboard_frame", "trial_frame"]


def leaderboard_frame(analysis: Analysis, metric: str | None = None) -> pd.DataFrame:
    """Return one row for each variant, best first, indexed by variant."""
    import pandas as pd

    chosen = analysis.metric(metric)
    resources = {entry.variant: entry for entry in analysis.resources}
    rows = []
    for score in sorted(chosen.scores, key=lambda row: row.rank):
        used = resources[score.variant]
        rows.append(
            {
                "variant": score.variant,
                "rank": score.rank,
                "tied_with_best": score.variant in chosen.tied if chosen.tied else None,
                chosen.metric: score.estimate.estimate,
                "low": score.estimate.low,
                "high": score.estimate.high,
                "n_items": score.n_items,
                "n_missing": score.n_missing,
                "failed": used.failed,
                "cost_usd": used.cost_usd,
                "latency_p50_ms": used.latency_p50_ms,
                "latency_p95_ms": used.latency_p95_ms,
                "input_tokens": used.input_tokens,
                "output_tokens": used.output_tokens,
                "interval": score.estimate.method,
            }
        )
    return pd.DataFrame(rows).set_index("variant")


def comparison_frame(analysis: Analysis, metric: str | None = None) -> pd.DataFrame:
    """Return one row for each comparison."""
    import pandas as pd

    columns = [
        "metric", "candidate", "baseline", "difference", "low", "high", "p", "p_adjusted", "verdict",
        "improved", "regressed", "same", "n_items", "n_missing", "interval", "test", "because",
    ]  # fmt: skip
    metrics = [analysis.metric(metric)] if metric is not None else list(analysis.metrics)
    rows = [
        (
            c.metric,
            c.candidate,
            c.baseline,
            c.difference.estimate,
            c.difference.low,
            c.difference.high,
            c.difference.p_value,
            c.difference.p_adjusted,
            c.label,
            c.improved,
            c.regressed,
            c.same,
            c.difference.n_items or c.difference.n,
            c.difference.n_missing,
            c.difference.method,
            c.difference.test,
            c.difference.verdict.because if c.difference.verdict else "",
        )
        for chosen in metrics
        for c in chosen.comparisons
    ]
    return pd.DataFrame(rows, columns=columns)


def trial_frame(store: LocalStore, run_id: str) -> pd.DataFrame:
    """Return one row for each trial, with a column for each metric; labels are text, all else numbers."""
    trials = store.trials(run_id).to_pandas()
    scores = store.scores(run_id, columns=["variant", "item", "repeat", "metric", "value", "label"]).to_pandas()
    key = ["variant", "item", "repeat"]
    if not scores.empty:
        for metric, rows in scores.groupby("metric", sort=False):
            column = "label" if rows["label"].notna().any() else "value"
            wide = rows.set_index(key)[column].rename(str(metric))
            name = str(metric) if str(metric) not in trials.columns else f"score.{metric}"
            trials = trials.join(wide.rename(name), on=key)
    for info in store.manifest(run_id).metrics:  # declared, and no trial got as far as a score
        parts = [str(column) for column in trials.columns]
        if info.metric not in parts and not any(part.startswith(f"{info.metric}.") for part in parts):
            trials[info.metric] = float("nan")
    trials.insert(0, "run_id", run_id)
    return trials
