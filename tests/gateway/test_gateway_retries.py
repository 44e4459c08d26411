"""Retries, timeouts, fallbacks and outages, in virtual time over a scripted transport."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from bakeoff.errors import ProviderError
from bakeoff.gateway import GatewaySpec, LimitsSpec, ModelRequest, ModelResponse
from tests.gateway.support import MODEL, Scripted, answer, ask, failing, gateway, refused, server_error

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    Virtual = Callable[[Coroutine[Any, Any, Any]], Any]


def test_errors_that_may_pass_are_tried_again_and_counted(virtual: Virtual) -> None:
    async def main() -> None:
        transport = failing(3, server_error)
        async with gateway(transport) as g:
            response = await g.complete(ask())
            assert (response.attempts, response.text) == (4, "re: hi")
            snapshot = g.snapshot()
            assert (snapshot.errors, snapshot.failed, snapshot.retries) == ({"server": 3}, {}, 3)

    virtual(main())


def test_errors_that_cannot_pass_are_not_tried_again(virtual: Virtual) -> None:
    async def main() -> None:
        for kind in ("auth", "bad_request", "context_length", "content_filter", "not_found"):
            transport = failing(9, lambda kind=kind: ProviderError("no", kind=kind))
            async with gateway(transport) as g:
                with pytest.raises(ProviderError, match=r"^no$"):
                    await g.complete(ask())
            assert len(transport.requests) == 1

    virtual(main())


def test_attempts_end_and_the_message_says_so(virtual: Virtual) -> None:
    async def main() -> None:
        transport = failing(99, server_error)
        async with gateway(transport, limits=LimitsSpec(attempts=3)) as g:
            with pytest.raises(ProviderError, match=r"broken \(gave up after 3 attempts\)") as caught:
                await g.complete(ask())
            assert (caught.value.kind, caught.value.status) == ("server", 500)
            assert g.snapshot().failed == {"server": 1}
        assert len(transport.requests) == 3

    virtual(main())


def test_retry_after_is_heeded(virtual: Virtual) -> None:
    async def main() -> None:
        transport = failing(2, lambda: refused(20))
        async with gateway(transport) as g:
            await g.complete(ask())
        gaps = [b - a for a, b in zip(transport.times, transport.times[1:], strict=False)]
        assert all(20 <= gap <= 22.1 for gap in gaps)

    virtual(main())


def test_a_call_that_hangs_ends_although_the_transport_never_does(virtual: Virtual) -> None:
    async def main() -> None:
        async def hang(request: ModelRequest, number: int) -> ModelResponse:
            await asyncio.Event().wait()
            raise AssertionError

        loop = asyncio.get_running_loop()
        start = loop.time()
        async with gateway(Scripted(hang), limits=LimitsSpec(timeout_s=10, attempts=2)) as g:
            with pytest.raises(ProviderError, match=r"'openai/m' did not answer within 10 s") as caught:
                await g.complete(ask())
            assert caught.value.kind == "timeout"
            assert g.snapshot().in_flight == 0
        assert loop.time() - start < 2 * 15 + 1

    virtual(main())


def test_a_foreign_exception_becomes_a_provider_error(virtual: Virtual) -> None:
    async def main() -> None:
        async def broken(request: ModelRequest, number: int) -> ModelResponse:
            raise ZeroDivisionError("division by zero")

        async with gateway(Scripted(broken)) as g:
            with pytest.raises(ProviderError, match="ZeroDivisionError: division by zero") as caught:
                await g.complete(ask())
            assert caught.value.kind == "unknown"
            assert (g.snapshot().in_flight, g.snapshot().spent.calls) == (0, 1)

    virtual(main())


def test_a_fallback_answers_and_is_marked_and_not_cached_for_the_first_model(virtual: Virtual, tmp_path: Path) -> None:
    async def main() -> None:
        async def script(request: ModelRequest, number: int) -> ModelResponse:
            if request.model == MODEL:
                raise ProviderError("gone", kind="not_found", status=404)
            return answer(request)

        transport = Scripted(script)
        spec = GatewaySpec(fallbacks={MODEL: ["openai/also-gone", "openai/n"]})
        spec = spec.model_copy(update={"fallbacks": {MODEL: ["openai/n"]}})
        async with gateway(transport, gateway=spec, cache_path=tmp_path / "c.sqlite") as g:
            for _ in range(2):
                response = await g.complete(ask())
                assert (response.fallback_from, response.model, response.attempts) == (MODEL, "openai/n", 2)
                assert not response.cached
            assert g.snapshot().fallbacks == 2
        async with gateway(Scripted(script)) as g:
            with pytest.raises(ProviderError, match="gone"):
                await g.complete(ask())

    virtual(main())


def test_a_bad_request_does_not_fall_back(virtual: Virtual) -> None:
    async def main() -> None:
        transport = failing(9, lambda: ProviderError("no", kind="bad_request"))
        async with gateway(transport, gateway=GatewaySpec(fallbacks={MODEL: ["openai/n"]})) as g:
            with pytest.raises(ProviderError):
                await g.complete(ask())
        assert len(transport.requests) == 1

    virtual(main())


def test_a_dead_endpoint_fails_fast(virtual: Virtual) -> None:
    async def main() -> None:
        transport = failing(10**6, lambda: ProviderError("refused", kind="connection", retryable=True))
        loop = asyncio.get_running_loop()
        start = loop.time()
        async with gateway(transport) as g:
            results = await asyncio.gather(*(g.complete(ask(str(n))) for n in range(1000)), return_exceptions=True)
            assert all(isinstance(r, ProviderError) for r in results)
            assert "left alone" in str(results[-1])
            assert g.snapshot().breakers == {MODEL: "open"}
        assert len(transport.requests) < 200
        assert loop.time() - start < 60

    virtual(main())


def test_five_minutes_without_network_lose_nothing(virtual: Virtual) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()

        async def script(request: ModelRequest, number: int) -> ModelResponse:
            await asyncio.sleep(0.2)
            if 10 < loop.time() - start < 310:
                raise ProviderError("unreachable", kind="connection", retryable=True)
            return answer(request)

        transport = Scripted(script)
        async with gateway(transport, limits=LimitsSpec(concurrency=20)) as g:
            pending = iter(range(3000))

            async def worker() -> None:
                for number in pending:
                    assert (await g.complete(ask(str(number)))).text == f"re: {number}"

            await asyncio.gather(*(worker() for _ in range(20)))
            assert g.snapshot().failed == {}
        assert len(transport.requests) < 3100, "it is left alone meanwhile"

    virtual(main())


def test_probes_of_an_outage_do_not_use_up_the_attempts_of_a_call(virtual: Virtual) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()

        async def script(request: ModelRequest, number: int) -> ModelResponse:
            if 0 < loop.time() - start < 200:
                raise ProviderError("unreachable", kind="connection", retryable=True)
            return answer(request)

        limits, spec = LimitsSpec(concurrency=1, attempts=2), GatewaySpec(breaker_failures=1)
        async with gateway(Scripted(script), limits=limits, gateway=spec) as g:
            await g.complete(ask("before"))
            await asyncio.sleep(1)
            response = await g.complete(ask("during"))
            assert 5 <= response.attempts <= 9

    virtual(main())
