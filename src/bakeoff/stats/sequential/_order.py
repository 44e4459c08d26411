"""A check that items were shuffled: every sequential guarantee needs it."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan, sqrt
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.stats.core._checks import as_scores, check_alpha
from bakeoff.stats.core._dist import norm_sf
from bakeoff.stats.core._items import item_means
from bakeoff.stats.core._result import TestResult

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]

__all__ = ["OrderCheck", "order_check"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCheck(TestResult):
    """Whether the order of the items carries information about their scores."""

    shuffled: bool | None
    """False when the order is clearly not random; None when it cannot be judged."""
    correlation: float = nan
    """Rank correlation of score and position, in [-1, 1]."""
    runs: int = 0
    """Runs of scores above and below the mean."""
    expected_runs: float = nan


def _ranks(x: Float) -> Float:
    _, inverse, counts = np.unique(x, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[inverse], dtype=np.float64)


def order_check(scores: ArrayLike, *, alpha: float = 0.001) -> OrderCheck:
    """Check whether scores depend on the order in which their items came.

    Two tests, Bonferroni-corrected: rank correlation with position (sorted by difficulty) and the
    Wald-Wolfowitz runs test about the mean (blocks of one topic). Both permutation-normal:
    `z = r sqrt(n - 1)`, and `runs` with mean `1 + 2 n1 n0 / n` and variance `(mu - 1)(mu - 2) / (n - 1)`.

    Args:
        scores: Shape (items,) in order of arrival, or (items, repeats), which are averaged. nan is left out.
        alpha: Small, because the check is repeated and only warns.

    Returns:
        p-value, correlation and runs; `shuffled` is None below 20 items or when all scores are equal.

    Raises:
        StatsError: Infinite scores or a wrong shape.

    References:
        Wald and Wolfowitz 1940, Annals of Mathematical Statistics 11.

    Examples:
        >>> order_check([0.0] * 50 + [1.0] * 50).shuffled
        False
        >>> order_check([0.0, 1.0, 1.0, 0.0, 1.0] * 3).reason
        'needs 20 scored items, has 15'
    """
    check_alpha(alpha)
    array = as_scores(scores)
    x, _ = item_means(array)
    x = x[~np.isnan(x)]
    n = x.size
    why = f"needs 20 scored items, has {n}" if n < 20 else "all scores are equal" if np.ptp(x) == 0 else None
    if why is not None:
        return OrderCheck(p_value=nan, n=n, method="order_check", shuffled=None, reason=why)
    ranks, position = _ranks(x), np.arange(n, dtype=np.float64)
    correlation = float(np.corrcoef(ranks, position)[0, 1])
    above = x > x.mean()
    n1 = int(above.sum())
    runs = 1 + int((above[1:] != above[:-1]).sum())
    expected = 1 + 2 * n1 * (n - n1) / n
    variance = (expected - 1) * (expected - 2) / (n - 1)
    z_runs = (runs - expected) / sqrt(variance) if variance > 0 else 0.0
    z = max(abs(correlation) * sqrt(n - 1), abs(z_runs))
    p = min(1.0, 4.0 * float(norm_sf(z)))
    shuffled = p >= alpha
    warning = (
        "scores depend on the order of the items (sorted or in blocks): shuffle the dataset, "
        "or early stopping and its error rate are not valid"
    )
    return OrderCheck(
        p_value=p,
        statistic=z,
        n=n,
        method="order_check",
        shuffled=shuffled,
        correlation=correlation,
        runs=runs,
        expected_runs=expected,
        warnings=() if shuffled else (warning,),
    )
