"""Inputs of a comparison, made complete: item means, differences, clusters, what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats._checks import as_scores
from bakeoff.stats._clusters import MeanFit, fit_mean
from bakeoff.stats._items import as_weights, encode_clusters, identical_repeats, item_means
from bakeoff.stats._paired_binary import PairedTable
from bakeoff.stats._result import Kind

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]
    Codes = NDArray[np.intp]

__all__ = ["Pairs", "Side", "infer_kind", "make_pairs", "make_side", "resolve_kind"]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Two variants on the same items, complete pairs only."""

    candidate: Float
    baseline: Float
    difference: Float
    codes: Codes | None
    weights: Float | None
    kind: Kind
    repeats: bool
    n_missing: int
    missing: PairedTable
    """Which items lack a score: on both sides, on the candidate's or the baseline's only, on neither."""
    missing_bound: tuple[float, float] | None
    warnings: tuple[str, ...]
    scale: float
    fit: MeanFit
    """Mean difference with the default standard error: CR2 with clusters, HC2 with weights, else sd/sqrt(n)."""

    @property
    def simple_binary(self) -> bool:
        """Whether each item is one pass or fail on each side."""
        return self.kind == "binary" and not self.repeats

    def table(self) -> PairedTable:
        """Count the four cells of simple binary pairs."""
        both = int(self.candidate @ self.baseline)
        passed_a, passed_b = int(self.candidate.sum()), int(self.baseline.sum())
        return PairedTable(
            both=both,
            candidate_only=passed_a - both,
            baseline_only=passed_b - both,
            neither=self.difference.size - passed_a - passed_b + both,
        )


def make_pairs(
    candidate: ArrayLike,
    baseline: ArrayLike,
    kind: str | None,
    clusters: ArrayLike | None,
    weights: ArrayLike | None,
) -> Pairs:
    """Align two variants item by item and keep the complete pairs."""
    a, b = as_scores(candidate, "candidate"), as_scores(baseline, "baseline")
    if a.shape[0] != b.shape[0]:
        raise StatsError(
            f"a paired comparison needs the same items in the same order: candidate has {a.shape[0]}, baseline "
            f"{b.shape[0]}; align them (nan where one has no score) or pass paired=False"
        )
    resolved = resolve_kind(kind, a, b)
    a_means, a_counts = item_means(a)
    b_means, b_counts = item_means(b)
    n = a_means.size
    codes = None if clusters is None else encode_clusters(clusters, n=n)
    w = None if weights is None else as_weights(weights, n)
    kept = (a_counts > 0) & (b_counts > 0)
    n_missing = n - int(np.count_nonzero(kept))
    bound = None
    missing = _missing_table(a_counts == 0, b_counts == 0)
    warnings = tuple(dict.fromkeys(identical_repeats(a, a_means, a_counts) + identical_repeats(b, b_means, b_counts)))
    if n_missing:
        bound = None if resolved == "continuous" else _missing_bound(a_means, b_means, w)
        a_means, b_means = a_means[kept], b_means[kept]
        codes = None if codes is None else codes[kept]
        w = None if w is None else w[kept]
        w = None if w is not None and not w.any() else w
    difference = a_means - b_means
    scale = float(max(np.abs(a_means).max(), np.abs(b_means).max())) if a_means.size else 0.0
    difference[np.abs(difference) < 1e-13 * scale] = 0.0
    return Pairs(
        candidate=a_means,
        baseline=b_means,
        difference=difference,
        codes=codes,
        weights=w,
        kind=resolved,
        repeats=bool(n and max(a_counts.max(), b_counts.max()) > 1),
        n_missing=n_missing,
        missing=missing,
        missing_bound=bound,
        warnings=warnings,
        scale=scale,
        fit=fit_mean(difference, codes, w, scale=scale),
    )


def _missing_table(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> PairedTable:
    both, on_a, on_b = int(np.count_nonzero(a & b)), int(np.count_nonzero(a)), int(np.count_nonzero(b))
    return PairedTable(
        both=both, candidate_only=on_a - both, baseline_only=on_b - both, neither=a.size - on_a - on_b + both
    )


def _missing_bound(a: Float, b: Float, weights: Float | None) -> tuple[float, float]:
    """Mean difference if every missing score in [0, 1] had been its worst, and its best, for the candidate."""
    worst = np.where(np.isnan(a), 0.0, a) - np.where(np.isnan(b), 1.0, b)
    best = np.where(np.isnan(a), 1.0, a) - np.where(np.isnan(b), 0.0, b)
    return float(np.average(worst, weights=weights)), float(np.average(best, weights=weights))
