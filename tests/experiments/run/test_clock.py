"""The clock of the machine is set back, before and during runs: by NTP, by a resumed virtual machine, by hand."""

from __future__ import annotations

import asyncio
import itertools
import time
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Self

import pytest
from typing_extensions import override

from bakeoff.experiments import LocalStore, execute, load_experiment, open_store, rescore_run
from bakeoff.experiments.run import _rescore, _seal
from bakeoff.experiments.store import _manifest, _paths
from tests.experiments.support import arithmetic

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float, float], None]:
    """Give a function that sets the clock so many hours off, and lets it lose so many seconds at each look."""
    real = time.time

    def put(hours: float, loses_s: float = 0.0) -> None:
        looks = itertools.count()

        def wall() -> float:
            return real() + hours * 3600 - loses_s * next(looks)

        class Clock(datetime):
            @classmethod
            @override
            def now(cls, tz: tzinfo | None = None) -> Self:
                return cls.fromtimestamp(wall(), tz)

        monkeypatch.setattr(time, "time", wall)
        for module in (_manifest, _paths, _seal, _rescore):
            monkeypatch.setattr(module, "datetime", Clock)

    return put


def one_run(folder: Path, name: str) -> str:
    store = open_store(folder)
    experiment = load_experiment(arithmetic(5, name=name, evaluators=["exact_match"]), cache_dir=store.paths.datasets)
    return asyncio.run(execute(experiment, store=store.paths)).run_id


def test_latest_is_the_run_that_was_made_last_although_the_clock_was_set_back(
    tmp_path: Path, set_clock: Callable[..., None]
) -> None:
    made: list[str] = []
    for hours in (0, 5, -2, -1.5, 5.5, 0):
        set_clock(hours)
        made.append(one_run(tmp_path, f"h{len(made)}"))
        assert open_store(tmp_path).resolve("latest") == made[-1]
    set_clock(-3)
    made.append(asyncio.run(rescore_run(open_store(tmp_path), made[0], ["numeric"], base_dir=tmp_path)).run_id)
    store: LocalStore = open_store(tmp_path)
    assert [manifest.run_id for manifest in store.runs()] == made[::-1]
    assert store.manifest(made[1]).order_ms is None, "the clock alone tells"
    third = datetime.fromisoformat(store.manifest(made[2]).created_at)
    assert abs(third - datetime.now(UTC) + timedelta(hours=2)) < timedelta(minutes=5), "what the clock said is kept"


def test_durations_and_results_do_not_see_a_clock_that_runs_backwards(
    tmp_path: Path, set_clock: Callable[..., None]
) -> None:
    set_clock(0, loses_s=60)
    run_id = one_run(tmp_path, "back")
    store = open_store(tmp_path)
    manifest = store.manifest(run_id)
    assert (manifest.status, manifest.counts["trials"], manifest.counts["failed"]) == ("complete", 10, 0)
    assert 0 < manifest.seconds < 60
    latencies = store.trials(run_id, ["latency_ms"]).column("latency_ms").to_pylist()
    assert all(0 <= latency < 60_000 for latency in latencies)
