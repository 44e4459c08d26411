"""The whole gateway over HTTP, against a server that misbehaves: judged by the server's own log."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakeoff.errors import ProviderError
from bakeoff.gateway import BudgetSpec, Gateway, GatewaySnapshot, GatewaySpec, LimitsSpec, ModelRequest, PriceSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVER = Path(__file__).parents[2] / "benchmarks" / "fault_server.py"
MODEL = "openai/fault-small"
SPEC = GatewaySpec(prices={MODEL: PriceSpec(input_usd=1.0, output_usd=2.0)})


@contextmanager
def serving(**options: float) -> Iterator[str]:
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    with subprocess.Popen([sys.executable, str(SERVER), *arguments], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def stats_of(address: str) -> dict[str, Any]:
    with urllib.request.urlopen(address.replace("/v1", "/__stats")) as response:
        return json.loads(response.read())  # type: ignore[no-any-return]


async def ask_all(
    address: str, count: int, *, workers: int = 40, tmp_path: Path, **more: Any
) -> tuple[dict[int, str], GatewaySnapshot]:
    """Ask `count` questions; returns the answer, or the kind of error, of each."""
    outcomes: dict[int, str] = {}
    env = {"KEY": "sk-test", "BAKEOFF_STATE_DIR": str(tmp_path / "state")}
    async with Gateway(gateway=SPEC, env=env, seed=1, **more) as gateway:
        pending = iter(range(count))

        async def worker() -> None:
            for number in pending:
                request = ModelRequest(
                    model=MODEL,
                    api_base=address,
                    api_key_env="KEY",
                    messages=[{"role": "user", "content": f"{'x' * 200} ANSWER={number}"}],
                    params={"max_tokens": 20},
                )
                try:
                    outcomes[number] = (await gateway.complete(request)).text
                except ProviderError as error:
                    outcomes[number] = error.kind

        await asyncio.gather(*(worker() for _ in range(workers)))
        return outcomes, gateway.snapshot()


async def test_every_call_is_answered_once_through_every_fault(tmp_path: Path) -> None:
    faults = {"p_429": 0.1, "p_500": 0.03, "p_reset": 0.02, "p_hang": 0.003, "p_malformed": 0.02, "p_cut": 0.01}
    with serving(**faults, latency_ms=5, retry_after_s=0.05) as address:
        # An attempt fails with probability 0.18: with 5 attempts one call in 5,000 would fail five times by luck.
        limits = LimitsSpec(timeout_s=1, concurrency=40, attempts=12)
        outcomes, snapshot = await ask_all(address, 1000, limits=limits, tmp_path=tmp_path)
        stats = stats_of(address)
    assert outcomes == {number: str(number) for number in range(1000)}
    assert stats["answered_ids"] == 1000
    assert stats["answered_more_than_once"] == 0
    assert snapshot.retries > 100
    assert snapshot.in_flight == 0


async def test_the_server_never_bills_more_than_the_budget(tmp_path: Path) -> None:
    with serving(latency_ms=5, p_malformed=0.05, p_reset=0.05, p_500=0.05) as address:
        budget = BudgetSpec(usd=0.03)
        outcomes, snapshot = await ask_all(address, 1500, budget=budget, tmp_path=tmp_path)
        stats = stats_of(address)
    assert set(outcomes.values()) > {"budget"}
    assert 0.8 * 0.03 < stats["billed_usd"] <= snapshot.spent_usd <= 0.03
    answered = {number for number, text in outcomes.items() if text == str(number)}
    assert stats["answered_ids"] == len(answered)


async def test_declared_limits_hold_by_the_clock_of_the_server(tmp_path: Path) -> None:
    with serving(latency_ms=30, p_500=0.05) as address:
        limits = LimitsSpec(requests_per_minute=1200, tokens_per_minute=20_000, timeout_s=5)
        async with asyncio.timeout(4):
            task = asyncio.ensure_future(ask_all(address, 10_000, limits=limits, tmp_path=tmp_path))
            await asyncio.wait([task], timeout=3)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        stats = stats_of(address)
    # In three seconds: at most the burst and what the rate allows, though forty workers push.
    assert 30 <= stats["requests"] <= 3 * 20 + 3 * 20 + 1
    assert stats["fullest_60s_tokens"] <= 20_000 * (3 + 10) / 60 + 100


def test_an_unreachable_address_is_reported_quickly(tmp_path: Path) -> None:
    outcomes, snapshot = asyncio.run(ask_all("http://127.0.0.1:9/v1", 200, tmp_path=tmp_path, workers=50))
    assert set(outcomes.values()) <= {"connection", "server"}
    assert snapshot.spent_usd == 0
    assert snapshot.breakers == {MODEL: "open"}
