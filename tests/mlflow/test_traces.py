"""Trials as MLflow traces, read back with MLflow's own client: from SQLite, and from a server over HTTP."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import bakeoff
from bakeoff.experiments import MlflowSpec
from bakeoff.mlflow import log_run

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # MLflow's engine is closed with the process
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

QUESTIONS = [{"id": f"q{n}", "question": f"What is {n} + {n}? <b>ä</b>", "expected": str(2 * n)} for n in range(70)]


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> bakeoff.RunResult:
    folder = tmp_path_factory.mktemp("traces")
    (folder / "broken.py").write_text(
        "def broken(question):\n    if '3' in question:\n        raise ValueError('no threes')\n    return '4'\n"
    )
    return bakeoff.run(
        {
            "name": "traced", "dataset": {"rows": QUESTIONS}, "models": {"m": "sim/small"},
            "prompts": {"p": "{{ question }}"},
            "targets": {
                "desk": {"agent": {
                    "model": "m", "retrieval": {"corpus": "bundled:handbook-qa"},
                    "steps": {"find": {"retrieve": True}, "reply": {"prompt": "{{ passages }} {{ question }}"}},
                }},
                "broken": {"python": f"{folder}/broken.py:broken"},
            },
            "variants": {"desk": {"target": "desk"}, "broken": {"target": "broken"}},
            "evaluators": ["exact_match"], "mlflow": False,
        },
        store=folder / "store",
    )  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{folder}/m.db", "--artifacts-destination", str(folder / "artifacts"),
    ]  # fmt: skip
    # Without its job runner, which imports LiteLLM, which looks for a price list in the network.
    env = {
        **os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }  # fmt: skip
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen(command, stdout=log, stderr=log, env=env, start_new_session=True)
        try:
            for _ in range(240):
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2):
                        break
                except OSError:
                    assert running.poll() is None, (folder / "log").read_text()
                    time.sleep(0.5)
            else:
                pytest.fail((folder / "log").read_text())
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(running.pid, 15)
            running.wait(30)


def traces_of(uri: str, experiment: str) -> list[Any]:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    found = client.get_experiment_by_name(experiment)
    page = client.search_traces(locations=[found.experiment_id], max_results=500)
    return list(page)


@pytest.mark.parametrize("where", ["sqlite", pytest.param("server", marks=pytest.mark.slow)])
def test_every_trial_is_a_trace_with_its_spans(
    result: bakeoff.RunResult, where: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    uri = f"sqlite:///{tmp_path}/m.db" if where == "sqlite" else request.getfixturevalue("server")
    spec = MlflowSpec(tracking_uri=uri, experiment="traced", traces=True)
    log_run(result.store, result.run_id, spec)
    log_run(result.store, result.run_id, spec)  # once more: each trace is there once
    traces = traces_of(uri, "traced")
    assert len(traces) == 140
    by = {(one.info.tags["bakeoff.variant"], one.info.tags["bakeoff.item"]): one for one in traces}
    assert len(by) == 140
    trials = {(row["variant"], row["item_id"]): row for row in result.store.trials(result.run_id).to_pylist()}

    desk, trial = by["desk", "q5"], trials["desk", "q5"]
    spans = desk.data.spans
    assert sorted((one.name, one.span_type) for one in spans) == [
        ("answer", "CHAT_MODEL"), ("desk", "AGENT"), ("find", "CHAIN"), ("reply", "CHAIN"), ("search", "RETRIEVER"),
    ]  # fmt: skip
    root = next(one for one in spans if one.parent_id is None)
    assert root.inputs == {"question": "What is 5 + 5? <b>ä</b>"}
    assert root.outputs == trial["output"]
    assert (root.end_time_ns - root.start_time_ns) / 1e6 == pytest.approx(trial["latency_ms"], abs=0.1)
    assert root.end_time_ns / 1e9 == pytest.approx(trial["answered_at"], abs=0.01)
    model = next(one for one in spans if one.span_type == "CHAT_MODEL")
    parent = next(one for one in spans if one.span_id == model.parent_id)
    assert (parent.name, parent.parent_id) == ("reply", root.span_id)
    used = desk.info.token_usage
    assert (used["input_tokens"], used["output_tokens"]) == (trial["input_tokens"], trial["output_tokens"])

    plain, failed = by["broken", "q5"], by["broken", "q3"]
    assert [one.outputs for one in plain.data.spans] == ["4"]
    assert str(plain.info.state) in ("OK", "TraceState.OK")
    assert str(failed.info.state) in ("ERROR", "TraceState.ERROR")
    assert "no threes" in failed.data.spans[0].status.description

    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("traced").experiment_id
    runs = {run.info.run_name: run.info.run_id for run in client.search_runs([experiment])}
    linked = client.search_traces(locations=[experiment], run_id=runs["desk"], max_results=500)
    assert {one.info.tags["bakeoff.variant"] for one in linked} == {"desk"}
    assert len(list(linked)) == 70


def test_traces_are_logged_only_when_asked_for(result: bakeoff.RunResult, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/m.db"
    log_run(result.store, result.run_id, MlflowSpec(tracking_uri=uri, experiment="plain"))
    assert traces_of(uri, "plain") == []
