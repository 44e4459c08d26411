"""Limits that several processes share through one file."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from bakeoff.gateway import Gateway, LimitsSpec, ModelRequest, ModelResponse, RateLimitSpec
from bakeoff.gateway._lanes import scopes_of
from bakeoff.gateway._shared_limiter import SqliteWindows, state_file
from bakeoff.gateway._window import Denied, WindowScope

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

WINDOW_S = 1.5

_WORKER = """
import asyncio, random, sys, time
from pathlib import Path
from bakeoff.gateway._adaptive import AdaptiveLimit
from bakeoff.gateway._limiter import Lane, Limiter
from bakeoff.gateway._shared_limiter import SqliteWindows
from bakeoff.gateway._window import WindowScope

path, rpm, tpm, concurrency, seconds, seed = sys.argv[1], *map(float, sys.argv[2:7])
rng = random.Random(seed)

async def main():
    windows = SqliteWindows(Path(path), lease_s=5, window_s={window})
    assert windows.is_shared, windows.warnings
    limiter = Limiter(concurrency=64, clock=time.monotonic, windows=windows)
    scope = WindowScope(
        name="key", requests_per_minute=rpm or None, tokens_per_minute=tpm or None, concurrency=int(concurrency) or None
    )
    lane = limiter.add_lane(Lane("m", [scope], AdaptiveLimit(cap=64, enabled=False)))
    end = time.monotonic() + seconds

    async def caller():
        while time.monotonic() < end:
            tokens = rng.randint(1, 20)
            permit = await limiter.acquire(lane, input_tokens=tokens, output_tokens=20)
            await asyncio.sleep(rng.random() * 0.02)
            start = time.monotonic()
            used = tokens + rng.randint(0, 20)
            await asyncio.sleep(rng.random() * 0.05)
            print(start, time.monotonic(), used)
            limiter.release(permit, outcome="ok", input_tokens=used)

    await asyncio.gather(*(caller() for _ in range(16)))
    limiter.close()

asyncio.run(main())
"""


def _run_processes(
    path: Path, count: int, *, rpm: float, tpm: float, concurrency: int = 0
) -> list[tuple[float, float, float]]:
    """Let several processes push as hard as they may; returns (start, end, tokens) of every call."""
    code = _WORKER.replace("{window}", str(WINDOW_S))
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(path), str(rpm), str(tpm), str(concurrency), "3", str(seed)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in range(count)
    ]
    calls: list[tuple[float, float, float]] = []
    for process in processes:
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        mine = [tuple(map(float, line.split())) for line in output.splitlines()]
        assert mine, "every process gets its turn"
        calls += mine
    return calls


def _fullest(events: list[tuple[float, float]], window_s: float) -> float:
    return max(sum(a for u, a in events if t <= u < t + window_s) for t, _ in events)


def test_two_processes_together_stay_under_requests_and_tokens(tmp_path: Path) -> None:
    calls = _run_processes(tmp_path / "limits.sqlite", 2, rpm=60, tpm=1200)
    requests = _fullest([(start, 1.0) for start, _, _ in calls], WINDOW_S)
    tokens = _fullest([(end, used) for _, end, used in calls], WINDOW_S)
    assert requests <= 60
    assert tokens <= 1200
    # They also use what they may: at least half of one of the limits.
    assert requests >= 30 or tokens >= 600


def test_three_processes_together_stay_under_a_concurrency(tmp_path: Path) -> None:
    calls = _run_processes(tmp_path / "limits.sqlite", 3, rpm=0, tpm=0, concurrency=4)
    edges = sorted([(start, 1) for start, _, _ in calls] + [(end, -1) for _, end, _ in calls])
    running = most = 0
    for _, step in edges:
        running += step
        most = max(most, running)
    assert most == 4


def _windows(path: Path, **more: Any) -> SqliteWindows:
    return SqliteWindows(path, lease_s=more.pop("lease_s", 100.0), **more)


def _take(windows: SqliteWindows, scope: WindowScope, now: float, tokens: float = 0) -> Any:
    return windows.take([scope], now, input_tokens=tokens, output_tokens=0)


_OPENER = """
import sys, time
from pathlib import Path
from bakeoff.gateway import ModelResponse, ResponseCache
from bakeoff.gateway._shared_limiter import SqliteWindows
from bakeoff.gateway._window import WindowScope

folder, start = Path(sys.argv[1]), float(sys.argv[2])
scope = WindowScope(name="s", requests_per_minute=1e6)
for number in range(40):
    while time.time() < start + number * 0.05:
        pass
    windows = SqliteWindows(folder / f"l{number}", lease_s=1)
    cache = ResponseCache(folder / f"c{number}")
    for step in range(20):
        ticket = windows.take([scope], time.monotonic(), input_tokens=1, output_tokens=1)
        if isinstance(ticket, list):
            windows.settle(ticket, time.monotonic(), input_tokens=1, output_tokens=1, sent=True)
    cache.put(b"key", ModelResponse(text="x", model="m"), model="m")
    cache.close()
    windows.close()
    assert not windows.warnings, windows.warnings
    assert not cache.warnings, cache.warnings
"""


def test_many_processes_open_it_at_the_same_moment(tmp_path: Path) -> None:
    start = str(time.time() + 0.7)
    processes = [subprocess.Popen([sys.executable, "-c", _OPENER, str(tmp_path), start]) for _ in range(4)]
    assert [process.wait(60) for process in processes] == [0, 0, 0, 0]


def test_a_second_handle_sees_the_first_and_corrections_free_room(tmp_path: Path) -> None:
    scope = WindowScope(name="s", tokens_per_minute=600)
    first, second = _windows(tmp_path / "l"), _windows(tmp_path / "l")
    ticket = _take(first, scope, 1000.0, 590)
    assert isinstance(_take(second, scope, 1060.0, 20), Denied)
    first.settle(ticket, 1060.0, input_tokens=100, output_tokens=0, sent=True)
    assert not isinstance(_take(second, scope, 1060.0, 500), Denied)
    assert isinstance(_take(second, scope, 1100.0, 100), Denied)
    first.close()
    second.close()


def test_a_request_that_was_never_sent_is_taken_back(tmp_path: Path) -> None:
    scope = WindowScope(name="s", requests_per_minute=1, concurrency=1)
    windows = _windows(tmp_path / "l")
    for step in range(5):
        ticket = _take(windows, scope, 1000.0 + step)
        assert not isinstance(ticket, Denied)
        windows.settle(ticket, 1000.5 + step, input_tokens=0, output_tokens=0, sent=False)
    ticket = _take(windows, scope, 1010.0)
    windows.settle(ticket, 1011.0, input_tokens=0, output_tokens=0, sent=True)
    assert isinstance(_take(windows, scope, 1070.9), Denied)
    assert not isinstance(_take(windows, scope, 1072.0), Denied)
    windows.close()


def test_a_process_that_died_does_not_hold_its_calls_for_ever(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; import sys, time\n"
        "from bakeoff.gateway._shared_limiter import SqliteWindows\n"
        "from bakeoff.gateway._window import WindowScope\n"
        "w = SqliteWindows(Path(sys.argv[1]), lease_s=1000)\n"
        "w.take([WindowScope(name='s', concurrency=1)], time.monotonic(), input_tokens=0, output_tokens=0)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "l")], check=True)
    windows = _windows(tmp_path / "l")
    scope = WindowScope(name="s", concurrency=1)
    assert isinstance(_take(windows, scope, time.monotonic()), Denied)
    assert not isinstance(_take(windows, scope, time.monotonic()), Denied)
    assert isinstance(_take(windows, scope, time.monotonic()), Denied), "this process lives"
    windows.close()


def test_a_lease_ends(tmp_path: Path) -> None:
    scope = WindowScope(name="s", tokens_per_minute=100)
    windows = _windows(tmp_path / "l", lease_s=30.0)
    _take(windows, scope, 1000.0, 100)
    assert isinstance(_take(windows, scope, 1029.0, 50), Denied)
    # The provider may have counted the tokens until the lease ended: they stay in the window for a minute more.
    assert isinstance(_take(windows, scope, 1089.0, 50), Denied)
    assert not isinstance(_take(windows, scope, 1091.0, 50), Denied)
    windows.close()


def test_counts_of_an_earlier_boot_are_forgotten(tmp_path: Path) -> None:
    scope = WindowScope(name="s", requests_per_minute=1)
    windows = _windows(tmp_path / "l")
    assert not isinstance(_take(windows, scope, time.monotonic()), Denied)
    windows.close()
    connection = sqlite3.connect(tmp_path / "l")
    connection.execute("UPDATE boot SET id = 'another'")
    connection.commit()
    connection.close()
    windows = _windows(tmp_path / "l")
    assert not isinstance(_take(windows, scope, time.monotonic()), Denied)
    windows.close()


def test_a_damaged_file_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "l").write_bytes(b"this is not a database" * 100)
    windows = _windows(tmp_path / "l")
    assert windows.is_shared
    windows.close()


def test_without_a_place_to_write_limits_hold_for_this_process_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("not a directory")
    windows = _windows(tmp_path / "file" / "l")
    scope = WindowScope(name="s", requests_per_minute=1)
    assert not windows.is_shared
    assert not isinstance(_take(windows, scope, 0.0), Denied)
    assert isinstance(_take(windows, scope, 1.0), Denied)
    assert len(caplog.records) == 1
    assert "limits.shared: false" in windows.warnings[0]


def test_names_hold_no_key_and_depend_on_it() -> None:
    limits = LimitsSpec(requests_per_minute=5, per_model={"openai": RateLimitSpec(requests_per_minute=3)})
    request = ModelRequest(model="openai/m", messages=[])

    def names(key: str, **more: Any) -> set[str]:
        env = {"OPENAI_API_KEY": key}
        return {
            scope.name for scope in scopes_of(more.pop("request", request), limits, env=env, run="run-1", shared=True)
        }

    secret = "sk-very-secret"
    assert not any(secret in name for name in names(secret))
    assert names(secret) != names("sk-other")
    assert len(names(secret)) == 3, "the run, the key for the whole run, and the provider"
    simulated = ModelRequest(model="sim/x", messages=[])
    assert names(secret, request=simulated) == {"run-1/all"}


def test_the_file_lies_where_the_user_says_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = state_file({"BAKEOFF_STATE_DIR": str(tmp_path / "s")})
    assert path == tmp_path / "s" / "limits.sqlite"
    assert state_file({"XDG_STATE_HOME": "/x"}).name == "limits.sqlite"
    _windows(path).close()
    assert path.stat().st_mode & 0o777 == 0o600


class _Echo:
    async def send(self, request: ModelRequest) -> ModelResponse:
        return ModelResponse(text="ok", model=request.model)

    def prewarm(self, models: Any) -> None: ...

    async def aclose(self) -> None: ...


async def test_two_gateways_on_one_key_share_a_limit(tmp_path: Path) -> None:
    limits = LimitsSpec(per_model={"openai": RateLimitSpec(requests_per_minute=60)})
    env = {"OPENAI_API_KEY": "k", "BAKEOFF_STATE_DIR": str(tmp_path)}

    def request(number: int) -> ModelRequest:
        return ModelRequest(model="openai/m", messages=[{"role": "user", "content": str(number)}])

    async with (
        Gateway(limits=limits, transport=_Echo(), env=env) as a,
        Gateway(limits=limits, transport=_Echo(), env=env) as b,
    ):
        await asyncio.gather(*(a.complete(request(n)) for n in range(4)))  # the whole burst of three seconds
        start = time.monotonic()
        await b.complete(request(9))
        assert time.monotonic() - start > 0.5
