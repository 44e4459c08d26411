"""One variant, made complete: kind of score, item means, clusters, weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._items import as_weights, encode_clusters, identical_repeats, item_means
from bakeoff.stats.core._mean_fit import MeanFit, fit_mean
from bakeoff.stats.core._result import Kind

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]
    Codes = NDArray[np.intp]


__all__ = ["Side", "infer_kind", "make_side", "resolve_kind"]


def infer_kind(scores: ArrayLike) -> Kind:
    """Infer the kind of a score from its values: only 0 and 1, all in [0, 1], or any number.

    Args:
        scores: Any shape; `nan` is ignored.

    Returns:
        `binary`, `bounded` or `continuous`; `continuous` when nothing is present.

    Raises:
        StatsError: Scores that are not numbers.

    Examples:
        >>> infer_kind([1, 0, float("nan")]), infer_kind([0.5, 1.0]), infer_kind([1, 5])
        ('binary', 'bounded', 'continuous')
    """
    try:
        values = np.asarray(scores, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise StatsError(f"scores must be numbers: {error}") from error
    if np.isnan(values).all():
        return "continuous"
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if low < 0 or high > 1:
        return "continuous"
    outside = np.count_nonzero(values) - np.count_nonzero(values == 1) - np.count_nonzero(np.isnan(values))
    return "bounded" if outside else "binary"


def resolve_kind(kind: str | None, *scores: Float) -> Kind:
    """Return the declared kind if the scores fit it, or the inferred one."""
    if kind is None:
        found = [infer_kind(array) for array in scores if not np.isnan(array).all()]
        return "continuous" if "continuous" in found or not found else "bounded" if "bounded" in found else "binary"
    if kind not in get_args(Kind):
        raise StatsError(f"kind must be one of {list(get_args(Kind))} or None, got {kind!r}")
    for array in scores:
        actual = infer_kind(array)
        if np.isnan(array).all() or kind == "continuous" or actual in ("binary", kind):
            continue
        expected = "0 and 1" if kind == "binary" else "in [0, 1]"
        bad = array[~np.isnan(array) & ((array < 0) | (array > 1) | ((kind == "binary") & (array != 0) & (array != 1)))]
        raise StatsError(
            f"kind {kind!r} needs scores of {expected}, got {float(bad[0])!r}; "
            "rescale the scores or leave out `kind` to have it inferred"
        )
    return next(known for known in get_args(Kind) if known == kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One variant: complete item means with their clusters and weights."""

    values: Float
    codes: Codes | None
    weights: Float | None
    kind: Kind
    repeats: bool
    """Some item has more than one score."""
    n_missing: int
    n_scores: int
    fit: MeanFit
    warnings: tuple[str, ...]


def make_side(
    scores: Float, kind: Kind, clusters: ArrayLike | None, weights: ArrayLike | None, *, variance: str | None = None
) -> Side:
    """Reduce scores to complete item means."""
    means, counts = item_means(scores)
    kept = counts > 0
    codes = None if clusters is None else encode_clusters(clusters, n=means.size)
    w = None if weights is None else as_weights(weights, means.size)
    warnings = identical_repeats(scores, means, counts)
    n_missing = means.size - int(np.count_nonzero(kept))
    if n_missing:
        means = means[kept]
        codes = None if codes is None else codes[kept]
        w = None if w is None else w[kept]
    chosen = variance if variance in ("cr0", "cr1", "cluster_means") else "cr2"
    return Side(
        values=means,
        codes=codes,
        weights=w,
        kind=kind,
        repeats=bool(counts.size and counts.max() > 1),
        n_missing=n_missing,
        n_scores=int(counts.sum()),
        fit=fit_mean(means, codes, w if w is None or w.any() else None, chosen),
        warnings=warnings,
    )
