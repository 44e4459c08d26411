"""Checks on what the output says."""

from __future__ import annotations

import functools
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator
from typing_extensions import override

from bakeoff.evaluators._base import Finding, OutputCheck, ReferenceCheck
from bakeoff.evaluators._protocol import CannotScoreError, EvaluatorContext, Family
from bakeoff.evaluators._registry import evaluator
from bakeoff.evaluators._text import UNSPACED, Normalisation, as_text, normalise, parse_json, preview

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

__all__ = [
    "Affix",
    "Contains",
    "EndsWith",
    "ExactMatch",
    "Regex",
    "StartsWith",
    "check_pattern",
    "search_pattern",
    "word_positions",
]

_REGEX_SECONDS = 1.0


@functools.lru_cache(maxsize=256)
def _compiled(pattern: str, flags: int) -> Any:
    import regex  # unlike `re`, it can be stopped: a pattern with nested repeats may run for ever

    return regex.compile(pattern, flags)


def check_pattern(pattern: str | None) -> str | None:
    """Refuse a regular expression that does not compile.

    Raises:
        ValueError: With what is wrong and at which character.
    """
    if pattern is not None:
        import regex

        try:
            _compiled(pattern, 0)
        except regex.error as error:
            raise ValueError(f"it is no regular expression: {error}") from None
    return pattern


def search_pattern(pattern: str, text: str, *, flags: int = 0, method: str = "search") -> Any:
    """Apply a regular expression for at most one second.

    Args:
        pattern: In the syntax of Python's `re`.
        text: Where to look.
        flags: Flags of the `regex` package.
        method: `search`, `match`, `fullmatch` or `findall`.

    Raises:
        CannotScoreError: The pattern did not finish in time.
    """
    try:
        return getattr(_compiled(pattern, flags), method)(text, timeout=_REGEX_SECONDS)
    except TimeoutError:
        raise CannotScoreError(
            f"the pattern {preview(pattern)} did not finish within {_REGEX_SECONDS:g} s on {len(text)} characters; "
            "avoid nested repeats such as (a+)+"
        ) from None


@evaluator("exact_match")
class ExactMatch(ReferenceCheck):
    r"""Check that the output equals the expected answer.

    Text is compared after the `normalise` steps; outputs that are JSON data (lists, objects, numbers) are compared
    as data when the expected value is data too, and so is JSON text where an object is expected. A list of expected
    texts means that any one of them is right.

    Value:
        Pass or fail.

    Missing when:
        There is no output, or the item has no expected value.

    Source:
        Own; the steps `casefold, punctuation, articles, whitespace, strip` are those of SQuAD (Rajpurkar et al. 2016)
        on ASCII text; of other scripts the punctuation is removed, too.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> check = load_evaluator({"exact_match": {"normalise": ["strip", "casefold", "punctuation"]}})
        >>> check.evaluate(EvaluatorContext(output="Paris.\n", expected="paris")).value
        True
    """

    family: ClassVar[Family] = "check"
    version: ClassVar[str] = "2"  # 2: JSON text against an expected object is compared as data
    shorthand: ClassVar[str | None] = "expected"

    normalise: list[Normalisation] = Field(default_factory=lambda: ["strip"])
    """Steps applied to both sides before comparing; `[]` for none."""

    @override
    def measure(self, context: EvaluatorContext) -> Finding:
        """Compare."""
        value, expected = self.output(context), self.reference(context)
        if isinstance(value, str) and isinstance(expected, dict):
            with suppress(ValueError):
                value = parse_json(value)
        if not isinstance(value, str) and value is not None and not isinstance(expected, str):
            same = _same_data(value, expected)
            return Finding(same, None if same else f"{preview(value)} is not {preview(expected)}")
        text = normalise(as_text(value), self.normalise)
        wanted = [normalise(one, self.normalise) for one in self.references(context)]
        if text in wanted:
            return Finding(True)
        return Finding(False, f"{preview(text)} is not {' or '.join(preview(one) for one in wanted[:3])}")


def _same_data(left: Any, right: Any) -> bool:
    """Compare JSON data: 1 equals 1.0, but neither equals `true`."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same_data(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same_data, left, right))
    return bool(left == right)


@evaluator("contains")
class Contains(ReferenceCheck):
    """Check that the output contains given texts: all of some, any of others, none of yet others.

    Without `all`, `any` and `none`, the expected answer must occur; of a list of expected answers, any one.

    Value:
        Pass or fail.

    Missing when:
        There is no output; or nothing is given to look for and the item has no expected value.

    Source:
        Own.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> check = load_evaluator({"contains": {"all": ["refund"], "none": ["guarantee"]}})
        >>> check.evaluate(EvaluatorContext(output="We guarantee a refund.")).reason
        "contains 'guarantee'"
    """

    family: ClassVar[Family] = "check"
    version: ClassVar[str] = "2"  # 2: whole words in scripts without spaces
    shorthand: ClassVar[str | None] = "all"

    all: list[str] = Field(default_factory=list)
    """Every one of these must occur."""
    any: list[str] = Field(default_factory=list)
    """At least one of these must occur."""
    none: list[str] = Field(default_factory=list)
    """None of these may occur."""
    normalise: list[Normalisation] = Field(default_factory=list)
    """Steps applied to both sides, for instance `[casefold, whitespace]`."""
    whole_words: bool = False
    """Whether `cat` in `concatenate` does not count."""

    @field_validator("all", "any", "none", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _no_empty(self) -> Self:
        for wanted in (*self.all, *self.any, *self.none):
            if not normalise(wanted, self.normalise):
                raise ValueError(f"the text {wanted!r} is empty (after normalising) and would occur in every output")
        return self

    def _has(self, text: str, wanted: str) -> bool:
        wanted = normalise(wanted, self.normalise) if self.normalise else wanted
        if not self.whole_words:
            return wanted in text
        return bool(word_positions(text, wanted))

    @property
    @override
    def reads(self) -> tuple[str, ...]:
        return () if self.all or self.any or self.none else super().reads

    @override
    def measure(self, context: EvaluatorContext) -> Finding:
        """Look for the texts."""
        text = self.text(context)
        text = normalise(text, self.normalise) if self.normalise else text
        any_of: Sequence[str] = self.any
        if not (self.all or self.any or self.none):
            any_of = self.references(context)
            if not all(normalise(one, self.normalise) for one in any_of):
                raise CannotScoreError("the expected answer is empty and would occur in every output")
        for wanted in self.all:
            if not self._has(text, wanted):
                return Finding(False, f"does not contain {preview(wanted)}")
        for unwanted in self.none:
            if self._has(text, unwanted):
                return Finding(False, f"contains {preview(unwanted)}")
        if any_of and not any(self._has(text, wanted) for wanted in any_of):
            return Finding(False, f"contains none of {', '.join(preview(one) for one in any_of[:5])}")
        return Finding(True)


def word_positions(text: str, wanted: str) -> list[int]:
    """Find where `wanted` stands in the text with no letter, digit or underscore on either side.

    Scripts without spaces between words, such as Chinese, know no such sides: there it may stand anywhere.
    """
    positions: list[int] = []
    start = text.find(wanted)
    while wanted and start != -1:
        end = start + len(wanted)
        if not (start and _in_word(text[start - 1]) and _in_word(wanted[0])) and not (
            end < len(text) and _in_word(text[end]) and _in_word(wanted[-1])
        ):
            positions.append(start)
        start = text.find(wanted, start + 1)
    return positions


def _in_word(char: str) -> bool:
    return (char.isalnum() or char == "_") and not UNSPACED.match(char)


class Affix(ReferenceCheck):
    """Shared options of `starts_with` and `ends_with`."""

    family: ClassVar[Family] = "check"
    shorthand: ClassVar[str | None] = "texts"

    texts: list[str] = Field(default_factory=list)
    """Any one of these; the expected answer when omitted."""
    normalise: list[Normalisation] = Field(default_factory=lambda: ["strip"])
    """Steps applied to both sides."""

    @field_validator("texts", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value

    @property
    @override
    def reads(self) -> tuple[str, ...]:
        return () if self.texts else super().reads

    def sides(self, context: EvaluatorContext) -> tuple[str, tuple[str, ...]]:
        """Give the output and the wanted texts, both normalised."""
        wanted = tuple(normalise(one, self.normalise) for one in (self.texts or self.references(context)))
        if not all(wanted):
            raise CannotScoreError("an empty text stands at the start and end of every output")
        return normalise(self.text(context), self.normalise), wanted


@evaluator("starts_with")
class StartsWith(Affix):
    """Check that the output starts with a text, or with any one of several.

    Value:
        Pass or fail.

    Missing when:
        There is no output, or no text is given and the item has no expected value.

    Source:
        Own.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> load_evaluator({"starts_with": ["Yes", "No"]}).evaluate(EvaluatorContext(output=" Yes, we do.")).value
        True
    """

    @override
    def measure(self, context: EvaluatorContext) -> Finding:
        """Look at the start."""
        text, wanted = self.sides(context)
        good = text.startswith(wanted)
        return Finding(good, None if good else f"starts with {preview(text[:30])}")


@evaluator("ends_with")
class EndsWith(Affix):
    r"""Check that the output ends with a text, or with any one of several.

    Value:
        Pass or fail.

    Missing when:
        There is no output, or no text is given and the item has no expected value.

    Source:
        Own.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> load_evaluator({"ends_with": "?"}).evaluate(EvaluatorContext(output="Are you sure?\n")).value
        True
    """

    @override
    def measure(self, context: EvaluatorContext) -> Finding:
        """Look at the end."""
        text, wanted = self.sides(context)
        good = text.endswith(wanted)
        return Finding(good, None if good else f"ends with {preview(text[-30:])}")


@evaluator("regex")
class Regex(OutputCheck):
    r"""Check that a regular expression matches the output.

    A pattern gets one second; one that runs longer (nested repeats on long text) gives a missing score instead of
    stopping the run.

    Value:
        Pass or fail; the named groups are in the details.

    Missing when:
        There is no output, or the pattern does not finish within a second.

    Source:
        Own; syntax of Python's `re`, as the `regex` package reads it.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> load_evaluator({"regex": r"order #\d+"}).evaluate(EvaluatorContext(output="Your order #17 is late")).value
        True
    """

    family: ClassVar[Family] = "check"
    shorthand: ClassVar[str | None] = "pattern"

    pattern: str
    """The regular expression."""
    mode: Literal["search", "match", "full"] = "search"
    """Anywhere, from the start, or the whole output."""
    ignore_case: bool = False
    """Whether `a` matches `A`."""
    multiline: bool = False
    """Whether `^` and `$` match at every line."""
    dotall: bool = False
    """Whether `.` matches line ends too."""

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str) -> str:
        check_pattern(value)
        return value

    @functools.cached_property
    def flags(self) -> int:
        """The options as flags of the `regex` package."""
        import regex

        chosen = (self.ignore_case, regex.IGNORECASE), (self.multiline, regex.MULTILINE), (self.dotall, regex.DOTALL)
        return sum(int(flag) for wanted, flag in chosen if wanted)

    @override
    def measure(self, context: EvaluatorContext) -> Finding:
        """Apply the pattern."""
        method = "fullmatch" if self.mode == "full" else self.mode
        found = search_pattern(self.pattern, self.text(context), flags=self.flags, method=method)
        if found is None:
            return Finding(False, f"{preview(self.pattern)} does not match")
        groups = {name: value[:200] if value else value for name, value in found.groupdict().items()}
        return Finding(True, f"matches {preview(found.group())}", groups)
