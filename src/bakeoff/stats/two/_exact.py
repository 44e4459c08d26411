"""Exact and permutation tests for independent items."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import as_rng, check_alternative, check_count
from bakeoff.stats.core._dist import binom_pmf, log_beta
from bakeoff.stats.core._items import present_means
from bakeoff.stats.core._result import Alternative, TestResult

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]

__all__ = ["boschloo_p", "fisher_p", "permutation_test"]

BOSCHLOO_TABLES = 300_000
FEW_VALUES = 32


def _log_choose(n: int, k: NDArray[np.intp]) -> Float:
    return -np.log(n + 1.0) - log_beta(n - k + 1.0, k + 1.0)


def fisher_p(x1: int, n1: int, x2: int, n2: int, alternative: Alternative, *, midp: bool = False) -> float:
    """P-value of Fisher's exact test; two-sided sums the tables no likelier than the observed one."""
    passed = x1 + x2
    x = np.arange(max(0, passed - n2), min(n1, passed) + 1)
    pmf = np.exp(_log_choose(n1, x) + _log_choose(n2, passed - x) - _log_choose(n1 + n2, np.array([passed])))
    here = float(pmf[x == x1][0])
    if alternative == "two-sided":
        p = float(pmf[pmf <= here * (1 + 1e-7)].sum())
    else:
        p = float(pmf[x >= x1].sum()) if alternative == "greater" else float(pmf[x <= x1].sum())
    return min(1.0, p - 0.5 * here if midp else p)


def boschloo_p(x1: int, n1: int, x2: int, n2: int, alternative: Alternative) -> float:
    """P-value of Boschloo's test: Fisher's p as statistic, maximised over the unknown common rate.

    Two-sided is twice the smaller one-sided p-value.
    """
    if (n1 + 1) * (n2 + 1) > BOSCHLOO_TABLES:
        raise StatsError(f"boschloo is for small samples, got n = {n1} and {n2}; the score test is accurate here")
    if alternative == "greater":
        return _boschloo_greater(x1, n1, x2, n2)
    if alternative == "less":
        return _boschloo_greater(x2, n2, x1, n1)
    return min(1.0, 2 * min(_boschloo_greater(x1, n1, x2, n2), _boschloo_greater(x2, n2, x1, n1)))


def _boschloo_greater(x1: int, n1: int, x2: int, n2: int) -> float:
    first, second = np.arange(n1 + 1), np.arange(n2 + 1)
    joint = _log_choose(n1, first)[:, None] + _log_choose(n2, second)[None, :]
    passed = first[:, None] + second[None, :]
    pmf = np.exp(joint - _log_choose(n1 + n2, np.arange(n1 + n2 + 1))[passed])
    # Upper tail given the margin: accumulate along each anti-diagonal from the largest x1 down.
    tail = pmf.copy()
    for row in range(n1 - 1, -1, -1):
        tail[row, 1:] += tail[row + 1, :-1]
    region = (tail <= tail[x1, x2] * (1 + 1e-9)).astype(np.float64)
    low, high, best = 0.0, 1.0, 0.0
    for points in (257, 65, 65):
        rates = np.linspace(low, high, points)
        one = binom_pmf(first, n1, rates[:, None])
        two = binom_pmf(second, n2, rates[:, None])
        sizes = np.einsum("gi,ij,gj->g", one, region, two, optimize=True)
        top, step = int(np.argmax(sizes)), (high - low) / (points - 1)
        best = max(best, float(sizes[top]))
        low, high = max(0.0, rates[top] - step), min(1.0, rates[top] + step)
    return min(1.0, best)


def permutation_test(
    candidate: ArrayLike,
    baseline: ArrayLike,
    *,
    alternative: Alternative = "two-sided",
    resamples: int = 9_999,
    rng: np.random.Generator | int = 0,
) -> TestResult:
    """Test whether two sets of independent items have the same mean, by shuffling the labels.

    The statistic is Welch's t, so the test stays valid for unequal variances in large samples
    (Janssen 1997; Chung & Romano 2013). p = (k + 1)/(resamples + 1), k shuffles at least as extreme.

    Args:
        candidate: Shape (items,) or (items, repeats); `nan` is left out.
        baseline: Likewise.
        alternative: `greater` means that the candidate is higher.
        resamples: Number of shuffles.
        rng: Generator or seed.

    Returns:
        TestResult; below two items on a side p is `nan` with a reason.

    Raises:
        StatsError: Scores that are not numbers, or resamples below 99.

    Examples:
        >>> p = permutation_test([3.0, 4.0, 5.0, 4.0, 5.0], [2.0, 3.0, 2.0, 3.0, 2.0]).p_value
        >>> 0.005 < p < 0.05
        True
    """
    alternative = check_alternative(alternative)
    resamples = check_count(resamples, "resamples", minimum=99)
    a, b = present_means(candidate, "candidate"), present_means(baseline, "baseline")
    n1, n2 = a.size, b.size
    p, statistic, reason = nan, nan, None
    pooled = np.concatenate([a, b])
    if min(n1, n2) < 2:
        reason = "each side needs at least two scored items"
    elif pooled.min() == pooled.max():
        p, reason = 1.0, "all scores are equal"
    else:
        pooled = pooled - pooled.mean()
        ends = pooled[:n1]
        observed = _welch_t(np.array([ends.sum()]), np.array([ends @ ends]), n1, n2, pooled)
        statistic = float(observed[0])
        draws = _welch_t(*_shuffled(pooled, n1, resamples, as_rng(rng)), n1, n2, pooled)
        slack = 1e-9 * abs(statistic)
        if alternative == "two-sided":
            extreme = np.abs(draws) >= abs(statistic) - slack
        else:
            extreme = draws >= statistic - slack if alternative == "greater" else draws <= statistic + slack
        p = (int(np.count_nonzero(extreme)) + 1) / (resamples + 1)
    return TestResult(
        p_value=p,
        statistic=statistic,
        n=n1 + n2,
        method="permutation",
        alternative=alternative,
        reason=reason,
        assumptions=("all items are independent of each other",),
    )


def _shuffled(pooled: Float, n1: int, resamples: int, rng: np.random.Generator) -> tuple[Float, Float]:
    """Sum and sum of squares of the first side in each shuffle."""
    values, counts = np.unique(pooled, return_counts=True)
    if values.size <= FEW_VALUES:
        draws = rng.multivariate_hypergeometric(counts, n1, size=resamples, method="marginals")
        return draws @ values, draws @ (values * values)
    sums, squares = np.empty(resamples), np.empty(resamples)
    rows = max(1, 500_000 // pooled.size)
    for start in range(0, resamples, rows):
        stop = min(start + rows, resamples)
        side = rng.permuted(np.broadcast_to(pooled, (stop - start, pooled.size)), axis=1)[:, :n1]
        sums[start:stop], squares[start:stop] = side.sum(axis=1), (side * side).sum(axis=1)
    return sums, squares


def _welch_t(sums: Float, squares: Float, n1: int, n2: int, pooled: Float) -> Float:
    other_sums, other_squares = pooled.sum() - sums, pooled @ pooled - squares
    v1 = np.maximum(squares - sums**2 / n1, 0.0) / (n1 - 1) / n1
    v2 = np.maximum(other_squares - other_sums**2 / n2, 0.0) / (n2 - 1) / n2
    difference = sums / n1 - other_sums / n2
    floor = 1e-12 * float(pooled @ pooled) / (n1 + n2) / (n1 + n2)
    return difference / np.sqrt(np.maximum(v1 + v2, floor))
