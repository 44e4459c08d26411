"""Score an answer again where scores are missing: what was judged stays, and what was paid for it is not forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bakeoff.evaluators import Score, score_trial
from bakeoff.experiments.run._trial import score_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.evaluators import Evaluator, EvaluatorContext

__all__ = ["kept_scores", "lacks_scores", "refusal", "score_missing_rows"]

_REFUSED = "budget: "
_ESCALATED = 8
"""Place in a row of why a person should look (`score_rows`)."""


def refusal(scores: Sequence[Score]) -> str | None:
    """Return what a budget said that kept a judge from being asked.

    Examples:
        >>> refusal([Score(name="polite", value=None, error="budget: the budget of 1 USD is used up")])
        'the budget of 1 USD is used up'
        >>> refusal([Score(name="polite", value=True)])
    """
    told = next((score.error for score in scores if score.error and score.error.startswith(_REFUSED)), None)
    return None if told is None else told.removeprefix(_REFUSED)


def lacks_scores(rows: Sequence[Sequence[Any]], *, retry_errors: bool) -> bool:
    """Say whether an answer with these score rows is to be scored: not yet, not for want of budget, or not well."""
    return not rows or any(_is_open(row, retry_errors=retry_errors) for row in rows)


def _is_open(row: Sequence[Any], *, retry_errors: bool) -> bool:
    error = row[3]
    if error is None:
        return False
    waits_for_a_person = len(row) > _ESCALATED and row[_ESCALATED] is not None  # judged, and the jury is split
    return error.startswith(_REFUSED) or (retry_errors and not waits_for_a_person)


async def score_missing_rows(
    evaluators: Sequence[Evaluator], context: EvaluatorContext, rows: Sequence[list[Any]], *, retry_errors: bool
) -> tuple[list[list[Any]], list[Score]]:
    """Ask the evaluators whose scores are missing among the rows of an answer.

    Returns:
        All rows, and the new scores. What an attempt that failed cost is added to the new one: it was paid.
    """
    mine = [[row for row in rows if _belongs(row, evaluator)] for evaluator in evaluators]
    lacking = [lacks_scores(given, retry_errors=retry_errors) for given in mine]
    asked = [evaluator for evaluator, lacks in zip(evaluators, lacking, strict=True) if lacks]
    fresh = await score_trial(asked, context)
    found: list[list[Any]] = []
    for evaluator, given, lacks in zip(evaluators, mine, lacking, strict=True):
        if not lacks:
            found += given
            continue
        now = score_rows([score for score in fresh if _is_of(score.name, evaluator)])
        before = sum(row[6] for row in given if row[6])
        if before and now:
            now[0][6] = (now[0][6] or 0.0) + before
        found += now
    return found, fresh


def kept_scores(rows: Sequence[Sequence[Any]]) -> list[Score]:
    """Return rows as scores that cost nothing now."""
    return [Score(name=row[0], value=row[1], error=row[3]) for row in rows]


def _belongs(row: Sequence[Any], evaluator: Evaluator) -> bool:
    return _is_of(row[0], evaluator)


def _is_of(name: str, evaluator: Evaluator) -> bool:
    return name == evaluator.metric or name in evaluator.kind_by_metric or name.startswith(f"{evaluator.metric}.")
