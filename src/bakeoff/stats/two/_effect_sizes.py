"""Effect sizes with intervals."""

from __future__ import annotations

from math import exp, inf, isfinite, lgamma, log, nan, sqrt
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import as_scores, check_confidence
from bakeoff.stats.core._dist import nct_location, t_ppf, z_value
from bakeoff.stats.core._items import item_means, present_means
from bakeoff.stats.core._result import Estimate
from bakeoff.stats.two._unpaired import check_two_counts

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]

__all__ = ["cliffs_delta", "cohen_d", "cohen_dav", "cohen_dz", "cohen_h", "hedges_g", "odds_ratio", "vargha_delaney"]

_NO_SPREAD = "not estimable: scores need at least two items on each side and some spread"


def _aligned(candidate: ArrayLike, baseline: ArrayLike) -> tuple[Float, Float]:
    a, _ = item_means(as_scores(candidate, "candidate"))
    b, _ = item_means(as_scores(baseline, "baseline"))
    if a.size != b.size:
        raise StatsError(f"a paired effect needs the same items: candidate has {a.size}, baseline {b.size}")
    kept = ~(np.isnan(a) | np.isnan(b))
    return a[kept], b[kept]


def _missing(confidence: float, n: int, method: str, reason: str = _NO_SPREAD) -> Estimate:
    return Estimate(estimate=nan, low=nan, high=nan, confidence=confidence, n=n, method=method, reason=reason)


def cohen_d(candidate: ArrayLike, baseline: ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Estimate Cohen's d for independent items: difference of means over the pooled sd.

    The interval inverts the noncentral t distribution (Cumming & Finch 2001).

    Args:
        candidate: Shape (items,) or (items, repeats); `nan` is left out.
        baseline: Likewise.
        confidence: Level of the interval.

    Returns:
        Estimate; `nan` with a reason below two items on a side or without spread.

    Raises:
        StatsError: Scores that are not numbers or infinite.

    Examples:
        >>> e = cohen_d([5.0, 6.0, 7.0, 8.0], [3.0, 4.0, 5.0, 6.0])
        >>> round(e.estimate, 3), round(e.low, 2), round(e.high, 2)
        (1.549, -0.12, 3.13)
    """
    confidence = check_confidence(confidence)
    a, b = present_means(candidate, "candidate"), present_means(baseline, "baseline")
    n1, n2 = a.size, b.size
    d = _pooled_d(a, b)
    if not isfinite(d):
        return _missing(confidence, n1 + n2, "cohen_d")
    root = sqrt(n1 * n2 / (n1 + n2))
    low, high = _noncentral_limits(d * root, n1 + n2 - 2, confidence)
    return Estimate(
        estimate=d,
        low=low / root,
        high=high / root,
        confidence=confidence,
        n=n1 + n2,
        method="cohen_d",
        df=n1 + n2 - 2.0,
        assumptions=("items are independent", "both sides have about the same spread"),
    )


def _pooled_d(a: Float, b: Float) -> float:
    if min(a.size, b.size) < 2:
        return nan
    pooled = ((a.size - 1) * a.var(ddof=1) + (b.size - 1) * b.var(ddof=1)) / (a.size + b.size - 2)
    scale = max(float(np.abs(a).max()), float(np.abs(b).max()))
    return float((a.mean() - b.mean()) / sqrt(pooled)) if pooled > (1e-12 * scale) ** 2 else nan


def _noncentral_limits(t: float, df: float, confidence: float) -> tuple[float, float]:
    """Noncentrality parameters under which the observed t sits at the upper and lower tail."""
    tail = (1 - confidence) / 2
    return nct_location(t, df, 1 - tail), nct_location(t, df, tail)


def hedges_g(candidate: ArrayLike, baseline: ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Estimate Hedges' g: Cohen's d times J, which removes its small-sample bias.

    J = Gamma(df/2) / (sqrt(df/2) Gamma((df-1)/2)), about 1 - 3/(4 df - 1) (Hedges 1981).

    Examples:
        >>> round(hedges_g([5.0, 6.0, 7.0, 8.0], [3.0, 4.0, 5.0, 6.0]).estimate, 3)
        1.346
    """
    d = cohen_d(candidate, baseline, confidence=confidence)
    if not isfinite(d.estimate):
        return _missing(d.confidence, d.n, "hedges_g")
    j = exp(lgamma(d.df / 2) - lgamma((d.df - 1) / 2)) / sqrt(d.df / 2)
    return Estimate(
        estimate=j * d.estimate,
        low=j * d.low,
        high=j * d.high,
        confidence=d.confidence,
        n=d.n,
        method="hedges_g",
        df=d.df,
        assumptions=d.assumptions,
    )


def cohen_dz(differences: ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Estimate d_z for paired items: mean difference over the sd of the differences.

    It grows with the correlation between the sides, so it does not compare across data sets; it is
    what the power of the paired t test depends on. Interval from the noncentral t.

    Args:
        differences: Candidate minus baseline, one for each item; `nan` is left out.
        confidence: Level of the interval.

    Returns:
        Estimate; `nan` with a reason below two items or without spread.

    Raises:
        StatsError: Differences that are not numbers or infinite.

    Examples:
        >>> darwin = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
        >>> e = cohen_dz(darwin)
        >>> round(e.estimate, 3), round(e.low, 3), round(e.high, 2)
        (0.555, 0.001, 1.09)
    """
    confidence = check_confidence(confidence)
    d = present_means(differences, "differences")
    n = d.size
    spread = float(d.std(ddof=1)) if n > 1 else nan
    if not (n > 1 and spread > 1e-12 * float(np.abs(d).max())):
        return _missing(confidence, n, "cohen_dz")
    value = float(d.mean()) / spread
    low, high = _noncentral_limits(value * sqrt(n), n - 1, confidence)
    return Estimate(
        estimate=value,
        low=low / sqrt(n),
        high=high / sqrt(n),
        confidence=confidence,
        n=n,
        method="cohen_dz",
        df=n - 1.0,
        assumptions=("items are independent",),
    )


def cohen_dav(candidate: ArrayLike, baseline: ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Estimate d_av for paired items: mean difference over the root mean variance of both sides.

    On the scale of the scores' own spread, so comparable with unpaired studies. The interval is
    d -+ z sqrt(d^2 (v1^2 + v2^2 + 2 c^2) / (8 s^4 (n-1)) + v_D / (s^2 (n-1))), v the variances, c the
    covariance, s^2 the mean variance, v_D the variance of the differences (Bonett 2008).

    Args:
        candidate: Shape (items,) or (items, repeats); `nan` marks a missing score.
        baseline: The same items in the same order.
        confidence: Level of the interval.

    Returns:
        Estimate; `nan` with a reason below two items or without spread.

    Raises:
        StatsError: Sides of different length.

    Examples:
        >>> round(cohen_dav([5.0, 6.0, 8.0, 8.0], [3.0, 5.0, 5.0, 6.0]).estimate, 2)
        1.44
    """
    confidence = check_confidence(confidence)
    a, b = _aligned(candidate, baseline)
    n = a.size
    if n < 2:
        return _missing(confidence, n, "cohen_dav")
    scale = max(float(np.abs(a).max()), float(np.abs(b).max()))
    if scale > 0:
        a, b = a / scale, b / scale
    v1, v2 = float(a.var(ddof=1)), float(b.var(ddof=1))
    mean_variance = (v1 + v2) / 2
    if mean_variance <= 1e-24:
        return _missing(confidence, n, "cohen_dav")
    difference = a - b
    covariance = (v1 + v2 - float(difference.var(ddof=1))) / 2
    d = float(difference.mean()) / sqrt(mean_variance)
    variance = d * d * (v1 * v1 + v2 * v2 + 2 * covariance**2) / (8 * mean_variance**2 * (n - 1))
    variance += float(difference.var(ddof=1)) / (mean_variance * (n - 1))
    half = z_value(confidence) * sqrt(variance)
    return Estimate(
        estimate=d,
        low=d - half,
        high=d + half,
        confidence=confidence,
        n=n,
        method="cohen_dav",
        se=sqrt(variance),
        df=inf,
        assumptions=("items are independent",),
    )


def cohen_h(
    candidate_successes: int,
    candidate_n: int,
    *,
    baseline_successes: int,
    baseline_n: int,
    confidence: float = 0.95,
) -> Estimate:
    """Estimate Cohen's h: 2 asin sqrt(p1) - 2 asin sqrt(p2), with variance 1/n1 + 1/n2 (Cohen 1988).

    Equal steps of h are about equally hard to detect, near 50% as near 99%. The interval is for
    independent items.

    Examples:
        >>> round(cohen_h(65, 100, baseline_successes=50, baseline_n=100).estimate, 3)
        0.305
    """
    confidence = check_confidence(confidence)
    x1, n1, x2, n2 = check_two_counts(candidate_successes, candidate_n, baseline_successes, baseline_n)
    if not (n1 and n2):
        return _missing(confidence, n1 + n2, "cohen_h", "one side has no score")
    h = 2 * float(np.arcsin(sqrt(x1 / n1)) - np.arcsin(sqrt(x2 / n2)))
    se = sqrt(1 / n1 + 1 / n2)
    half = z_value(confidence) * se
    return Estimate(
        estimate=h,
        low=max(h - half, -np.pi),
        high=min(h + half, np.pi),
        confidence=confidence,
        n=n1 + n2,
        method="cohen_h",
        se=se,
        df=inf,
        assumptions=("all items are independent of each other",),
    )


def odds_ratio(
    candidate_successes: int,
    candidate_n: int,
    *,
    baseline_successes: int,
    baseline_n: int,
    confidence: float = 0.95,
) -> Estimate:
    """Estimate the odds ratio of two pass rates from independent items.

    The interval is Gart's: log odds ratio and its Woolf standard error after adding 1/2 to each cell,
    which keeps it finite with empty cells (Gart 1966; Agresti 1999). For the same items use
    `paired_odds_ratio`.

    Args:
        candidate_successes: Items the candidate passed.
        candidate_n: Items the candidate was scored on.
        baseline_successes: Items the baseline passed.
        baseline_n: Items the baseline was scored on.
        confidence: Level of the interval.

    Returns:
        Estimate in [0, inf]; an empty side gives `nan` with a reason.

    Raises:
        StatsError: Counts that are not whole, negative, or successes above n.

    Examples:
        >>> e = odds_ratio(189, 11034, baseline_successes=104, baseline_n=11037)
        >>> round(e.estimate, 2), round(e.low, 2), round(e.high, 2)
        (1.83, 1.44, 2.32)
    """
    confidence = check_confidence(confidence)
    x1, n1, x2, n2 = check_two_counts(candidate_successes, candidate_n, baseline_successes, baseline_n)
    if not (n1 and n2):
        return _missing(confidence, n1 + n2, "odds_ratio", "one side has no score")
    over, under = x1 * (n2 - x2), x2 * (n1 - x1)
    cells = [cell + 0.5 for cell in (x1, n1 - x1, x2, n2 - x2)]
    centre = log(cells[0] / cells[1] * cells[3] / cells[2])
    se = sqrt(sum(1 / cell for cell in cells))
    half = z_value(confidence) * se
    # With an empty cell the sample ratio is 0 or infinite; the interval must hold it.
    return Estimate(
        estimate=over / under if under else inf if over else nan,
        low=0.0 if over == 0 else exp(centre - half),
        high=inf if under == 0 else exp(centre + half),
        confidence=confidence,
        n=n1 + n2,
        method="odds_ratio",
        reason=None if over or under else "both sides passed all items, or none: the odds cannot be compared",
        assumptions=("all items are independent of each other",),
    )


def cliffs_delta(candidate: ArrayLike, baseline: ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Estimate Cliff's delta: P(candidate > baseline) - P(candidate < baseline) for random items.

    Needs order only, so it suits 1-5 judge scores. The interval is Cliff's asymmetric one with the
    unbiased variance estimate and t quantiles (Cliff 1996; R effsize). For independent items.

    Args:
        candidate: Shape (items,) or (items, repeats); `nan` is left out.
        baseline: Likewise.
        confidence: Level of the interval.

    Returns:
        Estimate in [-1, 1]; `nan` with a reason below two items on a side.

    Raises:
        StatsError: Scores that are not numbers or infinite.

    Examples:
        >>> e = cliffs_delta([4.0, 5.0, 5.0, 3.0], [2.0, 3.0, 3.0, 1.0])
        >>> e.estimate
        0.875
    """
    confidence = check_confidence(confidence)
    a, b = np.sort(present_means(candidate, "candidate")), np.sort(present_means(baseline, "baseline"))
    n1, n2 = a.size, b.size
    if min(n1, n2) < 2:
        return _missing(confidence, n1 + n2, "cliffs_delta")
    below = np.searchsorted(b, a, side="left")
    above = n2 - np.searchsorted(b, a, side="right")
    of_a = (below - above) / n2
    of_b = (n1 - np.searchsorted(a, b, side="right") - np.searchsorted(a, b, side="left")) / n1
    d = float(of_a.mean())
    squares = float((below + above).sum())  # dominance is -1, 0 or 1
    spread = n2 * n2 * n1 * float(of_a.var()) + n1 * n1 * n2 * float(of_b.var())
    unbiased = (spread - (squares - n1 * n2 * d * d)) / (n1 * n2 * (n1 - 1) * (n2 - 1))
    variance = max(unbiased, (1 - d * d) / (n1 * n2 - 1))  # the floor that Cliff recommends
    low, high = _cliff_limits(d, variance, n1, n2, confidence)
    return Estimate(
        estimate=d,
        low=low,
        high=high,
        confidence=confidence,
        n=n1 + n2,
        method="cliffs_delta",
        se=sqrt(max(variance, 0.0)) if variance > 0 else nan,
        df=n1 + n2 - 2.0,
        assumptions=("all items are independent of each other",),
    )


def _cliff_limits(d: float, variance: float, n1: int, n2: int, confidence: float) -> tuple[float, float]:
    q = float(t_ppf(0.5 + confidence / 2, n1 + n2 - 2))
    if abs(d) == 1 or variance <= 0:
        # No overlap at all: Wilson's bound with the smaller side as n (Cliff 1996).
        n = min(n1, n2)
        bound = (n - q * q) / (n + q * q)
        return (bound, 1.0) if d == 1 else (-1.0, -bound) if d == -1 else (-1.0, 1.0)
    half = q * sqrt(variance) * sqrt((1 - d * d) ** 2 + q * q * variance)
    scale = 1 - d * d + q * q * variance
    return max((d - d**3 - half) / scale, -1.0), min((d - d**3 + half) / scale, 1.0)


def vargha_delaney(candidate: ArrayLike, baseline: ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Estimate A12, the chance that a random candidate score beats a random baseline score.

    Ties count half; A12 = (Cliff's delta + 1) / 2 (Vargha & Delaney 2000).

    Examples:
        >>> vargha_delaney([4.0, 5.0, 5.0, 3.0], [2.0, 3.0, 3.0, 1.0]).estimate
        0.9375
    """
    d = cliffs_delta(candidate, baseline, confidence=confidence)
    return Estimate(
        estimate=(d.estimate + 1) / 2,
        low=(d.low + 1) / 2,
        high=(d.high + 1) / 2,
        confidence=d.confidence,
        n=d.n,
        method="vargha_delaney",
        se=d.se / 2,
        df=d.df,
        reason=d.reason,
        assumptions=d.assumptions,
    )
