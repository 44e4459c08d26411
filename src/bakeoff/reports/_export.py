"""Export trials with their scores to the formats that other tools read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bakeoff.errors import SpecError, StoreError
from bakeoff.reports._frames import trial_frame

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from bakeoff.experiments import LocalStore

__all__ = ["EXPORT_FORMATS", "export_run"]

EXPORT_FORMATS = (".csv", ".parquet", ".json", ".jsonl", ".xlsx")
_XLSX_CELL = 32_767
_XLSX_ROWS = 1_048_575
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def export_run(store: LocalStore, run_id: str, path: Path) -> Path:
    """Write one row for each trial, with a column for each metric.

    Text that a spreadsheet would run as a formula gets a leading apostrophe in .csv and .xlsx.

    Raises:
        SpecError: The suffix is not one of `EXPORT_FORMATS`, or the run does not fit into the format.
        StoreError: The file cannot be written.
    """
    if path.suffix.lower() not in EXPORT_FORMATS:
        raise SpecError(f"cannot export to {path.name!r}: the suffix must be one of {', '.join(EXPORT_FORMATS)}")
    frame = trial_frame(store, run_id)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(frame, path)
    except OSError as error:
        raise StoreError(f"{str(path)!r} cannot be written: {error.strerror or error}") from error
    return path


def _write(frame: pd.DataFrame, path: Path) -> None:
    suffix = path.suffix.lower()
    if suffix == ".csv":
        _defused(frame).to_csv(path, index=False)
    elif suffix == ".parquet":
        frame.to_parquet(path, index=False)
    elif suffix == ".xlsx":
        if len(frame) > _XLSX_ROWS:
            raise SpecError(f"{len(frame)} trials do not fit into one Excel sheet; export to .csv or .parquet")
        _to_xlsx(_defused(frame), path)
    else:
        frame.to_json(path, orient="records", lines=suffix == ".jsonl", force_ascii=False)


def _defused(frame: pd.DataFrame) -> pd.DataFrame:
    frame = frame.copy()
    for column in frame.columns:
        if frame[column].dtype.kind in "OUST" or str(frame[column].dtype) in ("str", "string"):
            frame[column] = frame[column].map(_defuse, na_action="ignore")
    return frame


def _defuse(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _to_xlsx(frame: pd.DataFrame, path: Path) -> None:
    from openpyxl import Workbook
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    book = Workbook(write_only=True)
    sheet = book.create_sheet("trials")
    sheet.append(list(frame.columns))
    for row in frame.itertuples(index=False):
        sheet.append(
            [
                ILLEGAL_CHARACTERS_RE.sub("", value)[:_XLSX_CELL]
                if isinstance(value, str)
                else None
                if value != value
                else value
                for value in row
            ]
        )
    book.save(path)
