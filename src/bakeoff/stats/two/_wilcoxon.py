"""Exact signed-rank test with ties, and the Hodges-Lehmann estimate."""

from __future__ import annotations

from math import floor, nan, sqrt
from typing import TYPE_CHECKING, Literal

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import as_scores, check_alternative, check_confidence
from bakeoff.stats.core._dist import norm_sf, z_value
from bakeoff.stats.core._items import item_means
from bakeoff.stats.core._result import Alternative, Estimate, TestResult

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]

__all__ = ["hodges_lehmann", "wilcoxon"]

EXACT_UP_TO = 300
"""Items up to which the null distribution is computed exactly."""

WALSH_AT_ONCE = 1_500
"""Items up to which all pairwise averages are held in memory."""


def wilcoxon(
    differences: ArrayLike, *, alternative: Alternative = "two-sided", zeros: Literal["wilcox", "pratt"] = "wilcox"
) -> TestResult:
    """Test whether item-level differences are symmetric about zero, by signed ranks (Wilcoxon 1945).

    Tied absolute differences get the mean of their ranks, and the null distribution is computed for
    exactly these ranks by dynamic programming, so ties cost no accuracy (common software falls back
    to a normal approximation). Above 300 non-zero differences the normal approximation is used.

    This tests symmetry about zero, not the mean: for the mean of a score prefer `sign_flip`.

    Args:
        differences: Candidate minus baseline, one for each item; `nan` is left out.
        alternative: `greater` means that the candidate tends to be higher.
        zeros: `wilcox` drops zero differences before ranking, `pratt` after (Pratt 1959).

    Returns:
        TestResult with the sum of positive ranks as `statistic`. All differences zero: p is 1.

    Raises:
        StatsError: Differences that are not numbers, or an unknown policy.

    Examples:
        >>> darwin = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
        >>> r = wilcoxon(darwin)
        >>> r.statistic, round(r.p_value, 5)
        (96.0, 0.04126)
    """
    alternative = check_alternative(alternative)
    if zeros not in ("wilcox", "pratt"):
        raise StatsError(f"zeros must be 'wilcox' or 'pratt', got {zeros!r}")
    means, counts = item_means(as_scores(differences, "differences"))
    values = means[counts > 0]
    n = values.size
    if zeros == "wilcox":
        values = values[values != 0]
    doubled = _double_ranks(np.abs(values))
    doubled, positive = doubled[values != 0], values[values != 0] > 0
    exact = doubled.size <= EXACT_UP_TO
    statistic, p, reason = nan, nan, None
    if doubled.size:
        statistic = float(doubled[positive].sum()) / 2
        p = _exact_p(doubled, positive, alternative) if exact else _normal_p(doubled, positive, alternative)
    elif n:
        p, reason = 1.0, "all differences are zero"
    else:
        reason = "no item has both scores"
    return TestResult(
        p_value=p,
        statistic=statistic,
        n=n,
        method="wilcoxon_exact" if exact else "wilcoxon",
        direction=int(np.sign(doubled[positive].sum() - doubled[~positive].sum())),
        alternative=alternative,
        reason=reason,
        assumptions=("without an effect the differences are symmetric about zero",),
    )


def _double_ranks(sizes: Float) -> NDArray[np.intp]:
    """Twice the mid-ranks, which are whole numbers; sizes equal but for rounding tie."""
    if not sizes.size:
        return np.zeros(0, dtype=np.intp)
    order = np.argsort(sizes, kind="stable")
    ordered = sizes[order]
    new = np.concatenate(([True], np.diff(ordered) > 1e-12 * ordered[-1]))
    group = np.cumsum(new) - 1
    ends = np.append(np.flatnonzero(new)[1:], sizes.size)
    starts = np.flatnonzero(new)
    ranks = np.empty(sizes.size, dtype=np.intp)
    ranks[order] = (starts + 1 + ends)[group]
    return ranks


def _null_distribution(doubled: NDArray[np.intp]) -> Float:
    """Distribution of the sum of ranks that each enter with probability one half."""
    pmf = np.zeros(int(doubled.sum()) + 1)
    pmf[0] = 1.0
    top = 0
    for rank in np.sort(doubled).tolist():
        pmf[rank : top + rank + 1] += pmf[: top + 1].copy()
        top += rank
        pmf[: top + 1] *= 0.5
    return pmf


def _exact_p(doubled: NDArray[np.intp], positive: NDArray[np.bool_], alternative: Alternative) -> float:
    pmf = _null_distribution(doubled)
    observed = int(doubled[positive].sum())
    lower, upper = float(pmf[: observed + 1].sum()), float(pmf[observed:].sum())
    if alternative == "two-sided":
        return min(1.0, 2 * min(lower, upper))
    return min(1.0, upper if alternative == "greater" else lower)


def _normal_p(doubled: NDArray[np.intp], positive: NDArray[np.bool_], alternative: Alternative) -> float:
    signed = np.where(positive, doubled, -doubled).astype(np.float64)
    z = float(signed.sum()) / sqrt(float(signed @ signed))
    if alternative == "two-sided":
        return min(1.0, 2 * float(norm_sf(abs(z))))
    return float(norm_sf(z if alternative == "greater" else -z))


def hodges_lehmann(differences: ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Estimate the centre of symmetry of the differences: the median of all pairwise averages.

    The interval runs between the k-th smallest and k-th largest average, k from the signed-rank
    distribution (Hodges & Lehmann 1963); its level is at least `confidence`.

    Args:
        differences: Candidate minus baseline, one for each item; `nan` is left out.
        confidence: Level of the interval.

    Returns:
        Estimate; too few items for the level give a `nan` interval with a reason.

    Raises:
        StatsError: Differences that are not numbers, or a confidence outside (0, 1).

    Examples:
        >>> darwin = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
        >>> e = hodges_lehmann(darwin)
        >>> e.estimate, e.low, e.high
        (25.0, 4.0, 41.5)
    """
    confidence = check_confidence(confidence)
    means, counts = item_means(as_scores(differences, "differences"))
    values = np.sort(means[counts > 0])
    n = values.size
    total = n * (n + 1) // 2
    estimate, low, high, reason = nan, nan, nan, None
    if n:
        estimate = 0.5 * (_walsh(values, (total + 1) // 2) + _walsh(values, total // 2 + 1))
    k = _rank_quantile(n, (1 - confidence) / 2) if n else 0
    if n == 0:
        reason = "no item has both scores"
    elif k < 1:
        reason = f"no interval: {n} items are too few for a {100 * confidence:g}% signed-rank interval"
    elif values[0] == values[-1]:
        reason = "no interval: the difference is the same everywhere, so its spread cannot be estimated"
    else:
        low, high = _walsh(values, k), _walsh(values, total + 1 - k)
    return Estimate(
        estimate=estimate,
        low=low,
        high=high,
        confidence=confidence,
        n=n,
        method="hodges_lehmann",
        reason=reason,
        assumptions=("the differences are symmetric about their centre",),
    )


def _rank_quantile(n: int, tail: float) -> int:
    """Largest k with P(signed-rank sum < k) at most `tail`."""
    if n > EXACT_UP_TO:
        return floor(n * (n + 1) / 4 - z_value(1 - 2 * tail) * sqrt(n * (n + 1) * (2 * n + 1) / 24))
    below = np.cumsum(_null_distribution(np.arange(1, n + 1)))
    return int(np.searchsorted(below, tail * (1 + 1e-12), side="right"))


def _walsh(ordered: Float, k: int) -> float:
    """k-th smallest (from 1) of the averages of all pairs i <= j."""
    n = ordered.size
    if n <= WALSH_AT_ONCE:
        i, j = np.triu_indices(n)
        return float(np.partition((ordered[i] + ordered[j]) / 2, k - 1)[k - 1])
    low, high = float(ordered[0]), float(ordered[-1])
    position = np.arange(n)
    for _ in range(60):
        middle = 0.5 * (low + high)
        count = int(np.maximum(np.searchsorted(ordered, 2 * middle - ordered, side="right") - position, 0).sum())
        low, high = (low, middle) if count >= k else (middle, high)
    return high
