"""The only place that calls evaluators: whatever they do, scores come out and the run goes on."""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bakeoff.errors import BakeoffError, ProviderError
from bakeoff.evaluators._protocol import EvaluateResult, Evaluator, EvaluatorContext, Score, ScoreKind
from bakeoff.evaluators._redact import clean_text, describe_error, redact_secrets

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

__all__ = [
    "ERROR_LIMIT",
    "REASON_LIMIT",
    "PendingScores",
    "begin_scoring",
    "finish_scoring",
    "score_sync",
    "score_trial",
]

ERROR_LIMIT = 500
"""Longest error text of a score, in characters."""
REASON_LIMIT = 2000
"""Longest reason of a score, in characters."""
_LABEL_LIMIT = 500
_TEXT_LIMIT = 1000
_MOST_DETAILS = 100
_LARGEST_EXACT = 2**53


def score_sync(evaluators: Sequence[Evaluator], context: EvaluatorContext) -> list[Score]:
    """Score one trial with evaluators that need no model and no waiting; the fast path.

    Args:
        evaluators: What judges the trial.
        context: The trial.

    Returns:
        One score for each metric, in the order of the evaluators. An evaluator that raises, or gives
        something that is no value of its kind, gives a missing score with the reason in `error`.

    Examples:
        >>> from bakeoff.evaluators import load_evaluator
        >>> context = EvaluatorContext(output="A: 1,018", expected="1018")
        >>> [score.value for score in score_sync([load_evaluator("numeric"), load_evaluator("latency")], context)]
        [True, None]
    """
    scores: list[Score] = []
    for evaluator in evaluators:
        outcome = begin_scoring(evaluator, context)
        if isinstance(outcome, list):
            scores += outcome
        else:
            outcome.close()
            scores += _missing(evaluator, "this evaluator is asynchronous; score it with `score_trial`")
    return scores


async def score_trial(
    evaluators: Sequence[Evaluator], context: EvaluatorContext, *, timeout_s: float = 300.0
) -> list[Score]:
    """Score one trial; asynchronous evaluators (judges, code) wait at the same time.

    Args:
        evaluators: What judges the trial.
        context: The trial; judges call `context.client`.
        timeout_s: Longest wait for one asynchronous evaluator that names no limit of its own.

    Returns:
        One score for each metric, in the order of the evaluators; never raises for a broken evaluator.

    Examples:
        >>> from bakeoff.evaluators import load_evaluator
        >>> scores = asyncio.run(score_trial([load_evaluator("exact_match")], EvaluatorContext(output="4", expected=4)))
        >>> scores[0].value, scores[0].evaluator
        (True, 'exact_match')
    """
    outcomes = [begin_scoring(evaluator, context) for evaluator in evaluators]
    return await finish_scoring(evaluators, outcomes, timeout_s=timeout_s)


async def finish_scoring(
    evaluators: Sequence[Evaluator], outcomes: list[list[Score] | PendingScores], *, timeout_s: float = 300.0
) -> list[Score]:
    """Wait for what `begin_scoring` gave for each evaluator; return all scores in order."""
    waiting = [index for index, outcome in enumerate(outcomes) if not isinstance(outcome, list)]
    if waiting:
        finished = await asyncio.gather(*(_within(evaluators[index], outcomes[index], timeout_s) for index in waiting))
        for index, scores in zip(waiting, finished, strict=True):
            outcomes[index] = scores
    return [score for outcome in outcomes if isinstance(outcome, list) for score in outcome]


def begin_scoring(evaluator: Evaluator, context: EvaluatorContext) -> list[Score] | PendingScores:
    """Call one evaluator: its scores at once, or something to await when it is asynchronous."""
    try:
        result = evaluator.evaluate(context)
        if inspect.isawaitable(result):
            return PendingScores(evaluator, result)
        return _finish(evaluator, result)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - user code: any failure is a missing score, never the end of the run
        return _failed(evaluator, error)


class PendingScores:
    """Scores on their way. Await it once, or close it."""

    def __init__(self, evaluator: Evaluator, result: Awaitable[EvaluateResult]) -> None:
        self._evaluator = evaluator
        self._result = result

    def close(self) -> None:
        if inspect.iscoroutine(self._result):
            self._result.close()

    async def scores(self) -> list[Score]:
        try:
            return _finish(self._evaluator, await self._result)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - as in begin_scoring
            return _failed(self._evaluator, error)

    def __await__(self) -> Any:
        return self.scores().__await__()


async def _within(evaluator: Evaluator, pending: list[Score] | PendingScores, timeout_s: float) -> list[Score]:
    if isinstance(pending, list):
        return pending
    limit_s = evaluator.limit_s or timeout_s
    try:
        async with asyncio.timeout(limit_s):
            return await pending
    except TimeoutError:
        details = {"error_kind": "timeout", "retryable": True}
        return _missing(evaluator, f"no score within {limit_s:g} s", details)


def _finish(evaluator: Evaluator, result: EvaluateResult) -> list[Score]:
    if isinstance(result, Score):
        return [_checked(evaluator, result)]
    if isinstance(result, Mapping):
        if not result:
            return _missing(evaluator, "the evaluator gave an empty mapping")
        return [_part(evaluator, str(key), part) for key, part in result.items()]
    return [_checked(evaluator, Score(name=evaluator.metric, value=result))]


def _part(evaluator: Evaluator, key: str, part: object) -> Score:
    if isinstance(part, Score):
        name = part.name if part.name.startswith(f"{evaluator.metric}.") else f"{evaluator.metric}.{key}"
        return _checked(evaluator, part if part.name == name else replace(part, name=name))
    return _checked(evaluator, Score(name=f"{evaluator.metric}.{key}", value=part))  # type: ignore[arg-type] # checked


def _checked(evaluator: Evaluator, score: Score) -> Score:
    """Validate the value and make every text of the score safe to store."""
    value = score.value
    kind = type(value)
    problem: str | None = None
    if kind is not bool and value is not None:
        value, problem = _plain_number_or_label(value)
    if value is not None:
        problem = problem or _kind_problem(value, evaluator.kind_by_metric.get(score.name))
    reason = score.reason
    if reason and not (len(reason) <= REASON_LIMIT and reason.isascii() and reason.isprintable()):
        reason = clean_text(reason, REASON_LIMIT)
    error = score.error
    if problem is not None:
        value, error = None, problem
    elif value is None and error is None:
        error = reason or "the evaluator gave no value"
    elif value is not None:
        error = None
    if error is not None:
        error = clean_text(redact_secrets(error), ERROR_LIMIT)
    details = score.details if _is_plain(score.details) else _plain(score.details)
    if (
        value is score.value
        and reason == score.reason
        and error == score.error
        and score.evaluator == evaluator.kind
        and details is score.details
    ):
        return score
    return replace(
        score,
        value=value,
        reason=reason,
        error=error,
        evaluator=evaluator.kind,
        version=score.version or evaluator.stamp,
        details=details,
    )


def _is_plain(details: Mapping[str, Any]) -> bool:
    """Tell quickly whether details can be stored as they are: flat, short, finite."""
    for value in details.values():
        kind = type(value)
        if kind is float and not math.isfinite(value):
            return False
        if kind is str and not (len(value) <= _TEXT_LIMIT and value.isascii() and value.isprintable()):
            return False
        if kind not in (bool, int, float, str, type(None)):
            return False
    return True


def _plain(value: Any, depth: int = 0) -> Any:
    """Make details storable as JSON: bounded in depth, length and text; what is no JSON becomes text."""
    if isinstance(value, str):
        return clean_text(value, _TEXT_LIMIT)
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if depth < 6 and isinstance(value, Mapping):
        return {clean_text(str(key), 200): _plain(one, depth + 1) for key, one in list(value.items())[:_MOST_DETAILS]}
    if depth < 6 and isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(one, depth + 1) for one in list(value)[:_MOST_DETAILS]]
    return clean_text(str(value), _TEXT_LIMIT)


def _plain_number_or_label(value: Any) -> tuple[Any, str | None]:
    """Give the value as bool, int, float or str, or say what is wrong with it."""
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "ndim", None) == 0:
        value = item()  # a numpy scalar
    if isinstance(value, bool):
        return value, None
    if isinstance(value, int):
        return (value, None) if abs(value) <= _LARGEST_EXACT else _as_float(value)
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value), None
        return None, f"the evaluator gave {value}, which is not a score"
    if isinstance(value, str):
        if len(value) > _LABEL_LIMIT:
            return None, f"the evaluator gave a label of {len(value)} characters; {_LABEL_LIMIT} are the most"
        return clean_text(value, _LABEL_LIMIT), None
    return None, f"the evaluator gave {type(value).__name__}, which is no bool, number or label"


def _as_float(value: int) -> tuple[float | None, str | None]:
    try:
        return float(value), None
    except OverflowError:
        return None, "the evaluator gave an integer beyond the range of a float"


def _kind_problem(value: Any, kind: ScoreKind | None) -> str | None:
    if kind == "binary":
        return None if isinstance(value, bool) else f"declared pass/fail, but the value is {value!r}"
    if kind == "label":
        return None if isinstance(value, str) else f"declared a label, but the value is {value!r}"
    if kind is None:
        return None
    if isinstance(value, (bool, str)):
        return f"declared {kind}, but the value is {value!r}"
    if kind == "bounded" and not 0 <= value <= 1:
        return f"declared to lie between 0 and 1, but the value is {value!r}"
    return None


def _missing(evaluator: Evaluator, error: str, details: Mapping[str, Any] | None = None) -> list[Score]:
    """Give a missing score for each metric that was to come."""
    try:
        names, version = list(evaluator.kind_by_metric), evaluator.stamp
    except Exception:  # noqa: BLE001 - a property of user code is broken as well
        names, version = [evaluator.name or evaluator.kind], evaluator.version
    text = clean_text(redact_secrets(error), ERROR_LIMIT)
    return [
        Score(name=name, value=None, error=text, evaluator=evaluator.kind, version=version, details=details or {})
        for name in names
    ]


def _failed(evaluator: Evaluator, error: BaseException) -> list[Score]:
    """Turn an exception into missing scores. Our own messages stand for themselves; others name their type."""
    if isinstance(error, ProviderError):
        details = {"error_kind": error.kind, "retryable": error.retryable}
        return _missing(evaluator, f"{error.kind}: {error}", details)
    if isinstance(error, BakeoffError):
        return _missing(evaluator, str(error))
    return _missing(evaluator, describe_error(error, ERROR_LIMIT))
