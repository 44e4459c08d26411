"""How near the output is to a reference text, by words: the scores of reading comprehension, summaries, translation."""

from __future__ import annotations

import re
from collections import Counter
from functools import cached_property
from typing import Any, ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from bakeoff.evaluators._base import Finding, ReferenceCheck
from bakeoff.evaluators._metrics_text import LONGEST_COMPARED, TextMetric
from bakeoff.evaluators._protocol import CannotScoreError, EvaluatorContext, Family, ScoreKind
from bakeoff.evaluators._registry import evaluator
from bakeoff.evaluators._text import Normalisation  # noqa: TC001 - pydantic reads it at run time

__all__ = ["Bleu", "Chrf", "Rouge", "TokenF1"]

_SQUAD: list[Normalisation] = ["casefold", "punctuation", "articles", "whitespace", "strip"]
_ALNUM = re.compile(r"[^\W_]+")


def overlap(common: int, given: int, wanted: int) -> dict[str, float]:
    """Turn counts into precision, recall and F1; both sides empty agree fully."""
    if not given and not wanted:
        return {"precision": 1.0, "recall": 1.0, "f1": 1.0}
    precision = common / given if given else 0.0
    recall = common / wanted if wanted else 0.0
    return {"precision": precision, "recall": recall, "f1": 2 * common / (given + wanted)}


_NOTHING = {"precision": 0.0, "recall": 0.0, "f1": 0.0}


@evaluator("token_f1")
class TokenF1(TextMetric):
    """Measure how many words output and reference share: the F1 of SQuAD.

    Both sides are lower-cased, punctuation and the articles a, an, the are removed, and words are what stands
    between white space. Of several references the best counts.

    Value:
        0 to 1: 2 x common / (words of the output + words of the reference). Precision and recall are in the details.

    Missing when:
        There is no output or no expected value, or a text has more than 100,000 characters.

    Source:
        Rajpurkar et al. 2016, evaluation script of SQuAD 1.1 (its two empty texts count 1 here, as in SQuAD 2.0). Equal
        to it on ASCII text; of other scripts the punctuation and symbols are removed, too, and case is folded.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> context = EvaluatorContext(output="It was the Normans", expected=["Normans", "The Norman people"])
        >>> load_evaluator("token_f1").evaluate(context).value
        0.5
    """

    normalise: list[Normalisation] = Field(default_factory=lambda: list(_SQUAD))
    """Steps applied to both sides."""

    @override
    def similarity(self, text: str, reference: str) -> Finding:
        given, wanted = text.split(), reference.split()
        common = (Counter(given) & Counter(wanted)).total()
        numbers = overlap(common, len(given), len(wanted))
        return Finding(numbers["f1"], None, numbers)


@evaluator("rouge")
class Rouge(TextMetric):
    """Measure how much of a reference summary the output covers: ROUGE-1, ROUGE-2 or ROUGE-L.

    Words are runs of letters and digits, lower-cased, without stemming. `1` and `2` count common words and pairs of
    words; `L` the longest common subsequence over the whole text (not summed over sentences).

    Value:
        0 to 1: F1 by default, else precision or recall.

    Missing when:
        There is no output or no expected value, or a text has more than 100,000 characters.

    Source:
        Lin 2004; agrees with the `rouge-score` package without stemmer on ASCII text. The package drops letters other
        than a to z, and gives 0 where both texts have nothing to count; here two texts of the same words give 1.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> context = EvaluatorContext(output="the cat was under the bed", expected="the cat was found under the bed")
        >>> round(load_evaluator({"rouge": {"n": "2", "value": "recall"}}).evaluate(context).value, 4)
        0.6667
    """

    version: ClassVar[str] = "2"  # 2: two different single words have no pair in common, and no score of 1

    n: Literal["1", "2", "L"] = "L"
    """Single words, pairs of words, or the longest common subsequence."""
    value: Literal["f1", "precision", "recall"] = "f1"
    """Which number is the score."""

    @override
    def similarity(self, text: str, reference: str) -> Finding:
        given, wanted = _ALNUM.findall(text.lower()), _ALNUM.findall(reference.lower())
        if given != wanted and min(len(given), len(wanted)) < (1 if self.n == "L" else int(self.n)):
            return Finding(0.0, None, _NOTHING)
        if self.n == "L":
            from rapidfuzz.distance import LCSseq

            numbers = overlap(int(LCSseq.similarity(given, wanted)), len(given), len(wanted))
        else:
            size = int(self.n)
            grams = [Counter(zip(*(words[shift:] for shift in range(size)), strict=False)) for words in (given, wanted)]
            numbers = overlap((grams[0] & grams[1]).total(), grams[0].total(), grams[1].total())
        return Finding(numbers[self.value], None, numbers)


class _Sacre(ReferenceCheck):
    """A metric that sacrebleu computes, with all references at once."""

    family: ClassVar[Family] = "text"
    score_kind: ClassVar[ScoreKind] = "bounded"
    shorthand: ClassVar[str | None] = "threshold"

    @cached_property
    def scorer(self) -> Any:
        """The configured scorer of sacrebleu."""
        raise NotImplementedError(f"{type(self).__name__}.scorer")

    @override
    def measure(self, context: EvaluatorContext) -> Finding:
        text, references = self.text(context), self.references(context)
        longest = max(len(text), *map(len, references))
        if longest > LONGEST_COMPARED:
            raise CannotScoreError(f"a text of {longest} characters; {LONGEST_COMPARED} are the most this compares")
        score = self.scorer.sentence_score(text, references)
        return Finding(min(max(score.score / 100, 0.0), 1.0), None, {"signature": str(self.scorer.get_signature())})


@evaluator("bleu")
class Bleu(_Sacre):
    """Measure how many runs of up to four words the output shares with the references: sentence BLEU.

    BLEU is made for whole corpora; on single sentences it is noisy (smoothing `exp`, effective order). Prefer `chrf`
    for single outputs.

    Value:
        0 to 1 (sacrebleu's score / 100).

    Missing when:
        There is no output or no expected value, or a text has more than 100,000 characters.

    Source:
        Papineni et al. 2002; computed by sacrebleu, whose signature is in the details.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> wanted = ["The dog bit the guy.", "A dog bit a man."]
        >>> context = EvaluatorContext(output="The dog bit the man.", expected=wanted)
        >>> round(load_evaluator("bleu").evaluate(context).value, 3)
        0.604
    """

    lowercase: bool = False
    """Whether case does not matter."""
    tokenize: Literal["13a", "char", "intl", "none", "zh"] = "13a"
    """Tokeniser of sacrebleu."""

    @cached_property
    @override
    def scorer(self) -> Any:
        from sacrebleu.metrics.bleu import BLEU

        return BLEU(lowercase=self.lowercase, tokenize=self.tokenize, effective_order=True)


@evaluator("chrf")
class Chrf(_Sacre):
    """Measure how many runs of up to six characters the output shares with the references: chrF.

    Value:
        0 to 1 (sacrebleu's score / 100). Works for any language, and for single sentences better than BLEU.

    Missing when:
        There is no output or no expected value, or a text has more than 100,000 characters.

    Source:
        Popović 2015; computed by sacrebleu, whose signature is in the details.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> context = EvaluatorContext(output="The dog bit the man.", expected="The dog bit the man.")
        >>> load_evaluator("chrf").evaluate(context).value
        1.0
    """

    word_order: int = Field(default=0, ge=0, le=4)
    """Longest run of words counted too: 0 is chrF, 2 is chrF++."""
    lowercase: bool = False
    """Whether case does not matter."""

    @cached_property
    @override
    def scorer(self) -> Any:
        from sacrebleu.metrics.chrf import CHRF

        return CHRF(word_order=self.word_order, lowercase=self.lowercase)
