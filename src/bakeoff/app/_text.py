"""Text from outside, made harmless before it is shown: never HTML, never Markdown, no invisible characters."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime
from math import floor, isnan, log10

__all__ = ["ago", "call_cost", "clip", "defused", "h", "line", "md", "named", "number", "percent", "signed", "visible"]

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:^=&@])")
_ADDRESS = re.compile(r"(?<=\w):(?=//)|\bwww(?=\.)|@", re.IGNORECASE)
_NAMED = {
    "\u202a": "⟦LRE⟧", "\u202b": "⟦RLE⟧", "\u202c": "⟦PDF⟧", "\u202d": "⟦LRO⟧", "\u202e": "⟦RLO⟧",
    "\u2066": "⟦LRI⟧", "\u2067": "⟦RLI⟧", "\u2068": "⟦FSI⟧", "\u2069": "⟦PDI⟧",
    "\u200b": "⟦ZWSP⟧", "\u200e": "⟦LRM⟧", "\u200f": "⟦RLM⟧", "\ufeff": "⟦BOM⟧", "\x7f": "␡",
}  # fmt: skip
_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def visible(text: object) -> str:
    r"""Return text with control characters, ANSI escapes and direction overrides written out.

    Examples:
        >>> visible("\x1b[31mred"), visible("a\u202eb")
        ('␛[31mred', 'a⟦RLO⟧b')
    """
    return _INVISIBLE.sub(_named, str(text).replace("\r\n", "\n"))


def _named(match: re.Match[str]) -> str:
    character = match.group()
    if character in _NAMED:
        return _NAMED[character]
    code = ord(character)
    return chr(0x2400 + code) if code < 0x20 else f"⟦{code:04X}⟧"


def clip(text: object, limit: int) -> str:
    """Return at most `limit` characters, the last an ellipsis where something was cut.

    Examples:
        >>> clip("abcdef", 4)
        'abc…'
    """
    whole = str(text)
    return whole if len(whole) <= limit else whole[: max(limit - 1, 0)] + "…"


def line(text: object, limit: int = 120) -> str:
    r"""Return text as one short, visible line.

    Examples:
        >>> line("a\n  b")
        'a b'
    """
    return clip(visible(" ".join(str(text)[: 4 * limit + 200].split())), limit)


def h(text: object, limit: int | None = None) -> str:
    """Escape text for HTML, with invisible characters written out.

    Examples:
        >>> h("<script>alert(1)</script>")
        '&lt;script&gt;alert(1)&lt;/script&gt;'
    """
    return html.escape(visible(text if limit is None else clip(text, limit)), quote=True)


def named(text: object, limit: int = 80) -> str:
    """Escape a name for HTML; a long one loses its middle, since names made by a script differ at their end.

    Examples:
        >>> print(named("a name that goes on, 1", 12))
        <span title="a name that goes on, 1">a name…on, 1</span>
    """
    whole = str(text)
    if len(whole) <= limit:
        return h(whole)
    tail = (limit - 1) // 2
    return f'<span title="{h(whole, 400)}">{h(whole[: limit - 1 - tail])}…{h(whole[-tail:])}</span>'


def md(text: object, limit: int = 200) -> str:
    r"""Escape text for places that Streamlit reads as Markdown: labels, captions, headings, metrics.

    Examples:
        >>> print(md("![x](http://y/z)"))
        \!\[x\]\(http\:⁠//y/z\)
    """
    # Bare addresses become links after all escaping, unless an invisible joiner breaks them up.
    plain = _ADDRESS.sub("\\g<0>\u2060", line(text, limit))
    return _MARKDOWN.sub(r"\\\1", plain)


def number(value: float | None, digits: int = 3) -> str:
    """Write a number with the digits that matter; a dash where there is none.

    Examples:
        >>> number(1234.5), number(0.12345), number(float("nan"))
        ('1,234', '0.123', '–')
    """
    if value is None or isnan(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}"


def percent(value: float | None, digits: int = 1) -> str:
    """Write a share in percent.

    Examples:
        >>> percent(0.1234)
        '12.3%'
    """
    return "–" if value is None or isnan(value) else f"{100 * value:.{digits}f}%"


def signed(value: float, *, points: bool) -> str:
    """Write a difference with its sign: percentage points for pass rates.

    Examples:
        >>> signed(0.05, points=True), signed(-1.25, points=False)
        ('+5.0', '−1.25')
    """
    if isnan(value):
        return "–"
    text = f"{100 * value:+.1f}" if points else f"{value:+.3g}"
    return text.replace("-", "−")


def call_cost(value: float | None) -> str:
    """Write what one call cost, in USD, without an exponent.

    Examples:
        >>> call_cost(6.6e-06), call_cost(0.25), call_cost(None)
        ('$0.0000066', '$0.25', '–')
    """
    if value is None or isnan(value):
        return "–"
    if value == 0:
        return "$0"
    digits = 2 if value >= 0.1 else min(12, 2 - floor(log10(value)) - 1)
    return f"${value:,.{max(2, digits)}f}"


def defused(value: object) -> str:
    """Write a value for a CSV file so that no spreadsheet runs it as a formula.

    Examples:
        >>> defused("=1+1"), defused(-0.5), defused(None)
        ("'=1+1", '-0.5', '')
    """
    if value is None:
        return ""
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def ago(stamp: str, *, now: datetime | None = None) -> str:
    """Write how long ago a moment was.

    Examples:
        >>> ago("2026-01-01T00:00:00+00:00", now=datetime(2026, 1, 1, 3, tzinfo=UTC))
        '3 h ago'
    """
    try:
        then = datetime.fromisoformat(stamp)
    except ValueError:
        return line(stamp, 30)
    seconds = ((now or datetime.now(UTC)) - then).total_seconds()
    if seconds < 45:
        return "just now"
    if seconds < 3600:
        return f"{max(1, round(seconds / 60))} min ago"
    if seconds < 86400:
        return f"{round(seconds / 3600)} h ago"
    if seconds < 14 * 86400:
        days = round(seconds / 86400)
        return "yesterday" if days == 1 else f"{days} days ago"
    return then.strftime("%d %b %Y")
