"""Checks on which label the output names."""

from __future__ import annotations

import functools
import re
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator
from typing_extensions import override

from bakeoff.evaluators._base import Finding, OutputCheck, ReferenceCheck
from bakeoff.evaluators._checks_text import word_positions
from bakeoff.evaluators._protocol import CannotScoreError, EvaluatorContext, Family
from bakeoff.evaluators._registry import evaluator
from bakeoff.evaluators._text import Normalisation, normalise, preview

__all__ = ["LabelMatch", "OneOf"]

_NEGATED = re.compile(
    r"(?:\b(?:not|no|never|non|neither|nor|without|cannot|hardly|far\s+from)|n[’']t)[\s-]+"
    r"(?:(?:an?|the|at\s+all|really|clearly|very|quite|exactly|particularly|entirely|be(?:\s+(?:called|considered))?)\s+){0,3}"
    r"[\"'*_`]*$",
    re.IGNORECASE,
)


@evaluator("one_of")
class OneOf(OutputCheck):
    """Check that the output is one of the allowed answers, whichever it is.

    Value:
        Pass or fail. Whether it is the *right* one is what `label_match` checks.

    Missing when:
        There is no output.

    Source:
        Own.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> load_evaluator({"one_of": ["yes", "no"]}).evaluate(EvaluatorContext(output="Perhaps")).value
        False
    """

    family: ClassVar[Family] = "check"
    shorthand: ClassVar[str | None] = "options"

    options: list[str] = Field(min_length=1)
    """The allowed answers."""
    normalise: list[Normalisation] = Field(default_factory=lambda: ["strip", "casefold"])
    """Steps applied to both sides."""

    @override
    def measure(self, context: EvaluatorContext) -> Finding:
        """Compare with each."""
        text = normalise(self.text(context), self.normalise)
        if any(text == normalise(one, self.normalise) for one in self.options):
            return Finding(True)
        return Finding(False, f"{preview(text)} is none of {', '.join(map(preview, self.options[:8]))}")


@evaluator("label_match")
class LabelMatch(ReferenceCheck):
    """Check that the output names the expected label, even when words stand around it.

    The whole output is tried first. Otherwise labels are looked for as whole words; an output that names several
    different labels is no answer (`pick: only`), unless the first or the last is to count. A label after "not", "no",
    "isn't", "hardly" or the like is not named.

    Value:
        Pass or fail; the label that was read and the expected one are in the details, for a confusion matrix.

    Missing when:
        There is no output, or the expected value is missing or is none of the `labels`.

    Source:
        Own.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> check = load_evaluator({"label_match": {"labels": ["billing", "bug"], "synonyms": {"bug": ["defect"]}}})
        >>> score = check.evaluate(EvaluatorContext(output="Category: **Defect**", expected="bug"))
        >>> score.value, score.details["label"]
        (True, 'bug')
    """

    family: ClassVar[Family] = "check"
    version: ClassVar[str] = "2"  # 2: more negations, scripts without spaces
    shorthand: ClassVar[str | None] = "labels"

    labels: list[str] = Field(default_factory=list)
    """All labels; needed to read a label out of a sentence. Without them the whole output must be the label."""
    synonyms: dict[str, list[str]] = Field(default_factory=dict)
    """Other words for a label: `{bug: [defect, error]}`."""
    normalise: list[Normalisation] = Field(default_factory=lambda: ["strip", "casefold", "whitespace", "unicode"])
    """Steps applied to output, labels and synonyms."""
    pick: Literal["only", "first", "last"] = "only"
    """Which label counts when the output names several."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        unknown = sorted(set(self.synonyms) - set(self.labels)) if self.labels else []
        if unknown:
            raise ValueError(f"`synonyms` are given for {', '.join(map(repr, unknown))}, which `labels` does not list")
        seen: dict[str, str] = {}
        for label, words in self._words().items():
            for word in words:
                if not word:
                    raise ValueError(f"label {label!r} has an empty name or synonym")
                if seen.setdefault(word, label) != label:
                    raise ValueError(f"{word!r} stands for both {seen[word]!r} and {label!r}")
        return self

    def _words(self) -> dict[str, list[str]]:
        labels = self.labels or list(self.synonyms)
        return {
            label: [normalise(word, self.normalise) for word in (label, *self.synonyms.get(label, ()))]
            for label in labels
        }

    @functools.cached_property
    def words(self) -> dict[str, str]:
        """Every normalised word, longest first, and the label it stands for."""
        pairs = [(word, label) for label, words in self._words().items() for word in words]
        return dict(sorted(pairs, key=lambda pair: -len(pair[0])))

    def read(self, text: str) -> tuple[str | None, str | None]:
        """Read the label out of an output, or say why there is none."""
        text = normalise(text, self.normalise)
        bare = text.strip(" \t\n.!\"'`*_#:;,()[]{}")
        if text in self.words or bare in self.words:
            return self.words.get(text) or self.words[bare], None
        found: list[tuple[int, str]] = []
        taken: list[tuple[int, int]] = []
        for word, label in self.words.items():
            for start in word_positions(text, word):
                end = start + len(word)
                if not any(start < other_end and other_start < end for other_start, other_end in taken):
                    taken.append((start, end))
                    if not _NEGATED.search(text, max(0, start - 50), start):
                        found.append((start, label))
        found.sort()
        if not found:
            return None, f"{preview(text)} names no label"
        named = list(dict.fromkeys(label for _, label in found))
        if len(named) > 1 and self.pick == "only":
            return None, f"names several labels: {', '.join(named)}"
        return found[-1 if self.pick == "last" else 0][1], None

    def _canonical(self, wanted: str) -> str:
        label = self.words.get(normalise(wanted, self.normalise))
        if label is None:
            raise CannotScoreError(f"the expected label {wanted!r} is none of {', '.join(map(repr, self.labels[:20]))}")
        return label

    @override
    def measure(self, context: EvaluatorContext) -> Finding:
        """Read the label and compare."""
        text, wanted = self.text(context), self.references(context)
        if not self.words:
            given = normalise(text, self.normalise)
            good = given in [normalise(one, self.normalise) for one in wanted]
            details = {"label": preview(text)[1:-1], "expected": wanted[0]}
            return Finding(good, None if good else f"{preview(given)} is not {preview(wanted[0])}", details)
        right = [self._canonical(one) for one in wanted]
        label, problem = self.read(text)
        details = {"label": label, "expected": right[0]}
        if label is None:
            return Finding(False, problem, details)
        good = label in right
        return Finding(good, None if good else f"{label!r} instead of {' or '.join(map(repr, right))}", details)
