"""Numbers the way people read them: pass rates in percent, gaps in points, everything else with its unit."""

from __future__ import annotations

from math import isinf, isnan
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bakeoff.regression._observations import MetricFacts

__all__ = ["gap", "span", "value"]


def value(number: float, facts: MetricFacts) -> str:
    """Write a level: `81.5%`, `1,240 ms`, `0.873`."""
    if isnan(number):
        return "-"
    if isinf(number):
        return "unbounded"
    if facts.kind == "binary":
        return f"{100 * number:.1f}%"
    return _plain(number, facts.unit)


def gap(number: float, facts: MetricFacts, *, signed: bool = True) -> str:
    """Write a difference: `-3.5 points`, `+120 ms`."""
    if isnan(number):
        return "-"
    sign = "+" if signed and number > 0 else ""
    if isinf(number):
        return "unbounded"
    if facts.kind == "binary":
        text = f"{100 * number:.1f}"
        return f"{sign}{'0.0' if text == '-0.0' else text} points"
    return f"{sign}{_plain(number, facts.unit)}"


def span(low: float, high: float, facts: MetricFacts, *, signed: bool = False) -> str:
    """Write an interval: `-7.9 to +0.9 points`, `83.0% to 91.2%`."""
    first, second = (gap(low, facts), gap(high, facts)) if signed else (value(low, facts), value(high, facts))
    number, _, unit = first.partition(" ")
    return f"{number if unit and second.endswith(unit) else first} to {second}"


def _plain(number: float, unit: str) -> str:
    if unit == "USD":
        return f"{number:.4g} USD"
    text = f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.4g}" if abs(number) >= 100 else f"{number:.3g}"
    return f"{text} {unit}" if unit else text
