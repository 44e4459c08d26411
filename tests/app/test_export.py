from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from bakeoff.app._export import export_bytes
from bakeoff.errors import SpecError
from tests.app.support import hostile, recorded


def test_every_download_is_what_it_says(tmp_path: Path) -> None:
    result = recorded(tmp_path, n=12)
    assert export_bytes(result.store, result.run_id, ".html").startswith(b"<!doctype html>")
    trials = list(csv.DictReader(io.StringIO(export_bytes(result.store, result.run_id, ".csv").decode())))
    assert len(trials) == 24
    rows = list(csv.DictReader(io.StringIO(export_bytes(result.store, result.run_id, "comparisons.csv").decode())))
    (row,) = [row for row in rows if row["metric"] == "correct"]
    comparison = result.analysis.metric("correct").comparisons[0]
    assert float(row["difference"]) == comparison.difference.estimate
    assert row["verdict"] == comparison.label
    board = list(csv.DictReader(io.StringIO(export_bytes(result.store, result.run_id, "leaderboard.csv").decode())))
    assert {row["variant"] for row in board} == {"old", "new"}
    with pytest.raises(SpecError, match="suffix"):
        export_bytes(result.store, result.run_id, ".exe")


def test_hostile_names_survive_the_download(tmp_path: Path) -> None:
    result = hostile(tmp_path)
    for suffix in (".html", ".csv", ".jsonl", ".xlsx", "comparisons.csv", "leaderboard.csv"):
        assert export_bytes(result.store, result.run_id, suffix)
