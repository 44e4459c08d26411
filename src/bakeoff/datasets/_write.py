"""Items laid down once, as Parquet, named by their content."""

from __future__ import annotations

import array
import contextlib
import hashlib
import json
from typing import TYPE_CHECKING, Any

from bakeoff._arrow import column
from bakeoff.datasets._values import canonical, failure, non_finite

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

    from bakeoff.datasets._mapping import Mapped
    from bakeoff.datasets._source import Row

__all__ = ["COLUMNS", "FORMAT", "METADATA_KEY", "ItemWriter", "encode", "read_rows", "schema"]

COLUMNS = ("id", "inputs", "expected", "metadata", "cluster", "weight", "recorded", "row")
METADATA_KEY = b"bakeoff"
FORMAT = 1
"""Of the file; raised when its columns or what is known about them change."""
_GROUP_ROWS = 4096
_GROUP_CHARS = 4_000_000

Encoded = tuple[str, str, str, str, str | None, float | None, str, int]


def schema(extra: int = 0) -> pa.Schema:
    """Return the columns of an item file, with columns `f0`, `f1`, ... for a filter."""
    import pyarrow as pa

    text = pa.large_string()
    kinds = [text, text, text, text, text, pa.float64(), text, pa.int64()]
    fields = [pa.field(name, kind) for name, kind in zip(COLUMNS, kinds, strict=True)]
    return pa.schema([*fields, *(pa.field(f"f{index}", text) for index in range(extra))])


def encode(mapped: Mapped, row: Row, label: str) -> Encoded:
    """Return an item as the values of its columns.

    Raises:
        DatasetError: A number is not finite, or a value nests too deeply.
    """
    try:
        return (
            mapped.id,
            canonical(mapped.inputs),
            "null" if mapped.expected is None else canonical(mapped.expected),
            canonical(mapped.metadata) if mapped.metadata else "{}",
            mapped.cluster,
            mapped.weight,
            canonical(mapped.recorded) if mapped.recorded else "{}",
            row.number,
        )
    except ValueError:
        parts = (("", mapped.inputs), ("expected", mapped.expected), ("", mapped.metadata), ("", mapped.recorded))
        found = next((hit for path, value in parts if (hit := non_finite(value, path)) is not None), "a value")
        message = f"{row.where(label)}: {found}, which is not a number in JSON"
        raise failure(message, "write null for a missing value") from None
    except RecursionError:
        raise failure(f"{row.where(label)} nests too deeply", "flatten it") from None


class ItemWriter:
    """Writes items in row groups of bounded size; knows the version of what it has written."""

    def __init__(self, path: Path, *, extra: int = 0) -> None:
        import pyarrow.parquet as pq

        self._schema = schema(extra)
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd", compression_level=1)
        self._columns: list[list[Any]] = [[] for _ in self._schema]
        self._chars = 0
        self._total_chars = 0
        self._hash = hashlib.sha256()
        self._names: set[str] | None = None
        self._last_names: object = None
        self.ids = array.array("q")
        """Hashes of the ids, to find duplicates: eight bytes an item."""

    @property
    def count(self) -> int:
        """Items written."""
        return len(self.ids)

    def add(self, item: Encoded, names: frozenset[str] | None, extra: tuple[str | None, ...] = ()) -> None:
        """Write one item; `names` are those of its inputs."""
        self.ids.append(hash(item[0]))
        if names is not None and names != self._last_names:
            self._names = set(names) if self._names is None else self._names & names
            self._last_names = names
        for values, value in zip(self._columns, (*item, *extra), strict=True):
            values.append(value)
        self._chars += len(item[1]) + len(item[2]) + len(item[3]) + len(item[6])
        if extra:
            self._chars += sum(len(value) for value in extra if value is not None)
        if len(self._columns[0]) >= _GROUP_ROWS or self._chars >= _GROUP_CHARS:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if not self._columns[0]:
            return
        self._hash.update(_hashable(self._columns))
        arrays = [column(values, field.type) for values, field in zip(self._columns, self._schema, strict=True)]
        self._writer.write_batch(pa.record_batch(arrays, schema=self._schema))
        self._columns = [[] for _ in self._schema]
        self._total_chars += self._chars
        self._chars = 0

    def finish(self) -> str:
        """Write what is left and return the version: the SHA-256 of all items, as hexadecimal digits."""
        self._flush()
        version = self._hash.hexdigest()
        about = {
            "format": FORMAT,
            "version": version,
            "items": self.count,
            "characters": self._total_chars,
            "input_names": sorted(self._names or ()),
        }
        self._writer.add_key_value_metadata({METADATA_KEY: json.dumps(about).encode()})
        self._writer.close()
        return version

    def abandon(self) -> None:
        """Close the file without finishing it."""
        with contextlib.suppress(Exception):
            self._writer.close()


def _hashable(columns: list[list[Any]]) -> bytes:
    """Return one line of JSON for each item: everything but the number of its row."""
    quoted = [canonical(value) for value in columns[0]]
    clusters = ["null" if value is None else canonical(value) for value in columns[4]]
    weights = ["null" if value is None else repr(float(value)) for value in columns[5]]
    lines = zip(quoted, columns[1], columns[2], columns[3], clusters, weights, columns[6], strict=True)
    return "".join([f"[{','.join(line)}]\n" for line in lines]).encode()


def read_rows(path: Path, columns: Sequence[str]) -> Iterator[list[list[Any]]]:
    """Yield the columns of each row group as lists: a few megabytes at a time."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=list(columns))
            yield [column.to_pylist() for column in table.columns]
