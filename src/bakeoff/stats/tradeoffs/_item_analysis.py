"""Item analysis: which items tell variants apart, which are dead, which look mislabelled."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan, sqrt
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.stats.core._checks import as_matrix, check_confidence
from bakeoff.stats.core._dist import z_value

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]

__all__ = ["ItemAnalysis", "item_analysis", "score_matrix"]

_FEW_SUBJECTS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemAnalysis:
    """Classical item statistics; arrays have shape (items,)."""

    mean: NDArray[np.float64]
    """Average score of the item over subjects; low is hard."""
    discrimination: NDArray[np.float64]
    """Correlation of the item with the mean of the other items; `nan` for an item without variation."""
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    """Fisher-z interval of the discrimination."""
    dead: NDArray[np.bool_]
    """Every subject has the same score: the item tells nothing about differences."""
    suspect: NDArray[np.bool_]
    """Discrimination below 0 with its whole interval: a wrong key, or a trick question."""
    reliability: float
    """Cronbach's alpha (KR-20 for pass/fail) over complete subjects."""
    n_subjects: int
    reason: str | None = None
    warnings: tuple[str, ...] = ()


def score_matrix(scores: ArrayLike, name: str = "scores") -> Float:
    """Return scores of shape (subjects, items), finite or nan."""
    return as_matrix(scores, name, "variants, items")


def item_analysis(scores: ArrayLike, *, confidence: float = 0.95) -> ItemAnalysis:
    """Say how hard each item is and how well it separates strong from weak subjects.

    Subjects are variants, or (variant, repeat) pairs. Discrimination is the corrected item-total (item-rest)
    correlation; interval by Fisher's z with `1/sqrt(n - 3)`. Dropping dead items changes the mean score but not the
    differences between these variants; a future variant may still fail an item that all pass today.

    Args:
        scores: Shape (subjects, items); `nan` is missing.
        confidence: Confidence of the intervals.

    Returns:
        One row of statistics per item.

    Raises:
        StatsError: If `scores` is not two-dimensional or holds an infinite value.

    Examples:
        >>> result = item_analysis([[1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 1], [1, 0, 0, 0], [1, 1, 1, 1]])
        >>> result.dead.tolist(), result.discrimination[1:3].round(2).tolist()
        ([True, False, False, False], [0.33, 0.65])
    """
    confidence = check_confidence(confidence)
    x = score_matrix(scores)
    subjects, items = x.shape
    seen = ~np.isnan(x)
    counts = seen.sum(axis=0)
    filled = np.where(seen, x, 0.0)
    mean = np.where(counts > 0, filled.sum(axis=0) / np.maximum(counts, 1), nan)
    some = counts > 0
    top = np.where(seen, x, -np.inf).max(axis=0, initial=-np.inf)
    bottom = np.where(seen, x, np.inf).min(axis=0, initial=np.inf)
    dead = some & (top == bottom)
    # Mean of the other items that the subject answered.
    others = seen.sum(axis=1, keepdims=True) - seen
    rest = np.where(others > 0, (filled.sum(axis=1, keepdims=True) - filled) / np.maximum(others, 1), nan)
    both = seen & ~np.isnan(rest)
    r = _correlations(x, rest, both)
    n = both.sum(axis=0)
    half = z_value(confidence) / np.sqrt(np.maximum(n - 3, 1))
    fisher = np.arctanh(np.clip(r, -1 + 1e-12, 1 - 1e-12))
    low, high = (np.where(n > 3, np.tanh(fisher + side * half), nan) for side in (-1, 1))
    warnings: tuple[str, ...] = ()
    if subjects < _FEW_SUBJECTS:
        warnings = (f"{subjects} subjects: discriminations are rough; use them to find dead and suspect items only",)
    return ItemAnalysis(
        mean=mean,
        discrimination=r,
        low=low,
        high=high,
        dead=dead,
        suspect=np.nan_to_num(high, nan=1.0) < 0,
        reliability=_cronbach(x[seen.all(axis=1)]),
        n_subjects=subjects,
        reason="no subjects or no items" if subjects == 0 or items == 0 else None,
        warnings=warnings,
    )


def _correlations(x: Float, y: Float, both: NDArray[np.bool_]) -> Float:
    n = np.maximum(both.sum(axis=0), 1)
    a, b = np.where(both, x, 0.0), np.where(both, y, 0.0)
    a = np.where(both, a - a.sum(axis=0) / n, 0.0)
    b = np.where(both, b - b.sum(axis=0) / n, 0.0)
    spread = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    return np.where(spread > 1e-12, (a * b).sum(axis=0) / np.where(spread > 1e-12, spread, 1.0), nan)


def _cronbach(x: Float) -> float:
    subjects, items = x.shape
    if subjects < 2 or items < 2:
        return nan
    total = float(x.sum(axis=1).var(ddof=1))
    if sqrt(total) < 1e-12:
        return nan
    return items / (items - 1) * (1 - float(x.var(axis=0, ddof=1).sum()) / total)
