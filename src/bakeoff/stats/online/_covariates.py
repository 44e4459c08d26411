"""Differences sharpened by what was known before the experiment (CUPED, Lin)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf, nan, sqrt
from typing import TYPE_CHECKING, Literal

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import as_numbers, as_vector, check_alternative, check_confidence
from bakeoff.stats.core._dist import critical_value, one_sided_critical_value, t_sf
from bakeoff.stats.core._result import Alternative, Difference

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]


__all__ = ["AdjustedDifference", "adjusted_difference"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdjustedDifference(Difference):
    """A difference of means adjusted for covariates measured before the experiment."""

    variance_ratio: float = nan
    """Variance of the adjusted over the plain difference; 1 - r^2 in large samples."""
    unadjusted: float = nan
    """Plain difference of means."""


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
        half = one_sided_critical_value(result.confidence, df) * se
        p = float(t_sf(t if up else -t, df))
        low, high = (result.estimate - half, inf) if up else (-inf, result.estimate + half)
    return replace(result, low=low, high=high, se=se, df=df, p_value=p)
