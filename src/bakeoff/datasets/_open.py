"""From a description to a data set: read, filter, map, split, sample, lay down."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from bakeoff.datasets._dataset import Dataset, read_dataset
from bakeoff.datasets._filter import Filter
from bakeoff.datasets._find import find_source
from bakeoff.datasets._mapping import Mapped, Mapper
from bakeoff.datasets._select import Splitter, draw, threshold
from bakeoff.datasets._spec import DatasetSpec
from bakeoff.datasets._values import failure
from bakeoff.datasets._write import COLUMNS, Encoded, ItemWriter, encode, read_rows
from bakeoff.errors import DatasetError

if TYPE_CHECKING:
    import array
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from bakeoff.datasets._source import Source

__all__ = ["open_dataset"]

_PLACEHOLDER = Mapped("", {}, None, {}, None, None, {})


def open_dataset(
    spec: DatasetSpec | str | Mapping[str, Any],
    *,
    base_dir: Path | None = None,
    cache_dir: Path | None = None,
    data: object = None,
    recorded: Sequence[str] = (),
) -> Dataset:
    """Read, select and map the items of a data set, and lay them down once as Parquet.

    The steps are, in this order: filter, split, sample, limit. Reading streams: neither the source nor the items
    are ever in memory as a whole (a JSON file with `records`, and Python objects that are there already, excepted).

    Args:
        spec: The description, or what stands for it in a file.
        base_dir: Where relative paths start; the working directory when omitted.
        cache_dir: Folder for the Parquet file, which is named by its content and used again when it is there. A
            temporary folder when omitted, deleted with the data set.
        data: Rows from Python instead of the spec's source: a DataFrame, an iterable of dicts, a function that
            returns one, a path, or a data set that is open already (given back as it is).
        recorded: Dotted paths of answers already collected, for `Item.recorded`.

    Raises:
        DatasetError: With the file, row, field, value and the way out.

    Examples:
        >>> rows = [{"question": "2 + 2?", "answer": 4}, {"question": "3 + 3?", "answer": 6}]
        >>> dataset = open_dataset({"rows": rows, "expected": "answer"})
        >>> len(dataset), dataset.input_names, [item.expected for item in dataset]
        (2, ('question',), [4, 6])
    """
    spec = _validated(spec)
    base_dir = Path.cwd() if base_dir is None else base_dir
    if isinstance(data, Dataset):
        extra = sorted(spec.model_fields_set - {"path", "bundled", "rows", "python"})
        if extra:
            fix = "give the fields when the data set is opened"
            raise failure(f"`{extra[0]}` cannot be applied to a data set that is open already", fix)
        return data
    spec, source, card = find_source(spec, base_dir=base_dir, data=data)
    temporary = Path(tempfile.mkdtemp(prefix="bakeoff-")) if cache_dir is None else None
    folder = cache_dir if temporary is None else temporary
    assert folder is not None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        final = _lay_down(spec, source, folder, recorded)
        found = read_dataset(final)
    except BaseException as error:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError):
            message = f"the folder {str(folder)!r} cannot be written: {error.strerror or error}"
            raise failure(message, "choose another folder, or make room") from None
        raise
    dataset = dataclasses.replace(found, name=source.name, card=card)
    if temporary is not None:
        weakref.finalize(dataset, shutil.rmtree, temporary, ignore_errors=True)
    return dataset


def _validated(spec: DatasetSpec | str | Mapping[str, Any]) -> DatasetSpec:
    if isinstance(spec, DatasetSpec):
        return spec
    try:
        return DatasetSpec.model_validate(spec)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise failure(f"dataset{f'.{place}' if place else ''}: {message}", "see docs/datasets.md") from None


def _lay_down(spec: DatasetSpec, source: Source, cache_dir: Path, recorded: Sequence[str]) -> Path:
    draft = _draft_path(cache_dir)
    chosen = _draft_path(cache_dir)
    try:
        version, written = _Pass(spec, source, recorded).write(draft, chosen)
        final = cache_dir / f"{version}.parquet"
        if not _is_whole(final):
            # Atomic: a reader sees the whole file or none, and two writers of the same content do no harm.
            written.replace(final)
        return final
    finally:
        for path in (draft, chosen):
            path.unlink(missing_ok=True)


def _is_whole(path: Path) -> bool:
    """Whether the file is there and was written by this version of Bakeoff."""
    if not path.exists():
        return False
    with contextlib.suppress(DatasetError):
        read_dataset(path)
        return True
    return False


def _draft_path(folder: Path) -> Path:
    handle, name = tempfile.mkstemp(prefix=".items-", suffix=".tmp", dir=folder)
    os.close(handle)
    return Path(name)


class _Pass:
    """One way through the source, and a second through what was kept where the choice needs to know all."""

    def __init__(self, spec: DatasetSpec, source: Source, recorded: Sequence[str]) -> None:
        self.spec = spec
        self.source = source
        self.filter = Filter(spec.filter, source.label) if spec.filter is not None else None
        self.splitter = Splitter(spec.split, spec.seed, source.label) if spec.split is not None else None
        self.mapper = Mapper(spec, list(dict.fromkeys(recorded)), source.label)
        self.late = self.filter is not None or spec.sample is not None
        self.rows = 0
        self.errors: dict[int, DatasetError] = {}
        """Rows that cannot be mapped, by their place in the draft: wrong only if the filter keeps them."""

    def write(self, draft: Path, chosen: Path) -> tuple[str, Path]:
        """Write the items; return their version and which of the two files holds them."""
        writer = ItemWriter(draft, extra=len(self.filter.paths) if self.filter is not None else 0)
        try:
            limit = None if self.late else self.spec.limit
            for item, names, extra in self._mapped():
                writer.add(item, names, extra)
                if writer.count == limit:
                    break
            version = writer.finish()
        except BaseException:
            writer.abandon()
            raise
        if not self.rows:
            raise failure(f"{self.source.label} has no rows", "put at least one row into it")
        if self.late:
            kept = self._kept(draft, writer)
            writer, version = self._copy(draft, chosen, kept)
            draft = chosen
        if not writer.count:
            raise failure(f"{self.source.label}: no item is left of {self.rows:,} rows", self._why_empty())
        self.mapper.finish(self.rows)
        _check_duplicates(draft, writer.ids, self.source.label)
        if self.spec.weight is not None:
            _check_weights(draft, self.spec.weight, self.source.label)
        return version, draft

    def _mapped(self) -> Iterator[tuple[Encoded, frozenset[str] | None, tuple[str | None, ...]]]:
        label = self.source.label
        place = 0
        last: frozenset[str] = frozenset()
        for row in self.source.rows:
            self.rows += 1
            if self.splitter is not None and not self.splitter.row_in(row):
                continue
            extra = self.filter.values(row) if self.filter is not None else ()
            try:
                mapped = self.mapper.map(row)
                encoded = encode(mapped, row, label)
            except DatasetError as error:
                if self.filter is None:
                    raise
                self.errors[place] = error
                mapped, encoded = _PLACEHOLDER, encode(_PLACEHOLDER, row, label)
            if self.splitter is not None and not self.splitter.item_in(mapped):
                continue
            names = mapped.inputs.keys()
            if names != last:
                last = frozenset(names)
            yield encoded, last, extra
            place += 1

    def _kept(self, draft: Path, writer: ItemWriter) -> npt.NDArray[np.int64]:
        """Return the places in the draft of the items that filter, sample and limit leave, in order."""
        import numpy as np

        places = np.arange(writer.count) if self.filter is None else self.filter.places(draft)
        broken = next((place for place in self.errors if place in set(places.tolist())), None) if self.errors else None
        if broken is not None:
            raise self.errors[broken]
        wanted = threshold(self.spec, len(places))
        if wanted is not None:
            keys = _sample_keys(draft, self.spec.seed)[places]
            places = np.sort(places[np.argsort(keys, kind="stable")[:wanted]])
        return places[: self.spec.limit]

    def _copy(self, draft: Path, chosen: Path, kept: npt.NDArray[np.int64]) -> tuple[ItemWriter, str]:
        """Write the items at the places that are kept."""
        writer = ItemWriter(chosen)
        try:
            start = 0
            for columns in read_rows(draft, COLUMNS):
                end = start + len(columns[0])
                inside = kept[kept.searchsorted(start) : kept.searchsorted(end)] - start
                for place in inside.tolist():
                    id_, inputs, expected, metadata, cluster, weight, recorded, row = (one[place] for one in columns)
                    item = (id_, inputs, expected, metadata, cluster, weight, recorded, row)
                    writer.add(item, input_names(inputs))
                start = end
            return writer, writer.finish()
        except BaseException:
            writer.abandon()
            raise

    def _why_empty(self) -> str:
        if self.splitter is not None and not self.filter:
            return f"change `split`; {self.splitter.why_empty()}"
        return f"loosen the filter {self.spec.filter!r}" if self.filter is not None else "loosen the selection"


def input_names(text: str) -> frozenset[str]:
    """Return the names of the inputs in their JSON."""
    return frozenset(json.loads(text))


def _sample_keys(draft: Path, seed: int) -> npt.NDArray[np.int64]:
    import numpy as np

    ids = (identity for (group,) in read_rows(draft, ["id"]) for identity in group)
    return np.fromiter((draw("sample", seed, identity) for identity in ids), dtype=np.int64)


def _check_weights(path: Path, field: str, label: str) -> None:
    """Refuse weights that are 0 for every item: then no mean exists. An item without one weighs 1."""
    import pyarrow.parquet as pq

    weights = pq.read_table(path, columns=["weight"]).column("weight")
    if not weights.null_count and not weights.to_numpy().any():
        message = f"{label}: the weight {field!r} is 0 for all {len(weights):,} items, so no item counts"
        raise failure(message, "give at least one item a weight above 0, or leave `weight` out")


def _check_duplicates(path: Path, hashes: array.array[int], label: str) -> None:
    """Look for equal hashes first; only then at the ids themselves."""
    import numpy as np

    values, counts = np.unique(np.frombuffer(hashes, dtype=np.int64), return_counts=True)
    suspects = set(values[counts > 1].tolist())
    if not suspects:
        return
    seen: dict[str, int] = {}
    for ids, rows in read_rows(path, ["id", "row"]):
        for identity, row in zip(ids, rows, strict=True):
            if identity in seen:
                message = f"{label}: the id {identity!r} is in row {seen[identity]} and in row {row}"
                raise failure(message, "make ids unique, or name another field in `id:`")
            if hash(identity) in suspects:
                seen[identity] = row
