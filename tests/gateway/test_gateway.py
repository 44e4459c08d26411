"""The gateway as its callers see it, in virtual time, over a scripted transport."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff.errors import BudgetExceeded, ProviderError
from bakeoff.gateway import (
    BudgetSpec,
    Gateway,
    GatewaySpec,
    LimitsSpec,
    ModelRequest,
    ModelResponse,
    PriceSpec,
    RateLimitSpec,
    Spent,
    Usage,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable
    from pathlib import Path

    Virtual = Callable[[Coroutine[Any, Any, Any]], Any]

MODEL = "openai/m"
PRICES = {MODEL: PriceSpec(input_usd=1.0, output_usd=2.0)}


class Scripted:
    """A transport that does what a function of (request, number of the attempt) says."""

    def __init__(self, script: Callable[[ModelRequest, int], Awaitable[ModelResponse]]) -> None:
        self.script = script
        self.requests: list[ModelRequest] = []
        self.times: list[float] = []
        self.in_flight = self.most_in_flight = 0
        self.closed = False

    async def send(self, request: ModelRequest) -> ModelResponse:
        self.requests.append(request)
        self.times.append(asyncio.get_running_loop().time())
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return await self.script(request, len(self.requests))
        finally:
            self.in_flight -= 1

    def prewarm(self, models: Iterable[str]) -> None: ...

    async def aclose(self) -> None:
        self.closed = True


def answer(request: ModelRequest, **more: Any) -> ModelResponse:
    usage = more.pop("usage", Usage(input_tokens=10, output_tokens=5))
    return ModelResponse(
        text=f"re: {request.messages[-1]['content']}",
        model=request.model,
        usage=usage,
        cost_usd=more.pop("cost_usd", 20e-6),
        **more,
    )


def answering(seconds: float = 0.1, **more: Any) -> Scripted:
    async def script(request: ModelRequest, number: int) -> ModelResponse:
        await asyncio.sleep(seconds)
        return answer(request, **more)

    return Scripted(script)


def failing(times: int, error: Callable[[], ProviderError]) -> Scripted:
    """Fail the first so many attempts, then answer."""

    async def script(request: ModelRequest, number: int) -> ModelResponse:
        await asyncio.sleep(0.01)
        if number <= times:
            raise error()
        return answer(request)

    return Scripted(script)


def ask(text: str = "hi", **more: Any) -> ModelRequest:
    return ModelRequest(
        model=more.pop("model", MODEL),
        messages=[{"role": "user", "content": text}],
        params=more.pop("params", {"max_tokens": 100}),
        **more,
    )


def gateway(transport: Any, **more: Any) -> Gateway:
    if "clock" not in more:
        more["clock"] = asyncio.get_running_loop().time
    return Gateway(transport=transport, env=more.pop("env", {}), seed=1, **more)


def server_error() -> ProviderError:
    return ProviderError("broken", kind="server", retryable=True, status=500)


def refused(after: float | None = None) -> ProviderError:
    return ProviderError("too many", kind="rate_limit", retryable=True, retry_after_s=after, status=429)


# Cache and identical calls


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


# Retries, timeouts, fallbacks


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


# Outages


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


# Budget


def budgeted(
    transport: Any,
    *,
    spec: GatewaySpec | None = None,
    spent: Spent | None = None,
    limits: LimitsSpec | None = None,
    **caps: Any,
) -> Gateway:
    return gateway(
        transport, gateway=spec or GatewaySpec(prices=PRICES), budget=BudgetSpec(**caps), spent=spent, limits=limits
    )


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 10**6),
    usd=st.floats(0.0002, 0.01),
    workers=st.integers(1, 40),
)
def test_the_provider_never_bills_more_than_the_budget(virtual: Virtual, seed: int, usd: float, workers: int) -> None:
    """Random latencies, failures before and after billing, cancellations; the bill is kept by the provider."""
    rng = Random(seed)
    bill = Counter[str]()

    async def script(request: ModelRequest, number: int) -> ModelResponse:
        await asyncio.sleep(rng.random())
        fate = rng.random()
        if fate < 0.1:
            raise refused(1.0)
        if fate < 0.15:
            raise server_error()
        output = rng.randint(0, 100)
        cost = (20 * 1.0 + output * 2.0) / 1e6
        bill["usd"] += cost  # type: ignore[assignment]  # a float in a Counter
        if fate < 0.2:
            raise ProviderError("cut", kind="connection", retryable=True)
        if fate < 0.25:
            await asyncio.sleep(10**6)
        return answer(request, usage=Usage(input_tokens=20, output_tokens=output), cost_usd=cost)

    async def main() -> None:
        limits = LimitsSpec(timeout_s=5, concurrency=workers)
        async with budgeted(Scripted(script), usd=usd, limits=limits) as g:
            pending = iter(range(300))

            async def worker() -> None:
                for number in pending:
                    try:
                        async with asyncio.timeout(None if rng.random() < 0.95 else rng.random()):
                            await g.complete(ask(str(number)))
                    except (ProviderError, TimeoutError):
                        continue

            await asyncio.gather(*(worker() for _ in range(workers)))
            assert bill["usd"] <= usd + 1e-9
            assert bill["usd"] <= g.snapshot().spent_usd + 1e-9
            assert (g.snapshot().in_flight, g.snapshot().waiting) == (0, 0)

    virtual(main())


def test_the_budget_covers_task_and_judge_and_says_how_to_go_on(virtual: Virtual) -> None:
    async def main() -> None:
        async with budgeted(answering(), calls=3) as g:
            await g.complete(ask("1"))
            await g.complete(ask("2", purpose="judge"))
            await g.complete(ask("3", purpose="agent"))
            with pytest.raises(BudgetExceeded, match=r"3 calls.*\n.*raise budget\.calls and resume") as caught:
                await g.complete(ask("4"))
            assert caught.value.kind == "budget"
            assert g.snapshot().budget_reached is not None

    virtual(main())


def test_cached_answers_are_free_even_with_nothing_left(virtual: Virtual, tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "c.sqlite"
        async with gateway(answering(), cache_path=path) as g:
            await g.complete(ask())
        async with gateway(answering(), cache_path=path, budget=BudgetSpec(usd=0.0)) as g:
            assert (await g.complete(ask())).cached

    virtual(main())


def test_a_model_without_a_price_is_an_error_that_says_how_to_give_one(virtual: Virtual) -> None:
    async def main() -> None:
        unknown = ask(model="openai/some-private-model")
        async with budgeted(answering(), usd=1.0) as g:
            with pytest.raises(
                ProviderError, match=r"'openai/some-private-model' has no known price.*\n.*gateway\.prices"
            ):
                await g.complete(unknown)
        async with budgeted(answering(), usd=1.0, spec=GatewaySpec(allow_unpriced=True)) as g:
            await g.complete(unknown)
        async with budgeted(answering(), calls=5) as g:
            await g.complete(unknown)

    virtual(main())


@pytest.mark.parametrize(
    ("kind", "billed"),
    [
        ("timeout", True),
        ("connection", True),
        ("bad_response", True),
        ("rate_limit", False),
        ("server", False),
        ("auth", False),
    ],
)
def test_failures_that_may_have_been_billed_are_charged_in_full(virtual: Virtual, kind: Any, billed: bool) -> None:
    async def main() -> None:
        async with budgeted(failing(9, lambda: ProviderError("x", kind=kind)), usd=1.0) as g:
            with pytest.raises(ProviderError):
                await g.complete(ask())
            spent = g.snapshot().spent
            assert (spent.usd > 100 * 2e-6) is billed  # at least the output that was allowed
            assert spent.unconfirmed_usd == spent.usd
            assert spent.calls == 1

    virtual(main())


def test_a_connection_that_was_never_made_costs_nothing(virtual: Virtual) -> None:
    async def main() -> None:
        def error() -> ProviderError:
            failure = ProviderError("x", kind="connection")
            failure.__cause__ = ConnectionRefusedError("refused")
            return failure

        async with budgeted(failing(9, error), usd=1.0) as g:
            with pytest.raises(ProviderError):
                await g.complete(ask())
            assert g.snapshot().spent_usd == 0.0

    virtual(main())


def test_estimates_learn_from_what_the_provider_counts(virtual: Virtual) -> None:
    """A model that writes 10,000 tokens unasked is reserved for after the first answer."""

    async def main() -> None:
        usage = Usage(input_tokens=10, output_tokens=10_000)
        async with budgeted(answering(usage=usage, cost_usd=0.02), usd=0.05) as g:
            assert (await g.complete(ask("1", params={}))).cost_usd == 0.02
            assert (await g.complete(ask("2", params={}))).cost_usd == 0.02
            with pytest.raises(BudgetExceeded):
                await g.complete(ask("3", params={}))
            assert g.snapshot().spent_usd <= 0.05

    virtual(main())


def test_minutes_stop_calls_that_wait_for_a_limit(virtual: Virtual) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        limits = LimitsSpec(requests_per_minute=2)
        start = loop.time()
        async with budgeted(answering(), minutes=3, limits=limits) as g:
            results = await asyncio.gather(*(g.complete(ask(str(n))) for n in range(60)), return_exceptions=True)
        made = [r for r in results if isinstance(r, ModelResponse)]
        assert 4 <= len(made) <= 8
        assert all(isinstance(r, BudgetExceeded) for r in results if r not in made)
        assert loop.time() - start < 5 * 60

    virtual(main())


# Limits


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
