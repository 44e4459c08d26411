"""Intervals for one pass rate."""

from __future__ import annotations

from math import nan, sqrt
from typing import Literal, get_args

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import check_confidence, check_count
from bakeoff.stats.core._dist import beta_ppf, z_value
from bakeoff.stats.core._result import Estimate
from bakeoff.stats.core._wilson import wilson_interval

__all__ = [
    "ProportionMethod",
    "agresti_coull",
    "clopper_pearson",
    "jeffreys",
    "proportion",
    "wilson",
]

ProportionMethod = Literal["wilson", "clopper_pearson", "agresti_coull", "jeffreys"]
"""Interval for a pass rate; see `proportion`."""


def proportion(successes: int, n: int, *, method: ProportionMethod = "wilson", confidence: float = 0.95) -> Estimate:
    """Estimate a pass rate from `successes` of `n` independent items.

    With p = successes/n, z the normal quantile:

    - `wilson` (default): (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n) (Wilson 1927);
      covers 95% on average and stays inside [0, 1]
    - `clopper_pearson`: beta quantiles; never covers less than asked, wider (Clopper & Pearson 1934)
    - `agresti_coull`: Wald around (successes + z^2/2) / (n + z^2) (Agresti & Coull 1998)
    - `jeffreys`: quantiles of Beta(successes + 1/2, n - successes + 1/2) (Brown, Cai & DasGupta 2001)

    Args:
        successes: Items passed, 0 to n.
        n: Items scored.
        method: The interval.
        confidence: Level of the interval.

    Returns:
        Estimate in [0, 1]; for n = 0 everything is `nan` with a reason.

    Raises:
        StatsError: Counts that are not whole, negative, or successes above n.

    Examples:
        >>> e = proportion(0, 20)
        >>> e.low, round(e.high, 3)
        (0.0, 0.161)
        >>> e = proportion(81, 263)
        >>> round(e.low, 4), round(e.high, 4)
        (0.2553, 0.3662)
    """
    confidence = check_confidence(confidence)
    n = check_count(n, "n")
    successes = check_count(successes, "successes")
    if successes > n:
        raise StatsError(f"successes must be at most n = {n}, got {successes!r}")
    if method not in get_args(ProportionMethod):
        raise StatsError(f"method must be one of {list(get_args(ProportionMethod))}, got {method!r}")
    if n == 0:
        return Estimate(
            estimate=nan, low=nan, high=nan, confidence=confidence, n=0, method=method, reason="no item has a score"
        )
    p = successes / n
    low, high = _limits(successes, n, method, confidence)
    return Estimate(
        estimate=p,
        low=low,
        high=high,
        confidence=confidence,
        n=n,
        method=method,
        se=sqrt(p * (1 - p) / n) if 0 < successes < n else nan,
        assumptions=("items are independent draws from the population of interest",),
    )


def _limits(successes: int, n: int, method: ProportionMethod, confidence: float) -> tuple[float, float]:
    z = z_value(confidence)
    tail = (1 - confidence) / 2
    failures = n - successes
    if method == "wilson":
        return wilson_interval(successes / n, n, z)
    if method == "agresti_coull":
        centre = (successes + z * z / 2) / (n + z * z)
        half = z * sqrt(centre * (1 - centre) / (n + z * z))
        return max(centre - half, 0.0), min(centre + half, 1.0)
    if method == "jeffreys":
        low = float(beta_ppf(tail, successes + 0.5, failures + 0.5)) if successes else 0.0
        high = float(beta_ppf(1 - tail, successes + 0.5, failures + 0.5)) if failures else 1.0
        return low, high
    low = float(beta_ppf(tail, successes, failures + 1)) if successes else 0.0
    high = float(beta_ppf(1 - tail, successes + 1, failures)) if failures else 1.0
    return low, high


def wilson(successes: int, n: int, *, confidence: float = 0.95) -> Estimate:
    """Estimate a pass rate with the Wilson interval; see `proportion`.

    Examples:
        >>> e = wilson(15, 20)
        >>> round(e.low, 3), round(e.high, 3)
        (0.531, 0.888)
    """
    return proportion(successes, n, method="wilson", confidence=confidence)


def clopper_pearson(successes: int, n: int, *, confidence: float = 0.95) -> Estimate:
    """Estimate a pass rate with the exact Clopper-Pearson interval; see `proportion`.

    Examples:
        >>> e = clopper_pearson(15, 20)
        >>> round(e.low, 3), round(e.high, 3)
        (0.509, 0.913)
    """
    return proportion(successes, n, method="clopper_pearson", confidence=confidence)


def agresti_coull(successes: int, n: int, *, confidence: float = 0.95) -> Estimate:
    """Estimate a pass rate with the Agresti-Coull interval; see `proportion`.

    Examples:
        >>> e = agresti_coull(15, 20)
        >>> round(e.low, 3), round(e.high, 3)
        (0.528, 0.892)
    """
    return proportion(successes, n, method="agresti_coull", confidence=confidence)


def jeffreys(successes: int, n: int, *, confidence: float = 0.95) -> Estimate:
    """Estimate a pass rate with the Jeffreys interval; see `proportion`.

    Examples:
        >>> e = jeffreys(15, 20)
        >>> round(e.low, 3), round(e.high, 3)
        (0.536, 0.898)
    """
    return proportion(successes, n, method="jeffreys", confidence=confidence)
