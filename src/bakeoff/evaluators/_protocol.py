"""What an evaluator is: a frozen, versioned, serialisable spec with one `evaluate`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from bakeoff.gateway import ModelClient, Usage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping, Sequence

__all__ = ["Evaluator", "EvaluatorContext", "Score", "ScoreKind", "ScoreValue", "EvaluateResult"]

ScoreKind = Literal["binary", "bounded", "continuous", "label"]
"""Pass/fail; a number in [0, 1]; any number; a word."""

ScoreValue = bool | int | float | str


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluatorContext:
    """Everything an evaluator may look at for one trial."""

    output: Any
    """What the target gave back: a string for chat models, else plain JSON data."""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    expected: Any = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    item_id: str = ""
    variant: str = ""
    repeat: int = 0
    usage: Usage = field(default_factory=Usage)
    cost_usd: float | None = None
    latency_ms: float | None = None
    ttft_ms: float | None = None
    finish_reason: str | None = None
    tool_calls: Sequence[Mapping[str, Any]] = ()
    messages: Sequence[Mapping[str, Any]] = ()
    trace: Sequence[Mapping[str, Any]] = ()
    logprobs: Sequence[Mapping[str, Any]] | None = None
    client: ModelClient | None = None
    """For judges: the same gateway, limits and budget as the trials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The value of one metric for one trial. `value=None` is missing, with the reason in `error`."""

    name: str
    """Name of the metric."""
    value: ScoreValue | None
    reason: str | None = None
    error: str | None = None
    """Why there is no value. Never set together with a value."""
    evaluator: str = ""
    version: str = ""
    cost_usd: float | None = None
    """What judging cost, for judges."""
    details: Mapping[str, Any] = field(default_factory=dict)


EvaluateResult = ScoreValue | Score | None
"""What `evaluate` may return: a bare value, a `Score` with a reason, or `None` for "could not score"."""


class Evaluator(BaseModel):
    """Base of every evaluator: fields are its configuration, `evaluate` is its one job.

    Subclass, set `kind`, `version` and `score_kind`, and register it. The configuration is stored with
    every result, so an old score can always be explained.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ClassVar[str] = ""
    """Name in the registry and in spec files, for instance `exact_match`."""
    version: ClassVar[str] = "1"
    """Bumped whenever the same input may give another value."""
    score_kind: ClassVar[ScoreKind] = "binary"
    higher_is_better: ClassVar[bool | None] = True
    """`False` for cost and latency, `None` where neither direction is better."""
    unit: ClassVar[str] = ""
    """Unit of the value, for axis titles: `USD`, `ms`, `tokens`; empty for scores."""

    name: str | None = None
    """Name of the metric; the kind when omitted."""

    @property
    def metric(self) -> str:
        """Name under which the score is stored."""
        return self.name or self.kind

    def evaluate(self, context: EvaluatorContext) -> EvaluateResult | Awaitable[EvaluateResult]:
        """Judge one trial. Raise to say "could not score": the runner records it as a missing score."""
        raise NotImplementedError(f"{type(self).__name__}.evaluate")
