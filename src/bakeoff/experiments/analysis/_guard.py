"""Guardrails: for each variant, is harm beyond the declared margin ruled out?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bakeoff.stats import guardrail

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.experiments.analysis._answer import Comparison, MetricAnalysis
    from bakeoff.experiments.analysis._question import Question

__all__ = ["guard_words", "guarded"]

_SAID = {"safe": "safe", "harm": "harmed beyond the margin", "inconclusive": "harm not ruled out"}


def guarded(comparison: Comparison, question: Question, direction: bool | None, *, watched: bool) -> Comparison:
    """Return the comparison with the non-inferiority test of its guardrail, when a margin was declared.

    Each test stands at `alpha` by itself: that all guardrails hold is claimed only when every one of them does, which
    needs no correction (Berger 1982, Technometrics 24:295-300).
    """
    declared = question.guardrails[comparison.metric]
    higher_is_better = declared.harm == "lower" if declared.harm is not None else direction
    if declared.margin is None or higher_is_better is None:
        return comparison
    difference = comparison.difference
    if watched:  # a confidence sequence has no inner interval: its own bounds are valid, and wider
        difference = replace(
            difference, inner_low=difference.low, inner_high=difference.high, confidence=1 - question.alpha
        )
    found = guardrail(difference, margin=declared.margin, higher_is_better=higher_is_better, alpha=question.alpha)
    return replace(comparison, guard=found, words=f"{comparison.words} As a guardrail: {found.reason}.")


def guard_words(metrics: Sequence[MetricAnalysis], baseline: str, unmeasured: Sequence[str] = ()) -> str:
    """Say of each guardrail which variants are safe, and which was never measured; empty when none was declared."""
    parts = [f"{name} was never measured (no metric of this name)" for name in unmeasured]
    for metric in metrics:
        groups: dict[str, list[str]] = {}
        for comparison in metric.comparisons:
            if comparison.baseline == baseline and (metric.role == "guardrail" or comparison.guard is not None):
                groups.setdefault(_status(comparison), []).append(comparison.candidate)
        parts += [f"{_names(names)} {status} on {metric.metric}" for status, names in groups.items()]
    return f" Guardrails: {'; '.join(parts)}." if parts else ""


def _status(comparison: Comparison) -> str:
    if comparison.guard is not None:
        return _SAID[comparison.guard.status]
    return "worse" if comparison.label == "worse" else "not shown to be worse (declare a margin to rule harm out)"


def _names(names: Sequence[str]) -> str:
    return f"{', '.join(names[:3])} and {len(names) - 3} more" if len(names) > 4 else ", ".join(names)
