"""From raw scores to independent units: item means, cluster codes, weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import as_scores

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]
    Codes = NDArray[np.intp]

__all__ = [
    "as_codes",
    "as_weights",
    "encode_clusters",
    "group_sums",
    "identical_repeats",
    "item_means",
    "present_means",
]


def item_means(scores: Float) -> tuple[Float, NDArray[np.intp]]:
    """Average the repeats of each item.

    Args:
        scores: Shape (items,) or (items, repeats); `nan` marks a missing score.

    Returns:
        The mean of the scores present for each item (`nan` where none is) and how many there are.
    """
    present = ~np.isnan(scores)
    if scores.ndim == 1:
        return scores, present.astype(np.intp)
    counts = present.sum(axis=1)
    totals = np.where(present, scores, 0.0).sum(axis=1)
    means = np.full(counts.shape, np.nan)
    np.divide(totals, counts, out=means, where=counts > 0)
    return means, counts


def identical_repeats(scores: Float, means: Float, counts: NDArray[np.intp]) -> tuple[str, ...]:
    """Warn when every repeat of every item gave the same score though items differ: a cache, most likely."""
    if scores.ndim == 1:
        return ()
    repeated = counts > 1
    if np.count_nonzero(repeated) < 20:
        return ()
    values, centres = scores[repeated], means[repeated, None]
    if centres.min() == centres.max() or bool((np.abs(values - centres) > 1e-12 * np.abs(centres)).any()):
        return ()
    return ("all repeats of every item have the same score: if answers come from a cache they are copies, not samples",)


def encode_clusters(clusters: ArrayLike, *, n: int | None = None) -> Codes:
    """Turn cluster labels into codes 0, 1, 2, ...

    Codes made once can be passed as `clusters` to every other function, which then skips this work.

    Args:
        clusters: One label for each item: numbers, strings, anything hashable.
        n: Number of items expected.

    Returns:
        Integer codes, same length. Small non-negative integers are taken as they are.

    Raises:
        StatsError: Wrong length, more than one dimension, or a missing label.

    Examples:
        >>> encode_clusters(["doc-7", "doc-2", "doc-7"]).tolist()
        [0, 1, 0]
    """
    return _codes(clusters, n, "clusters")


def _codes(values: ArrayLike, n: int | None, name: str) -> Codes:
    labels = np.asarray(values)
    if labels.ndim != 1 or (n is not None and labels.size != n):
        raise StatsError(f"{name} must hold one label for each item: expected shape ({n},), got {labels.shape}")
    if labels.size == 0:
        return np.zeros(0, dtype=np.intp)
    if labels.dtype.kind in "iu" and labels.min() >= 0 and labels.max() <= 4 * labels.size + 1024:
        return labels.astype(np.intp, copy=False)
    if labels.dtype.kind in "iub":
        return np.unique(labels, return_inverse=True)[1]
    codes: dict[object, int] = {}
    listed = labels.tolist()
    if any(value is None or value != value for value in listed):
        raise StatsError(f"{name} holds a missing label; give an item that belongs to no cluster a label of its own")
    try:
        return np.fromiter((codes.setdefault(value, len(codes)) for value in listed), dtype=np.intp, count=len(listed))
    except TypeError as error:
        raise StatsError(f"{name} holds a label that cannot be compared; use strings or numbers") from error


def group_sums(codes: Codes, values: Float) -> Float:
    """Add up the values of each code."""
    return np.asarray(np.bincount(codes, values), dtype=np.float64)


def as_weights(weights: ArrayLike | None, n: int) -> Float:
    """Return checked item weights as float64: finite, none negative, not all zero; ones by default."""
    if weights is None:
        return np.ones(n)
    try:
        array = np.asarray(weights, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise StatsError(f"weights must be numbers, one for each item: {error}") from error
    if array.shape != (n,):
        raise StatsError(f"weights must hold one number for each item: expected shape ({n},), got {array.shape}")
    if not np.isfinite(array).all() or (array < 0).any() or (n > 0 and not array.any()):
        raise StatsError("weights must be finite and not negative, with at least one above zero")
    return array


def as_codes(labels: ArrayLike | None, n: int, name: str = "clusters") -> tuple[Codes, int]:
    """Return cluster codes without gaps and how many there are; every item its own cluster for None."""
    if labels is None:
        return np.arange(n), n
    present, codes = np.unique(_codes(labels, n, name), return_inverse=True)
    return codes, present.size


def present_means(scores: ArrayLike, name: str = "scores") -> Float:
    """Return the means of the items that have a score."""
    means, counts = item_means(as_scores(scores, name))
    return means[counts > 0]
