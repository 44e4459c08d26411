"""Guards: checks on what goes into a target and what comes out, and what happens when one fails."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from bakeoff.evaluators._personal_data import redact_personal_data
from bakeoff.evaluators._redact import clean_text, redact_secrets
from bakeoff.evaluators._text import as_text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bakeoff.evaluators._protocol import Evaluator, Score

__all__ = [
    "Guard",
    "GuardEvent",
    "GuardSide",
    "GuardSpec",
    "GuardVerdict",
    "apply_guards",
    "conceal",
    "passes",
    "redact_value",
]

GuardSide = Literal["input", "output"]
GuardAction = Literal["block", "redact", "retry", "escalate"]
_REASON = 300


class GuardSpec(BaseModel):
    """A check on what goes in or comes out, and what happens when it fails."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    side: GuardSide = "output"
    check: str | dict[str, Any]
    """An evaluator; failing means that the guard acts."""
    action: GuardAction = "block"
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.5
    """For evaluators that give a number: less fails."""
    retries: Annotated[int, Field(ge=1, le=5)] = 1
    say: str = "I cannot help with that."
    """The answer when blocked, and when a retry or taking out did not help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """A guard whose evaluator is ready."""

    spec: GuardSpec
    evaluator: Evaluator


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardEvent:
    """What one guard did. The reason never repeats personal data or secrets."""

    guard: str
    """Name of its metric."""
    side: GuardSide
    action: GuardAction
    reason: str

    def as_dict(self) -> dict[str, str]:
        """Return plain data.

        Examples:
            >>> GuardEvent(guard="pii", side="output", action="redact", reason="1 e-mail address").as_dict()["action"]
            'redact'
        """
        return {"guard": self.guard, "side": self.side, "action": self.action, "reason": self.reason}


@dataclass(slots=True)
class GuardVerdict:
    """What the guards made of a value."""

    value: Any
    action: Literal["pass", "block", "retry", "escalate"] = "pass"
    reason: str = ""
    guard: Guard | None = None
    """The one that stopped it."""
    events: list[GuardEvent] = field(default_factory=list)

    @property
    def is_redacted(self) -> bool:
        """Whether something was taken out."""
        return any(event.action == "redact" for event in self.events)


def _unwatched(guard: Guard, value: Any) -> AbstractContextManager[dict[str, Any]]:
    return nullcontext({})


async def apply_guards(
    guards: Sequence[Guard],
    value: Any,
    *,
    side: GuardSide,
    judge: Callable[[Evaluator, Any], Awaitable[Score]],
    watch: Callable[[Guard, Any], AbstractContextManager[dict[str, Any]]] = _unwatched,
) -> GuardVerdict:
    """Check a value with every guard of a side, in order, until one stops it.

    A guard whose check cannot be made acts as if it had failed: a guard that is out lets nothing through. Where
    taking out personal data and secrets does not satisfy the check, the value is blocked.

    Args:
        guards: The guards, of both sides.
        value: What goes in or came out; JSON data.
        side: Which of the guards are asked.
        judge: Scores a value with an evaluator; may cost money.
        watch: Opens a span around one check and gives its attributes to be filled in.

    Returns:
        The value as it may go on, and what was done to it.

    Examples:
        >>> import asyncio
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator, score_sync
        >>> async def judge(evaluator, value):
        ...     return score_sync([evaluator], EvaluatorContext(output=value))[0]
        >>> guard = Guard(spec=GuardSpec(check="pii", action="redact"), evaluator=load_evaluator("pii"))
        >>> asyncio.run(apply_guards([guard], "Write to ada@example.org", side="output", judge=judge)).value
        'Write to [email]'
    """
    verdict = GuardVerdict(value)
    for guard in guards:
        if guard.spec.side != side:
            continue
        with watch(guard, verdict.value) as span:
            score = await judge(guard.evaluator, verdict.value)
            if passes(score, guard.spec.threshold):
                span["output"] = "pass"
                continue
            action, reason = guard.spec.action, _reason_of(score)
            if action == "redact":
                verdict.value = redact_value(verdict.value)
                if not passes(await judge(guard.evaluator, verdict.value), guard.spec.threshold):
                    action, reason = "block", f"{reason} (taking out personal data and secrets did not help)"
            span["output"], span["reason"] = action, reason
        verdict.events.append(GuardEvent(guard=guard.evaluator.metric, side=side, action=action, reason=reason))
        if action != "redact":
            verdict.action, verdict.reason, verdict.guard = action, reason, guard
            return verdict
    return verdict


def passes(score: Score, threshold: float) -> bool:
    """Tell whether a score is a pass; one that could not be given is none.

    Examples:
        >>> from bakeoff.evaluators import Score
        >>> passes(Score(name="m", value=0.4), 0.5), passes(Score(name="m", value=None, error="out"), 0.0)
        (False, False)
    """
    if isinstance(score.value, bool):
        return score.value
    return isinstance(score.value, (int, float)) and score.value >= threshold


def _reason_of(score: Score) -> str:
    return clean_text(redact_value(score.reason or score.error or f"{score.value}"), _REASON)


def redact_value(value: Any, *, numbers: bool = True) -> Any:
    """Take personal data and secrets out of every text, key and number of JSON data.

    Args:
        value: JSON data.
        numbers: Whether a number that reads like personal data, such as a card number, becomes text without it.

    Examples:
        >>> redact_value({"mail": ["ada@example.org"], "card": 4111111111111111})
        {'mail': ['[email]'], 'card': '[card]'}
    """
    if isinstance(value, str):
        return redact_secrets(redact_personal_data(value))
    if isinstance(value, dict):
        return {redact_value(key): redact_value(entry, numbers=numbers) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact_value(entry, numbers=numbers) for entry in value]
    if numbers and isinstance(value, (int, float)) and not isinstance(value, bool):
        text = as_text(value)
        found = redact_value(text)
        return value if found == text else found
    return value


_SHORTEST_WITHHELD = 4
"""Characters below which a stopped text would be found in anything."""


def conceal(value: Any, *, withheld: Sequence[Any] = (), longest: int | None = None) -> Any:
    """Take personal data, secrets, and what guards stopped out of what is kept beside an output, such as a trace.

    Args:
        value: JSON data; its numbers are left alone.
        withheld: Outputs that were stopped; every text in them is looked for.
        longest: Length at which texts were cut before they came here.

    Examples:
        >>> conceal({"output": "The code is 4711!", "ms": 3}, withheld=["The code is 4711!"])
        {'output': '[withheld]', 'ms': 3}
    """
    texts = [text for one in withheld for text in _texts_of(one) if len(text.strip()) >= _SHORTEST_WITHHELD]
    texts += [text[:longest] for text in texts if longest is not None and len(text) > longest]
    return redact_value(_without(value, sorted(texts, key=len, reverse=True)), numbers=False)


def _texts_of(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for entry in value.values() for text in _texts_of(entry)]
    if isinstance(value, (list, tuple)):
        return [text for entry in value for text in _texts_of(entry)]
    return []


def _without(value: Any, texts: Sequence[str]) -> Any:
    if isinstance(value, str):
        for text in texts:
            value = value.replace(text, "[withheld]")
        return value
    if isinstance(value, dict):
        return {key: _without(entry, texts) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without(entry, texts) for entry in value]
    return value
