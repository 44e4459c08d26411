"""The short form of `benchmarks/chaos.py`: a bad network, SIGKILL, a budget that ends; judged by the server's log."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.by_path import module_at

if TYPE_CHECKING:
    pass

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")


@pytest.mark.slow
def test_killed_on_a_bad_network_every_promise_holds(tmp_path: Path) -> None:
    chaos = module_at("benchmarks/chaos.py")
    plan = chaos.Plan(
        trials=600,
        kills=4,
        concurrency=20,
        requests_per_minute=2400,
        tokens_per_minute=130_000,
        kill_after_s=(0.2, 3.0),
        latency_ms=20,
        timeout_s=1.5,
        p_malformed=0.03,
    )
    report = chaos.run_chaos(tmp_path, plan)
    assert report.broken == [], report.facts
