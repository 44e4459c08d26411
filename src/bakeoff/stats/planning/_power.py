"""Power of the tests that Bakeoff runs: exact where enumeration is cheap, the usual formula elsewhere."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal, cast, get_args

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import check_alpha, check_alternative, check_count, check_unit
from bakeoff.stats.core._dist import binom_cdf, binom_pmf, log_beta, norm_cdf, norm_ppf, norm_sf, t_ppf
from bakeoff.stats.core._mvt import scale_grid

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from bakeoff.stats.core._result import Alternative

__all__ = [
    "PairedBinaryTest",
    "mcnemar_power",
    "mcnemar_power_always_valid",
    "paired_mean_power",
    "two_mean_power",
    "two_proportion_power",
]

PairedBinaryTest = Literal["mcnemar_midp", "mcnemar_exact", "mcnemar_asymptotic"]
"""Tests of two variants on the same pass/fail items."""

_BLOCK = 512
_MAX_CELLS = 100_000
_MAX_EXACT_ITEMS = 50_000


def mcnemar_power(
    n: int,
    *,
    p10: float,
    p01: float,
    alpha: float = 0.05,
    test: PairedBinaryTest = "mcnemar_midp",
    alternative: Alternative = "two-sided",
) -> float:
    """Return the exact power of McNemar's test on `n` paired pass/fail items.

    The number of discordant items is binomial (`n`, `p10 + p01`) and, given it, the number that favour the
    candidate is binomial too: summing over both is exact (terms beyond 8 standard deviations left out). Above
    50,000 items Connor's normal formula takes over, within 0.2 points there.

    Args:
        n: Items.
        p10: Probability that only the candidate passes an item.
        p01: Probability that only the baseline passes an item.
        alpha: Level of the test.
        test: Which version of the test is run.
        alternative: `greater` means that the candidate passes more items.

    Returns:
        Probability of a significant result, 0 to 1.

    Raises:
        StatsError: A probability is out of range.

    Source: Connor (1987), Biometrics 43, 207-211, for the set-up; Fagerland, Lydersen and Laake (2013) for mid-p.

    Examples:
        >>> from bakeoff.stats import mcnemar_power
        >>> round(mcnemar_power(200, p10=0.15, p01=0.05), 3)
        0.903
    """
    n, p10, p01 = check_count(n, "n"), check_unit(p10, "p10"), check_unit(p01, "p01")
    discordance = checked_discordance(p10, p01)
    if test not in get_args(PairedBinaryTest):
        raise StatsError(f"test must be one of {list(get_args(PairedBinaryTest))}, got {test!r}")
    if n == 0 or discordance == 0:
        return 0.0
    alternative = check_alternative(alternative)
    two_sided = check_alpha(alpha) * (1 if alternative == "two-sided" else 2)
    if n > _MAX_EXACT_ITEMS:
        return _connor_power(n, p10, p01, min(two_sided, 1.0), alternative)
    m, weight = _discordant_counts(n, discordance)
    critical = _critical_values(m, two_sided, test)
    share = p10 / discordance
    power = np.zeros(m.size)
    if alternative != "less":
        power += binom_cdf(critical, m, 1 - share)
    if alternative != "greater":
        power += binom_cdf(critical, m, share)
    return float(min(1.0, weight @ power))


def mcnemar_power_always_valid(n: int, *, p10: float, p01: float, alpha: float = 0.05) -> float:
    """Return the power by item `n` of the always-valid test, watched after every item.

    The e-process `2^m B(1+a, 1+b)` on `a` wins and `b` losses among `m` discordant items rejects at `1/alpha`;
    crossing at any time counts. Exact: the undecided paths are counted, one discordant item after another.

    Args:
        n: Largest number of items.
        p10: Probability that only the candidate passes an item.
        p01: Probability that only the baseline passes an item.
        alpha: Level, held however often one looks.

    Returns:
        Probability of having rejected by item `n`.

    Examples:
        >>> from bakeoff.stats import mcnemar_power_always_valid
        >>> round(mcnemar_power_always_valid(300, p10=0.15, p01=0.05), 2)
        0.88
    """
    n, p10, p01 = check_count(n, "n"), check_unit(p10, "p10"), check_unit(p01, "p01")
    discordance = checked_discordance(p10, p01)
    alpha = check_alpha(alpha)
    if n == 0 or discordance == 0:
        return 0.0
    m, weight = _discordant_counts(n, discordance)
    share = p10 / discordance
    last = int(m[-1])
    undecided = np.array([1.0])
    rejected = np.zeros(last + 1)
    for count in range(1, last + 1):  # each step is one vector of at most `count` wins
        undecided = np.append(undecided * (1 - share), 0.0) + np.append(0.0, undecided * share)
        wins = np.arange(count + 1)
        log_e = count * np.log(2) + log_beta(1 + wins, 1 + count - wins)
        crossed = log_e >= -np.log(alpha)
        rejected[count] = rejected[count - 1] + undecided[crossed].sum()
        undecided[crossed] = 0.0
    return float(min(1.0, weight @ rejected[m]))


def paired_mean_power(
    n: float,
    *,
    difference: float,
    sd: float,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
    df: float | None = None,
) -> float:
    """Return the power of the t-test on item-level differences (noncentral t).

    With `K` repeats, `sd` is the standard deviation of the difference of item *means*,
    `sqrt(omega_d^2 + (sigma_A^2 + sigma_B^2) / K)` (Miller 2024, arXiv:2411.00640); with clusters, `n` is the
    effective number of items and `df` the number of clusters less one.

    Args:
        n: Items (may be fractional: an effective number).
        difference: True difference, on the scale of the score.
        sd: Standard deviation of the item-level differences, above 0.
        alpha: Level of the test.
        alternative: `greater` means that the candidate is higher.
        df: Degrees of freedom; `n - 1` when not given.

    Returns:
        Probability of a significant result; `nan` with fewer than two items.

    Examples:
        >>> from bakeoff.stats import paired_mean_power
        >>> round(paired_mean_power(34, difference=0.5, sd=1.0), 4)
        0.8078
    """
    if not sd > 0:
        raise StatsError(f"sd must be above 0, got {sd!r}")
    df = n - 1 if df is None else df
    if df < 1 or n <= 0:
        return float("nan")
    return _t_power(difference / sd * np.sqrt(n), df, check_alpha(alpha), check_alternative(alternative))


def two_mean_power(
    n_candidate: int,
    n_baseline: int,
    *,
    difference: float,
    sd_candidate: float,
    sd_baseline: float,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
) -> float:
    """Return the power of Welch's t-test on two separate sets of items (noncentral t, Satterthwaite df).

    Args:
        n_candidate: Items of the candidate.
        n_baseline: Items of the baseline.
        difference: True difference of means.
        sd_candidate: Standard deviation of the candidate's scores.
        sd_baseline: Standard deviation of the baseline's scores.
        alpha: Level of the test.
        alternative: `greater` means that the candidate is higher.

    Returns:
        Probability of a significant result; `nan` with fewer than two items on a side.

    Examples:
        >>> from bakeoff.stats import two_mean_power
        >>> round(two_mean_power(64, 64, difference=0.5, sd_candidate=1.0, sd_baseline=1.0), 4)
        0.8015
    """
    if not (sd_candidate > 0 and sd_baseline > 0):
        raise StatsError(f"standard deviations must be above 0, got {sd_candidate!r} and {sd_baseline!r}")
    if min(n_candidate, n_baseline) < 2:
        return float("nan")
    a, b = sd_candidate**2 / n_candidate, sd_baseline**2 / n_baseline
    df = (a + b) ** 2 / (a**2 / (n_candidate - 1) + b**2 / (n_baseline - 1))
    return _t_power(difference / np.sqrt(a + b), df, check_alpha(alpha), check_alternative(alternative))


def two_proportion_power(
    n_candidate: int,
    n_baseline: int,
    *,
    p_candidate: float,
    p_baseline: float,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
) -> float:
    """Return the power of the score (pooled z) test on two separate sets of pass/fail items.

    Enumerated exactly while the table of outcomes has fewer than 100,000 cells (315 items a side), the normal
    formula with pooled variance under the null beyond that.

    Args:
        n_candidate: Items of the candidate.
        n_baseline: Items of the baseline.
        p_candidate: Pass rate of the candidate.
        p_baseline: Pass rate of the baseline.
        alpha: Level of the test.
        alternative: `greater` means that the candidate passes more often.

    Returns:
        Probability of a significant result; `nan` without items on both sides.

    Examples:
        >>> from bakeoff.stats import two_proportion_power
        >>> round(two_proportion_power(100, 100, p_candidate=0.5, p_baseline=0.3), 2)
        0.83
    """
    na, nb = check_count(n_candidate, "n_candidate"), check_count(n_baseline, "n_baseline")
    pa, pb = check_unit(p_candidate, "p_candidate"), check_unit(p_baseline, "p_baseline")
    alternative = check_alternative(alternative)
    if min(na, nb) < 1:
        return float("nan")
    critical = float(norm_ppf(1 - check_alpha(alpha) / (2 if alternative == "two-sided" else 1)))
    if (na + 1) * (nb + 1) > _MAX_CELLS:
        pooled = (na * pa + nb * pb) / (na + nb)
        null_se = np.sqrt(pooled * (1 - pooled) * (1 / na + 1 / nb))
        se = np.sqrt(pa * (1 - pa) / na + pb * (1 - pb) / nb)
        if se == 0:
            return float(abs(pa - pb) > critical * null_se)
        upper = float(norm_sf((critical * null_se - (pa - pb)) / se))
        lower = float(norm_cdf((-critical * null_se - (pa - pb)) / se))
        return _pick(upper, lower, alternative)
    a, b = np.arange(na + 1)[:, None], np.arange(nb + 1)[None, :]
    pooled = (a + b) / (na + nb)
    se = np.sqrt(pooled * (1 - pooled) * (1 / na + 1 / nb))
    z = (a / na - b / nb) / np.where(se > 0, se, np.inf)
    weight_a, weight_b = binom_pmf(a[:, 0], na, pa), binom_pmf(b[0], nb, pb)
    slack = 1e-12  # a tie with the critical value counts as significant on every platform
    upper, lower = (weight_a @ (sign * z >= critical - slack) @ weight_b for sign in (1, -1))
    return _pick(float(upper), float(lower), alternative)


def _t_power(noncentrality: float, df: float, alpha: float, alternative: Alternative) -> float:
    critical = float(t_ppf(1 - alpha / (2 if alternative == "two-sided" else 1), df))
    return _pick(
        _nct_cdf(-critical, df, -noncentrality), _nct_cdf(-critical, df, noncentrality), alternative
    )  # the upper tail at nc is the lower tail at -nc, which keeps its digits


def _nct_cdf(x: float, df: float, noncentrality: float) -> float:
    from scipy import special

    if x <= 0 and noncentrality > 8:
        return 0.0  # below 1e-15, where scipy sometimes returns nan
    nctdtr = cast("Callable[[float, float, float], float]", special.nctdtr)
    value = float(nctdtr(df, noncentrality, x))
    if value != value:  # scipy gives up at some far noncentralities: average over the standard deviation instead
        s, mass = scale_grid(df)
        value = float(mass @ norm_cdf(x * s - noncentrality))
    return min(1.0, max(0.0, value))


def _pick(upper: float, lower: float, alternative: Alternative) -> float:
    value = {"two-sided": upper + lower, "greater": upper, "less": lower}[alternative]
    return float(min(1.0, max(0.0, value)))


def _connor_power(n: int, p10: float, p01: float, two_sided: float, alternative: Alternative) -> float:
    difference, discordance = p10 - p01, p10 + p01
    critical = float(norm_ppf(1 - two_sided / 2)) * np.sqrt(discordance / n)
    se = max(np.sqrt(max(discordance - difference**2, 0.0) / n), 1e-300)
    return _pick(
        float(norm_sf((critical - difference) / se)), float(norm_cdf((-critical - difference) / se)), alternative
    )


def checked_discordance(p10: float, p01: float) -> float:
    """Return `p10 + p01`, which cannot exceed 1."""
    if p10 + p01 > 1 + 1e-12:
        raise StatsError(f"p10 + p01 cannot exceed 1, got {p10!r} + {p01!r}")
    return min(1.0, p10 + p01)


def binomial_window(n: int, p: float, span_sd: float = 8.0) -> NDArray[np.int64]:
    """Return the counts of a binomial within `span_sd` standard deviations of its mean (8: all but 1e-14)."""
    half = span_sd * np.sqrt(n * p * (1 - p)) + span_sd
    return np.arange(max(0, int(n * p - half)), min(n, int(n * p + half)) + 1, dtype=np.int64)


def _discordant_counts(n: int, discordance: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    m = binomial_window(n, discordance)
    return m, binom_pmf(m, n, discordance)


def _critical_values(m: NDArray[np.int64], alpha: float, test: PairedBinaryTest) -> NDArray[np.float64]:
    """Return for each `m` the largest minority count that is significant, -1 where none is."""
    first = int(m[0]) // _BLOCK
    blocks = [_critical_block(block, alpha, test) for block in range(first, int(m[-1]) // _BLOCK + 1)]
    return np.concatenate(blocks)[m - first * _BLOCK]


@lru_cache(maxsize=2048)
def _critical_block(block: int, alpha: float, test: PairedBinaryTest) -> NDArray[np.float64]:
    m = np.arange(block * _BLOCK, (block + 1) * _BLOCK, dtype=np.int64)
    z = float(norm_ppf(1 - min(alpha, 1.0) / 2))
    edge = (m - z * np.sqrt(m)) / 2  # |b - c| > z sqrt(m)
    if test == "mcnemar_asymptotic":
        return np.where(m > 0, np.maximum(np.floor(edge), -1.0), -1.0)

    def p_value(k: NDArray[np.float64]) -> NDArray[np.float64]:
        value = 2 * binom_cdf(k, m, 0.5)
        if test == "mcnemar_midp":
            value = value - np.where(k >= 0, binom_pmf(np.maximum(k, 0), m, 0.5), 0.0)
        return np.where(k < 0, 0.0, np.where(2 * k >= m, 1.0, value))

    low, high = np.maximum(np.floor(edge) - 2, -1.0), np.floor(edge) + 3
    # the normal edge is within two counts of the exact one; widen where a far tail breaks that
    while np.any(p_value(low) > alpha):
        low = np.where(p_value(low) > alpha, np.maximum(low - 4, -1.0), low)
    while np.any((p_value(high) <= alpha) & (2 * high < m)):
        high = np.where(p_value(high) <= alpha, high + 4, high)
    for _ in range(int(np.ceil(np.log2(max(2.0, float((high - low).max()))))) + 1):
        middle = np.floor((low + high) / 2)
        significant = p_value(middle) <= alpha
        low, high = np.where(significant, middle, low), np.where(significant, high, middle)
    return low
