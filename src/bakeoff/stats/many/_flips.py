"""Joint sign flips: the null distribution of many paired comparisons at once."""

from __future__ import annotations

from math import inf, nan
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.stats.core._items import encode_clusters

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]

__all__ = ["SignFlips"]

_EXACT_UNITS = 15
_NORMAL_UNITS = 3000
_CHUNK = 4_000_000


class SignFlips:
    """Joint sign flips of the units' differences and the t-values that they give."""

    def __init__(
        self,
        means: Float,
        pairs: list[tuple[int, int]],
        clusters: ArrayLike | None,
        resamples: int,
        rng: np.random.Generator,
    ) -> None:
        left, right = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        difference = means[:, left] - means[:, right]
        present = ~np.isnan(difference)
        filled = np.where(present, difference, 0.0)
        self.n_items = present.sum(axis=0)
        counts = present.astype(np.float64)
        n = np.maximum(self.n_items, 1)
        self.mean = filled.sum(axis=0) / n
        centred = np.where(present, difference - self.mean, 0.0)
        # a spread that is only rounding noise is no spread
        scale = np.abs(filled).max(axis=0, initial=0.0)
        self.mean[np.abs(self.mean) < 1e-14 * scale] = 0.0
        centred[np.abs(centred) < 1e-12 * scale] = 0.0
        if clusters is not None:
            codes = encode_clusters(clusters, n=means.shape[0])
            _, codes = np.unique(codes, return_inverse=True)
            filled, centred, counts = (_sum_by(codes, array) for array in (filled, centred, counts))
        self.sums, self.centred, self.counts, self.n = filled, centred, counts, n.astype(np.float64)
        self.unit_counts = (counts > 0).sum(axis=0)
        self.units = int((counts > 0).any(axis=1).sum())
        kept = (counts > 0).any(axis=1)
        self.sums, self.centred, self.counts = self.sums[kept], self.centred[kept], self.counts[kept]
        self.t, self.se = self._t(self.sums.sum(axis=0)[None], self.sums)
        self.t, self.se = self.t[0], self.se[0]
        self.exact = self.units <= _EXACT_UNITS
        self.normal = self.units > _NORMAL_UNITS
        self.total = 2**self.units if self.exact else resamples
        self._rng = rng

    def _t(self, totals: Float, source: Float, cross: Float | None = None) -> tuple[Float, Float]:
        """Return t-values and standard errors (CR1) from flipped totals, shape (flips, comparisons)."""
        mean = totals / self.n
        if cross is None:
            cross = (source * self.counts).sum(axis=0)[None]
        spread = (source**2).sum(axis=0) - 2 * mean * cross + mean**2 * (self.counts**2).sum(axis=0)
        spread[spread < 1e-12 * np.maximum((source**2).sum(axis=0), 1e-300)] = 0.0
        groups = self.unit_counts
        with np.errstate(divide="ignore", invalid="ignore"):
            se = np.sqrt(spread * groups / (groups - 1)) / self.n
            t = np.where(se > 0, mean / se, np.where(mean == 0, 0.0, np.sign(mean) * inf))
        valid = groups >= 2
        same = (source**2).sum(axis=0) == 0  # no difference anywhere: nothing to test
        return np.where(valid & ~same, t, nan), np.where(valid & (se > 0), se, nan)

    def draw(self) -> Iterator[tuple[Float, Float]]:
        """Yield t-values of flipped differences: as they are, and centred on their mean."""
        if self.normal:
            yield self._flipped_normal(self.sums), self._flipped_normal(self.centred)
            return
        size = max(1, _CHUNK // max(1, self.units))
        for start in range(0, self.total, size):
            stop = min(self.total, start + size)
            signs = self._signs(start, stop)
            yield self._flipped(signs, self.sums), self._flipped(signs, self.centred)

    def _signs(self, start: int, stop: int) -> Float:
        if self.exact:
            codes = np.arange(start, stop)[:, None] >> np.arange(self.units)[None, :]
            return np.where(codes & 1, -1.0, 1.0)
        bits = np.frombuffer(self._rng.bytes(-(-(stop - start) * self.units // 8)), dtype=np.uint8)
        signs = np.unpackbits(bits, count=(stop - start) * self.units).astype(np.float64)
        return (1.0 - 2.0 * signs).reshape(stop - start, self.units)

    def _flipped(self, signs: Float, source: Float) -> Float:
        return self._t(signs @ source, source, signs @ (source * self.counts))[0]

    def _flipped_normal(self, source: Float) -> Float:
        """Draw flipped totals from their joint normal limit, which has the same covariance."""
        both = np.concatenate([source, source * self.counts], axis=1)
        values, vectors = np.linalg.eigh(both.T @ both)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        draws = self._rng.standard_normal((self.total, root.shape[1])) @ root.T
        width = source.shape[1]
        return self._t(draws[:, :width], source, draws[:, width:])[0]


def _sum_by(codes: NDArray[np.intp], array: Float) -> Float:
    out = np.zeros((int(codes.max(initial=-1)) + 1, array.shape[1]))
    np.add.at(out, codes, array)
    return out
