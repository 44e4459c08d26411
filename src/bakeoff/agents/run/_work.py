"""A model step at work: what a pattern may do, and the rounds of tool calls."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bakeoff.agents.memory._context import fit_context
from bakeoff.agents.tools._tool import canonical, definition

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from bakeoff.agents.config._agent import Step
    from bakeoff.agents.reasoning._library import Work as WorkProtocol
    from bakeoff.agents.run._trial import Branch, Trial
    from bakeoff.gateway import ModelResponse
    from bakeoff.targets import ModelSpec

__all__ = ["Turn", "Work"]


@dataclass(frozen=True, slots=True)
class Turn:
    """A message of a conversation."""

    role: str
    text: str


class Work:
    """One step at work. Implements the protocol that patterns are written against."""

    def __init__(
        self,
        trial: Trial,
        step: Step,
        branch: Branch,
        span: dict[str, Any],
        values: Mapping[str, Any],
        *,
        feedback: str = "",
        attempt: int = 0,
    ) -> None:
        self.trial = trial
        self.step = step
        self.branch = branch
        self.clock = branch.clock
        self.span = span
        self.values = values
        self.item_id = trial.item.id
        self.examples = step.spec.examples
        self.has_tools = bool(step.tools)
        talk = trial.agent.spec.conversation is not None
        self.question = (
            str(trial.inputs["message"])
            if talk
            else "\n".join(str(value) for value in trial.inputs.values() if isinstance(value, (str, int, float)))
        )
        self.models: Sequence[ModelSpec] = self._routed()
        self.params: Mapping[str, Any] = {**trial.agent.spec.params, **step.spec.params}
        self.offset = attempt * 100
        self.sent: list[dict[str, Any]] = []
        self.last: ModelResponse | None = None
        self._messages = self._open(feedback)

    def _routed(self) -> Sequence[ModelSpec]:
        if self.step.router is not None:
            model = self.step.routed[self.step.router.choose(self.question)]
            self.span["routed_to"] = model.model
            self.span["router"] = self.step.router.report.sentence
            return (model, *self.step.models[1:])
        for when, model in self.step.route:
            if when is None or when.render(self.values):
                self.span["routed_to"] = model.model
                return (model, *self.step.models[1:])
        return self.step.models

    def _open(self, feedback: str) -> list[dict[str, Any]]:
        step, trial = self.step, self.trial
        messages: list[dict[str, Any]] = []
        uses = step.prompt.variables if step.prompt is not None else frozenset[str]()
        system = step.system.render(self.values) if step.system is not None else ""
        if trial.memory and "memory" not in uses:
            system = f"{system}\n\nWhat you remember:\n{trial.memory}".strip()
        if system:
            messages.append({"role": "system", "content": system})
        messages += trial.history
        spoken = step.prompt.render(self.values) if step.prompt is not None else []
        if not spoken:
            spoken = [{"role": "user", "content": self.question}]
        if trial.passages and step.spec.retrieve and "passages" not in uses:
            told = f"Use these passages and name the ones you used:\n\n{self.values['passages']}\n\n"
            if not self.values["passages"]:
                told = ""
            spoken[-1] = {**spoken[-1], "content": _joined(told, spoken[-1].get("content"), "")}
        if feedback or (trial.feedback and "feedback" not in uses):
            note = "\n\n".join(part for part in (trial.feedback, feedback) if part)
            spoken[-1] = {**spoken[-1], "content": _joined("", spoken[-1].get("content"), f"\n\n{note}")}
        return [*messages, *spoken]

    def note(self, **facts: Any) -> None:
        """Put facts on the span of the step."""
        self.span.update({key: self.trial.recorder.short(value) for key, value in facts.items() if value is not None})

    def with_model(self, models: Sequence[ModelSpec], params: Mapping[str, Any], offset: int) -> Work:
        """Return the same work on another model."""
        twin = object.__new__(Work)
        twin.__dict__.update(self.__dict__)
        twin.models, twin.params, twin.offset = models, {**self.params, **params}, self.offset + offset
        return twin

    def add(self, instruction: str) -> None:
        """Put an instruction after the task, for every call from now on."""
        last = self._messages[-1]
        self._messages = [
            *self._messages[:-1],
            {**last, "content": _joined("", last.get("content"), f"\n\n{instruction}")},
        ]

    async def together(self, asks: Sequence[Callable[[WorkProtocol], Awaitable[str]]]) -> list[str]:
        """Ask several things at the same time."""
        twins = [self.with_model(self.models, {}, 0) for _ in asks]
        for twin in twins:
            twin.clock = self.clock.fork()
        pending: list[asyncio.Task[str]] = []
        try:
            async with asyncio.TaskGroup() as group:
                for ask, twin in zip(asks, twins, strict=True):
                    pending.append(group.create_task(_as_coroutine(ask(twin))))
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        self.clock.join([twin.clock for twin in twins])
        self.sent = twins[-1].sent or self.sent if twins else self.sent
        return [task.result() for task in pending]

    async def ask(
        self,
        instruction: str = "",
        *,
        name: str = "answer",
        final: bool = False,
        sample: int = 0,
        shots: str = "",
        said: Sequence[tuple[str, str]] = (),
        temperature: float | None = None,
    ) -> str:
        """Ask the model about the task."""
        messages = list(self._messages)
        told = f"\n\n{instruction}" if instruction else ""
        if shots or told:
            messages[-1] = {**messages[-1], "content": _joined(shots, messages[-1].get("content"), told)}
        messages += [{"role": role, "content": text} for role, text in said]
        params = dict(self.params)
        if temperature is not None:
            params["temperature"] = temperature
        if final and self.step.tools:
            params["tools"] = [definition(tool) for tool in self.step.tools]
        return await self._converse(messages, params, name=name, final=final, sample=self.offset + sample)

    async def _converse(
        self, messages: list[dict[str, Any]], params: Mapping[str, Any], *, name: str, final: bool, sample: int
    ) -> str:
        trial, limits = self.trial, self.trial.agent.spec.limits
        sim = trial.sim_context(self.step, self.values, final=final)
        made: Counter[str] = Counter()
        text = ""
        for number in range(limits.max_iterations + 1):
            messages = await fit_context(self, messages)
            response = await trial.call(
                self.models, messages, name=name if number == 0 else f"{name} ({number + 1})", clock=self.clock,
                parent=self.span["id"], params=params, sim=sim, sample=sample, visit=trial.visit(self.step),
            )  # fmt: skip
            self.last, self.sent = response, messages
            text = response.text or text
            if not response.tool_calls or not final:
                return text
            if number == limits.max_iterations:
                trial.stop_as("max_iterations")
                self.note(stopped=f"tool calls did not end after {limits.max_iterations} rounds")
                return text
            calls = [_read(call, f"call_{number}_{index}") for index, call in enumerate(response.tool_calls)]
            for _, tool, arguments in calls:
                made[f"{tool}\x1f{canonical(arguments)}"] += 1
            repeated = next((key for key, count in made.items() if count > limits.max_repeats), None)
            if repeated is not None:
                trial.stop_as("loop")
                self.note(stopped=f"the same call of {repeated.partition(chr(31))[0]} more than {limits.max_repeats}x")
                return text
            messages = [*messages, _assistant(response, calls), *await self._use(calls)]
        return text

    async def _use(self, calls: Sequence[tuple[str, str, str]]) -> list[dict[str, Any]]:
        """Make the calls of one round at the same time."""
        clocks = [self.clock.fork() for _ in calls]
        allowed = {tool.name for tool in self.step.tools}
        outcomes = await asyncio.gather(
            *(
                self.trial.use_tool(tool if tool in allowed else f"{tool}", arguments, clock, self.span["id"])
                if tool in allowed or tool not in self.trial.agent.tools
                else self.trial.use_tool(f"{tool} (not allowed here)", arguments, clock, self.span["id"])
                for (_, tool, arguments), clock in zip(calls, clocks, strict=True)
            )
        )
        self.clock.join(clocks)
        return [
            {"role": "tool", "tool_call_id": identity, "content": outcome.text}
            for (identity, _, _), outcome in zip(calls, outcomes, strict=True)
        ]


async def _as_coroutine(work: Awaitable[str]) -> str:
    return await work


def _joined(before: str, content: Any, after: str) -> Any:
    if isinstance(content, list):
        head = [{"type": "text", "text": before}] if before else []
        return [*head, *content, *([{"type": "text", "text": after}] if after else [])]
    return f"{before}{content or ''}{after}"


def _read(call: Mapping[str, Any], fallback: str) -> tuple[str, str, str]:
    """Return id, name and arguments of a tool call, whatever a model made of it."""
    function = call.get("function")
    body = function if isinstance(function, dict) else {}
    arguments = body.get("arguments")
    name = body.get("name")
    return (
        str(call.get("id") or fallback),
        name if isinstance(name, str) else "",
        arguments if isinstance(arguments, str) else "{}",
    )


def _assistant(response: ModelResponse, calls: Sequence[tuple[str, str, str]]) -> dict[str, Any]:
    return {
        "role": "assistant",
        "content": response.text or None,
        "tool_calls": [
            {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}}
            for identity, name, arguments in calls
        ],
    }
