"""Wilson limits of rates, for whole and effective numbers of trials."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bakeoff.stats.core._dist import critical_value

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from bakeoff.stats.core._mean_fit import MeanFit

    Float = NDArray[np.float64]

__all__ = ["effective_wilson", "wilson_interval", "wilson_limits"]


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


def wilson_interval(p: float, n: float, critical: float) -> tuple[float, float]:
    """Return the Wilson limits of one rate."""
    low, high = wilson_limits(p, n, critical)
    return float(low), float(high)


def effective_wilson(fit: MeanFit, confidence: float) -> tuple[float, float]:
    """Return Wilson limits for a mean of values in [0, 1] with effective size `m(1-m)/se^2` and a t quantile.

    Where the values do not vary at all the size is the number of equal units that these are worth, the smallest that
    values in [0, 1] allow, so that an interval never has zero width.
    """
    if np.isnan(fit.se) or fit.one_decides:
        return np.nan, np.nan
    p = min(max(fit.mean, 0.0), 1.0)
    spread = p * (1 - p)
    size = spread / fit.se**2 if fit.se > 1e-9 and spread > 0 else fit.worth
    return wilson_interval(p, size, critical_value(confidence, fit.df))
