"""Ratios of two means: cost per success, clicks per session; Fieller and delta-method intervals."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf, isnan, nan, sqrt
from typing import TYPE_CHECKING, Literal

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import as_scores, as_vector, check_alternative, check_confidence
from bakeoff.stats.core._dist import critical_value, t_ppf, t_sf
from bakeoff.stats.core._items import as_codes, as_weights, item_means
from bakeoff.stats.core._mean_fit import fit_mean
from bakeoff.stats.core._result import Alternative, Difference, Estimate
from bakeoff.stats.core._wilson import wilson_limits

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]

__all__ = ["RatioDifference", "RatioMethod", "cost_per_success", "ratio_difference", "ratio_of_means", "relative_lift"]

RatioMethod = Literal["fieller", "delta"]
"""`fieller` stays right when the denominator is uncertain; `delta` is its large-sample limit."""


@dataclass(frozen=True, slots=True)
class _Ratio:
    ratio: float
    numerator: float
    denominator: float
    var_numerator: float
    var_denominator: float
    covariance: float
    df: float
    n: int
    influence: Float
    """Contribution of each cluster to the ratio, shape (clusters,)."""

    @property
    def se(self) -> float:
        variance = self.var_numerator - 2 * self.ratio * self.covariance + self.ratio**2 * self.var_denominator
        return sqrt(max(variance, 0.0)) / abs(self.denominator) if self.denominator else nan


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioDifference(Difference):
    """Difference of two ratios of means, with the relative change."""

    relative: float = nan
    """Candidate ratio / baseline ratio - 1."""
    relative_low: float = nan
    relative_high: float = nan


def _columns(
    numerator: ArrayLike, denominator: ArrayLike, weights: ArrayLike | None, clusters: ArrayLike | None
) -> tuple[Float, Float, Float, NDArray[np.intp], int]:
    top = as_vector(numerator, "numerator")
    bottom = as_vector(denominator, "denominator", length=len(top))
    weight = as_weights(weights, len(top))
    codes, groups = as_codes(clusters, len(top))
    weight = np.where(np.isnan(top) | np.isnan(bottom), 0.0, weight)
    return np.nan_to_num(top), np.nan_to_num(bottom), weight, codes, groups


def _moments(top: Float, bottom: Float, weight: Float, codes: NDArray[np.intp]) -> _Ratio:
    used = weight > 0
    a = fit_mean(top[used], codes[used], weight[used])
    b = fit_mean(bottom[used], codes[used], weight[used])
    s = fit_mean(top[used] + bottom[used], codes[used], weight[used])
    covariance = (s.se**2 - a.se**2 - b.se**2) / 2
    ratio = a.mean / b.mean if b.mean else nan
    groups = int(codes.max()) + 1 if len(codes) else 0
    total = float(weight.sum()) or nan
    influence = np.bincount(codes, weights=weight * (top - ratio * bottom), minlength=groups) / (total * b.mean or nan)
    return _Ratio(ratio, a.mean, b.mean, a.se**2, b.se**2, covariance, a.df, a.n_units, influence)


def _fieller(r: _Ratio, crit: float) -> tuple[float, float, str | None]:
    """Return the Fieller set `{r : (A - rB)^2 <= c^2 Var(A - rB)}`; open ended when B may be 0."""
    a = r.denominator**2 - crit**2 * r.var_denominator
    b = r.numerator * r.denominator - crit**2 * r.covariance
    c = r.numerator**2 - crit**2 * r.var_numerator
    root = sqrt(max(b * b - a * c, 0.0))
    if a > 0:
        return (b - root) / a, (b + root) / a, None
    return -inf, inf, "the denominator is not clearly different from zero, so the ratio has no bound"


def ratio_of_means(
    numerator: ArrayLike,
    denominator: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    method: RatioMethod = "fieller",
    confidence: float = 0.95,
) -> Estimate:
    """Estimate `mean(numerator) / mean(denominator)` over units (never the mean of ratios).

    Fieller (1954): all r with `(A - r B)^2 <= t^2 Var(A - r B)`. Delta method (Deng, Knoblich & Lu 2018):
    `Var(A/B) = (Var A - 2 r Cov + r^2 Var B) / B^2`. A unit (item, user) is whatever was sampled or randomised.

    Args:
        numerator: One value per unit, for instance the cost of an item or the clicks of a user.
        denominator: One value per unit, for instance success 0/1 or the sessions of a user.
        weights: Weight of each unit.
        clusters: Label of the group of each unit.
        method: `fieller` or `delta`.
        confidence: Confidence of the interval.

    Returns:
        The ratio; with Fieller the interval is infinite where the denominator may be zero.

    Raises:
        StatsError: If lengths differ or a value is infinite.

    Examples:
        >>> result = ratio_of_means([2.0, 3.0, 4.0, 3.0], [1, 1, 2, 2])
        >>> round(result.estimate, 2), round(result.low, 2), round(result.high, 2)
        (2.0, 1.35, 3.85)
    """
    confidence = check_confidence(confidence)
    if method not in ("fieller", "delta"):
        raise StatsError(f"method must be 'fieller' or 'delta', got {method!r}")
    r = _moments(*_columns(numerator, denominator, weights, clusters)[:4])
    base = Estimate(estimate=r.ratio, low=nan, high=nan, confidence=confidence, n=r.n, method=f"ratio_{method}")
    return _with_limits(base, r, method)


def _with_limits(base: Estimate, r: _Ratio, method: RatioMethod) -> Estimate:
    if r.n == 0:
        return replace(base, reason="no unit has both a numerator and a denominator")
    if isnan(r.ratio):
        return replace(base, reason="the denominator is zero on average")
    if r.n == 1:
        return replace(base, reason="one unit: the spread over units is unknown")
    if r.var_numerator == 0 and r.var_denominator == 0:
        return replace(base, se=0.0, df=r.df, reason="every unit has the same values: no spread to judge by")
    crit = critical_value(base.confidence, r.df)
    warnings: tuple[str, ...] = ()
    if method == "fieller":
        low, high, warning = _fieller(r, crit)
        warnings = (warning,) if warning else ()
    else:
        low, high = r.ratio - crit * r.se, r.ratio + crit * r.se
    if high - low <= 1e-12 * abs(r.ratio):
        return replace(base, se=r.se, df=r.df, reason="every unit has the same ratio: no spread to judge by")
    return replace(base, low=low, high=high, se=r.se, df=r.df, warnings=warnings)


def relative_lift(
    candidate: ArrayLike,
    baseline: ArrayLike,
    *,
    paired: bool = True,
    clusters: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Estimate:
    """Estimate the relative change of a mean, `mean(candidate) / mean(baseline) - 1`: "12% cheaper".

    Fieller (1954) on the two means, with their covariance when paired; Welch's degrees of freedom when not. For costs,
    latencies and other scores whose mean is above zero; pass rates are compared in points.

    Args:
        candidate: Shape (items,) or (items, repeats); `nan` marks a missing score.
        baseline: Likewise; the same items in the same order when `paired`.
        paired: Whether both variants saw the same items.
        clusters: One label for each item, for paired data only.
        confidence: Confidence of the interval.

    Returns:
        The change, -0.12 for 12% less; `nan` with a reason where the baseline's mean is not above zero.

    Raises:
        StatsError: Lengths that differ, clusters for unpaired data, or values that are infinite.

    Examples:
        >>> lift = relative_lift([8.0, 9.5, 7.0, 9.0, 8.5], [10.0, 11.0, 8.5, 9.5, 10.0])
        >>> round(lift.estimate, 3), round(lift.low, 3), round(lift.high, 3)
        (-0.143, -0.212, -0.075)
    """
    confidence = check_confidence(confidence)
    a, b = (item_means(as_scores(x, name))[0] for x, name in ((candidate, "candidate"), (baseline, "baseline")))
    if paired and a.size != b.size:
        raise StatsError(
            f"a paired comparison needs the same items: candidate has {a.size}, baseline {b.size}; or pass paired=False"
        )
    if clusters is not None and not paired:
        raise StatsError("clusters are for paired=True; for unpaired data aggregate to the randomised unit first")
    r = _moments(*_columns(a, b, None, clusters)[:4]) if paired else _separate(a[~np.isnan(a)], b[~np.isnan(b)])
    method = "relative_lift_fieller"
    if r.n and not r.denominator > 0:
        why = "the mean of the baseline is not above zero, so a relative change has no meaning"
        return Estimate(estimate=nan, low=nan, high=nan, confidence=confidence, n=r.n, method=method, reason=why)
    base = Estimate(estimate=r.ratio, low=nan, high=nan, confidence=confidence, n=r.n, method=method)
    found = _with_limits(base, r, "fieller")
    return replace(found, estimate=found.estimate - 1, low=found.low - 1, high=found.high - 1)


def _separate(top: Float, bottom: Float) -> _Ratio:
    """Two means of different items: no covariance, Welch's degrees of freedom for `A - r B`."""
    a, b = fit_mean(top), fit_mean(bottom)
    ratio = a.mean / b.mean if b.mean else nan
    va, vb = a.se**2, b.se**2
    spread = va**2 / a.df + (ratio**2 * vb) ** 2 / b.df if min(a.n_units, b.n_units) > 1 else nan
    df = (va + ratio**2 * vb) ** 2 / spread if spread > 0 else nan
    n = a.n_units + b.n_units if min(a.n_units, b.n_units) > 1 else min(a.n_units, b.n_units)
    return _Ratio(ratio, a.mean, b.mean, va, vb, 0.0, df, n, np.empty(0))


def cost_per_success(
    cost: ArrayLike,
    success: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Estimate:
    """Estimate what one success costs: total cost over total successes, failed attempts paid for.

    Fieller interval over items (see `ratio_of_means`). Where the successes are so few that Fieller has no upper
    end, the lower end is `mean cost / Wilson upper limit of the success rate`, and the upper end is infinite.

    Args:
        cost: Cost per item (any unit, for instance `cost_usd`), at least 0; of shape (items,).
        success: Success per item, in [0, 1]; of shape (items,).
        weights: Weight of each item.
        clusters: Label of the group of each item.
        confidence: Confidence of the interval.

    Returns:
        Cost per success in the unit of `cost`; `nan` with a reason, and a finite lower end, when nothing succeeded.

    Raises:
        StatsError: If a cost is negative or a success lies outside [0, 1].

    Examples:
        >>> result = cost_per_success([0.02, 0.01, 0.03, 0.02, 0.02, 0.02], [1, 0, 1, 1, 1, 0])
        >>> round(result.estimate, 3)
        0.03
        >>> cost_per_success([0.1, 0.2, 0.1], [0, 0, 0]).reason
        'no success: the cost of one is above the lower end, with no upper end'
    """
    confidence = check_confidence(confidence)
    spent = as_vector(cost, "cost")
    won = as_vector(success, "success", length=len(spent))
    if (spent < 0).any():
        raise StatsError("cost must be at least 0")
    if ((won < 0) | (won > 1)).any():
        raise StatsError("success must lie in [0, 1]")
    result = replace(
        ratio_of_means(spent, won, weights=weights, clusters=clusters, confidence=confidence),
        method="cost_per_success_fieller",
    )
    if result.n == 0 or not (isnan(result.estimate) or np.isinf(result.high)):
        return replace(result, low=max(result.low, 0.0)) if not isnan(result.low) else result
    top, bottom, weight, codes, _ = _columns(spent, won, weights, clusters)
    r = _moments(top, bottom, weight, codes)
    crit = critical_value(confidence, r.df if r.n > 1 else 1.0)
    _, upper = wilson_limits(r.denominator, r.n, crit)
    reason = "no success: the cost of one is above the lower end, with no upper end"
    return replace(
        result, low=r.numerator / float(upper), high=inf, reason=reason if isnan(result.estimate) else result.reason
    )


def _pair_variance(candidate: _Ratio, baseline: _Ratio, scale: tuple[float, float], *, paired: bool) -> float:
    first, second = scale
    if not paired:
        return (first * candidate.se) ** 2 + (second * baseline.se) ** 2
    joint = first * candidate.influence + second * baseline.influence
    groups = candidate.n
    return float(np.sum(joint**2)) * groups / (groups - 1)


def ratio_difference(
    candidate: tuple[ArrayLike, ArrayLike],
    baseline: tuple[ArrayLike, ArrayLike],
    *,
    paired: bool = False,
    clusters: ArrayLike | None = None,
    confidence: float = 0.95,
    alternative: Alternative = "two-sided",
) -> RatioDifference:
    """Compare two ratios of means by the delta method, candidate minus baseline, absolute and relative.

    Each side is linearised, `(a_i - r b_i) / mean(b)` (Deng, Knoblich & Lu 2018); paired sides are differenced item
    by item before the variance is taken. The relative change uses the delta method on `r1 / r0 - 1`.

    Args:
        candidate: Numerator and denominator, each of shape (units,).
        baseline: Numerator and denominator, each of shape (units,).
        paired: Whether position i is the same unit on both sides (units missing on one side are left out).
        clusters: Group labels, for paired data only.
        confidence: Confidence of the intervals.
        alternative: Direction of the alternative.

    Returns:
        The difference of the ratios with the relative change.

    Raises:
        StatsError: If lengths differ, or clusters are given for unpaired data.

    Examples:
        >>> clicks, sessions = [2.0, 3.0, 4.0, 3.0, 2.0], [1.0, 1.0, 2.0, 2.0, 1.0]
        >>> result = ratio_difference(([3.0, 4.0, 5.0, 3.0, 3.0], sessions), (clicks, sessions), paired=True)
        >>> round(result.estimate, 3), round(result.relative, 3)
        (0.571, 0.286)
    """
    confidence = check_confidence(confidence)
    alternative = check_alternative(alternative)
    if clusters is not None and not paired:
        raise StatsError("clusters are for paired=True; for unpaired data aggregate to the randomised unit first")
    a_top, a_bottom, a_weight, a_codes, _ = _columns(*candidate, None, clusters)
    b_top, b_bottom, b_weight, b_codes, _ = _columns(*baseline, None, clusters)
    missing = int((a_weight == 0).sum() + (b_weight == 0).sum())
    if paired:
        if len(a_top) != len(b_top):
            raise StatsError(f"paired sides must have the same units, got {len(a_top)} and {len(b_top)}")
        both = (a_weight > 0) & (b_weight > 0)
        missing = int((~both).sum())
        a_weight = b_weight = both.astype(np.float64)
    a = _moments(a_top, a_bottom, a_weight, a_codes)
    b = _moments(b_top, b_bottom, b_weight, b_codes)
    n = a.n if paired else a.n + b.n
    base = RatioDifference(
        estimate=a.ratio - b.ratio,
        low=nan,
        high=nan,
        confidence=confidence,
        n=n,
        method="ratio_delta",
        p_value=nan,
        test="delta_t",
        alternative=alternative,
        paired=paired,
        candidate_mean=a.ratio,
        baseline_mean=b.ratio,
        n_missing=missing,
        relative=a.ratio / b.ratio - 1 if b.ratio else nan,
    )
    if isnan(a.ratio) or isnan(b.ratio):
        return replace(base, reason="a denominator is zero on average, or a side has no units")
    if a.n < 2 or b.n < 2:
        return replace(base, reason="fewer than two units on a side: the spread over units is unknown")
    se = sqrt(_pair_variance(a, b, (1.0, -1.0), paired=paired))
    if se == 0:
        return replace(base, se=0.0, reason="no spread between units: the interval cannot be estimated")
    df = a.df if paired else _welch_df(a, b)
    crit = critical_value(confidence, df)
    low, high = base.estimate - crit * se, base.estimate + crit * se
    if alternative != "two-sided":
        one = float(t_ppf(confidence, df))
        low, high = (base.estimate - one * se, inf) if alternative == "greater" else (-inf, base.estimate + one * se)
    relative_se = sqrt(_pair_variance(a, b, (1 / b.ratio, -a.ratio / b.ratio**2), paired=paired)) if b.ratio else nan
    return replace(
        base,
        low=low,
        high=high,
        se=se,
        df=df,
        p_value=_p_value(base.estimate / se, df, alternative),
        relative_low=base.relative - crit * relative_se,
        relative_high=base.relative + crit * relative_se,
    )


def _welch_df(a: _Ratio, b: _Ratio) -> float:
    va, vb = a.se**2, b.se**2
    return (va + vb) ** 2 / (va**2 / a.df + vb**2 / b.df) if va + vb > 0 else nan


def _p_value(t: float, df: float, alternative: Alternative) -> float:
    if alternative == "two-sided":
        return min(1.0, 2 * float(t_sf(abs(t), df)))
    return float(t_sf(t if alternative == "greater" else -t, df))
