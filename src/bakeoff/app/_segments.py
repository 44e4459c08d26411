"""Scores broken down by what is known of the items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bakeoff.experiments import LocalStore

__all__ = ["SegmentRow", "segment_fields", "segment_table"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRow:
    """One variant on the items that share a value of a metadata field."""

    segment: str
    variant: str
    n_items: int
    scores: tuple[float, ...]
    """Item means."""


def segment_fields(store: LocalStore, run_id: str, *, most: int = 30) -> list[str]:
    """Return the metadata fields that split the items into 2 to `most` groups."""
    import duckdb

    try:
        with store.connect([run_id]) as connection:
            rows = connection.execute(
                """WITH pairs AS (SELECT id, unnest(json_keys(metadata)) AS key, metadata FROM items
                                  WHERE json_valid(metadata) AND json_type(metadata) = 'OBJECT')
                   SELECT key, count(DISTINCT json_extract_string(metadata, '$."' || key || '"')) AS n
                   FROM pairs GROUP BY key ORDER BY key"""
            ).fetchall()
    except duckdb.Error:
        return []
    return [key for key, count in rows if 2 <= count <= most]


def segment_table(store: LocalStore, run_id: str, metric: str, name: str) -> list[SegmentRow]:
    """Return item means by value of a metadata field and variant."""
    import duckdb

    try:
        with store.connect([run_id]) as connection:
            rows = connection.execute(
                """WITH means AS (SELECT item_id, variant, avg(value) AS value FROM scores
                                  WHERE metric = $metric AND value IS NOT NULL GROUP BY item_id, variant)
                   SELECT coalesce(json_extract_string(i.metadata, $path), '(none)') AS segment, m.variant,
                          list(m.value ORDER BY m.item_id)
                   FROM means m JOIN items i ON i.id = m.item_id GROUP BY segment, m.variant ORDER BY segment""",
                {"metric": metric, "path": f'$."{name}"'},
            ).fetchall()
    except duckdb.Error:
        return []
    return [
        SegmentRow(segment=segment, variant=variant, n_items=len(values), scores=tuple(values))
        for segment, variant, values in rows
    ]
