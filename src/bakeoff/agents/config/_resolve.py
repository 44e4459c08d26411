"""From the `agent` section to an agent that is ready to run, or to every problem that it has."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from bakeoff.agents.config._agent import Agent
from bakeoff.agents.config._flows import Flows
from bakeoff.agents.config._optional import need
from bakeoff.agents.config._override import override
from bakeoff.agents.config._spec import AgentSpec
from bakeoff.agents.retrieval._search import open_retriever
from bakeoff.agents.tools._toolbox import open_tool
from bakeoff.errors import SpecError
from bakeoff.evaluators import Guard

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bakeoff.agents.config._spec import (
        FlowNode,
        ModelRef,
        RetrievalSpec,
        ToolSpec,
    )
    from bakeoff.agents.retrieval._search import Retriever
    from bakeoff.agents.tools._tool import Tool
    from bakeoff.prompts import Prompt
    from bakeoff.targets import ModelSpec

__all__ = ["resolve_agent"]

_TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def resolve_agent(
    section: Mapping[str, Any],
    *,
    name: str,
    overrides: Mapping[str, Any] | None = None,
    prompts: Mapping[str, Prompt] | None = None,
    models: Mapping[str, ModelSpec] | None = None,
    base_dir: Path | None = None,
    callables: Mapping[str, Callable[..., Any]] | None = None,
) -> Agent:
    """Check an `agent` section and find everything that it names. Nothing is called.

    Args:
        section: The section, as data.
        name: Name of the target, for the keys of problems.
        overrides: Levels of factors by dotted path within the section.
        prompts: Prompts of the file.
        models: Models of the file.
        base_dir: Folder of the file; the working directory when omitted.
        callables: Functions from Python, by the reference that stands in the section.

    Raises:
        SpecError: With every problem, each with its key.

    Examples:
        >>> agent = resolve_agent({"model": "sim/small", "pattern": "chain_of_thought"}, name="solver")
        >>> list(agent.steps), agent.models[0].model
        (['answer'], 'sim/small')
        >>> resolve_agent({"model": "sim/small", "patern": "x"}, name="solver")
        Traceback (most recent call last):
        bakeoff.errors.SpecError: targets.solver.agent.patern: unknown key 'patern'
            fix: did you mean 'pattern'?
    """
    resolver = _Resolver(name, prompts or {}, models or {}, base_dir or Path.cwd(), callables or {})
    return resolver.agent(override(section, overrides or {}))


class _Resolver(Flows):
    """Puts the agent together."""

    def agent(self, data: dict[str, Any]) -> Agent:
        try:
            spec = AgentSpec.model_validate(data)
        except ValidationError as error:
            self.from_pydantic(error, data)
            raise SpecError(self.problems) from None
        retrieval = spec.retrieval
        retriever = None
        if retrieval is not None:
            retriever = self._retriever(retrieval)
        tools = {
            name: tool for name, one in spec.tools.items() if (tool := self._tool(name, one, retriever)) is not None
        }
        specs = self.step_specs(spec)
        flow_spec: Sequence[FlowNode] = spec.flow or list(specs)
        last = self.last_steps(spec, flow_spec, specs)
        steps = {name: self.step(name, one, spec, tools, is_last=name in last) for name, one in specs.items()}
        ready = {name: step for name, step in steps.items() if step is not None}
        flow = self.flow_nodes(flow_spec, ready, specs, ("flow",))
        self.check_use(spec, flow_spec, specs)
        helpers = self._helpers(spec)
        guards = [
            Guard(spec=guard, evaluator=found)
            for index, guard in enumerate(spec.guards)
            if (found := self.evaluator(guard.check, "guards", index, "check")) is not None
        ]
        answer_step = spec.answer if spec.answer in specs else None
        answer = self.template(spec.answer, "answer") if answer_step is None else None
        if self.problems:
            raise SpecError(list(dict.fromkeys(self.problems)))
        return Agent(
            name=self.name, spec=spec, steps=ready, flow=flow, answer=answer, answer_step=answer_step,
            models=tuple(self.used_models.values()), templates=tuple(self.templates), guards=guards,
            retriever=retriever, tools=tools, helpers=helpers,
        )  # fmt: skip

    def _retriever(self, spec: RetrievalSpec) -> Retriever | None:
        embedding = self.embedding(spec.embedding, "retrieval", "embedding")
        store = spec.store.by
        if store != "exact":
            self.attempt(lambda: need(store, f"the vector store {store!r}"), "retrieval", "store")
        if spec.embedding is not None and embedding is None:
            return None
        return self.attempt(lambda: open_retriever(spec, base_dir=self.base_dir, embedding=embedding), "retrieval")

    def _tool(self, name: str, spec: ToolSpec, retriever: Retriever | None) -> Tool | None:
        if not _TOOL_NAME.fullmatch(name):
            self.add(
                f"{name!r} cannot be the name of a tool", "tools", name, fix="use up to 64 letters, digits, _ and -"
            )
            return None
        return self.attempt(
            lambda: open_tool(name, spec, base_dir=self.base_dir, callables=self.callables, retriever=retriever),
            "tools",
            name,
        )

    def _helpers(self, spec: AgentSpec) -> dict[str, ModelSpec]:
        if spec.memory.policy != "none" and spec.conversation is None:
            fix = "add `conversation: {turns: INPUT}` with the input that holds the turns, or leave `memory` out"
            self.add("remembers nothing: an item is one turn, for there is no `conversation`", "memory", fix=fix)
        if spec.memory.policy == "mem0":
            self.attempt(lambda: need("mem0", "the memory policy 'mem0'"), "memory", "policy")
        elif spec.memory.embedding is not None:
            self.add("is only for `policy: mem0`", "memory", "embedding")
        wanted: dict[str, tuple[ModelRef | None, tuple[str, ...]]] = {
            "memory": (spec.memory.model, ("memory", "model")),
            "context": (spec.context.model, ("context", "model")),
        }
        if spec.retrieval is not None:
            wanted["rewrite"] = (spec.retrieval.rewrite, ("retrieval", "rewrite"))
            wanted["rerank"] = (spec.retrieval.rerank, ("retrieval", "rerank"))
        if spec.conversation is not None:
            wanted["user"] = (spec.conversation.user, ("conversation", "user"))
        found = {name: self.model(reference, *at) for name, (reference, at) in wanted.items()}
        found["embedding"] = self.embedding(spec.memory.embedding, "memory", "embedding")
        return {name: model for name, model in found.items() if model is not None}
