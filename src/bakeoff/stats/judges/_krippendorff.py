"""Krippendorff's alpha: agreement of any number of raters, any level of measurement, missing labels allowed."""

from __future__ import annotations

from dataclasses import replace
from math import nan
from typing import TYPE_CHECKING, Literal

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import as_rng, as_vector, check_confidence, check_count
from bakeoff.stats.core._resample import item_counts
from bakeoff.stats.judges._kappa import Agreement, encode_ratings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]

__all__ = ["Level", "krippendorff_alpha"]

Level = Literal["nominal", "ordinal", "interval", "ratio"]
"""Level of measurement: names, ordered names, numbers, numbers with a true zero."""

_MAX_CELLS = 2_000_000


def krippendorff_alpha(
    ratings: ArrayLike,
    *,
    level: Level = "nominal",
    labels: Sequence[object] | None = None,
    confidence: float = 0.95,
    resamples: int = 1000,
    rng: np.random.Generator | int = 0,
) -> Agreement:
    """Estimate Krippendorff's alpha with an interval that resamples items.

    `alpha = 1 - Do/De`, the observed over the expected disagreement of all pairable labels (Krippendorff 2019,
    Content Analysis, ch. 12). Differences: 0/1 (nominal), distance of mid-ranks (ordinal), `c - k` (interval),
    `(c - k)/(c + k)` (ratio), squared. Percentile bootstrap over items; the ordinal ranks are recomputed in each
    resample. Labels of items with a single label are not pairable and do not count.

    Args:
        ratings: Labels of shape (items, raters); None or `nan` is missing. Numbers for interval and ratio.
        level: Level of measurement.
        labels: Categories in order, for ordinal names; the sorted distinct values when not given.
        confidence: Confidence of the interval.
        resamples: Bootstrap resamples.
        rng: Generator or seed.

    Returns:
        Alpha, at most 1 (0 is chance); `nan` with a reason where there is no pair or no variation.

    Raises:
        StatsError: If `ratings` is not two-dimensional, or not numeric for interval and ratio.

    Examples:
        >>> ratings = [[1, 1], [2, 2], [3, 3], [3, 3], [2, 2], [1, 2], [4, 4], [1, 1], [2, 2], [5, 5]]
        >>> round(krippendorff_alpha(ratings).estimate, 3)
        0.874
    """
    confidence = check_confidence(confidence)
    resamples = check_count(resamples, "resamples", minimum=1)
    if level not in ("nominal", "ordinal", "interval", "ratio"):
        raise StatsError(f"level must be 'nominal', 'ordinal', 'interval' or 'ratio', got {level!r}")
    codes, order = encode_ratings(ratings, labels)
    if codes.ndim != 2:
        raise StatsError(f"ratings must have shape (items, raters), got {codes.shape}")
    values = _category_values(order, level)
    kept = codes[(codes >= 0).sum(axis=1) >= 2]
    result = Agreement(
        estimate=nan,
        low=nan,
        high=nan,
        confidence=confidence,
        n=len(kept),
        method=f"krippendorff_{level}_bootstrap",
        categories=tuple(map(str, order)),
        n_raters=codes.shape[1],
        assumptions=("items are a random sample", "raters did not see each other's labels"),
    )
    if len(kept) == 0:
        return replace(result, reason="no item has labels from two raters")
    observed, expected = _disagreement(np.ones((1, len(kept))), kept, values, level)
    result = replace(result, observed=1 - float(observed[0]), expected=1 - float(expected[0]))
    if not expected[0] > 0:
        return replace(result, reason="all labels are one category: agreement is undefined")
    alpha = 1 - float(observed[0] / expected[0])
    if len(kept) < 2:
        return replace(result, estimate=alpha, reason="one item: the spread over items is unknown")
    if observed[0] == 0:
        why = "raters never disagree: the resamples do not vary, so no interval can be given"
        return replace(result, estimate=alpha, reason=why)
    pieces: list[Float] = []
    for counts in item_counts(as_rng(rng), len(kept), resamples):
        d_o, d_e = _disagreement(counts, kept, values, level)
        pieces.append(np.where(d_e > 0, 1 - d_o / np.where(d_e > 0, d_e, 1.0), nan))
    draws = np.concatenate(pieces)
    draws = draws[~np.isnan(draws)]
    if len(draws) < 2 or np.ptp(draws) < 1e-12:
        return replace(result, estimate=alpha, reason="every resample agrees alike: no spread to judge by")
    tail = (1 - confidence) / 2
    low, high = (float(x) for x in np.quantile(draws, [tail, 1 - tail]))
    warnings = ("fewer than 20 items: the bootstrap interval is too narrow",) if len(kept) < 20 else ()
    return replace(
        result,
        estimate=alpha,
        low=min(low, alpha),
        high=max(high, alpha),
        se=float(draws.std(ddof=1)),
        warnings=warnings,
    )


def _category_values(order: tuple[object, ...], level: Level) -> Float:
    if level in ("nominal", "ordinal"):
        return np.arange(len(order), dtype=np.float64)
    try:
        values = np.array([float(str(label)) for label in order], dtype=np.float64)
    except ValueError as error:
        raise StatsError(f"level {level!r} needs numbers, got {list(order)!r}") from error
    values = as_vector(values, "ratings")
    if level == "ratio" and (values < 0).any():
        raise StatsError("level 'ratio' needs values of at least 0")
    return values


def _disagreement(counts: Float, codes: NDArray[np.intp], values: Float, level: Level) -> tuple[Float, Float]:
    """Return observed and expected disagreement for each row of item counts, shape (rows,)."""
    size, (items, raters) = len(values), codes.shape
    present = codes >= 0
    tally = np.zeros((items, size))
    item, rater = np.nonzero(present)
    np.add.at(tally, (item, codes[item, rater]), 1.0)
    marginal = counts @ tally
    total = marginal.sum(axis=1)
    if level in ("nominal", "ratio"):
        delta = _delta(values, level)
        within = (tally * (tally @ delta)).sum(axis=1) / (present.sum(axis=1) - 1)
        cross = (marginal * (marginal @ delta)).sum(axis=1)
        return (counts @ within) / total, cross / (total * (total - 1))
    if level == "interval":
        # Centred so that large values with a small spread keep their digits.
        scale = np.broadcast_to(values - values.mean(), (len(counts), size))
    else:
        scale = np.cumsum(marginal, axis=1) - marginal / 2
    first = (marginal * scale).sum(axis=1)
    second = (marginal * scale**2).sum(axis=1)
    cross = 2 * (total * second - first**2)
    return _observed_squares(counts, codes, present, scale, raters) / total, cross / (total * (total - 1))


def _observed_squares(
    counts: Float, codes: NDArray[np.intp], present: NDArray[np.bool_], scale: Float, raters: int
) -> Float:
    """Sum over items of `2 m SS / (m - 1)`, the squared differences of all ordered pairs within an item."""
    rated = present.sum(axis=1).astype(np.float64)
    safe = np.where(present, codes, 0)
    out = np.empty(len(counts))
    block = max(1, _MAX_CELLS // max(codes.size, 1))
    for start in range(0, len(counts), block):
        rows = slice(start, start + block)
        value = np.where(present, scale[rows][:, safe], 0.0)
        mean = value.sum(axis=2) / rated
        squares = np.where(present, (value - mean[:, :, None]) ** 2, 0.0).sum(axis=2)
        out[rows] = (counts[rows] * (2 * rated / (rated - 1)) * squares).sum(axis=1)
    return out


def _delta(values: Float, level: Level) -> Float:
    if level == "nominal":
        return 1.0 - np.eye(len(values))
    both = values[:, None] + values[None, :]
    return np.square((values[:, None] - values[None, :]) / np.where(both > 0, both, 1.0))
