"""The `agent` section of a target, as pydantic models; the sections in it are in the modules beside."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    PositiveFloat,
    PositiveInt,
)

from bakeoff.agents.config._spec_base import ModelRef, Section
from bakeoff.agents.config._spec_flow import BranchSpec, FlowNode, HandoffSpec, LoopSpec, ParallelSpec
from bakeoff.agents.config._spec_memory import ContextSpec, ConversationSpec, MemorySpec
from bakeoff.agents.config._spec_retrieval import ChunkSpec, RetrievalSpec, StoreSpec
from bakeoff.agents.config._spec_step import (
    AcceptSpec,
    ApproveSpec,
    OutputSpec,
    PatternSpec,
    RetrieveSpec,
    RouteSpec,
    SimHelp,
    SimSpec,
    StepFields,
    StepSpec,
    TierSpec,
)
from bakeoff.agents.config._spec_tool import ToolSpec
from bakeoff.evaluators import GuardSpec

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
    "ModelRef",
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


class AgentLimits(Section):
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


class AgentSpec(StepFields):
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
