"""Runs that are not what a page was drawn for: long names, labels only, nothing scored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import bakeoff
from bakeoff.reports import write_report
from tests.app.support import recorded
from tests.app.test_pages import open_page, text_of

LONG = "a variant that a script named after each of its settings and that nobody shortened before the last word "


def run(store: Path, evaluator: dict[str, Any] | str, names: tuple[str, str] = ("old", "new")) -> bakeoff.RunResult:
    rows = [{"id": f"i{k}", "q": f"q {k}", "t": "1", "one": "1", "two": str(k % 2)} for k in range(12)]
    spec = {
        "name": "odd",
        "dataset": {"rows": rows, "id": "id", "inputs": ["q"], "expected": "t"},
        "targets": {names[0]: {"recorded": "one"}, names[1]: {"recorded": "two"}},
        "evaluators": [evaluator],
        "mlflow": False,
    }
    return bakeoff.run(spec, store=store)


def judged_by(folder: Path, body: str) -> dict[str, str]:
    file = folder / "judged.py"
    file.write_text(f"def kind(output: str) -> str:\n    {body}\n")
    return {"python": f"{file}:kind"}


def test_long_names_keep_the_end_that_tells_them_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path, "exact_match", (f"{LONG}one", f"{LONG}two"))
    shown = text_of(open_page("results", tmp_path, monkeypatch))
    for end in ("one", "two"):
        assert f'title="{LONG}{end}"' in shown
        assert f"the last word {end}</span>" in shown


def test_labels_change_but_do_not_improve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path, judged_by(tmp_path, "return 'yes' if output == '1' else 'no'"))
    results = open_page("results", tmp_path, monkeypatch)
    views = next(group for group in results.get("button_group") if group.label == "View")
    assert views.options == ["Methods"], "there is no difference to list under All metrics"
    compare = open_page("compare", tmp_path, monkeypatch)
    offered = next(group for group in compare.get("button_group") if group.label == "Show")
    assert (offered.options, offered.value) == (["Answer changed", "Errors", "All"], "changed")
    assert [caption.value for caption in compare.caption if "item" in caption.value] == ["6 items"]


def test_a_finished_run_without_scores_has_no_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(tmp_path, judged_by(tmp_path, "raise ValueError('boom')"))
    shown = text_of(open_page("results", tmp_path, monkeypatch))
    assert "No answer could be scored." in shown
    assert "No scores yet" not in shown
    assert "No answer has a score." in shown
    assert "<tr><td class=r>–</td>" in shown, "who has no score has no rank"
    assert "<td class=r>2</td>" not in shown
    report = write_report(result.store, result.run_id, tmp_path / "r.html").read_text()
    assert "No answer could be scored." in report
    assert "<td class=n>-</td>" in report


def test_items_of_a_comparison_open_on_a_group_that_has_some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path, "exact_match")
    compare = open_page("compare", tmp_path, monkeypatch)
    offered = next(group for group in compare.get("button_group") if group.label == "Show")
    assert offered.value == "regressed", "six items got worse, none improved"


def test_a_run_of_a_newer_version_is_named_on_the_first_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = recorded(tmp_path, n=6)
    path = result.store.run_paths(result.run_id).manifest
    path.write_text(path.read_text().replace('"format": 1', '"format": 2').replace('"format":1', '"format":2'))
    shown = text_of(open_page("runs", tmp_path, monkeypatch))
    assert "newer Bakeoff" in shown
    assert "Nothing has run here yet" not in shown
