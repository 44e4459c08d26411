"""Correct p-values over comparisons of several metrics or segments together, and decide anew."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bakeoff.experiments.analysis._wording import comparison_words, verdict_label
from bakeoff.stats import adjust, decide

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.experiments.analysis._answer import Comparison, MetricAnalysis
    from bakeoff.experiments.analysis._question import Question
    from bakeoff.experiments.spec._spec import AnalysisSpec

__all__ = ["correct_together", "metric_shares"]


def metric_shares(metrics: Sequence[str], primary: str, question: Question | AnalysisSpec) -> dict[str, float]:
    """Return the part of `alpha` that each metric may spend on its comparisons.

    Args:
        metrics: Names of the metrics on which verdicts are given.
        primary: The one that decides.
        question: Family, correction and share as declared.
    """
    if question.family == "metric" or question.correction == "none" or len(metrics) < 2:
        return dict.fromkeys(metrics, 1.0)
    if primary not in metrics or question.correction == "hochberg":  # no weighted form of it is proven
        return dict.fromkeys(metrics, 1 / len(metrics))
    rest = (1 - question.primary_share) / (len(metrics) - 1)
    return {name: question.primary_share if name == primary else rest for name in metrics}


def correct_together(metrics: Sequence[MetricAnalysis], question: Question) -> list[MetricAnalysis]:
    """Return the metrics with verdicts that hold over all of their comparisons at once.

    Every further metric or segment is another chance to find something by luck; corrected together, the chance of
    any false verdict among them stays at the declared level. The metric that was declared to decide has most of that
    level (`primary_share`): what is looked at beside it costs it little.
    """
    pairs = [(metric, comparison) for metric in metrics for comparison in metric.comparisons]
    weights: list[float] | None = None
    primaries = [metric.metric for metric in metrics if metric.metric == question.declared and metric.comparisons]
    if len(primaries) == 1 and len(metrics) > 1 and question.correction != "hochberg":
        shares = metric_shares([m.metric for m in metrics if m.comparisons], primaries[0], question)
        weights = [shares[metric.metric] / len(metric.comparisons) for metric, _ in pairs]
    found = adjust([c.difference.p_value for _, c in pairs], method=question.correction, weights=weights)
    if question.correction == "none":
        parts = [1.0] * len(pairs)
    else:
        even = weights or [1.0] * len(pairs)
        parts = [weight / sum(even) for weight in even]
    adjusted = iter(zip(found.tolist(), parts, strict=True))
    return [
        replace(metric, comparisons=tuple(_again(c, *next(adjusted), metric, question) for c in metric.comparisons))
        for metric in metrics
    ]


def _again(
    comparison: Comparison, p_adjusted: float, share: float, metric: MetricAnalysis, question: Question
) -> Comparison:
    direction = metric.higher_is_better
    margin = question.margin if metric.role == "primary" else None
    difference = replace(comparison.difference, p_adjusted=p_adjusted)
    verdict = decide(
        difference,
        alpha=question.alpha,
        margin=margin,
        higher_is_better=direction is not False,
        level=question.alpha * share,
    )
    difference = replace(difference, verdict=verdict)
    words = comparison_words(difference, comparison.candidate, comparison.baseline, metric.metric, direction)
    if comparison.guard is not None:
        words = f"{words} As a guardrail: {comparison.guard.reason}."
    return replace(comparison, difference=difference, label=verdict_label(verdict.word, direction), words=words)
