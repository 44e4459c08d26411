"""From the `agent` section to an agent that is ready to run, or to every problem that it has."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from bakeoff.agents.config import _spec
from bakeoff.agents.config._agent import KNOWN_NAMES, Accept, Agent, Sim, Step, Tier
from bakeoff.agents.config._optional import need
from bakeoff.agents.config._override import override
from bakeoff.agents.config._spec import AgentSpec, BranchSpec, HandoffSpec, LoopSpec, ParallelSpec, StepSpec
from bakeoff.agents.reasoning._library import find_pattern, pattern_options
from bakeoff.agents.retrieval._search import open_retriever
from bakeoff.agents.run._flow import Branching, Handoff, Loop, Parallel
from bakeoff.agents.run._text import Template, condition
from bakeoff.agents.tools._toolbox import open_tool
from bakeoff.errors import BakeoffError, SpecError, SpecProblem
from bakeoff.evaluators import Guard, load_evaluator
from bakeoff.prompts import Prompt
from bakeoff.targets import ModelSpec, import_callable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bakeoff.agents.config._spec import (
        AcceptSpec,
        FlowNode,
        ModelRef,
        PatternSpec,
        RetrievalSpec,
        SimSpec,
        TierSpec,
        ToolSpec,
    )
    from bakeoff.agents.models._router import Router
    from bakeoff.agents.reasoning._library import Pattern
    from bakeoff.agents.retrieval._search import Retriever
    from bakeoff.agents.run._flow import Node
    from bakeoff.agents.tools._tool import Tool
    from bakeoff.evaluators import Evaluator

T = TypeVar("T")

__all__ = ["resolve_agent"]

_INHERITED = ("model", "fallback", "system")
_TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SINGLE = "answer"
"""Name of the only step of an agent without `steps`."""


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


class _Resolver:
    """Collects problems instead of stopping at the first."""

    def __init__(
        self,
        name: str,
        prompts: Mapping[str, Prompt],
        models: Mapping[str, ModelSpec],
        base_dir: Path,
        callables: Mapping[str, Callable[..., Any]],
    ) -> None:
        self.name = name
        self.prompts = prompts
        self.models = models
        self.base_dir = base_dir
        self.callables = callables
        self.problems: list[SpecProblem] = []
        self.used_models: dict[str, ModelSpec] = {}
        self.templates: list[tuple[str, Template | Prompt]] = []

    # Problems

    def key(self, *parts: str | int) -> str:
        return ".".join(("targets", self.name, "agent", *map(str, parts)))

    def add(self, message: str, *parts: str | int, fix: str = "") -> None:
        self.problems.append(SpecProblem(message, key=self.key(*parts), fix=fix))

    def attempt(self, make: Callable[[], T], *parts: str | int) -> T | None:
        """Return what `make` makes, or take over its problems and give them a place."""
        try:
            return make()
        except SpecError as error:
            for one in error.problems:
                inner = (one.key,) if one.key and not one.file else ()
                self.problems.append(
                    SpecProblem(one.message, key=self.key(*parts, *inner), file=one.file, line=one.line, fix=one.fix)
                )
        except BakeoffError as error:
            message, _, fix = str(error).partition("\n    fix: ")
            self.add(message, *parts, fix=fix)
        return None

    # Small parts

    def model(self, reference: ModelRef | None, *parts: str | int) -> ModelSpec | None:
        if reference is None:
            return None
        found: ModelSpec | None = None
        name = reference if isinstance(reference, str) else reference.model
        if name in self.models:
            base = self.models[name]
            given = (
                dict[str, Any]()
                if isinstance(reference, str)
                else reference.model_dump(exclude_unset=True, exclude={"model"})
            )
            found = base.model_copy(update=given) if given else base
        elif "/" in name or not self.models:
            found = ModelSpec(model=name) if isinstance(reference, str) else reference
        else:
            self.add(f"there is no model {name!r}", *parts, fix=f"this file has {', '.join(self.models)}")
        if found is not None:
            self.used_models[found.model_dump_json()] = found
        return found

    def template(self, text: str | None, *parts: str | int) -> Template | None:
        if text is None:
            return None
        made = self.attempt(lambda: Template(text, name=self.key(*parts)), *parts)
        if made is not None:
            self.templates.append((self.key(*parts), made))
        return made

    def when(self, expression: str | None, *parts: str | int) -> Template | None:
        if expression is None:
            return None
        made = self.attempt(lambda: condition(expression, name=self.key(*parts)), *parts)
        if made is not None:
            self.templates.append((self.key(*parts), made))
        return made

    def pattern(self, spec: PatternSpec, *parts: str | int) -> tuple[Pattern, dict[str, Any]] | None:
        found = self.attempt(lambda: find_pattern(spec.name), *parts)
        if found is None:
            return None
        options = self.attempt(lambda: pattern_options(found, spec.options), *parts)
        return None if options is None else (found, options)

    def evaluator(self, entry: str | dict[str, Any], *parts: str | int) -> Evaluator | None:
        return self.attempt(lambda: load_evaluator(entry, base_dir=self.base_dir), *parts)

    # The agent

    def agent(self, data: dict[str, Any]) -> Agent:
        try:
            spec = AgentSpec.model_validate(data)
        except ValidationError as error:
            self._from_pydantic(error, data)
            raise SpecError(self.problems) from None
        retrieval = spec.retrieval
        retriever = None
        if retrieval is not None:
            retriever = self._retriever(retrieval)
        tools = {
            name: tool for name, one in spec.tools.items() if (tool := self._tool(name, one, retriever)) is not None
        }
        specs = self._step_specs(spec)
        flow_spec: Sequence[FlowNode] = spec.flow or list(specs)
        last = self._last_steps(spec, flow_spec, specs)
        steps = {name: self._step(name, one, spec, tools, is_last=name in last) for name, one in specs.items()}
        ready = {name: step for name, step in steps.items() if step is not None}
        flow = self._flow(flow_spec, ready, specs, ("flow",))
        self._check_use(spec, flow_spec, specs)
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

    def _embedding(self, reference: ModelRef | None, *parts: str) -> ModelSpec | None:
        before = dict(self.used_models)
        found = self.model(reference, *parts)
        if found is not None and found.model.startswith("sim/"):
            self.used_models = before  # simulated embeddings have no key, no price and no list of names
        if found is not None and (found.headers or found.call_params()):
            fix = "give `model`, `api_base` and `api_key_env` alone"
            self.add("takes no headers or parameters", *parts, fix=fix)
        return found

    def _retriever(self, spec: RetrievalSpec) -> Retriever | None:
        embedding = self._embedding(spec.embedding, "retrieval", "embedding")
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

    def _step_specs(self, spec: AgentSpec) -> dict[str, StepSpec]:
        if spec.steps:
            for name in spec.steps:
                if not name.isidentifier() or name in KNOWN_NAMES:
                    fix = "use letters, digits and _; not " + ", ".join(sorted(KNOWN_NAMES))
                    self.add(f"{name!r} cannot be the name of a step", "steps", name, fix=fix)
            for clash in sorted(set(spec.steps) & set(spec.world)):
                self.add(f"{clash!r} is a step and a value of `world`", "world", clash, fix="rename one of them")
            for name in ("prompt", "tiers", "route", "python", "check", "approve", "examples", "tool"):
                if name in spec.model_fields_set:
                    self.add(f"`{name}` has no effect beside `steps`", name, fix="move it into a step")
            return dict(spec.steps)
        fields = {name: getattr(spec, name) for name in StepSpec.model_fields if name != "tools"}
        single = StepSpec.model_construct(**fields, tools=list(spec.tools))
        if (
            spec.retrieval is not None
            and spec.retrieve is False
            and not any(one.retrieve for one in spec.tools.values())
        ):
            # A corpus that nothing reads would be a surprise.
            single = single.model_copy(update={"retrieve": True, "prompt": spec.prompt or _ALL_INPUTS})
        return {_SINGLE: single}

    def _step(
        self, name: str, spec: StepSpec, agent: AgentSpec, tools: Mapping[str, Tool], *, is_last: bool
    ) -> Step | None:
        at: tuple[str, ...] = () if not agent.steps else ("steps", name)
        before = len(self.problems)
        filled = {key: getattr(agent, key) for key in _INHERITED if agent.steps and not getattr(spec, key)}
        spec = spec.model_copy(update=filled) if filled else spec
        main = self.model(spec.model, *at, "model")
        fallbacks = [self.model(one, *at, "fallback", index) for index, one in enumerate(spec.fallback)]
        tiers = [self._tier(one, spec, (*at, "tiers", index)) for index, one in enumerate(spec.tiers)]
        route = [
            (self.when(rule.when, *at, "route", index, "when"), self.model(rule.model, *at, "route", index, "model"))
            for index, rule in enumerate(spec.route)
        ]
        router, routed = self._router(spec.router, at)
        if (
            spec.kind == "model"
            and main is None
            and not tiers
            and not route
            and not spec.router
            and len(self.problems) == before
        ):
            self.add("has no model", *at, fix="give `model:` here or to the agent")
        if route and main is None and spec.route[-1].when is not None:
            self.add("may choose no model: every rule has a `when`", *at, "route", fix="end with a rule without `when`")
        if spec.tool is not None and spec.tool not in agent.tools:
            self.add(
                f"there is no tool {spec.tool!r}", *at, "tool", fix=f"there are {', '.join(agent.tools) or 'none'}"
            )
        if spec.retrieve and agent.retrieval is None:
            self.add("searches, but the agent has no `retrieval`", *at, "retrieve", fix="add `retrieval:`")
        if spec.of is not None and spec.of not in agent.steps:
            self.add(f"there is no step {spec.of!r}", *at, "of", fix=f"there are {', '.join(agent.steps)}")
        chosen = self.pattern(spec.pattern, *at, "pattern")
        if chosen is not None:
            self._check_needs(spec, chosen[0], at)
        pattern, options = chosen or (find_pattern("zero_shot"), {})
        python = spec.python
        function = None
        if python is not None:
            function = self.attempt(lambda: self._function(python), *at, "python")
        query = spec.retrieve.query if not isinstance(spec.retrieve, bool) else None
        approve = spec.approve
        step = Step(
            name=name,
            spec=spec,
            is_last=is_last,
            models=tuple(one for one in (main, *fallbacks) if one is not None),
            tiers=tuple(one for one in tiers if one is not None),
            route=tuple((when, model) for when, model in route if model is not None),
            router=router,
            routed=routed,
            system=self._system(spec.system, agent, at),
            prompt=self._prompt(spec.prompt, at),
            pattern=pattern,
            options=options,
            tools=self._tools_of(spec, tools, agent, at),
            function=function,
            checks=tuple(
                found
                for index, one in enumerate(spec.check)
                if (found := self.evaluator(one, *at, "check", index)) is not None
            ),
            query=self.template(query, *at, "retrieve", "query"),
            ask=self.template(approve.ask, *at, "approve", "ask") if approve is not None else None,
            agrees=self.when(approve.when, *at, "approve", "when") if approve is not None else None,
            sim=self._sim(spec.sim, at),
        )
        return step if len(self.problems) == before else None

    def _router(self, file: str | None, at: tuple[str, ...]) -> tuple[Router | None, dict[str, ModelSpec]]:
        if file is None:
            return None, {}
        from bakeoff.agents.models._router import load_router

        router = self.attempt(lambda: load_router(self.base_dir / file), *at, "router")
        if router is None:
            return None, {}
        found = {name: self.model(name, *at, "router") for name in router.models}
        return router, {name: model for name, model in found.items() if model is not None}

    def _check_needs(self, spec: StepSpec, pattern: Pattern, at: tuple[str, ...]) -> None:
        if "examples" in pattern.needs and not spec.examples:
            self.add(f"{pattern.name} shows examples, and there are none", *at, "pattern", fix="add `examples:`")
        if "tools" in pattern.needs and not spec.tools:
            self.add(f"{pattern.name} uses tools, and there are none", *at, "pattern", fix="add `tools:`")
        for index, one in enumerate(spec.examples):
            if set(one) != {"input", "output"}:
                self.add("must have `input` and `output`", *at, "examples", index, fix="name exactly these two")

    def _tools_of(
        self, spec: StepSpec, tools: Mapping[str, Tool], agent: AgentSpec, at: tuple[str, ...]
    ) -> tuple[Tool, ...]:
        for index, name in enumerate(spec.tools or ()):
            if name not in agent.tools:
                fix = f"there are {', '.join(agent.tools) or 'none'}"
                self.add(f"there is no tool {name!r}", *at, "tools", index, fix=fix)
        return tuple(tools[name] for name in spec.tools or () if name in tools)

    def _system(self, text: str | None, agent: AgentSpec, at: tuple[str, ...]) -> Template | None:
        if text is None or not text.startswith("role:"):
            return self.template(text, *at, "system")
        role = text.removeprefix("role:").strip()
        if role in agent.roles:
            return self.template(agent.roles[role], "roles", role)
        self.add(f"there is no role {role!r}", *at, "system", fix=f"there are {', '.join(agent.roles) or 'none'}")
        return None

    def _prompt(self, text: str | None, at: tuple[str, ...]) -> Prompt | None:
        if text is None:
            return None
        if text in self.prompts:
            prompt = self.prompts[text]
        else:
            made = self.attempt(
                lambda: Prompt(name=self.key(*at, "prompt"), messages=[{"role": "user", "content": text}]),
                *at, "prompt",
            )  # fmt: skip
            if made is None:
                return None
            prompt = made
        self.templates.append((self.key(*at, "prompt"), prompt))
        return prompt

    def _function(self, reference: str) -> Callable[..., Any]:
        known = self.callables.get(reference)
        return known if known is not None else import_callable(reference, base_dir=self.base_dir)

    def _tier(self, tier: TierSpec, step: StepSpec, at: tuple[str | int, ...]) -> Tier | None:
        model = self.model(tier.model, *at, "model")
        chosen = self.pattern(tier.pattern or step.pattern, *at, "pattern")
        accept = self._accept(tier.accept, at) if tier.accept is not None else None
        if model is None or chosen is None:
            return None
        return Tier(model=model, pattern=chosen[0], options=chosen[1], params=tier.params, accept=accept)

    def _accept(self, spec: AcceptSpec, at: tuple[str | int, ...]) -> Accept:
        evaluator = None
        if spec.evaluator is not None:
            evaluator = self.evaluator(spec.evaluator, *at, "accept", "evaluator")
        return Accept(spec=spec, evaluator=evaluator, model=self.model(spec.model, *at, "accept", "model"))

    def _sim(self, spec: SimSpec, at: tuple[str, ...]) -> Sim:
        helps = [
            (when, one.logit)
            for index, one in enumerate(spec.helps)
            if (when := self.when(one.when, *at, "sim", "helps", index)) is not None
        ]
        return Sim(
            expected=self.template(spec.expected, *at, "sim", "expected"),
            helps=tuple(helps),
            tool_calls=spec.tool_calls,
            knobs=spec.knobs,
        )

    def _helpers(self, spec: AgentSpec) -> dict[str, ModelSpec]:
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
        found["embedding"] = self._embedding(spec.memory.embedding, "memory", "embedding")
        return {name: model for name, model in found.items() if model is not None}

    # The flow

    def _flow(
        self,
        nodes: Sequence[FlowNode],
        steps: Mapping[str, Step],
        specs: Mapping[str, StepSpec],
        at: tuple[str | int, ...],
    ) -> list[Node]:
        made: list[Node] = []
        for index, node in enumerate(nodes):
            here = (*at, index)
            if isinstance(node, str):
                if node not in specs:
                    near = difflib.get_close_matches(node, specs, n=1)
                    fix = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(specs)}"
                    self.add(f"there is no step {node!r}", *here, fix=fix)
                elif node in steps:
                    made.append(steps[node])
            elif isinstance(node, ParallelSpec):
                made.append(
                    Parallel([
                        self._flow([one], steps, specs, (*here, "parallel")) for one in node.parallel
                    ])
                )  # fmt: skip
            elif isinstance(node, BranchSpec):
                on = self.template("{{ " + node.branch + " }}", *here, "branch")
                cases = {key: self._flow(case, steps, specs, (*here, "cases", key)) for key, case in node.cases.items()}
                default = self._flow(node.default, steps, specs, (*here, "default"))
                if on is not None:
                    made.append(Branching(on, node.branch, cases, default))
            elif isinstance(node, LoopSpec):
                inner = self._flow(node.loop, steps, specs, (*here, "loop"))
                until = self.when(node.until, *here, "until")
                if until is not None:
                    made.append(Loop(inner, until, node.max))
            else:
                made.append(
                    Handoff(
                        self._flow(node.handoff, steps, specs, (*here, "handoff")),
                        self.when(node.when, *here, "when"),
                    )
                )
        return made

    def _check_use(self, spec: AgentSpec, flow: Sequence[FlowNode], specs: Mapping[str, StepSpec]) -> None:
        if not spec.flow:
            return
        used = set(_named(flow))
        for name in specs:
            if name not in used:
                self.add("is not in the flow, so it never runs", "steps", name, fix="add it to `flow:` or remove it")

    def _last_steps(self, spec: AgentSpec, flow: Sequence[FlowNode], specs: Mapping[str, StepSpec]) -> set[str]:
        if spec.answer in specs:
            return {str(spec.answer)}
        if spec.answer is not None:
            return set(specs) if "state" in spec.answer else {name for name in specs if name in spec.answer}
        return _last(flow)

    def _from_pydantic(self, error: ValidationError, data: Any) -> None:
        seen: set[tuple[str | int, ...]] = set()
        for detail in error.errors(include_url=False):
            key = _real_key(detail["loc"], data)
            if detail["type"] in ("extra_forbidden", "missing") and (not key or key[-1] != detail["loc"][-1]):
                key = (*key, detail["loc"][-1])
            if key in seen:  # a union complains once for each member
                continue
            seen.add(key)
            if detail["type"] == "extra_forbidden":
                near = difflib.get_close_matches(str(key[-1]), _all_fields(), n=1)
                fix = f"did you mean {near[0]!r}?" if near else "docs/agents/configuration.md has every key"
                self.add(f"unknown key {key[-1]!r}", *key, fix=fix)
            elif detail["type"] == "missing":
                self.add("is missing", *key, fix=f"add `{key[-1]}:`")
            else:
                message = detail["msg"].removeprefix("Value error, ").removeprefix("Input ")
                # A secret that stands where the name of a variable belongs is not repeated.
                shown = "something else" if key and str(key[-1]).endswith("_env") else repr(detail["input"])
                self.add(f"{message[0].lower()}{message[1:]}, got {shown if len(shown) < 100 else shown[:97] + '...'}",
                         *key)  # fmt: skip


_ALL_INPUTS = "{% for name, value in inputs.items() %}{{ value }}\n{% endfor %}"


def _all_fields() -> list[str]:
    classes = [one for one in vars(_spec).values() if isinstance(one, type) and issubclass(one, BaseModel)]
    return sorted({name for one in classes for name in one.model_fields})


def _real_key(location: tuple[int | str, ...], data: Any) -> tuple[int | str, ...]:
    """Drop the parts of a location that name union members, not keys of the section."""
    here = data
    key: list[int | str] = []
    for part in location:
        if (isinstance(here, list) and isinstance(part, int) and part < len(here)) or (
            isinstance(here, dict) and part in here
        ):
            here = here[part]
            key.append(part)
    return tuple(key)


def _inner(node: FlowNode) -> list[Sequence[FlowNode]]:
    if isinstance(node, ParallelSpec):
        return [[one] for one in node.parallel]
    if isinstance(node, BranchSpec):
        return [*node.cases.values(), node.default]
    if isinstance(node, LoopSpec):
        return [node.loop]
    return [node.handoff] if isinstance(node, HandoffSpec) else []


def _named(nodes: Sequence[FlowNode]) -> list[str]:
    found: list[str] = []
    for node in nodes:
        found += [node] if isinstance(node, str) else [name for part in _inner(node) for name in _named(part)]
    return found


def _last(nodes: Sequence[FlowNode]) -> set[str]:
    """Return the steps that may be the last to run."""
    found: set[str] = set()
    for index, node in enumerate(nodes):
        if isinstance(node, HandoffSpec):
            found |= _last(node.handoff)
        elif index == len(nodes) - 1:
            if isinstance(node, str):
                found.add(node)
                continue
            for part in _inner(node):
                found |= _last(part) if part else _last(nodes[:index])
    if nodes and isinstance(nodes[-1], HandoffSpec) and nodes[-1].when is not None:
        found |= _last(nodes[:-1])
    return found
