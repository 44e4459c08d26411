"""Shared ground of the built-in evaluators: common options, and what becomes of a finding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import AliasChoices, Field, PositiveFloat, model_validator
from typing_extensions import override

from bakeoff.evaluators._protocol import (
    CannotScoreError,
    EvaluateResult,
    Evaluator,
    EvaluatorContext,
    MetricInfo,
    Score,
    ScoreKind,
    ScoreValue,
)
from bakeoff.evaluators._text import as_text, at_path, find_json

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Check", "Finding", "Graded", "OutputCheck", "ReferenceCheck"]

_NOTHING: Mapping[str, Any] = {}
_ROUNDING = 1e-9


class Finding(NamedTuple):
    """What an evaluator found, before `negate` and `threshold`."""

    value: ScoreValue | Mapping[str, ScoreValue]
    reason: str | None = None
    details: Mapping[str, Any] = _NOTHING
    cost_usd: float | None = None


class Graded(Evaluator):
    """An evaluator whose finding can be negated, or turned into pass/fail by a threshold."""

    negate: bool = Field(default=False, validation_alias=AliasChoices("negate", "not"))
    """Turn the finding round: pass becomes fail, 0.2 becomes 0.8. `not` is another name for it."""
    threshold: float | None = Field(default=None, allow_inf_nan=False)
    """Turn a number into pass/fail: at least this much, or at most where lower is better."""
    weight: PositiveFloat = Field(default=1.0, allow_inf_nan=False)
    """Weight inside `weighted`."""

    @property
    def raw_kind(self) -> ScoreKind:
        """Kind of the finding before `threshold`."""
        return self.score_kind

    @property
    def better(self) -> bool | None:
        """Whether more of the finding is better, less is (`False`), or neither."""
        return self.higher_is_better

    @property
    def parts(self) -> tuple[str, ...]:
        """Keys of the finding where it is a mapping: one metric each."""
        return ()

    @property
    @override
    def metrics(self) -> tuple[MetricInfo, ...]:
        """The metrics that this configuration gives."""
        passes = self.threshold is not None
        kind = "binary" if passes else self.raw_kind
        better = True if kind == "binary" else self.better
        names = [f"{self.metric}.{part}" for part in self.parts] or [self.metric]
        unit = "" if kind in ("binary", "bounded") else self.unit
        return tuple(MetricInfo(name=name, score_kind=kind, higher_is_better=better, unit=unit) for name in names)

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        kind = self.raw_kind
        if self.threshold is not None and (kind not in ("bounded", "continuous") or self.better is None):
            what = {"binary": "is pass/fail already", "label": "gives a word"}.get(kind, "has no better direction")
            raise ValueError(f"`threshold` needs a number for which more or less is better, but {self.kind} {what}")
        if self.threshold is not None and kind == "bounded" and not 0 <= self.threshold <= 1:
            raise ValueError(f"`threshold` is {self.threshold!r}, but the value of {self.kind} lies between 0 and 1")
        if self.negate and self.threshold is None and kind in ("continuous", "label"):
            raise ValueError(f"`negate` turns pass/fail round, but {self.kind} gives {kind} values; add `threshold`")
        if self.parts and (self.negate or self.threshold is not None):
            raise ValueError(f"`negate` and `threshold` need a single value, but this gives {', '.join(self.parts)}")
        return self

    def conclude(self, finding: Finding) -> Score | dict[str, Score]:
        """Apply `negate` and `threshold` and name the score."""
        value = finding.value
        if isinstance(value, Mapping):
            return {
                key: self._named(f"{self.metric}.{key}", part, finding.reason, finding) for key, part in value.items()
            }
        reason = finding.reason
        if type(value) is float and self.score_kind == "bounded":
            value = _clip(value)
        if self.threshold is not None:
            value, reason = self._passes(value, reason)
        if self.negate:
            value = (not value) if isinstance(value, bool) else 1 - value  # type: ignore[operator] # never a label
        return self._named(self.name or self.kind, value, reason, finding)

    def _passes(self, value: ScoreValue, reason: str | None) -> tuple[bool, str]:
        if isinstance(value, str) or self.threshold is None:
            raise CannotScoreError(f"{self.kind} gave {value!r}, which has no threshold")
        up = self.better
        passed = value >= self.threshold if up else value <= self.threshold
        found = f"{value:.6g} {'>=' if up else '<='} {self.threshold:.6g} is {str(passed).lower()}"
        return passed, f"{found}; {reason}" if reason else found

    def _named(self, name: str, value: ScoreValue, reason: str | None, finding: Finding) -> Score:
        return Score(
            name=name,
            value=value,
            reason=reason,
            evaluator=self.kind,
            version=self.stamp,
            cost_usd=finding.cost_usd,
            details=finding.details,
        )


def _clip(value: float) -> float:
    """Undo rounding errors just outside [0, 1]; anything further out is left for the runner to refuse."""
    if -_ROUNDING < value < 0:
        return 0.0
    return 1.0 if 1 < value < 1 + _ROUNDING else value


class Check(Graded):
    """A deterministic evaluator: one synchronous `measure`."""

    def measure(self, context: EvaluatorContext) -> Finding:
        """Look at one trial. Raise `CannotScoreError` when there is nothing to judge."""
        raise NotImplementedError(f"{type(self).__name__}.measure")

    @override
    def evaluate(self, context: EvaluatorContext) -> EvaluateResult:
        """Judge one trial."""
        return self.conclude(self.measure(context))


class OutputCheck(Check):
    """A check that looks at the output."""

    output_path: str | None = Field(default=None, min_length=1)
    """Dotted path into the output when it is JSON: `answer.value`, `items.0`."""

    def output(self, context: EvaluatorContext) -> Any:
        """Give the judged part of the output."""
        if self.output_path is None:
            return context.output
        value = context.output
        if isinstance(value, str):
            try:
                value = find_json(value)
            except ValueError as error:
                raise CannotScoreError(f"`output_path` needs a JSON output: {error}") from None
        return at_path(value, self.output_path, "the output")

    def text(self, context: EvaluatorContext) -> str:
        """Give the judged part of the output as text."""
        return as_text(self.output(context))


class ReferenceCheck(OutputCheck):
    """A check that compares the output with what was expected."""

    expected: Any = None
    """What to expect on every item, instead of the item's own `expected`."""
    expected_path: str | None = Field(default=None, min_length=1)
    """Dotted path into the item's `expected`."""

    @property
    @override
    def reads(self) -> tuple[str, ...]:
        """The expected value, unless the spec gives it."""
        if self.expected is not None:
            return ()
        return ("expected" if self.expected_path is None else f"expected.{self.expected_path}",)

    def reference(self, context: EvaluatorContext) -> Any:
        """Give what was expected.

        Raises:
            CannotScoreError: The item has no expected value.
        """
        value = self.expected if self.expected is not None else context.expected
        if value is None:
            raise CannotScoreError("the item has no `expected` value; map one in the data set, or set `expected` here")
        return value if self.expected_path is None else at_path(value, self.expected_path, "`expected`")

    def references(self, context: EvaluatorContext) -> list[str]:
        """Give every acceptable answer as text; a list means that each entry is one."""
        value = self.reference(context)
        if not isinstance(value, list):
            return [as_text(value)]
        if not value:
            raise CannotScoreError("`expected` is an empty list: no answer would be right")
        return [as_text(entry) for entry in value]
