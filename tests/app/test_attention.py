"""What waits for a person, and what a reader must know: each from a store in which it really is so."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import bakeoff
from bakeoff.app import _attention
from bakeoff.app._cautions import cautions
from bakeoff.app._labels import LabelStore
from bakeoff.experiments import analyse, open_store
from bakeoff.regression import add_schedule, claim_due
from tests.app.support import recorded, spec
from tests.app.test_pages import open_page, text_of


def gated(store: Path, *, at_least: float) -> bakeoff.RunResult:
    rows = [
        {"id": f"i{k:03d}", "question": f"q {k}", "truth": str(k), "old": str(k), "new": str(k), "lang": "en"}
        for k in range(60)
    ]
    return bakeoff.run(spec(rows, name="gated") | {"gate": [{"metric": "correct", "at_least": at_least}]}, store=store)


def test_a_failed_gate_stands_first_and_links_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = gated(tmp_path, at_least=2.0)
    app = open_page("runs", tmp_path, monkeypatch)
    assert "gated fails its gate" in text_of(app)
    (note,) = _attention.failed_gates([result.manifest], lambda _: ("fail", "too low"))
    assert (note.page, note.query["experiment"]) == ("regression", "gated")


def test_a_gate_that_passes_asks_for_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gated(tmp_path, at_least=0.5)
    assert "What needs a person" not in text_of(open_page("runs", tmp_path, monkeypatch))


def test_schedules_that_missed_or_have_nobody(tmp_path: Path) -> None:
    store = open_store(tmp_path / ".bakeoff")
    file = tmp_path / "experiment.yaml"
    file.write_text("name: nightly\ndataset: {rows: [{id: a, q: x}], id: id, inputs: [q]}\n"
                    "models: {m: sim/small}\nprompts: {p: '{{ q }}'}\nfactors: {prompt: [p], model: [m]}\n"
                    "evaluators: [length]\n")  # fmt: skip
    assert _attention.schedule_notes(store) == []
    start = time.time()
    add_schedule(store, file, "0 6 * * *", now=start, misfire_grace_s=60)
    assert _attention.schedule_notes(store, now=start) == []
    (note,) = _attention.schedule_notes(store, now=start + 2 * 86400)
    assert "due and not started" in note.text
    claim_due(store, "tester", now=start + 2 * 86400)  # too late for both days
    (note,) = _attention.schedule_notes(store, now=start + 2 * 86400)
    assert note.text.startswith("nightly missed its time")


def test_an_open_queue_asks_for_labels(tmp_path: Path) -> None:
    result = recorded(tmp_path, n=10)
    labels = LabelStore(result.store.paths.control)
    queue = labels.create_queue(result.store, result.run_id, name="q", question="?", choices=["a", "b"], n=4)
    (note,) = _attention.labels_wanted(result.store, [result.manifest])
    assert note.text.startswith("4 answers wait")
    while (task := labels.next_task(queue, "ann")) is not None:
        labels.add(queue, task, "ann", "a")
    assert _attention.labels_wanted(result.store, [result.manifest]) == []


def test_few_clusters_are_said_on_the_results_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {
            "id": f"i{k:03d}",
            "question": "q",
            "truth": str(k % 2),
            "old": "0",
            "new": "1",
            "lang": "x",
            "doc": f"d{k % 4}",
        }
        for k in range(60)
    ]
    data = spec(rows, name="few")
    data["dataset"]["cluster"] = "doc"
    result = bakeoff.run(data, store=tmp_path)
    metric = analyse(result.store, result.run_id).metric("correct")
    assert any("only 4 clusters" in note.lower() for note in cautions(result.store, result.manifest, metric))
    assert "only 4 clusters" in text_of(open_page("results", tmp_path, monkeypatch)).lower()


def test_a_judge_that_nobody_checked(tmp_path: Path) -> None:
    result = recorded(tmp_path, n=10)
    metric = analyse(result.store, result.run_id).metric("correct")
    assert cautions(result.store, result.manifest, metric) == []
    record = result.manifest.metrics[0].model_copy(update={"evaluator": "rubric"})
    judged = result.manifest.model_copy(update={"metrics": [record]})
    (note,) = cautions(result.store, judged, metric)
    assert "nobody has labelled" in note
    labels = LabelStore(result.store.paths.control)
    queue = labels.create_queue(result.store, result.run_id, name="q", question="?", choices=["a", "b"], n=4)
    task = labels.next_task(queue, "ann")
    assert task is not None
    labels.add(queue, task, "ann", "a")
    assert cautions(result.store, judged, metric) == []
