"""Download a run in the formats other tools read."""

from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from bakeoff.app._text import defused
from bakeoff.experiments import analyse
from bakeoff.reports import comparison_frame, export_run, leaderboard_frame, write_report

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from bakeoff.experiments import LocalStore, Manifest

__all__ = ["export_bytes", "export_menu"]

_KINDS = {
    "comparisons.csv": ("Comparisons as CSV", "text/csv", ":material/compare_arrows:"),
    "leaderboard.csv": ("Leaderboard as CSV", "text/csv", ":material/leaderboard:"),
    ".html": ("Report", "text/html", ":material/description:"),
    ".csv": ("Trials as CSV", "text/csv", ":material/table:"),
    ".xlsx": (
        "Trials as Excel",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        ":material/table:",
    ),
    ".parquet": ("Trials as Parquet", "application/octet-stream", ":material/database:"),
    ".jsonl": ("Trials as JSON lines", "application/jsonl", ":material/data_object:"),
}


def export_bytes(store: LocalStore, run_id: str, suffix: str) -> bytes:
    """Return a run as a file.

    Args:
        store: Where the run is.
        run_id: The run.
        suffix: `.html` for the report, `comparisons.csv`, `leaderboard.csv`, or that of the trials with their scores.

    Raises:
        SpecError: The format is not known, or the run does not fit into it.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"export{suffix}"
        if suffix in _FRAMES:
            return _frame_csv(_FRAMES[suffix](analyse(store, run_id)))
        if suffix == ".html":
            return write_report(store, run_id, path).read_bytes()
        return export_run(store, run_id, path).read_bytes()


_FRAMES = {"comparisons.csv": comparison_frame, "leaderboard.csv": leaderboard_frame}


def _frame_csv(frame: pd.DataFrame) -> bytes:
    sink = io.StringIO()
    writer = csv.writer(sink)
    frame = frame.reset_index() if frame.index.name else frame
    writer.writerow([defused(str(name)) for name in frame.columns])  # one is the metric's, which a user named
    writer.writerows(
        ["" if value != value else defused(value) for value in row] for row in frame.itertuples(index=False)
    )
    return sink.getvalue().encode(errors="replace")


def export_menu(store: LocalStore, manifest: Manifest) -> None:
    """Show the downloads of a run; a file is made when it is asked for."""
    with st.popover("Export", icon=":material/download:", width="stretch"):
        for suffix, (label, mime, icon) in _KINDS.items():
            name = f"{manifest.run_id}{'' if suffix.startswith('.') else '-'}{suffix}"
            st.download_button(
                label, data=_later(store, manifest.run_id, suffix), file_name=name, mime=mime, icon=icon,
                on_click="ignore", type="tertiary", key=f"export_{suffix}",
            )  # fmt: skip


def _later(store: LocalStore, run_id: str, suffix: str) -> Callable[[], bytes]:
    return lambda: export_bytes(store, run_id, suffix)
