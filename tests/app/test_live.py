"""Pages on a store that a run is writing to at this moment."""

from __future__ import annotations

import json
import re
import threading
import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import bakeoff
from bakeoff.app._launch import start, wait_for_run
from bakeoff.experiments import open_store, send_control
from tests.app.support import recorded
from tests.app.test_pages import open_page, text_of


def test_pages_beside_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded(tmp_path, n=20, name="earlier")
    half, go_on = threading.Event(), threading.Event()
    answered = []

    def slow(q: str) -> str:
        answered.append(q)
        if len(answered) == 30:
            half.set()
            go_on.wait(60)
        return q

    rows = [{"id": str(k), "q": str(k), "expected": str(k)} for k in range(40)]
    tasks = {"one": slow, "two": slow}
    run = threading.Thread(
        target=bakeoff.evaluate, args=(rows, tasks, ["exact_match"]),
        kwargs={"store": tmp_path, "name": "now", "max_concurrency": 1},
    )  # fmt: skip
    run.start()
    try:
        assert half.wait(60)
        store = open_store(tmp_path)
        running = store.runs()[0]
        assert running.status == "running"
        for name in ("runs", "results", "compare", "items", "live", "regression", "prompts"):
            app = open_page(name, tmp_path, monkeypatch, run=running.run_id)
            assert 'class="bo-error"' not in text_of(app), name
        app = open_page("live", tmp_path, monkeypatch, run=running.run_id)
        assert "What can be said so far" in [entry.value for entry in app.subheader]
        _press(app, "Pause")
        assert "pause" in store.run_paths(running.run_id).control.read_text()
        _press(app, "Go on")
        assert "resume" in store.run_paths(running.run_id).control.read_text()
        send_control(store.run_paths(running.run_id), "resume")
    finally:
        go_on.set()
        run.join(60)
    assert open_store(tmp_path).manifest(running.run_id).status == "complete"


def _press(app: AppTest, label: str) -> None:
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception


def test_a_broken_start_says_why(tmp_path: Path) -> None:
    file = tmp_path / "experiments" / "broken.yaml"
    file.parent.mkdir()
    file.write_text("name: x\n")
    root = tmp_path / ".bakeoff"
    started = start(file, root)
    assert wait_for_run(open_store(root), set(), started) is None
    assert started.failed
    assert "evaluators" in started.said(), "the process's own words"


def test_a_stopped_run_says_why_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["billing", "delivery", "refund"]
    rows = [{"id": f"i{k:03d}", "message": f"Message {k}", "label": words[k % 3]} for k in range(200)]
    spec = {
        "name": "stopped",
        "dataset": {"rows": rows, "id": "id", "inputs": ["message"], "expected": "label"},
        "prompts": {"short": "One of: billing, delivery, refund. {{ message }}"},
        "models": {"small": {"model": "sim/small", "params": {"sim": {"latency_ms": 50}}}},
        "evaluators": [{"label_match": {"name": "correct", "labels": words}}],
        "limits": {"concurrency": 1},
        "mlflow": False,
    }
    file, root = tmp_path / "stopped.yaml", tmp_path / ".bakeoff"
    file.write_text(json.dumps(spec))  # JSON is YAML
    store = open_store(root)
    run_id = wait_for_run(store, set(), started := start(file, root))
    assert run_id is not None, started.said()
    deadline = time.monotonic() + 60
    while int((store.status(run_id) or {}).get("done") or 0) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    send_control(store.run_paths(run_id), "stop")
    assert started.process.wait(60) is not None
    assert store.manifest(run_id).status == "partial"

    app = open_page("live", root, monkeypatch, run=run_id)
    assert "was stopped by hand" in text_of(app)
    _press(app, "Resume")
    deadline = time.monotonic() + 60
    while (again := store.manifest(run_id)).status != "complete" and time.monotonic() < deadline:
        time.sleep(0.2)
    assert (again.status, again.counts["trials"]) == ("complete", 200)
    app = open_page("live", root, monkeypatch, run=run_id)
    assert "Resume" not in [button.label for button in app.button]
    assert re.search(r"<td class=r>\d+\.\d%</td>", text_of(app)), "a pass rate is written as on the results page"
