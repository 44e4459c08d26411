"""Find the rows that a description names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from bakeoff._user_code import find_function
from bakeoff.datasets._bundled import find_bundled
from bakeoff.datasets._source import Row, Source
from bakeoff.datasets._spec import DatasetSpec
from bakeoff.datasets._tables import read_frame, read_parquet, read_xlsx
from bakeoff.datasets._text import READERS
from bakeoff.datasets._values import failure, near, plain
from bakeoff.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["find_source"]

_FORMATS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
}
_READERS = {**READERS, "parquet": read_parquet, "xlsx": read_xlsx}
_TEXT = frozenset(READERS)
_NOT_ROWS = (str, bytes, dict)


def find_source(spec: DatasetSpec, *, base_dir: Path, data: object = None) -> tuple[DatasetSpec, Source, str | None]:
    """Return the description (completed for bundled data sets), the stream of rows, and the data card.

    Raises:
        DatasetError: The source is not there, or of a kind that is not known.
    """
    if isinstance(data, str | Path):
        data_spec = DatasetSpec.model_validate(str(data))
        spec = spec.model_copy(
            update={"path": data_spec.path, "bundled": data_spec.bundled, "rows": None, "python": None}
        )
        data = None
    if data is not None:
        return spec, _from_python(data, getattr(data, "__name__", "data"), "the data"), None
    if spec.bundled is not None:
        path, mapping, card = find_bundled(spec.bundled)
        given = spec.model_dump(exclude_unset=True)
        spec = DatasetSpec.model_validate({**mapping, **given})
        label = f"bundled:{spec.bundled}"
        return spec, Source(spec.bundled or "", label, READERS["jsonl"](path, spec, label)), card
    if spec.rows is not None:
        return spec, Source("rows", "`rows`", _numbered(spec.rows, "`rows`")), None
    if spec.python is not None:
        reference = spec.python
        function = find_function(reference, base_dir=base_dir, error=DatasetError, what="data", anew=True)
        return spec, _from_python(function, reference.rpartition(":")[2], repr(reference)), None
    if spec.path is not None:
        return spec, _from_file(spec, base_dir), None
    raise failure("`dataset:` names no data", "write one of `path`, `bundled`, `rows`, `python`")


def _from_file(spec: DatasetSpec, base_dir: Path) -> Source:
    given = spec.path or ""
    path = base_dir / Path(given).expanduser()
    label = repr(given)
    _check_file(path, given)
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = suffixes[-1:] == [".gz"]
    suffix = "".join(suffixes[-2:-1] if packed else suffixes[-1:])
    kind = spec.format or _FORMATS.get(suffix)
    if kind is None:
        fix = "name the `format:`, one of " + ", ".join(dict.fromkeys(_FORMATS.values()))
        raise failure(f"{label} has an unknown extension {suffix!r}", near(suffix, _FORMATS, fix) if suffix else fix)
    if packed and kind not in _TEXT:
        raise failure(f"{label}: {kind} files cannot be read through gzip", "unpack it first")
    name = path.name.removesuffix(".gz") if packed else path.name
    return Source(Path(name).stem or name, label, _READERS[kind](path, spec, label))


def _check_file(path: Path, given: str) -> None:
    try:
        if path.is_file():
            return
        if path.is_dir():
            files = sorted(entry.name for entry in path.iterdir() if entry.suffix.lower() in _FORMATS)
            fix = f"for instance {str(Path(given) / files[0])!r}" if files else "there is no data file in it"
            raise failure(f"{given!r} is a folder, not a file", f"name a file: {fix}")
        folder = path.parent
        names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    except (OSError, ValueError) as error:
        raise failure(f"{given!r} cannot be read: {error}", "look at the path and its rights") from None
    if not folder.is_dir():
        raise failure(f"there is no file {given!r}: the folder {str(folder)!r} does not exist", "correct the path")
    fix = near(path.name, names, "paths start at the folder of the experiment file")
    raise failure(f"there is no file {given!r} in {str(folder)!r}", fix)


def _from_python(data: object, name: str, label: str) -> Source:
    return Source(name, label, _python_rows(data, label))


def _python_rows(data: object, label: str) -> Iterator[Row]:
    if callable(data) and not hasattr(data, "columns"):
        data = _guarded(data, label)
    if hasattr(data, "columns") or hasattr(data, "to_batches"):
        yield from read_frame(data, label)
        return
    if isinstance(data, _NOT_ROWS) or not hasattr(data, "__iter__"):
        message = f"{label}: rows are a DataFrame or an iterable of dicts, not {type(data).__name__}"
        raise failure(message, 'for instance [{"question": "...", "expected": "..."}]')
    yield from _numbered(_iterated(cast("Iterable[object]", data), label), label)


def _guarded(function: Callable[[], object], label: str) -> object:
    try:
        return function()
    except Exception as error:
        raise failure(f"{label} failed: {type(error).__name__}: {error}", "call it yourself to see where") from error


def _iterated(rows: Iterable[object], label: str) -> Iterator[object]:
    iterator = iter(rows)
    number = 0
    while True:
        number += 1
        try:
            row = next(iterator)
        except StopIteration:
            return
        except Exception as error:
            message = f"{label} failed at row {number}: {type(error).__name__}: {error}"
            raise failure(message, "call it yourself to see where") from error
        yield row


def _numbered(rows: Iterable[object], label: str) -> Iterator[Row]:
    for number, row in enumerate(rows, 1):
        try:
            data = plain(dict(row) if isinstance(row, Mapping) else row)
        except RecursionError:
            raise failure(f"{label}, row {number} nests too deeply", "flatten it") from None
        if not isinstance(data, dict):
            message = f"{label}, row {number} is {type(row).__name__} {str(row)[:60]!r}, not a dict"
            raise failure(message, 'write rows as {"question": ...}')
        yield Row(number, data)
