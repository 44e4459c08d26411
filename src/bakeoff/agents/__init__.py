"""Agents as things to compare: models and tiers, reasoning patterns, tools, retrieval, memory, workflows, guards."""

from bakeoff.agents.config._agent import Agent
from bakeoff.agents.config._resolve import resolve_agent
from bakeoff.agents.config._spec import AgentSpec
from bakeoff.agents.memory._store import LEVELS, Memory, MemoryStore, Scope, anonymise
from bakeoff.agents.models._regret import ChoiceRegret, choice_regret
from bakeoff.agents.models._router import Router, RouterReport, fit_router, load_router
from bakeoff.agents.models._tier_table import TierRow, tier_table
from bakeoff.agents.reasoning._library import Pattern, find_pattern, patterns
from bakeoff.agents.reasoning._recommend import (
    PastResult,
    PatternScore,
    Recommendation,
    TaskProfile,
    profile_task,
    recommend_patterns,
)
from bakeoff.agents.retrieval._search import Bm25, Retriever, open_retriever
from bakeoff.agents.run._target import AgentTarget
from bakeoff.agents.tools._tool import FunctionTool, Tool, ToolContext, ToolOutcome, call_tool
from bakeoff.agents.traces._bridges import from_langgraph, from_pydantic_ai
from bakeoff.agents.traces._otel import export_trace, traced
from bakeoff.agents.traces._spans import TrialSpan, trial_spans

__all__ = [
    "LEVELS",
    "Agent",
    "AgentSpec",
    "AgentTarget",
    "Bm25",
    "ChoiceRegret",
    "FunctionTool",
    "Memory",
    "MemoryStore",
    "PastResult",
    "Pattern",
    "PatternScore",
    "Recommendation",
    "Retriever",
    "Router",
    "RouterReport",
    "Scope",
    "TaskProfile",
    "TierRow",
    "Tool",
    "ToolContext",
    "ToolOutcome",
    "TrialSpan",
    "anonymise",
    "call_tool",
    "choice_regret",
    "export_trace",
    "find_pattern",
    "fit_router",
    "from_langgraph",
    "from_pydantic_ai",
    "load_router",
    "open_retriever",
    "patterns",
    "profile_task",
    "recommend_patterns",
    "resolve_agent",
    "tier_table",
    "traced",
    "trial_spans",
]
