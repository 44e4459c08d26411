"""Runs that this version cannot read: said, never silently gone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import bakeoff
from bakeoff.cli import main
from bakeoff.errors import StoreError
from bakeoff.experiments import open_store
from tests.app.support import recorded


@pytest.fixture
def result(tmp_path: Path) -> bakeoff.RunResult:
    return recorded(tmp_path / ".bakeoff", n=6)


def change(result: bakeoff.RunResult, **values: Any) -> None:
    path = result.store.run_paths(result.run_id).manifest
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    return int(caught.value.code or 0)


def test_a_newer_format_is_refused_by_name(
    result: bakeoff.RunResult, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")  # a narrow terminal breaks the name of a run
    other = recorded(tmp_path / ".bakeoff", n=6, name="other")
    change(result, format=2)
    store = open_store(tmp_path / ".bakeoff")
    with pytest.raises(StoreError, match=r"newer Bakeoff: its format is 2, this one reads up to 1"):
        store.manifest(result.run_id)
    assert [m.run_id for m in store.runs()] == [other.run_id]
    (told,) = store.unreadable()
    assert result.run_id in told
    where = ("--store", str(tmp_path / ".bakeoff"))
    assert call("runs", *where) == 0
    seen = capsys.readouterr()
    assert other.run_id in seen.out
    assert "left out" in seen.err
    assert "upgrade Bakeoff" in seen.err
    for command in (("show", result.run_id), ("export", result.run_id, str(tmp_path / "x.csv"))):
        assert call(*command, *where) == StoreError.exit_code
        assert "newer Bakeoff" in capsys.readouterr().err


def test_a_store_of_nothing_readable_says_why(
    result: bakeoff.RunResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(result, primary=None)
    assert call("show", "latest", "--store", str(tmp_path / ".bakeoff")) == StoreError.exit_code
    said = capsys.readouterr().err
    assert "is damaged: primary: Input should be a valid string" in said
    assert "errors.pydantic.dev" not in said


def test_what_an_older_version_did_not_write_is_not_needed(result: bakeoff.RunResult, tmp_path: Path) -> None:
    path = result.store.run_paths(result.run_id).manifest
    found = json.loads(path.read_text())
    for name in ("format", "notes", "decisions", "tags", "stopped_because", "dispatched_trials", "git"):
        found.pop(name, None)
    path.write_text(json.dumps(found))
    store = open_store(tmp_path / ".bakeoff")
    assert store.unreadable() == []
    assert call("show", "latest", "--store", str(tmp_path / ".bakeoff")) == 0
