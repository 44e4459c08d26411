"""The guards of an agent, each check a span of its trace."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bakeoff import evaluators

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bakeoff.agents.run._trace import Clock
    from bakeoff.agents.run._trial import Trial
    from bakeoff.evaluators import Evaluator, Guard, GuardSide, GuardVerdict, Score

__all__ = ["apply_guards"]


async def apply_guards(trial: Trial, value: Any, *, side: GuardSide, clock: Clock) -> GuardVerdict:
    """Check a value with every guard of that side, in order, until one stops it."""

    @contextmanager
    def watch(guard: Guard, checked: Any) -> Iterator[dict[str, Any]]:
        with trial.recorder.span(guard.evaluator.metric, "guard", clock, parent=0, input=checked) as span:
            yield span
            if "reason" in span:
                span["reason"] = trial.recorder.short(span["reason"])

    async def judge(evaluator: Evaluator, checked: Any) -> Score:
        return (await trial.judge([evaluator], checked))[0]

    verdict = await evaluators.apply_guards(trial.agent.guards, value, side=side, judge=judge, watch=watch)
    for event in verdict.events:
        if event.action == "redact":
            trial.note(f"{event.guard}: redacted")
    trial.guarded += verdict.events
    if verdict.action != "pass":
        trial.withheld.append(value)
    return verdict
