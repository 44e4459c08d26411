"""Combine evaluators into one score."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, PositiveInt, ValidationInfo, field_serializer, field_validator, model_validator
from typing_extensions import override

from bakeoff.evaluators._base import Finding, Graded
from bakeoff.evaluators._parts import first_scores, first_scores_later, load_part
from bakeoff.evaluators._protocol import (
    CannotScoreError,
    EvaluateResult,
    Evaluator,
    EvaluatorContext,
    Family,
    Score,
    ScoreKind,
)
from bakeoff.evaluators._registry import evaluator
from bakeoff.evaluators._runner import begin_scoring

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping
    from typing import Self

__all__ = ["AllOf", "AnyOf", "AtLeast", "Weighted"]


class _Combination(Graded):
    """An evaluator made of others. A part without a value leaves the answer open only where it could change it."""

    family: ClassVar[Family] = "combine"
    shorthand: ClassVar[str | None] = "of"
    passes_only: ClassVar[bool] = True

    of: list[Any] = Field(min_length=1)
    """The parts, each written like any evaluator."""

    @field_validator("of", mode="after")
    @classmethod
    def _load(cls, value: list[Any], info: ValidationInfo) -> list[Any]:
        return [load_part(part, info) for part in value]

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        for part in self.of:
            kinds = set(part.kind_by_metric.values())
            if len(part.kind_by_metric) != 1:
                raise ValueError(f"`{part.metric}` gives several values; a part must give one")
            if self.passes_only and not kinds <= {"binary", None}:
                raise ValueError(f"`{part.metric}` gives a number or label; give it a `threshold` to make it pass/fail")
            if not self.passes_only and not kinds <= {"binary", "bounded", None}:
                raise ValueError(f"`{part.metric}` does not lie between 0 and 1; give it a `threshold`")
        return self

    @field_serializer("of")
    def _as_specs(self, value: list[Evaluator]) -> list[dict[str, Any]]:
        return [part.spec() for part in value]

    @property
    @override
    def stamp(self) -> str:
        """Own version and those of the parts."""
        return f"{self.version}({','.join(part.stamp for part in self.of)})"

    def combine(self, scores: list[Score]) -> Finding:
        """Make one finding of the scores of the parts."""
        raise NotImplementedError(f"{type(self).__name__}.combine")

    @override
    def evaluate(self, context: EvaluatorContext) -> EvaluateResult | Awaitable[EvaluateResult]:
        """Judge with every part, then combine; asynchronous only when a part is."""
        outcomes = [begin_scoring(part, context) for part in self.of]
        scores = first_scores(outcomes)
        return self._later(outcomes) if scores is None else self._together(scores)

    async def _later(self, outcomes: list[Any]) -> EvaluateResult:
        return self._together(await first_scores_later(outcomes))

    def _together(self, scores: list[Score]) -> EvaluateResult:
        finding = self.combine(scores)
        costs = [score.cost_usd for score in scores if score.cost_usd is not None]
        parts = {f"{index + 1}.{score.name}": score.value for index, score in enumerate(scores)}
        details: Mapping[str, Any] = {**finding.details, "parts": parts}
        asking = [score for score in scores if score.details.get("escalate")]
        if asking:  # a part that asks for a person is not silenced by those beside it
            because = "; ".join(f"{one.name}: {one.details.get('escalate_because') or one.reason}" for one in asking)
            sure = [one.details["confidence"] for one in asking if "confidence" in one.details]
            details = {**details, "escalate": True, "escalate_because": because}
            details |= {"confidence": min(sure)} if sure else {}
        return self.conclude(finding._replace(details=details, cost_usd=math.fsum(costs) if costs else None))


def _count(scores: list[Score]) -> tuple[int, list[str], list[str]]:
    """Count the passes; name the parts that failed and those without a value."""
    failed = [
        f"{score.name} failed" + (f" ({score.reason})" if score.reason else "")
        for score in scores
        if score.value is False
    ]
    missing = [f"{score.name}: {score.error}" for score in scores if score.value is None]
    for score in scores:
        if score.value is not None and not isinstance(score.value, bool):
            raise CannotScoreError(f"`{score.name}` gave {score.value!r} instead of pass or fail")
    return sum(score.value is True for score in scores), failed, missing


@evaluator("all")
class AllOf(_Combination):
    """Pass when every part passes.

    Value:
        Pass or fail. One failed part decides, even when another has no value.

    Missing when:
        No part failed, and one has no value.

    Source:
        Own; three-valued logic of Kleene.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> check = load_evaluator({"all": ["json_valid", {"contains": "city"}]})
        >>> check.evaluate(EvaluatorContext(output='{"town": 1}')).reason
        "contains failed (does not contain 'city')"
    """

    @override
    def combine(self, scores: list[Score]) -> Finding:
        """Look for a failed part."""
        _, failed, missing = _count(scores)
        if failed:
            return Finding(False, "; ".join(failed))
        if missing:
            raise CannotScoreError("; ".join(missing))
        return Finding(True)


@evaluator("any")
class AnyOf(_Combination):
    """Pass when at least one part passes.

    Value:
        Pass or fail. One passing part decides, even when another has no value.

    Missing when:
        No part passed, and one has no value.

    Source:
        Own; three-valued logic of Kleene.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> check = load_evaluator({"any": [{"contains": "yes"}, {"contains": "ja"}]})
        >>> check.evaluate(EvaluatorContext(output="ja!")).value
        True
    """

    @override
    def combine(self, scores: list[Score]) -> Finding:
        """Look for a passing part."""
        passed, failed, missing = _count(scores)
        if passed:
            return Finding(True)
        if missing:
            raise CannotScoreError("; ".join(missing))
        return Finding(False, "; ".join(failed))


@evaluator("at_least")
class AtLeast(_Combination):
    """Pass when at least k parts pass.

    Value:
        Pass or fail.

    Missing when:
        The parts without a value could still decide.

    Source:
        Own.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> check = load_evaluator({"at_least": {"k": 2, "of": [{"contains": one} for one in "abc"]}})
        >>> check.evaluate(EvaluatorContext(output="a c")).reason
        '2 of 3 passed'
    """

    shorthand: ClassVar[str | None] = None

    k: PositiveInt
    """How many parts must pass."""

    @model_validator(mode="after")
    def _k_is_possible(self) -> Self:
        if self.k > len(self.of):
            raise ValueError(f"`k` is {self.k}, but there are {len(self.of)} parts: nothing could pass")
        return self

    @override
    def combine(self, scores: list[Score]) -> Finding:
        """Count the passes."""
        passed, failed, missing = _count(scores)
        told = f"{passed} of {len(scores)} passed"
        if passed >= self.k:
            return Finding(True, told)
        if passed + len(missing) >= self.k:
            raise CannotScoreError("; ".join(missing))
        return Finding(False, "; ".join([told, *failed]))


@evaluator("weighted")
class Weighted(_Combination):
    """Average the parts by their weights; pass counts 1 and fail 0.

    Value:
        0 to 1: sum of weight times value over sum of weights.

    Missing when:
        A part has no value: leaving it out would change what is measured.

    Source:
        Own.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> parts = [{"contains": {"all": "yes", "weight": 3}}, {"length": {"max": 1}}]
        >>> load_evaluator({"weighted": parts}).evaluate(EvaluatorContext(output="yes indeed")).value
        0.75
    """

    score_kind: ClassVar[ScoreKind] = "bounded"
    passes_only: ClassVar[bool] = False

    @override
    def combine(self, scores: list[Score]) -> Finding:
        """Average."""
        missing = [f"{score.name}: {score.error}" for score in scores if score.value is None]
        if missing:
            raise CannotScoreError("; ".join(missing))
        values: list[float] = []
        for score in scores:
            if isinstance(score.value, str) or score.value is None or not 0 <= score.value <= 1:
                raise CannotScoreError(f"`{score.name}` gave {score.value!r}, which does not lie between 0 and 1")
            values.append(float(score.value))
        weights = [part.weight if isinstance(part, Graded) else 1.0 for part in self.of]
        total = math.fsum(weights)
        value = math.fsum(weight * value for weight, value in zip(weights, values, strict=True)) / total
        return Finding(min(value, 1.0))
