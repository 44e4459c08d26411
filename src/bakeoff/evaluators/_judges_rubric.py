"""Judges that mark an answer on named criteria."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, field_validator, model_validator
from typing_extensions import override

from bakeoff.evaluators._judge_jury import Judge
from bakeoff.evaluators._judge_parse import UnreadableError, read_scale, read_text
from bakeoff.evaluators._judge_task import (
    JudgeTask,
    Reading,
    Section,
    closed,
    reference_text,
    shown_inputs,
    shown_output,
)
from bakeoff.evaluators._registry import evaluator

if TYPE_CHECKING:
    from bakeoff.evaluators._protocol import EvaluatorContext, ScoreKind

__all__ = ["Criterion", "Rubric", "SummaryQuality"]

_REASON = {"type": "string"}


class Criterion(BaseModel):
    """One criterion of a rubric."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=60, pattern=r"^[A-Za-z][\w -]*$")
    description: str = Field(min_length=3)
    """What is looked at."""
    anchors: dict[int, str] = Field(default_factory=dict)
    """What a mark stands for: `{1: "...", 3: "...", 5: "..."}`. Anchored marks agree better."""
    weight: PositiveFloat = 1.0
    """Weight in the overall value."""


@evaluator("rubric")
class Rubric(Judge):
    """Let a model mark the output on named criteria with an anchored scale.

    Value:
        0 to 1: weighted mean of the marks, each as (mark - lowest) / (highest - lowest). With `value: all`, one metric
        for each criterion and `overall`. Marks and reasons are in the details. A mark off the scale is never clipped:
        the judge is asked again.

    Missing when:
        There is no output, the call fails, the judge refuses, or its answer cannot be read after `retries`.

    Source:
        Zheng et al. 2023; anchored marks as in Prometheus (Kim et al. 2024).

    Examples:
        >>> from bakeoff.evaluators import load_evaluator
        >>> criteria = [{"name": "clarity", "description": "Is it easy to follow?", "anchors": {1: "no", 5: "yes"}}]
        >>> rubric = load_evaluator({"rubric": {"model": "sim/judge", "criteria": criteria, "value": "all"}})
        >>> [info.name for info in rubric.metrics]
        ['rubric.clarity', 'rubric.overall']
    """

    score_kind: ClassVar[ScoreKind] = "bounded"

    criteria: list[Criterion] = Field(min_length=1, max_length=20)
    """What is marked."""
    scale: tuple[int, int] = (1, 5)
    """Lowest and highest mark."""
    value: Literal["overall", "all"] = "overall"
    """One overall value, or one for each criterion too."""
    with_expected: bool = False
    """Whether the judge sees the item's expected value."""

    @field_validator("criteria", mode="before")
    @classmethod
    def _by_name(cls, value: object) -> object:
        if not isinstance(value, Mapping):
            return value
        return [
            {"name": name, **body} if isinstance(body, Mapping) else {"name": name, "description": body}
            for name, body in value.items()
        ]

    @model_validator(mode="after")
    def _scale_fits(self) -> Self:
        low, high = self.scale
        if not low < high:
            raise ValueError(f"`scale` is {low} to {high}; the highest mark must be above the lowest")
        names = [one.name for one in self.criteria]
        if len(set(names)) < len(names) or "overall" in names:
            raise ValueError(f"the names of the criteria must differ, and none may be `overall`: {', '.join(names)}")
        for one in self.criteria:
            off = [mark for mark in one.anchors if not low <= mark <= high]
            if off:
                raise ValueError(
                    f"criterion {one.name!r} has an anchor at {off[0]}, off the scale from {low} to {high}"
                )
        return self

    @property
    @override
    def parts(self) -> tuple[str, ...]:
        return (*(one.name for one in self.criteria), "overall") if self.value == "all" else ()

    def _instructions(self) -> str:
        low, high = self.scale
        lines = [f"Mark the response on each criterion with a whole number from {low} (worst) to {high} (best)."]
        for one in self.criteria:
            lines.append(f"- {one.name}: {one.description}")
            lines += [f"    {mark} = {told}" for mark, told in sorted(one.anchors.items())]
        lines.append('For each criterion give "reason" first, in one or two sentences, then "mark".')
        return "\n".join(lines)

    @override
    def fingerprint_text(self) -> str:
        return self._instructions()

    @property
    @override
    def reads(self) -> tuple[str, ...]:
        return ("expected",) if self.with_expected else ()

    @override
    def task(self, context: EvaluatorContext) -> JudgeTask:
        low, high = self.scale
        expected = [Section("expected", reference_text(context, None))] if self.with_expected else []
        mark = {"type": "integer", "minimum": low, "maximum": high}
        schema = closed({one.name: closed({"reason": _REASON, "mark": mark}) for one in self.criteria})
        sections = [*shown_inputs(context), *expected, shown_output(context)]
        return JudgeTask(instructions=self._instructions(), sections=sections, schema=schema, read=self._read_marks)

    def _read_marks(self, answer: dict[str, Any]) -> Reading:
        low, high = self.scale
        body = answer.get("criteria", answer)
        if not isinstance(body, Mapping):
            raise UnreadableError("'criteria' was no object")
        marks: dict[str, float] = {}
        reasons: list[str] = []
        for one in self.criteria:
            entry = next((body[key] for key in body if str(key).casefold() == one.name.casefold()), None)
            if entry is None:
                raise UnreadableError(f"the criterion {one.name!r} was missing")
            if isinstance(entry, Mapping):
                key = "mark" if "mark" in entry else "score"
                marks[one.name] = read_scale(entry, key, low, high)
                reasons.append(f"{one.name} {marks[one.name]:g}: {read_text(entry, 'reason')}")
            else:
                marks[one.name] = read_scale({"mark": entry}, "mark", low, high)
                reasons.append(f"{one.name} {marks[one.name]:g}")
        shares = {name: (mark - low) / (high - low) for name, mark in marks.items()}
        total = math.fsum(one.weight for one in self.criteria)
        overall = math.fsum(one.weight * shares[one.name] for one in self.criteria) / total
        details = {"marks": marks, "scale": [low, high], "parts": {**shares, "overall": overall}}
        return Reading(overall, "; ".join(reasons), details)


_SUMMARY = [
    Criterion(
        name="coherence",
        description="Does the summary form one well-ordered text, rather than a heap of sentences?",
        anchors={1: "disconnected", 3: "mostly follows", 5: "every sentence follows from the one before"},
    ),
    Criterion(
        name="consistency",
        description="Is every statement of the summary supported by the source?",
        anchors={1: "invents or contradicts central facts", 3: "one minor unsupported detail", 5: "all supported"},
    ),
    Criterion(
        name="fluency",
        description="Are the sentences well formed?",
        anchors={1: "hard to read", 3: "some awkward sentences", 5: "no errors"},
    ),
    Criterion(
        name="relevance",
        description="Does the summary hold what matters in the source, and nothing that does not?",
        anchors={1: "misses the point", 3: "misses one main point or pads", 5: "all that matters, nothing else"},
    ),
]


@evaluator("summary_quality")
class SummaryQuality(Rubric):
    """Let a model mark a summary for coherence, consistency with the source, fluency and relevance.

    The inputs of the item are the source.

    Value:
        0 to 1: mean of four marks from 1 to 5. With `value: all`, one metric for each.

    Missing when:
        There is no output, the call fails, the judge refuses, or its answer cannot be read after `retries`.

    Source:
        The four dimensions of SummEval (Fabbri et al. 2021), with own anchors.

    Examples:
        >>> from bakeoff.evaluators import load_evaluator
        >>> len(load_evaluator({"summary_quality": {"model": "sim/judge", "value": "all"}}).metrics)
        5
    """

    criteria: list[Criterion] = Field(default_factory=lambda: list(_SUMMARY), min_length=1, max_length=20)
    """What is marked."""
