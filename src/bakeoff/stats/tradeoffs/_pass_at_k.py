"""pass@k (at least one of k attempts succeeds) and pass^k (all k succeed), with intervals over items."""

from __future__ import annotations

from dataclasses import replace
from math import nan
from typing import TYPE_CHECKING, Literal

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import as_scores, check_confidence, check_count
from bakeoff.stats.core._items import as_codes, as_weights
from bakeoff.stats.core._mean_fit import fit_mean
from bakeoff.stats.core._result import Estimate
from bakeoff.stats.core._wilson import effective_wilson

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]

__all__ = ["PassRule", "pass_at_k", "pass_curve", "pass_hat_k", "pass_k_values"]

PassRule = Literal["any", "all"]
"""`any`: pass@k, at least one of k attempts succeeds; `all`: pass^k, every one of k attempts succeeds."""


def pass_k_values(scores: ArrayLike, k: int, *, rule: PassRule = "any") -> Float:
    """Return the unbiased pass@k or pass^k value of every item.

    With c successes in n attempts, pass@k is `1 - C(n-c, k)/C(n, k)` (Chen et al. 2021, "Evaluating large
    language models trained on code") and pass^k is `C(c, k)/C(n, k)` (Yao et al. 2024, tau-bench). The values
    are item scores like any other: give two of these vectors to a paired comparison to compare two variants.

    Args:
        scores: Pass/fail of shape (items, repeats); `nan` is an attempt without a result.
        k: Attempts that the user would make, at least 1.
        rule: `any` for pass@k, `all` for pass^k.

    Returns:
        Values in [0, 1] of shape (items,); `nan` where an item has fewer than k attempts.

    Raises:
        StatsError: If a score is not 0, 1 or nan, or k is not a positive whole number.

    Examples:
        >>> pass_k_values([[1, 0, 0, 0], [1, 1, 1, 0]], 2)
        array([0.5, 1. ])
        >>> pass_k_values([[1, 0, 0, 0], [1, 1, 1, 0]], 2, rule="all")
        array([0. , 0.5])
    """
    k = check_count(k, "k", minimum=1)
    if rule not in ("any", "all"):
        raise StatsError(f"rule must be 'any' (pass@k) or 'all' (pass^k), got {rule!r}")
    array = as_scores(scores)
    array = array[:, None] if array.ndim == 1 else array
    seen = ~np.isnan(array)
    if not np.isin(array[seen], (0.0, 1.0)).all():
        raise StatsError("scores must be 0 or 1 for pass@k; threshold graded scores first")
    trials = seen.sum(axis=1).astype(np.float64)
    hits = np.where(seen, array, 0.0).sum(axis=1)
    # P(no success among k drawn without replacement) = prod_j (m - j)/(n - j), with m the draws that must all occur.
    must = trials - hits if rule == "any" else hits
    steps = np.arange(k, dtype=np.float64)
    enough = trials >= k
    below = np.where(enough[:, None], trials[:, None] - steps, 1.0)
    drawn = np.prod(np.clip((must[:, None] - steps) / below, 0.0, 1.0), axis=1)
    value = 1.0 - drawn if rule == "any" else drawn
    return np.where(enough, value, nan)


def _estimate(
    scores: ArrayLike,
    k: int,
    rule: PassRule,
    weights: ArrayLike | None,
    clusters: ArrayLike | None,
    confidence: float,
) -> Estimate:
    confidence = check_confidence(confidence)
    values = pass_k_values(scores, k, rule=rule)
    weight = as_weights(weights, len(values))
    codes, _ = as_codes(clusters, len(values))
    usable = ~np.isnan(values) & (weight > 0)
    method = "pass_at_k" if rule == "any" else "pass_hat_k"
    moments = fit_mean(values[usable], codes[usable], weight[usable])
    left_out = int((~usable).sum())
    warnings = (f"{left_out} of {len(values)} items have fewer than {k} attempts and are left out",) * bool(left_out)
    base = Estimate(
        estimate=moments.mean, low=nan, high=nan, confidence=confidence, n=moments.n_units, method=f"{method}_wilson"
    )
    if moments.n_units == 0:
        reason = f"no item has {k} attempts with a result" if len(values) else "no items"
        return replace(base, reason=reason, warnings=warnings)
    if moments.n_units == 1:
        return replace(base, reason="one item or cluster: the spread over items is unknown", warnings=warnings)
    if moments.one_decides:
        return replace(base, reason="one item or cluster has nearly all the weight", warnings=warnings)
    low, high = effective_wilson(moments, confidence)
    assumptions = (
        "items (or clusters) are a random sample",
        "attempts of one item are exchangeable; they are never counted as separate items",
    )
    return replace(base, low=low, high=high, se=moments.se, df=moments.df, assumptions=assumptions, warnings=warnings)


def pass_at_k(
    scores: ArrayLike,
    k: int,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Estimate:
    """Estimate the chance that at least one of k attempts succeeds, over items.

    The mean of `pass_k_values`, with the item (or cluster) as the unit: a Wilson interval whose effective size is
    `p(1-p)/se^2` and whose quantile is Student t.

    Args:
        scores: Pass/fail of shape (items, repeats); `nan` is an attempt without a result.
        k: Attempts, at least 1 and at most the repeats.
        weights: Weight of each item.
        clusters: Label of the group of each item (document, user).
        confidence: Confidence of the interval.

    Returns:
        The estimate; `nan` with a reason where no item has k attempts (never 1).

    Raises:
        StatsError: If a score is not 0, 1 or nan, or k is not a positive whole number.

    Examples:
        >>> result = pass_at_k([[1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 1, 1]], 2)
        >>> round(result.estimate, 3), result.n
        (0.667, 4)
    """
    return _estimate(scores, k, "any", weights, clusters, confidence)


def pass_hat_k(
    scores: ArrayLike,
    k: int,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Estimate:
    """Estimate the chance that all of k attempts succeed (pass^k, the reliability of an agent), over items.

    The mean of `pass_k_values(..., rule="all")`; interval as in `pass_at_k`.

    Args:
        scores: Pass/fail of shape (items, repeats); `nan` is an attempt without a result.
        k: Attempts, at least 1 and at most the repeats.
        weights: Weight of each item.
        clusters: Label of the group of each item (document, user).
        confidence: Confidence of the interval.

    Returns:
        The estimate; `nan` with a reason where no item has k attempts.

    Raises:
        StatsError: If a score is not 0, 1 or nan, or k is not a positive whole number.

    Examples:
        >>> result = pass_hat_k([[1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 1, 1]], 2)
        >>> round(result.estimate, 3)
        0.333
    """
    return _estimate(scores, k, "all", weights, clusters, confidence)


def pass_curve(
    scores: ArrayLike,
    *,
    rule: PassRule = "any",
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    confidence: float = 0.95,
) -> tuple[Estimate, ...]:
    """Estimate pass@k or pass^k for k = 1, 2, ... up to the repeats.

    Args:
        scores: Pass/fail of shape (items, repeats); `nan` is an attempt without a result.
        rule: `any` for pass@k (rises with k), `all` for pass^k (falls with k).
        weights: Weight of each item.
        clusters: Label of the group of each item.
        confidence: Confidence of each interval.

    Returns:
        One estimate for each k, starting at 1.

    Raises:
        StatsError: If a score is not 0, 1 or nan.

    Examples:
        >>> [round(point.estimate, 2) for point in pass_curve([[1, 0, 0], [1, 1, 1]], rule="all")]
        [0.67, 0.5, 0.5]
    """
    array = as_scores(scores)
    repeats = 1 if array.ndim == 1 else array.shape[1]
    return tuple(_estimate(array, k, rule, weights, clusters, confidence) for k in range(1, repeats + 1))
