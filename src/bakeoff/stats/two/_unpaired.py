"""Two variants on different items: intervals and tests for the difference."""

from __future__ import annotations

from math import acos, cos, inf, nan, pi, sqrt
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import check_alternative, check_confidence, check_count
from bakeoff.stats.core._dist import norm_sf, z_value
from bakeoff.stats.core._items import present_means
from bakeoff.stats.core._mean_fit import MeanFit, fit_mean
from bakeoff.stats.core._result import Alternative, Estimate, TestResult
from bakeoff.stats.core._wilson import wilson_interval
from bakeoff.stats.one._mean import t_limits, t_p_value

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = [
    "TwoProportionMethod",
    "TwoProportionTest",
    "check_two_counts",
    "proportion_difference",
    "score_interval",
    "score_z",
    "two_proportion_test",
    "welch",
    "welch_fit",
    "welch_test",
]

TwoProportionMethod = Literal["newcombe", "agresti_caffo", "miettinen_nurminen"]
"""Interval for the difference of two independent pass rates; see `proportion_difference`."""

TwoProportionTest = Literal["score", "fisher", "fisher_midp", "boschloo"]
"""Test of two independent pass rates; see `two_proportion_test`."""


def check_two_counts(x1: int, n1: int, x2: int, n2: int) -> tuple[int, int, int, int]:
    """Return the four counts if they are whole and successes do not exceed items."""
    x1, n1 = check_count(x1, "candidate successes"), check_count(n1, "candidate n")
    x2, n2 = check_count(x2, "baseline successes"), check_count(n2, "baseline n")
    if x1 > n1 or x2 > n2:
        raise StatsError(f"successes must be at most n, got {x1} of {n1} and {x2} of {n2}")
    return x1, n1, x2, n2


def welch_fit(candidate: MeanFit, baseline: MeanFit) -> MeanFit:
    """Combine two independent means: difference, root of summed variances, Welch-Satterthwaite df."""
    v1, v2 = candidate.se**2, baseline.se**2
    variance = v1 + v2
    df = nan
    if variance > 0:
        share1, share2 = v1 / variance, v2 / variance
        df = 1 / (share1**2 / candidate.df + share2**2 / baseline.df)
    return MeanFit(
        mean=candidate.mean - baseline.mean,
        se=sqrt(variance) if variance >= 0 else nan,
        df=df,
        n_units=candidate.n_units + baseline.n_units,
        largest=max(candidate.largest, baseline.largest),
    )


def proportion_difference(
    candidate_successes: int,
    candidate_n: int,
    *,
    baseline_successes: int,
    baseline_n: int,
    method: TwoProportionMethod = "newcombe",
    confidence: float = 0.95,
) -> Estimate:
    """Estimate the difference of two pass rates from independent items.

    - `newcombe` (default): Wilson limits of each rate, squared and added
      (Newcombe 1998, method 10): d - sqrt((p1-l1)^2 + (u2-p2)^2) to d + sqrt((u1-p1)^2 + (p2-l2)^2)
    - `agresti_caffo`: Wald after adding one success and one failure to each side (Agresti & Caffo 2000)
    - `miettinen_nurminen`: all differences that the score test with factor N/(N-1) does not reject
      (Miettinen & Nurminen 1985)

    Args:
        candidate_successes: Items the candidate passed.
        candidate_n: Items the candidate was scored on.
        baseline_successes: Items the baseline passed.
        baseline_n: Items the baseline was scored on.
        method: The interval.
        confidence: Level of the interval.

    Returns:
        Estimate of candidate minus baseline in [-1, 1]; an empty side gives `nan` with a reason.

    Raises:
        StatsError: Counts that are not whole, negative, or successes above n.

    Examples:
        >>> e = proportion_difference(56, 70, baseline_successes=48, baseline_n=80)
        >>> round(e.estimate, 2), round(e.low, 4), round(e.high, 4)
        (0.2, 0.0524, 0.3339)
    """
    confidence = check_confidence(confidence)
    x1, n1, x2, n2 = check_two_counts(candidate_successes, candidate_n, baseline_successes, baseline_n)
    if method not in get_args(TwoProportionMethod):
        raise StatsError(f"method must be one of {list(get_args(TwoProportionMethod))}, got {method!r}")
    if n1 == 0 or n2 == 0:
        return Estimate(
            estimate=nan,
            low=nan,
            high=nan,
            confidence=confidence,
            n=n1 + n2,
            method=method,
            reason="one side has no score",
        )
    z = z_value(confidence)
    a1, a2 = (x1 + 1) / (n1 + 2), (x2 + 1) / (n2 + 2)
    se = sqrt(a1 * (1 - a1) / (n1 + 2) + a2 * (1 - a2) / (n2 + 2))
    if method == "newcombe":
        low, high = _newcombe(x1 / n1, n1, x2 / n2, n2, z)
    elif method == "agresti_caffo":
        low, high = max(a1 - a2 - z * se, -1.0), min(a1 - a2 + z * se, 1.0)
    else:
        low, high = score_interval(x1, n1, x2, n2, confidence)
    return Estimate(
        estimate=x1 / n1 - x2 / n2,
        low=low,
        high=high,
        confidence=confidence,
        n=n1 + n2,
        method=method,
        se=se,
        df=inf,
        assumptions=("all items are independent of each other",),
    )


def _newcombe(p1: float, n1: int, p2: float, n2: int, z: float) -> tuple[float, float]:
    low1, high1 = wilson_interval(p1, n1, z)
    low2, high2 = wilson_interval(p2, n2, z)
    d = p1 - p2
    return d - sqrt((p1 - low1) ** 2 + (high2 - p2) ** 2), d + sqrt((high1 - p1) ** 2 + (p2 - low2) ** 2)


def score_z(x1: int, n1: int, x2: int, n2: int, delta: float, *, correction: bool = True) -> float:
    """Score statistic of H0: p1 - p2 = delta, with the constrained maximum-likelihood rates.

    The constrained rate solves a cubic in closed form (Farrington & Manning 1990); `correction`
    multiplies the variance by N/(N-1) (Miettinen & Nurminen 1985).
    """
    p2 = _constrained_rate(x1, n1, x2, n2, delta)
    p1 = min(max(p2 + delta, 0.0), 1.0)
    total = n1 + n2
    variance = p1 * (1 - p1) / n1 + p2 * (1 - p2) / n2
    if correction and total > 1:
        variance *= total / (total - 1)
    excess = x1 / n1 - x2 / n2 - delta
    if variance <= 1e-300:
        return 0.0 if abs(excess) < 1e-15 else inf if excess > 0 else -inf
    return excess / sqrt(variance)


def _constrained_rate(x1: int, n1: int, x2: int, n2: int, delta: float) -> float:
    """Maximum-likelihood rate of the second side given p1 = p2 + delta."""
    theta = n2 / n1
    p1, p2 = x1 / n1, x2 / n2
    # Farrington & Manning's cubic for p1 (their treatment side) with p2 = p1 - delta.
    a = 1 + theta
    b = -(1 + theta + p1 + theta * p2 + delta * (theta + 2))
    c = delta * delta + delta * (2 * p1 + theta + 1) + p1 + theta * p2
    d = -p1 * delta * (1 + delta)
    v = (b / (3 * a)) ** 3 - b * c / (6 * a * a) + d / (2 * a)
    u = sqrt(max((b / (3 * a)) ** 2 - c / (3 * a), 0.0)) * (1 if v > 0 else -1)
    ratio = 0.0 if u == 0 else min(max(v / u**3, -1.0), 1.0)
    w = (pi + acos(ratio)) / 3
    root = 2 * u * cos(w) - b / (3 * a)
    return min(max(root - delta, 0.0, -delta), 1.0, 1 - delta)


def score_interval(
    x1: int, n1: int, x2: int, n2: int, confidence: float, *, correction: bool = True
) -> tuple[float, float]:
    """Invert the score test: all differences that it does not reject."""
    z = z_value(confidence)
    low = _score_limit(x1, n1, x2, n2, z, correction)
    return low, -_score_limit(x2, n2, x1, n1, z, correction)


def _score_limit(x1: int, n1: int, x2: int, n2: int, z: float, correction: bool) -> float:
    """Lower limit: the smallest difference with score statistic at most z, by bisection."""
    inside, outside = x1 / n1 - x2 / n2, -1.0
    for _ in range(52):
        middle = 0.5 * (inside + outside)
        if score_z(x1, n1, x2, n2, middle, correction=correction) > z:
            outside = middle
        else:
            inside = middle
    return 0.5 * (inside + outside)


def two_proportion_test(
    candidate_successes: int,
    candidate_n: int,
    *,
    baseline_successes: int,
    baseline_n: int,
    method: TwoProportionTest | None = None,
    alternative: Alternative = "two-sided",
) -> TestResult:
    """Test whether two pass rates from independent items are equal.

    - `score`: the N-1 chi-square test, z = (p1 - p2) / sqrt(p(1-p)(1/n1 + 1/n2) N/(N-1));
      the default while all expected counts are at least 1 (Campbell 2007)
    - `fisher`: exact, conditional on the margins (two-sided: sum of tables no likelier than this one);
      the default for smaller counts
    - `fisher_midp`: `fisher` counting only half of the observed table's probability
    - `boschloo`: exact and unconditional, more powerful than `fisher` (Boschloo 1970)

    Args:
        candidate_successes: Items the candidate passed.
        candidate_n: Items the candidate was scored on.
        baseline_successes: Items the baseline passed.
        baseline_n: Items the baseline was scored on.
        method: The test; by default chosen from the expected counts.
        alternative: `greater` means that the candidate passes more often.

    Returns:
        TestResult; an empty side gives `nan` with a reason.

    Raises:
        StatsError: Wrong counts or an unknown method.

    Examples:
        >>> t = two_proportion_test(56, 70, baseline_successes=48, baseline_n=80)
        >>> t.method, round(t.p_value, 4)
        ('score', 0.0083)
    """
    alternative = check_alternative(alternative)
    x1, n1, x2, n2 = check_two_counts(candidate_successes, candidate_n, baseline_successes, baseline_n)
    if method is not None and method not in get_args(TwoProportionTest):
        raise StatsError(f"method must be one of {list(get_args(TwoProportionTest))}, got {method!r}")
    chosen: str = method or _default_test(x1, n1, x2, n2)
    if n1 == 0 or n2 == 0:
        return TestResult(
            p_value=nan, n=n1 + n2, method=chosen, alternative=alternative, reason="one side has no score"
        )
    statistic, reason = nan, None
    if x1 + x2 in (0, n1 + n2):
        p, reason = 1.0, "both sides passed all items, or none: nothing separates them"
    elif chosen == "score":
        statistic = score_z(x1, n1, x2, n2, 0.0)
        p = _normal_p(statistic, alternative)
    elif chosen == "boschloo":
        from bakeoff.stats.two._exact import boschloo_p

        p = boschloo_p(x1, n1, x2, n2, alternative)
    else:
        from bakeoff.stats.two._exact import fisher_p

        p = fisher_p(x1, n1, x2, n2, alternative, midp=chosen == "fisher_midp")
    return TestResult(
        p_value=p,
        statistic=statistic,
        n=n1 + n2,
        method=chosen,
        alternative=alternative,
        reason=reason,
        assumptions=("all items are independent of each other",),
    )


def _default_test(x1: int, n1: int, x2: int, n2: int) -> TwoProportionTest:
    total, passed = n1 + n2, x1 + x2
    smallest = min(n1, n2) * min(passed, total - passed) / max(total, 1)
    return "score" if smallest >= 1 else "fisher"


def _normal_p(z: float, alternative: Alternative) -> float:
    if alternative == "two-sided":
        return min(1.0, 2 * float(norm_sf(abs(z))))
    return float(norm_sf(z if alternative == "greater" else -z))


def welch(candidate: ArrayLike, baseline: ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Estimate the difference of two means from independent items, variances not assumed equal.

    d -+ t(df) sqrt(s1^2/n1 + s2^2/n2) with Welch-Satterthwaite degrees of freedom (Welch 1947).

    Args:
        candidate: Shape (items,) or (items, repeats); `nan` marks a missing score.
        baseline: Likewise; the number of items may differ.
        confidence: Level of the interval.

    Returns:
        Estimate of candidate minus baseline; `nan` interval with a reason below two items on a side
        or without any spread.

    Raises:
        StatsError: Scores that are not numbers or infinite.

    Examples:
        >>> e = welch([3.0, 4.0, 5.0, 4.0], [2.0, 3.0, 2.0, 3.0, 2.0])
        >>> round(e.estimate, 2), round(e.low, 3), round(e.high, 3)
        (1.6, 0.38, 2.82)
    """
    confidence = check_confidence(confidence)
    fit = _two_fits(candidate, baseline)
    low, high = t_limits(fit, confidence)
    return Estimate(
        estimate=fit.mean,
        low=low,
        high=high,
        confidence=confidence,
        n=fit.n_units,
        method="welch",
        se=fit.se,
        df=fit.df,
        reason=_welch_reason(fit),
        assumptions=("all items are independent of each other",),
    )


def welch_test(candidate: ArrayLike, baseline: ArrayLike, *, alternative: Alternative = "two-sided") -> TestResult:
    """Test whether two means from independent items are equal, by Welch's t (see `welch`).

    Examples:
        >>> round(welch_test([3.0, 4.0, 5.0, 4.0], [2.0, 3.0, 2.0, 3.0, 2.0]).p_value, 4)
        0.0197
    """
    alternative = check_alternative(alternative)
    fit = _two_fits(candidate, baseline)
    usable = fit.se > 0
    return TestResult(
        p_value=t_p_value(fit.mean / fit.se, fit.df, alternative) if usable else nan,
        statistic=fit.mean / fit.se if usable else nan,
        df=fit.df,
        n=fit.n_units,
        method="welch",
        alternative=alternative,
        reason=_welch_reason(fit),
        assumptions=("all items are independent of each other",),
    )


def _two_fits(candidate: ArrayLike, baseline: ArrayLike) -> MeanFit:
    return welch_fit(fit_mean(present_means(candidate, "candidate")), fit_mean(present_means(baseline, "baseline")))


def _welch_reason(fit: MeanFit) -> str | None:
    if fit.se > 0:
        return None
    if np.isnan(fit.se):
        return "no interval: each side needs at least two scored items"
    return "no interval: all scores are equal, so their spread cannot be estimated"
