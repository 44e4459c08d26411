"""Checks on numbers and dates in the output."""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Context, Decimal, DecimalException
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, field_validator
from typing_extensions import override

from bakeoff.evaluators._base import Finding, ReferenceCheck
from bakeoff.evaluators._checks_text import check_pattern, search_pattern
from bakeoff.evaluators._protocol import CannotScoreError, EvaluatorContext, Family
from bakeoff.evaluators._registry import evaluator
from bakeoff.evaluators._text import as_text, preview

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DateMatch", "Numeric"]

_GROUPS = {".": r"[,\u00a0\u202f'’]", ",": r"[.\u00a0\u202f'’]"}
_EXACT = Context(prec=60)
_LONGEST = 400


def _number_pattern(point: str) -> re.Pattern[str]:
    """Find numbers: a sign that is no hyphen or minus between words, thousands groups, decimals, an exponent."""
    grouped = rf"\d{{1,3}}(?:{_GROUPS[point]}\d{{3}})+(?!\d)"
    mark = re.escape(point)
    return re.compile(
        rf"(?:(?<![\w)\]])(?P<sign>[-+\u2212])(?:[$€£¥₹]\s?)?)?(?<![A-Za-z_])(?:(?P<whole>{grouped}|\d+)(?P<part>{mark}\d+)?|(?<!\d){mark}(?P<bare>\d+))"
        r"(?P<power>[eE][-+]?\d{1,3}(?!\w))?"
    )


_NUMBERS = {point: _number_pattern(point) for point in _GROUPS}


def read_numbers(text: str, point: str = ".") -> Iterator[tuple[Decimal, int]]:
    """Find the numbers in a text, each with the position where it ends.

    Args:
        text: Where to look.
        point: The decimal mark.

    Examples:
        >>> [str(number) for number, _ in read_numbers("It rose -3.5% to $1,250.00 (GPT-4)")]
        ['-3.5', '1250.00', '4']
    """
    for found in _NUMBERS[point].finditer(text):
        if found.end() - found.start() > _LONGEST:
            continue
        whole = re.sub(r"\D", "", found["whole"] or "0")
        part = re.sub(r"\D", "", found["part"] or found["bare"] or "")
        sign = "-" if found["sign"] in ("-", "\u2212") else ""
        yield Decimal(f"{sign}{whole}{'.' + part if part else ''}{found['power'] or ''}"), found.end()


@evaluator("numeric")
class Numeric(ReferenceCheck):
    r"""Check that the number in the output equals the expected number, within a tolerance.

    By default the last number in the output counts: a model shows its working first. `pattern` says where the answer
    stands instead; the text of its first group (or all that it matches) is read, and the last match counts unless
    `pick` says otherwise. Thousands may be grouped (`1,018`). The comparison is exact decimal arithmetic.

    Value:
        Pass or fail; both numbers are in the details. An output without a number fails.

    Missing when:
        There is no output, or the expected value is missing or holds no number.

    Source:
        Own; the GSM8K convention of Cobbe et al. 2021 is `pattern: 'A: *(-?[\d,.]+)'`.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> check = load_evaluator({"numeric": {"relative_tolerance": 0.01}})
        >>> check.evaluate(EvaluatorContext(output="About 3,120 people in 2 towns: 3,120.", expected="3100")).value
        True
    """

    family: ClassVar[Family] = "check"
    shorthand: ClassVar[str | None] = "tolerance"

    tolerance: NonNegativeFloat = Field(default=0.0, allow_inf_nan=False)
    """Largest difference that still passes, in the unit of the numbers."""
    relative_tolerance: NonNegativeFloat = Field(default=0.0, allow_inf_nan=False)
    """Largest difference that still passes, as a share of the expected number: 0.01 is one per cent."""
    pattern: str | None = None
    """Regular expression for the place of the answer in the output."""
    expected_pattern: str | None = None
    """The same for the expected value when it is text; its last number counts when omitted."""
    pick: Literal["last", "first", "only"] = "last"
    """Which number or match counts; `only` fails an output that gives several different numbers."""
    decimal_mark: Literal[".", ","] = "."
    """The decimal mark of the output and of expected text; the other one groups thousands."""
    percent: bool = False
    """Read `12%` as 0.12."""
    units: dict[str, PositiveFloat] = Field(default_factory=dict)
    """Units that may follow a number, as multiples of the base unit: `{m: 1, km: 1000}`."""
    unit_required: bool = False
    """Whether an output without one of the `units` fails."""

    @field_validator("pattern", "expected_pattern")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        return check_pattern(value)

    def _numbers(self, text: str, *, strict: bool) -> list[Decimal]:
        numbers: list[Decimal] = []
        for number, end in read_numbers(text, self.decimal_mark):
            rest = text[end : end + 40].lstrip(" \u00a0\u202f")
            unit = self._unit(rest)
            if unit is not None:
                numbers.append(_EXACT.multiply(number, Decimal(repr(self.units[unit]))))
            elif self.percent and rest.startswith(("%", "percent", "per cent")):
                numbers.append(_EXACT.divide(number, Decimal(100)))
            elif not (strict and self.unit_required):
                numbers.append(number)
        return numbers

    def _unit(self, rest: str) -> str | None:
        for unit in sorted(self.units, key=len, reverse=True):
            if rest.startswith(unit) and not (unit[-1].isalpha() and rest[len(unit) : len(unit) + 1].isalpha()):
                return unit
        return None

    def _read(self, text: str, pattern: str | None, *, strict: bool) -> list[Decimal]:
        if pattern is None:
            return self._numbers(text, strict=strict)
        numbers: list[Decimal] = []
        for found in search_pattern(pattern, text, method="findall"):
            piece = found if isinstance(found, str) else next((part for part in found if part), "")
            numbers += self._numbers(piece, strict=strict)[-1:]
        return numbers

    def _wanted(self, value: Any) -> Decimal:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            number = Decimal(repr(value))
            if not number.is_finite():
                raise CannotScoreError(f"the expected number is {value!r}")
            return number
        numbers = self._read(as_text(value), self.expected_pattern, strict=False)
        if not numbers:
            raise CannotScoreError(f"there is no number in the expected value {preview(value)}")
        return numbers[-1]

    @override
    def measure(self, context: EvaluatorContext) -> Finding:
        """Extract both numbers and compare."""
        expected = self._wanted(self.reference(context))
        output = self.output(context)
        numbers = self._read(as_text(output), self.pattern, strict=True)
        if not numbers:
            return Finding(False, "no number found" if self.pattern is None else "the pattern found no number")
        number = numbers[0 if self.pick == "first" else -1]
        details = {"number": _plain(number), "expected": _plain(expected)}
        if self.pick == "only" and len(set(numbers)) > 1:
            return Finding(False, f"several numbers: {', '.join(str(_plain(one)) for one in numbers[:5])}", details)
        try:
            difference = abs(_EXACT.subtract(number, expected))
            share = _EXACT.multiply(abs(expected), Decimal(repr(self.relative_tolerance)))
            good = difference <= max(Decimal(repr(self.tolerance)), share)
        except DecimalException:
            return Finding(False, "the number is too large to compare", details)
        return Finding(good, None if good else f"{details['number']} is not {details['expected']}", details)


def _plain(number: Decimal) -> int | float | str:
    """Give a number as JSON can hold it."""
    if number.adjusted() > 300:
        return str(number)
    return int(number) if number == number.to_integral_value() and number.adjusted() < 15 else float(number)


_MONTHS = {
    name: index
    for index, names in enumerate(
        (
            ("january", "jan"),
            ("february", "feb"),
            ("march", "mar"),
            ("april", "apr"),
            ("may",),
            ("june", "jun"),
            ("july", "jul"),
            ("august", "aug"),
            ("september", "sep", "sept"),
            ("october", "oct"),
            ("november", "nov"),
            ("december", "dec"),
        ),
        start=1,
    )
    for name in names
}
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_DATES = re.compile(
    r"(?<!\d)(?P<y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})(?!\d)"
    r"|(?<!\d)(?P<a>\d{1,2})(?P<mark>[-/.])(?P<b>\d{1,2})(?P=mark)(?P<y2>\d{4})(?!\d)"
    rf"|(?<!\d)(?P<d3>\d{{1,2}})(?:st|nd|rd|th)?\.?\s+(?:of\s+)?(?P<m3>{_MONTH})\.?,?\s+(?P<y3>\d{{4}})(?!\d)"
    rf"|\b(?P<m4>{_MONTH})\.?\s+(?P<d4>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<y4>\d{{4}})(?!\d)",
    re.IGNORECASE,
)


def read_dates(text: str, *, day_first: bool) -> list[date]:
    """Find the dates in a text: ISO, with slashes or dots, or with an English month name; impossible ones are left out.

    Examples:
        >>> read_dates("due 3 March 2024, not 2024-02-30", day_first=True)
        [datetime.date(2024, 3, 3)]
    """
    found: list[date] = []
    for hit in _DATES.finditer(text):
        if hit["y"]:
            year, month, day = hit["y"], int(hit["m"]), hit["d"]
        elif hit["y2"]:
            first, second = int(hit["a"]), int(hit["b"])
            year, month, day = hit["y2"], (second if day_first else first), (first if day_first else second)
        elif hit["y3"]:
            year, month, day = hit["y3"], _MONTHS[hit["m3"].lower()], hit["d3"]
        else:
            year, month, day = hit["y4"], _MONTHS[hit["m4"].lower()], hit["d4"]
        try:
            found.append(date(int(year), month, int(day)))
        except ValueError:
            continue
    return found


@evaluator("date")
class DateMatch(ReferenceCheck):
    """Check that the date in the output is the expected date, however it is written.

    Reads ISO dates (2024-03-03), dates with slashes, dots or dashes (03/03/2024) and English month names
    (3 March 2024, Mar 3rd, 2024). Two-digit years and dates without a year are not read.

    Value:
        Pass or fail; both dates are in the details. An output without a date fails.

    Missing when:
        There is no output, or the expected value is missing or holds no date.

    Source:
        Own.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> load_evaluator("date").evaluate(EvaluatorContext(output="On March 3rd, 2024.", expected="2024-03-03")).value
        True
    """

    family: ClassVar[Family] = "check"

    tolerance_days: int = Field(default=0, ge=0)
    """Largest difference that still passes, in days."""
    day_first: bool = False
    """Whether 03/04/2024 is the third of April."""
    pick: Literal["last", "first", "only"] = "last"
    """Which date counts; `only` fails an output that gives several different dates."""

    def _wanted(self, value: Any) -> date:
        if isinstance(value, datetime):
            return value.date()
        if isinstance(value, date):
            return value
        dates = read_dates(as_text(value), day_first=self.day_first)
        if not dates:
            raise CannotScoreError(f"there is no date in the expected value {preview(value)}")
        return dates[-1]

    @override
    def measure(self, context: EvaluatorContext) -> Finding:
        """Extract both dates and compare."""
        wanted = self._wanted(self.reference(context))
        dates = read_dates(self.text(context), day_first=self.day_first)
        if not dates:
            return Finding(False, "no date found")
        given = dates[0 if self.pick == "first" else -1]
        details = {"date": given.isoformat(), "expected": wanted.isoformat()}
        if self.pick == "only" and len(set(dates)) > 1:
            return Finding(False, f"several dates: {', '.join(one.isoformat() for one in dates[:5])}", details)
        good = abs((given - wanted).days) <= self.tolerance_days
        return Finding(good, None if good else f"{given.isoformat()} is not {wanted.isoformat()}", details)
