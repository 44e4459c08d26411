"""How near the output is to a reference text, by characters."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from typing_extensions import override

from bakeoff.evaluators._base import Finding, ReferenceCheck
from bakeoff.evaluators._protocol import CannotScoreError, EvaluatorContext, Family, ScoreKind
from bakeoff.evaluators._registry import evaluator
from bakeoff.evaluators._text import Normalisation, normalise

__all__ = ["LONGEST_COMPARED", "Levenshtein", "TextMetric"]

LONGEST_COMPARED = 100_000
"""Characters beyond which a similarity is not computed: the time grows with the product of the lengths."""


class TextMetric(ReferenceCheck):
    """A similarity to a reference text; of several references the nearest counts."""

    family: ClassVar[Family] = "text"
    score_kind: ClassVar[ScoreKind] = "bounded"
    shorthand: ClassVar[str | None] = "threshold"

    normalise: list[Normalisation] = Field(default_factory=lambda: ["strip"])
    """Steps applied to both sides."""

    def similarity(self, text: str, reference: str) -> Finding:
        """Compare two texts; the value lies between 0 and 1."""
        raise NotImplementedError(f"{type(self).__name__}.similarity")

    @override
    def measure(self, context: EvaluatorContext) -> Finding:
        """Compare with each reference and keep the best."""
        text = normalise(self.text(context), self.normalise)
        references = [normalise(one, self.normalise) for one in self.references(context)]
        longest = max(len(text), *map(len, references))
        if longest > LONGEST_COMPARED:
            raise CannotScoreError(f"a text of {longest} characters; {LONGEST_COMPARED} are the most this compares")
        found = [self.similarity(text, reference) for reference in references]
        return max(found, key=lambda one: float(one.value) if isinstance(one.value, (int, float)) else 0.0)


@evaluator("levenshtein")
class Levenshtein(TextMetric):
    """Measure how few characters must change to turn the output into the reference.

    Value:
        0 to 1: 1 - edits / length of the longer text, where an edit inserts, deletes or replaces one character; 1 for
        equal texts, also for two empty ones. The number of edits is in the details.

    Missing when:
        There is no output or no expected value, or a text has more than 100,000 characters.

    Source:
        Levenshtein 1966; computed by rapidfuzz.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> score = load_evaluator("levenshtein").evaluate(EvaluatorContext(output="kitten", expected="sitting"))
        >>> round(score.value, 4), score.details["edits"]
        (0.5714, 3)
    """

    @override
    def similarity(self, text: str, reference: str) -> Finding:
        """Count the edits."""
        from rapidfuzz.distance import Levenshtein as Distance

        edits = Distance.distance(text, reference)
        longer = max(len(text), len(reference))
        return Finding(1 - edits / longer if longer else 1.0, None, {"edits": edits})
