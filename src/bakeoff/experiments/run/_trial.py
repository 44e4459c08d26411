"""One trial as it stands in the journal, and what it becomes in a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bakeoff.evaluators import EvaluatorContext, Score
from bakeoff.experiments.run._messages import messages_for
from bakeoff.gateway import Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.datasets import Item
    from bakeoff.gateway import ModelClient
    from bakeoff.targets import TargetResult

__all__ = ["context_of_event", "context_of_result", "failed_event", "score_rows", "scores_event", "trial_event"]

_MAX_ERROR = 2000


def trial_event(
    variant: str, item: Item, index: int, repeat: int, result: TargetResult, *, at: float
) -> dict[str, Any]:
    """Return the journal event of an answered trial; what is empty is left out."""
    usage = result.usage
    event: dict[str, Any] = {
        "e": "trial",
        "v": variant,
        "i": item.id,
        "k": index,
        "r": repeat,
        "t": at,
        "out": result.output,
        "n": result.attempts,
    }
    optional = {
        "cost": result.cost_usd,
        "ms": result.latency_ms,
        "ttft": result.ttft_ms,
        "route": result.route,
        "model": result.model,
        "fin": result.finish_reason,
        "fp": result.fingerprint,
        "fallback": result.fallback_from,
    }
    event.update((key, value) for key, value in optional.items() if value is not None)
    if usage.input_tokens or usage.output_tokens:
        event["u"] = [
            usage.input_tokens, usage.output_tokens, usage.cached_tokens, usage.reasoning_tokens, int(usage.estimated)
        ]  # fmt: skip
    if result.cached:
        event["hit"] = 1
    if result.tool_calls:
        event["tools"] = list(result.tool_calls)
    if result.trace:
        event["trace"] = list(result.trace)
    if result.guards:
        event["guards"] = list(result.guards)
    return event


def failed_event(
    variant: str,
    item: Item,
    index: int,
    repeat: int,
    *,
    kind: str,
    message: str,
    at: float,
    trace: Sequence[Any] = (),
) -> dict[str, Any]:
    """Return the journal event of a failed trial, with what happened until then where the target tells."""
    event: dict[str, Any] = {
        "e": "trial", "v": variant, "i": item.id, "k": index, "r": repeat, "t": at,
        "err": [kind, message[:_MAX_ERROR]],
    }  # fmt: skip
    if trace:
        event["trace"] = list(trace)
    return event


def context_of_result(
    item: Item, result: TargetResult, *, variant: str, repeat: int, client: ModelClient
) -> EvaluatorContext:
    """Return what evaluators see of an answer that has just come."""
    return EvaluatorContext(
        output=result.output,
        inputs=item.inputs,
        expected=item.expected,
        metadata=item.metadata,
        item_id=item.id,
        variant=variant,
        repeat=repeat,
        usage=result.usage,
        cost_usd=result.cost_usd,
        latency_ms=result.latency_ms,
        ttft_ms=result.ttft_ms,
        finish_reason=result.finish_reason,
        tool_calls=result.tool_calls,
        messages=result.messages,
        trace=result.trace,
        logprobs=result.logprobs,
        client=client,
    )


def score_rows(scores: list[Score]) -> list[list[Any]]:
    """Return scores as compact rows: metric, value, reason, error, evaluator, version, cost.

    A score that a person should look at has two entries more: the confidence of the jury, and why. That of a jury has a
    third: its votes.
    """
    return [[s.name, s.value, s.reason, s.error, s.evaluator, s.version, s.cost_usd, *_more(s)] for s in scores]


def _more(score: Score) -> list[Any]:
    votes = score.details.get("votes") if score.details else None
    asks = escalation(score)
    if not votes:
        return asks
    return [*(asks or [None, None]), [[vote["model"], vote["value"]] for vote in votes]]


def escalation(score: Score) -> list[Any]:
    """Return confidence and reason of a score that asks for a person; nothing for any other.

    Examples:
        >>> details = {"escalate": True, "confidence": 0.6667, "escalate_because": "2 x pass, 1 x fail"}
        >>> escalation(Score(name="polite", value=True, details=details))
        [0.6667, '2 x pass, 1 x fail']
        >>> escalation(Score(name="polite", value=True, details={"confidence": 1.0, "escalate": False}))
        []
    """
    details = score.details
    if not details or not details.get("escalate"):
        return []
    # A consensus is its own confidence.
    confidence = details.get("confidence", score.value if isinstance(score.value, float) else None)
    because = details.get("escalate_because") or score.reason or score.error or "the evaluator asks for a person"
    return [float(confidence) if isinstance(confidence, int | float) else None, str(because)]


def scores_event(trial: dict[str, Any], rows: list[list[Any]]) -> dict[str, Any]:
    """Return the event of scores that came after their trial."""
    return {"e": "score", "v": trial["v"], "i": trial["i"], "k": trial["k"], "r": trial["r"], "s": rows}


def context_of_event(event: dict[str, Any], item: Item, *, asked: Any, **extra: Any) -> EvaluatorContext:
    """Return what an evaluator sees of a trial that stands in the journal or in a sealed run.

    Args:
        event: The trial.
        item: Its item.
        asked: The messages that were kept for it (`shared_messages`).
        **extra: Further fields of the context.
    """
    used = event.get("u") or [0, 0, 0, 0, 0]
    return EvaluatorContext(
        output=event["out"],
        inputs=item.inputs,
        expected=item.expected,
        metadata=item.metadata,
        item_id=item.id,
        variant=event["v"],
        repeat=event["r"],
        usage=Usage(
            input_tokens=used[0],
            output_tokens=used[1],
            cached_tokens=used[2],
            reasoning_tokens=used[3],
            estimated=bool(used[4]),
        ),
        cost_usd=event.get("cost"),
        latency_ms=event.get("ms"),
        ttft_ms=event.get("ttft"),
        finish_reason=event.get("fin"),
        tool_calls=event.get("tools") or (),
        trace=event.get("trace") or (),
        **messages_for(asked),
        **extra,
    )
