"""Checks on what goes in and comes out, and what happens when they fail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from bakeoff.agents._memory import redact
from bakeoff.agents._trial import passes

if TYPE_CHECKING:
    from bakeoff.agents._agent import Guard
    from bakeoff.agents._trace import Clock
    from bakeoff.agents._trial import Trial

__all__ = ["Verdict", "apply_guards", "redact_all"]


class Verdict:
    """What the guards made of a value."""

    __slots__ = ("action", "guard", "reason", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        self.action: Literal["pass", "block", "retry", "escalate"] = "pass"
        self.reason = ""
        self.guard: Guard | None = None


async def apply_guards(trial: Trial, value: Any, *, side: Literal["input", "output"], clock: Clock) -> Verdict:
    """Check a value with every guard of that side, in order, until one stops it.

    A guard whose check cannot be made acts as if it had failed: a guard that is out must not let everything through.
    """
    verdict = Verdict(value)
    for guard in trial.agent.guards:
        if guard.spec.side != side:
            continue
        with trial.recorder.span(guard.evaluator.metric, "guard", clock, parent=0, input=verdict.value) as span:
            score = (await trial.judge([guard.evaluator], verdict.value))[0]
            fine = passes(score, guard.spec.threshold)
            span["output"] = "pass" if fine else guard.spec.action
            if fine:
                continue
            reason = score.reason or score.error or f"{score.value}"
            span["reason"] = trial.recorder.short(reason)
        if guard.spec.action == "redact":
            verdict.value = redact_all(verdict.value)
            trial.note(f"{guard.evaluator.metric}: redacted")
            continue
        verdict.action, verdict.reason, verdict.guard = guard.spec.action, reason, guard
        return verdict
    return verdict


def redact_all(value: Any) -> Any:
    """Take personal data and secrets out of every text of JSON data.

    Examples:
        >>> redact_all({"mail": ["ada@example.org"]})
        {'mail': ['[email]']}
    """
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {key: redact_all(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact_all(entry) for entry in value]
    return value
