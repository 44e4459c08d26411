"""Typed tables as streams of rows: Parquet, Excel, DataFrames."""

from __future__ import annotations

import itertools
import warnings
import zipfile
from typing import TYPE_CHECKING, Any

from bakeoff.datasets._source import Row
from bakeoff.datasets._values import failure, near, plain, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import pyarrow as pa

    from bakeoff.datasets._spec import DatasetSpec

__all__ = ["read_frame", "read_parquet", "read_xlsx"]

_BATCH = 1024


def read_parquet(path: Path, spec: DatasetSpec, label: str) -> Iterator[Row]:
    """Yield the rows of a Parquet file, a batch at a time.

    Raises:
        DatasetError: It is not a Parquet file.
    """
    del spec
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.stat().st_size:
        raise failure(f"{label} is empty", "put at least one row into it")
    try:
        with pq.ParquetFile(path) as file:
            yield from _batches(file.iter_batches(batch_size=_BATCH), label)
    except (pa.ArrowException, OSError) as error:
        raise failure(f"{label} is not a readable Parquet file: {error}", "write it again") from None


def _batches(batches: Iterable[pa.RecordBatch], label: str) -> Iterator[Row]:
    number = 0
    for batch in batches:
        names = batch.schema.names
        _check_names(names, label)
        columns = [_plain_column(column) for column in batch.columns]
        for values in zip(*columns, strict=True):
            number += 1
            yield Row(number, dict(zip(names, values, strict=True)))


def _plain_column(column: pa.Array[Any]) -> list[Any]:
    import pyarrow.types as kinds

    values = column.to_pylist()
    kind = column.type
    if kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_integer(kind) or kinds.is_boolean(kind):
        return values
    return [plain(value) for value in values]


def _check_names(names: list[str], label: str) -> None:
    twice = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if twice is not None:
        raise failure(f"{label} has two columns {twice!r}", "rename one of them")


def read_xlsx(path: Path, spec: DatasetSpec, label: str) -> Iterator[Row]:
    """Yield the rows of an Excel sheet whose first row is the header.

    Raises:
        DatasetError: It is not an Excel file, or there is no such sheet.
    """
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about styles and validation, which we do not use
            book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (InvalidFileException, zipfile.BadZipFile, KeyError, OSError, ValueError) as error:
        raise failure(f"{label} is not a readable Excel file: {error}", "save it as .xlsx, or as .csv") from None
    try:
        if spec.sheet is not None and spec.sheet not in book.sheetnames:
            fix = near(spec.sheet, book.sheetnames, f"the sheets are {shown(book.sheetnames)}")
            raise failure(f"{label} has no sheet {spec.sheet!r}", fix)
        sheet = book[spec.sheet or book.sheetnames[0]]
        rows = sheet.iter_rows(values_only=True)
        yield from _sheet_rows(_with_values(rows, path, sheet.title, label) if _has_formulas(path) else rows, label)
    finally:
        book.close()


def _has_formulas(path: Path) -> bool:
    """Whether any sheet of a workbook holds a formula, found without parsing it."""
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.startswith("xl/worksheets/") and name.endswith(".xml"):
                with archive.open(name) as part:
                    end = b""
                    while chunk := part.read(1 << 20):
                        if b"<f>" in (seen := end + chunk) or b"<f " in seen:
                            return True
                        end = chunk[-2:]
    return False


def _with_values(rows: Iterable[tuple[Any, ...]], path: Path, sheet: str, label: str) -> Iterator[tuple[Any, ...]]:
    """Yield the rows, and refuse a formula whose value was never computed: it would read as an empty cell."""
    import openpyxl
    from openpyxl.utils import get_column_letter

    book = openpyxl.load_workbook(path, read_only=True, data_only=False)
    try:
        for line, (row, written) in enumerate(zip(rows, book[sheet].iter_rows(values_only=True), strict=False), 1):
            for place, (value, formula) in enumerate(zip(row, written, strict=False), 1):
                if value is None and formula is not None:
                    cell = f"{get_column_letter(place)}{line}"
                    raise failure(
                        f"{label}, cell {cell} holds a formula whose value was never computed: {str(formula)[:60]!r}",
                        "open the file in a spreadsheet and save it, or write the value",
                    )
            yield row
    finally:
        book.close()


def _sheet_rows(rows: Iterable[tuple[Any, ...]], label: str) -> Iterator[Row]:
    filled = ((line, row) for line, row in enumerate(rows, 1) if any(cell is not None for cell in row))
    first = next(filled, None)
    if first is None:
        raise failure(f"{label} is empty", "put a header and at least one row into it")
    width = max(index for index, cell in enumerate(first[1], 1) if cell is not None)
    names = [f"column_{index}" if cell is None else str(cell).strip() for index, cell in enumerate(first[1][:width], 1)]
    _check_names(names, label)
    for number, (line, row) in enumerate(filled, 1):
        extra = next((index for index, cell in enumerate(row[width:], width + 1) if cell is not None), None)
        if extra is not None:
            raise failure(f"{label}, row {line}: column {extra} has a value but no header", "name the column")
        cells = itertools.chain(row[:width], itertools.repeat(None, max(width - len(row), 0)))
        yield Row(number, {name: plain(cell) for name, cell in zip(names, cells, strict=True)}, line)


def read_frame(frame: Any, label: str) -> Iterator[Row]:
    """Yield the rows of a pandas or Polars DataFrame, or of an Arrow table, a slice at a time.

    Raises:
        DatasetError: Two columns have the same name.
    """
    if hasattr(frame, "to_batches"):
        yield from _batches(frame.to_batches(max_chunksize=_BATCH), label)
        return
    if not hasattr(frame, "iloc"):
        if not hasattr(frame, "iter_rows"):
            raise failure(f"{label}: {type(frame).__name__} is not a DataFrame", "pass a list of dicts")
        for number, row in enumerate(frame.iter_rows(named=True), 1):
            yield Row(number, plain(row))
        return
    names = [str(name) for name in frame.columns]
    _check_names(names, label)
    for start in range(0, len(frame), _BATCH):
        part = frame.iloc[start : start + _BATCH]
        columns = [[plain(value) for value in part.iloc[:, index].tolist()] for index in range(len(names))]
        for offset, values in enumerate(zip(*columns, strict=True)):
            yield Row(start + offset + 1, dict(zip(names, values, strict=True)))
