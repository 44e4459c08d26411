"""Intervals for one mean."""

from __future__ import annotations

from math import exp, inf, log, nan
from typing import TYPE_CHECKING

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import check_confidence
from bakeoff.stats.core._dist import critical_value, t_sf
from bakeoff.stats.core._items import present_means
from bakeoff.stats.core._mean_fit import ROUNDING, MeanFit, fit_mean
from bakeoff.stats.core._result import Alternative, Estimate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "clip_limits",
    "logit_limits",
    "mean_logit_t",
    "mean_t",
    "no_interval_reason",
    "skew_warning",
    "t_limits",
    "t_p_value",
]


def t_limits(fit: MeanFit, confidence: float) -> tuple[float, float]:
    """Compute mean -+ t * se; `nan` without a positive standard error."""
    if not fit.se > 0 or fit.one_decides:
        return nan, nan
    half = critical_value(confidence, fit.df) * fit.se
    return fit.mean - half, fit.mean + half


def logit_limits(fit: MeanFit, confidence: float) -> tuple[float, float]:
    """Compute t limits on the logit scale, back-transformed: inside (0, 1) and longer towards the middle."""
    if not fit.se > 0 or fit.one_decides or not 0 < fit.mean < 1:
        return nan, nan
    centre = log(fit.mean / (1 - fit.mean))
    half = critical_value(confidence, fit.df) * fit.se / (fit.mean * (1 - fit.mean))
    return _expit(centre - half), _expit(centre + half)


def clip_limits(low: float, high: float, least: float, most: float) -> tuple[float, float]:
    """Cut an interval to the possible range, which never costs coverage; open and `nan` ends stay."""
    return (max(low, least) if low > -inf else low), (min(high, most) if high < inf else high)


def _expit(x: float) -> float:
    return 1 / (1 + exp(-x)) if x > -700 else 0.0


def t_p_value(statistic: float, df: float, alternative: Alternative) -> float:
    """Tail probability of a t statistic (normal for infinite df)."""
    upper = float(t_sf(statistic, 1e300 if df == inf else df))
    if alternative == "greater":
        return upper
    lower = float(t_sf(-statistic, 1e300 if df == inf else df))
    return lower if alternative == "less" else min(1.0, 2 * min(upper, lower))


def skew_warning(values: NDArray[np.float64]) -> tuple[str, ...]:
    """Warn when a t interval of so few, so skewed values covers less than it says.

    The error of the t interval grows with skewness^2 / n (Hall 1992); heavy tails hide from small
    samples, so the warning comes early.
    """
    n = values.size
    if n < 3:
        return ()
    residuals = values - values.mean()
    largest = float(abs(residuals).max())
    if largest <= ROUNDING * float(abs(values).max()):
        return ()
    residuals /= largest
    skewness = float(residuals @ (residuals * residuals)) / n / (float(residuals @ residuals) / n) ** 1.5
    if skewness * skewness <= 0.025 * n:
        return ()
    text = (
        f"scores are skewed (skewness {skewness:.1f} with {n} items): the t interval may miss more often than it "
        "says; use the bootstrap-t interval, quantiles, or logarithms"
    )
    return (text,)


def mean_t(scores: ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Estimate a mean with the t interval on item means: mean -+ t(n-1) sd / sqrt(n).

    Repeats are averaged within an item first: the item is the unit (Miller 2024, arXiv:2411.00640).

    Args:
        scores: Shape (items,) or (items, repeats); `nan` marks a missing score.
        confidence: Level of the interval.

    Returns:
        Estimate. Fewer than two items, or all equal: interval `nan` with a reason.

    Raises:
        StatsError: Scores that are not numbers or infinite, or a confidence outside (0, 1).

    Examples:
        >>> e = mean_t([4.0, 5.0, 3.0, 4.0, 4.0])
        >>> e.estimate, round(e.low, 3), round(e.high, 3)
        (4.0, 3.122, 4.878)
    """
    confidence = check_confidence(confidence)
    values = present_means(scores)
    fit = fit_mean(values)
    low, high = t_limits(fit, confidence)
    return _estimate(fit, low, high, "t", confidence, skew_warning(values))


def mean_logit_t(scores: ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Estimate a mean of scores in [0, 1] with a t interval on the logit scale.

    With m the mean and s its standard error: expit(logit(m) -+ t(n-1) s / (m (1 - m))). It cannot
    leave [0, 1], where the plain t interval does when the mean is near an end.

    Args:
        scores: Shape (items,) or (items, repeats), in [0, 1]; `nan` marks a missing score.
        confidence: Level of the interval.

    Returns:
        Estimate. Fewer than two items, or all equal: interval `nan` with a reason.

    Raises:
        StatsError: A score outside [0, 1].

    Examples:
        >>> e = mean_logit_t([1.0, 0.9, 1.0, 0.95, 0.85, 1.0])
        >>> round(e.estimate, 3), round(e.low, 3), round(e.high, 3)
        (0.95, 0.824, 0.987)
    """
    confidence = check_confidence(confidence)
    values = present_means(scores)
    if values.size and (values.min() < 0 or values.max() > 1):
        raise StatsError(f"logit-t needs scores in [0, 1], got values from {values.min()!r} to {values.max()!r}")
    fit = fit_mean(values)
    low, high = logit_limits(fit, confidence)
    return _estimate(fit, low, high, "logit_t", confidence, ())


def _estimate(
    fit: MeanFit, low: float, high: float, method: str, confidence: float, warnings: tuple[str, ...]
) -> Estimate:
    return Estimate(
        estimate=fit.mean,
        low=low,
        high=high,
        confidence=confidence,
        n=fit.n_units,
        method=method,
        se=fit.se,
        df=fit.df,
        reason=no_interval_reason(fit),
        assumptions=("items are independent draws from the population of interest",),
        warnings=warnings,
    )


def no_interval_reason(fit: MeanFit) -> str | None:
    """Say why a mean has no interval, if it has none."""
    if fit.n_units == 0:
        return "no item has a score"
    if fit.n_units == 1:
        return "no interval: one item says nothing about the spread between items"
    if fit.one_decides:
        return "no interval: one item or cluster has nearly all the weight"
    if not fit.se > 0:
        return "no interval: all scores are equal, so their spread cannot be estimated"
    return None
