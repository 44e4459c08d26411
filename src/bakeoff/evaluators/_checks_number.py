"""Checks on numbers and dates in the output."""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal, DecimalException
from typing import Any, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, field_validator
from typing_extensions import override

from bakeoff.evaluators._base import Finding, ReferenceCheck
from bakeoff.evaluators._checks_text import check_pattern, search_pattern
from bakeoff.evaluators._dates import read_dates
from bakeoff.evaluators._numbers import EXACT, Number, read_numbers
from bakeoff.evaluators._protocol import CannotScoreError, EvaluatorContext, Family
from bakeoff.evaluators._registry import evaluator
from bakeoff.evaluators._text import as_text, preview

__all__ = ["DateMatch", "Numeric"]

_SCALE = re.compile(r"(thousand|million|billion|trillion)s?(?![^\W\d_])", re.IGNORECASE)
_SCALES = {"thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_SPACE = " \u00a0\u202f"


@evaluator("numeric")
class Numeric(ReferenceCheck):
    r"""Check that the number in the output equals the expected number, within a tolerance.

    By default the last number in the output counts: a model shows its working first. `pattern` says where the answer
    stands instead; the text of its first group (or all that it matches) is read, and the last match counts unless
    `pick` says otherwise. The comparison is exact decimal arithmetic.

    Read are thousands in groups (`1,018`, `12,34,567`, `1'018`, `1_018`, with no-break spaces; not with plain ones,
    which also separate numbers), exponents (`6.02e23`, `6.02 × 10^23`), fractions (`3/4`, `2 1/2`, `\frac{3}{4}`,
    `½`), a sign before or behind a currency (`-$5`, `minus 5`), and the words thousand, million, billion and trillion
    behind a number. Not read are numbers in words (`twelve`), `5k` and `5M` (name them as `units`), and `(5)` as a
    negative.

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
    version: ClassVar[str] = "2"  # 2: fractions, powers of ten, millions, Indian groups, currencies in front
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
    fractions: bool = True
    """Read `3/4` as 0.75; switch it off where `8/10` is a mark of 8."""
    percent: bool = False
    """Read `12%` as 0.12."""
    units: dict[str, PositiveFloat] = Field(default_factory=dict)
    """Units that may follow a number (a currency: or precede it), as multiples of the base unit: `{m: 1, km: 1000}`."""
    unit_required: bool = False
    """Whether an output without one of the `units` fails."""

    @field_validator("pattern", "expected_pattern")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        return check_pattern(value)

    def _numbers(self, text: str, *, strict: bool) -> list[Decimal]:
        numbers: list[Decimal] = []
        for number in read_numbers(text, self.decimal_mark, fractions=self.fractions):
            value, rest = number.value, text[number.end : number.end + 40].lstrip(_SPACE)
            unit, scale = self._unit(rest), _SCALE.match(rest)
            if unit is None and scale is not None:
                value = value.scaleb(_SCALES[scale[1].lower()], EXACT)
                rest = rest[scale.end() :].lstrip(_SPACE)
                unit = self._unit(rest)
            unit = unit or self._currency(text, number)
            if unit is not None:
                numbers.append(EXACT.multiply(value, Decimal(repr(self.units[unit]))))
            elif self.percent and rest.lower().startswith(("%", "\uff05", "percent", "per cent", "pct")):
                numbers.append(EXACT.divide(value, Decimal(100)))
            elif not (strict and self.unit_required):
                numbers.append(value)
        return numbers

    def _unit(self, rest: str) -> str | None:
        for unit in sorted(self.units, key=len, reverse=True):
            if rest.startswith(unit) and not (unit[-1].isalpha() and rest[len(unit) : len(unit) + 1].isalpha()):
                return unit
        return None

    def _currency(self, text: str, number: Number) -> str | None:
        """Find a unit in front of the number: a sign such as `$`, or three capitals such as `EUR`."""
        head = text[max(0, number.start - 12) : number.start].rstrip(f"{_SPACE}-+\u2212\u2013")
        for unit in sorted(self.units, key=len, reverse=True):
            letters = any(char.isalpha() for char in unit)
            if head.endswith(unit) and (not letters or (len(unit) == 3 and unit.isupper())):
                return unit
        return None

    def _read(self, text: str, pattern: str | None, *, strict: bool) -> list[Decimal]:
        if pattern is None:
            return self._numbers(text, strict=strict)
        kept = {"first": slice(1), "last": slice(-1, None), "only": slice(None)}[self.pick]
        numbers: list[Decimal] = []
        for found in search_pattern(pattern, text, method="findall"):
            piece = found if isinstance(found, str) else next((part for part in found if part), "")
            numbers += self._numbers(piece, strict=strict)[kept]
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
            difference = abs(EXACT.subtract(number, expected))
            share = EXACT.multiply(abs(expected), Decimal(repr(self.relative_tolerance)))
            good = difference <= max(Decimal(repr(self.tolerance)), share)
        except DecimalException:
            return Finding(False, "the number is too large to compare", details)
        return Finding(good, None if good else f"{details['number']} is not {details['expected']}", details)


def _plain(number: Decimal) -> int | float | str:
    """Give a number as JSON can hold it."""
    if number.adjusted() > 300:
        return str(number)
    return int(number) if number == number.to_integral_value() and number.adjusted() < 15 else float(number)


@evaluator("date")
class DateMatch(ReferenceCheck):
    """Check that the date in the output is the expected date, however it is written.

    Reads ISO dates (2024-03-03, 20240303), dates with slashes, dots or dashes (03/03/2024), English month names
    (3 March 2024, Mar 3rd, 2024, 03-Mar-2024) and 2024年3月3日. Where only one order of day and month is possible
    (25/12/2024), that one is read. Two-digit years, dates without a year and month names of other languages are not
    read; the day counts as it is written, without regard to time zones.

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
    version: ClassVar[str] = "2"  # 2: more forms, and dates that are possible in one order only

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
