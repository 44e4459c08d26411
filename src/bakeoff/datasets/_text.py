"""Text formats as streams of rows: JSON Lines, JSON, CSV, TSV; each also gzipped."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import re
import zlib
from typing import IO, TYPE_CHECKING, Any, cast

import orjson

from bakeoff.datasets._source import Row
from bakeoff.datasets._values import MISSING, failure, look_up, near, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bakeoff.datasets._spec import DatasetSpec
    from bakeoff.errors import DatasetError

__all__ = ["read_csv", "read_json", "read_jsonl"]

_CHUNK = 1 << 20
# orjson turns integers beyond 64 bits into floats; the standard library keeps them.
_LONG_NUMBER = re.compile(rb"\d{19}")
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_MAX_CELL = 1 << 30


def _open(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path, "rb")) if path.suffix.lower() == ".gz" else path.open("rb")


def _encoding(path: Path, spec: DatasetSpec, label: str) -> str:
    """Return the encoding; a byte order mark wins over the default."""
    try:
        codecs.lookup(spec.encoding)
    except LookupError:
        raise failure(f"{label}: unknown encoding {spec.encoding!r}", "for instance utf-8, latin-1, cp1252") from None
    with _reading(path, spec.encoding, label), _open(path) as file:
        head = file.read(4)
    if not head:
        raise failure(f"{label} is empty", "put at least one row into it")
    marked = next((name for mark, name in _BOMS if head.startswith(mark)), None)
    return marked if marked is not None and "encoding" not in spec.model_fields_set else spec.encoding


class _reading:  # noqa: N801 - a context manager reads as a verb
    """Turns the errors of reading a text file into ours."""

    def __init__(self, path: Path, encoding: str, label: str) -> None:
        self._path, self._encoding, self._label = path, encoding, label

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, UnicodeError):
            raise _bad_bytes(self._path, self._encoding, self._label) from None
        if isinstance(error, gzip.BadGzipFile | EOFError | zlib.error):
            fix = "compress it again, or drop the .gz from its name"
            raise failure(f"{self._label} is not a whole gzip file: {error}", fix) from None
        if isinstance(error, OSError):
            raise failure(f"{self._label} cannot be read: {error.strerror or error}", "look at its rights") from None


def _bad_bytes(path: Path, encoding: str, label: str) -> DatasetError:
    """Find the first byte that is not in the encoding: offset in the file, and line."""
    offset, line = 0, 1
    decoder = codecs.getincrementaldecoder(encoding)()
    with _open(path) as file:
        while True:
            chunk = file.read(_CHUNK)
            pending = decoder.getstate()[0]
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                at = offset - len(pending) + error.start
                line += error.object[: error.start].count(b"\n")
                byte = error.object[error.start]
                fix = f"add `encoding: {'utf-8' if encoding.startswith('utf-16') else 'cp1252'}`, or save it as UTF-8"
                message = f"{label}, line {line}: byte {at:,} (0x{byte:02x}) is not {encoding.removesuffix('-sig')}"
                return failure(message, fix)
            except UnicodeError as error:
                return failure(f"{label} is not {encoding}: {error}", "name its `encoding:`")
            if not chunk:
                return failure(f"{label} is not {encoding}", "name its `encoding:`")
            offset += len(chunk)
            line += text.count("\n")


def read_jsonl(path: Path, spec: DatasetSpec, label: str) -> Iterator[Row]:
    """Yield the rows of a JSON Lines file.

    Raises:
        DatasetError: A line is not a JSON object, or not in the encoding.
    """
    encoding = _encoding(path, spec, label)
    utf8 = encoding in ("utf-8", "utf-8-sig", "utf8")
    number = 0
    with _reading(path, encoding, label), _open(path) as binary:
        lines: IO[bytes] | Iterator[bytes] = binary
        if not utf8:
            text = io.TextIOWrapper(binary, encoding=encoding, newline="\n")
            lines = (line.encode("utf-8", "surrogatepass") for line in text)
        for line_number, line in enumerate(lines, 1):
            if line_number == 1:
                line = line.removeprefix(codecs.BOM_UTF8)
            if not line.strip():
                continue
            data = _json_line(line, f"{label}, line {line_number}")
            number += 1
            yield Row(number, data, line_number)


def _json_line(line: bytes, where: str) -> dict[str, Any]:
    try:
        data = orjson.loads(line) if _LONG_NUMBER.search(line) is None else json.loads(line)
    except (ValueError, RecursionError):
        data = _tolerant(line, where)
    if not isinstance(data, dict):
        kind = {list: "a list", str: "a string", type(None): "null"}.get(type(data), f"a {type(data).__name__}")
        raise failure(f"{where} holds {kind}, not an object", 'write {"question": ...} on each line')
    return data


def _tolerant(line: bytes, where: str) -> Any:
    """Read what orjson does not: lone surrogates, NaN, floats that overflow; or say what is wrong."""
    text = line.rstrip(b"\r\n").decode("utf-8")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        snippet = text[max(error.pos - 20, 0) : error.pos + 20].strip()
        message = f"{where} is not JSON: {error.msg} at column {error.colno}, near {snippet!r}"
        raise failure(message, "write one JSON object on each line") from None
    except RecursionError:
        raise failure(f"{where} nests too deeply", "flatten it") from None
    except ValueError as error:  # an integer of more than 4,300 digits
        raise failure(f"{where} cannot be read: {error}", "write the number as a string") from None


def read_json(path: Path, spec: DatasetSpec, label: str) -> Iterator[Row]:
    """Yield the rows of a JSON file: a list at the top (streamed), or the list at `records`.

    Raises:
        DatasetError: The file is not JSON, or holds no list of objects there.
    """
    encoding = _encoding(path, spec, label)
    with _reading(path, encoding, label), _open(path) as binary:
        text = io.TextIOWrapper(binary, encoding="utf-8-sig" if encoding == "utf-8" else encoding)
        if spec.records is None:
            head = text.read(_CHUNK).lstrip()
            if head.startswith("["):
                yield from _numbered(_elements(text, head[1:], label), label)
                return
            whole = head + text.read()
        else:
            whole = text.read()
        yield from _numbered(iter(_records(_document(whole, label), spec.records, label)), label)


def _numbered(elements: Iterator[Any], label: str) -> Iterator[Row]:
    for number, element in enumerate(elements, 1):
        if not isinstance(element, dict):
            message = f"{label}, row {number} is {type(element).__name__} {str(element)[:60]!r}, not an object"
            raise failure(message, 'write rows as {"question": ...}')
        yield Row(number, element)


def _document(text: str, label: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            raise failure(f"{label} holds several JSON values", "if it has one on each line: `format: jsonl`") from None
        raise failure(f"{label}, line {error.lineno} is not JSON: {error.msg}", "correct the file") from None
    except RecursionError:
        raise failure(f"{label} nests too deeply", "flatten it") from None


def _records(document: Any, path: str | None, label: str) -> list[Any]:
    if path is None and isinstance(document, list):
        return document
    lists = _lists_in(document)
    if path is None:
        fix = f"for instance `records: {lists[0]}`" if lists else "write a list of objects"
        raise failure(f"{label} holds {type(document).__name__}, not a list of rows", fix)
    found = look_up(document, path) if isinstance(document, dict) else MISSING
    if not isinstance(found, list):
        fix = near(path, lists, f"the lists in it are {shown(lists)}" if lists else "there is no list in it")
        raise failure(f"{label} has no list of rows at {path!r}", fix)
    return found


def _lists_in(document: Any, prefix: str = "", depth: int = 3) -> list[str]:
    if not isinstance(document, dict) or depth == 0:
        return []
    paths = [f"{prefix}{key}" for key, value in document.items() if isinstance(value, list)]
    for key, value in document.items():
        paths += _lists_in(value, f"{prefix}{key}.", depth - 1)
    return paths


def _elements(text: IO[str], buffer: str, label: str) -> Iterator[Any]:
    """Yield the elements of a JSON list whose `[` has been read, holding only a part of the file."""
    decoder = json.JSONDecoder()
    position, size, done, first = 0, _CHUNK, False, True
    while True:
        position = _skip(buffer, position)
        more = _more_needed(buffer, position, first)
        if more is None:
            rest = buffer[position + 1 :] + text.read(_CHUNK)
            if rest.strip():
                raise failure(f"{label} has text after the end of the list", "remove it")
            return
        if not more:
            start = position if first else _skip(buffer, position + 1)
            try:
                element, end = decoder.raw_decode(buffer, start)
            except json.JSONDecodeError as error:
                if done:
                    before = buffer[max(error.pos - 40, 0) : error.pos]
                    message = f"{label} is not JSON: {error.msg} after {before!r}"
                    raise failure(message, "correct the file") from None
            except RecursionError:
                raise failure(f"{label} nests too deeply", "flatten it") from None
            else:
                # A number at the end of the buffer may go on in the next chunk.
                if done or end < len(buffer):
                    yield element
                    position, first, size = end, False, _CHUNK
                    continue
        elif done:
            found = buffer[position : position + 20]
            message = f"{label} is not JSON: expected ',' or ']', found {found or 'the end of the file'!r}"
            raise failure(message, "correct the file")
        chunk = text.read(size)
        size *= 2  # so that one huge row is not tried again for each megabyte
        done = not chunk
        buffer, position = buffer[position:] + chunk, 0


def _skip(buffer: str, position: int) -> int:
    while position < len(buffer) and buffer[position] in " \t\r\n":
        position += 1
    return position


def _more_needed(buffer: str, position: int, first: bool) -> bool | None:
    """Whether more text is needed before the next element can be tried; `None` at the end of the list."""
    if position >= len(buffer):
        return True
    if buffer[position] == "]":
        return None
    return not first and buffer[position] != ","


def read_csv(path: Path, spec: DatasetSpec, label: str, *, delimiter: str) -> Iterator[Row]:
    """Yield the rows of a CSV file; every value is text, exactly as it stands there.

    Raises:
        DatasetError: A row has more or fewer cells than the header, the header is unclear, or a quote is wrong.
    """
    encoding = _encoding(path, spec, label)
    if csv.field_size_limit() < _MAX_CELL:
        csv.field_size_limit(_MAX_CELL)
    with _reading(path, encoding, label), _open(path) as binary:
        text = io.TextIOWrapper(binary, encoding="utf-8-sig" if encoding == "utf-8" else encoding, newline="")
        reader = csv.reader(text, delimiter=spec.delimiter or delimiter, strict=True)
        rows = _csv_rows(reader, label)
        first = next(rows, None)
        if first is None:
            raise failure(f"{label} is empty", "put a header and at least one row into it")
        header = _header(first[1], label, guess=spec.delimiter is None)
        for number, (line, cells) in enumerate(rows, 1):
            if len(cells) != len(header):
                raise failure(
                    f"{label}, line {line} has {len(cells)} cells, but the header has {len(header)}",
                    'put cells that hold the delimiter or a line break into "quotes"',
                )
            yield Row(number, dict(zip(header, cells, strict=True)), line)


def _csv_rows(reader: Any, label: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line at which a row starts, and its cells; blank lines are left out."""
    start = 1
    try:
        for cells in reader:
            if cells:
                yield start, cells
            start = reader.line_num + 1
    except csv.Error as error:
        message = f"{label}, line {start}: {error}"
        raise failure(message, 'write a quote inside a quoted cell twice: "say ""yes"""') from None


def _header(cells: list[str], label: str, *, guess: bool) -> list[str]:
    if guess and len(cells) == 1:
        other = next((mark for mark in (";", "\t", "|", ",") if mark in cells[0]), None)
        if other is not None:
            name = "\\t" if other == "\t" else other
            message = f"{label}: the header is one cell, {cells[0][:80]!r}"
            raise failure(message, f'the cells seem to be separated otherwise: `delimiter: "{name}"`')
    names = [cell.strip() or f"column_{index}" for index, cell in enumerate(cells, 1)]
    for index, name in enumerate(names):
        if name in names[:index]:
            places = f"columns {names.index(name) + 1} and {index + 1}"
            raise failure(f"{label}: the header has {name!r} twice ({places})", "rename one of them")
    return names


READERS: dict[str, Callable[[Path, DatasetSpec, str], Iterator[Row]]] = {
    "jsonl": read_jsonl,
    "json": read_json,
    "csv": lambda path, spec, label: read_csv(path, spec, label, delimiter=","),
    "tsv": lambda path, spec, label: read_csv(path, spec, label, delimiter="\t"),
}
