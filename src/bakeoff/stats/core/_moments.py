"""Means, standard errors, Wilson limits and item resampling that several modules share."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan, sqrt
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._dist import t_ppf, z_value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]
    Int = NDArray[np.intp]

__all__ = [
    "MeanSE",
    "as_codes",
    "as_matrix",
    "as_numbers",
    "as_vector",
    "as_weights",
    "critical_value",
    "effective_wilson",
    "item_counts",
    "mean_se",
    "one_sided_critical_value",
    "wilson_limits",
]

_CHUNK_CELLS = 4_000_000
_LARGEST, _SMALLEST = 1e60, 1e-60


@dataclass(frozen=True, slots=True)
class MeanSE:
    """A weighted mean with its standard error; `se` is nan where one unit is left."""

    mean: float
    se: float
    df: float
    n_units: int
    residuals: Float
    """Contribution of each unit to the mean: `h_g (m_g - m)`, summing to zero."""


def as_numbers(values: ArrayLike, name: str) -> Float:
    """Return `values` as float64, finite or nan, none so large that its fourth power would overflow.

    Magnitudes below 1e-60 become 0: they are rounding dust, and their squares would underflow.
    """
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise StatsError(f"{name} must hold numbers (nan for missing), all rows of one length: {error}") from error
    if np.isinf(array).any():
        raise StatsError(f"{name} holds an infinite value; a missing value is nan")
    size = np.abs(array)
    if size.max(initial=0.0, where=~np.isnan(array)) > _LARGEST:
        raise StatsError(f"{name} holds a value beyond {_LARGEST:g}; rescale it")
    return np.where(size < _SMALLEST, 0.0, array)


def as_vector(values: ArrayLike, name: str, *, length: int | None = None) -> Float:
    """Return `values` as a finite-or-nan float64 vector, of the given length when there is one."""
    array = as_numbers(values, name)
    if array.ndim != 1:
        raise StatsError(f"{name} must have shape (items,), got {array.shape}")
    if length is not None and len(array) != length:
        raise StatsError(f"{name} must have one value per item: {length} expected, got {len(array)}")
    return array


def as_matrix(values: ArrayLike, name: str, axes: str) -> Float:
    """Return `values` as a finite-or-nan float64 matrix; `axes` names its axes for the message."""
    array = as_numbers(values, name)
    if array.ndim != 2:
        raise StatsError(f"{name} must have shape ({axes}), got {array.shape}")
    return array


def as_weights(weights: ArrayLike | None, length: int, name: str = "weights") -> Float:
    """Return non-negative finite weights, ones when there are none."""
    if weights is None:
        return np.ones(length)
    array = as_vector(weights, name, length=length)
    if np.isnan(array).any() or (array < 0).any():
        raise StatsError(f"{name} must be numbers of at least 0, none missing")
    return array


def as_codes(labels: ArrayLike | None, length: int, name: str = "clusters") -> tuple[Int, int]:
    """Return integer codes and the number of groups; every item its own group when there are no labels."""
    if labels is None:
        return np.arange(length), length
    array = np.asarray(labels)
    if array.shape != (length,):
        raise StatsError(f"{name} must have one label per item: {length} expected, got shape {array.shape}")
    if array.dtype == object:
        array = array.astype(str)
    uniques, codes = np.unique(array, return_inverse=True)
    return np.asarray(codes, dtype=np.intp), len(uniques)


def critical_value(confidence: float, df: float) -> float:
    """Two-sided Student t critical value; normal when `df` is infinite."""
    return z_value(confidence) if np.isinf(df) else float(t_ppf(0.5 + confidence / 2, df))


def one_sided_critical_value(confidence: float, df: float) -> float:
    """One-sided Student t critical value; negative below a confidence of 1/2."""
    return critical_value(2 * confidence - 1, df) if confidence > 0.5 else -critical_value(1 - 2 * confidence, df)


def wilson_limits(p: ArrayLike, n: ArrayLike, critical: ArrayLike) -> tuple[Float, Float]:
    """Return Wilson score limits, broadcasting; (0, 1) where `n` is 0.

    Wilson (1927): `(p + c^2/2n -+ c sqrt(p(1-p)/n + c^2/4n^2)) / (1 + c^2/n)`; `n` may be an effective size.
    """
    p = np.asarray(p, dtype=np.float64)
    n = np.asarray(n, dtype=np.float64)
    c2 = np.square(np.asarray(critical, dtype=np.float64))
    safe = np.where(n > 0, n, 1.0)
    centre = (p + c2 / (2 * safe)) / (1 + c2 / safe)
    half = np.sqrt(c2 * (np.maximum(p * (1 - p), 0.0) / safe + c2 / (4 * safe**2))) / (1 + c2 / safe)
    # At p = 0 and p = 1 rounding must not leave the estimate outside its interval.
    low = np.where(n > 0, np.minimum(np.maximum(centre - half, 0.0), p), 0.0)
    high = np.where(n > 0, np.maximum(np.minimum(centre + half, 1.0), p), 1.0)
    return low, high


def mean_se(values: Float, weights: Float, codes: Int) -> MeanSE:
    """Return a weighted mean with the CR2 standard error of an intercept.

    `Var = sum_g R_g^2 / (1 - h_g)` with `R_g` the summed residuals of cluster g divided by the total weight and
    `h_g` its share of the weight (Bell & McCaffrey 2002); `s^2/n` when every item is its own cluster with equal
    weight. Degrees of freedom `(sum h^2)^2 / sum h^4 - 1`, which is G-1 for equal clusters.
    """
    total = float(weights.sum())
    if len(values) == 0 or total <= 0:
        return MeanSE(nan, nan, nan, 0, np.empty(0))
    mean = float(weights @ values) / total
    groups = int(codes.max()) + 1
    share = np.bincount(codes, weights=weights, minlength=groups) / total
    residual = np.bincount(codes, weights=weights * (values - mean), minlength=groups) / total
    used = share > 0
    share, residual = share[used], residual[used]
    units = len(share)
    if units < 2:
        return MeanSE(mean, nan, nan, units, residual)
    variance = float(np.sum(residual**2 / np.maximum(1 - share, 1e-12)))
    df = float(np.sum(share**2) ** 2 / np.sum(share**4) - 1)
    return MeanSE(mean, sqrt(variance), max(df, 1.0), units, residual)


def effective_wilson(moments: MeanSE, confidence: float) -> tuple[float, float]:
    """Return Wilson limits for a mean of values in [0, 1] with effective size `m(1-m)/se^2` and a t quantile.

    Where the values do not vary at all the size is the number of units, the smallest that values in [0, 1] allow,
    so that an interval never has zero width.
    """
    if np.isnan(moments.se):
        return nan, nan
    p = min(max(moments.mean, 0.0), 1.0)
    spread = p * (1 - p)
    size = spread / moments.se**2 if moments.se > 1e-9 and spread > 0 else float(moments.n_units)
    low, high = wilson_limits(p, size, critical_value(confidence, moments.df))
    return float(low), float(high)


def item_counts(rng: np.random.Generator, units: int, resamples: int) -> Iterator[Float]:
    """Yield blocks of shape (block, units) that say how often each unit is drawn in a bootstrap resample."""
    block = max(1, min(resamples, _CHUNK_CELLS // max(units, 1)))
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        drawn = rng.integers(0, units, size=(rows, units))
        drawn += (np.arange(rows) * units)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * units).reshape(rows, units).astype(np.float64)
