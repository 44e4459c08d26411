"""Distributions of the largest of several correlated t-values, by quadrature: same input, same digits."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, cast

import numpy as np

from bakeoff.stats.core._dist import norm_cdf, norm_ppf

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Float = NDArray[np.float64]

__all__ = ["max_abs_normal_ppf", "max_t_cdf", "scale_grid", "studentized_range_cdf", "studentized_range_ppf"]


@lru_cache(maxsize=8)
def _normal_grid(size: int = 120) -> tuple[Float, Float]:
    """Return nodes on (-8.5, 8.5) with weights that hold the normal density."""
    nodes, weights = np.polynomial.legendre.leggauss(size)
    z = 8.5 * nodes
    return z, 8.5 * weights * np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)


@lru_cache(maxsize=128)
def scale_grid(df: float, size: int = 60) -> tuple[Float, Float]:
    """Return nodes for `s`, the square root of chi-square over `df`, with weights that hold its density."""
    if not np.isfinite(df):
        return np.array([1.0]), np.array([1.0])
    from scipy import special

    gammaincinv = cast("Callable[[float, Float], Float]", special.gammaincinv)
    nodes, weights = np.polynomial.legendre.leggauss(size)
    low, high = np.sqrt(2 * gammaincinv(df / 2, np.array([1e-14, 1 - 1e-14])) / df)
    s = (high + low) / 2 + (high - low) / 2 * nodes
    gammaln = cast("Callable[[float], float]", special.gammaln)
    log_density = (
        np.log(2) + df / 2 * np.log(df / 2) - gammaln(df / 2) + (df - 1) * np.log(s) - df * s * s / 2
    )  # density of s
    mass = np.exp(log_density) * weights * (high - low) / 2
    return s, mass / mass.sum()


def max_t_cdf(bound: float, loadings: Float, *, df: float = np.inf, two_sided: bool = True) -> float:
    """Return P(every |T_i| <= bound), or P(every T_i <= bound), for t-values with product correlations.

    The correlation of `T_i` and `T_j` is `loadings[i] * loadings[j]` (Dunnett: one shared baseline), so that
    given the shared part they are independent: two nested one-dimensional integrals.
    """
    if two_sided and bound <= 0:
        return 0.0
    z, z_mass = _normal_grid()
    s, s_mass = scale_grid(df)
    loadings = np.asarray(loadings, dtype=np.float64)
    own = np.sqrt(1 - loadings**2)
    distinct, counts = np.unique(np.stack([loadings, own]), axis=1, return_counts=True)
    product = np.ones((s.size, z.size))
    for (shared, rest), count in zip(distinct.T, counts, strict=True):
        upper = norm_cdf((bound * s[:, None] + shared * z[None, :]) / rest)
        lower = norm_cdf((-bound * s[:, None] + shared * z[None, :]) / rest) if two_sided else 0.0
        product = product * (upper - lower) ** count
    return float(np.clip(s_mass @ product @ z_mass, 0.0, 1.0))


def studentized_range_cdf(q: float, k: int, df: float = np.inf) -> float:
    """Return P(range of `k` normals over an independent standard deviation <= q)."""
    if q <= 0:
        return 0.0
    z, z_mass = _normal_grid()
    s, s_mass = scale_grid(df)
    inner = norm_cdf(z[None, :]) - norm_cdf(z[None, :] - q * s[:, None])
    return float(np.clip(s_mass @ (k * np.maximum(inner, 0.0) ** (k - 1)) @ z_mass, 0.0, 1.0))


def _solve(function: Callable[[float], float], target: float, start: float) -> float:
    low, high = 0.0, max(start, 1.0)
    while function(high) < target and high < 1e6:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if function(middle) >= target else (middle, high)
        if high - low < 1e-10 * high:
            break
    return (low + high) / 2


@lru_cache(maxsize=512)
def studentized_range_ppf(confidence: float, k: int, df: float = np.inf) -> float:
    """Return the quantile of the studentized range of `k` means."""
    return _solve(lambda q: studentized_range_cdf(q, k, df), confidence, 4.0)


@lru_cache(maxsize=512)
def max_abs_normal_ppf(confidence: float, k: int, correlation: float = 0.5) -> float:
    """Return the two-sided simultaneous critical value of `k` equally correlated normals."""
    loadings = np.full(k, np.sqrt(correlation))
    start = float(norm_ppf(1 - (1 - confidence) / (2 * k)))
    return _solve(lambda bound: max_t_cdf(bound, loadings), confidence, start)
