"""Betting intervals of bounded scores and of paired pass/fail scores, valid at every look."""

from __future__ import annotations

from math import log, nan
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import check_alternative, check_confidence, check_count
from bakeoff.stats.core._result import Estimate
from bakeoff.stats.sequential._evalues import BetPrior, log_betting, log_discordant, unit_scores

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]

__all__ = ["betting_interval", "outer_root", "paired_binary_interval"]


def outer_root(log_e: Callable[[float], float], inside: float, edge: float, level: float) -> float:
    """Return where `log_e` first reaches `level` between `inside` (below it) and `edge`, erring outwards.

    `log_e` is convex and rising from `inside` to `edge`, where it may be infinite: halve the bracket until both ends
    are comparable, then take secants, with the Illinois rule so that no end gets stuck.
    """
    outside = edge
    low, high = -level, np.inf  # at the sample mean the evidence is at most 1
    kept = 0
    for step in range(120):
        gap = outside - inside
        step_size = 1e-11 * max(1.0, abs(outside))
        if abs(gap) <= 2 * step_size:
            break
        secant = high < 50.0 and step % 4 != 3  # a halving now and then bounds the worst case
        share = low / (low - high) if secant else 0.5
        least = step_size / abs(gap)  # never closer to an end than this, or the other end would stay behind
        middle = inside + gap * min(max(share, least), 1 - least)
        value = log_e(middle) - level
        if value >= 0:
            low = low / 2 if kept > 0 and secant else low
            outside, high, kept = middle, value, 1
        else:
            high = high / 2 if kept < 0 and secant else high
            inside, low, kept = middle, value, -1
    return outside


def _betting_limits(
    x: Float, counts: Float, confidence: float, alternative: str, prior: BetPrior
) -> tuple[float, float, float]:
    """Mean and limits for x in [0, 1]; limits are 0 and 1 where nothing is excluded."""
    mean = float(x @ counts / counts.sum())
    level = -log(1 - confidence)

    def log_e(null: float) -> float:
        return log_betting(x, counts, null, alternative, prior)

    tiny = 1e-12
    low = 0.0 if alternative == "less" or mean <= tiny else outer_root(log_e, mean, 0.0, level)
    high = 1.0 if alternative == "greater" or mean >= 1 - tiny else outer_root(log_e, mean, 1.0, level)
    return mean, low, high


def betting_interval(
    scores: ArrayLike,
    *,
    bounds: tuple[float, float] = (0.0, 1.0),
    confidence: float = 0.95,
    alternative: str = "two-sided",
    prior: BetPrior = "geometric",
) -> Estimate:
    """Return the betting confidence interval of a bounded mean, valid at every look.

    All means that `betting_e_value` does not reject: `{m : E(m) < 1 / alpha}`. Taken after each batch
    these intervals form a confidence sequence; it holds for any distribution on `bounds`.

    Args:
        scores: Shape (items,), one number per independent item in random order; nan is left out.
        bounds: Smallest and largest possible score.
        confidence: Simultaneous over all looks.
        alternative: `greater` gives a lower bound, `less` an upper bound; the other end is the range's.
        prior: Spread of the capital over bet sizes, fixed before the data.

    Returns:
        Mean and limits; nan limits with a reason without data.

    Raises:
        StatsError: A score outside `bounds`.

    References:
        Waudby-Smith and Ramdas 2024, JRSS B 86, 1-27.

    Examples:
        >>> estimate = betting_interval([0.2, 0.4, 0.6, 0.8] * 50)
        >>> round(estimate.estimate, 2), estimate.low < 0.5 < estimate.high
        (0.5, True)
    """
    check_confidence(confidence)
    check_alternative(alternative)
    x, scale = unit_scores(scores, bounds)
    if x.size == 0:
        return Estimate(
            estimate=nan, low=nan, high=nan, confidence=confidence, n=0, method="betting", reason="no scores"
        )
    values, counts = np.unique(x, return_counts=True)
    mean, low, high = _betting_limits(values, counts.astype(float), confidence, alternative, prior)
    return Estimate(
        estimate=bounds[0] + scale * mean,
        low=bounds[0] + scale * low,
        high=bounds[0] + scale * high,
        confidence=confidence,
        n=x.size,
        method="betting",
        assumptions=("scores lie in the bounds", "items arrive in random order"),
    )


def paired_binary_interval(
    wins: int, losses: int, n: int, *, confidence: float = 0.95, alternative: str = "two-sided"
) -> Estimate:
    """Return the always-valid interval of a difference of pass rates on common items.

    The betting interval of differences in {-1, 0, 1} with bets spread uniformly. At a difference of zero
    its e-value is `discordant_e_value`, so the interval excludes zero exactly when that test rejects.

    Args:
        wins: Items only the candidate passed.
        losses: Items only the baseline passed.
        n: All items both variants were scored on.
        confidence: Simultaneous over all looks.
        alternative: `greater` gives a lower bound, `less` an upper bound.

    Returns:
        Difference (candidate minus baseline) in [-1, 1] with limits.

    Raises:
        StatsError: Negative counts or `wins + losses > n`.

    Examples:
        >>> estimate = paired_binary_interval(30, 10, 200)
        >>> round(estimate.estimate, 2), estimate.low > 0
        (0.1, True)
    """
    check_confidence(confidence)
    check_alternative(alternative)
    b, c, total = check_count(wins, "wins"), check_count(losses, "losses"), check_count(n, "n")
    if b + c > total:
        raise StatsError(f"wins + losses must not exceed n, got {b} + {c} > {total}")
    method = "paired_binary_e_process"
    if total == 0:
        return Estimate(estimate=nan, low=nan, high=nan, confidence=confidence, n=0, method=method, reason="no items")
    x, counts = np.array([0.0, 0.5, 1.0]), np.array([c, total - b - c, b], dtype=np.float64)
    mean, low, high = _betting_limits(x, counts, confidence, alternative, "uniform")
    low, high = 2 * low - 1, 2 * high - 1
    # Quadrature and closed form agree to many digits; the closed form decides in the last of them.
    if float(log_discordant(b, c, alternative)) < -log(1 - confidence):
        low, high = min(low, 0.0), max(high, 0.0)
    return Estimate(
        estimate=2 * mean - 1, low=low, high=high, confidence=confidence, n=total, method=method,
        assumptions=("one score per item and variant", "items arrive in random order"),
    )  # fmt: skip
