"""Prediction-powered means and differences: many judge scores, few human labels, an honest interval."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isnan, nan, sqrt
from typing import TYPE_CHECKING, Literal

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import as_vector, check_confidence
from bakeoff.stats.core._dist import critical_value
from bakeoff.stats.core._items import as_codes
from bakeoff.stats.core._mean_fit import fit_mean
from bakeoff.stats.judges._rates import CorrectedMean, Labelled, as_labelled, rogan_gladen, stratified_rate

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]

__all__ = ["CorrectionMethod", "corrected_mean", "ppi_mean"]

CorrectionMethod = Literal["auto", "stratified", "ppi", "rogan_gladen", "labels_only"]
"""`auto` takes `stratified` for pass/fail without clusters, else `ppi`."""

_LABELS_FOR_PPI = 100


@dataclass(frozen=True, slots=True)
class _Parts:
    """Labelled and unlabelled means with their standard errors, for a given weight of the judge."""

    estimate: float
    se: float
    df: float


def _weighted_cov(x: Float, y: Float, w: Float) -> float:
    total = w.sum()
    return float((w * (x - (w @ x) / total) * (y - (w @ y) / total)).sum() / total)


def _tuned(data: Labelled, ratio: float) -> tuple[float, str | None]:
    """Return lambda and, where the judge cannot help, the reason for leaving it out."""
    on = data.labelled
    f, y, w = data.judge[on], data.human[on], data.label_weight[on]
    n = len(y)
    if n < 4:
        return 0.0, "too few labels to tell how far the judge can be trusted"
    var_f, var_y, cov = _weighted_cov(f, f, w), _weighted_cov(y, y, w), _weighted_cov(f, y, w)
    if var_f <= 1e-24 or var_y <= 1e-24:
        return 0.0, "the judge or the labels do not vary on the labelled items"
    correlation = cov / sqrt(var_f * var_y)
    if correlation <= 1 / sqrt(n - 2):
        return 0.0, f"the correlation of judge and labels ({correlation:.2f}) is too low to help with {n} labels"
    return float(np.clip(cov / ((1 + ratio) * var_f), 0.0, 1.0)), None


def _combine(data: Labelled, lam: float, codes: NDArray[np.intp] | None, *, tuned: bool) -> _Parts:
    """Return the PPI estimate `mean_L(y - lam f) + lam mean_U(f)` and its standard error."""
    on = data.labelled
    residual = data.human - lam * data.judge
    n, unlabelled = int(on.sum()), int((~on).sum())
    index = np.arange(len(on)) if codes is None else codes
    part = fit_mean(residual[on], _compact(index[on]), data.label_weight[on])
    estimate, lost = part.mean, 1 if tuned and lam else 0
    # Tuning lambda on the same labels costs one more degree of freedom.
    inflate = (n - 1) / (n - 1 - lost) if n - 1 - lost > 0 else nan
    variance, df = part.se**2 * inflate, max(part.df - lost, 1.0)
    if lam and unlabelled:
        rest = fit_mean(data.judge[~on], _compact(index[~on]), data.weight[~on])
        estimate += lam * rest.mean
        if codes is None:
            variance += lam**2 * (rest.se**2 if unlabelled > 1 else 0.0)
        else:
            variance = _clustered(data, residual, lam, codes) * inflate
    return _Parts(estimate, sqrt(max(variance, 0.0)) if not isnan(variance) else nan, df)


def _compact(codes: NDArray[np.intp]) -> NDArray[np.intp]:
    return np.asarray(np.unique(codes, return_inverse=True)[1], dtype=np.intp)


def _clustered(data: Labelled, residual: Float, lam: float, codes: NDArray[np.intp]) -> float:
    """Return the CR1 variance of labelled and unlabelled parts that share clusters."""
    on = data.labelled
    lw = data.label_weight / data.label_weight.sum()
    uw = np.where(on, 0.0, data.weight)
    uw /= uw.sum()
    influence = lw * (residual - lw @ residual) + lam * uw * (data.judge - uw @ data.judge)
    sums = np.bincount(codes, weights=influence)
    groups = len(np.unique(codes[on]))
    return float(sums @ sums) * groups / (groups - 1) if groups > 1 else nan


def ppi_mean(
    judge: ArrayLike,
    human: ArrayLike,
    *,
    judge_weight: float | None = None,
    weights: ArrayLike | None = None,
    label_probability: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    confidence: float = 0.95,
) -> CorrectedMean:
    """Estimate a mean from many judge scores and a random subset of human labels (PPI++).

    `mean_L(y - lam f) + lam mean_U(f)` over labelled (L) and unlabelled (U) items, with the power tuning
    `lam = cov(y, f) / ((1 + n/N) var f)` clipped to [0, 1] (Angelopoulos, Duchi & Zrnic 2023), Student t and one
    degree of freedom paid for the tuning. Falls back to the labels alone where the correlation is below
    `1/sqrt(n - 2)`, since the judge would then widen the interval (Mani et al. 2026), and where the labelled
    residuals do not vary.

    Args:
        judge: Scores of all items, shape (items,), any numbers.
        human: Labels on the same scale, `nan` for items without one; a random sample.
        judge_weight: Fixed lambda in [0, 1]; tuned when not given.
        weights: Weight of each item.
        label_probability: Known chance with which each labelled item was chosen for labelling.
        clusters: Label of the group of each item.
        confidence: Confidence of the interval.

    Returns:
        The corrected mean; `nan` with a reason with fewer than two labels.

    Raises:
        StatsError: If lengths differ or a value is infinite.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> truth = rng.normal(3.0, 1.0, 500)
        >>> judge = truth + 0.5 + rng.normal(0.0, 0.3, 500)
        >>> human = np.where(np.arange(500) < 120, truth, np.nan)
        >>> result = ppi_mean(judge, human)
        >>> bool(result.low < 3.0 < result.high), result.width_ratio < 0.7
        (True, True)
    """
    confidence = check_confidence(confidence)
    data, warnings = as_labelled(judge, human, weights, label_probability, binary=False)
    if judge_weight is not None and not 0 <= judge_weight <= 1:
        raise StatsError(f"judge_weight must lie in [0, 1], got {judge_weight!r}")
    codes = None if clusters is None else as_codes(clusters, len(np.asarray(judge)))[0][data.kept]
    n, rest = int(data.labelled.sum()), int((~data.labelled).sum())
    result = CorrectedMean(
        estimate=nan,
        low=nan,
        high=nan,
        confidence=confidence,
        n=n,
        method="ppi++" if judge_weight is None else "ppi",
        n_items=len(data.judge),
        judge_mean=float(np.average(data.judge, weights=data.weight)) if len(data.judge) else nan,
        assumptions=("labelled items are a random sample of the items (or of known probability)",),
        warnings=warnings,
    )
    if n == 0:
        return replace(result, reason="no item has both a judge score and a label")
    only = _combine(data, 0.0, codes, tuned=False)
    result = replace(result, labels_mean=only.estimate)
    if n < 2 or isnan(only.se):
        return replace(result, estimate=only.estimate, reason="fewer than two labels or clusters of labels")
    lam, why = _tuned(data, n / max(rest, 1)) if judge_weight is None else (judge_weight, None)
    lam = lam if rest else 0.0
    parts = _combine(data, lam, codes, tuned=judge_weight is None)
    if lam and not _residuals_vary(data, lam):
        lam, parts = 0.0, only
        why = "the judge agrees exactly with every label, so the labels cannot show how often it errs"
    if lam == 0:
        result = replace(result, method="labels_only", reason=why)
        parts = only
    if parts.se <= 1e-12:
        return replace(result, estimate=parts.estimate, judge_weight=lam, reason="all labels are equal: no spread")
    crit, crit_only = critical_value(confidence, parts.df), critical_value(confidence, only.df)
    if n < _LABELS_FOR_PPI and lam:
        warnings += (f"{n} labels: the interval covers somewhat less than stated below {_LABELS_FOR_PPI}",)
    return replace(
        result,
        estimate=parts.estimate,
        low=parts.estimate - crit * parts.se,
        high=parts.estimate + crit * parts.se,
        se=parts.se,
        df=parts.df,
        judge_weight=lam,
        width_ratio=crit * parts.se / (crit_only * only.se) if only.se > 1e-12 else nan,
        warnings=warnings,
    )


def _residuals_vary(data: Labelled, lam: float) -> bool:
    on = data.labelled
    residual = data.human[on] - lam * data.judge[on]
    scale = float(np.abs(data.human[on]).max()) + 1e-300
    return bool(np.ptp(residual) > 1e-9 * scale)


def corrected_mean(
    judge: ArrayLike,
    human: ArrayLike,
    *,
    method: CorrectionMethod = "auto",
    weights: ArrayLike | None = None,
    label_probability: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    confidence: float = 0.95,
) -> CorrectedMean:
    """Estimate what people would have scored on average, from a judge on all items and people on some.

    Pass/fail without clusters: `stratified_rate`. Graded scores, or clusters: `ppi_mean`. The method that was used
    and why the judge was left out, if it was, are in the result.

    Args:
        judge: Judge scores of all items, shape (items,).
        human: Labels on the same scale, `nan` for items without one.
        method: Method, or `auto`.
        weights: Weight of each item.
        label_probability: Known chance with which each labelled item was chosen for labelling.
        clusters: Label of the group of each item.
        confidence: Confidence of the interval.

    Returns:
        The corrected mean, next to the judge's and the labels' own.

    Raises:
        StatsError: If a value or the method is unknown, or the method cannot use weights or clusters that were given.

    Examples:
        >>> judge = [1.0] * 80 + [0.0] * 20
        >>> human = [1] * 15 + [0] * 5 + [np.nan] * 60 + [0] * 5 + [np.nan] * 15
        >>> corrected_mean(judge, human).method
        'stratified_mover_wilson'
    """
    if method not in ("auto", "stratified", "ppi", "rogan_gladen", "labels_only"):
        raise StatsError(f"method must be auto, stratified, ppi, rogan_gladen or labels_only, got {method!r}")
    f = as_vector(judge, "judge")
    y = as_vector(human, "human", length=len(f))
    if method == "auto":
        both = np.concatenate([f, y])
        binary = bool(np.isin(both[~np.isnan(both)], (0.0, 1.0)).all())
        method = "stratified" if binary and clusters is None else "ppi"
    if method == "stratified":
        if clusters is not None:
            raise StatsError("method 'stratified' cannot use clusters; use 'ppi'")
        return stratified_rate(f, y, weights=weights, label_probability=label_probability, confidence=confidence)
    if method == "rogan_gladen":
        if weights is not None or clusters is not None or label_probability is not None:
            raise StatsError("method 'rogan_gladen' cannot use weights, clusters or label_probability; use 'ppi'")
        return rogan_gladen(f, calibration_judge=f, calibration_human=y, confidence=confidence)
    return ppi_mean(
        f,
        y,
        judge_weight=0.0 if method == "labels_only" else None,
        weights=weights,
        label_probability=label_probability,
        clusters=clusters,
        confidence=confidence,
    )
