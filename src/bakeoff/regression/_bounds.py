"""One-sided bounds: what a gate knows of a mean, of a share, or of a difference on the same items."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isnan, nan
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.regression._exact_margin import score_bounds
from bakeoff.stats import compare, proportion, summarize

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from bakeoff.stats import Alternative, Difference, Kind

    Float = NDArray[np.float64]

__all__ = ["Gain", "Level", "level_of", "measure_gain", "smallest_level"]

_SURE = 1e-6
_TOSS = 0.499


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A mean with its two one-sided bounds."""

    estimate: float
    low: float
    """The mean is above this, with confidence 1 - alpha."""
    high: float
    """The mean is below this, with confidence 1 - alpha."""
    se: float
    n: int
    method: str
    n_missing: int
    """Scores that are missing, of all that were expected."""
    n_expected: int
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """Candidate against baseline on the same items, turned so that more is better."""

    estimate: float
    low: float
    high: float
    p_worse: float
    """One-sided test of "not worse at all"."""
    se: float
    n: int
    n_missing: int
    candidate: float
    baseline: float
    method: str
    test: str
    reason: str | None = None
    warnings: tuple[str, ...] = ()


def level_of(
    scores: Float, *, kind: Kind, alpha: float, clusters: NDArray[np.int64] | None, weights: Float | None
) -> Level:
    """Bound a mean on both sides, each at `alpha`.

    Pass/fail with one score for each item and neither clusters nor weights: Clopper-Pearson, whose error never
    exceeds `alpha`. Anything else: `summarize` at level 1 - 2 alpha.

    Args:
        scores: Shape (items, repeats); `nan` is missing.
        kind: Kind of score.
        alpha: Error of each bound.
        clusters: One code for each item.
        weights: One weight for each item.
    """
    present = ~np.isnan(scores)
    missing, expected = int((~present).sum()), scores.size
    if kind == "binary" and scores.shape[1] == 1 and clusters is None and weights is None:
        passed = int(np.nansum(scores))
        found = proportion(passed, int(present.sum()), method="clopper_pearson", confidence=1 - 2 * alpha)
    else:
        found = summarize(_flat(scores), kind=kind, clusters=clusters, weights=weights, confidence=1 - 2 * alpha)
    low, high, reason = found.low, found.high, found.reason if isnan(found.low) else None
    if isnan(low) and found.n >= 2 and kind != "binary" and np.nanmin(scores) == np.nanmax(scores):
        low, high, reason = _same_everywhere(found.estimate, kind, found.n, alpha, even=weights is None)
    return Level(
        estimate=found.estimate, low=low, high=high, se=found.se, n=found.n, method=found.method,
        n_missing=missing, n_expected=expected, reason=reason,
    )  # fmt: skip


def _same_everywhere(value: float, kind: Kind, n: int, alpha: float, *, even: bool) -> tuple[float, float, str | None]:
    """Bound a mean where every item has the same value: a number as it is, a score in [0, 1] by what n units exclude.

    None of n units is different, so at most this share of all would be, and each by as much as the scale allows.
    """
    if kind == "continuous":
        return value, value, "every item has the same value"
    if not even:
        return nan, nan, "every item has the same value, and their weights differ"
    most = 1 - alpha ** (1 / n)
    return value * (1 - most), value + (1 - value) * most, None


def measure_gain(
    candidate: Float,
    baseline: Float,
    *,
    kind: Kind,
    alpha: float,
    higher_is_better: bool,
    clusters: NDArray[np.int64] | None,
    weights: Float | None,
) -> Gain:
    """Compare on the same items, by the rule that every other comparison uses.

    Args:
        candidate: Shape (items, repeats); `nan` is missing.
        baseline: Likewise, the same items in the same order.
        kind: Kind of score.
        alpha: Error of each bound.
        higher_is_better: When not, the difference is turned round.
        clusters: One code for each item.
        weights: One weight for each item.
    """
    worse: Alternative = "less" if higher_is_better else "greater"
    found = compare(
        _flat(candidate), _flat(baseline), kind=kind, clusters=clusters, weights=weights, confidence=1 - alpha,
        alternative=worse, higher_is_better=higher_is_better,
    )  # fmt: skip
    low, high, reason = found.inner_low, found.inner_high, found.reason
    method, p_worse = found.method, found.p_value
    if kind == "binary" and weights is None and candidate.shape[1] == baseline.shape[1] == 1 and found.n_items >= 2:
        low, high = _score_limits(candidate[:, 0], baseline[:, 0], found, alpha)
        method = "tango" if clusters is None else "tango_n_eff_cr2"
    if (isnan(low) or isnan(high)) and found.n_items >= 2:
        low, high, p_worse, reason = _constant(
            candidate, baseline, kind, alpha, units=found.n if weights is None else 0
        )
        if isnan(low):
            reason = found.reason
    sign = 1.0 if higher_is_better else -1.0
    if sign < 0:
        low, high = -high, -low
    return Gain(
        estimate=sign * found.estimate, low=low, high=high, p_worse=p_worse, se=found.se, n=found.n_items,
        n_missing=found.n_missing, candidate=found.candidate_mean, baseline=found.baseline_mean,
        method=method, test=found.test, reason=reason if isnan(low) else None, warnings=found.warnings,
    )  # fmt: skip


def _score_limits(candidate: Float, baseline: Float, found: Difference, alpha: float) -> tuple[float, float]:
    """Tango's bounds; in clusters with the effective number of items and the t quantile, as Wilson's for one rate."""
    from scipy.special import ndtri, stdtrit

    gaps = candidate - baseline
    gaps = gaps[~np.isnan(gaps)]
    n, gained, lost = float(len(gaps)), float((gaps > 0).sum()), float((gaps < 0).sum())
    shrink, critical = 1.0, float(ndtri(1 - alpha))
    if found.method == "cr2":
        plain = float(gaps.var(ddof=1)) / n
        shrink = min(1.0, plain / found.se**2) if found.se > 0 and plain > 0 else min(1.0, found.n / n)
        critical = float(stdtrit(found.df, 1 - alpha)) if found.df > 0 else critical
    return score_bounds(shrink * gained, shrink * lost, shrink * n, critical)


def _constant(
    candidate: Float, baseline: Float, kind: Kind, alpha: float, *, units: int
) -> tuple[float, float, float, str | None]:
    """Bound the difference where every item has the same one: no spread, so no t interval.

    For scores in [0, 1] it takes two units of equal weight or more: one cluster says nothing about the next.
    """
    gaps = np.nanmean(candidate, axis=1) - np.nanmean(baseline, axis=1)
    gaps = gaps[~np.isnan(gaps)]
    if not len(gaps) or np.ptp(gaps) > 0 or gaps[0] != 0:
        return nan, nan, nan, None
    if kind == "continuous":
        return 0.0, 0.0, 1.0, None
    if units < 2:
        return nan, nan, nan, None
    # None of n units changed: at most this share would, and each by at most 1 (exact, as for 0 of n).
    most = 1 - alpha ** (1 / units)
    return -most, most, 1.0, None


def _flat(scores: Float) -> Float:
    return scores[:, 0] if scores.shape[1] == 1 else scores


def smallest_level(crosses: Callable[[float], bool], alpha: float, *, exact: bool = True) -> float:
    """Return the p-value of a bound: the smallest level at which it crosses its threshold.

    Args:
        crosses: Whether the bound at a level crosses; true at every larger level once it is true at one.
        alpha: Level that matters.
        exact: Whether the value is needed where it is above `alpha`; else 1 is given there.

    Examples:
        >>> round(smallest_level(lambda level: level > 0.013, 0.05), 4)
        0.013
        >>> smallest_level(lambda level: False, 0.05)
        1.0
    """
    if not crosses(_TOSS) or (not exact and not crosses(alpha)):
        return 1.0
    if crosses(_SURE):
        return _SURE
    low, high = np.log(_SURE), np.log(_TOSS)
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (low, middle) if crosses(float(np.exp(middle))) else (middle, high)
    return float(np.exp(high)) if high < inf else nan
