"""Hard budgets around calls, in virtual time over a scripted transport."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff.errors import BudgetExceeded, ProviderError
from bakeoff.gateway import BudgetSpec, Gateway, GatewaySpec, LimitsSpec, ModelRequest, ModelResponse, Spent, Usage
from tests.gateway.support import PRICES, Scripted, answer, answering, ask, failing, gateway, refused, server_error

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    Virtual = Callable[[Coroutine[Any, Any, Any]], Any]


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
