"""Rows of a table in which interval and verdict seem to disagree, and why they may."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.experiments.analysis._answer import Comparison, MetricAnalysis
    from bakeoff.experiments.analysis._segments import Segment

__all__ = ["border_words"]

_MOST_NAMED = 3


def border_words(metrics: Sequence[MetricAnalysis], segments: Sequence[Segment], alpha: float) -> tuple[str, ...]:
    """Return a sentence for each way in which interval and verdict of a row lie on different sides of the level."""
    rows = [(c, f"{c.candidate} vs {c.baseline} on {m.metric}") for m in metrics for c in m.comparisons]
    rows += [
        (c, f"{c.candidate} vs {c.baseline} where {s.field} = {s.value}")
        for s in segments
        for c in s.metric.comparisons
    ]
    unsaid = [name for c, name in rows if _leaves_out_zero(c) and c.label == "inconclusive"]
    bold = [name for c, name in rows if _holds_zero(c) and c.difference.p_adjusted <= alpha]
    said: list[str] = []
    if unsaid:
        said.append(
            f"{_some(unsaid)}: the interval leaves out 0 and the verdict is still inconclusive. An interval speaks of "
            "its own pair; a verdict needs an adjusted p, which allows for all the comparisons that were made."
        )
    if bold:
        said.append(
            f"{_some(bold)}: the test finds a difference and the interval still holds 0. They are two procedures, each "
            "right at its level, that part at the border; read it as barely shown."
        )
    return tuple(said)


def _leaves_out_zero(comparison: Comparison) -> bool:
    return comparison.difference.low > 0 or comparison.difference.high < 0


def _holds_zero(comparison: Comparison) -> bool:
    return comparison.difference.low <= 0 <= comparison.difference.high


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return "; ".join(names[:_MOST_NAMED]) + (f"; and {more} more" if more > 0 else "")
