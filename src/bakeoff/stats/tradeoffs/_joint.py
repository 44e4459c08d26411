"""Joint bootstrap of several summaries of many variants on the same items."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.stats.core._resample import item_counts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Float = NDArray[np.float64]

__all__ = ["joint_bootstrap", "summary"]

_WINDOW_SD = 8.0


def summary(array: Float, quantile: float | None) -> Float:
    """Return the mean (or the quantile) of each row of (variants, items), leaving missing values out."""
    seen = ~np.isnan(array)
    some = seen.any(axis=1)
    if quantile is None:
        total = np.where(seen, array, 0.0).sum(axis=1)
        return np.where(some, total / np.maximum(seen.sum(axis=1), 1), nan)
    rows = [float(np.quantile(row[ok], quantile, method="inverted_cdf")) if ok.any() else nan
            for row, ok in zip(array, seen, strict=True)]  # fmt: skip
    return np.array(rows)


def joint_bootstrap(
    arrays: Sequence[Float],
    quantiles: Sequence[float | None],
    codes: NDArray[np.intp],
    units: int,
    resamples: int,
    rng: np.random.Generator,
) -> Float:
    """Return resampled summaries of shape (resamples, variants, objectives)."""
    means = [array for array, q in zip(arrays, quantiles, strict=True) if q is None]
    sums, seen = _unit_sums(means, codes, units)
    pieces: list[Float] = []
    for counts in item_counts(rng, units, resamples):
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = (counts @ sums) / (counts @ seen if seen is not None else float(units))
        mean = mean.reshape(len(counts), len(means), -1) if means else mean
        block = np.empty((len(counts), arrays[0].shape[0], len(arrays)))
        at = 0
        for m, (array, q) in enumerate(zip(arrays, quantiles, strict=True)):
            if q is None:
                block[:, :, m] = mean[:, at, :]
                at += 1
            else:
                for v, row in enumerate(array):
                    block[:, v, m] = _resampled_quantile(row, q, codes, counts)
        pieces.append(block)
    return np.concatenate(pieces)


def _unit_sums(arrays: list[Float], codes: NDArray[np.intp], units: int) -> tuple[Float, Float | None]:
    if not arrays:
        return np.zeros((units, 0)), None
    stacked = np.concatenate(arrays).T
    seen = ~np.isnan(stacked)
    values = np.where(seen, stacked, 0.0)
    plain = units == len(codes)
    if plain and seen.all() and np.array_equal(codes, np.arange(units)):
        return values, None
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(units))
    sums = np.add.reduceat(values[order], starts, axis=0)
    return sums, np.add.reduceat(seen[order].astype(np.float64), starts, axis=0)


def _resampled_quantile(row: Float, q: float, codes: NDArray[np.intp], counts: Float) -> Float:
    """Return the quantile of each resample, looking only at the ranks where it can fall."""
    kept = np.flatnonzero(~np.isnan(row))
    if len(kept) == 0:
        return np.full(len(counts), nan)
    order = kept[np.argsort(row[kept], kind="stable")]
    n = len(order)
    largest = int(np.bincount(codes[kept]).max())
    half = int(_WINDOW_SD * np.sqrt(n * max(largest, 1) * max(q * (1 - q), 1 / n))) + largest + 2
    lo, hi = max(0, int(q * n) - half), min(n, int(q * n) + half)
    units = counts.shape[1]
    present = counts @ np.bincount(codes[order], minlength=units).astype(np.float64)
    before = counts @ np.bincount(codes[order[:lo]], minlength=units).astype(np.float64)
    cumulative = before[:, None] + np.cumsum(counts[:, codes[order[lo:hi]]], axis=1)
    target = np.maximum(np.ceil(q * present - 1e-9), 1.0)
    position = np.minimum((cumulative < target[:, None]).sum(axis=1), hi - lo - 1)
    return np.where(present > 0, row[order[lo + position]], nan)
