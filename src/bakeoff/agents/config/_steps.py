"""From the section of a step to a step that is ready to run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bakeoff.agents.config._agent import KNOWN_NAMES, Accept, Sim, Step, Tier
from bakeoff.agents.config._parts import Parts
from bakeoff.agents.config._spec import AgentSpec, StepSpec
from bakeoff.agents.reasoning._library import find_pattern
from bakeoff.prompts import Prompt
from bakeoff.targets import ModelSpec, import_callable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bakeoff.agents.config._spec import (
        AcceptSpec,
        SimSpec,
        TierSpec,
    )
    from bakeoff.agents.models._router import Router
    from bakeoff.agents.reasoning._library import Pattern
    from bakeoff.agents.run._text import Template
    from bakeoff.agents.tools._tool import Tool

__all__ = ["Steps"]

_INHERITED = ("model", "fallback", "system")
_SINGLE = "answer"
"""Name of the only step of an agent without `steps`."""
_ALL_INPUTS = "{% for name, value in inputs.items() %}{{ value }}\n{% endfor %}"


class Steps(Parts):
    """Finds what a step names."""

    def step_specs(self, spec: AgentSpec) -> dict[str, StepSpec]:
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

    def step(
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
        for index, tier in enumerate(spec.tiers[:-1]):
            if tier.accept is None:
                told = "is paid for and never the answer: it has no `accept`"
                self.add(told, *at, "tiers", index, fix="add `accept:`, or leave the tier out")
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
                if (found := self.validator(one, *at, "check", index)) is not None
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
            evaluator = self.validator(spec.evaluator, *at, "accept", "evaluator")
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
