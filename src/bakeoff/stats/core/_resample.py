"""Which items a bootstrap resample draws, in blocks that fit in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Float = NDArray[np.float64]

__all__ = ["item_counts"]

_CHUNK_CELLS = 4_000_000


def item_counts(rng: np.random.Generator, units: int, resamples: int) -> Iterator[Float]:
    """Yield blocks of shape (block, units) that say how often each unit is drawn in a bootstrap resample."""
    block = max(1, min(resamples, _CHUNK_CELLS // max(units, 1)))
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        drawn = rng.integers(0, units, size=(rows, units))
        drawn += (np.arange(rows) * units)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * units).reshape(rows, units).astype(np.float64)
