"""Kill a run at random moments, resume it, and get what an unbroken run gives. Real processes, real SIGKILL."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from bakeoff.experiments import execute, load_experiment, open_store
from bakeoff.experiments._json import loads
from bakeoff.experiments.run._resume import read_resumed
from tests.experiments.support import arithmetic, outcome

if TYPE_CHECKING:
    from bakeoff.experiments import LocalStore

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")

KILLS = 10


def write_experiment(folder: Path) -> Path:
    model = {"model": "sim/small", "params": {"sim": {"latency_ms": 12, "errors": {"server": 0.02}}}}
    spec = arithmetic(300, repeats=2, models={"small": model}, limits={"concurrency": 6}, gateway={"cache": False})
    (folder / "experiment.yaml").write_text(yaml.safe_dump(spec))
    return folder / "experiment.yaml"


def start(log: Path, *arguments: str) -> subprocess.Popen[bytes]:
    with log.open("ab") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", "bakeoff", *arguments, "--quiet", "--no-report"],
            stdout=subprocess.DEVNULL,
            stderr=stream,
            env={**os.environ, "NO_COLOR": "1"},
        )


def journal_size(store: LocalStore) -> int:
    return sum(path.stat().st_size for path in store.paths.runs.glob("*/journal.jsonl"))


def wait_for_growth(store: LocalStore, process: subprocess.Popen[bytes], size: int) -> bool:
    """Wait until the journal grew past the size; False when the process ended first."""
    deadline = time.monotonic() + 60
    while journal_size(store) <= size:
        if process.poll() is not None:
            return False
        assert time.monotonic() < deadline, "the run writes nothing"
        time.sleep(0.01)
    return True


@pytest.mark.slow
def test_killed_ten_times_and_resumed(tmp_path: Path) -> None:
    file = write_experiment(tmp_path)
    log = tmp_path / "log"
    whole = start(log, "run", str(file), "--store", str(tmp_path / "whole"))
    assert whole.wait(timeout=120) == 0, log.read_text()
    expected = open_store(tmp_path / "whole")

    broken = open_store(tmp_path / "broken")
    rng = random.Random(11)
    process = start(log, "run", str(file), "--store", str(broken.paths.root))
    killed = 0
    while killed < KILLS and wait_for_growth(broken, process, journal_size(broken) + rng.randrange(12_000)):
        process.send_signal(signal.SIGKILL)
        process.wait()
        killed += 1
        assert broken.runs()[0].status == "interrupted"
        process = start(log, "resume", "latest", "--store", str(broken.paths.root))
    assert process.wait(timeout=120) == 0, log.read_text()
    assert killed == KILLS, f"only {killed} kills landed before the end"

    (run,) = broken.runs()
    assert run.status == "complete"
    assert run.sessions == killed + 1
    assert outcome(broken, run.run_id) == outcome(expected, expected.runs()[0].run_id)


@pytest.mark.slow
def test_sigint_seals_what_is_there(tmp_path: Path) -> None:
    file = write_experiment(tmp_path)
    store, log = open_store(tmp_path / "store"), tmp_path / "log"
    process = start(log, "run", str(file), "--store", str(store.paths.root))
    wait_for_growth(store, process, 2_000)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    (run,) = store.runs()
    assert (run.status, run.stopped_because) == ("partial", "interrupted by SIGINT")
    assert 0 < run.counts["trials"] < run.planned_trials
    assert "go on with: bakeoff resume" in log.read_text()
    assert start(log, "resume", "--store", str(store.paths.root)).wait(timeout=120) == 0
    assert store.runs()[0].status == "complete"


async def test_calls_open_at_a_kill_are_charged_with_the_most_they_could_cost(store: LocalStore) -> None:
    """Budget 0.02 USD; a call costs at most 20 tokens x 100 USD per million = 0.002 USD; 3 may be open at a kill."""
    model = {"model": "sim/small", "params": {"sim": {"time_scale": 0, "price": {"input_usd": 0, "output_usd": 100}}}}
    spec = arithmetic(
        300, models={"small": {**model, "max_tokens": 20}}, budget={"usd": 0.02}, limits={"concurrency": 3}
    )
    experiment = load_experiment(spec, cache_dir=store.paths.datasets)
    manifest = await execute(experiment, store=store.paths)
    paths = store.run_paths(manifest.run_id)

    def spent_usd(lines: list[bytes]) -> float:
        paths.journal.write_bytes(b"".join(lines))
        return read_resumed(paths, manifest, experiment, retry_errors=False).spent.usd

    whole = paths.journal.read_bytes().splitlines(keepends=True)
    assert loads(whole[-1])["e"] == "end"
    assert spent_usd(whole) == pytest.approx(manifest.cost_usd), "a session that ended left nothing open"
    killed, step = whole[:-1], 0.02 / 1000
    assert spent_usd(killed) == pytest.approx(manifest.cost_usd + 3 * 0.002 + step)
    session = next(line for line in whole if loads(line)["e"] == "session")
    assert spent_usd([*killed, session]) == pytest.approx(manifest.cost_usd + 6 * 0.002 + step), "killed at once again"
    last = max(index for index, line in enumerate(killed) if loads(line)["e"] == "spent")
    again = [*killed, session, killed[last]]
    assert spent_usd(again) == pytest.approx(manifest.cost_usd + 3 * 0.002 + step), "what it began with is not added"
    first = min(index for index, line in enumerate(whole) if loads(line)["e"] == "spent")
    assert spent_usd(whole[: first + 1]) == pytest.approx(3 * 0.002 + step), "known before the first call is sent"
