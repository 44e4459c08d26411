"""Find the dates in a text, however they are written."""

from __future__ import annotations

import re
from datetime import date

__all__ = ["read_dates"]

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
_GAP = r"(?:\.?,?\s+|\.?\s?[-/]\s?)"
_TH = r"(?:st|nd|rd|th)?"
_DATES = re.compile(
    r"(?<!\d)(?P<y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})(?!\d)"
    r"|(?<!\d)(?P<a>\d{1,2})(?P<mark>[-/.])(?P<b>\d{1,2})(?P=mark)(?P<y2>\d{4})(?!\d)"
    rf"|(?<!\d)(?P<d3>\d{{1,2}}){_TH}(?:{_GAP}(?:of\s+)?)?(?P<m3>{_MONTH})(?:{_GAP})?(?P<y3>\d{{4}})(?!\d)"
    rf"|\b(?P<m4>{_MONTH})\.?\s+(?:the\s+)?(?P<d4>\d{{1,2}}){_TH}(?:\s?-\s?(?P<d4b>\d{{1,2}}){_TH})?,?\s+(?P<y4>\d{{4}})(?!\d)"
    rf"|(?<!\d)(?P<y5>\d{{4}}){_GAP}(?P<m5>{_MONTH})(?:{_GAP})(?P<d5>\d{{1,2}}){_TH}(?!\d)"
    r"|(?<!\d)(?P<y6>\d{4})\s?[年년]\s?(?P<m6>\d{1,2})\s?[月월]\s?(?P<d6>\d{1,2})\s?[日일号號]?"
    r"|(?<![\w.,+-])(?P<y7>(?:19|20)\d\d)(?P<m7>0[1-9]|1[0-2])(?P<d7>0[1-9]|[12]\d|3[01])(?:T[\d:.]{4,12}Z?)?(?![\w,-]|\.\d)",
    re.IGNORECASE,
)
_HYPHENS = str.maketrans("\u2010\u2011\u2012\u2013\u2212", "-----")


def read_dates(text: str, *, day_first: bool) -> list[date]:
    """Find the dates in a text; impossible ones are left out.

    A date with slashes, dots or dashes that is only possible the other way round (25/12/2024) is read that way.

    Args:
        text: Where to look.
        day_first: Whether 03/04/2024 is the third of April.

    Examples:
        >>> read_dates("due 3 March 2024, not 2024-02-30", day_first=True)
        [datetime.date(2024, 3, 3)]
    """
    found: list[date] = []
    for hit in _DATES.finditer(text.translate(_HYPHENS)):
        for year, month, day in _readings(hit, day_first=day_first):
            try:
                found.append(date(int(year), int(month), int(day)))
            except ValueError:
                continue
    return found


def _readings(hit: re.Match[str], *, day_first: bool) -> list[tuple[str, str | int, str]]:
    """Give year, month and day of a hit; of a range of days both ends."""
    for year, month, day in (("y", "m", "d"), ("y6", "m6", "d6"), ("y7", "m7", "d7")):
        if hit[year]:
            return [(hit[year], hit[month], hit[day])]
    if hit["y2"]:
        first, second = hit["a"], hit["b"]
        month_first = int(first) <= 12 if not day_first or int(second) > 12 else False
        return [(hit["y2"], *((first, second) if month_first else (second, first)))]
    if hit["y3"]:
        return [(hit["y3"], _MONTHS[hit["m3"].lower()], hit["d3"])]
    if hit["y5"]:
        return [(hit["y5"], _MONTHS[hit["m5"].lower()], hit["d5"])]
    days = [hit["d4"], hit["d4b"]] if hit["d4b"] else [hit["d4"]]
    return [(hit["y4"], _MONTHS[hit["m4"].lower()], day) for day in days]
