"""Scores of a run as arrays: variants x items x repeats for each metric, `nan` where there is no score."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from bakeoff._arrow import floats
from bakeoff.experiments.analysis._order import cluster_codes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from bakeoff.experiments.store._manifest import Manifest
    from bakeoff.experiments.store._store import LocalStore

__all__ = ["ItemInfo", "ScoreCube", "item_info", "score_cubes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreCube:
    """One metric of one run."""

    metric: str
    variants: tuple[str, ...]
    values: NDArray[np.float64]
    """Shape (variants, items, repeats); `nan` marks a missing score."""
    is_binary: bool
    """Whether every score is pass or fail."""
    is_label: bool
    labels: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Counts of words by variant, for a label metric."""
    sample_error: str = ""
    """Why one of the missing scores is missing."""

    def of(self, variant: str) -> NDArray[np.float64]:
        """Return the scores of a variant, shape (items,) or (items, repeats)."""
        scores = self.values[self.variants.index(variant)]
        return scores[:, 0] if scores.shape[1] == 1 else scores


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemInfo:
    """What the analysis needs to know of the items."""

    ids: NDArray[np.object_]
    clusters: NDArray[np.int64] | None
    """Codes; `None` when the data set has no clusters. An item without one is a cluster of its own."""
    weights: NDArray[np.float64] | None


def score_cubes(store: LocalStore, manifest: Manifest, *, metrics: Sequence[str] | None = None) -> dict[str, ScoreCube]:
    """Read the scores of a run, metric by metric in the order of the spec."""
    table = store.scores(
        manifest.run_id, columns=["variant", "item", "repeat", "metric", "value", "type", "label", "error"]
    )
    variants = manifest.variant_names
    variant_codes = _codes(table.column("variant"), {name: index for index, name in enumerate(variants)})
    found = _distinct(table.column("metric"))
    found += [  # declared, and no trial got as far as a score
        info.metric
        for info in manifest.metrics
        if not any(name == info.metric or name.startswith(f"{info.metric}.") for name in found)
    ]
    wanted = {name: index for index, name in enumerate(_ordered(found, manifest)) if metrics is None or name in metrics}
    metric_codes = _codes(table.column("metric"), wanted)
    items = floats(table.column("item")).astype(np.int64)
    repeats = floats(table.column("repeat")).astype(np.int64)
    values = floats(table.column("value"))
    kinds = _codes(table.column("type"), {"bool": 0, "number": 1, "label": 2})
    shape = (len(variants), max(manifest.dataset_items, int(items.max(initial=-1)) + 1), manifest.repeats)
    cubes: dict[str, ScoreCube] = {}
    for name, code in wanted.items():
        rows = np.flatnonzero((metric_codes == code) & (variant_codes >= 0))
        cube = np.full(shape, np.nan)
        cube[variant_codes[rows], items[rows], repeats[rows]] = values[rows]
        present = kinds[rows][kinds[rows] >= 0]
        cubes[name] = ScoreCube(
            metric=name,
            variants=tuple(variants),
            values=cube,
            is_binary=bool(present.size) and bool((present == 0).all()),
            is_label=bool(present.size) and bool((present == 2).any()),
            labels=_label_counts(table.take(rows)) if (present == 2).any() else {},
            sample_error=_first(table.column("error").take(rows)) if len(present) < len(rows) else "",
        )
    return cubes


def item_info(store: LocalStore, manifest: Manifest) -> ItemInfo:
    """Read ids, clusters and weights of a run's items."""
    table = store.items(manifest.run_id, columns=["id", "cluster", "weight"])
    cluster, weight = table.column("cluster"), table.column("weight")
    clusters = cluster_codes(cluster)
    weights: NDArray[np.float64] | None = None
    if weight.null_count < table.num_rows:
        weights = np.nan_to_num(floats(weight), nan=1.0)
    ids = np.asarray(table.column("id").to_pylist(), dtype=object)
    return ItemInfo(ids=ids, clusters=clusters, weights=weights)


def _first(column: pa.ChunkedArray) -> str:
    present = column.drop_null()
    return str(present[0].as_py()) if len(present) else ""


def _label_counts(table: pa.Table) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for variant, label in zip(table.column("variant").to_pylist(), table.column("label").to_pylist(), strict=True):
        if label is not None:
            found = counts.setdefault(variant, {})
            found[label] = found.get(label, 0) + 1
    return counts


def _distinct(column: pa.ChunkedArray) -> list[str]:
    return [name for name in column.unique().to_pylist() if name is not None]


def _ordered(found: Sequence[str], manifest: Manifest) -> list[str]:
    """Order metrics as the spec does; those an evaluator made up (`name.key`) follow their evaluator."""
    declared = [info.metric for info in manifest.metrics]

    def place(name: str) -> tuple[int, str]:
        head = name if name in declared else name.rpartition(".")[0]
        return (declared.index(head) if head in declared else len(declared), name)

    return sorted(found, key=place)


def _codes(column: pa.ChunkedArray, known: Mapping[str, int]) -> NDArray[np.int64]:
    """Return the code of each value, -1 for null and for what is not known."""
    encoded = column.combine_chunks().dictionary_encode()
    lookup = np.array([known.get(name, -1) for name in encoded.dictionary.to_pylist()] + [-1], dtype=np.int64)
    return lookup[np.nan_to_num(floats(encoded.indices), nan=len(lookup) - 1).astype(np.int64)]
