"""Whether a judge stands by its preference when the order is swapped."""

from __future__ import annotations

from math import nan, sqrt
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.stats.core._checks import check_confidence
from bakeoff.stats.core._dist import z_value
from bakeoff.stats.core._result import Estimate
from bakeoff.stats.core._wilson import wilson_interval
from bakeoff.stats.ranking._data import read_comparisons

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]

__all__ = ["swap_consistency"]


def swap_consistency(
    first: ArrayLike, second: ArrayLike, outcome: ArrayLike, *, items: ArrayLike, confidence: float = 0.95
) -> Estimate:
    """Estimate how often a judge prefers the same variant when the order is swapped.

    Counted over (item, pair) with a verdict in both orders; a tie agrees with a tie only. Wilson interval.

    Args:
        first: Variant shown first.
        second: Variant shown second.
        outcome: 1 when the first wins, 0 when the second wins, 0.5 for a tie, `nan` for no verdict.
        items: Item of each comparison.
        confidence: Confidence of the interval.

    Returns:
        The share; `nan` with a reason when no pair was judged in both orders.

    Raises:
        StatsError: If lengths differ or an outcome is unknown.

    Examples:
        >>> result = swap_consistency(["a", "b", "a", "b"], ["b", "a", "b", "a"], [1, 0, 1, 1], items=[1, 1, 2, 2])
        >>> result.estimate, result.n
        (0.5, 2)
    """
    confidence = check_confidence(confidence)
    data = read_comparisons(first, second, outcome, items, None, None)
    forward = data.first < data.second
    low, high = np.minimum(data.first, data.second), np.maximum(data.first, data.second)
    key = (data.codes * len(data.names) + low) * len(data.names) + high
    uniques, code = np.unique(key, return_inverse=True)
    # Winner seen from the variant that comes first in the alphabet: +1, 0, -1, averaged over repeats of one order.
    verdict = np.where(forward, 1, -1) * (1 - data.outcome)
    means: list[Float] = []
    for mask in (forward, ~forward):
        total = np.bincount(code[mask], minlength=len(uniques))
        summed = np.bincount(code[mask], weights=verdict[mask], minlength=len(uniques))
        means.append(np.where(total > 0, summed / np.maximum(total, 1), nan))
    both = ~np.isnan(means[0]) & ~np.isnan(means[1])
    n = int(both.sum())
    if n == 0:
        return Estimate(
            estimate=nan, low=nan, high=nan, confidence=confidence, n=0, method="wilson",
            reason="no pair was judged in both orders on the same item",
        )  # fmt: skip
    share = float((np.sign(means[0][both]) == np.sign(means[1][both])).mean())
    bottom, top = wilson_interval(share, n, z_value(confidence))
    return Estimate(
        estimate=share, low=float(bottom), high=float(top), confidence=confidence, n=n, method="wilson",
        se=sqrt(share * (1 - share) / n),
    )  # fmt: skip
