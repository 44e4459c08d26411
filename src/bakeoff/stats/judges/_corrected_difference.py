"""Difference of two variants scored by one judge, corrected with human labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isnan, nan, sqrt
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import as_vector, check_alternative, check_confidence
from bakeoff.stats.core._dist import critical_value, norm_sf, t_sf, z_value
from bakeoff.stats.core._items import as_codes
from bakeoff.stats.core._mean_fit import MeanFit, fit_mean
from bakeoff.stats.core._result import Alternative, Difference
from bakeoff.stats.judges._ppi import ppi_mean

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]

__all__ = ["CorrectedDifference", "corrected_difference"]

_MAX_Z = 40.0
_SHARE = 1 / 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectedDifference(Difference):
    """A difference corrected for the judge's errors, with the test of "the judge's bias cancels"."""

    n_labels: int = 0
    """Labelled outputs on both sides together."""
    judge_difference: float = nan
    """What the judge alone says, uncorrected."""
    bias_candidate: float = nan
    """Judge minus human on the candidate's labelled outputs; positive for lenience."""
    bias_baseline: float = nan
    bias_p_value: float = nan
    """Test that the judge is biased equally for both; `nan` if not estimable."""


@dataclass(frozen=True, slots=True)
class _Sides:
    judge: tuple[Float, Float]
    human: tuple[Float, Float]
    codes: NDArray[np.intp] | None

    @property
    def both(self) -> NDArray[np.bool_]:
        return ~np.isnan(self.human[0]) & ~np.isnan(self.human[1])


def corrected_difference(
    candidate_judge: ArrayLike,
    baseline_judge: ArrayLike,
    candidate_human: ArrayLike,
    baseline_human: ArrayLike,
    *,
    clusters: ArrayLike | None = None,
    confidence: float = 0.95,
    alternative: Alternative = "two-sided",
) -> CorrectedDifference:
    """Estimate the difference that people would see between two variants on the same items.

    A judge's bias often differs between variants (longer answers, its own family), so it is corrected rather than
    assumed to cancel, and the assumption is tested. With items labelled on both sides, the paired difference is
    corrected: for pass/fail by post-stratifying on the judge's own difference (-1, 0, 1) with adjusted Wald limits
    per stratum (after Bonett & Price 2012) combined as in `stratified_rate`; otherwise by `ppi_mean` on the
    differences. Without such items, each side is corrected by its own labels,
    `mean(f1 - f0) - mean_L1(f1 - y1) + mean_L0(f0 - y0)`, with the influence-function standard error.

    Args:
        candidate_judge: Judge scores of the candidate, shape (items,).
        baseline_judge: Judge scores of the baseline on the same items.
        candidate_human: Labels of the candidate's outputs, `nan` where there is none; random items.
        baseline_human: Labels of the baseline's outputs.
        clusters: Label of the group of each item.
        confidence: Confidence of the interval.
        alternative: Direction of the alternative.

    Returns:
        The corrected difference, candidate minus baseline.

    Raises:
        StatsError: If lengths differ or a value is infinite.

    Examples:
        >>> rng = np.random.default_rng(3)
        >>> old, new = (rng.random(800) < 0.6) * 1.0, (rng.random(800) < 0.7) * 1.0
        >>> lenient = np.maximum(new, rng.random(800) < 0.3)
        >>> labelled = np.arange(800) < 200
        >>> seen = [np.where(labelled, truth, np.nan) for truth in (new, old)]
        >>> result = corrected_difference(lenient, old, *seen)
        >>> round(result.judge_difference, 2), bool(result.low < 0.1 < result.high), result.bias_p_value < 0.001
        (0.19, True, True)
    """
    confidence = check_confidence(confidence)
    alternative = check_alternative(alternative)
    sides, missing = _sides(candidate_judge, baseline_judge, candidate_human, baseline_human, clusters)
    (f1, f0), (y1, y0) = sides.judge, sides.human
    has1, has0 = ~np.isnan(y1), ~np.isnan(y0)
    n_labels = int(has1.sum() + has0.sum())
    result = CorrectedDifference(
        estimate=nan,
        low=nan,
        high=nan,
        confidence=confidence,
        n=int(sides.both.sum()),
        method="none",
        p_value=nan,
        test="none",
        alternative=alternative,
        n_missing=missing,
        n_labels=n_labels,
        judge_difference=float((f1 - f0).mean()) if len(f1) else nan,
        assumptions=("labelled items are a random sample of the items",),
    )
    if not has1.any() or not has0.any():
        return replace(result, reason="labels are needed on both sides")
    result = _with_bias(result, sides)
    binary = all(np.isin(x[~np.isnan(x)], (0.0, 1.0)).all() for x in (f1, f0, y1, y0))
    if sides.both.sum() >= 2:
        solved = _stratified(result, sides) if binary and clusters is None else _paired_ppi(result, sides, clusters)
    else:
        solved = _separate(result, sides)
    if solved.bias_p_value < 0.05:
        more = "the judge's bias differs between the two variants: do not read its difference uncorrected"
        solved = replace(solved, warnings=(*solved.warnings, more))
    return solved


def _sides(
    f1: ArrayLike, f0: ArrayLike, y1: ArrayLike, y0: ArrayLike, clusters: ArrayLike | None
) -> tuple[_Sides, int]:
    a = as_vector(f1, "candidate_judge")
    n = len(a)
    b = as_vector(f0, "baseline_judge", length=n)
    c = as_vector(y1, "candidate_human", length=n)
    d = as_vector(y0, "baseline_human", length=n)
    codes = None if clusters is None else as_codes(clusters, n)[0]
    ok = ~np.isnan(a) & ~np.isnan(b)
    kept = None if codes is None else np.asarray(np.unique(codes[ok], return_inverse=True)[1], dtype=np.intp)
    return _Sides((a[ok], b[ok]), (c[ok], d[ok]), kept), int((~ok).sum())


def _plain(values: Float, codes: NDArray[np.intp] | None, mask: NDArray[np.bool_]) -> MeanFit:
    index = np.arange(int(mask.sum())) if codes is None else np.unique(codes[mask], return_inverse=True)[1]
    return fit_mean(values[mask], np.asarray(index, dtype=np.intp), np.ones(int(mask.sum())))


def _with_bias(result: CorrectedDifference, sides: _Sides) -> CorrectedDifference:
    (f1, f0), (y1, y0) = sides.judge, sides.human
    one, two = (_plain(f - y, sides.codes, ~np.isnan(y)) for f, y in ((f1, y1), (f0, y0)))
    if sides.both.sum() >= 2:
        part = _plain((f1 - y1) - (f0 - y0), sides.codes, sides.both)
        gap, se, df = part.mean, part.se, part.df
    else:
        gap, se, df = one.mean - two.mean, sqrt(one.se**2 + two.se**2), min(one.df, two.df)
    p = 2 * float(t_sf(abs(gap) / se, df)) if se > 1e-12 else nan
    return replace(result, bias_candidate=one.mean, bias_baseline=two.mean, bias_p_value=p)


def _bounds(
    limits: Callable[[float], tuple[float, float]], estimate: float, confidence: float, alternative: Alternative
) -> tuple[float, float, float]:
    """Return interval and p-value from one inversion: p is the level at which the interval reaches zero."""
    two_sided = alternative == "two-sided"
    low, high = limits(z_value(confidence) if two_sided else z_value(2 * confidence - 1))
    if not two_sided:
        low, high = (low, np.inf) if alternative == "greater" else (-np.inf, high)
    if estimate == 0:
        return low, high, 1.0 if two_sided else 0.5
    side = 0 if estimate > 0 else 1
    inner, outer = 0.0, _MAX_Z
    for _ in range(60):
        middle = (inner + outer) / 2
        excluded = limits(middle)[side] > 0 if side == 0 else limits(middle)[side] < 0
        inner, outer = (middle, outer) if excluded else (inner, middle)
    tail = float(norm_sf(inner))
    if two_sided:
        return low, high, min(1.0, 2 * tail)
    return low, high, tail if (estimate > 0) == (alternative == "greater") else 1 - tail


def _stratified(result: CorrectedDifference, sides: _Sides) -> CorrectedDifference:
    """Post-stratify the paired human difference on the judge's difference."""
    (f1, f0), (y1, y0) = sides.judge, sides.human
    judged, human, on = f1 - f0, y1 - y0, sides.both
    size = len(judged)
    share = np.array([(judged == h).mean() for h in (-1, 0, 1)])
    labels = np.array([(judged[on] == h).sum() for h in (-1, 0, 1)], dtype=np.float64)
    up = np.array([((judged[on] == h) & (human[on] == 1)).sum() for h in (-1, 0, 1)], dtype=np.float64)
    down = np.array([((judged[on] == h) & (human[on] == -1)).sum() for h in (-1, 0, 1)], dtype=np.float64)
    rate = np.where(labels > 0, (up - down) / np.maximum(labels, 1), 0.0)
    # Bonett and Price add one to each discordant count; here that one is shared by the three strata.
    p_up, p_down = (up + _SHARE) / (labels + 2 * _SHARE), (down + _SHARE) / (labels + 2 * _SHARE)
    spread = np.sqrt((p_up + p_down - (p_up - p_down) ** 2) / (labels + 2 * _SHARE))
    estimate = float(share @ rate)
    of_shares = max(float(share @ rate**2) - estimate**2, 0.0) / size

    def limits(z: float) -> tuple[float, float]:
        low = np.where(labels > 0, np.clip(p_up - p_down - z * spread, -1.0, rate), -1.0)
        high = np.where(labels > 0, np.clip(p_up - p_down + z * spread, rate, 1.0), 1.0)
        below = sqrt(float(((share * (rate - low)) ** 2).sum()) + z**2 * of_shares)
        above = sqrt(float(((share * (high - rate)) ** 2).sum()) + z**2 * of_shares)
        return max(estimate - below, -1.0), min(estimate + above, 1.0)

    low, high, p = _bounds(limits, estimate, result.confidence, result.alternative)
    empty = int(((labels == 0) & (share > 0)).sum())
    text = "no item labelled on both sides where the judge prefers one side (or neither): anything is allowed there"
    return replace(
        result,
        estimate=estimate,
        low=low,
        high=high,
        p_value=p,
        method="stratified_mover_bonett_price",
        test="stratified_mover_inversion",
        warnings=(*result.warnings, *((text,) * bool(empty))),
    )


def _finish(result: CorrectedDifference, estimate: float, se: float, df: float, method: str) -> CorrectedDifference:
    result = replace(result, estimate=estimate, method=method, test=f"{method}_t")
    if isnan(se) or se <= 1e-12:
        return replace(result, reason="no spread over the labelled items: no interval can be given")
    level = result.confidence if result.alternative == "two-sided" else 2 * result.confidence - 1
    half = critical_value(level, df) * se
    low, high, t = estimate - half, estimate + half, estimate / se
    if result.alternative == "two-sided":
        p = 2 * float(t_sf(abs(t), df))
    elif result.alternative == "greater":
        p, high = float(t_sf(t, df)), np.inf
    else:
        p, low = float(t_sf(-t, df)), -np.inf
    return replace(result, low=low, high=high, p_value=p, se=se, df=df)


def _paired_ppi(result: CorrectedDifference, sides: _Sides, clusters: ArrayLike | None) -> CorrectedDifference:
    (f1, f0), (y1, y0) = sides.judge, sides.human
    if result.alternative != "two-sided" and result.confidence <= 0.5:
        raise StatsError(f"a one-sided interval needs confidence above 0.5, got {result.confidence!r}")
    part = ppi_mean(f1 - f0, y1 - y0, clusters=None if clusters is None else sides.codes)
    done = _finish(result, part.estimate, part.se, part.df, part.method)
    return replace(done, reason=done.reason or part.reason, warnings=(*done.warnings, *part.warnings))


def _separate(result: CorrectedDifference, sides: _Sides) -> CorrectedDifference:
    """Correct each side by its own labels."""
    (f1, f0), (y1, y0) = sides.judge, sides.human
    size = len(f1)
    influence = (f1 - f0 - (f1 - f0).mean()) / size
    estimate = float((f1 - f0).mean())
    smallest = np.inf
    for sign, f, y in ((1.0, f1, y1), (-1.0, f0, y0)):
        on = ~np.isnan(y)
        n = int(on.sum())
        if n < 2:
            return replace(result, estimate=nan, reason="fewer than two labels on a side")
        residual = y[on] - f[on]
        if np.ptp(residual) < 1e-12:
            why = "on one side the judge errs by the same amount on every label: how often it errs is not estimable"
            return replace(result, reason=why, method="separate_ppi")
        estimate += sign * float(residual.mean())
        influence[on] += sign * sqrt(n / (n - 1)) * (residual - residual.mean()) / n
        groups = n if sides.codes is None else len(np.unique(sides.codes[on]))
        smallest = min(smallest, groups - 1)
    sums = influence if sides.codes is None else np.bincount(sides.codes, weights=influence)
    se = sqrt(float(sums @ sums)) if smallest >= 1 else nan
    return _finish(result, estimate, se, smallest, "separate_ppi")
