"""Break a result down by metadata: where does the difference come from, and where does it not hold?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.errors import SpecError, StoreError
from bakeoff.experiments._json import loads
from bakeoff.experiments.analysis._cube import ItemInfo
from bakeoff.experiments.analysis._family import correct_together

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from bakeoff.experiments.analysis._answer import MetricAnalysis
    from bakeoff.experiments.analysis._cube import ScoreCube
    from bakeoff.experiments.analysis._question import Question
    from bakeoff.experiments.store._manifest import Manifest
    from bakeoff.experiments.store._store import LocalStore

__all__ = ["Segment", "segment_of"]

_FEWEST = 5
_MOST_VALUES = 30
_MOST_NAMED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One value of one metadata field."""

    field: str
    value: str
    n_items: int
    metric: MetricAnalysis
    """The primary metric on these items; p-values are adjusted over all comparisons of all values of the field."""


def segment_of(
    store: LocalStore,
    manifest: Manifest,
    cube: ScoreCube,
    items: ItemInfo,
    question: Question,
    analysed: Callable[[ScoreCube, ItemInfo], MetricAnalysis],
) -> tuple[tuple[Segment, ...], tuple[str, ...]]:
    """Analyse the primary metric on the items of each value of each declared field.

    Returns:
        The segments, and what was left out of them, in words.

    Raises:
        SpecError: No item has such a field.
    """
    if not question.segments:
        return (), ()
    try:
        rows = [loads(text) for text in store.items(manifest.run_id, columns=["metadata"]).column(0).to_pylist()]
    except StoreError:
        return (), ()  # the data set is no longer there; the answer itself does not need it
    found: list[Segment] = []
    said: list[str] = []
    for name in question.segments:
        values = [str(row[name]) if name in row and row[name] is not None else None for row in rows]
        distinct = sorted({value for value in values if value is not None})
        if not distinct:
            known = sorted({key for row in rows for key in row})
            raise SpecError(f"analysis.segments: no item has the metadata field {name!r}; there is {', '.join(known)}")
        parts = [(value, np.flatnonzero(np.array([entry == value for entry in values]))) for value in distinct]
        parts = sorted(parts, key=lambda part: -len(part[1]))
        said += _left_out(name, [(value, len(rows_)) for value, rows_ in parts], values.count(None))
        parts = [part for part in parts if len(part[1]) >= _FEWEST]
        segments = [
            Segment(
                field=name, value=value, n_items=len(rows_), metric=analysed(_part(cube, rows_), _few(items, rows_))
            )
            for value, rows_ in parts[:_MOST_VALUES]
        ]
        found += _corrected(segments, question)
    return tuple(found), tuple(said)


def _left_out(name: str, sizes: Sequence[tuple[str, int]], without: int) -> list[str]:
    """Say which values have no row of their own, and why."""
    small = [f"{value} ({count})" for value, count in sizes if count < _FEWEST]
    late = [f"{value} ({count})" for value, count in sizes if count >= _FEWEST][_MOST_VALUES:]
    reasons = [
        *([f"fewer than {_FEWEST} items: {_some(small)}"] if small else []),
        *([f"only the {_MOST_VALUES} largest are shown: {_some(late)}"] if late else []),
        *([f"no value: {without:,} {'items' if without > 1 else 'item'}"] if without else []),
    ]
    return [f"Segments of {name!r} leave out what is in no row - {'; '.join(reasons)}."] if reasons else []


def _some(values: Sequence[str]) -> str:
    more = len(values) - _MOST_NAMED
    return ", ".join(values[:_MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _part(cube: ScoreCube, rows: NDArray[np.int64]) -> ScoreCube:
    return replace(cube, values=cube.values[:, rows])


def _few(items: ItemInfo, rows: NDArray[np.int64]) -> ItemInfo:
    return ItemInfo(
        ids=items.ids[rows],
        clusters=None if items.clusters is None else items.clusters[rows],
        weights=None if items.weights is None else items.weights[rows],
    )


def _corrected(segments: Sequence[Segment], question: Question) -> list[Segment]:
    """Adjust over the whole field: ten segments are ten chances to find something by luck."""
    corrected = correct_together([segment.metric for segment in segments], question)
    return [
        replace(segment, metric=replace(metric, tied=())) for segment, metric in zip(segments, corrected, strict=True)
    ]
