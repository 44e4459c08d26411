"""What an agent remembers, what it drops, and the turns that make it do so."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from bakeoff.agents.config._spec_base import ModelRef, Section, Share, Short

__all__ = ["ContextSpec", "ConversationSpec", "MemorySpec"]


class MemorySpec(Short):
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
    min_importance: Share = 0.0

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"policy": value} if isinstance(value, str) else value


class ContextSpec(Short):
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


class ConversationSpec(Section):
    """Several turns for one item: scripted in the data, or spoken by a simulated user."""

    turns: str = "turns"
    """Input that holds the user's messages, in order."""
    user: ModelRef | None = None
    """Model that plays the user, from the inputs `persona` and `goal`; scripted turns come first."""
    max_turns: Annotated[int, Field(ge=1, le=200)] = 10
    output: Literal["last", "all"] = "last"
    """What is judged: the last reply, or the list of replies."""
