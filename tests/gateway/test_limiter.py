"""Limits: never exceeded in any window, nobody starves, the provider's refusals are heeded."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff.gateway._adaptive import AdaptiveLimit, reset_after_s
from bakeoff.gateway._limiter import Lane, Limiter
from bakeoff.gateway._window import Denied, LocalWindows, SlidingWindow, WindowScope

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    Virtual = Callable[[Coroutine[Any, Any, Any]], Any]


def fullest(events: list[tuple[float, float]], window_s: float = 60.0) -> float:
    """Oracle: the largest total over every window that starts at an event, end excluded."""
    return max((sum(a for u, a in events if t <= u < t + window_s) for t, _ in events), default=0.0)


def _lane(name: str = "m", *, cap: int = 10_000, **scope: Any) -> Lane:
    scopes = [WindowScope(name=f"scope-{name}", **scope)] if scope else []
    return Lane(name, scopes, AdaptiveLimit(cap=cap, enabled=False))


@settings(deadline=None, max_examples=60)
@given(
    rpm=st.integers(1, 40),
    arrivals=st.lists(st.tuples(st.floats(0, 30), st.floats(0, 2.9), st.floats(0, 20)), min_size=1, max_size=120),
)
def test_no_window_of_the_server_holds_more_requests_than_declared(
    virtual: Virtual, rpm: int, arrivals: list[tuple[float, float, float]]
) -> None:
    """Arbitrary arrivals; each request reaches the server up to 2.9 s after its admission."""

    server: list[tuple[float, float]] = []

    async def call(limiter: Limiter, lane: Lane, start: float, travel: float, work: float) -> None:
        await asyncio.sleep(start)
        permit = await limiter.acquire(lane)
        await asyncio.sleep(travel)
        server.append((asyncio.get_running_loop().time(), 1.0))
        await asyncio.sleep(work)
        limiter.release(permit, outcome="ok")

    async def main() -> None:
        limiter = Limiter(concurrency=10_000, clock=asyncio.get_running_loop().time)
        lane = limiter.add_lane(_lane(requests_per_minute=rpm))
        await asyncio.gather(*(call(limiter, lane, *arrival) for arrival in arrivals))
        assert (limiter.in_flight, limiter.waiting) == (0, 0)

    virtual(main())
    assert len(server) == len(arrivals)
    assert fullest(server) <= rpm


@settings(deadline=None, max_examples=60)
@given(
    tpm=st.integers(50, 2000),
    calls=st.lists(
        st.tuples(st.floats(0, 30), st.integers(1, 50), st.integers(0, 50), st.floats(0, 1), st.floats(0, 20)),
        min_size=1,
        max_size=60,
    ),
    counted_late=st.booleans(),
)
def test_no_window_of_the_server_holds_more_tokens_than_declared(
    virtual: Virtual, tpm: int, calls: list[tuple[float, int, int, float, float]], counted_late: bool
) -> None:
    """Whether the server counts output tokens on arrival or when they are written; estimates are upper bounds."""

    server: list[tuple[float, float]] = []

    async def call(
        limiter: Limiter, lane: Lane, start: float, tokens: int, most: int, used: float, work: float
    ) -> None:
        await asyncio.sleep(start)
        permit = await limiter.acquire(lane, input_tokens=tokens, output_tokens=most)
        now = asyncio.get_running_loop().time
        output = int(most * used)
        server.append((now(), float(tokens + (0 if counted_late else output))))
        await asyncio.sleep(work)
        if counted_late:
            server.append((now(), float(output)))
        limiter.release(permit, outcome="ok", input_tokens=tokens, output_tokens=output)

    async def main() -> None:
        limiter = Limiter(concurrency=10_000, clock=asyncio.get_running_loop().time)
        lane = limiter.add_lane(_lane(tokens_per_minute=tpm))
        await asyncio.gather(*(call(limiter, lane, *item) for item in calls))

    virtual(main())
    most_alone = max(tokens + most for _, tokens, most, _, _ in calls)
    assert fullest(server) <= max(tpm, most_alone)  # one call above the limit goes alone


def test_the_rate_is_used_well_and_smoothly(virtual: Virtual) -> None:
    admitted: list[float] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        limiter = Limiter(concurrency=1000, clock=loop.time)
        lane = limiter.add_lane(_lane(requests_per_minute=600))
        start = loop.time()

        async def call() -> None:
            permit = await limiter.acquire(lane)
            admitted.append(loop.time() - start)
            await asyncio.sleep(0.5)
            limiter.release(permit, outcome="ok")

        await asyncio.gather(*(call() for _ in range(3000)))

    virtual(main())
    # 3,000 at 600 a minute take 300 s at best; answers after 0.5 s cost less than 2%.
    assert 240 < admitted[-1] < 306
    assert sum(at < 0.001 for at in admitted) == 31  # three seconds of burst, and the first
    # The first burst is missing once a minute later: never a longer gap.
    assert max(b - a for a, b in itertools.pairwise(admitted)) < 4.0


def test_a_window_takes_back_what_was_not_used() -> None:
    window = SlidingWindow(100, burst_s=600)
    entry = window.reserve(0.0, 90, until_answer=True)
    assert window.wait_s(0.0, 20) > 0
    window.settle(entry, 5.0, 30)
    assert window.used == 30
    assert window.wait_s(5.0, 70) == 0
    assert window.wait_s(5.0, 71) > 0
    assert window.wait_s(64.9, 71) > 0
    assert window.wait_s(65.2, 71) == 0  # sixty seconds after the answer, rounded up


def test_output_tokens_count_until_a_minute_after_a_slow_answer() -> None:
    windows = LocalWindows()
    scope = WindowScope(name="s", tokens_per_minute=100)
    ticket = windows.take([scope], 0.0, input_tokens=10, output_tokens=80)
    assert not isinstance(ticket, Denied)
    assert isinstance(windows.take([scope], 45.0, input_tokens=20, output_tokens=0), Denied)
    windows.settle(ticket, 50.0, input_tokens=10, output_tokens=80, sent=True)
    assert isinstance(windows.take([scope], 100.0, input_tokens=30, output_tokens=0), Denied)
    assert not isinstance(windows.take([scope], 110.2, input_tokens=30, output_tokens=0), Denied)


def test_a_clock_that_jumps_unlocks_nothing_and_blocks_nothing() -> None:
    window = SlidingWindow(1, burst_s=60)
    entry = window.reserve(1000.0, 1)
    assert window.wait_s(10.0, 1) > 0, "a jump back"
    window.settle(entry, 10.0, 1)
    assert window.wait_s(1030.0, 1) > 0
    assert window.wait_s(1_000_000.0, 1) == 0, "a long sleep"


def test_a_limit_below_one_a_minute_stretches_the_window() -> None:
    window = SlidingWindow(0.5, burst_s=3)
    assert window.wait_s(0.0, 1) == 0
    window.settle(window.reserve(0.0, 1), 0.0, 1)
    assert window.wait_s(119.0, 1) > 0
    assert window.wait_s(121.5, 1) == 0


def test_memory_of_a_window_does_not_grow_with_its_limit() -> None:
    window = SlidingWindow(10_000_000, burst_s=60)
    for step in range(50_000):
        window.settle(window.reserve(step * 0.004, 1), step * 0.004, 1)
    assert len(window._buckets) < 1300


def test_calls_that_need_another_limit_are_not_held_back_and_nobody_starves(virtual: Virtual) -> None:
    order: list[str] = []

    async def main() -> None:
        limiter = Limiter(concurrency=1000, clock=asyncio.get_running_loop().time)
        scope = WindowScope(name="provider", tokens_per_minute=100)
        big, small = (
            limiter.add_lane(Lane(name, [scope], AdaptiveLimit(cap=1000, enabled=False))) for name in ("big", "small")
        )
        free = limiter.add_lane(_lane("free"))

        async def call(name: str, lane: Lane, tokens: int) -> None:
            permit = await limiter.acquire(lane, input_tokens=tokens)
            order.append(name)
            await asyncio.sleep(0.1)
            limiter.release(permit, outcome="ok", input_tokens=tokens)

        first = asyncio.ensure_future(call("first", small, 90))
        await asyncio.sleep(0.01)
        tasks = [asyncio.ensure_future(call("big", big, 100))]
        await asyncio.sleep(0)
        # Small ones keep coming for ten minutes; each alone would fit before the big one does.
        for _ in range(200):
            tasks.append(asyncio.ensure_future(call("small", small, 5)))
            await asyncio.sleep(0)
        tasks.append(asyncio.ensure_future(call("free", free, 0)))
        await asyncio.gather(first, *tasks)

    virtual(main())
    assert order[:3] == ["first", "free", "big"]
    assert order.count("small") == 200


def test_calls_are_admitted_in_order_of_arrival(virtual: Virtual) -> None:
    order: list[int] = []

    async def main() -> None:
        limiter = Limiter(concurrency=3, clock=asyncio.get_running_loop().time)
        lane = limiter.add_lane(_lane())

        async def call(number: int) -> None:
            permit = await limiter.acquire(lane)
            order.append(number)
            assert limiter.in_flight <= 3
            await asyncio.sleep(1 + number % 3)
            limiter.release(permit, outcome="ok")

        await asyncio.gather(*(call(number) for number in range(30)))

    virtual(main())
    assert order == list(range(30))


@settings(deadline=None, max_examples=40)
@given(plans=st.lists(st.tuples(st.floats(0, 3), st.floats(0.01, 3), st.floats(0, 4)), min_size=1, max_size=40))
def test_cancelled_calls_give_everything_back(virtual: Virtual, plans: list[tuple[float, float, float]]) -> None:
    """Each call is cancelled at an arbitrary moment: waiting, just admitted, or in flight."""

    async def main() -> None:
        limiter = Limiter(concurrency=2, clock=asyncio.get_running_loop().time)
        lane = limiter.add_lane(_lane(requests_per_minute=3000, tokens_per_minute=1e6, concurrency=2))

        async def call(start: float, work: float) -> None:
            await asyncio.sleep(start)
            permit = await limiter.acquire(lane, input_tokens=5)
            sent = False
            try:
                await asyncio.sleep(work)
                sent = True
            finally:
                limiter.release(permit, outcome="ok", sent=sent)

        tasks = [asyncio.ensure_future(call(start, work)) for start, work, _ in plans]
        for task, (_, _, stop) in zip(tasks, plans, strict=True):
            asyncio.get_running_loop().call_later(stop, task.cancel)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert (limiter.in_flight, limiter.waiting, lane.in_flight, len(lane.queue)) == (0, 0, 0, 0)
        async with asyncio.timeout(1):
            await limiter.acquire(lane)

    virtual(main())


def test_a_call_cancelled_at_the_moment_it_is_admitted_gives_its_place_back(virtual: Virtual) -> None:
    async def main() -> None:
        limiter = Limiter(concurrency=1, clock=asyncio.get_running_loop().time)
        lane = limiter.add_lane(_lane())
        held = await limiter.acquire(lane)
        waiting = asyncio.ensure_future(limiter.acquire(lane))
        await asyncio.sleep(0)
        limiter.release(held, outcome="ok")  # admits the waiting one, which has not run yet
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert limiter.in_flight == 0
        await limiter.acquire(lane)

    virtual(main())


def test_pause_resume_and_a_new_concurrency_take_effect_at_once(virtual: Virtual) -> None:
    async def main() -> None:
        limiter = Limiter(concurrency=2, clock=asyncio.get_running_loop().time)
        lane = limiter.add_lane(_lane())
        held = [await limiter.acquire(lane) for _ in range(2)]
        tasks = [asyncio.ensure_future(limiter.acquire(lane)) for _ in range(5)]
        await asyncio.sleep(1)
        assert limiter.waiting == 5
        limiter.set_concurrency(4)
        await asyncio.sleep(0)
        assert (limiter.in_flight, limiter.waiting) == (4, 3)
        limiter.pause()
        limiter.release(held[0], outcome="ok")
        await asyncio.sleep(100)
        assert (limiter.in_flight, limiter.waiting) == (3, 3)
        limiter.resume()
        limiter.set_concurrency(100)
        await asyncio.gather(*tasks)
        assert limiter.waiting == 0

    virtual(main())


def test_all_scopes_admit_or_none_is_charged() -> None:
    windows = LocalWindows()
    wide, narrow = WindowScope(name="wide", requests_per_minute=100), WindowScope(name="narrow", concurrency=1)
    first = windows.take([wide, narrow], 0.0, input_tokens=0, output_tokens=0)
    assert not isinstance(first, Denied)
    for _ in range(200):
        denied = windows.take([wide, narrow], 0.0, input_tokens=0, output_tokens=0)
        assert isinstance(denied, Denied)
        assert denied.scope == "narrow"
    windows.settle(first, 0.0, input_tokens=0, output_tokens=0, sent=True)
    assert not isinstance(windows.take([wide], 0.0, input_tokens=0, output_tokens=0), Denied)


# Adaptive concurrency


def _simulate(capacity: int, *, rounds: int = 400, cap: int = 200, random_share: float = 0.0) -> list[int]:
    """A provider that refuses every call beyond `capacity` in flight, and a share of all others."""
    limit = AdaptiveLimit(cap=cap)
    seen: list[int] = []
    for step in range(rounds):
        calls = limit.limit
        for number in range(calls):
            refused = number >= capacity or (number * 7919 + step * 104729) % 1000 < random_share * 1000
            limit.record("throttled" if refused else "ok", now=float(step), in_flight=calls)
        seen.append(limit.limit)
    return seen


def test_adaptive_concurrency_finds_the_capacity_and_reaches_the_cap_without_refusals() -> None:
    settled = _simulate(60)[100:]
    assert 50 < sum(settled) / len(settled) < 72
    assert _simulate(10_000, cap=150)[-1] == 150
    assert max(_simulate(10_000, cap=5)) == 5


def test_adaptive_concurrency_survives_refusals_that_do_not_depend_on_load() -> None:
    settled = _simulate(10_000, random_share=0.1)[100:]
    assert sum(settled) / len(settled) > 7


def test_a_provider_that_refuses_everything_is_left_with_one_call() -> None:
    assert _simulate(0)[-1] == 1


def test_retry_after_pauses_everyone_only_when_refusals_dominate() -> None:
    limit = AdaptiveLimit(cap=50)
    limit.record("throttled", now=10.0, in_flight=20, retry_after_s=30)
    assert limit.paused_until == 0
    for _ in range(10):
        limit.record("throttled", now=10.0, in_flight=20, retry_after_s=30)
    assert limit.paused_until == 40.0


def test_headers_that_say_nothing_remains_pause_the_model(virtual: Virtual) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        limiter = Limiter(concurrency=10, clock=loop.time)
        lane = limiter.add_lane(_lane())
        permit = await limiter.acquire(lane)
        start = loop.time()
        headers = {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "12.5s"}
        limiter.release(permit, outcome="ok", headers=headers)
        await limiter.acquire(lane)
        assert loop.time() - start == pytest.approx(12.5, abs=0.01)

    virtual(main())


@pytest.mark.parametrize(
    ("remaining", "reset", "seconds"),
    [
        ("0", "120ms", 0.12),
        ("0", "6m0s", 360.0),
        ("0", "1h2m3s", 3723.0),
        ("0", "7", 7.0),
        ("0", "1700000030", 30.0),
        ("0", "2023-11-14T22:13:50Z", 30.0),
        ("0", "soon", None),
        ("0", "nan", None),
        ("3", "6m0s", None),
    ],
)
def test_reset_headers_are_understood(remaining: str, reset: str, seconds: float | None) -> None:
    for pair in (
        ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
        ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"),
    ):
        found = reset_after_s({pair[0]: remaining, pair[1].upper(): reset}, wall_now=1_700_000_000.0)
        assert found == (None if seconds is None else pytest.approx(seconds))


@given(st.dictionaries(st.sampled_from(["x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"]), st.text()))
def test_arbitrary_headers_never_raise(headers: dict[str, str]) -> None:
    found = reset_after_s(headers)
    assert found is None or found >= 0
