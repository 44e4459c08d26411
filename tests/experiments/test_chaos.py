"""The short form of `benchmarks/chaos.py`: a bad network, SIGKILL, a budget that ends; judged by the server's log."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import ModuleType

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")


def _load() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "chaos.py"
    spec = importlib.util.spec_from_file_location("bakeoff_chaos", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_killed_on_a_bad_network_every_promise_holds(tmp_path: Path) -> None:
    chaos = _load()
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
