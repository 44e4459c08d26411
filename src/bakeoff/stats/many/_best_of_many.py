"""The best of many, without the winner's curse: hold-out, simultaneous interval, shrinkage."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, nan, sqrt
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import as_rng, check_confidence, check_count
from bakeoff.stats.core._dist import z_value
from bakeoff.stats.core._items import encode_clusters
from bakeoff.stats.core._result import Estimate, Kind
from bakeoff.stats.many._max_t import named_columns
from bakeoff.stats.one._summarize import summarize

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]

__all__ = ["BestMethod", "BestOfMany", "Shrunken", "best_of_many", "holdout_split", "shrink"]

BestMethod = Literal["simultaneous", "holdout", "shrinkage"]
"""How the best of many is corrected; see `best_of_many`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BestOfMany(Estimate):
    """The best variant with an interval that allows for having been picked."""

    name: str
    n_variants: int
    naive: Estimate
    """What its own scores say, picked or not: too high on average, interval too narrow."""
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrunken:
    """Estimates pulled towards their mean by as much as their noise warrants."""

    estimates: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    weight: tuple[float, ...]
    """How much of each deviation from the mean is kept: 0 all noise, 1 all signal."""
    center: float
    spread: float
    """Standard deviation of the true values, estimated."""
    confidence: float
    reason: str | None = None


def holdout_split(
    n_items: int,
    *,
    fraction: float = 0.5,
    clusters: ArrayLike | None = None,
    rng: np.random.Generator | int = 0,
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Split items at random into some to select a winner on and some to confirm it on.

    Args:
        n_items: Items.
        fraction: Share of the items to confirm on, strictly between 0 and 1.
        clusters: One label for each item; clusters stay together.
        rng: Seed or generator.

    Returns:
        Sorted positions of the items to select on and to confirm on; each has at least one unit.

    Raises:
        StatsError: Fewer than two items or clusters, or `fraction` out of range.

    Examples:
        >>> from bakeoff.stats import holdout_split
        >>> select, confirm = holdout_split(10, fraction=0.4, rng=1)
        >>> len(select), len(confirm), sorted([*select, *confirm]) == list(range(10))
        (6, 4, True)
    """
    n_items = check_count(n_items, "n_items")
    if not 0 < fraction < 1:
        raise StatsError(f"fraction must be between 0 and 1, got {fraction!r}")
    codes = np.arange(n_items) if clusters is None else encode_clusters(clusters, n=n_items)
    units, codes = np.unique(codes, return_inverse=True)
    if units.size < 2:
        what = "items" if clusters is None else "clusters"
        raise StatsError(f"a hold-out split needs at least two {what}, got {units.size}")
    take = min(units.size - 1, max(1, round(units.size * fraction)))
    held = np.zeros(units.size, dtype=bool)
    held[as_rng(rng).permutation(units.size)[:take]] = True
    return np.flatnonzero(~held[codes]), np.flatnonzero(held[codes])


def best_of_many(
    scores: Mapping[str, ArrayLike],
    *,
    method: BestMethod = "simultaneous",
    higher_is_better: bool = True,
    confidence: float = 0.95,
    clusters: ArrayLike | None = None,
    kind: Kind | None = None,
    fraction: float = 0.5,
    rng: np.random.Generator | int = 0,
) -> BestOfMany:
    """Report the best of many variants with an interval that is right although it was picked.

    The winner of 20 equal variants on 50 pass/fail items looks 11 points better than it is, and its own 95%
    interval covers the truth 62% of the time. Three remedies:

    - `simultaneous`: interval at level `1 - alpha / k`, right for whichever variant is picked (the estimate
      itself stays optimistic);
    - `holdout`: picked on part of the items, estimated on the others: nothing is biased, at the price of items;
    - `shrinkage`: estimate and interval pulled towards the mean of all variants (`shrink`), right on average
      over variants like these.

    Args:
        scores: Scores of each variant on the same items, shape (items,) or (items, repeats).
        method: The remedy.
        higher_is_better: Direction of the metric.
        confidence: Level of the interval.
        clusters: One label for each item.
        kind: Kind of score; inferred when left out.
        fraction: Share of the items held out, for `holdout`.
        rng: Seed or generator, for `holdout`.

    Returns:
        The best variant, corrected, next to its naive estimate.

    Raises:
        StatsError: No variant, different numbers of items, or an unknown method.

    Examples:
        >>> from bakeoff.stats import best_of_many
        >>> best = best_of_many({"a": [1, 1, 1, 0, 1, 1, 1, 1], "b": [1, 0, 1, 0, 1, 0, 1, 1], "c": [0] * 8})
        >>> best.name, round(best.naive.low, 2), round(best.low, 2)
        ('a', 0.53, 0.45)
    """
    if method not in get_args(BestMethod):
        raise StatsError(f"method must be one of {list(get_args(BestMethod))}, got {method!r}")
    confidence = check_confidence(confidence)
    names, means = named_columns(scores, minimum=1)
    arrays = {name: np.asarray(scores[name], dtype=np.float64) for name in names}
    codes = None if clusters is None else encode_clusters(clusters, n=means.shape[0])
    if method == "holdout":
        select, confirm = holdout_split(means.shape[0], fraction=fraction, clusters=codes, rng=rng)
        name = _winner(names, means[select], higher_is_better)
        estimate = summarize(
            arrays[name][confirm], kind=kind, clusters=None if codes is None else codes[confirm], confidence=confidence
        )
        naive = summarize(
            arrays[name][select], kind=kind, clusters=None if codes is None else codes[select], confidence=confidence
        )
        text = f"picked on {select.size} items, estimated on the {confirm.size} others"
        return _best(name, len(names), estimate, naive, "holdout", text)
    name = _winner(names, means, higher_is_better)
    naive = summarize(arrays[name], kind=kind, clusters=codes, confidence=confidence)
    if method == "simultaneous":
        level = 1 - (1 - confidence) / len(names)
        estimate = summarize(arrays[name], kind=kind, clusters=codes, confidence=level)
        text = f"interval right for whichever of the {len(names)} was picked"
        return _best(name, len(names), estimate, naive, "simultaneous", text, confidence=confidence)
    estimate = _shrunken_winner(names.index(name), means, naive, confidence)
    return _best(name, len(names), estimate, naive, "shrinkage", f"pulled towards the mean of all {len(names)}")


def shrink(
    estimates: Sequence[float] | Float, standard_errors: Sequence[float] | Float, *, confidence: float = 0.95
) -> Shrunken:
    """Shrink many estimates towards their mean by empirical Bayes (normal model).

    True values are taken as draws from a normal distribution whose mean and variance `A` are estimated from
    the estimates themselves (moments, weights `1 / (se^2 + A)`); each keeps `1 - B` of its deviation,
    `B = (k - 3) / (k - 1) * se^2 / (se^2 + A)`. With equal standard errors this is the James-Stein estimator,
    `B = (k - 3) se^2 / sum (y - mean)^2`, at most 1. Intervals are Morris's (1983), which allow for `A`
    having been estimated.

    Args:
        estimates: At least four.
        standard_errors: Theirs, above 0.
        confidence: Level of the intervals (on average over the estimates).

    Returns:
        Shrunken estimates and intervals; unshrunken with a `reason` for fewer than four.

    Raises:
        StatsError: Different lengths, or a standard error that is not above 0.

    Source: Efron and Morris (1975), JASA 70, 311-319; Morris (1983), JASA 78, 47-55.

    Examples:
        >>> from bakeoff.stats import shrink
        >>> [round(value, 2) for value in shrink([0.9, 0.6, 0.7, 0.65, 0.55, 0.5], [0.1] * 6).estimates]
        [0.82, 0.61, 0.68, 0.65, 0.58, 0.55]
    """
    y, se = np.asarray(estimates, dtype=np.float64), np.asarray(standard_errors, dtype=np.float64)
    confidence = check_confidence(confidence)
    if y.ndim != 1 or y.shape != se.shape:
        raise StatsError(f"estimates and standard_errors must be lists of one length, got {y.shape} and {se.shape}")
    if not (np.isfinite(y).all() and np.isfinite(se).all() and (se > 0).all()):
        raise StatsError("estimates must be finite and standard_errors finite and above 0")
    k, z = y.size, z_value(confidence)
    if k < 4:
        return Shrunken(
            estimates=tuple(y.tolist()),
            low=tuple((y - z * se).tolist()),
            high=tuple((y + z * se).tolist()),
            weight=(1.0,) * k,
            center=float(y.mean()) if k else nan,
            spread=nan,
            confidence=confidence,
            reason=f"at least four estimates are needed to learn how much they vary, got {k}",
        )
    spread2 = _between_variance(y, se**2)
    weights = 1 / (se**2 + spread2)
    center = float(weights @ y / weights.sum())
    factor = (k - 3) / (k - 1) * se**2 * weights
    kept = 1 - factor
    value = center + kept * (y - center)
    share = weights / weights.mean()
    variance = se**2 * (1 - (k - 1) / k * factor) + 2 / (k - 3) * factor**2 * (y - center) ** 2 * share
    half = z * np.sqrt(np.maximum(variance, 0.0))
    return Shrunken(
        estimates=tuple(value.tolist()),
        low=tuple((value - half).tolist()),
        high=tuple((value + half).tolist()),
        weight=tuple(kept.tolist()),
        center=center,
        spread=sqrt(spread2),
        confidence=confidence,
    )


def _between_variance(y: Float, v: Float) -> float:
    """Solve `sum (y - mean)^2 / (v + A) = k - 1` for `A >= 0` (Morris 1983; Paule and Mandel 1982)."""

    def excess(a: float) -> float:
        w = 1 / (v + a)
        mean = w @ y / w.sum()
        return float(w @ (y - mean) ** 2) - (y.size - 1)

    low, high = 0.0, float(np.var(y, ddof=1)) + float(v.max())
    if excess(0.0) <= 0:
        return 0.0
    while excess(high) > 0:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return (low + high) / 2


def _winner(names: tuple[str, ...], means: Float, higher_is_better: bool) -> str:
    present = ~np.isnan(means)
    count = present.sum(axis=0)
    if not count.any():
        return names[0]
    average = np.where(count > 0, np.where(present, means, 0.0).sum(axis=0) / np.maximum(count, 1), -np.inf)
    if not higher_is_better:
        average = np.where(count > 0, -average, -np.inf)
    return names[int(np.argmax(average))]


def _shrunken_winner(winner: int, means: Float, naive: Estimate, confidence: float) -> Estimate:
    """Shrink on complete items; the noise of a variant is what the items, shared by all, do not explain."""
    complete = means[~np.isnan(means).any(axis=1)]
    n, k = complete.shape
    reason = None
    if k < 4:
        reason = f"at least four variants are needed to learn how much they vary, got {k}"
    elif n < 2:
        reason = "fewer than two items have a score under every variant"
    else:
        column, row = complete.mean(axis=0), complete.mean(axis=1)
        residual = complete - column - row[:, None] + complete.mean()
        noise = float((residual**2).sum()) / ((n - 1) * (k - 1))
        if noise <= 1e-24:
            reason = "the variants do not vary within items"
        else:
            se = np.full(k, sqrt(noise / n))
            shrunken = shrink(column, se, confidence=confidence)
            shared = float(row.var(ddof=1)) / n - noise / (n * k)  # items are drawn for all variants alike
            own = (shrunken.high[winner] - shrunken.estimates[winner]) / z_value(confidence)
            total = sqrt(max(0.0, shared) + own**2)
            half = z_value(confidence) * total
            estimate = shrunken.estimates[winner]
            return Estimate(
                estimate=estimate,
                low=estimate - half,
                high=estimate + half,
                confidence=confidence,
                n=n,
                method="shrinkage",
                se=total,
                assumptions=("true values of the variants are draws from one normal distribution",),
            )
    return Estimate(
        estimate=nan, low=nan, high=nan, confidence=confidence, n=naive.n, method="shrinkage", reason=reason
    )


def _best(
    name: str,
    n_variants: int,
    estimate: Estimate,
    naive: Estimate,
    method: str,
    how: str,
    *,
    confidence: float | None = None,
) -> BestOfMany:
    level = estimate.confidence if confidence is None else confidence
    if isfinite(estimate.low) and isfinite(estimate.high):
        sentence = (
            f"{name!r} is the best of {n_variants}: {estimate.estimate:.3g}, {level:.0%} interval "
            f"{estimate.low:.3g} to {estimate.high:.3g} ({how})."
        )
    else:
        sentence = f"{name!r} is the best of {n_variants}, but its interval cannot be estimated: {estimate.reason}."
    return BestOfMany(
        name=name,
        n_variants=n_variants,
        naive=naive,
        sentence=sentence,
        estimate=estimate.estimate,
        low=estimate.low,
        high=estimate.high,
        confidence=level,
        n=estimate.n,
        method=f"{method}_{estimate.method}" if estimate.method != method else method,
        se=estimate.se,
        df=estimate.df,
        reason=estimate.reason,
        assumptions=estimate.assumptions,
        warnings=estimate.warnings,
    )
