"""Numbers in words: rounded to what the interval supports."""

from __future__ import annotations

from math import ceil, inf, isfinite, log10, nan

__all__ = ["format_interval", "format_p", "format_span", "format_value", "supported_decimals"]


_MOST_DECIMALS = 6
"""Beyond it numbers are written with a power of ten."""


def supported_decimals(low: float, high: float, *, estimate: float = nan, most: int = 15) -> int:
    """Count the decimals that an interval supports: its half-width keeps two significant digits at most.

    Of a one-sided interval the finite arm counts; without an interval, a tenth of the estimate.

    Examples:
        >>> supported_decimals(0.12, 0.34)
        2
        >>> supported_decimals(-3.1, 9.4)
        0
    """
    half = (high - low) / 2
    if not isfinite(half):
        arms = [abs(end - estimate) for end in (low, high) if isfinite(end)]
        half = arms[0] if arms else abs(estimate) / 10
    if not isfinite(half) or half <= 0:
        return 3
    return min(max(1 + ceil(-log10(half) - 0.3), 0), most)


def format_value(value: float, decimals: int, *, signed: bool = False, points: bool = False) -> str:
    """Format a number; `points` shows a difference of rates in percentage points."""
    if not isfinite(value):
        return "not estimable" if value != value else ("infinity" if value > 0 else "-infinity")
    if points:
        value, decimals = 100 * value, max(decimals - 2, 0)
    if decimals > _MOST_DECIMALS and 0 < abs(value) < 10.0 ** (2 - _MOST_DECIMALS):
        return f"{value:+.3g}" if signed else f"{value:.3g}"
    rounded = round(value, decimals) + 0.0  # no minus zero
    return f"{rounded:+,.{decimals}f}" if signed and rounded != 0 else f"{rounded:,.{decimals}f}"


def format_interval(low: float, high: float, decimals: int, *, signed: bool = False, points: bool = False) -> str:
    """Format `low to high` at the given number of decimals."""
    ends = (format_value(end, decimals, signed=signed, points=points) for end in (low, high))
    return " to ".join(ends)


def format_span(low: float, high: float, decimals: int, *, points: bool = False) -> str:
    """Format an interval of a difference; an open side is said in words.

    Examples:
        >>> format_span(-0.012, 0.034, 3, points=True), format_span(1.5, float("inf"), 1)
        ('-1.2 to +3.4', '+1.5 or more')
    """
    if isfinite(low) and high == inf:
        return f"{format_value(low, decimals, signed=True, points=points)} or more"
    if low == -inf and isfinite(high):
        return f"{format_value(high, decimals, signed=True, points=points)} or less"
    return format_interval(low, high, decimals, signed=True, points=points)


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
