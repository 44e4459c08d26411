"""In which order items are dispatched: at random, so that an unfinished run is a fair sample of the data."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from bakeoff._arrow import floats, read_parquet

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = ["batches", "cluster_codes", "dispatch_order", "hold_out", "item_keys"]


def item_keys(path: Path) -> tuple[list[str], NDArray[np.int64] | None]:
    """Return ids and cluster codes of a data set that was laid down as Parquet."""
    table = read_parquet(path, ["id", "cluster"])
    return table.column("id").to_pylist(), cluster_codes(table.column("cluster"))


def cluster_codes(column: pa.ChunkedArray) -> NDArray[np.int64] | None:
    """Return a number for each item's cluster; an item without one is a cluster of its own. `None` without any."""
    if column.null_count == len(column):
        return None
    indices = column.combine_chunks().dictionary_encode().indices
    codes = floats(indices)
    alone = np.isnan(codes)
    codes[alone] = codes[~alone].max() + 1 + np.arange(alone.sum())
    return codes.astype(np.int64)


def dispatch_order(ids: Sequence[str], clusters: NDArray[np.int64] | None, seed: int) -> NDArray[np.int64]:
    """Return item indices in a random order that depends on ids, clusters and the seed alone.

    The items of a cluster stay together: a cluster is one unit, and must arrive whole.
    """
    labels = list(ids) if clusters is None else [f"cluster {code}" for code in clusters.tolist()]
    keys = [hashlib.md5(f"{seed}:{label}".encode(), usedforsecurity=False).hexdigest() for label in labels]
    return np.array(sorted(range(len(labels)), key=lambda index: (keys[index], index)), dtype=np.int64)


def hold_out(
    order: NDArray[np.int64], clusters: NDArray[np.int64] | None, share: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split the end of the order off, for a confirm step; no cluster is divided.

    Returns:
        Items to search on, and items held out.
    """
    cut = len(order) - round(len(order) * share)
    while clusters is not None and 0 < cut < len(order) and clusters[order[cut]] == clusters[order[cut - 1]]:
        cut += 1
    return order[:cut], order[cut:]


def batches(
    order: NDArray[np.int64], clusters: NDArray[np.int64] | None, *, size: int, first: int
) -> list[NDArray[np.int64]]:
    """Cut an order into batches of at least `size` items (the first of at least `first`); no cluster is divided."""
    found: list[NDArray[np.int64]] = []
    start = 0
    while start < len(order):
        end = min(len(order), start + (max(first, size) if not found else size))
        while clusters is not None and end < len(order) and clusters[order[end]] == clusters[order[end - 1]]:
            end += 1
        found.append(order[start:end])
        start = end
    return found
