"""Live traffic: sticky assignment, sample-ratio mismatch, covariate adjustment, guardrails."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from math import inf, isnan, nan, sqrt
from typing import TYPE_CHECKING, Literal

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats._checks import check_alpha, check_alternative, check_confidence, check_unit
from bakeoff.stats._dist import chi2_sf, norm_sf, t_sf
from bakeoff.stats._moments import as_numbers, as_vector, critical_value
from bakeoff.stats._result import Alternative, Difference, Estimate, TestResult

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]

__all__ = [
    "AdjustedDifference",
    "GuardrailResult",
    "SrmResult",
    "adjusted_difference",
    "assign_variant",
    "guardrail",
    "hash_unit",
    "srm_test",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SrmResult(TestResult):
    """Chi-square test of the traffic split against its plan."""

    mismatch: bool | None = None
    """Whether the split is wrong at `alpha`; `None` if not estimable. Verdicts must wait when it is."""
    alpha: float = 0.001
    shares: tuple[float, ...] = ()
    """Observed shares, in the order of the counts."""
    planned: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AdjustedDifference(Difference):
    """A difference of means adjusted for covariates measured before the experiment."""

    variance_ratio: float = nan
    """Variance of the adjusted over the plain difference; 1 - r^2 in large samples."""
    unadjusted: float = nan
    """Plain difference of means."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardrailResult:
    """Whether a variant is shown not to harm a metric by more than a margin."""

    status: Literal["safe", "harm", "inconclusive"]
    """`safe`: non-inferior; `harm`: worse by more than the margin; else `inconclusive`."""
    p_safe: float
    """One-sided p-value against "worse by the margin or more"."""
    p_harm: float
    """One-sided p-value against "worse by the margin at most"."""
    margin: float
    worst: float
    """One-sided confidence bound on the side that would be harm."""
    reason: str


def hash_unit(unit: str, *, salt: str) -> float:
    """Return a number in [0, 1) that depends on the unit and the salt only, uniform over units.

    SHA-256 of the salt's length, the salt and the unit: the same in every process, version and machine.

    Args:
        unit: Identifier of what is randomised (user, conversation).
        salt: Name of the experiment; another salt gives an independent draw.

    Returns:
        The first 53 bits of the digest as a fraction.

    Examples:
        >>> hash_unit("user-1", salt="exp-7") == hash_unit("user-1", salt="exp-7")
        True
        >>> hash_unit("user-1", salt="exp-7") == hash_unit("user-1", salt="exp-8")
        False
    """
    digest = hashlib.sha256(f"{len(salt)}:{salt}:{unit}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / 2.0**53


def assign_variant(unit: str, weights: Mapping[str, float], *, salt: str, exposure: float = 1.0) -> str | None:
    """Assign a unit to a variant, always the same one for the same salt.

    Whether the unit takes part and which variant it gets are separate draws, so raising `exposure` adds units and
    never moves one that already takes part. The order of the mapping matters; changing the weights moves units.

    Args:
        unit: Identifier of what is randomised.
        weights: Variant to share of traffic; any positive scale.
        salt: Name of the experiment.
        exposure: Share of units that take part, in [0, 1].

    Returns:
        Name of the variant, or `None` when the unit does not take part.

    Raises:
        StatsError: If there is no positive weight, a weight is negative, or the exposure is outside [0, 1].

    Examples:
        >>> assign_variant("user-1", {"control": 1, "new": 1}, salt="exp-7")
        'new'
        >>> assign_variant("user-1", {"control": 1, "new": 1}, salt="exp-7", exposure=0.0) is None
        True
    """
    check_unit(exposure, "exposure")
    values = [float(w) for w in weights.values()]
    if not all(0 <= w < inf for w in values) or not sum(values) > 0:
        raise StatsError(f"weights must be finite, at least 0, and one of them positive, got {dict(weights)!r}")
    if hash_unit(unit, salt=f"{salt}/exposure") >= exposure:
        return None
    point = hash_unit(unit, salt=f"{salt}/variant") * sum(values)
    reached, chosen = 0.0, ""
    for name, weight in zip(weights, values, strict=True):
        if weight > 0:
            chosen, reached = name, reached + weight
            if point < reached:
                break
    return chosen


def srm_test(counts: ArrayLike, planned: ArrayLike | None = None, *, alpha: float = 0.001) -> SrmResult:
    """Test whether traffic was split as planned (sample-ratio mismatch).

    Pearson chi-square over variants (Fabijan et al. 2019). One look only: for a test that may be read at any time use
    the sequential one. Count randomised units, not requests. A mismatch means the assignment or the logging is broken
    and no comparison can be trusted.

    Args:
        counts: Units per variant.
        planned: Planned shares, any positive scale; equal when not given.
        alpha: Alarm level, small since every experiment is tested.

    Returns:
        The test with observed and planned shares.

    Raises:
        StatsError: If a count is negative or not whole, or a planned share is not positive.

    Examples:
        >>> result = srm_test([821_588, 815_482])
        >>> f"{result.p_value:.1e}", result.mismatch
        ('1.8e-06', True)
    """
    alpha = check_alpha(alpha)
    observed = as_vector(counts, "counts")
    if np.isnan(observed).any() or (observed < 0).any() or (observed != np.floor(observed)).any():
        raise StatsError(f"counts must be whole numbers of at least 0, got {observed.tolist()!r}")
    plan = np.ones(len(observed)) if planned is None else as_vector(planned, "planned", length=len(observed))
    if not (plan > 0).all():
        raise StatsError(f"planned shares must be positive, got {plan.tolist()!r}")
    total, plan = float(observed.sum()), plan / plan.sum()
    result = SrmResult(p_value=nan, n=int(total), method="srm_chi2", alpha=alpha, planned=tuple(plan.tolist()))
    if len(observed) < 2 or total == 0:
        return replace(result, reason="needs at least two variants and one unit")
    expected = total * plan
    statistic = float(((observed - expected) ** 2 / expected).sum())
    p = float(chi2_sf(statistic, len(observed) - 1))
    few = ("fewer than 5 units expected in a variant: the chi-square is rough",) * bool((expected < 5).any())
    return replace(
        result,
        p_value=p,
        statistic=statistic,
        df=float(len(observed) - 1),
        mismatch=p < alpha,
        shares=tuple((observed / total).tolist()),
        warnings=few,
    )


def _covariates(values: ArrayLike, length: int, name: str) -> Float:
    x = as_numbers(values, name)
    x = x[:, None] if x.ndim == 1 else x
    if x.ndim != 2 or len(x) != length:
        raise StatsError(f"{name} must be of shape ({length},) or ({length}, p), got {x.shape}")
    return x


def _filled(x: Float, mean: Float) -> Float:
    """Replace missing covariates by the mean and add an indicator of missingness where there is any."""
    gone = np.isnan(x)
    return np.concatenate([np.where(gone, mean, x), gone.astype(np.float64)], axis=1)


def _arm(y: Float, x: Float, centre: Float, theta: Float | None) -> tuple[float, float, float]:
    """Return adjusted mean, its variance and residual df of one arm; per-arm slopes with HC2 unless theta is given."""
    n = len(y)
    z = x - centre
    if theta is not None:
        residual = y - z @ theta
        return float(residual.mean()), float(residual.var(ddof=1)) / n, n - 1.0
    design = np.column_stack([np.ones(n), z])
    inverse = np.linalg.pinv(design.T @ design)
    beta = inverse @ (design.T @ y)
    residual = y - design @ beta
    leverage = np.minimum(np.einsum("ij,jk,ik->i", design, inverse, design), 1 - 1e-10)
    meat = (design * (residual**2 / (1 - leverage))[:, None]).T @ design
    return float(beta[0]), float((inverse @ meat @ inverse)[0, 0]), float(n - np.linalg.matrix_rank(design))


def adjusted_difference(
    candidate: ArrayLike,
    baseline: ArrayLike,
    *,
    candidate_covariates: ArrayLike,
    baseline_covariates: ArrayLike,
    method: Literal["lin", "cuped"] = "lin",
    confidence: float = 0.95,
    alternative: Alternative = "two-sided",
) -> AdjustedDifference:
    """Compare two means after removing what was predictable before the experiment.

    `lin`: regression with treatment-by-covariate interactions and HC2 standard errors (Lin 2013), never less precise
    than the plain difference in large samples. `cuped`: `y - theta (x - mean x)` with one pooled
    `theta = cov / var` within arms (Deng et al. 2013). Covariates must be measured before assignment: one that the
    treatment changes removes part of the effect. Missing covariates get the mean and an indicator.

    Args:
        candidate: Metric per unit, shape (units,); `nan` is missing.
        baseline: Metric per unit of the baseline.
        candidate_covariates: Shape (units,) or (units, p).
        baseline_covariates: The same covariates for the baseline's units.
        method: `lin` or `cuped`.
        confidence: Confidence of the interval.
        alternative: Direction of the alternative.

    Returns:
        The adjusted difference with the variance that was saved.

    Raises:
        StatsError: If lengths or the number of covariates differ, or a value is infinite.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> before = rng.normal(size=(2, 400))
        >>> after = 0.8 * before + rng.normal(scale=0.6, size=(2, 400)) + np.array([[0.2], [0.0]])
        >>> result = adjusted_difference(after[0], after[1], candidate_covariates=before[0],
        ...                              baseline_covariates=before[1])
        >>> 0.3 < result.variance_ratio < 0.42
        True
    """
    confidence, alternative = check_confidence(confidence), check_alternative(alternative)
    if method not in ("lin", "cuped"):
        raise StatsError(f"method must be 'lin' or 'cuped', got {method!r}")
    y1, y0 = as_vector(candidate, "candidate"), as_vector(baseline, "baseline")
    x1 = _covariates(candidate_covariates, len(y1), "candidate_covariates")
    x0 = _covariates(baseline_covariates, len(y0), "baseline_covariates")
    if x1.shape[1] != x0.shape[1]:
        raise StatsError(f"both sides need the same covariates, got {x1.shape[1]} and {x0.shape[1]}")
    missing = int(np.isnan(y1).sum() + np.isnan(y0).sum())
    x1, y1, x0, y0 = x1[~np.isnan(y1)], y1[~np.isnan(y1)], x0[~np.isnan(y0)], y0[~np.isnan(y0)]
    result = AdjustedDifference(
        estimate=nan, low=nan, high=nan, confidence=confidence, n=len(y1) + len(y0), method=method, p_value=nan,
        test=f"{method}_t", alternative=alternative, paired=False, n_missing=missing,
        assumptions=("covariates were measured before assignment", "units were assigned at random"),
    )  # fmt: skip
    p = x1.shape[1]
    if min(len(y1), len(y0)) < p + 3:
        return replace(result, reason=f"needs at least {p + 3} units on each side for {p} covariates")
    pooled = np.concatenate([x1, x0])
    seen = ~np.isnan(pooled)
    mean = np.where(seen, pooled, 0.0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    x1, x0 = _filled(x1, mean), _filled(x0, mean)
    pooled = np.concatenate([x1, x0])
    useful = np.ptp(pooled, axis=0) > 0
    x1, x0, centre = x1[:, useful], x0[:, useful], pooled[:, useful].mean(axis=0)
    theta = _pooled_slope(y1, y0, x1, x0) if method == "cuped" else None
    m1, v1, df1 = _arm(y1, x1, centre, theta)
    m0, v0, df0 = _arm(y0, x0, centre, theta)
    plain = float(y1.var(ddof=1)) / len(y1) + float(y0.var(ddof=1)) / len(y0)
    result = replace(
        result, estimate=m1 - m0, candidate_mean=m1, baseline_mean=m0, unadjusted=float(y1.mean() - y0.mean())
    )
    if v1 + v0 <= 1e-24 * max(plain, 1e-300) or plain == 0:
        return replace(result, reason="no spread is left after the adjustment: no interval can be given")
    df = (v1 + v0) ** 2 / (v1**2 / df1 + v0**2 / df0)
    se, warnings = sqrt(v1 + v0), ()
    if not useful.any():
        warnings = ("no covariate varies: nothing was adjusted",)
    done = _with_test(result, se, df)
    return replace(done, variance_ratio=(v1 + v0) / plain, warnings=warnings)


def _pooled_slope(y1: Float, y0: Float, x1: Float, x0: Float) -> Float:
    z = np.concatenate([x1 - x1.mean(axis=0), x0 - x0.mean(axis=0)])
    y = np.concatenate([y1 - y1.mean(), y0 - y0.mean()])
    return np.asarray(np.linalg.pinv(z.T @ z) @ (z.T @ y), dtype=np.float64)


def _with_test(result: AdjustedDifference, se: float, df: float) -> AdjustedDifference:
    t = result.estimate / se
    if result.alternative == "two-sided":
        half = critical_value(result.confidence, df) * se
        p, low, high = 2 * float(t_sf(abs(t), df)), result.estimate - half, result.estimate + half
    else:
        up = result.alternative == "greater"
        half = _one_sided(result.confidence, df) * se
        p = float(t_sf(t if up else -t, df))
        low, high = (result.estimate - half, inf) if up else (-inf, result.estimate + half)
    return replace(result, low=low, high=high, se=se, df=df, p_value=p)


def _one_sided(confidence: float, df: float) -> float:
    return critical_value(2 * confidence - 1, df) if confidence > 0.5 else -critical_value(1 - 2 * confidence, df)


def guardrail(
    difference: Estimate, *, margin: float, higher_is_better: bool = True, alpha: float = 0.05
) -> GuardrailResult:
    """Say whether a difference shows that a guardrail metric is not harmed by more than a margin.

    Non-inferiority from the estimate and its standard error: `safe` when the one-sided confidence bound at level
    `alpha` stays within the margin, `harm` when even the opposite bound lies beyond it. "Not significantly worse" is
    never read as safe.

    Args:
        difference: Candidate minus baseline with its `se` (and `df`), from any comparison.
        margin: Largest harm that is tolerable, above 0, on the scale of the metric.
        higher_is_better: False for cost, latency, error rate.
        alpha: One-sided level.

    Returns:
        The status with both one-sided p-values.

    Raises:
        StatsError: If the margin is not positive.

    Examples:
        >>> latency_ms = Estimate(estimate=4.0, low=-6.0, high=14.0, n=400, method="t", se=5.0)
        >>> guardrail(latency_ms, margin=25.0, higher_is_better=False).status
        'safe'
    """
    alpha = check_alpha(alpha)
    if not 0 < margin < inf:
        raise StatsError(f"margin must be a positive number on the scale of the metric, got {margin!r}")
    value = difference.estimate if higher_is_better else -difference.estimate
    se, df = difference.se, difference.df
    if isnan(value) or isnan(se) or se <= 0:
        why = difference.reason or "the difference has no standard error"
        return GuardrailResult(
            status="inconclusive", p_safe=nan, p_harm=nan, margin=margin, worst=nan, reason=f"not estimable: {why}"
        )
    t = (value + margin) / se
    infinite = isnan(df) or df == inf
    p_safe = float(norm_sf(t) if infinite else t_sf(t, df))
    p_harm = float(norm_sf(-t) if infinite else t_sf(-t, df))
    bound = value - _one_sided(1 - alpha, inf if infinite else df) * se
    worst = bound if higher_is_better else -bound
    status: Literal["safe", "harm", "inconclusive"] = "inconclusive"
    if p_safe <= alpha:
        status, text = "safe", f"harm beyond {margin:g} is ruled out"
    elif p_harm <= alpha:
        status, text = "harm", f"harm is beyond {margin:g}"
    else:
        text = f"harm beyond {margin:g} is neither shown nor ruled out"
    reason = f"{text} (bound {worst:+.3g} at one-sided confidence {1 - alpha:.0%})"
    return GuardrailResult(status=status, p_safe=p_safe, p_harm=p_harm, margin=margin, worst=worst, reason=reason)
