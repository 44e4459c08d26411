"""An agent as a target: one item in, one answer out, with everything that happened in between."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from bakeoff.agents.memory._conversation import Remembering, user_turns
from bakeoff.agents.run._flow import run_nodes
from bakeoff.agents.run._guards import apply_guards
from bakeoff.agents.run._trace import Clock
from bakeoff.agents.run._trial import Branch, Trial
from bakeoff.errors import TargetError
from bakeoff.evaluators import conceal, redact_value
from bakeoff.targets import TargetResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.agents.config._agent import Agent
    from bakeoff.datasets import Item
    from bakeoff.gateway import ModelClient

__all__ = ["AgentTarget"]

_LIMITS = frozenset({"loop", "max_iterations"})


class AgentTarget:
    """Runs an agent on one item.

    A tool or a model that misbehaves is an outcome of the trial: it is on the trace, and `finish_reason` says how the
    trial ended (`loop`, `max_iterations`, `bad_form`, `blocked`, `escalated`) unless the agent simply answered. Only
    what makes an answer impossible, such as a provider that is down, is a failed trial.
    """

    def __init__(self, agent: Agent, client: ModelClient, *, variant: str = "", choices: Sequence[str] = ()) -> None:
        self._agent = agent
        self._client = client
        self._variant = variant
        self._choices = list(choices)

    async def run(self, item: Item, *, repeat: int) -> TargetResult:
        """Run the agent once."""
        trial = Trial(
            self._agent, item, repeat=repeat, client=self._client, variant=self._variant, choices=self._choices
        )
        clock = Clock()
        if self._agent.retriever is not None:  # once for all trials; no part of what this one took
            await self._agent.retriever.prepare(self._client)
        try:
            output = await self._played(trial, clock)
        except TargetError as error:
            error.trace = self._hidden(trial, trial.recorder.spans)
            raise
        return self._result(trial, output, clock)

    async def _played(self, trial: Trial, clock: Clock) -> Any:
        limits = self._agent.spec.limits
        try:
            async with asyncio.timeout(limits.timeout_s):
                with trial.recorder.span(self._agent.name, "agent", clock) as root:
                    try:
                        output = await _play(trial, clock)
                    finally:
                        root.update(trial.recorder.totals())
                        root["outcome"] = trial.outcome
                        if trial.notes:
                            root["notes"] = trial.notes
                        root["steps"] = trial.steps_done
                    root["output"] = trial.recorder.short(output)
        except TimeoutError:
            message = f"the agent took longer than {limits.timeout_s:g} s (limits.timeout_s)"
            raise TargetError(message, kind="timeout", retryable=True) from None
        if trial.outcome in _LIMITS and limits.on_limit == "fail":
            raise TargetError(f"the agent was stopped: {trial.outcome} (limits.on_limit is fail)")
        return output

    def _hidden(self, trial: Trial, value: Any) -> Any:
        """Return what is kept of a trial that failed, perhaps before a guard looked at all of it."""
        if not self._agent.guards:
            return value
        return conceal(value, withheld=trial.withheld, longest=trial.recorder.max_chars)

    def _result(self, trial: Trial, output: Any, clock: Clock) -> TargetResult:
        recorder = trial.recorder
        last = recorder.last
        ended = trial.outcome if trial.outcome != "answered" else last.finish_reason if last is not None else "stop"
        # What was taken out of an answer, and what was blocked, must not come back by way of its trace.
        hide = partial(conceal, withheld=trial.withheld, longest=recorder.max_chars) if trial.guarded else _as_it_is
        return TargetResult(
            output=output,
            usage=recorder.usage,
            cost_usd=recorder.cost_usd,
            latency_ms=clock.now_ms,
            attempts=max(recorder.attempts, 1),
            route="agent",
            cached=0 < recorder.calls == recorder.cached_calls,
            model=last.model if last is not None else None,
            finish_reason=ended,
            tool_calls=hide(recorder.tool_calls),
            messages=hide(trial.messages),
            trace=hide(recorder.spans),
            guards=tuple(event.as_dict() for event in trial.guarded),
            fallback_from=last.fallback_from if last is not None else None,
            fingerprint=last.fingerprint if last is not None else None,
        )


async def _play(trial: Trial, clock: Clock) -> Any:
    """Play all turns; return the output."""
    spec = trial.agent.spec.conversation
    if spec is None:
        return await _turn(trial, clock)
    memory = Remembering(trial)
    replies: list[Any] = []
    async for turn in user_turns(trial, clock):
        trial.inputs = {**trial.item.inputs, "message": turn.text}
        trial.is_last_turn = turn.is_last
        await memory.begin(turn, clock)
        reply = await _turn(trial, clock)
        replies.append(reply)
        said = reply if isinstance(reply, str) else str(reply)
        trial.transcript += [{"role": "user", "content": turn.text}, {"role": "assistant", "content": said}]
        await memory.end(turn, said, clock)
    if not replies:
        raise TargetError("the simulated user ended the conversation before it began")
    return replies if spec.output == "all" else replies[-1]


async def _turn(trial: Trial, clock: Clock) -> Any:
    """Guard what comes in, run the flow, guard what goes out."""
    checked = await apply_guards(trial, _text_of(trial), side="input", clock=clock) if trial.agent.guards else None
    if checked is not None:
        if checked.action != "pass":
            return _stopped(trial, checked.action, checked.guard.spec.say if checked.guard is not None else "")
        if checked.is_redacted:
            trial.inputs = redact_value(trial.inputs)
    left = max((guard.spec.retries for guard in trial.agent.guards), default=0)
    while True:
        output = await _answer(trial, clock)
        if not trial.agent.guards:
            return output
        verdict = await apply_guards(trial, output, side="output", clock=clock)
        if verdict.action == "pass":
            trial.feedback = ""
            return verdict.value
        if verdict.action == "retry" and left > 0:
            left -= 1
            trial.feedback = f"Your last answer was not accepted: {verdict.reason}. Answer again and avoid this."
            continue
        assert verdict.guard is not None
        return _stopped(trial, verdict.action, verdict.guard.spec.say)


def _as_it_is(value: Any) -> Any:
    return value


def _stopped(trial: Trial, action: str, say: str) -> str:
    trial.stop_as("escalated" if action == "escalate" else "blocked")
    return say


def _text_of(trial: Trial) -> str:
    if trial.agent.spec.conversation is not None:
        return str(trial.inputs.get("message", ""))
    return "\n".join(str(value) for value in trial.inputs.values())


async def _answer(trial: Trial, clock: Clock) -> Any:
    agent = trial.agent
    trial.passages = []
    branch = Branch(clock, parent=0)
    await run_nodes(trial, agent.flow, branch)
    if agent.answer is not None:
        return agent.answer.render(trial.values(branch))
    name = agent.answer_step or branch.last
    if name is None or name not in branch.state:
        raise TargetError(f"no step gave the answer; ran: {', '.join(branch.state) or 'none'}")
    return branch.state[name]
