"""Logging to MLflow, checked through MLflow's own client on a SQLite database of its own."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest

import bakeoff
from bakeoff.errors import MissingExtraError, StoreError
from bakeoff.experiments import MlflowSpec
from bakeoff.mlflow import log_run

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # MLflow's engine is closed with the process
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

ROWS = [{"id": str(i), "text": "x" * i, "expected": i} for i in range(1, 31)]


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> bakeoff.RunResult:
    tasks = {"wrong": lambda text: len(text) + len(text) % 2, "right": lambda text: 0 + len(text)}
    return bakeoff.evaluate(ROWS, tasks, ["numeric"], name="lengths (new)", store=tmp_path_factory.mktemp("store"))


def client(uri: str) -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=uri)


def test_a_parent_with_a_child_for_each_variant(result: bakeoff.RunResult, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/m.db"
    assert log_run(result.store, result.run_id, MlflowSpec(tracking_uri=uri)) == f"mlflow ui --backend-store-uri {uri}"
    seen = client(uri)
    experiment = seen.get_experiment_by_name("lengths (new)")
    runs = {run.info.run_name: run for run in seen.search_runs([experiment.experiment_id])}
    assert set(runs) == {result.run_id, "wrong", "right"}
    parent = runs[result.run_id]
    assert parent.data.metrics["trials"] == 60
    assert parent.data.tags["bakeoff.headline"] == result.headline
    for name, mean in (("wrong", 0.5), ("right", 1.0)):
        child = runs[name]
        assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert child.data.metrics["numeric/mean"] == mean
        assert child.data.params["target"] == name
    difference = runs["right"].data.metrics
    row = result.compare().iloc[0]
    assert difference["compare/wrong/numeric/delta"] == row["difference"] == 0.5
    assert difference["compare/wrong/numeric/p_value"] == row["p"]
    assert runs["right"].data.tags["bakeoff.verdict"] == "better"
    artifacts = {artifact.path for artifact in seen.list_artifacts(parent.info.run_id)}
    assert {"experiment.yaml", "analysis.json", "comparisons.csv", "trials.parquet", "scores.parquet"} <= artifacts


def test_logging_again_replaces(result: bakeoff.RunResult, tmp_path: Path) -> None:
    spec = MlflowSpec(tracking_uri=f"sqlite:///{tmp_path}/m.db", experiment="mine")
    log_run(result.store, result.run_id, spec)
    log_run(result.store, result.run_id, spec)
    seen = client(str(spec.tracking_uri))
    assert len(seen.search_runs([seen.get_experiment_by_name("mine").experiment_id])) == 3


def test_the_environment_names_the_server(
    result: bakeoff.RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/other.db")
    log_run(result.store, result.run_id, MlflowSpec())
    assert (tmp_path / "other.db").exists()
    assert not result.store.paths.mlflow.exists()


def test_a_server_that_is_not_there_is_one_clear_error(
    result: bakeoff.RunResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(StoreError, match=r"MLflow at 'http://\*\*\*@127\.0\.0\.1:9' cannot be used") as caught:
        log_run(result.store, result.run_id, MlflowSpec(tracking_uri="http://user:hunter2@127.0.0.1:9"))
    assert "hunter2" not in str(caught.value)


def test_a_missing_extra_names_the_install_command(result: bakeoff.RunResult, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_mlflow(name: str, *arguments: Any, **options: Any) -> Any:
        if name.partition(".")[0] == "mlflow":
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without_mlflow)
    with pytest.raises(MissingExtraError, match=r"pip install 'bakeoff\[mlflow\]'"):
        log_run(result.store, result.run_id, MlflowSpec())
