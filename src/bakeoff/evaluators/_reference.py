"""Whether an evaluator can judge an answer without knowing the right one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bakeoff.evaluators._protocol import EvaluatorContext
from bakeoff.evaluators._runner import begin_scoring

if TYPE_CHECKING:
    from bakeoff.evaluators._protocol import Evaluator

__all__ = ["needs_reference"]


def needs_reference(evaluator: Evaluator) -> bool:
    """Return whether an evaluator gives no score without an item's `expected` value. Nothing is called.

    Code of the user's is not run to find out, and a judge that may do with or without counts as one that needs none.

    Examples:
        >>> from bakeoff.evaluators import load_evaluator
        >>> needs_reference(load_evaluator("exact_match")), needs_reference(load_evaluator("is_json"))
        (True, False)
    """
    if evaluator.needs_model:
        return getattr(evaluator, "expected", "") is None
    if evaluator.family == "custom":
        return False
    scores = begin_scoring(evaluator, EvaluatorContext(output="an answer"))
    if not isinstance(scores, list):
        scores.close()
        return False
    return "no `expected` value" in (scores[0].error or "")
