"""Power of non-inferiority and equivalence on paired pass/fail items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import check_alpha, check_count, check_unit
from bakeoff.stats.core._dist import binom_pmf, norm_ppf, norm_sf
from bakeoff.stats.planning._power import binomial_window, checked_discordance

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MarginMethod", "noninferiority_power_paired"]

MarginMethod = Literal["bonett_price", "tango"]
"""Interval behind non-inferiority and equivalence on paired pass/fail items."""

_MAX_CELLS = 25_000


def noninferiority_power_paired(
    n: int,
    *,
    p10: float,
    p01: float,
    margin: float,
    alpha: float = 0.05,
    equivalence: bool = False,
    method: MarginMethod = "tango",
) -> float:
    """Return the power to show that the candidate is not worse by `margin` on paired pass/fail items.

    Shown when the `1 - 2 alpha` interval (Tango's score interval, or Bonett-Price) lies above `-margin`, a
    test at one-sided `alpha`; with `equivalence`, below `margin` too (TOST, Schuirmann 1987). Exact
    enumeration while the table of outcomes has fewer than 25,000 cells (about 1,000 items), a normal formula
    with the interval's own variance beyond that.

    Args:
        n: Items.
        p10: Probability that only the candidate passes an item.
        p01: Probability that only the baseline passes an item.
        margin: Largest loss that is acceptable, above 0 (0.05 = five points).
        alpha: One-sided level.
        equivalence: Whether a gain beyond `margin` must be excluded too.
        method: The interval; the default is the one that `compare` uses.

    Returns:
        Probability of the conclusion, 0 to 1.

    Source: Bonett and Price (2012), JEBS 37, 479-488; Tango (1998), Statistics in Medicine 17, 891-908.

    Examples:
        >>> from bakeoff.stats import noninferiority_power_paired
        >>> round(noninferiority_power_paired(200, p10=0.1, p01=0.1, margin=0.1), 2)
        0.93
    """
    n, p10, p01 = check_count(n, "n"), check_unit(p10, "p10"), check_unit(p01, "p01")
    checked_discordance(p10, p01)
    if method not in get_args(MarginMethod):
        raise StatsError(f"method must be one of {list(get_args(MarginMethod))}, got {method!r}")
    if not 0 < margin < 1:
        raise StatsError(f"margin must be between 0 and 1, got {margin!r}")
    if n == 0:
        return 0.0
    critical = float(norm_ppf(1 - check_alpha(alpha)))
    widths = [12 * (np.sqrt(n * p * (1 - p)) + 1) for p in (p10, p01)]
    if min(widths[0], n) * min(widths[1], n) > _MAX_CELLS:
        return _noninferiority_normal(n, p10, p01, margin, critical, equivalence=equivalence, method=method)
    b, c = binomial_window(n, p10, 6.0)[:, None], binomial_window(n, p01, 6.0)[None, :]
    statistic = _tango_z if method == "tango" else _bonett_price_z
    hit = statistic(b, c, n, -margin) >= critical
    if equivalence:
        hit &= statistic(b, c, n, margin) <= -critical
    # P(b, c) = P(b) * P(c | b): c is binomial among the items that are not b
    rest = np.minimum(1.0, p01 / max(1 - p10, 1e-300))
    weight = binom_pmf(b, n, p10) * np.where(c <= n - b, binom_pmf(np.minimum(c, n - b), n - b, rest), 0.0)
    return float(min(1.0, weight[hit].sum()))


def _noninferiority_normal(
    n: int, p10: float, p01: float, margin: float, critical: float, *, equivalence: bool, method: MarginMethod
) -> float:
    difference = p10 - p01
    se = max(np.sqrt((p10 + p01 - difference**2) / n), 1e-300)

    def one_side(sign: int) -> float:
        distance = margin + sign * difference
        # The standard error at the margin is read off the statistic; right at the margin that would be 0 / 0.
        probe = margin if abs(distance) > se else min(margin + 2 * se, 0.999)
        statistic = _tango_z if method == "tango" else _bonett_price_z
        z = float(np.abs(statistic(np.array(n * p10), np.array(n * p01), n, -sign * probe)))
        restricted = abs(probe + sign * difference) / z if z > 0 else se
        return float(norm_sf((critical * restricted - distance) / se))

    return max(0.0, one_side(1) + one_side(-1) - 1) if equivalence else one_side(1)


def _bonett_price_z(
    b: NDArray[np.int64] | NDArray[np.float64], c: NDArray[np.int64] | NDArray[np.float64], n: int, delta: float
) -> NDArray[np.float64]:
    """Return the distance of `delta` from Bonett and Price's estimate in its standard errors."""
    p10, p01 = (b + 1) / (n + 2), (c + 1) / (n + 2)
    return (p10 - p01 - delta) / np.sqrt((p10 + p01 - (p10 - p01) ** 2) / (n + 2))


def _tango_z(
    b: NDArray[np.int64] | NDArray[np.float64], c: NDArray[np.int64] | NDArray[np.float64], n: int, delta: float
) -> NDArray[np.float64]:
    """Return Tango's score statistic for `p10 - p01 = delta`."""
    first = 2.0 * n
    second = -b - c + (2 * n - b + c) * delta
    third = -c * delta * (1 - delta)
    p01 = (np.sqrt(np.maximum(second**2 - 4 * first * third, 0)) - second) / (2 * first)
    variance = n * (2 * p01 + delta * (1 - delta))
    return (b - c - n * delta) / np.sqrt(np.where(variance > 0, variance, np.inf))
