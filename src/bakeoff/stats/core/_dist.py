"""Distribution functions from scipy.special.

`scipy.stats` takes 1.7 s to import and adds 50-100 us to each call; everything here needs only
`scipy.special`, imported when first used, and broadcasts over arrays.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, cast

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]

__all__ = [
    "beta_cdf",
    "beta_ppf",
    "binom_cdf",
    "binom_pmf",
    "chi2_sf",
    "critical_value",
    "f_sf",
    "log_beta",
    "log_gamma",
    "nct_location",
    "norm_cdf",
    "norm_ppf",
    "norm_sf",
    "one_sided_critical_value",
    "t_cdf",
    "t_ppf",
    "t_sf",
    "z_value",
]


@cache
def _special(name: str) -> Callable[..., Any]:
    from scipy import special

    return cast("Callable[..., Any]", getattr(special, name))


def norm_cdf(x: ArrayLike) -> Float:
    """Standard normal distribution function."""
    return np.asarray(_special("ndtr")(x), dtype=np.float64)


def norm_sf(x: ArrayLike) -> Float:
    """Upper tail of the standard normal."""
    return norm_cdf(-np.asarray(x, dtype=np.float64))


def norm_ppf(q: ArrayLike) -> Float:
    """Standard normal quantile."""
    return np.asarray(_special("ndtri")(q), dtype=np.float64)


def z_value(confidence: float) -> float:
    """Two-sided normal critical value, 1.96 for 0.95."""
    return float(_special("ndtri")(0.5 + confidence / 2))


def t_cdf(x: ArrayLike, df: ArrayLike) -> Float:
    """Student t distribution function."""
    return np.asarray(_special("stdtr")(df, x), dtype=np.float64)


def t_sf(x: ArrayLike, df: ArrayLike) -> Float:
    """Upper tail of Student t."""
    return t_cdf(-np.asarray(x, dtype=np.float64), df)


def t_ppf(q: ArrayLike, df: ArrayLike) -> Float:
    """Student t quantile."""
    return np.asarray(_special("stdtrit")(df, q), dtype=np.float64)


def beta_cdf(x: ArrayLike, a: ArrayLike, b: ArrayLike) -> Float:
    """Beta distribution function."""
    return np.asarray(_special("betainc")(a, b, x), dtype=np.float64)


def beta_ppf(q: ArrayLike, a: ArrayLike, b: ArrayLike) -> Float:
    """Beta quantile."""
    return np.asarray(_special("betaincinv")(a, b, q), dtype=np.float64)


def binom_cdf(k: ArrayLike, n: ArrayLike, p: ArrayLike) -> Float:
    """P(X <= k) for a binomial; 0 for k < 0."""
    k = np.asarray(k, dtype=np.float64)
    value = _special("bdtr")(np.maximum(k, 0.0), n, p)
    return np.where(k < 0, 0.0, np.asarray(value, dtype=np.float64))


def binom_pmf(k: ArrayLike, n: ArrayLike, p: ArrayLike) -> Float:
    """P(X = k) for a binomial."""
    k = np.asarray(k, dtype=np.float64)
    n = np.asarray(n, dtype=np.float64)
    p = np.asarray(p, dtype=np.float64)
    gammaln, xlogy, xlog1py = _special("gammaln"), _special("xlogy"), _special("xlog1py")
    log_choose = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return np.asarray(np.exp(log_choose + xlogy(k, p) + xlog1py(n - k, -p)), dtype=np.float64)


def chi2_sf(x: ArrayLike, df: ArrayLike) -> Float:
    """Upper tail of chi-square."""
    return np.asarray(_special("chdtrc")(df, x), dtype=np.float64)


def f_sf(x: ArrayLike, df1: ArrayLike, df2: ArrayLike) -> Float:
    """Upper tail of the F distribution."""
    return np.asarray(_special("fdtrc")(df1, df2, x), dtype=np.float64)


def log_beta(a: ArrayLike, b: ArrayLike) -> Float:
    """Logarithm of the beta function."""
    return np.asarray(_special("betaln")(a, b), dtype=np.float64)


def nct_location(t: float, df: float, q: float) -> float:
    """Noncentrality under which a noncentral t variable is at most `t` with probability `q`."""
    return float(_special("nctdtrinc")(df, q, t))


def log_gamma(x: ArrayLike) -> Float:
    """Logarithm of the gamma function, for positive x."""
    return np.asarray(_special("gammaln")(x), dtype=np.float64)


def critical_value(confidence: float, df: float) -> float:
    """Two-sided Student t critical value; normal when `df` is infinite."""
    return z_value(confidence) if np.isinf(df) else float(t_ppf(0.5 + confidence / 2, df))


def one_sided_critical_value(confidence: float, df: float) -> float:
    """One-sided Student t critical value; negative below a confidence of 1/2."""
    return critical_value(2 * confidence - 1, df) if confidence > 0.5 else -critical_value(1 - 2 * confidence, df)
