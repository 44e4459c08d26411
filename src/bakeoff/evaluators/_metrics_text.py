"""How near the output is to a reference text, by characters."""

from __future__ import annotations

import math
from collections import Counter
from typing import ClassVar

from pydantic import Field
from typing_extensions import override

from bakeoff.evaluators._base import Finding, ReferenceCheck
from bakeoff.evaluators._protocol import CannotScoreError, EvaluatorContext, Family, ScoreKind
from bakeoff.evaluators._registry import evaluator
from bakeoff.evaluators._text import Normalisation, normalise

__all__ = ["LONGEST_COMPARED", "JaroWinkler", "Levenshtein", "NgramSimilarity", "TextMetric"]

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


@evaluator("jaro_winkler")
class JaroWinkler(TextMetric):
    """Measure how alike two short texts are, with weight on a common start; made for names.

    Value:
        0 to 1; 1 for equal texts. Symmetric.

    Missing when:
        There is no output or no expected value, or a text has more than 100,000 characters.

    Source:
        Winkler 1990 with prefix weight 0.1; computed by rapidfuzz.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> context = EvaluatorContext(output="MARTHA", expected="MARHTA")
        >>> round(load_evaluator("jaro_winkler").evaluate(context).value, 4)
        0.9611
    """

    @override
    def similarity(self, text: str, reference: str) -> Finding:
        from rapidfuzz.distance import JaroWinkler as Distance

        return Finding(float(Distance.similarity(text, reference)))


@evaluator("ngram_similarity")
class NgramSimilarity(TextMetric):
    """Measure how many short runs of characters two texts share: a similarity that needs no model.

    The cosine of the angle between the counts of character n-grams. It sees wording, not meaning: paraphrases score
    low, and a sentence and its negation score high. For meaning use `embedding_similarity` or a judge.

    Value:
        0 to 1; 1 for equal texts, 0 for texts without a common n-gram. Symmetric.

    Missing when:
        There is no output or no expected value, or a text has more than 100,000 characters.

    Source:
        Damashek 1995.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> context = EvaluatorContext(output="the quick brown fox", expected="the quick brown dog")
        >>> round(load_evaluator("ngram_similarity").evaluate(context).value, 3)
        0.824
    """

    n: int = Field(default=3, ge=1, le=10)
    """Length of the runs."""

    @override
    def similarity(self, text: str, reference: str) -> Finding:
        if text == reference:
            return Finding(1.0)
        left, right = self._counts(text), self._counts(reference)
        shared = sum(count * right[gram] for gram, count in left.items() if gram in right)
        size = sum(count * count for count in left.values()) * sum(count * count for count in right.values())
        return Finding(min(shared / math.sqrt(size), 1.0) if size else 0.0)

    def _counts(self, text: str) -> Counter[str]:
        return Counter(text[start : start + self.n] for start in range(max(len(text) - self.n + 1, min(len(text), 1))))
