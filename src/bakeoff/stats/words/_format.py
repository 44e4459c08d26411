"""Numbers in words: rounded to what the interval supports."""

from __future__ import annotations

from math import ceil, isfinite, log10

__all__ = ["format_interval", "format_p", "format_value", "supported_decimals"]


def supported_decimals(low: float, high: float, *, most: int = 6) -> int:
    """Count the decimals that an interval supports: its half-width keeps two significant digits at most.

    Examples:
        >>> supported_decimals(0.12, 0.34)
        2
        >>> supported_decimals(-3.1, 9.4)
        0
    """
    half = (high - low) / 2
    if not isfinite(half) or half <= 0:
        return 3
    return min(max(1 + ceil(-log10(half) - 0.3), 0), most)


def format_value(value: float, decimals: int, *, signed: bool = False, points: bool = False) -> str:
    """Format a number; `points` shows a difference of rates in percentage points."""
    if not isfinite(value):
        return "not estimable" if value != value else ("infinity" if value > 0 else "-infinity")
    if points:
        value, decimals = 100 * value, max(decimals - 2, 0)
    rounded = round(value, decimals) + 0.0  # no minus zero
    return f"{rounded:+,.{decimals}f}" if signed and rounded != 0 else f"{rounded:,.{decimals}f}"


def format_interval(low: float, high: float, decimals: int, *, signed: bool = False, points: bool = False) -> str:
    """Format `low to high` at the given number of decimals."""
    ends = (format_value(end, decimals, signed=signed, points=points) for end in (low, high))
    return " to ".join(ends)


def format_p(p: float) -> str:
    """Format a p-value: two significant digits, never 0.

    Examples:
        >>> format_p(0.04271), format_p(0.3), format_p(1e-9)
        ('p = 0.043', 'p = 0.30', 'p < 0.0001')
    """
    if p != p:
        return "p not estimable"
    if p < 0.0001:
        return "p < 0.0001"
    return f"p = {p:.{max(2, 1 - int(log10(p) // 1))}f}"
