"""Checks on the length of the output."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import NonNegativeInt, model_validator
from typing_extensions import override

from bakeoff.evaluators._base import Finding, OutputCheck
from bakeoff.evaluators._protocol import CannotScoreError, EvaluatorContext, Family, MetricInfo, ScoreKind
from bakeoff.evaluators._registry import evaluator
from bakeoff.evaluators._text import split_sentences, split_words

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Length"]


@evaluator("length")
class Length(OutputCheck):
    """Measure the length of the output, or check that it lies between two bounds.

    Value:
        Pass or fail when `min` or `max` is given, else the length. Words are runs of letters and digits: of scripts
        without spaces between words, such as Chinese, count the characters. Spaced words are what stands between white
        space. Characters are Unicode code points. Sentences end at `.`, `!`, `?` or an empty line; tokens are those
        the provider counted for the answer.

    Missing when:
        There is no output, or tokens are asked for and the provider counted none.

    Source:
        Own.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> load_evaluator({"length": {"max": 3}}).evaluate(EvaluatorContext(output="one two three four")).reason
        '4 words; at most 3'
    """

    family: ClassVar[Family] = "check"
    score_kind: ClassVar[ScoreKind] = "continuous"
    higher_is_better: ClassVar[bool | None] = None
    version: ClassVar[str] = "2"  # 2: marks of Indian scripts, 1,000 as one word, common abbreviations, blank lines
    shorthand: ClassVar[str | None] = "unit_of"

    unit_of: Literal["words", "spaced_words", "characters", "sentences", "lines", "paragraphs", "tokens"] = "words"
    """What is counted."""
    min: NonNegativeInt | None = None
    """Fewest that pass."""
    max: NonNegativeInt | None = None
    """Most that pass."""

    @property
    @override
    def raw_kind(self) -> ScoreKind:
        """Pass/fail with a bound, else a number."""
        return "continuous" if self.min is None and self.max is None else "binary"

    @property
    @override
    def metrics(self) -> tuple[MetricInfo, ...]:
        """The metric; its unit is what is counted."""
        kind = self.raw_kind
        unit = self.unit_of if kind == "continuous" else ""
        better = True if kind == "binary" else None
        return (MetricInfo(name=self.metric, score_kind=kind, higher_is_better=better, unit=unit),)

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"`min` is {self.min} but `max` is {self.max}: nothing could pass")
        return self

    def count(self, context: EvaluatorContext) -> int:
        """Count."""
        if self.unit_of == "tokens":
            if not context.usage.output_tokens:
                raise CannotScoreError("no output tokens were counted for this trial")
            return context.usage.output_tokens
        text = self.text(context)
        match self.unit_of:
            case "words":
                return len(split_words(text))
            case "spaced_words":
                return len(text.split())
            case "characters":
                return len(text)
            case "sentences":
                return len(split_sentences(text))
            case "lines":
                return len(text.splitlines())
            case "paragraphs":
                return sum(1 for part in re.split(r"\n[^\S\n]*\n", text.replace("\r\n", "\n")) if part.strip())

    @override
    def measure(self, context: EvaluatorContext) -> Finding:
        """Count, and compare with the bounds."""
        count = self.count(context)
        if self.raw_kind == "continuous":
            return Finding(count)
        if self.min is not None and count < self.min:
            return Finding(False, f"{count} {self.unit_of}; at least {self.min}", {"count": count})
        if self.max is not None and count > self.max:
            return Finding(False, f"{count} {self.unit_of}; at most {self.max}", {"count": count})
        return Finding(True, f"{count} {self.unit_of}", {"count": count})
