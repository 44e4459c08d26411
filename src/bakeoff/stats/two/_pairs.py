"""Two variants on the same items, made complete: item differences, clusters, what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import as_scores
from bakeoff.stats.core._items import as_weights, encode_clusters, identical_repeats, item_means
from bakeoff.stats.core._mean_fit import ROUNDING_OF_ONE, MeanFit, fit_mean
from bakeoff.stats.two._paired_binary import PairedTable

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from bakeoff.stats.core._result import Kind

    Float = NDArray[np.float64]
    Codes = NDArray[np.intp]

from bakeoff.stats.one._side import resolve_kind
from bakeoff.stats.words._format import format_interval

__all__ = ["Pairs", "make_pairs"]

_MANY_LOST = 0.1
"""Share of the repeats of kept items from which on their absence is said."""


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
    lost = _lost_repeats(a), _lost_repeats(b)
    if resolved != "continuous" and (n_missing or any(side.any() for side in lost)):
        bound = _missing_bound((a_means, lost[0]), (b_means, lost[1]), w)
    warnings = _lost_warning(lost, None if n_missing else bound) + warnings
    if n_missing:
        a_means, b_means = a_means[kept], b_means[kept]
        codes = None if codes is None else codes[kept]
        w = None if w is None else w[kept]
        w = None if w is not None and not w.any() else w
    difference = a_means - b_means
    scale = float(max(np.abs(a_means).max(), np.abs(b_means).max())) if a_means.size else 0.0
    difference[np.abs(difference) < ROUNDING_OF_ONE * scale] = 0.0
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


def _lost_repeats(scores: Float) -> Float:
    """Return the share of each item's repeats that has no score; repeats that no item has were never asked for."""
    if scores.ndim == 1:
        return np.isnan(scores).astype(np.float64)
    asked = ~np.isnan(scores).all(axis=0)
    return np.isnan(scores[:, asked]).mean(axis=1) if asked.any() else np.ones(scores.shape[0])


def _lost_warning(lost: tuple[Float, Float], bound: tuple[float, float] | None) -> tuple[str, ...]:
    """Warn when a tenth of the repeats of kept items is missing on one side: which ones were lost is not known."""
    shares = [float(side[side < 1].mean()) if (side < 1).any() else 0.0 for side in lost]
    if max(shares) < _MANY_LOST:
        return ()
    text = (
        f"{shares[0]:.0%} of the candidate's and {shares[1]:.0%} of the baseline's repeats of the items that are kept "
        "have no score; if those were the hard ones, the means are too high"
    )
    if bound is not None:
        text += (
            f"; depending on them the difference could be {format_interval(*bound, 3, signed=True, points=True)} points"
        )
    return (text,)


def _missing_bound(a: tuple[Float, Float], b: tuple[Float, Float], weights: Float | None) -> tuple[float, float]:
    """Mean difference if every missing score in [0, 1] had been its worst, and its best, for the candidate.

    Each side is given as the mean of what an item has, and the share of its repeats that is lost.
    """

    def filled(side: tuple[Float, Float], value: float) -> Float:
        means, lost = side
        return np.where(np.isnan(means), 0.0, means) * (1 - lost) + value * lost

    worst, best = filled(a, 0.0) - filled(b, 1.0), filled(a, 1.0) - filled(b, 0.0)
    return float(np.average(worst, weights=weights)), float(np.average(best, weights=weights))
