"""Where a planned design reaches its power: by difference, by number of items."""

from __future__ import annotations

from math import ceil, inf, isfinite, nan, sqrt
from typing import Literal

from bakeoff.stats.planning._design import ComparisonDesign, planned_power
from bakeoff.stats.planning._looks import solve_increasing

__all__ = ["MAX_ITEMS", "call_count", "first_size_reaching", "smallest_visible"]

MAX_ITEMS = 1_000_000


def call_count(n: int, design: ComparisonDesign) -> int:
    """Return how many answers the plan asks for: items x repeats x variants."""
    return n * design.repeats * design.n_variants


def smallest_visible(
    n: int, design: ComparisonDesign
) -> tuple[float, Literal["either", "gain", "loss", "none"], str | None]:
    """Return the smallest difference that reaches the power, its direction, and why there is none."""
    if n < 2:
        return nan, "none", "at least two items are needed"
    if design.clustered and n / design.cluster_size < 2:
        return nan, "none", "at least two clusters are needed"
    if design.goal != "difference":
        margin = _search(n, 1, design, 1.0 if design.kind != "continuous" else inf)
        return margin, "none" if margin != margin else "either", None if margin == margin else "too few items"
    signs = {"two-sided": (1, -1), "greater": (1,), "less": (-1,)}[design.alternative]
    found = {sign: _search(n, sign, design, design.room(sign)) for sign in signs[:1]}
    gain = found[signs[0]]
    words: dict[int, Literal["gain", "loss"]] = {1: "gain", -1: "loss"}
    if gain == gain:
        if len(signs) == 1:
            return gain, words[signs[0]], None
        return gain, "either" if gain <= design.room(-1) else "gain", None
    if len(signs) == 2:
        loss = _search(n, -1, design, design.room(-1))
        if loss == loss:
            return loss, "loss", None
    return nan, "none", "even the largest possible difference would be missed too often"


def _search(n: int, sign: int, design: ComparisonDesign, room: float) -> float:
    def power(size: float) -> float:
        return planned_power(n, sign * size, design=design)

    if isfinite(room):
        high = room
        if not power(high) >= design.power:
            return nan
    else:
        high = sqrt(design.variance())
        while not power(high) >= design.power:
            high *= 2
            if high > 1e9 * sqrt(design.variance()):
                return nan
    return solve_increasing(power, design.power, 0.0, high, tolerance=1e-5)


def first_size_reaching(difference: float, design: ComparisonDesign) -> int | None:
    """Return the first number of items whose power is enough; None beyond `MAX_ITEMS`."""
    start = max(2, ceil(2 * design.cluster_size) if design.clustered else 2)

    def reaches(n: int) -> bool:
        return planned_power(n, difference, design=design) >= design.power

    low, high = start - 1, start
    while not reaches(high):
        low, high = high, 2 * high
        if high > MAX_ITEMS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    window = min(60, max(12, high // 20))
    for n in range(high + window, high, -1):
        if not reaches(n):
            return n + 1
    return high
