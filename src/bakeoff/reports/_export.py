"""Export trials with their scores to the formats that other tools read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bakeoff.errors import SpecError, StoreError
from bakeoff.reports._frames import trial_frame

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd

    from bakeoff.experiments import LocalStore

__all__ = ["EXPORT_FORMATS", "export_run"]

EXPORT_FORMATS = (".csv", ".parquet", ".json", ".jsonl", ".xlsx")
_XLSX_CELL = 32_767
_XLSX_ROWS = 1_048_575
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def export_run(store: LocalStore, run_id: str, path: Path, *, on_note: Callable[[str], None] | None = None) -> Path:
    """Write one row for each trial, with a column for each metric.

    Text that a spreadsheet would run as a formula gets a leading apostrophe in .csv and .xlsx. Excel holds 32,767
    characters in a cell: longer text is cut in .xlsx, and the cell says so at its end.

    Args:
        store: Where the run is.
        run_id: Id of the run.
        path: File to write; its folder is made when it is not there.
        on_note: Told what the reader of the file should know: a folder that was made, cells that were cut.

    Raises:
        SpecError: The suffix is not one of `EXPORT_FORMATS`, or the run does not fit into the format.
        StoreError: The file cannot be written.
    """
    tell = on_note if on_note is not None else _ignore
    if path.suffix.lower() not in EXPORT_FORMATS:
        raise SpecError(f"cannot export to {path.name!r}: the suffix must be one of {', '.join(EXPORT_FORMATS)}")
    folder = path.parent
    if folder.suffix.lower() in EXPORT_FORMATS and not folder.exists():
        raise SpecError(
            f"cannot export to {str(path)!r}: {folder.name!r} would be a folder, and looks like a file"
            f"\n    fix: name one file, for instance {str(folder)!r}"
        )
    frame = trial_frame(store, run_id)
    try:
        if not folder.exists():
            folder.mkdir(parents=True, exist_ok=True)
            tell(f"made the folder {str(folder)!r}")
        if frame.empty:
            tell("no trial of the run has ended: there are no rows")
        _write(frame, path, tell)
    except OSError as error:
        raise StoreError(f"{str(path)!r} cannot be written: {error.strerror or error}") from error
    return path


def _ignore(note: str) -> None: ...


def _write(frame: pd.DataFrame, path: Path, tell: Callable[[str], None]) -> None:
    suffix = path.suffix.lower()
    if suffix == ".csv":
        _defused(frame).to_csv(path, index=False)
    elif suffix == ".parquet":
        frame.to_parquet(path, index=False)
    elif suffix == ".xlsx":
        if len(frame) > _XLSX_ROWS:
            raise SpecError(f"{len(frame)} trials do not fit into one Excel sheet; export to .csv or .parquet")
        cut = _to_xlsx(_defused(frame), path)
        if cut:
            tell(
                f"{cut:,} cell{'s' if cut > 1 else ''} cut at {_XLSX_CELL:,} characters, the most that Excel holds; "
                "each says so at its end, and .csv, .parquet and .jsonl keep them whole"
            )
    elif suffix == ".jsonl" and frame.empty:
        path.write_text("")  # pandas would write a blank line, which is no JSON
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


def _to_xlsx(frame: pd.DataFrame, path: Path) -> int:
    """Write one sheet, and return how many cells were cut."""
    from openpyxl import Workbook
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    book = Workbook(write_only=True)
    sheet = book.create_sheet("trials")
    sheet.append(list(frame.columns))
    n_cut = 0
    for row in frame.itertuples(index=False):
        cells: list[object] = []
        for value in row:
            if isinstance(value, str):
                text = ILLEGAL_CHARACTERS_RE.sub("", value)
                n_cut += len(text) > _XLSX_CELL
                cells.append(_fitted(text))
            else:
                cells.append(None if value != value else value)
        sheet.append(cells)
    book.save(path)
    return n_cut


def _fitted(text: str) -> str:
    """Cut text to what a cell holds, and say so in the cell."""
    if len(text) <= _XLSX_CELL:
        return text
    mark = f" ... [cut by the limit of Excel: {len(text):,} characters in all]"
    return text[: _XLSX_CELL - len(mark)] + mark
