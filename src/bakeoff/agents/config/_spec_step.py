"""A step: model and tiers, pattern, output, checks."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    PositiveInt,
    model_validator,
)

from bakeoff.agents.config._spec_base import ModelRef, Section, Share, Short

__all__ = [
    "AcceptSpec",
    "ApproveSpec",
    "OutputSpec",
    "PatternSpec",
    "RetrieveSpec",
    "RouteSpec",
    "SimHelp",
    "SimSpec",
    "StepFields",
    "StepSpec",
    "TierSpec",
]


class PatternSpec(Short):
    """A reasoning pattern with its options. A plain string is short for `{name: ...}`."""

    name: str
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"name": value}
        if isinstance(value, dict) and "options" not in value:
            return {"name": value.get("name"), "options": {key: v for key, v in value.items() if key != "name"}}
        return value


class AcceptSpec(Section):
    """When the answer of a tier is good enough to stop there."""

    by: Literal["consistency", "logprob", "stated", "validator", "judge"]
    """Agreement of several samples; geometric mean probability of the tokens; the confidence that the model states
    itself; an evaluator; a model that judges."""
    threshold: Share = 0.7
    samples: Annotated[int, Field(ge=2, le=20)] = 3
    """For `consistency`."""
    evaluator: str | dict[str, Any] | None = None
    """For `validator`: any evaluator that needs no reference answer."""
    model: ModelRef | None = None
    """For `judge`."""

    @model_validator(mode="after")
    def _complete(self) -> AcceptSpec:
        if self.by == "validator" and self.evaluator is None:
            raise ValueError("`by: validator` needs an `evaluator`")
        if self.by == "judge" and self.model is None:
            raise ValueError("`by: judge` needs a `model`")
        return self


class TierSpec(Section):
    """One tier of a cascade: a model, and when its answer is accepted. The last tier always is."""

    model: ModelRef
    pattern: PatternSpec | None = None
    params: dict[str, Any] = Field(default_factory=dict)
    accept: AcceptSpec | None = None


class RouteSpec(Section):
    """One rule of a router: the first whose condition holds chooses the model."""

    model: ModelRef
    when: str | None = None
    """Condition in the language of templates, for instance `question | length > 200`; always, when omitted."""


class OutputSpec(Short):
    """What a step leaves in the state. A plain string is short for `{type: ...}`."""

    type: Literal["text", "label", "number", "boolean", "json", "list"] = "text"
    labels: list[str] | None = None
    """For `label`: the allowed ones."""
    json_schema: dict[str, Any] | None = None
    """For `json`: a JSON Schema that it must satisfy."""

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"type": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _labels(self) -> OutputSpec:
        if (self.type == "label") != bool(self.labels):
            raise ValueError("`labels` goes with `type: label`, and is needed there")
        return self


class SimHelp(Section):
    """A truth of the simulated world: where the condition holds, the step is easier by so much."""

    when: str
    logit: Annotated[float, Field(ge=-4, le=4)]
    """Change of the logit of a right answer; negative makes it harder."""


class SimSpec(Section):
    """What simulated models may know in this step. Never sent to a real model."""

    expected: str | None = None
    """Template of the right answer; the item's expected answer in the last step when omitted."""
    helps: list[SimHelp] = Field(default_factory=list)
    tool_calls: list[list[dict[str, Any]]] = Field(default_factory=list)
    """Scripted tool calls by turn, `{name, arguments}`; texts in the arguments are templates."""
    knobs: dict[str, Any] = Field(default_factory=dict)
    """Knobs of the simulated model in this step."""


class RetrieveSpec(Section):
    """Search the corpus of the agent. `true` searches with all inputs."""

    query: str | None = None
    """Template of the query; the inputs as text when omitted."""
    top_k: PositiveInt | None = None


class ApproveSpec(Section):
    """A point at which a person decides. In an experiment the person is played by a rule."""

    ask: str
    """Template of the question, kept in the trace."""
    policy: Literal["always", "never", "when"] = "always"
    when: str | None = None
    """For `policy: when`: the condition under which the person agrees."""

    @model_validator(mode="after")
    def _complete(self) -> ApproveSpec:
        if self.policy == "when" and self.when is None:
            raise ValueError("`policy: when` needs `when`, the condition under which the person agrees")
        if self.when is not None and "policy" not in self.model_fields_set:
            raise ValueError("`when` has no effect without `policy: when`: the person would always agree")
        return self


class StepFields(Section):
    """What a step and a whole agent have in common."""

    model: ModelRef | None = None
    fallback: list[ModelRef] = Field(default_factory=list)
    """Models asked, in order, when the one before fails."""
    tiers: list[TierSpec] = Field(default_factory=list, max_length=4)
    route: list[RouteSpec] = Field(default_factory=list)
    router: str | None = None
    """File of a router that was fitted on past runs (`bakeoff.agents.fit_router`); it names models of this file."""
    system: str | None = None
    """The role, as a template."""
    prompt: str | None = None
    """Name of a prompt of the file, or a template over inputs, state, `passages` and `memory`."""
    pattern: PatternSpec = PatternSpec(name="zero_shot")
    examples: list[dict[str, str]] = Field(default_factory=list)
    """Worked examples for few-shot prompting: `{input, output}`."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Parameters of the model calls, over those of the model."""
    retrieve: bool | RetrieveSpec = False
    tool: str | None = None
    """Call this tool, without a model."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """Arguments of `tool`; texts are templates."""
    python: str | None = None
    """`module:function` or `file.py:function`, called with the inputs and the state by name."""
    check: list[str | dict[str, Any]] = Field(default_factory=list)
    """Evaluators for the value of the step named by `of`; gives `{ok, problems}`."""
    of: str | None = None
    approve: ApproveSpec | None = None
    output: OutputSpec = OutputSpec()
    retries: Annotated[int, Field(ge=0, le=5)] = 1
    """How often to ask again when the answer has not the form of `output`."""
    sim: SimSpec = SimSpec()

    @property
    def kind(self) -> Literal["model", "retrieve", "tool", "python", "check", "approve"]:
        """What the step does."""
        if self.tool is not None:
            return "tool"
        if self.python is not None:
            return "python"
        if self.check:
            return "check"
        if self.approve is not None:
            return "approve"
        if self.retrieve and self.prompt is None and self.pattern.name == "zero_shot":
            return "retrieve"
        return "model"

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = [
            name
            for name, given in (
                ("prompt", self.prompt is not None),
                ("tool", self.tool is not None),
                ("python", self.python is not None),
                ("check", bool(self.check)),
                ("approve", self.approve is not None),
            )
            if given
        ]
        if len(kinds) > 1:
            raise ValueError(f"does more than one thing: {' and '.join(kinds)}; make a step of each")
        ways = [name for name in ("tiers", "route", "router") if getattr(self, name)]
        if len(ways) > 1:
            raise ValueError(f"has both {' and '.join(f'`{name}`' for name in ways)}; keep one of them")
        if bool(self.check) != (self.of is not None):
            raise ValueError("`check` needs `of`, the step whose value is checked, and the other way round")
        return self


class StepSpec(StepFields):
    """One step: a model call by a pattern, or `retrieve`, `tool`, `python`, `check` or `approve` alone."""

    tools: list[str] | None = None
    """Tools of the agent that this step may call; all in an agent without steps, none otherwise."""
