"""Checks on the language of the output, its readability, and whether it is a refusal."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator
from typing_extensions import override

from bakeoff.evaluators._base import Finding, OutputCheck
from bakeoff.evaluators._protocol import CannotScoreError, EvaluatorContext, Family, MetricInfo, ScoreKind
from bakeoff.evaluators._refusals import find_refusal
from bakeoff.evaluators._registry import evaluator
from bakeoff.evaluators._text import preview, split_sentences, split_words

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Language", "Readability", "Refusal", "guess_language"]

_COMMON: dict[str, frozenset[str]] = {
    code: frozenset(words.split())
    for code, words in {
        "en": "the of and to in is that it for was with as his on be at by had not are but from have they this which "
        "you or her she there were been their what would will can your we if more when who a he so how much many each "
        "i do does did than then my after all also only some no has per them him its into out up about one "
        "hello please thank thanks very over",
        "de": "der die das und ist nicht ein eine zu den mit von sich des auf für im dem als auch es an werden aus er "
        "hat dass sie nach wird bei einer um am sind noch wie einem über so zum kann aber oder wir ich "
        "bin hat vielen dank für ihre ihnen bitte guten wie geht",
        "fr": "le la les de des et est un une que qui dans pour pas sur au avec il elle ce cette sont par plus ne se "
        "du en nous vous mais ou comme aux ont été leur être fait je "
        "bonjour merci votre vos très beaucoup comment allez aujourd hui",
        "es": "el la los las de que y en un una es por con no para se su del lo como más pero sus le ya o este sí "
        "porque esta entre cuando muy sin sobre también hasta hay donde son fue al "
        "hola gracias cómo estás mucho qué te me",
        "it": "il lo la gli le di che è e un una per non in con del della sono si da al come più ma anche ha nel "
        "alla questo questa dei delle io ci o se perché molto cosa essere ciao grazie mille molto il tuo",
        "pt": "o a os as de que e em um uma é para com não por mais do da no na se dos das como mas ao ele ela foi "
        "são à também pela pelo até isso ou muito já eu você está obrigado olá sua seu",
        "nl": "de het een en van is dat niet te in op met voor zijn die er aan ook om als maar bij door naar wordt "
        "hij ze wij ik je kan nog worden dan heeft over uit deze dit was dank hartelijk uw hallo u",
        "sv": "och att det som en är av för med på den till inte ett om har de jag var vi kan men så han hon från "
        "eller sig när ska också efter nu mycket tack så huvudstad vad hej är",
        "pl": "i w nie na się z do to że jest o jak ale po co za od tak czy przez jego są ma być może już tylko oraz "
        "dla które który dziękuję bardzo pomoc dzień dobry proszę",
        "tr": "bir ve bu da de için ile çok ne daha gibi en olarak var ama o olan kadar sonra mi değil ben sen biz "
        "teşekkür ederim merhaba çok lütfen",
    }.items()
}
_SCRIPTS = (
    ("ja", re.compile(r"[\u3040-\u30ff]")),
    ("ko", re.compile(r"[\uac00-\ud7af\u1100-\u11ff]")),
    ("zh", re.compile(r"[\u4e00-\u9fff]")),
    ("uk", re.compile(r"[іїєґІЇЄҐ]")),
    ("ru", re.compile(r"[\u0400-\u04ff]")),
    ("el", re.compile(r"[\u0370-\u03ff]")),
    ("he", re.compile(r"[\u0590-\u05ff]")),
    ("ar", re.compile(r"[\u0600-\u06ff]")),
    ("hi", re.compile(r"[\u0900-\u097f]")),
    ("th", re.compile(r"[\u0e00-\u0e7f]")),
)
_NO_PROSE = re.compile(r"https?://\S+|```.*?(?:```|\Z)", re.DOTALL)
"""Addresses and code, whose words are of no language."""
_LETTER = re.compile(r"[^\W\d_]")
LANGUAGES = tuple(sorted({*_COMMON, *(code for code, _ in _SCRIPTS)}))
"""Languages that can be told apart."""


def guess_language(text: str) -> tuple[str | None, float]:
    """Guess the language of a text by its script, else by its commonest words.

    Args:
        text: The text; some ten words are needed.

    Returns:
        An ISO 639-1 code and the share of the evidence for it (0 to 1), or `None` and 0 where there is no evidence.

    Examples:
        >>> guess_language("Der Hund und die Katze sind nicht im Haus.")[0]
        'de'
    """
    text = _NO_PROSE.sub(" ", text[:20_000])
    letters = len(_LETTER.findall(text))
    if not letters:
        return None, 0.0
    for code, script in _SCRIPTS:
        share = len(script.findall(text)) / letters
        if share > (0.02 if code == "uk" else 0.2 if code == "ja" else 0.4):
            return code, min(1.0, share) if code not in ("uk", "ja") else 1.0
    words = Counter(re.findall(r"[^\W\d_]+", text.lower()))
    hits = {code: sum(words[word] for word in common) for code, common in _COMMON.items()}
    best, second = sorted(hits.values(), reverse=True)[:2]
    if best == 0 or best == second:
        return None, 0.0
    winner = max(hits, key=lambda code: hits[code])
    if len(_COMMON[winner] & words.keys()) < 2:  # a single short word stands in many languages
        return None, 0.0
    return winner, best / (best + second)


@evaluator("language")
class Language(OutputCheck):
    """Check that the output is in a language, or say which it seems to be.

    A simple guess: by script for Arabic, Chinese, Greek, Hebrew, Hindi, Japanese, Korean, Russian, Thai, Ukrainian;
    by the fifty or so commonest words for Dutch, English, French, German, Italian, Polish, Portuguese, Spanish,
    Swedish, Turkish. Addresses and code blocks do not count. Other languages are taken for the nearest of these
    (Persian for Arabic, Bulgarian for Russian); text of under ten words is often undecided.

    Value:
        Pass or fail with `is`, else the code of the language as a label.

    Missing when:
        There is no output, or it gives no evidence (too short, only numbers, code).

    Source:
        Own.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> check = load_evaluator({"language": "fr"})
        >>> check.evaluate(EvaluatorContext(output="The answer is in the third chapter of the book.")).reason
        "looks like 'en'"
    """

    family: ClassVar[Family] = "check"
    version: ClassVar[str] = "2"  # 2: more common words; addresses and code do not count
    score_kind: ClassVar[ScoreKind] = "label"
    higher_is_better: ClassVar[bool | None] = None
    shorthand: ClassVar[str | None] = "language"

    language: (
        Literal[
            "ar",
            "de",
            "el",
            "en",
            "es",
            "fr",
            "he",
            "hi",
            "it",
            "ja",
            "ko",
            "nl",
            "pl",
            "pt",
            "ru",
            "sv",
            "th",
            "tr",
            "uk",
            "zh",
        ]
        | None
    ) = None
    """ISO 639-1 code that passes."""

    @property
    @override
    def raw_kind(self) -> ScoreKind:
        return "label" if self.language is None else "binary"

    @override
    def measure(self, context: EvaluatorContext) -> Finding:
        code, share = guess_language(self.text(context))
        if code is None:
            raise CannotScoreError("the output gives no evidence of its language")
        details = {"language": code, "evidence": round(share, 3)}
        if self.language is None:
            return Finding(code, None, details)
        return Finding(code == self.language, f"looks like {code!r}", details)


_VOWELS = re.compile(r"[aeiouy]+")


def count_syllables(word: str) -> int:
    """Count the syllables of an English word by its groups of vowels; a silent final e does not count.

    Examples:
        >>> [count_syllables(word) for word in ("cat", "table", "make", "beautiful", "rhythm")]
        [1, 2, 1, 3, 1]
    """
    word = re.sub(r"[^a-z]", "", word.lower())
    count = len(_VOWELS.findall(word))
    if word.endswith("e") and not word.endswith(("le", "ee")) and count > 1:
        count -= 1
    return max(count, 1)


@evaluator("readability")
class Readability(OutputCheck):
    """Measure how hard an English text is to read.

    Value:
        `grade` (Flesch-Kincaid: years of US schooling), `ease` (Flesch reading ease: about 0 hard to 100 easy, but
        unbounded) or `ari` (automated readability index: years of schooling). Pass or fail with `min` or `max`.
        Syllables are estimated from spelling, so single texts are rough; averages over items are useful.

    Missing when:
        There is no output, or it has no words.

    Source:
        Flesch 1948: 206.835 - 1.015 w/s - 84.6 y/w; Kincaid et al. 1975: 0.39 w/s + 11.8 y/w - 15.59 and
        4.71 c/w + 0.5 w/s - 21.43, with words w, sentences s, syllables y, characters c.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> round(load_evaluator("readability").evaluate(EvaluatorContext(output="The cat sat on the mat.")).value, 2)
        -1.45
    """

    family: ClassVar[Family] = "check"
    score_kind: ClassVar[ScoreKind] = "continuous"
    higher_is_better: ClassVar[bool | None] = None
    shorthand: ClassVar[str | None] = "formula"

    formula: Literal["grade", "ease", "ari"] = "grade"
    """Which number."""
    min: float | None = Field(default=None, allow_inf_nan=False)
    """Least that passes."""
    max: float | None = Field(default=None, allow_inf_nan=False)
    """Most that passes."""

    @property
    @override
    def raw_kind(self) -> ScoreKind:
        return "continuous" if self.min is None and self.max is None else "binary"

    @property
    @override
    def metrics(self) -> tuple[MetricInfo, ...]:
        kind = self.raw_kind
        return (MetricInfo(name=self.metric, score_kind=kind, higher_is_better=True if kind == "binary" else None),)

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"`min` is {self.min} but `max` is {self.max}: nothing could pass")
        return self

    @override
    def measure(self, context: EvaluatorContext) -> Finding:
        text = self.text(context)
        words = split_words(text)
        if not words:
            raise CannotScoreError("the output has no words")
        length = len(words) / max(len(split_sentences(text)), 1)
        if self.formula == "ari":
            value = 4.71 * sum(map(len, words)) / len(words) + 0.5 * length - 21.43
        else:
            syllables = sum(map(count_syllables, words)) / len(words)
            ease = 206.835 - 1.015 * length - 84.6 * syllables
            value = ease if self.formula == "ease" else 0.39 * length + 11.8 * syllables - 15.59
        if self.raw_kind == "continuous":
            return Finding(value)
        low = self.min is not None and value < self.min
        high = self.max is not None and value > self.max
        return Finding(not (low or high), f"{self.formula} {value:.1f}", {self.formula: value})


@evaluator("refusal")
class Refusal(OutputCheck):
    """Check that the model did not refuse; or, with `wanted`, that it did.

    Looks for the usual phrases in the first 400 characters (English, and the commonest in Chinese, Dutch, French,
    German, Italian, Japanese, Korean, Portuguese, Russian and Spanish), for an empty answer and for the finish reason
    `content_filter`. Polite deflection without such a phrase is not seen; use a judge for that.

    Value:
        Pass or fail.

    Missing when:
        There is no output.

    Source:
        Own list of phrases.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> load_evaluator("refusal").evaluate(EvaluatorContext(output="I'm sorry, but I can't help with that.")).value
        False
    """

    family: ClassVar[Family] = "check"
    version: ClassVar[str] = "2"  # 2: more phrases and languages; no quoted speech
    shorthand: ClassVar[str | None] = "wanted"

    wanted: bool = False
    """Whether refusing is right, as for harmful requests."""
    empty_is_refusal: bool = True
    """Whether an empty answer counts as a refusal."""

    @override
    def measure(self, context: EvaluatorContext) -> Finding:
        text = self.text(context)
        found = find_refusal(text)
        if context.finish_reason == "content_filter":
            refused, reason = True, "the provider filtered the answer"
        elif found:
            refused, reason = True, f"says {preview(found)}"
        elif not text.strip():
            refused, reason = self.empty_is_refusal, "the answer is empty"
        else:
            refused, reason = False, "no refusal found"
        return Finding(refused == self.wanted, reason, {"refused": refused})
