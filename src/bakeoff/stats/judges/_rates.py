"""What a noisy judge says about a pass rate, corrected with a few human labels (pass/fail)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isnan, nan, sqrt
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import as_vector, check_confidence
from bakeoff.stats.core._dist import z_value
from bakeoff.stats.core._items import as_weights
from bakeoff.stats.core._result import Estimate
from bakeoff.stats.core._wilson import wilson_interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]

__all__ = [
    "CorrectedMean",
    "JudgeAccuracy",
    "Labelled",
    "as_labelled",
    "judge_accuracy",
    "rogan_gladen",
    "stratified_rate",
    "weighted_wilson",
]

FEW_LABELS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeAccuracy:
    """How a judge's pass/fail verdicts compare with human labels."""

    sensitivity: Estimate
    """P(judge passes | human passes)."""
    specificity: Estimate
    """P(judge fails | human fails)."""
    precision: Estimate
    """P(human passes | judge passes)."""
    negative_precision: Estimate
    """P(human fails | judge fails)."""
    accuracy: Estimate
    bias: float
    """Judge pass rate minus human pass rate on the labelled items; positive for a lenient judge."""
    n: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectedMean(Estimate):
    """A mean score corrected for the errors of the judge; `n` counts the labels."""

    n_items: int = 0
    judge_mean: float = nan
    """What the judge alone says, uncorrected."""
    labels_mean: float = nan
    """What the labels alone say."""
    width_ratio: float = nan
    """Width of the interval relative to the labels alone; below 1 the judge helps."""
    judge_weight: float = nan
    """Lambda of PPI++: 0 ignores the judge, 1 takes it at face value before correcting its bias."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """Judge and human scores of the usable items, with their weights."""

    judge: Float
    human: Float
    weight: Float
    """Weight of each item in the population of items."""
    label_weight: Float
    """Weight divided by the probability of being labelled; 0 without a label."""
    kept: NDArray[np.intp]
    """Positions of the usable items in the input."""

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """Which items have a label."""
        return self.label_weight > 0


def as_labelled(
    judge: ArrayLike,
    human: ArrayLike,
    weights: ArrayLike | None,
    label_probability: ArrayLike | None,
    *,
    binary: bool,
) -> tuple[Labelled, tuple[str, ...]]:
    """Return validated columns of the items with a verdict, and warnings about what was left out."""
    verdict = as_vector(judge, "judge")
    truth = as_vector(human, "human", length=len(verdict))
    weight = as_weights(weights, len(verdict))
    for name, values in (("judge", verdict), ("human", truth)):
        if binary and not ((values == 0) | (values == 1) | np.isnan(values)).all():
            raise StatsError(f"{name} must be 0, 1 or nan here; use ppi_mean for graded scores")
    if label_probability is None:
        chance = np.ones(len(verdict))
    else:
        chance = as_vector(label_probability, "label_probability", length=len(verdict))
        needs = ~np.isnan(truth)
        if not ((chance[needs] > 0) & (chance[needs] <= 1)).all():
            raise StatsError("label_probability must be in (0, 1] for every labelled item")
        chance = np.where(needs, chance, 1.0)
    kept = np.flatnonzero(~np.isnan(verdict) & (weight > 0))
    dropped = len(verdict) - len(kept)
    label_weight = np.where(np.isnan(truth), 0.0, weight / chance)
    data = Labelled(verdict[kept], np.nan_to_num(truth[kept]), weight[kept], label_weight[kept], kept)
    warnings = (f"{dropped} of {len(verdict)} items have no verdict (or no weight) and are left out",) * bool(dropped)
    return data, warnings


def weighted_wilson(values: Float, weights: Float, critical: float) -> tuple[float, float, float, float]:
    """Return a weighted share with Wilson limits at Kish's effective size, and that size; (nan, 0, 1, 0) if empty."""
    total = float(weights.sum())
    if total <= 0:
        return nan, 0.0, 1.0, 0.0
    share = float(weights @ values) / total
    size = total**2 / float(weights @ weights)
    low, high = wilson_interval(share, size, critical)
    return share, float(low), float(high), size


def _share(values: Float, weights: Float, confidence: float, empty: str) -> Estimate:
    p, low, high, size = weighted_wilson(values, weights, z_value(confidence))
    n = int((weights > 0).sum())
    if n == 0:
        return Estimate(estimate=nan, low=nan, high=nan, confidence=confidence, n=0, method="wilson", reason=empty)
    return Estimate(
        estimate=p, low=low, high=high, confidence=confidence, n=n, method="wilson", se=sqrt(p * (1 - p) / size)
    )


def judge_accuracy(
    judge: ArrayLike,
    human: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    label_probability: ArrayLike | None = None,
    confidence: float = 0.95,
) -> JudgeAccuracy:
    """Estimate sensitivity, specificity and predictive values of a judge, with Wilson intervals.

    Args:
        judge: Verdicts 0/1, shape (items,); `nan` is missing.
        human: Labels 0/1, shape (items,); `nan` where there is none.
        weights: Weight of each item.
        label_probability: Known chance with which each labelled item was chosen for labelling, when it was not
            uniform (for instance when disputed items were labelled more often).
        confidence: Confidence of each interval.

    Returns:
        The rates; one without any case is `nan` with a reason.

    Raises:
        StatsError: If a value is not 0, 1 or nan, or lengths differ.

    Examples:
        >>> result = judge_accuracy([1, 1, 1, 0, 0, 1], [1, 1, 0, 0, 0, 1])
        >>> result.sensitivity.estimate, round(result.specificity.estimate, 3)
        (1.0, 0.667)
    """
    confidence = check_confidence(confidence)
    data, warnings = as_labelled(judge, human, weights, label_probability, binary=True)
    f, y, w = data.judge, data.human, data.label_weight
    good, passed = w * y, w * f
    total = float(w.sum())
    return JudgeAccuracy(
        sensitivity=_share(f, good, confidence, "no labelled item passes"),
        specificity=_share(1 - f, w * (1 - y), confidence, "no labelled item fails"),
        precision=_share(y, passed, confidence, "the judge passes no labelled item"),
        negative_precision=_share(1 - y, w * (1 - f), confidence, "the judge fails no labelled item"),
        accuracy=_share((f == y).astype(np.float64), w, confidence, "no item is labelled"),
        bias=float(w @ (f - y)) / total if total else nan,
        n=int(data.labelled.sum()),
        warnings=warnings,
    )


def stratified_rate(
    judge: ArrayLike,
    human: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    label_probability: ArrayLike | None = None,
    confidence: float = 0.95,
) -> CorrectedMean:
    """Estimate a pass rate from many verdicts and a random subset of labels, post-stratified by verdict.

    `p = w t1 + (1 - w) t0`, with w the judge's pass rate over all items, t1 and t0 the human pass rates among items
    that the judge passes and fails. Wilson limits of w, t1, t0 combine by the method of variance estimates recovery
    (Zou & Donner 2008): `L = p - sqrt((w(t1 - l1))^2 + ((1-w)(t0 - l0))^2 + ((w - w')(t1 - t0))^2)`, where w' is the
    limit of w that lowers p; U likewise. The estimator is the efficient one for pass/fail (PPI++ at its optimum),
    and unlike it holds its coverage with 20 to 200 labels and rare failures.

    Args:
        judge: Verdicts 0/1 of all items, shape (items,).
        human: Labels 0/1, `nan` for items without one; a random sample, or one with `label_probability`.
        weights: Weight of each item.
        label_probability: Known chance with which each labelled item was chosen for labelling.
        confidence: Confidence of the interval.

    Returns:
        The corrected pass rate; `nan` with a reason without labels.

    Raises:
        StatsError: If a value is not 0, 1 or nan, or lengths differ.

    Examples:
        >>> judge = [1] * 80 + [0] * 20
        >>> human = [1] * 15 + [0] * 5 + [np.nan] * 60 + [0] * 5 + [np.nan] * 15
        >>> result = stratified_rate(judge, human)
        >>> round(result.judge_mean, 2), round(result.estimate, 2), result.n
        (0.8, 0.6, 25)
    """
    confidence = check_confidence(confidence)
    data, warnings = as_labelled(judge, human, weights, label_probability, binary=True)
    f, y, lw = data.judge, data.human, data.label_weight
    crit = z_value(confidence)
    n_labels = int(data.labelled.sum())
    share, share_low, share_high, _ = weighted_wilson(f, data.weight, crit)
    only, only_low, only_high, _ = weighted_wilson(y, lw, crit)
    result = CorrectedMean(
        estimate=nan,
        low=nan,
        high=nan,
        confidence=confidence,
        n=n_labels,
        method="stratified_mover_wilson",
        n_items=len(f),
        judge_mean=share,
        labels_mean=only,
        assumptions=("labelled items are a random sample of the items (or of known probability)",),
        warnings=warnings,
    )
    if n_labels == 0:
        return replace(result, reason="no item has both a verdict and a label")
    t1, low1, high1, n1 = weighted_wilson(y, lw * f, crit)
    t0, low0, high0, n0 = weighted_wilson(y, lw * (1 - f), crit)
    for name, rate, part, size in (("passes", t1, share, n1), ("fails", t0, 1 - share, n0)):
        if isnan(rate) and part > 0:
            warnings += (f"no label among the items that the judge {name}: anything between 0 and 1 is allowed there",)
        elif part > 0 and size < 2:
            warnings += (f"one label among the items that the judge {name}",)
    # A stratum without labels says nothing: its middle stands in, its limits are 0 and 1.
    t1, t0 = (0.5 if isnan(t) else t for t in (t1, t0))
    p = share * t1 + (1 - share) * t0
    slope = t1 - t0
    down, up = (share_low, share_high) if slope >= 0 else (share_high, share_low)
    low = p - sqrt((share * (t1 - low1)) ** 2 + ((1 - share) * (t0 - low0)) ** 2 + ((share - down) * slope) ** 2)
    high = p + sqrt((share * (high1 - t1)) ** 2 + ((1 - share) * (high0 - t0)) ** 2 + ((up - share) * slope) ** 2)
    low, high = max(low, 0.0), min(high, 1.0)
    if n_labels < FEW_LABELS:
        warnings += (f"only {n_labels} labels",)
    return replace(
        result, estimate=p, low=low, high=high, warnings=warnings, width_ratio=(high - low) / (only_high - only_low)
    )


def rogan_gladen(
    judge: ArrayLike,
    *,
    calibration_judge: ArrayLike,
    calibration_human: ArrayLike,
    confidence: float = 0.95,
) -> CorrectedMean:
    """Correct a judge's pass rate with its sensitivity and specificity on a calibration set.

    `p = (q + sp - 1) / (se + sp - 1)` (Rogan & Gladen 1978) with the interval of Lang & Reiczigel (2014). Unlike
    `stratified_rate` the calibration items may have another pass rate than the tested ones (label shift), as long as
    the judge errs equally often on both; it is wider, and needs a judge that is better than chance.

    Args:
        judge: Verdicts 0/1 on the items of interest; `nan` is missing.
        calibration_judge: Verdicts on other, labelled items.
        calibration_human: Their labels.
        confidence: Confidence of the interval.

    Returns:
        The corrected pass rate within [0, 1]; `nan` with a reason when the judge is no better than chance.

    Raises:
        StatsError: If a value is not 0, 1 or nan, or lengths differ.

    Examples:
        >>> result = rogan_gladen([1] * 60 + [0] * 40, calibration_judge=[1] * 45 + [0] * 5 + [1] * 10 + [0] * 40,
        ...                       calibration_human=[1] * 50 + [0] * 50)
        >>> round(result.estimate, 3)
        0.571
    """
    confidence = check_confidence(confidence)
    tested, warnings = as_labelled(judge, np.full(np.shape(judge), nan), None, None, binary=True)
    calibration, _ = as_labelled(calibration_judge, calibration_human, None, None, binary=True)
    f, y = calibration.judge[calibration.labelled], calibration.human[calibration.labelled]
    n, n_good, n_bad = len(tested.judge), int(y.sum()), int((1 - y).sum())
    q = float(tested.judge.mean()) if n else nan
    result = CorrectedMean(
        estimate=nan,
        low=nan,
        high=nan,
        confidence=confidence,
        n=len(y),
        method="rogan_gladen_lang_reiczigel",
        n_items=n,
        judge_mean=q,
        labels_mean=float(y.mean()) if len(y) else nan,
        assumptions=("the judge errs as often on the tested items as on the calibration items",),
        warnings=warnings,
    )
    if n == 0 or n_good == 0 or n_bad == 0:
        return replace(result, reason="needs verdicts, and calibration labels of both kinds (pass and fail)")
    sensitivity, specificity = float(f @ y) / n_good, float((1 - f) @ (1 - y)) / n_bad
    if sensitivity + specificity <= 1:
        why = f"sensitivity {sensitivity:.2f} + specificity {specificity:.2f} is not above 1: the judge is no better"
        return replace(result, reason=why + " than chance, so its verdicts cannot be corrected")
    crit = z_value(confidence)
    size, s_size, c_size = n + crit**2, n_good + 2.0, n_bad + 2.0
    q2 = (n * q + crit**2 / 2) / size
    s2, c2 = (n_good * sensitivity + 1) / s_size, (n_bad * specificity + 1) / c_size
    gain = s2 + c2 - 1
    if gain <= 0:
        return replace(result, reason="too few calibration labels to tell the judge from chance")
    p2 = (q2 + c2 - 1) / gain
    v_s, v_c = s2 * (1 - s2) / s_size, c2 * (1 - c2) / c_size
    centre = p2 + 2 * crit**2 * (p2 * v_s - (1 - p2) * v_c)
    half = crit * sqrt(q2 * (1 - q2) / size + (1 - p2) ** 2 * v_c + p2**2 * v_s) / gain
    p = min(max((q + specificity - 1) / (sensitivity + specificity - 1), 0.0), 1.0)
    low, high = max(0.0, min(centre - half, p)), min(1.0, max(centre + half, p))
    if gain < 0.2:
        warnings += ("the judge is barely better than chance: the correction magnifies every error",)
    return replace(result, estimate=p, low=low, high=high, warnings=warnings)
