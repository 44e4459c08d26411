"""Warnings about a run, from files in which what they warn of really is so."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

import bakeoff
from bakeoff.experiments import analyse
from tests.app.support import recorded


def _rewrite(result: bakeoff.RunResult, change: dict[str, list[object]]) -> None:
    path = result.store.run_paths(result.run_id).scores
    table = pq.read_table(path)
    for name, values in change.items():
        place = table.column_names.index(name)
        table = table.set_column(place, name, pa.array(values, type=table.schema.field(name).type))
    pq.write_table(table, path)


def test_scores_of_two_versions_of_an_evaluator(tmp_path: Path) -> None:
    result = recorded(tmp_path)
    assert not any("versions" in note for note in analyse(result.store, result.run_id).warnings)
    rows = pq.read_table(result.store.run_paths(result.run_id).scores).to_pylist()
    versions = ["older" if row["metric"] == "correct" and row["item"] < 9 else row["version"] for row in rows]
    _rewrite(result, {"version": versions})
    (note,) = [note for note in analyse(result.store, result.run_id).warnings if "versions" in note]
    assert note.startswith("The scores of correct come from 2 versions")
    assert "older" in note


def test_one_variant_lacks_more_scores_than_the_other(tmp_path: Path) -> None:
    result = recorded(tmp_path)
    rows = pq.read_table(result.store.run_paths(result.run_id).scores).to_pylist()

    def lost(row: dict[str, object], unequal: bool) -> bool:
        wanted = row["variant"] == "new" if unequal else True
        return row["metric"] == "correct" and wanted and int(str(row["item"])) < 20

    for unequal in (False, True):
        _rewrite(result, {"value": [None if lost(row, unequal) else row["value"] for row in rows],
                          "type": [None if lost(row, unequal) else row["type"] for row in rows]})  # fmt: skip
        notes = [note for note in analyse(result.store, result.run_id).warnings if "no score for correct" in note]
        assert len(notes) == 1
        assert ("at different rates" in notes[0]) is unequal
