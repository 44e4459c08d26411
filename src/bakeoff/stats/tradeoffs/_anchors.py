"""Cheaper evaluation: a few anchor items predict the rest, a random subset keeps the interval honest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import nan
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import as_rng, as_vector, check_confidence, check_count
from bakeoff.stats.core._result import Estimate
from bakeoff.stats.judges._ppi import ppi_mean
from bakeoff.stats.tradeoffs._item_analysis import score_matrix

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]

__all__ = ["AnchorEstimate", "anchor_mean", "choose_anchors", "predict_from_anchors"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorEstimate(Estimate):
    """The mean over all items from anchors and a random subset; `n` counts the random items."""

    predicted: float = nan
    """What the anchors alone predict, uncorrected."""
    correction: float = nan
    """Estimate minus prediction: how wrong the anchors were."""
    n_run: int = 0
    """Items that were run: anchors and random ones."""
    n_items: int = 0
    width_ratio: float = nan
    """Width relative to the random items alone; below 1 the anchors help."""


def choose_anchors(
    history: ArrayLike, size: int, *, rng: np.random.Generator | int = 0, rounds: int = 25
) -> NDArray[np.intp]:
    """Choose items whose answers stand for the answers to the others.

    k-means over the items' score vectors in earlier variants, then the item nearest to each centre (the "anchor
    points" of Vivek et al. 2024 and tinyBenchmarks, Maia Polo et al. 2024).

    Args:
        history: Scores of earlier variants, shape (variants, items), none missing.
        size: Number of anchors, at most the items.
        rng: Generator or seed.
        rounds: k-means rounds.

    Returns:
        Sorted positions of distinct items, shape (size,).

    Raises:
        StatsError: If a score is missing or `size` exceeds the items.

    Examples:
        >>> history = [[1, 1, 0, 0, 1], [1, 1, 0, 0, 0], [0, 0, 1, 1, 0]]
        >>> len(choose_anchors(history, 2))
        2
    """
    x = _complete(history).T
    size = check_count(size, "size", minimum=1)
    if size > len(x):
        raise StatsError(f"size must be at most the {len(x)} items, got {size}")
    generator = as_rng(rng)
    centres = [x[int(generator.integers(len(x)))]]
    nearest = ((x - centres[0]) ** 2).sum(axis=1)
    for _ in range(size - 1):
        total = float(nearest.sum())
        pick = generator.choice(len(x), p=nearest / total) if total > 0 else int(generator.integers(len(x)))
        centres.append(x[pick])
        nearest = np.minimum(nearest, ((x - x[pick]) ** 2).sum(axis=1))
    middle = np.array(centres)
    for _ in range(check_count(rounds, "rounds", minimum=1)):
        owner = _distances(x, middle).argmin(axis=1)
        total = np.bincount(owner, minlength=size).astype(np.float64)
        summed = np.zeros_like(middle)
        np.add.at(summed, owner, x)
        moved = np.where(total[:, None] > 0, summed / np.maximum(total, 1.0)[:, None], middle)
        if np.allclose(moved, middle):
            break
        middle = moved
    distance = _distances(x, middle)
    chosen: list[int] = []
    for centre in range(size):
        ranked = np.argsort(distance[:, centre], kind="stable")
        chosen.append(next(int(i) for i in ranked if int(i) not in chosen))
    return np.array(sorted(chosen), dtype=np.intp)


def predict_from_anchors(history: ArrayLike, anchors: ArrayLike, anchor_scores: ArrayLike) -> Float:
    """Predict every item's score of a new variant from its scores on the anchors.

    Ridge regression of each item on the anchors over earlier variants, in dual form with the penalty chosen by
    leave-one-variant-out error; predictions are clipped to the range of the history. A prediction, not a
    measurement: correct it with `anchor_mean`.

    Args:
        history: Scores of earlier variants, shape (variants, items), none missing.
        anchors: Positions of the anchors.
        anchor_scores: The new variant's scores on them, in the same order.

    Returns:
        Predicted scores, shape (items,); the anchors keep their own.

    Raises:
        StatsError: If a score is missing or a position is out of range.

    Examples:
        >>> history = [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 0, 0]]
        >>> predict_from_anchors(history, [0, 2], [1, 0]).round(1).tolist()
        [1.0, 1.0, 0.0, 0.0]
    """
    y = _complete(history)
    place = _positions(anchors, y.shape[1])
    new = as_vector(anchor_scores, "anchor_scores", length=len(place))
    if np.isnan(new).any():
        raise StatsError("anchor_scores must not be missing")
    mean = y.mean(axis=0)
    if len(y) < 3:
        prediction = mean.copy()
    else:
        prediction = mean + _ridge(y - mean, place, new - mean[place])
    prediction = np.clip(prediction, y.min(), y.max())
    prediction[place] = new
    return np.asarray(prediction, dtype=np.float64)


def _ridge(centred: Float, place: NDArray[np.intp], new: Float) -> Float:
    """Return the prediction of the centred scores, penalty by leave-one-out over variants."""
    x = centred[:, place]
    kernel = x @ x.T
    values, vectors = np.linalg.eigh(kernel)
    values = np.maximum(values, 0.0)
    scale = float(values.max()) or 1.0
    rotated = vectors.T @ centred
    best_error, best = np.inf, scale
    for penalty in scale * np.geomspace(1e-3, 10.0, 13):
        shrink = values / (values + penalty)
        hat = np.minimum(np.einsum("ij,j,ij->i", vectors, shrink, vectors), 1 - 1e-9)
        residual = (centred - vectors @ (shrink[:, None] * rotated)) / (1 - hat)[:, None]
        error = float((residual**2).sum())
        if error < best_error:
            best_error, best = error, float(penalty)
    weight = vectors @ ((vectors.T @ (x @ new)) / (values + best))
    return np.asarray(weight @ centred, dtype=np.float64)


def anchor_mean(
    history: ArrayLike,
    anchors: ArrayLike,
    anchor_scores: ArrayLike,
    random_items: ArrayLike,
    random_scores: ArrayLike,
    *,
    confidence: float = 0.95,
) -> AnchorEstimate:
    """Estimate the mean over all items from anchors plus a random subset of the other items.

    The prediction from the anchors plays the judge and the random items play the human labels of `ppi_mean`, so the
    prediction's error is measured and corrected instead of assumed away; where the anchors do not predict, the random
    items alone are used.

    Args:
        history: Scores of earlier variants, shape (variants, items), none missing.
        anchors: Positions of the anchors.
        anchor_scores: The new variant's scores on the anchors.
        random_items: Positions of other items, drawn at random from the non-anchors, that were run as well.
        random_scores: The new variant's scores on them; `nan` is missing.
        confidence: Confidence of the interval.

    Returns:
        The corrected mean over all items.

    Raises:
        StatsError: If positions overlap, repeat or are out of range, or a needed score is missing.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> skill, hard = rng.normal(size=(13, 1)), rng.normal(size=400)
        >>> scores = (rng.random((13, 400)) < 1 / (1 + np.exp(-2 * (skill - hard)))) * 1.0
        >>> anchors = choose_anchors(scores[1:], 30)
        >>> others = rng.permutation(np.setdiff1d(np.arange(400), anchors))[:120]
        >>> result = anchor_mean(scores[1:], anchors, scores[0, anchors], others, scores[0, others])
        >>> bool(result.low < scores[0].mean() < result.high), result.n_run
        (True, 150)
    """
    confidence = check_confidence(confidence)
    y = _complete(history)
    items = y.shape[1]
    place, drawn = _positions(anchors, items), _positions(random_items, items)
    if np.intersect1d(place, drawn).size:
        raise StatsError("random_items must not contain anchors: draw them from the other items")
    truth = as_vector(random_scores, "random_scores", length=len(drawn))
    prediction = predict_from_anchors(y, place, anchor_scores)
    rest = np.setdiff1d(np.arange(items), place)
    human = np.full(items, nan)
    human[drawn] = truth
    part = ppi_mean(prediction[rest], human[rest], confidence=confidence)
    known, share = float(prediction[place].sum()) / items, len(rest) / items
    estimate, low, high = (known + share * value for value in (part.estimate, part.low, part.high))
    predicted = float(prediction.mean())
    result = AnchorEstimate(
        estimate=estimate, low=low, high=high, confidence=confidence, n=part.n, method=f"anchors_{part.method}",
        se=share * part.se, df=part.df, reason=part.reason, predicted=predicted, correction=estimate - predicted,
        n_run=len(place) + part.n, n_items=items, width_ratio=part.width_ratio,
        assumptions=("the random items were drawn at random from the items that are no anchors",),
        warnings=part.warnings,
    )  # fmt: skip
    if len(y) < 3:
        more = "fewer than three earlier variants: the anchors predict the average only"
        return replace(result, warnings=(*result.warnings, more))
    return result


def _complete(history: ArrayLike) -> Float:
    y = score_matrix(history, "history")
    if np.isnan(y).any():
        raise StatsError("history must have no missing scores; leave out incomplete variants or items")
    if y.size == 0:
        raise StatsError(f"history must hold at least one variant and one item, got shape {y.shape}")
    return y


def _positions(values: ArrayLike, items: int) -> NDArray[np.intp]:
    array = np.asarray(values)
    if array.ndim != 1 or (array.size and not np.issubdtype(array.dtype, np.integer)):
        raise StatsError(f"positions must be a vector of whole numbers, got {array.dtype} of shape {array.shape}")
    place = array.astype(np.intp)
    if place.size and (place.min() < 0 or place.max() >= items or len(np.unique(place)) != len(place)):
        raise StatsError(f"positions must be distinct and in 0..{items - 1}")
    return place


def _distances(x: Float, centres: Float) -> Float:
    return np.asarray((x**2).sum(axis=1)[:, None] - 2 * x @ centres.T + (centres**2).sum(axis=1), dtype=np.float64)
