"""Medians and tail quantiles (latency p50, p95) with intervals that assume no distribution."""

from __future__ import annotations

from math import inf, log, nan
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import as_rng, as_scores, check_confidence, check_count
from bakeoff.stats.core._dist import binom_cdf
from bakeoff.stats.core._items import item_means
from bakeoff.stats.core._result import Estimate

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]

__all__ = ["quantile_difference", "quantile_interval"]


def _check_quantile(q: float) -> float:
    if not 0 < q < 1:
        raise StatsError(f"q must be between 0 and 1 (0.95 is the 95th percentile), got {q!r}")
    return float(q)


def quantile_interval(scores: ArrayLike, q: float, *, confidence: float = 0.95) -> Estimate:
    """Estimate a quantile with the interval between two order statistics.

    The number of values below the true quantile is Bin(n, q); the interval runs from the l-th to the
    u-th smallest value, where each tail of that binomial holds at most (1 - confidence)/2 (Conover
    1999, section 3.2; Hahn & Meeker 1991). Its level is at least `confidence` for any distribution.

    Args:
        scores: Shape (items,) or (items, repeats), for instance latencies in ms; repeats are
            averaged within the item; `nan` is left out.
        q: Which quantile, for instance 0.95.
        confidence: Level of the interval.

    Returns:
        Estimate (median-unbiased quantile). An end that the data cannot bound is infinite, with the
        number of items it would take in `reason`.

    Raises:
        StatsError: q or confidence outside (0, 1).

    Examples:
        >>> e = quantile_interval(range(1, 101), 0.5)
        >>> e.estimate, e.low, e.high
        (50.5, 40.0, 61.0)
        >>> quantile_interval(range(1, 51), 0.95).high
        inf
    """
    q, confidence = _check_quantile(q), check_confidence(confidence)
    means, counts = item_means(as_scores(scores))
    values = np.sort(means[counts > 0])
    n = values.size
    if n == 0:
        return Estimate(
            estimate=nan,
            low=nan,
            high=nan,
            confidence=confidence,
            n=0,
            method="order_statistics",
            reason="no item has a score",
        )
    tail = (1 - confidence) / 2
    below = binom_cdf(np.arange(n + 1), n, q)  # P(at most k values below the quantile)
    lower = int(np.searchsorted(below, tail, side="right"))  # P(fewer than `lower`) <= tail
    upper = int(np.searchsorted(below, 1 - tail, side="left")) + 1  # P(at least `upper`) <= tail
    low = float(values[lower - 1]) if lower >= 1 else -inf
    high = float(values[upper - 1]) if upper <= n else inf
    reason = None
    if lower < 1 or upper > n:
        needed = int(np.ceil(max(log(tail) / log(q), log(tail) / log(1 - q))))
        reason = f"{n} items cannot bound this quantile on both sides; it takes at least {needed}"
    return Estimate(
        estimate=float(np.quantile(values, q, method="median_unbiased")),
        low=low,
        high=high,
        confidence=confidence,
        n=n,
        method="order_statistics",
        reason=reason,
        assumptions=("items are independent draws from the population of interest",),
    )


def quantile_difference(
    candidate: ArrayLike,
    baseline: ArrayLike,
    q: float,
    *,
    paired: bool = True,
    resamples: int = 2_000,
    confidence: float = 0.95,
    rng: np.random.Generator | int = 0,
) -> Estimate:
    """Estimate the difference of a quantile between two variants, by bootstrapping items.

    When `paired`, each resample takes the same items on both sides.

    Args:
        candidate: Shape (items,) or (items, repeats), for instance latencies in ms.
        baseline: Likewise; the same items in the same order when `paired`.
        q: Which quantile, for instance 0.95.
        paired: Whether both variants saw the same items.
        resamples: Number of resamples.
        confidence: Level of the interval.
        rng: Generator or seed.

    Returns:
        Estimate of candidate minus baseline (percentile interval). With fewer items than
        10 / min(q, 1 - q) the bootstrap of a tail is unreliable: `warnings` says so.

    Raises:
        StatsError: Arguments out of range, or sides that do not align.

    Examples:
        >>> slow = [120.0, 130.0, 110.0, 150.0, 170.0, 140.0, 160.0, 125.0]
        >>> e = quantile_difference([x - 20 for x in slow], slow, 0.5)
        >>> e.estimate
        -20.0
    """
    q, confidence = _check_quantile(q), check_confidence(confidence)
    resamples = check_count(resamples, "resamples", minimum=100)
    a, _ = item_means(as_scores(candidate, "candidate"))
    b, _ = item_means(as_scores(baseline, "baseline"))
    if paired:
        if a.size != b.size:
            raise StatsError(f"paired quantiles need the same items: candidate has {a.size}, baseline {b.size}")
        kept = ~(np.isnan(a) | np.isnan(b))
        a, b = a[kept], b[kept]
    else:
        a, b = a[~np.isnan(a)], b[~np.isnan(b)]
    n = min(a.size, b.size)
    warnings: tuple[str, ...] = ()
    if n < 10 / min(q, 1 - q):
        warnings = (f"{n} items are few for the {q:g} quantile: the interval is rough below {10 / min(q, 1 - q):.0f}",)
    low, high, se, reason = nan, nan, nan, None
    if n < 2:
        reason = "no interval: each side needs at least two scored items"
    else:
        draws = _resampled_differences(a, b, q, paired, resamples, as_rng(rng))
        tail = (1 - confidence) / 2
        low, high = (float(end) for end in np.quantile(draws, (tail, 1 - tail)))
        se = float(draws.std(ddof=1))
        if low == high:
            low, high, reason = nan, nan, "no interval: the resamples do not vary"
    estimate = nan
    if n:
        estimate = float(np.quantile(a, q, method="median_unbiased") - np.quantile(b, q, method="median_unbiased"))
    return Estimate(
        estimate=estimate,
        low=low,
        high=high,
        confidence=confidence,
        n=n if paired else a.size + b.size,
        method="bootstrap_quantile",
        se=se,
        df=inf,
        reason=reason,
        assumptions=("items are independent",),
        warnings=warnings,
    )


def _resampled_differences(
    a: Float, b: Float, q: float, paired: bool, resamples: int, rng: np.random.Generator
) -> Float:
    draws = np.empty(resamples)
    rows = max(1, 500_000 // max(a.size, b.size))
    for start in range(0, resamples, rows):
        stop = min(start + rows, resamples)
        index = rng.integers(0, a.size, size=(stop - start, a.size))
        other = index if paired else rng.integers(0, b.size, size=(stop - start, b.size))
        first = np.quantile(a[index], q, axis=1, method="median_unbiased")
        draws[start:stop] = first - np.quantile(b[other], q, axis=1, method="median_unbiased")
    return draws
