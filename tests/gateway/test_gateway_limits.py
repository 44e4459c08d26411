"""Declared limits and concurrency around calls, in virtual time over a scripted transport."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from bakeoff.gateway import LimitsSpec, ModelRequest, ModelResponse, RateLimitSpec
from tests.gateway.support import Scripted, answer, answering, ask, gateway, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    Virtual = Callable[[Coroutine[Any, Any, Any]], Any]


def test_declared_limits_hold_for_model_provider_and_key_together(virtual: Virtual) -> None:
    async def main() -> None:
        transport = answering(0.5)
        limits = LimitsSpec(
            requests_per_minute=100,
            per_model={
                "openai": RateLimitSpec(requests_per_minute=60),
                "openai/a": RateLimitSpec(requests_per_minute=20, concurrency=2),
                "OTHER_KEY": RateLimitSpec(requests_per_minute=10),
            },
        )
        plans = [("openai/a", None)] * 60 + [("openai/b", None)] * 120 + [("groq/c", "OTHER_KEY")] * 30
        async with gateway(transport, limits=limits) as g:
            await asyncio.gather(
                *(g.complete(ask(str(n), model=model, api_key_env=key)) for n, (model, key) in enumerate(plans))
            )
        sent = list(zip(transport.times, transport.requests, strict=True))

        def fullest(*models: str) -> int:
            times = [t for t, request in sent if request.model in models]
            return max(sum(t <= u < t + 60 for u in times) for t in times)

        assert fullest("openai/a") <= 20
        assert fullest("openai/a", "openai/b") <= 60
        assert fullest("groq/c") <= 10
        assert fullest("openai/a", "openai/b", "groq/c") <= 100
        assert fullest("openai/a", "openai/b") >= 50, "and they are used"

    virtual(main())


def test_concurrency_is_never_passed_and_can_be_changed_while_running(virtual: Virtual) -> None:
    async def main() -> None:
        transport = answering(1.0)
        async with gateway(transport, limits=LimitsSpec(concurrency=7)) as g:
            tasks = [asyncio.ensure_future(g.complete(ask(str(n)))) for n in range(200)]
            await asyncio.sleep(3.5)
            assert transport.most_in_flight == 7
            g.set_concurrency(30)
            await asyncio.sleep(10)
            assert 25 <= transport.most_in_flight <= 30
            g.pause()
            await asyncio.sleep(5)
            sent = len(transport.requests)
            await asyncio.sleep(60)
            assert (len(transport.requests), g.snapshot().paused, g.snapshot().in_flight) == (sent, True, 0)
            g.resume()
            await asyncio.gather(*tasks)
        assert len(transport.requests) == 200

    virtual(main())


def test_a_provider_with_a_rate_limit_of_its_own_is_served_completely(virtual: Virtual) -> None:
    """Nothing is declared; the provider refuses above 5 calls a second and says nothing about waiting."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        accepted: list[float] = []
        refusals = 0

        async def script(request: ModelRequest, number: int) -> ModelResponse:
            nonlocal refusals
            now = loop.time()
            if sum(t > now - 1 for t in accepted[-6:]) >= 5:
                refusals += 1
                raise refused(1.0)
            accepted.append(now)
            await asyncio.sleep(1.0)
            return answer(request)

        async with gateway(Scripted(script), limits=LimitsSpec(concurrency=50)) as g:
            pending = iter(range(1000))

            async def worker() -> None:
                for number in pending:
                    await g.complete(ask(str(number)))

            start = loop.time()
            await asyncio.gather(*(worker() for _ in range(50)))
            assert g.snapshot().failed == {}
        assert len(accepted) == 1000
        assert refusals < 500
        assert loop.time() - start < 3 * 200, "at best 200 s"

    virtual(main())
