"""Find the numbers in a text, however they are written."""

from __future__ import annotations

import re
import unicodedata
from decimal import Context, Decimal
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["EXACT", "Number", "read_numbers"]

EXACT = Context(prec=60)
_LONGEST = 400
_MINUS = "-\u2212\u2013\ufe63\uff0d"
_GROUPS = {".": r"[,_\u00a0\u202f\u2009'’]", ",": r"[._\u00a0\u202f\u2009'’]"}
_CURRENCY = r"(?:[A-Z]{0,2}[$€£¥₹₩₽₺₪₫₴฿]\s?|(?:USD|EUR|GBP|JPY|CHF|CNY|INR|CAD|AUD|SEK|NOK|DKK|PLN|CZK|BRL|Rs\.?)\s)"
_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_AFTER_MINUS = re.compile(r"(?:^|[=:(\[,;≈~]|\b(?:is|was|be|are|of|to|equals|about|at|from|and))\s*$", re.IGNORECASE)


def _ten(name: str) -> str:
    written = rf"(?:\^|\*\*)[{{(]?\s?(?P<{name}>[-+\u2212\u2013]?\d{{1,3}})(?!\d)\s?[}})]?"
    return rf"10(?:{written}|(?P<{name}_up>[⁻⁺]?[⁰¹²³⁴-⁹]{{1,3}}))"


def _number_pattern(point: str) -> re.Pattern[str]:
    """Find numbers: a sign that is no hyphen or minus between words, then a fraction, a power of ten, or digits."""
    grouped = rf"\d{{1,3}}(?:{_GROUPS[point]}\d{{3}})+(?!\d)"
    if point == ".":
        grouped += r"|\d{1,2}(?:,\d{2}){1,8},\d{3}(?!\d)"  # 12,34,567 as in India
    mark = re.escape(point)
    return re.compile(
        rf"(?=[\dNnMm.\\¼½¾⅐-⅞{_MINUS}+])"  # most characters begin no number, and are passed over at once
        rf"(?:(?<![\w)\]])(?P<sign>[{_MINUS}+])(?:{_CURRENCY})?|(?<!\w)(?P<said>[Nn]egative|[Mm]inus)\s(?:{_CURRENCY})?)?"
        r"(?P<number>"
        r"(?:(?<![\w.])(?P<tex_whole>\d{1,4})\s?)?\\[dt]?frac\s?(?:\{\s?(?P<tex_sign>-?)(?P<tex_top>\d{1,9})\s?\}\s?\{\s?(?P<tex_under>\d{1,9})\s?\}"
        r"|(?P<tex_a>\d)(?P<tex_b>\d))"
        r"|(?<![\w./⁄,])(?:(?P<mixed>\d{1,4})[ \u00a0])?(?P<top>\d{1,9})[/⁄](?P<under>\d{1,9})(?![\w/⁄]|[.,]\d)"
        r"|(?<![A-Za-z_])(?:(?<![\w.,])(?P<half_whole>\d{1,4})\s?)?(?P<half>[¼½¾⅐-⅞])"
        rf"|(?<![\w.,]){_ten('ten')}"
        rf"|(?<![A-Za-z_])(?:(?P<whole>{grouped}|\d+)(?P<part>{mark}\d+)?|(?<!\d){mark}(?P<bare>\d+))"
        rf"(?:(?P<power>[eE][-+\u2212]?\d{{1,3}}(?!\w))|\s?(?:×|x|X|\*|·|⋅|\\times|\\cdot)\s?{_ten('times')})?"
        r")"
    )


_NUMBERS = {point: _number_pattern(point) for point in _GROUPS}


class Number(NamedTuple):
    """A number in a text."""

    value: Decimal
    start: int
    """Where its digits start, behind a sign and a currency."""
    end: int


def read_numbers(text: str, point: str = ".", *, fractions: bool = True) -> Iterator[Number]:
    r"""Find the numbers in a text.

    Args:
        text: Where to look.
        point: The decimal mark.
        fractions: Whether `3/4` is one number; else it is two.

    Examples:
        >>> [str(number.value) for number in read_numbers("It rose -3.5% to $1,250.00 (GPT-4)")]
        ['-3.5', '1250.00', '4']
        >>> [str(number.value) for number in read_numbers(r"2 1/2, \frac{3}{4}, 6.02 × 10^23")]
        ['2.5', '0.75', '6.02E+23']
    """
    for found in _NUMBERS[point].finditer(text):
        if found.end() - found.start() > _LONGEST:
            continue
        sign = -1 if found["sign"] and found["sign"] in _MINUS else 1
        if found["said"] and (found["said"].lower() == "negative" or _is_sign(text, found.start())):
            sign = -1
        start, end = found.span("number")
        values = list(_values(found, fractions=fractions))
        for index, value in enumerate(values):  # several only where a fraction fell apart
            yield Number(value.copy_negate() if index == 0 and sign < 0 else value, start, end)


def _is_sign(text: str, start: int) -> bool:
    """Tell whether a `minus` there is a sign: `it is minus 5`, but not `ten minus 5`."""
    return _AFTER_MINUS.search(text[max(0, start - 20) : start]) is not None


def _values(found: re.Match[str], *, fractions: bool) -> Iterator[Decimal]:
    if found["top"] is not None:
        yield from _fraction(found["mixed"], found["top"], found["under"], whole_only=not fractions)
    elif found["half"] is not None:
        top, _, under = unicodedata.normalize("NFKC", found["half"]).partition("⁄")
        yield from _fraction(found["half_whole"], top, under)
    elif found["tex_top"] is not None or found["tex_a"] is not None:
        top, under = found["tex_top"] or found["tex_a"], found["tex_under"] or found["tex_b"]
        for value in _fraction(found["tex_whole"], top, under):
            yield value.copy_negate() if found["tex_sign"] else value
    elif found["ten"] is not None or found["ten_up"] is not None:
        yield Decimal(f"1e{_exponent(found, 'ten')}")
    else:
        whole = re.sub(r"\D", "", found["whole"] or "0")
        part = re.sub(r"\D", "", found["part"] or found["bare"] or "")
        power = (found["power"] or "").replace("\u2212", "-")
        if found["times"] is not None or found["times_up"] is not None:
            power = f"e{_exponent(found, 'times')}"
        yield Decimal(f"{whole}{'.' + part if part else ''}{power}")


def _exponent(found: re.Match[str], name: str) -> str:
    written: str = found[name] or found[f"{name}_up"].translate(_SUPERSCRIPT)
    return written.replace("\u2212", "-").replace("\u2013", "-")


def _fraction(mixed: str | None, top: str, under: str, *, whole_only: bool = False) -> Iterator[Decimal]:
    """Give the value of a fraction, or its numbers where it cannot be one."""
    above, below = Decimal(top), Decimal(under)
    if whole_only or not below:
        yield from (Decimal(one) for one in (mixed, top, under) if one)
        return
    share = EXACT.divide(above, below)
    if mixed and above < below:
        yield EXACT.add(Decimal(mixed), share)
    else:
        yield from (Decimal(mixed), share) if mixed else (share,)
