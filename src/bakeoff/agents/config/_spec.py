"""The `agent` section of a target, as pydantic models: models and tiers, patterns, tools, memory, flow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Tag,
    model_validator,
)
from typing_extensions import override

from bakeoff.evaluators import GuardSpec
from bakeoff.targets import ModelSpec

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

__all__ = [
    "AcceptSpec",
    "AgentLimits",
    "AgentSpec",
    "ApproveSpec",
    "BranchSpec",
    "ChunkSpec",
    "ContextSpec",
    "ConversationSpec",
    "FlowNode",
    "HandoffSpec",
    "LoopSpec",
    "MemorySpec",
    "OutputSpec",
    "ParallelSpec",
    "PatternSpec",
    "RetrievalSpec",
    "RetrieveSpec",
    "RouteSpec",
    "SimHelp",
    "SimSpec",
    "StepSpec",
    "StoreSpec",
    "TierSpec",
    "ToolSpec",
]

_Share = Annotated[float, Field(ge=0, le=1)]
ModelRef = str | ModelSpec


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Short(_Section):
    """A section that may be written as one word."""

    @classmethod
    @override
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler.resolve_ref_schema(handler(core_schema))
        about = schema.pop("description", "")
        schema.pop("title", None)
        if "options" in schema.get("properties", {}):  # those of a pattern stand beside its name
            schema["additionalProperties"] = True
        return {"description": about, "anyOf": [{"type": "string"}, schema]}


class PatternSpec(_Short):
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


class AcceptSpec(_Section):
    """When the answer of a tier is good enough to stop there."""

    by: Literal["consistency", "logprob", "stated", "validator", "judge"]
    """Agreement of several samples; geometric mean probability of the tokens; the confidence that the model states
    itself; an evaluator; a model that judges."""
    threshold: _Share = 0.7
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


class TierSpec(_Section):
    """One tier of a cascade: a model, and when its answer is accepted. The last tier always is."""

    model: ModelRef
    pattern: PatternSpec | None = None
    params: dict[str, Any] = Field(default_factory=dict)
    accept: AcceptSpec | None = None


class RouteSpec(_Section):
    """One rule of a router: the first whose condition holds chooses the model."""

    model: ModelRef
    when: str | None = None
    """Condition in the language of templates, for instance `question | length > 200`; always, when omitted."""


class OutputSpec(_Short):
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


class SimHelp(_Section):
    """A truth of the simulated world: where the condition holds, the step is easier by so much."""

    when: str
    logit: Annotated[float, Field(ge=-4, le=4)]
    """Change of the logit of a right answer; negative makes it harder."""


class SimSpec(_Section):
    """What simulated models may know in this step. Never sent to a real model."""

    expected: str | None = None
    """Template of the right answer; the item's expected answer in the last step when omitted."""
    helps: list[SimHelp] = Field(default_factory=list)
    tool_calls: list[list[dict[str, Any]]] = Field(default_factory=list)
    """Scripted tool calls by turn, `{name, arguments}`; texts in the arguments are templates."""
    knobs: dict[str, Any] = Field(default_factory=dict)
    """Knobs of the simulated model in this step."""


class RetrieveSpec(_Section):
    """Search the corpus of the agent. `true` searches with all inputs."""

    query: str | None = None
    """Template of the query; the inputs as text when omitted."""
    top_k: PositiveInt | None = None


class ApproveSpec(_Section):
    """A point at which a person decides. In an experiment the person is played by a rule."""

    ask: str
    """Template of the question, kept in the trace."""
    policy: Literal["always", "never", "when"] = "always"
    when: str | None = None
    """For `policy: when`: the condition under which the person agrees."""


class _StepFields(_Section):
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


class StepSpec(_StepFields):
    """One step: a model call by a pattern, or `retrieve`, `tool`, `python`, `check` or `approve` alone."""

    tools: list[str] | None = None
    """Tools of the agent that this step may call; all in an agent without steps, none otherwise."""


class ParallelSpec(_Section):
    """Steps at the same time, each from the same state."""

    parallel: list[FlowNode] = Field(min_length=1)


class BranchSpec(_Section):
    """One of several ways, by the value of an expression."""

    branch: str
    """Expression in the language of templates, for instance `route` or `score > 3`."""
    cases: dict[str, list[FlowNode]]
    default: list[FlowNode] = Field(default_factory=list)

    @model_validator(mode="before")
    @classmethod
    def _words(cls, value: Any) -> Any:
        # YAML reads `yes:` and `true:` as booleans; as keys they mean the words.
        if isinstance(value, dict) and isinstance(value.get("cases"), dict):
            return {**value, "cases": {str(key): case for key, case in value["cases"].items()}}
        return value


class LoopSpec(_Section):
    """Steps again and again, until a condition holds or the limit is reached."""

    loop: list[FlowNode] = Field(min_length=1)
    until: str
    max: Annotated[int, Field(ge=1, le=100)] = 3


class HandoffSpec(_Section):
    """Leave the rest to another part of the flow: nothing after it runs."""

    handoff: list[FlowNode] = Field(min_length=1)
    when: str | None = None


def _node_kind(value: Any) -> str | None:
    if isinstance(value, str):
        return "<step>"
    keys = value if isinstance(value, dict) else type(value).model_fields if isinstance(value, BaseModel) else ()
    # In angle brackets, so that a tag is never taken for a key of the file.
    return next((f"<{kind}>" for kind in ("parallel", "branch", "loop", "handoff") if kind in keys), None)


FlowNode = Annotated[
    Annotated[str, Tag("<step>")]
    | Annotated[ParallelSpec, Tag("<parallel>")]
    | Annotated[BranchSpec, Tag("<branch>")]
    | Annotated[LoopSpec, Tag("<loop>")]
    | Annotated[HandoffSpec, Tag("<handoff>")],
    Discriminator(
        _node_kind,
        custom_error_type="flow_node",
        custom_error_message="must be the name of a step, or have `parallel`, `branch`, `loop` or `handoff`",
    ),
]
"""A step by name, or a node with steps in it."""
for _node in (ParallelSpec, BranchSpec, LoopSpec, HandoffSpec):
    _node.model_rebuild()


class ToolSpec(_Section):
    """A tool: exactly one of `python`, `retrieve`, `openapi` and `mcp`."""

    python: str | None = None
    """`module:function` or `file.py:function`; the schema comes from its type hints, the help from its docstring."""
    retrieve: bool = False
    """Search the agent's corpus."""
    openapi: str | None = None
    """Path of an OpenAPI 3 document; give `operation` as well."""
    operation: str | None = None
    """`operationId` in the document."""
    base_url: str | None = None
    """Address of the service, instead of the document's first server."""
    mcp: list[str] | str | None = None
    """Command of an MCP server (stdio), or its address (HTTP); needs the extra `mcp`."""
    name: str | None = None
    """Name of the tool at the MCP server; the key in the file when omitted."""
    description: str | None = None
    timeout_s: PositiveFloat = 20.0
    max_chars: PositiveInt = 20_000
    """Longer results are cut, and the model is told so."""
    record: str | None = None
    """Folder in which results are kept: the same call with the same arguments is made once, then replayed."""

    @model_validator(mode="after")
    def _one_kind(self) -> ToolSpec:
        kinds = [name for name in ("python", "retrieve", "openapi", "mcp") if getattr(self, name)]
        if len(kinds) != 1:
            raise ValueError(f"needs exactly one of python, retrieve, openapi, mcp; got {', '.join(kinds) or 'none'}")
        if (self.openapi is None) != (self.operation is None):
            raise ValueError("`openapi` and `operation` go together")
        return self


class ChunkSpec(_Short):
    """How documents are cut. A plain string is short for `{by: ...}`."""

    by: Literal["whole", "fixed", "sentence", "heading", "code", "syntax"] = "whole"
    """`code` needs nothing: Python by its own parser, other languages by lines that begin a definition; `syntax` cuts
    Python, JavaScript and TypeScript by tree-sitter, into classes, functions and methods."""
    size: Annotated[int, Field(ge=5, le=100_000)] = 60
    """Most words of a piece."""
    overlap: NonNegativeInt = 0
    """Words repeated from the piece before (`fixed`), or sentences (`sentence`)."""

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"by": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _moves_on(self) -> ChunkSpec:
        if self.overlap >= self.size:
            raise ValueError("`overlap` must be smaller than `size`")
        return self


class StoreSpec(_Short):
    """Where vectors lie. A plain string is short for `{by: ...}`."""

    by: Literal["exact", "qdrant", "chroma", "pgvector"] = "exact"
    """An array in memory, searched exactly; or a vector store, which needs its library."""
    path: str | None = None
    """Folder of a local Qdrant or Chroma; in memory when omitted."""
    url: str | None = None
    """Address of a Qdrant server instead."""
    key_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    """Environment variable with the key of a Qdrant server, or with the connection string of PostgreSQL
    (`DATABASE_URL` when omitted)."""

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"by": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _fits(self) -> StoreSpec:
        allowed = {"qdrant": {"path", "url", "key_env"}, "chroma": {"path"}, "pgvector": {"key_env"}}
        given = {name for name in ("path", "url", "key_env") if getattr(self, name) is not None}
        for name in sorted(given - allowed.get(self.by, set[str]())):
            raise ValueError(f"`{name}` has no meaning for {self.by}")
        if self.path is not None and self.url is not None:
            raise ValueError("has both `path` and `url`; keep one of them")
        return self


class RetrievalSpec(_Section):
    """A corpus and how it is searched."""

    corpus: str
    """`bundled:handbook-qa`, a .jsonl file with `id` and `text`, or a file or folder of Markdown, HTML, saved pages
    (MHTML), web archives (WARC), code, text, PDF or DOCX."""
    chunk: ChunkSpec = ChunkSpec()
    method: Literal["bm25", "vector", "hybrid"] = "bm25"
    top_k: PositiveInt = 3
    threshold: float | None = None
    """Passages with a lower score are left out; the scale is the method's."""
    embedding: ModelRef | None = None
    """Model that embeds passages and queries, through the gateway; hashed character n-grams, without a model, when
    omitted."""
    dimensions: Annotated[int, Field(ge=64, le=65_536)] = 4096
    """Of the hashed character n-grams; of a model's vectors, when given and the model can shorten them."""
    store: StoreSpec = StoreSpec()
    rrf_k: PositiveInt = 60
    """Constant of reciprocal rank fusion."""
    rewrite: ModelRef | None = None
    """Model that rewrites the question into a query first."""
    rerank: ModelRef | None = None
    """Model that puts four times `top_k` passages in order before the best are kept."""


class MemorySpec(_Short):
    """What the agent remembers from turn to turn. A plain string is short for `{policy: ...}`."""

    policy: Literal["none", "window", "summary", "retrieval", "hierarchical", "mem0"] = "none"
    window: PositiveInt = 6
    """Messages kept word for word."""
    top_k: PositiveInt = 4
    """Memories recalled in a turn."""
    model: ModelRef | None = None
    """Model that summarises, or extracts memories; the step's when omitted."""
    embedding: ModelRef | None = None
    """For `mem0`: model that embeds memories; hashed n-grams when omitted."""
    levels: list[Literal["chat", "task", "project", "user", "organisation", "industry", "platform"]] = Field(
        default_factory=lambda: ["chat", "user"]
    )
    """For `hierarchical`: the levels that are read and written."""
    episodic: PositiveInt = 100
    """Most events kept at a level for one owner."""
    semantic: PositiveInt = 200
    """Most facts kept at a level for one owner."""
    days: PositiveFloat = 30.0
    """Older memories are dropped."""
    min_importance: _Share = 0.0

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"policy": value} if isinstance(value, str) else value


class ContextSpec(_Short):
    """What happens when a conversation fills the window. A plain string is short for `{policy: ...}`."""

    policy: Literal["none", "truncate", "drop_middle", "summarise", "hierarchical", "handover"] = "none"
    window: PositiveInt = 128_000
    """Tokens that the model can read."""
    at: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of the window at which the policy acts."""
    model: ModelRef | None = None
    """Model that summarises; the step's when omitted."""

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"policy": value} if isinstance(value, str) else value


class ConversationSpec(_Section):
    """Several turns for one item: scripted in the data, or spoken by a simulated user."""

    turns: str = "turns"
    """Input that holds the user's messages, in order."""
    user: ModelRef | None = None
    """Model that plays the user, from the inputs `persona` and `goal`; scripted turns come first."""
    max_turns: Annotated[int, Field(ge=1, le=200)] = 10
    output: Literal["last", "all"] = "last"
    """What is judged: the last reply, or the list of replies."""


class AgentLimits(_Section):
    """When an agent is stopped."""

    max_iterations: Annotated[int, Field(ge=1, le=200)] = 8
    """Rounds of tool calls in one step."""
    max_repeats: Annotated[int, Field(ge=1, le=50)] = 2
    """How often the same call with the same arguments may be made in one step; one more is a loop."""
    max_steps: Annotated[int, Field(ge=1, le=10_000)] = 200
    timeout_s: PositiveFloat = 300.0
    on_limit: Literal["answer", "fail"] = "answer"
    """Keep what was said so far as the output, or make the trial a failed one."""
    trace_chars: PositiveInt = 2000
    """Longest text kept in a span."""


class AgentSpec(_StepFields):
    """An agent: one step, or a workflow of several.

    `model`, `fallback`, `system` and `params` are the defaults of every step; the rest of a step stands here only in
    an agent without `steps`.
    """

    tools: dict[str, ToolSpec] = Field(default_factory=dict)
    retrieval: RetrievalSpec | None = None
    memory: MemorySpec = MemorySpec()
    context: ContextSpec = ContextSpec()
    conversation: ConversationSpec | None = None
    guards: list[GuardSpec] = Field(default_factory=list)
    roles: dict[str, str] = Field(default_factory=dict)
    """Reusable system prompts; a step names one by `system: role:NAME`."""
    steps: dict[str, StepSpec] = Field(default_factory=dict)
    flow: list[FlowNode] = Field(default_factory=list)
    """Order of the steps; as they stand in `steps` when omitted."""
    answer: str | None = None
    """Step or template whose value is the output; the last step that ran when omitted."""
    limits: AgentLimits = AgentLimits()
    world: dict[str, Any] = Field(default_factory=dict)
    """Values that templates may use, for constants and factors of one's own."""
