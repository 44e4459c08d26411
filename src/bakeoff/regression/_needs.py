"""What would decide an inconclusive rule: how many more items, or how many repeats."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, isfinite
from typing import TYPE_CHECKING

from bakeoff.stats import typical_values, variance_components

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bakeoff.stats import Kind

    Float = NDArray[np.float64]

__all__ = ["Need", "need_for"]

_MANY = 200
_FEW_ITEMS = 10
"""Fewer items than this hardly know their own spread."""
_MOST_ITEMS = 100_000
"""Number of items up to which one is worth naming, however few there are now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What it would take to decide, with the declared power."""

    items: int | None
    """Items in all, at today's repeats."""
    repeats: int | None
    """Repeats of each item, on today's items; `None` when no number would do."""
    sentence: str


def need_for(
    *,
    distance: float,
    se: float,
    n_items: int,
    scores: Float,
    kind: Kind,
    alpha: float,
    power: float,
    given: str,
    own_share: float = 1.0,
) -> Need | None:
    """Return what would decide a rule: items scale the error with 1/sqrt(n), repeats only their part of it.

    n' = n ((z_alpha + z_power) se / distance)^2; the repeats' part comes from the scores where an item ran twice or
    more, and is the typical share otherwise.

    Args:
        distance: From the assumed truth to the threshold.
        se: Standard error now.
        n_items: Items now.
        scores: The candidate's, shape (items, repeats).
        kind: Kind of score.
        alpha: Error of the bound.
        power: Chance of deciding.
        given: The assumed truth, in words.
        own_share: Part of the repeatable variance that belongs to the candidate (half, where the baseline is fixed).

    Returns:
        `None` where the error is not estimable or the distance is nothing.
    """
    from scipy.special import ndtri

    if not (se > 0 and isfinite(se) and distance > 0):
        return None
    ratio = (distance / ((float(ndtri(1 - alpha)) + float(ndtri(power))) * se)) ** 2  # of variances: wanted / now
    if ratio >= 1:
        return None
    items = _rounded(ceil(n_items / ratio))
    share, measured = _repeatable(scores, kind)
    share *= own_share
    repeats: int | None = None
    now = scores.shape[1]
    if share > 0 and ratio > 1 - share:
        repeats = ceil(share * now / (ratio - (1 - share)))
        repeats = repeats if repeats <= _MANY else None
    most = max(1000 * n_items, _MOST_ITEMS)
    if items > most:
        told = f"Even {most:,} items would not decide this {given}: what is measured is too close to the threshold."
        return Need(items=None, repeats=None, sentence=told)
    parts = [f"about {items:,} items in all ({items - n_items:,} more) would decide this {given}"]
    if repeats is not None:
        guess = "" if measured else ", by the typical share of generation noise"
        parts.append(f"or {repeats} repeats of each item{guess}")
    else:
        more = ", unless the baseline had more of them too" if own_share < 1 and share > 0 else ""
        parts.append(f"repeats of the same items would not{more}")
    text = "; ".join(parts)
    rough = f"; a rough guess from {n_items} items" if n_items < _FEW_ITEMS else ""
    return Need(items=items, repeats=repeats, sentence=f"{text[0].upper()}{text[1:]} ({power:.0%} power{rough}).")


def _repeatable(scores: Float, kind: Kind) -> tuple[float, bool]:
    """Return the share of an item's variance, at today's repeats, that more repeats reduce; and whether it is known."""
    if scores.shape[1] > 1:
        split = variance_components(scores)
        k = max(split.repeats, 1.0)
        total = split.items + split.generation / k
        if isfinite(total) and total > 0:
            return max(0.0, min(1.0, split.generation / k / total)), True
    return typical_values(kind).generation_share, False


def _rounded(count: int) -> int:
    magnitude = 10 ** max(len(str(count)) - 2, 0)
    return -(-count // magnitude) * magnitude
