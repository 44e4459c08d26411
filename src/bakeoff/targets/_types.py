"""What a target gives back for one item."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from bakeoff.gateway import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from bakeoff.datasets import Item
    from bakeoff.gateway import ModelClient
    from bakeoff.prompts import Prompt
    from bakeoff.targets._spec import ModelSpec

__all__ = ["AgentResolver", "ResolvedAgent", "Target", "TargetResult"]


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
    guards: Sequence[Mapping[str, str]] = ()
    """What guards did, in order: `{"guard", "side", "action", "reason"}`."""
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


class ResolvedAgent(Protocol):
    """An agent, checked and ready to run; made in the room above."""

    @property
    def models(self) -> Sequence[ModelSpec]:
        """Every model that may be called, the main one first."""
        ...

    def check(self, available: Collection[str]) -> list[tuple[str, str]]:
        """Return (key, problem) for each template that asks for a name that is not available."""
        ...

    def forecast(self, item: Item) -> Sequence[tuple[ModelSpec, float, float]]:
        """Return (model, calls, input tokens of them all) that one item is expected to take."""
        ...

    def forecast_embeddings(self, item: Item) -> Sequence[tuple[ModelSpec, float, float]]:
        """Return (model, calls, tokens of them all) that embedding an item's queries is expected to take."""
        ...

    def corpus_embedding(self) -> tuple[object, ModelSpec, Sequence[str]] | None:
        """Return (what is shared, model, texts) of a corpus that is embedded once for a run."""
        ...

    def open(self, client: ModelClient, *, variant: str, choices: Sequence[str] = ()) -> Target:
        """Return the running target."""
        ...


class AgentResolver(Protocol):
    """Turns an `agent` section into an agent; handed in from above, so that this room knows no agents."""

    def __call__(
        self,
        section: Mapping[str, Any],
        *,
        name: str,
        overrides: Mapping[str, Any] | None = None,
        prompts: Mapping[str, Prompt] | None = None,
        models: Mapping[str, ModelSpec] | None = None,
        base_dir: Path | None = None,
        callables: Mapping[str, Callable[..., Any]] | None = None,
    ) -> ResolvedAgent:
        """Check the section and find everything that it names.

        Raises:
            SpecError: With every problem.
        """
        ...
