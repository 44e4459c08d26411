"""Two variants on the same items, any score: tests on the item-level differences."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.stats.core._checks import as_rng, check_alternative, check_count
from bakeoff.stats.core._items import present_means
from bakeoff.stats.core._mean_fit import fit_mean
from bakeoff.stats.core._result import Alternative, TestResult
from bakeoff.stats.one._mean import no_interval_reason, t_p_value

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]

__all__ = ["one_sample_t", "sign_flip"]

EXACT_SIGN_FLIPS = 16
"""Enumerate all sign patterns up to this many non-zero differences (65,536 patterns)."""


def one_sample_t(differences: ArrayLike, *, alternative: Alternative = "two-sided") -> TestResult:
    """Test whether the mean difference is zero: t = mean / (sd / sqrt(n)) with n - 1 degrees of freedom.

    Applied to item-level differences this is the paired t test (Student 1908).

    Args:
        differences: Candidate minus baseline, one for each item; `nan` is left out.
        alternative: `greater` means that the mean difference is above zero.

    Returns:
        TestResult; p is `nan` with a reason below two items or without spread.

    Raises:
        StatsError: Differences that are not numbers or infinite.

    Examples:
        >>> darwin = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
        >>> round(one_sample_t(darwin).p_value, 4)
        0.0497
    """
    alternative = check_alternative(alternative)
    fit = fit_mean(present_means(differences, "differences"))
    usable = fit.se > 0
    return TestResult(
        p_value=t_p_value(fit.mean / fit.se, fit.df, alternative) if usable else nan,
        statistic=fit.mean / fit.se if usable else nan,
        df=fit.df,
        n=fit.n_units,
        method="paired_t",
        alternative=alternative,
        reason=no_interval_reason(fit),
        assumptions=("items are independent of each other",),
    )


def sign_flip(
    differences: ArrayLike,
    *,
    alternative: Alternative = "two-sided",
    mid_p: bool = False,
    resamples: int = 9_999,
    tail_bound: bool = False,
    rng: np.random.Generator | int = 0,
) -> TestResult:
    """Test the mean difference by flipping the sign of each item's difference (Fisher 1935).

    If the variants are exchangeable on each item, every pattern of signs is equally likely. Up to 16
    non-zero differences all patterns are enumerated; beyond that p = (k + 1)/(resamples + 1) with k
    the random patterns whose sum is at least as extreme.

    Coarse scores (ratings, means of a few pass/fail runs) tie often, and counting every tie in full makes the test
    careful far below its level: 2.4% instead of 5% for 20 items run twice. `mid_p` counts ties half (Lancaster 1961);
    on differences of -1, 0 and 1 that is McNemar's mid-p test.

    Args:
        differences: Candidate minus baseline, one for each item; `nan` is left out.
        alternative: `greater` means that the mean difference is above zero.
        mid_p: Count patterns that tie with the observed one half.
        resamples: Random patterns when there are too many to enumerate.
        tail_bound: Where none of the random patterns is as extreme as the observed one, report a bound on the share
            of all patterns that are (Chernoff 1952) if it is smaller than 1/(resamples + 1): p stays valid at every
            level, and a clear difference is not drowned by the correction over a large family.
        rng: Generator or seed.

    Returns:
        TestResult with the mean difference as `statistic`. All differences zero: p is 1.

    Raises:
        StatsError: Differences that are not numbers or infinite.

    Examples:
        >>> darwin = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
        >>> sign_flip(darwin).p_value * 2**15
        1726.0
        >>> ratings = [1, 0, 1, 0, 0, 2, 1, 0, 1, -1, 0, 1, 0, 1]
        >>> round(sign_flip(ratings).p_value, 3), round(sign_flip(ratings, mid_p=True).p_value, 3)
        (0.062, 0.035)
    """
    alternative = check_alternative(alternative)
    resamples = check_count(resamples, "resamples", minimum=99)
    values = present_means(differences, "differences")
    moved = values[values != 0]
    exact = moved.size <= EXACT_SIGN_FLIPS
    if values.size == 0:
        p, reason = nan, "no item has both scores"
    elif moved.size == 0:
        p, reason = 1.0, "all differences are zero"
    else:
        sums = _all_sums(moved) if exact else _random_sums(moved, resamples, as_rng(rng))
        more, ties = _extremes(sums, float(moved.sum()), float(np.abs(moved).sum()), alternative)
        counted = more + (ties / 2 if mid_p else ties)
        # The observed pattern is one of the patterns: all of them when enumerated, one more when drawn.
        p, reason = counted / sums.size if exact else (counted + 1) / (sums.size + 1), None
        if tail_bound and not exact and not more and not ties:
            p = min(p, _pattern_bound(moved, alternative))
    return TestResult(
        p_value=p,
        statistic=float(values.mean()) if values.size else nan,
        n=values.size,
        method=f"sign_flip{'_midp' if mid_p else ''}{'_exact' if exact else ''}",
        alternative=alternative,
        reason=reason,
        assumptions=("without an effect each item's difference is as likely to be positive as negative",),
    )


def _pattern_bound(values: Float, alternative: Alternative) -> float:
    """Bound the share of sign patterns that are as extreme as the observed one.

    For random signs s, P(sum s_i |d_i| >= x) <= exp(K(t) - t x) for every t > 0 with K(t) = sum log cosh(t d_i).
    At a p-value of 1/(resamples + 1) or above it is not used, below it is never less than the exact one: valid.
    """
    x = abs(float(values.sum()))
    if not x:
        return 1.0
    scaled, x = values / np.abs(values).max(), x / float(np.abs(values).max())
    grid = np.geomspace(1e-3, 60.0, 200)[:, None] * np.abs(scaled)
    log_cosh = grid + np.log1p(np.exp(-2 * grid)) - np.log(2.0)
    exponents = log_cosh.sum(axis=1) - np.geomspace(1e-3, 60.0, 200) * x
    sides = 2 if alternative == "two-sided" else 1
    return float(min(1.0, sides * np.exp(exponents.min())))


def _all_sums(values: Float) -> Float:
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate((sums + value, sums - value))
    return sums


def _random_sums(values: Float, resamples: int, rng: np.random.Generator) -> Float:
    """Sum of randomly signed values; eight items at a time from a table of their 256 signed sums."""
    padded = np.zeros(-(-values.size // 8) * 8)
    padded[: values.size] = values
    signs = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.float64) * 2 - 1
    tables = signs @ padded.reshape(-1, 8).T
    draws = rng.integers(0, 256, size=(tables.shape[1], resamples), dtype=np.uint8)
    sums = np.zeros(resamples)
    for column, draw in enumerate(draws):
        sums += tables[:, column].take(draw)
    return sums


def _extremes(sums: Float, observed: float, size: float, alternative: Alternative) -> tuple[int, int]:
    """Count the patterns that are more extreme than the observed one, and those that tie with it."""
    slack = 1e-10 * size  # sums equal but for rounding count as ties
    if alternative == "two-sided":
        if abs(observed) <= slack:
            return sums.size, 0  # no difference at all: p is 1, ties or not
        sums, observed = np.abs(sums), abs(observed)
    elif alternative == "less":
        sums, observed = -sums, -observed
    more = int(np.count_nonzero(sums > observed + slack))
    return more, int(np.count_nonzero(sums >= observed - slack)) - more
