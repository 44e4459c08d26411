"""One trial of an agent: its state, its spans, and how each kind of step runs."""

from __future__ import annotations

import functools
import inspect
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bakeoff.agents.models._cascade import answer_by_tiers
from bakeoff.agents.retrieval._index import embed_with, unit
from bakeoff.agents.run._text import FormError, fill, read_output
from bakeoff.agents.run._trace import Clock, Recorder
from bakeoff.agents.run._work import Turn, Work
from bakeoff.agents.tools._threads import in_thread
from bakeoff.agents.tools._tool import ToolContext, ToolOutcome, call_tool, canonical
from bakeoff.errors import BudgetExceeded, ProviderError, TargetError
from bakeoff.evaluators import EvaluatorContext, Score, passes, score_trial
from bakeoff.gateway import ModelRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from bakeoff.agents.config._agent import Agent, Step
    from bakeoff.agents.retrieval._search import Found
    from bakeoff.datasets import Item
    from bakeoff.evaluators import Evaluator, GuardEvent
    from bakeoff.gateway import ModelClient, ModelResponse
    from bakeoff.targets import ModelSpec

__all__ = ["Branch", "Trial"]

_DIFFICULTY = {"easy": 0.2, "medium": 0.5, "hard": 0.8}
_LOGIT_OF_DIFFICULTY = 4.0
"""Weight of difficulty in the logit of simulated models (docs/simulated-models.md)."""
_REPEATS_APART, _VISITS_APART = 1_000_000_007, 1_000_003
"""Repeats of a trial, visits of a step and samples of a pattern are all samples of their own for the cache. Within a
visit: samples of a pattern below 100, attempts 100 apart, samples of a tier 1,000, tiers 100,000."""


@dataclass(slots=True)
class Branch:
    """Where a flow is: one of several, while steps run at the same time."""

    clock: Clock
    state: dict[str, Any] = field(default_factory=dict)
    parent: int | None = None
    last: str | None = None
    """The step that ran last."""
    turn: int = 1

    def fork(self, *, parent: int | None = None) -> Branch:
        """Return a branch that starts here, with a state of its own."""
        return Branch(self.clock.fork(), dict(self.state), self.parent if parent is None else parent, None, self.turn)


class Trial:
    """One item, once: runs steps, calls models and tools, keeps spans."""

    def __init__(
        self, agent: Agent, item: Item, *, repeat: int, client: ModelClient, variant: str, choices: Sequence[str]
    ) -> None:
        self.agent = agent
        self.item = item
        self.inputs: dict[str, Any] = dict(item.inputs)
        self.repeat = repeat
        self.client = client
        self.variant = variant
        self.choices = choices
        self.recorder = Recorder(agent.spec.limits.trace_chars)
        self.outcome = "answered"
        self.notes: list[str] = []
        self.guarded: list[GuardEvent] = []
        """What the guards did."""
        self.withheld: list[Any] = []
        """What they stopped: it must not be kept by way of the trace."""
        self.history: list[dict[str, Any]] = []
        """Earlier turns of a conversation, as the model sees them."""
        self.transcript: list[dict[str, Any]] = []
        """Everything said so far, whatever the memory policy keeps."""
        self.memory = ""
        self.feedback = ""
        self.passages: list[dict[str, Any]] = []
        self.is_last_turn = True
        """Whether the item's right answer is the answer to this turn."""
        self.steps_done = 0
        self._visits: Counter[str] = Counter()
        self._made: Counter[str] = Counter()
        self.messages: list[dict[str, Any]] = []

    # What templates see

    def values(self, branch: Branch) -> dict[str, Any]:
        """Return what templates may use."""
        return {
            "memory": self.memory,
            "feedback": self.feedback,
            "turn": branch.turn,
            "history": "\n".join(f"{one['role']}: {one['content']}" for one in self.history),
            "passages": _passage_text(self.passages),
            **self.agent.spec.world,
            **self.inputs,
            **branch.state,
            "inputs": self.inputs,
            "state": branch.state,
        }

    def note(self, text: str) -> None:
        """Keep a remark for the root span."""
        if text not in self.notes:
            self.notes.append(text)

    def stop_as(self, outcome: str) -> None:
        """Say how the trial went, unless something was said already."""
        if self.outcome == "answered":
            self.outcome = outcome

    # Steps

    async def run_step(self, step: Step, branch: Branch) -> None:
        """Run one step and put its value into the state.

        Raises:
            TargetError: A model or a function failed, or there were more steps than allowed.
        """
        self.steps_done += 1
        if self.steps_done > self.agent.spec.limits.max_steps:
            raise TargetError(f"more than {self.agent.spec.limits.max_steps} steps (limits.max_steps)")
        self._visits[step.name] += 1
        with self.recorder.span(step.name, "step", branch.clock, parent=branch.parent) as span:
            value = await self._value(step, branch, span)
            span["output"] = self.recorder.short(value)
        branch.state[step.name] = value
        branch.last = step.name

    async def _value(self, step: Step, branch: Branch, span: dict[str, Any]) -> Any:
        kind = step.spec.kind
        if kind == "retrieve":
            return await self._retrieve(step, branch, span["id"])
        if kind == "tool":
            return await self._tool(step, branch, span["id"])
        if kind in ("python", "check"):
            began = time.perf_counter()
            value = await (self._python(step, branch) if kind == "python" else self._check(step, branch))
            branch.clock.now_ms += (time.perf_counter() - began) * 1000
            return value
        if kind == "approve":
            return self._approve(step, branch, span["id"])
        if step.spec.retrieve:
            await self._retrieve(step, branch, span["id"])
        return await self._model(step, branch, span)

    async def _model(self, step: Step, branch: Branch, span: dict[str, Any]) -> Any:
        values = self.values(branch)
        feedback = ""
        text = ""
        for attempt in range(step.spec.retries + 1):
            work = Work(self, step, branch, span, values, feedback=feedback, attempt=attempt)
            if step.tiers:
                text = await answer_by_tiers(work, step)
            else:
                text = await step.pattern.run(work, step.options)
            self.messages = work.sent or self.messages
            try:
                return read_output(text, step.spec.output)
            except FormError as error:
                feedback = f"Your last answer could not be used: {error}."
                span["form_problem"] = self.recorder.short(str(error))
                if self.outcome != "answered":
                    break
        self.stop_as("bad_form")
        return text if step.is_last else None

    async def _retrieve(self, step: Step, branch: Branch, parent: int) -> list[dict[str, Any]]:
        from bakeoff.agents.retrieval._step import retrieve

        self.passages = await retrieve(self, step, branch, parent)
        return self.passages

    async def _tool(self, step: Step, branch: Branch, parent: int) -> Any:
        import orjson

        name = str(step.spec.tool)
        arguments = orjson.dumps(fill(step.spec.arguments, self.values(branch), name=f"{step.name}.arguments")).decode()
        outcome = await self.use_tool(name, arguments, branch.clock, parent)
        return outcome.value if outcome.value is not None and not outcome.failed else outcome.text

    async def _python(self, step: Step, branch: Branch) -> Any:
        assert step.function is not None
        values = self.values(branch)
        parameters = inspect.signature(step.function).parameters
        everything = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
        given = values if everything else {name: values[name] for name in parameters if name in values}
        try:
            if inspect.iscoroutinefunction(step.function):
                return await step.function(**given)
            value = await in_thread(functools.partial(step.function, **given), name=f"step-{step.name}")
            return await value if inspect.isawaitable(value) else value
        except TargetError:
            raise
        except Exception as error:
            raise TargetError(f"step {step.name!r}: {type(error).__name__}: {error}"[:2000]) from error

    async def _check(self, step: Step, branch: Branch) -> dict[str, Any]:
        scores = await self.judge(step.checks, branch.state.get(str(step.spec.of)))
        bad = [score for score in scores if not passes(score, 0.5)]
        return {
            "ok": not bad,
            "problems": [f"{score.name}: {score.reason or score.error or score.value}" for score in bad],
            "scores": {score.name: score.value for score in scores},
        }

    def _approve(self, step: Step, branch: Branch, parent: int) -> bool:
        assert step.spec.approve is not None
        values = self.values(branch)
        question = step.ask.render(values) if step.ask is not None else ""
        policy = step.spec.approve.policy
        agreed = policy == "always" or (step.agrees is not None and bool(step.agrees.render(values)))
        with self.recorder.span(
            "approval", "approval", branch.clock, parent=parent, input=question, output=agreed, by=policy
        ):
            return agreed and policy != "never"

    # Calls

    async def judge(self, evaluators: Sequence[Evaluator], output: Any) -> list[Score]:
        """Score a value with evaluators that need no reference answer."""
        context = EvaluatorContext(
            output=output, inputs=self.inputs, item_id=self.item.id, variant=self.variant, client=self.client,
        )  # fmt: skip
        scores = await score_trial(list(evaluators), context)
        for score in scores:
            if score.cost_usd and self.recorder.cost_usd is not None:
                self.recorder.cost_usd += score.cost_usd
        return scores

    async def use_tool(self, name: str, arguments: str, clock: Clock, parent: int | None) -> ToolOutcome:
        """Call a tool; the outcome is on its span, whatever it is."""
        key = f"{name}\x1f{canonical(arguments)}"
        occurrence = self._made[key]
        self._made[key] += 1
        self.recorder.tool_calls.append(
            {"id": f"call_{len(self.recorder.tool_calls)}", "type": "function",
             "function": {"name": name, "arguments": arguments}}
        )  # fmt: skip
        with self.recorder.span(name, "tool", clock, parent=parent, input=arguments) as span:
            context = ToolContext(
                item_id=self.item.id, inputs=self.inputs, repeat=self.repeat,
                find=functools.partial(self.find, clock=clock, parent=span["id"]),
            )  # fmt: skip
            outcome = await call_tool(self.agent.tools.get(name), name, arguments, context, occurrence=occurrence)
            span["output"] = self.recorder.short(outcome.text)
            span["outcome"] = outcome.kind
        return outcome

    async def find(self, query: str, clock: Clock, parent: int | None, *, top_k: int | None = None) -> list[Found]:
        """Search the corpus; what embedding the query took is on the trial.

        Raises:
            TargetError: The vector store cannot be used, or the model that embeds failed (`ProviderError`).
        """
        retriever = self.agent.retriever
        assert retriever is not None
        source = retriever.vectors

        async def embed_query(text: str) -> NDArray[np.float64]:
            assert source is not None
            assert source.embedding is not None
            with self.recorder.span("embed", "retrieval", clock, parent=parent, input=text) as span:
                made = await embed_with(
                    self.client, source.embedding, [text], dimensions=source.dimensions, variant=self.variant
                )
                self.recorder.add_embedding(made, clock)
                span.update(model=made.model, tokens=[made.paid_usage.input_tokens, 0], cost=made.paid_usd)
            return unit(made.vectors)[0]

        return await retriever.find(query, client=self.client, embed_query=embed_query, top_k=top_k)

    async def call(
        self,
        models: Sequence[ModelSpec],
        messages: Sequence[Mapping[str, Any]],
        *,
        name: str,
        clock: Clock,
        parent: int | None,
        params: Mapping[str, Any] | None = None,
        sim: Mapping[str, Any] | None = None,
        sample: int = 0,
        visit: int = 0,
    ) -> ModelResponse:
        """Call the first of the models that answers.

        Raises:
            ProviderError: None of them did.
            BudgetExceeded: The call was not made.
        """
        with self.recorder.span(name, "model", clock, parent=parent) as span:
            span["input"] = self.recorder.short(messages[-1].get("content"))
            for index, model in enumerate(models):
                request = self._request(model, messages, params or {}, sim, self._sample(visit, sample))
                try:
                    response = await self.client.complete(request)
                except BudgetExceeded:
                    raise
                except ProviderError as error:
                    if index == len(models) - 1 or error.kind == "cancelled":
                        raise
                    span.setdefault("failed", []).append(f"{model.model}: {error.kind}")
                    continue
                self.recorder.add_call(response, clock)
                span["model"] = response.model
                span["output"] = self.recorder.short(response.text or list(response.tool_calls))
                span["tokens"] = [response.usage.input_tokens, response.usage.output_tokens]
                span["cost"] = response.cost_usd
                if response.cached:
                    span["cached"] = True
                return response
        raise AssertionError("a step has a model")

    def _sample(self, visit: int, sample: int) -> int:
        return self.repeat * _REPEATS_APART + visit * _VISITS_APART + sample

    def visit(self, step: Step) -> int:
        """Return how often the step ran before."""
        return self._visits[step.name] - 1

    def _request(
        self,
        model: ModelSpec,
        messages: Sequence[Mapping[str, Any]],
        params: Mapping[str, Any],
        sim: Mapping[str, Any] | None,
        sample: int,
    ) -> ModelRequest:
        given = {**model.call_params(), **params}
        given = {key: value for key, value in given.items() if value is not None}
        context: dict[str, Any] = {}
        if model.model.startswith("sim/"):
            told = dict(sim or {})
            knobs = {**dict(given.get("sim") or {}), **dict(told.pop("knobs", {}))}
            if knobs:
                given["sim"] = knobs
            context = {"item_id": self.item.id, **told}
        return ModelRequest(
            model=model.model,
            messages=messages,
            params=given,
            repeat=sample,
            api_base=model.api_base,
            api_key_env=model.api_key_env,
            headers=model.headers,
            stream=model.stream,
            purpose="agent",
            variant=self.variant,
            sim_context=context,
        )

    def sim_context(self, step: Step, values: Mapping[str, Any], *, final: bool) -> dict[str, Any]:
        """Tell a simulated model what it needs to be right, or plausibly wrong, in this step."""
        sim = step.sim
        told: dict[str, Any] = {"item_id": self.item.id if step.is_last else f"{self.item.id}/{step.name}"}
        if not final:
            return told
        about = {
            **values,
            "item": {"id": self.item.id, "expected": self.item.expected, "metadata": dict(self.item.metadata)},
        }
        if sim.expected is not None:
            told["expected"] = sim.expected.render(about)
        elif step.is_last and self.is_last_turn:
            told["expected"] = self.item.expected
        choices = step.spec.output.labels or (self.choices if step.is_last else ())
        if choices:
            told["choices"] = list(choices)
        difficulty = self.item.metadata.get("difficulty")
        base = _DIFFICULTY.get(str(difficulty), difficulty)
        if not isinstance(base, (int, float)) or isinstance(base, bool):
            base = 0.5 if sim.helps else None
        if base is not None:
            logit = sum(value for when, value in sim.helps if when.render(about))
            told["difficulty"] = min(max(base - logit / _LOGIT_OF_DIFFICULTY, 0.0), 1.0)
        knobs = dict(sim.knobs)
        if sim.tool_calls:
            knobs["tool_calls"] = fill([list(turn) for turn in sim.tool_calls], about, name=f"{step.name}.sim")
        if knobs:
            told["knobs"] = knobs
        return told


def _passage_text(passages: Sequence[Mapping[str, Any]]) -> str:
    return "\n\n".join(f"[{one['id']}] {one['text']}" for one in passages)


__all__ += ["Turn"]
