"""What a target gives back for one item."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from bakeoff.gateway import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bakeoff.datasets import Item

__all__ = ["Target", "TargetResult"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetResult:
    """Output of one trial with what it took. A failed trial is an exception, never an empty output."""

    output: Any
    """Plain JSON data; a string for chat models."""
    usage: Usage = field(default_factory=Usage)
    cost_usd: float | None = None
    latency_ms: float | None = None
    ttft_ms: float | None = None
    attempts: int = 1
    route: str | None = None
    cached: bool = False
    model: str | None = None
    finish_reason: str | None = None
    tool_calls: Sequence[Mapping[str, Any]] = ()
    messages: Sequence[Mapping[str, Any]] = ()
    """The rendered prompt, where there was one."""
    trace: Sequence[Mapping[str, Any]] = ()
    """Spans: `{"name", "kind", "start_ms", "end_ms", "input", "output", ...}`."""
    fallback_from: str | None = None
    fingerprint: str | None = None
    logprobs: Sequence[Mapping[str, Any]] | None = None


class Target(Protocol):
    """The thing under test."""

    async def run(self, item: Item, *, repeat: int) -> TargetResult:
        """Produce the output for one item.

        Raises:
            TargetError: The trial failed; recorded with its kind and reason.
        """
        ...
