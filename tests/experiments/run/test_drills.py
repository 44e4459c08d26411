"""What a machine does to a run: full disk, bad journal, jumping clock, lost network, no file descriptors.

Each ends in a message that names the way out, and loses nothing that was answered.
"""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from bakeoff.errors import StoreError
from bakeoff.experiments import execute, load_experiment
from tests.by_path import module_at
from tests.experiments.support import Scripted, arithmetic

if TYPE_CHECKING:
    from bakeoff.experiments import LocalStore

resource = pytest.importorskip("resource", reason="limits of the operating system")


faults = module_at("benchmarks/fault_server.py")


def _command(store: LocalStore, *arguments: str, limit: tuple[int, int] | None = None) -> subprocess.Popen[str]:
    """Start the command line, with a limit of the operating system on it."""
    before = ""
    if limit is not None:
        kind, most = limit
        before = f"import resource; resource.setrlimit({kind}, ({most}, {most}));"
    code = f"{before}import sys; from bakeoff.cli import main; main(sys.argv[1:])"
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments, "--store", str(store.paths.root), "--no-report"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "400", "OPENAI_API_KEY": "not-a-key"},
    )


def _write(folder: Path, spec: dict[str, Any]) -> str:
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump({**spec, "mlflow": False}))
    return str(path)


def _over_http(address: str, items: int, **more: Any) -> dict[str, Any]:
    rows = [{"question": f"{index}?\nANSWER={index}", "expected": str(index)} for index in range(items)]
    return {
        "name": "drill",
        "dataset": {"rows": rows, "inputs": ["question"], "expected": "expected"},
        "prompts": {"a": "{{ question }}", "b": "Think. {{ question }}"},
        "models": {"m": {"model": "openai/fault-small", "api_base": address}},
        "evaluators": ["exact_match"],
        **more,
    }


def test_a_full_disk_stops_the_run_and_loses_nothing(store: LocalStore, tmp_path: Path) -> None:
    model = {"model": "sim/small", "params": {"sim": {"time_scale": 0}}}
    spec = arithmetic(300, models={"small": model}, gateway={"cache": False})
    process = _command(store, "run", _write(tmp_path, spec), limit=(resource.RLIMIT_FSIZE, 60_000))
    said, _ = process.communicate(timeout=100)
    assert process.returncode == 4, said
    assert "File too large" in said
    assert "`bakeoff resume` the run" in said
    assert "Traceback" not in said
    (journal,) = store.paths.runs.glob("*/journal.jsonl")
    kept = [line for line in journal.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    answered = {(event["v"], event["k"]): event["t"] for event in map(json.loads, kept) if event["e"] == "trial"}
    assert len(answered) > 50
    process = _command(store, "resume")
    said, _ = process.communicate(timeout=100)
    assert process.returncode == 0, said
    rows = store.trials(store.resolve("latest")).to_pylist()
    assert len(rows) == 600
    again = {(row["variant"], row["item"]): row["answered_at"] for row in rows}
    assert {key: again[key] for key in answered} == answered, "what was answered before was not asked again"


async def test_a_journal_that_cannot_be_written_is_said_before_anything_is_paid(store: LocalStore) -> None:
    client = Scripted()
    store.paths.root.write_text("a file where the store should be")
    with pytest.raises(StoreError, match="store"):
        await execute(
            load_experiment(arithmetic(3), cache_dir=store.paths.root.parent / "data"), store=store.paths, client=client
        )
    assert client.calls == []


async def test_a_clock_that_jumps_changes_nothing(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour ahead, two days back: also what happens when a laptop wakes up."""
    real, rng = time.time, random.Random(0)
    monkeypatch.setattr(time, "time", lambda: real() + rng.choice([0, 3600, -172_800]))
    model = {"model": "sim/small", "params": {"sim": {"latency_ms": 5}}}
    limits = {"concurrency": 8, "requests_per_minute": 100_000, "shared": False}
    experiment = load_experiment(
        arithmetic(40, models={"small": model}, limits=limits, budget={"minutes": 5}), cache_dir=store.paths.datasets
    )
    manifest = await execute(experiment, store=store.paths)
    assert manifest.status == "complete"
    assert manifest.counts["trials"] == 80
    assert 0 <= manifest.seconds < 60


@pytest.mark.slow
def test_a_lost_network_is_waited_for(store: LocalStore, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = faults.Options(port=port, latency_ms=100)
    gateway = {"cache": False, "breaker_reset_s": 1}
    spec = _over_http(f"http://127.0.0.1:{port}/v1", 150, limits={"concurrency": 10}, gateway=gateway)
    with faults.serving(options):
        process = _command(store, "run", _write(tmp_path, spec))
        deadline = time.monotonic() + 60
        while not any(path.stat().st_size > 4000 for path in store.paths.runs.glob("*/journal.jsonl")):
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(0.02)
    time.sleep(5)
    with faults.serving(options):
        said, _ = process.communicate(timeout=100)
    assert process.returncode == 0, said
    manifest = store.manifest(store.resolve("latest"))
    assert manifest.counts == {"trials": 300, "failed": 0, "scores": 300, "unscored": 0}


def test_without_file_descriptors_trials_fail_with_the_reason_and_are_retried(
    store: LocalStore, tmp_path: Path
) -> None:
    with faults.serving(faults.Options(latency_ms=30)) as address:
        spec = _over_http(address, 100, limits={"concurrency": 100, "attempts": 2}, gateway={"cache": False})
        process = _command(store, "run", _write(tmp_path, spec), limit=(resource.RLIMIT_NOFILE, 40))
        said, _ = process.communicate(timeout=100)
        assert "Traceback" not in said
        manifest = store.manifest(store.resolve("latest"))
        assert manifest.counts["trials"] == 200
        if manifest.counts["failed"]:
            assert "Too many open files" in said
            process = _command(store, "resume", "--retry-errors")
            said, _ = process.communicate(timeout=100)
            assert process.returncode == 0, said
    assert store.manifest(store.resolve("latest")).counts["failed"] == 0


def test_as_many_files_as_the_system_allows(store: LocalStore, tmp_path: Path) -> None:
    """A soft limit below the hard one is no reason to fail: it is raised."""
    with faults.serving(faults.Options(latency_ms=30)) as address:
        spec = _over_http(address, 100, limits={"concurrency": 100, "attempts": 1}, gateway={"cache": False})
        path = _write(tmp_path, spec)
        code = (
            "import resource as r, sys; r.setrlimit(r.RLIMIT_NOFILE, (40, r.getrlimit(r.RLIMIT_NOFILE)[1]));"
            "from bakeoff.cli import main; main(sys.argv[1:])"
        )
        subprocess.run(
            [sys.executable, "-c", code, "run", path, "--store", str(store.paths.root), "--no-report", "--quiet"],
            check=True,
            env={**os.environ, "OPENAI_API_KEY": "not-a-key"},
            timeout=100,
        )
    assert store.manifest(store.resolve("latest")).counts["failed"] == 0
