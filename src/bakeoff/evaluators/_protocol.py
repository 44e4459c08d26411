"""What an evaluator is: a frozen, versioned, serialisable spec with one `evaluate`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from bakeoff.errors import EvaluatorError
from bakeoff.gateway import ModelClient, Usage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

__all__ = [
    "CannotScoreError",
    "EvaluateResult",
    "Evaluator",
    "EvaluatorContext",
    "Family",
    "MetricInfo",
    "Score",
    "ScoreKind",
    "ScoreValue",
]

ScoreKind = Literal["binary", "bounded", "continuous", "label"]
"""Pass/fail; a number in [0, 1]; any number; a word."""

ScoreValue = bool | int | float | str

Family = Literal[
    "check", "text", "judge", "pairwise", "retrieval", "agent", "code", "safety", "combine", "adapter", "custom"
]
"""Shelf of the catalogue on which an evaluator stands."""


class CannotScoreError(EvaluatorError):
    """This one trial cannot be scored; the message says why and becomes the `error` of a missing score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricInfo:
    """What is known about a metric before the first trial ran."""

    name: str
    score_kind: ScoreKind | None
    """`None` when only the values will tell (a Python function)."""
    higher_is_better: bool | None = True
    unit: str = ""


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
    no_messages: str = ""
    """Why there are none, where a sealed run is scored again and they were not kept."""
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


EvaluateResult = ScoreValue | Score | Mapping[str, "ScoreValue | Score | None"] | None
"""What `evaluate` may return: a bare value, a `Score` with a reason, `None` for "could not score", or a
mapping of those, which becomes one metric `name.key` for each key."""


class Evaluator(BaseModel):
    """Base of every evaluator: fields are its configuration, `evaluate` is its one job.

    Subclass, set `kind`, `version` and `score_kind`, and register it. The configuration is stored with
    every result, so an old score can always be explained.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, populate_by_name=True)

    kind: ClassVar[str] = ""
    """Name in the registry and in spec files, for instance `exact_match`."""
    version: ClassVar[str] = "1"
    """Bumped whenever the same input may give another value."""
    score_kind: ClassVar[ScoreKind] = "binary"
    higher_is_better: ClassVar[bool | None] = True
    """`False` for cost and latency, `None` where neither direction is better."""
    unit: ClassVar[str] = ""
    """Unit of the value, for axis titles: `USD`, `ms`, `tokens`; empty for scores."""
    family: ClassVar[Family] = "custom"
    needs_model: ClassVar[bool] = False
    """Whether judging calls a model, and so costs money."""
    shorthand: ClassVar[str | None] = None
    """Option that takes a value given without its name: `regex: "^yes"` is `regex: {pattern: "^yes"}`."""

    name: str | None = Field(default=None, min_length=1, max_length=200)
    """Name of the metric; the kind when omitted."""

    @property
    def metric(self) -> str:
        """Name under which the score is stored."""
        return self.name or self.kind

    @property
    def metrics(self) -> tuple[MetricInfo, ...]:
        """The metrics that this configuration gives, as far as they are known beforehand."""
        return (
            MetricInfo(
                name=self.metric,
                score_kind=self.score_kind,
                higher_is_better=self.higher_is_better,
                unit=self.unit,
            ),
        )

    @cached_property
    def kind_by_metric(self) -> Mapping[str, ScoreKind | None]:
        """Kind of value of each metric, by name."""
        return {info.name: info.score_kind for info in self.metrics}

    @property
    def stamp(self) -> str:
        """Version stored with each score; more than `version` where behaviour also depends on other code."""
        return self.version

    @property
    def limit_s(self) -> float | None:
        """Seconds after which an asynchronous evaluation is given up; `None` for the runner's own limit."""
        return None

    @property
    def reads(self) -> tuple[str, ...]:
        """Dotted places of the item without which there is no score: `expected`, `metadata.tests`.

        Looked up before a run: a metric that no item can be scored on is a mistake that costs money.
        """
        return ()

    def unavailable(self) -> str | None:
        """Say what this machine lacks for scoring anything at all, with the way out; `None` when nothing.

        Asked before a run, so that nobody pays for answers that cannot be judged here.
        """
        return None

    def spec(self) -> dict[str, Any]:
        """Describe this evaluator as it would stand in a spec file: the kind and the options that were set.

        Examples:
            >>> from bakeoff.evaluators import load_evaluator
            >>> load_evaluator({"numeric": {"tolerance": 0.5}}).spec()
            {'numeric': {'tolerance': 0.5}}
        """
        return {self.kind: self.model_dump(mode="json", exclude_defaults=True)}

    def evaluate(self, context: EvaluatorContext) -> EvaluateResult | Awaitable[EvaluateResult]:
        """Judge one trial. Raise to say "could not score": the runner records it as a missing score."""
        raise NotImplementedError(f"{type(self).__name__}.evaluate")
