"""Compare a list in the output with an expected list."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from bakeoff.evaluators._base import Finding, ReferenceCheck
from bakeoff.evaluators._protocol import CannotScoreError, EvaluatorContext, Family, ScoreKind
from bakeoff.evaluators._registry import evaluator
from bakeoff.evaluators._text import Normalisation, as_text, find_json, normalise, preview

__all__ = ["ListOverlap"]

_BULLET = re.compile(r"^\s*(?:[-*+•·–—‣▪◦]|\d{1,3}[.)]|\(?(?:\d{1,3}|[a-z])\))\s+(?:\[[ xX]\]\s+)?")
_WRAPPED = re.compile(r"(\*\*|__|[*_`\"'])(.+)\1|“(.+)”|‘(.+)’|«(.+)»", re.DOTALL)
_LAST = re.compile(r"(?:and|or|&)\s+", re.IGNORECASE)


@evaluator("list_overlap")
class ListOverlap(ReferenceCheck):
    r"""Compare a list in the output with the expected list, regardless of order.

    The output is read as a JSON list, else as lines (bullets, numbers and boxes in front are dropped) when it has
    several, else as text between `separator`s, whose last entry may begin with "and" or "or". Emphasis, quotation
    marks and a full stop, comma or semicolon around an entry do not count, on either side. Text around a list without
    bullets, and two entries joined by a bare "and", are not taken apart.

    Value:
        0 to 1. `precision`: share of the listed entries that were expected. `recall`: share of the expected entries
        that were listed. `f1`: harmonic mean of both. `jaccard`: common over all different entries. `all` gives
        precision, recall and f1 as three metrics. Two empty lists agree fully.

    Missing when:
        There is no output, or no expected value.

    Source:
        Own; van Rijsbergen 1979 for F1.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> context = EvaluatorContext(output="- red\n- blue\n- pink", expected=["blue", "red"])
        >>> score = load_evaluator("list_overlap").evaluate(context)
        >>> round(score.value, 3), score.reason
        (0.8, "not expected: 'pink'")
    """

    family: ClassVar[Family] = "check"
    score_kind: ClassVar[ScoreKind] = "bounded"
    version: ClassVar[str] = "2"  # 2: more bullets; marks around entries and a last "and" do not count
    shorthand: ClassVar[str | None] = "value"

    value: Literal["f1", "precision", "recall", "jaccard", "all"] = "f1"
    """Which number is the score."""
    duplicates: bool = False
    """Whether an entry that stands twice must be expected twice."""
    separator: str = Field(default=",", min_length=1)
    """What stands between entries in running text."""
    normalise: list[Normalisation] = Field(default_factory=lambda: ["strip", "casefold", "whitespace"])
    """Steps applied to every entry."""

    @property
    @override
    def parts(self) -> tuple[str, ...]:
        return ("precision", "recall", "f1") if self.value == "all" else ()

    def _entries(self, value: Any) -> list[str]:
        if isinstance(value, str):
            value = self._read(value)
        if not isinstance(value, (list, tuple, set, frozenset)):
            value = [value]
        entries = [_bare(normalise(_as_entry(entry), self.normalise)) for entry in value if entry is not None]
        return [entry for entry in entries if entry]

    def _read(self, text: str) -> list[Any]:
        try:
            found = find_json(text)
        except ValueError:
            found = None
        lines = [line for line in text.splitlines() if line.strip()]
        bullets = [_BULLET.sub("", line) for line in lines if _BULLET.match(line)]
        if isinstance(found, list) and (not bullets or "```" in text or text.lstrip().startswith("[")):
            return found
        if bullets:
            return bullets
        if len(lines) > 1:
            return lines
        entries = re.split("[,\uff0c\u3001]", text) if self.separator == "," else text.split(self.separator)
        return [*entries[:-1], _LAST.sub("", entries[-1].lstrip(), count=1)] if len(entries) > 1 else entries

    @override
    def measure(self, context: EvaluatorContext) -> Finding:
        output = self.output(context)
        if output is None:
            raise CannotScoreError("there is no output to judge")
        given, wanted = Counter(self._entries(output)), Counter(self._entries(self.reference(context)))
        if not self.duplicates:
            given, wanted = Counter(set(given)), Counter(set(wanted))
        common, listed, expected = (given & wanted).total(), given.total(), wanted.total()
        both = listed + expected
        numbers = {
            "precision": common / listed if listed else float(not expected),
            "recall": common / expected if expected else float(not listed),
            "f1": 2 * common / both if both else 1.0,
            "jaccard": common / (both - common) if both else 1.0,
        }
        problems = [f"missing: {_some(wanted - given)}"] if wanted - given else []
        problems += [f"not expected: {_some(given - wanted)}"] if given - wanted else []
        if self.value == "all":
            return Finding({key: numbers[key] for key in self.parts}, "; ".join(problems) or None)
        return Finding(numbers[self.value], "; ".join(problems) or None, numbers)


def _as_entry(entry: Any) -> str:
    """Give an entry as text; 2.0 is 2."""
    return as_text(int(entry) if isinstance(entry, float) and entry.is_integer() else entry)


def _bare(entry: str) -> str:
    """Take emphasis, quotation marks and closing punctuation off an entry."""
    for _ in range(3):
        entry = entry.rstrip(".,;").strip()
        wrapped = _WRAPPED.fullmatch(entry)
        if wrapped is None:
            break
        entry = next(part for part in wrapped.groups()[1:] if part is not None)
    return entry


def _some(entries: Counter[str]) -> str:
    names = sorted(entries)
    return ", ".join(map(preview, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
