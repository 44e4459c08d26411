"""The gateway as its callers see it: the cache, identical calls in flight, the end. In virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bakeoff.errors import ProviderError
from bakeoff.gateway import BudgetSpec, GatewaySpec, LimitsSpec
from tests.gateway.support import answering, ask, failing, gateway

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    Virtual = Callable[[Coroutine[Any, Any, Any]], Any]


async def test_an_answer_is_paid_for_once_also_across_sessions(tmp_path: Path) -> None:
    transport = answering(0)
    for session in range(2):
        async with gateway(transport, cache_path=tmp_path / "c.sqlite") as g:
            first, second = await g.complete(ask()), await g.complete(ask(purpose="judge", variant="other"))
            assert (first.cached, second.cached) == (session == 1, True)
            assert second.text == first.text
            assert (second.cost_usd, second.usage, second.route) == (first.cost_usd, first.usage, "cache")
            assert g.snapshot().spent_usd == pytest.approx(20e-6 if session == 0 else 0.0)
    assert len(transport.requests) == 1
    assert transport.closed


async def test_repeats_are_separate_samples(tmp_path: Path) -> None:
    transport = answering(0)
    async with gateway(transport, cache_path=tmp_path / "c.sqlite") as g:
        await asyncio.gather(*(g.complete(ask(repeat=repeat)) for repeat in (0, 1, 2, 0)))
    assert len(transport.requests) == 3


async def test_refresh_asks_again_and_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    async with gateway(answering(0, finish_reason="old"), cache_path=path) as g:
        await g.complete(ask())
    async with gateway(answering(0, finish_reason="new"), cache_path=path, gateway=GatewaySpec(refresh=True)) as g:
        assert (await g.complete(ask())).finish_reason == "new"
    async with gateway(answering(0), cache_path=path) as g:
        assert (await g.complete(ask())).finish_reason == "new"


async def test_no_cache_keeps_nothing(tmp_path: Path) -> None:
    transport = answering(0)
    async with gateway(transport, cache_path=tmp_path / "c.sqlite", gateway=GatewaySpec(cache=False)) as g:
        await g.complete(ask())
        await g.complete(ask())
    assert len(transport.requests) == 2
    assert not (tmp_path / "c.sqlite").exists()


def test_identical_calls_in_flight_are_made_once_and_charged_once(virtual: Virtual) -> None:
    async def main() -> None:
        transport = answering(1)
        async with gateway(transport) as g:
            answers = await asyncio.gather(*(g.complete(ask()) for _ in range(10)))
            assert len(transport.requests) == 1
            assert [a.cached for a in answers].count(False) == 1
            snapshot = g.snapshot()
            assert (snapshot.calls, snapshot.shared, snapshot.spent.calls) == (10, 9, 1)

    virtual(main())


def test_when_the_one_that_calls_is_cancelled_another_takes_over(virtual: Virtual) -> None:
    async def main() -> None:
        transport = answering(1)
        async with gateway(transport) as g:
            tasks = [asyncio.ensure_future(g.complete(ask())) for _ in range(4)]
            await asyncio.sleep(0.5)
            tasks[0].cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert isinstance(results[0], asyncio.CancelledError)
            assert [r.text for r in results[1:]] == ["re: hi"] * 3
            assert len(transport.requests) == 2
            assert g.snapshot().in_flight == 0

    virtual(main())


def test_an_error_reaches_everyone_who_waited_for_it(virtual: Virtual) -> None:
    async def main() -> None:
        transport = failing(1, lambda: ProviderError("no", kind="bad_request"))
        async with gateway(transport) as g:
            results = await asyncio.gather(*(g.complete(ask()) for _ in range(3)), return_exceptions=True)
            assert [getattr(r, "kind", None) for r in results] == ["bad_request"] * 3
            assert (await g.complete(ask())).text == "re: hi", "an error is not kept"

    virtual(main())


async def test_a_closed_gateway_says_so() -> None:
    g = gateway(answering(0))
    async with g:
        await g.complete(ask())
    with pytest.raises(ProviderError, match="closed"):
        await g.complete(ask("2"))


def test_closing_turns_away_everyone_who_waits(virtual: Virtual) -> None:
    async def main() -> None:
        transport = answering(1.0)
        g = gateway(transport, limits=LimitsSpec(concurrency=2, requests_per_minute=6), budget=BudgetSpec(calls=5))
        tasks = [asyncio.ensure_future(g.complete(ask(str(n)))) for n in range(20)]
        await asyncio.sleep(0.5)
        await g.aclose()
        async with asyncio.timeout(120):
            results = await asyncio.gather(*tasks, return_exceptions=True)
        assert {getattr(r, "kind", "answered") for r in results} == {"answered", "cancelled"}
        assert (g.snapshot().waiting, g.snapshot().in_flight) == (0, 0)

    virtual(main())


def test_secrets_stay_out_of_the_cache_file(tmp_path: Path) -> None:
    async def main() -> None:
        request = replace(ask(), headers={"authorization": "Bearer sk-header"}, api_key_env="MY_KEY")
        async with gateway(answering(0), cache_path=tmp_path / "c.sqlite", env={"MY_KEY": "sk-secret"}) as g:
            await g.complete(request)

    asyncio.run(main())
    data = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert data
    assert b"sk-" not in data
