"""Spans of one trial, and what its calls added up to."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from bakeoff.gateway import Usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bakeoff.gateway import Embeddings, ModelResponse

__all__ = ["Clock", "Recorder", "SpanKind", "add_usage"]

SpanKind = Literal["agent", "step", "model", "tool", "retrieval", "memory", "guard", "context", "handoff", "approval"]
"""Kind of a span."""


@dataclass(slots=True)
class Clock:
    """Time along one branch of a trial, in ms.

    A model call adds the latency of the attempt that answered, not the time on the wall: waiting for limits is left
    out, an answer from the cache counts with the time that it took when it was paid for, and a replayed run has the
    same timeline. Branches that run at the same time have a clock each; the later one goes on.
    """

    now_ms: float = 0.0

    def fork(self) -> Clock:
        """Return the clock of a branch that starts now."""
        return Clock(self.now_ms)

    def join(self, clocks: list[Clock]) -> None:
        """Go on when the last of the branches is done."""
        self.now_ms = max([self.now_ms, *(clock.now_ms for clock in clocks)])


def add_usage(one: Usage, other: Usage) -> Usage:
    """Return the sum of two usages; estimated where one of them is.

    Examples:
        >>> from bakeoff.gateway import Usage
        >>> add_usage(Usage(input_tokens=3), Usage(input_tokens=4, output_tokens=1)).input_tokens
        7
    """
    return Usage(
        input_tokens=one.input_tokens + other.input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        cached_tokens=one.cached_tokens + other.cached_tokens,
        reasoning_tokens=one.reasoning_tokens + other.reasoning_tokens,
        audio_tokens=one.audio_tokens + other.audio_tokens,
        estimated=one.estimated or other.estimated,
    )


@dataclass(slots=True)
class Recorder:
    """Collects the spans of a trial and sums up what its calls took."""

    max_chars: int = 2000
    spans: list[dict[str, Any]] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    cost_usd: float | None = 0.0
    """`None` once a call had no known price."""
    calls: int = 0
    attempts: int = 0
    cached_calls: int = 0
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    last: ModelResponse | None = None

    @contextmanager
    def span(
        self, name: str, kind: SpanKind, clock: Clock, *, parent: int | None = None, **attributes: Any
    ) -> Iterator[dict[str, Any]]:
        """Open a span; it ends with the block, and holds the error that left the block."""
        span: dict[str, Any] = {"id": len(self.spans), "name": name, "kind": kind, "start_ms": round(clock.now_ms, 3)}
        if parent is not None:
            span["parent"] = parent
        span.update((key, self.short(value)) for key, value in attributes.items() if value is not None)
        self.spans.append(span)
        began, at = time.perf_counter(), clock.now_ms
        try:
            yield span
        except Exception as error:
            span["error"] = self.short(f"{type(error).__name__}: {error}")
            raise
        finally:
            if clock.now_ms == at and kind in ("tool", "retrieval"):
                clock.now_ms += (time.perf_counter() - began) * 1000  # our own work takes the time that it took
            span["end_ms"] = round(clock.now_ms, 3)

    def add_call(self, response: ModelResponse, clock: Clock) -> None:
        """Count a model call."""
        self.calls += 1
        self.attempts += response.attempts
        self.cached_calls += response.cached
        self._add(response.usage, response.cost_usd)
        self.last = response
        clock.now_ms += response.latency_ms

    def add_embedding(self, made: Embeddings, clock: Clock) -> None:
        """Count what a query took to embed: the same whether it was paid for now or before."""
        self._add(made.paid_usage, made.paid_usd)
        clock.now_ms += made.latency_ms

    def _add(self, usage: Usage, cost_usd: float | None) -> None:
        self.usage = add_usage(self.usage, usage)
        known = self.cost_usd is not None and cost_usd is not None
        self.cost_usd = (self.cost_usd or 0.0) + (cost_usd or 0.0) if known else None

    def short(self, value: Any) -> Any:
        """Return a value as it is kept in a span: plain JSON data of bounded length."""
        if isinstance(value, str):
            return (
                value if len(value) <= self.max_chars else f"{value[: self.max_chars]}... [{len(value):,} characters]"
            )
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, dict):
            return {str(key): self.short(entry) for key, entry in list(value.items())[:100]}
        if isinstance(value, (list, tuple)):
            return [self.short(entry) for entry in value[:100]]
        return self.short(str(value))

    def totals(self) -> Mapping[str, Any]:
        """Return what a trial took, for its root span."""
        return {
            "tokens": [self.usage.input_tokens, self.usage.output_tokens],
            "cost": self.cost_usd,
            "calls": self.calls,
        }
