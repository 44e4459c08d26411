"""Correct p-values over comparisons of several metrics or segments together, and decide anew."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bakeoff.stats import adjust, decide

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.experiments._answer import Comparison, MetricAnalysis
    from bakeoff.experiments._question import Question

__all__ = ["correct_together"]


def correct_together(metrics: Sequence[MetricAnalysis], question: Question) -> list[MetricAnalysis]:
    """Return the metrics with verdicts that hold over all of their comparisons at once.

    Every further metric or segment is another chance to find something by luck; corrected together, the chance of
    any false verdict among them stays at the declared level.
    """
    comparisons = [comparison for metric in metrics for comparison in metric.comparisons]
    adjusted = iter(adjust([c.difference.p_value for c in comparisons], method=question.correction).tolist())
    return [
        replace(metric, comparisons=tuple(_again(c, next(adjusted), metric, question) for c in metric.comparisons))
        for metric in metrics
    ]


def _again(comparison: Comparison, p_adjusted: float, metric: MetricAnalysis, question: Question) -> Comparison:
    direction = metric.higher_is_better
    margin = question.margin if metric.role == "primary" else None
    difference = replace(comparison.difference, p_adjusted=p_adjusted)
    verdict = decide(difference, alpha=question.alpha, margin=margin, higher_is_better=direction is not False)
    label = comparison.label
    if verdict.word in ("inconclusive", "equivalent"):
        label = verdict.word
    elif label in ("inconclusive", "equivalent"):
        label = verdict.word if direction is not None else "higher" if verdict.word == "better" else "lower"
    return replace(comparison, difference=replace(difference, verdict=verdict), label=label)
