"""What items can be broken down by."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bakeoff.experiments import LocalStore

__all__ = ["segment_fields"]


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
