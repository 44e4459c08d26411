"""A data set: items in a Parquet file named by its content."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from bakeoff.datasets._item import Item
from bakeoff.datasets._shuffle import shuffled_rows
from bakeoff.datasets._values import failure
from bakeoff.datasets._write import FORMAT, METADATA_KEY, read_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

__all__ = ["Dataset", "read_dataset"]

_LONG_NUMBER = re.compile(r"\d{19}")
_ITEM_COLUMNS = ["id", "inputs", "expected", "metadata", "cluster", "weight", "recorded"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, weakref_slot=True)
class Dataset:
    """Items, laid down once and streamed from there. Make one with `open_dataset`.

    Only one row group (a few megabytes) is in memory at a time, however many items there are.
    """

    name: str
    path: Path
    """The Parquet file, with one row for each item: `id`, `inputs`, `expected`, `metadata`, `recorded` (JSON),
    `cluster`, `weight`, and `row`, the number in the source."""
    version: str
    """SHA-256 of the items: equal items in equal order have equal versions, whatever file they came from."""
    input_names: tuple[str, ...]
    """Names of the inputs that every item has."""
    size: int
    characters: int
    """Of all items as JSON."""
    card: str | None = None
    """Description (Markdown) of a bundled data set."""

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[Item]:
        for columns in read_rows(self.path, _ITEM_COLUMNS):
            yield from map(_item, *columns)

    def head(self, n: int) -> list[Item]:
        """Return the first n items.

        Examples:
            >>> from bakeoff.datasets import open_dataset
            >>> [item.id for item in open_dataset({"rows": [{"q": "a"}, {"q": "b"}]}).head(1)]
            ['1']
        """
        return list(itertools.islice(self, max(n, 0)))

    def get(self, ids: Collection[str]) -> list[Item]:
        """Return the items with these ids, in the order of the ids.

        Raises:
            DatasetError: There is no item with one of the ids.
        """
        wanted = set(ids)
        found: dict[str, Item] = {}
        for item in self._matching(wanted):
            found[item.id] = item
        missing = [identity for identity in ids if identity not in found]
        if missing:
            raise failure(f"data set {self.name!r} has no item {missing[0]!r}", "ids are in the column `id`")
        return [found[identity] for identity in ids]

    def shuffled(self, seed: int) -> Iterator[Item]:
        """Yield all items in a random order that depends on the seed and the ids alone.

        The order is by the MD5 of `seed:id`, so an item keeps its place among the others when items are added or
        taken away. Large data sets are sorted on disk.
        """
        rows = (row for columns in read_rows(self.path, _ITEM_COLUMNS) for row in zip(*columns, strict=True))
        for row in shuffled_rows(rows, seed=seed, count=self.size, size=self.characters):
            yield _item(*row)

    def _matching(self, wanted: set[str]) -> Iterator[Item]:
        import pyarrow.parquet as pq

        with pq.ParquetFile(self.path) as file:
            for group in range(file.num_row_groups):
                ids = file.read_row_group(group, columns=["id"]).column(0).to_pylist()
                places = [place for place, identity in enumerate(ids) if identity in wanted]
                if places:
                    rows = file.read_row_group(group, columns=_ITEM_COLUMNS).take(places)
                    yield from map(_item, *(column.to_pylist() for column in rows.columns))


def _item(
    identity: str,
    inputs: str,
    expected: str,
    metadata: str,
    cluster: str | None,
    weight: float | None,
    recorded: str,
) -> Item:
    return Item(
        id=identity,
        inputs=_loads(inputs),
        expected=_loads(expected),
        metadata=_loads(metadata) if metadata != "{}" else {},
        cluster=cluster,
        weight=weight,
        recorded=_loads(recorded) if recorded != "{}" else {},
    )


def _loads(text: str) -> Any:
    # orjson is five times as fast, but refuses lone surrogates and rounds integers beyond 64 bits.
    if "\\ud" in text or _LONG_NUMBER.search(text) is not None:
        return json.loads(text)
    return orjson.loads(text)


def read_dataset(path: Path, *, name: str | None = None) -> Dataset:
    """Open an item file that `open_dataset` has written.

    Raises:
        DatasetError: It is none.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(path).metadata or {}
        about = json.loads(metadata[METADATA_KEY])
    except (OSError, KeyError, ValueError, pa.ArrowException):
        about: dict[str, Any] = {}
    if about.get("format") != FORMAT:
        raise failure(f"{path} holds no items written by this version of Bakeoff", "open the source again")
    return Dataset(
        name=name or path.stem[:12],
        path=path,
        version=about["version"],
        input_names=tuple(about["input_names"]),
        size=about["items"],
        characters=about.get("characters", 0),
    )
