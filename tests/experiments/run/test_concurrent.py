"""One store, several processes: a run is written while others read, analyse, export and run as well."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from bakeoff.experiments import analyse, open_store, send_control
from tests.experiments.support import arithmetic


def cli(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "bakeoff", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(process: subprocess.Popen[str]) -> str:
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == 0, printed
    return printed


@pytest.mark.slow
def test_readers_and_a_second_run_beside_a_run_in_progress(tmp_path: Path) -> None:
    model = {"model": "sim/small", "params": {"sim": {"latency_ms": 30}}}
    spec = arithmetic(20_000, models={"small": model}, limits={"concurrency": 5}, gateway={"cache": False})
    (tmp_path / "slow.yaml").write_text(yaml.safe_dump(spec))
    (tmp_path / "quick.yaml").write_text(yaml.safe_dump(arithmetic(20)))
    store = open_store(tmp_path / "store")
    slow = cli("run", str(tmp_path / "slow.yaml"), "--store", str(store.paths.root), "--no-report", "-q")
    deadline = time.monotonic() + 60
    while not (store.runs() and store.trials(store.runs()[0].run_id).num_rows > 20):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    running = store.runs()[0].run_id

    seen = [store.trials(running).num_rows]
    live = analyse(store, running)
    assert live.status == "running"
    assert any("still running" in warning for warning in live.warnings)
    assert live.metric().comparisons[0].difference.test.startswith("sequential_")
    with store.connect([running]) as connection:
        (count,) = connection.execute("SELECT count(*) FROM scores WHERE value IS NOT NULL").fetchone() or (0,)
        assert count >= seen[0]

    quick = cli("run", str(tmp_path / "quick.yaml"), "--store", str(store.paths.root), "--no-report", "-q")
    listed, shown = (
        cli("runs", "--store", str(store.paths.root)),
        cli("show", running, "--store", str(store.paths.root)),
    )
    status = cli("status", running, "--store", str(store.paths.root))
    exported = cli("export", running, str(tmp_path / "live.csv"), "--store", str(store.paths.root))
    assert "running" in finish(listed)
    assert "still running" in finish(shown)
    assert "at once" in finish(status)
    finish(exported)
    finish(quick)
    assert (tmp_path / "live.csv").stat().st_size > 1000
    assert {run.status for run in store.runs()} == {"running", "complete"}

    seen.append(store.trials(running).num_rows)
    assert seen[1] > seen[0], "the run went on meanwhile"
    send_control(store.run_paths(running), "stop")
    slow.communicate(timeout=60)
    assert slow.returncode == 4
    assert store.manifest(running).status == "partial"
    assert store.trials(running).num_rows == store.manifest(running).counts["trials"] >= seen[1]
    assert store.catalogue().exists()


@pytest.mark.slow
def test_status_and_control_from_another_process(tmp_path: Path) -> None:
    model = {"model": "sim/small", "params": {"sim": {"latency_ms": 30}}}
    spec = arithmetic(20_000, models={"small": model}, limits={"concurrency": 4}, gateway={"cache": False})
    (tmp_path / "e.yaml").write_text(yaml.safe_dump(spec))
    store = open_store(tmp_path / "store")
    root = str(store.paths.root)
    run = cli("run", str(tmp_path / "e.yaml"), "--store", root, "--no-report", "-q")
    deadline = time.monotonic() + 60
    while not (store.runs() and (store.status(store.runs()[0].run_id) or {}).get("done", 0) > 10):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    run_id = store.runs()[0].run_id
    assert "asked" in finish(cli("control", run_id, "set", "concurrency=40", "--store", root))
    assert "asked" in finish(cli("control", run_id, "stop", "--store", root))
    run.communicate(timeout=60)
    assert run.returncode == 4
    assert store.manifest(run_id).stopped_because == "stopped by `bakeoff control`"
