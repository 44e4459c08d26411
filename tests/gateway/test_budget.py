"""Hard budgets: whatever the interleaving, spent plus reserved never passes a cap."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff.errors import BudgetExceeded
from bakeoff.gateway import BudgetSpec, Spent
from bakeoff.gateway._budget import Budget

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    Virtual = Callable[[Coroutine[Any, Any, Any]], Any]


def _budget(spent: Spent | None = None, clock: Callable[[], float] = lambda: 0.0, **caps: Any) -> Budget:
    return Budget(BudgetSpec(**caps), clock=clock, spent=spent)


_plan = st.tuples(
    st.floats(0, 3),  # start
    st.floats(0, 2),  # work
    st.floats(0, 0.4),  # upper estimate in USD
    st.floats(0, 1),  # share of it that is used
    st.integers(1, 400),  # upper estimate in tokens
    st.sampled_from(["", "a", "b"]),
    st.one_of(st.none(), st.floats(0, 4)),  # cancelled when
)


@settings(deadline=None, max_examples=150)
@given(
    plans=st.lists(_plan, min_size=1, max_size=40),
    usd=st.one_of(st.none(), st.floats(0, 2)),
    per_variant=st.one_of(st.none(), st.floats(0, 1)),
    tokens=st.one_of(st.none(), st.integers(1, 3000)),
    calls=st.one_of(st.none(), st.integers(1, 20)),
)
def test_no_interleaving_overspends_or_deadlocks(
    virtual: Virtual,
    plans: list[tuple[float, float, float, float, int, str, float | None]],
    usd: float | None,
    per_variant: float | None,
    tokens: int | None,
    calls: int | None,
) -> None:
    """The ledger here is kept by the test, not read from the budget."""
    spent = {"": 0.0, "a": 0.0, "b": 0.0}
    in_flight = {"": 0.0, "a": 0.0, "b": 0.0}
    ledger = {"tokens": 0.0, "calls": 0}

    async def main() -> None:
        budget = _budget(usd=usd, per_variant_usd=per_variant, tokens=tokens, calls=calls)

        def check() -> None:
            total = sum(spent.values()) + sum(in_flight.values())
            assert usd is None or total <= usd + 1e-6
            for name in ("a", "b"):
                assert per_variant is None or spent[name] + in_flight[name] <= per_variant + 1e-6
            assert tokens is None or ledger["tokens"] <= tokens + 1e-6
            assert calls is None or ledger["calls"] <= calls

        async def call(start: float, work: float, cost: float, share: float, size: int, variant: str) -> None:
            await asyncio.sleep(start)
            reservation = await budget.reserve(variant=variant, usd=cost, tokens=size)
            in_flight[variant] += cost
            ledger["tokens"] += size
            ledger["calls"] += 1
            check()
            used = 0.0
            try:
                await asyncio.sleep(work)
                used = cost * share
                budget.settle(reservation, usd=used, tokens=size * share)
                ledger["tokens"] += size * share - size
            except asyncio.CancelledError:
                budget.cancel(reservation)
                ledger["calls"] -= 1
                ledger["tokens"] -= size
                raise
            finally:
                in_flight[variant] -= cost
                spent[variant] += used

        tasks = [asyncio.ensure_future(call(*plan[:6])) for plan in plans]
        for task, plan in zip(tasks, plans, strict=True):
            if plan[6] is not None:
                asyncio.get_running_loop().call_later(plan[6], task.cancel)
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(r is None or isinstance(r, BudgetExceeded | asyncio.CancelledError) for r in results)
        assert budget.waiting == 0
        assert budget.spent().usd == pytest.approx(sum(spent.values()), abs=1e-6)
        assert budget.spent().calls == ledger["calls"]

    virtual(main())


def test_near_the_cap_calls_wait_for_others_instead_of_stopping_early(virtual: Virtual) -> None:
    """One dollar, calls that may cost 40 cents and do cost one: all hundred are made, at most two at once."""
    running: list[int] = []

    async def main() -> None:
        budget = _budget(usd=1.0)
        now = 0

        async def call() -> None:
            nonlocal now
            reservation = await budget.reserve(usd=0.4)
            now += 1
            running.append(now)
            await asyncio.sleep(1)
            now -= 1
            budget.settle(reservation, usd=0.006, tokens=0)

        await asyncio.gather(*(call() for _ in range(100)))
        assert budget.spent().usd == pytest.approx(0.6)
        with pytest.raises(BudgetExceeded, match=r"0\.600000 USD are spent.*\n.*raise budget\.usd"):
            await budget.reserve(usd=0.41)
        assert budget.reached is not None

    virtual(main())
    assert max(running) == 2


def test_an_overrun_is_recorded_and_seen_by_the_next(virtual: Virtual) -> None:
    async def main() -> None:
        budget = _budget(usd=1.0)
        reservation = await budget.reserve(usd=0.1)
        budget.settle(reservation, usd=0.95, tokens=0)
        with pytest.raises(BudgetExceeded):
            await budget.reserve(usd=0.1)
        assert budget.spent().usd == 0.95

    virtual(main())


def test_waiting_calls_are_refused_when_what_they_wait_for_is_spent(virtual: Virtual) -> None:
    async def main() -> None:
        budget = _budget(usd=1.0)
        first = await budget.reserve(usd=0.9)
        second = asyncio.ensure_future(budget.reserve(usd=0.5))
        await asyncio.sleep(1)
        assert budget.waiting == 1
        budget.settle(first, usd=0.8, tokens=0)
        with pytest.raises(BudgetExceeded):
            await second

    virtual(main())


def test_a_variant_at_its_cap_does_not_stop_the_others(virtual: Virtual) -> None:
    async def main() -> None:
        budget = _budget(per_variant_usd=0.5)
        held = await budget.reserve(variant="a", usd=0.5)
        waiting = asyncio.ensure_future(budget.reserve(variant="a", usd=0.3))
        await asyncio.sleep(0)
        async with asyncio.timeout(1):
            await budget.reserve(variant="b", usd=0.5)
        budget.settle(held, usd=0.5, tokens=0)
        with pytest.raises(BudgetExceeded, match="variant 'a'"):
            await waiting
        assert budget.reached is None, "the run goes on"

    virtual(main())


def test_a_resumed_run_goes_on_from_what_was_spent(virtual: Virtual) -> None:
    async def main() -> None:
        before = Spent(usd=0.9, tokens=50, calls=7, minutes=3.0, per_variant_usd={"a": 0.2})
        with pytest.raises(BudgetExceeded):
            await _budget(before, usd=1.0).reserve(usd=0.2)
        with pytest.raises(BudgetExceeded):
            await _budget(before, tokens=100).reserve(tokens=51)
        with pytest.raises(BudgetExceeded):
            await _budget(before, calls=7).reserve()
        with pytest.raises(BudgetExceeded):
            await _budget(before, minutes=3).reserve()
        with pytest.raises(BudgetExceeded):
            await _budget(before, per_variant_usd=0.3).reserve(variant="a", usd=0.11)
        budget = _budget(before, calls=8)
        budget.settle(await budget.reserve(variant="a"), usd=0.1, tokens=5, confirmed=False)
        after = budget.spent()
        assert (after.calls, after.tokens, after.usd) == (8, 55, 1.0)
        assert after.unconfirmed_usd == pytest.approx(0.1)
        assert after.per_variant_usd["a"] == pytest.approx(0.3)

    virtual(main())


def test_minutes_end(virtual: Virtual) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        budget = _budget(clock=loop.time, minutes=2)
        await asyncio.sleep(119)
        await budget.reserve()
        await asyncio.sleep(2)
        with pytest.raises(BudgetExceeded, match="2 minutes"):
            await budget.reserve()

    virtual(main())


def test_a_free_call_passes_a_budget_of_nothing(virtual: Virtual) -> None:
    async def main() -> None:
        budget = _budget(usd=0.0)
        await budget.reserve(usd=0.0)
        with pytest.raises(BudgetExceeded):
            await budget.reserve(usd=0.001)

    virtual(main())


def test_a_call_cancelled_at_the_moment_it_is_admitted_gives_its_room_back(virtual: Virtual) -> None:
    async def main() -> None:
        budget = _budget(usd=1.0)
        first = await budget.reserve(usd=1.0)
        waiting = asyncio.ensure_future(budget.reserve(usd=1.0))
        await asyncio.sleep(0)
        budget.cancel(first)  # admits the waiting one, which has not run yet
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await budget.reserve(usd=1.0)

    virtual(main())
