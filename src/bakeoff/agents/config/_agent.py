"""An agent, resolved: every name is found, every template compiled, every tool loaded; nothing has been called."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from bakeoff.agents.config._spec import AcceptSpec, AgentSpec, StepSpec
    from bakeoff.agents.models._router import Router
    from bakeoff.agents.reasoning._library import Pattern
    from bakeoff.agents.retrieval._search import Retriever
    from bakeoff.agents.run._flow import Node
    from bakeoff.agents.run._text import Template
    from bakeoff.agents.tools._tool import Tool
    from bakeoff.datasets import Item
    from bakeoff.evaluators import Evaluator, Guard
    from bakeoff.gateway import ModelClient
    from bakeoff.prompts import Prompt
    from bakeoff.targets import ModelSpec, Target

__all__ = ["KNOWN_NAMES", "Accept", "Agent", "Sim", "Step", "Tier"]

KNOWN_NAMES = frozenset({"inputs", "state", "passages", "memory", "turn", "feedback", "history", "message"})
"""Names that every template of an agent may use, beside inputs, steps and `world`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accept:
    """When the answer of a tier is good enough."""

    spec: AcceptSpec
    evaluator: Evaluator | None = None
    model: ModelSpec | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """One tier of a cascade."""

    model: ModelSpec
    pattern: Pattern
    options: Mapping[str, Any]
    params: Mapping[str, Any]
    accept: Accept | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sim:
    """What simulated models may know."""

    expected: Template | None = None
    helps: Sequence[tuple[Template, float]] = ()
    tool_calls: Sequence[Sequence[Mapping[str, Any]]] = ()
    knobs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step, ready to run."""

    name: str
    spec: StepSpec
    is_last: bool
    """Whether its value is the output of the agent: then simulated models know the item's right answer."""
    models: Sequence[ModelSpec] = ()
    """The model, then its fallbacks."""
    tiers: Sequence[Tier] = ()
    route: Sequence[tuple[Template | None, ModelSpec]] = ()
    router: Router | None = None
    routed: Mapping[str, ModelSpec] = field(default_factory=dict)
    """Models of the router, by the name that it uses."""
    system: Template | None = None
    prompt: Prompt | None = None
    pattern: Pattern
    options: Mapping[str, Any]
    tools: Sequence[Tool] = ()
    function: Callable[..., Any] | None = None
    checks: Sequence[Evaluator] = ()
    query: Template | None = None
    ask: Template | None = None
    agrees: Template | None = None
    sim: Sim = field(default_factory=Sim)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """An agent, ready to run."""

    name: str
    spec: AgentSpec
    steps: Mapping[str, Step]
    flow: Sequence[Node]
    answer: Template | None
    """`None` when the output is the value of the last step that ran."""
    answer_step: str | None
    models: Sequence[ModelSpec]
    """Every model that may be called."""
    templates: Sequence[tuple[str, Template | Prompt]]
    """Every template with the key that it stands at."""
    guards: Sequence[Guard] = ()
    retriever: Retriever | None = None
    tools: Mapping[str, Tool] = field(default_factory=dict)
    helpers: Mapping[str, ModelSpec] = field(default_factory=dict)
    """Models of retrieval, memory, context and the simulated user, by key."""

    def check(self, available: Collection[str]) -> list[tuple[str, str]]:
        """Return (key, problem) for each template that asks for a name that will not be there.

        Args:
            available: Names of the data set's inputs.
        """
        from bakeoff.prompts import Prompt

        known = {*available, *KNOWN_NAMES, *self.steps, *self.spec.world}
        found: list[tuple[str, str]] = []
        for key, template in self.templates:
            needed = template.variables - template.optional if isinstance(template, Prompt) else template.variables
            unknown = needed - known - ({"item"} if ".sim." in f".{key}." else set())
            found += [(key, f"undefined variable {name!r}") for name in sorted(unknown)]
        if self.spec.steps:
            clashes = sorted(set(self.steps) & set(available))
            at = self.templates[0][0].split(".agent")[0] if self.templates else f"targets.{self.name}"
            found += [
                (f"{at}.agent.steps.{name}", f"{name!r} is a step and an input; rename the step") for name in clashes
            ]
        return found

    def forecast(self, item: Item) -> list[tuple[ModelSpec, float, float]]:
        """Return (model, calls, input tokens of them all) that one item is expected to take."""
        from bakeoff.agents.run._forecast import forecast_agent

        return forecast_agent(self, item)

    def forecast_embeddings(self, item: Item) -> list[tuple[ModelSpec, float, float]]:
        """Return (model, calls, tokens of them all) that embedding an item's queries is expected to take."""
        from bakeoff.agents.run._forecast import forecast_embeddings

        return forecast_embeddings(self, item)

    def corpus_embedding(self) -> tuple[object, ModelSpec, Sequence[str]] | None:
        """Return what a model embeds once for a run, and what tells it from that of another agent."""
        source = self.retriever.vectors if self.retriever is not None else None
        return None if source is None or source.embedding is None else (source, source.embedding, source.texts)

    def open(self, client: ModelClient, *, variant: str, choices: Sequence[str] = ()) -> Target:
        """Return the running target.

        Args:
            client: The gateway.
            variant: Name of the variant, for budgets.
            choices: Right answers that occur, for simulated models to be plausibly wrong with.
        """
        from bakeoff.agents.run._target import AgentTarget

        return AgentTarget(self, client, variant=variant, choices=choices)
