"""One queue in front of every model: who may call now, and who waits for what."""

from __future__ import annotations

import asyncio
import heapq
import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bakeoff.errors import ProviderError
from bakeoff.gateway._adaptive import AdaptiveLimit, Outcome, reset_after_s
from bakeoff.gateway._window import Denied, LocalWindows, Ticket, WindowScope, WindowStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Lane", "Limiter", "Permit"]

_SHORTEST_WAIT_S = 0.001


class Lane:
    """The queue of one model on one key, in order of arrival."""

    __slots__ = ("adaptive", "full", "in_flight", "name", "needs_tokens", "queue", "scopes")

    def __init__(self, name: str, scopes: Sequence[WindowScope], adaptive: AdaptiveLimit) -> None:
        self.name = name
        self.scopes = tuple(scopes)
        self.adaptive = adaptive
        self.in_flight = 0
        self.full = False
        """The provider has just refused a call: start no other before one in flight has ended."""
        self.queue: deque[_Waiter] = deque()
        self.needs_tokens = any(scope.tokens_per_minute is not None for scope in scopes)


@dataclass(slots=True)
class Permit:
    """The right to make one call; give it back with `Limiter.release`."""

    lane: Lane
    ticket: Ticket | None


class _Waiter:
    __slots__ = ("future", "input_tokens", "number", "output_tokens", "queued")

    def __init__(self, number: int, future: asyncio.Future[Permit], input_tokens: float, output_tokens: float) -> None:
        self.number = number
        self.future = future
        self.input_tokens = input_tokens
        self.output_tokens = output_tokens
        self.queued = True


class Limiter:
    """Admit calls under the concurrency of the run, of each model, and under declared limits.

    Calls are admitted in order of arrival. A call that waits for a limit holds back only later calls
    that need the same limit, so nothing starves and one slow model does not stop another.

    Args:
        concurrency: Most calls in flight, of all lanes.
        clock: Monotonic seconds, the same as the event loop's.
        windows: Where declared limits are counted.
        longest_pause_s: Longest pause of a lane, whatever the provider asks for.
    """

    def __init__(
        self,
        *,
        concurrency: int,
        clock: Callable[[], float],
        windows: WindowStore | None = None,
        longest_pause_s: float = 300.0,
    ) -> None:
        self._longest_pause_s = longest_pause_s
        self.concurrency = concurrency
        self.in_flight = 0
        self.waiting = 0
        self.paused = False
        self.is_closed = False
        self.windows: WindowStore = LocalWindows() if windows is None else windows
        self._clock = clock
        self._lanes: list[Lane] = []
        self._number = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf

    def add_lane(self, lane: Lane) -> Lane:
        """Register a lane; its calls wait in it."""
        self._lanes.append(lane)
        return lane

    @property
    def lanes(self) -> Sequence[Lane]:
        """All lanes in order of first use."""
        return self._lanes

    async def acquire(self, lane: Lane, *, input_tokens: float = 0, output_tokens: float = 0) -> Permit:
        """Wait for the right to make one call.

        Args:
            lane: The model's queue.
            input_tokens: Estimate, for token limits.
            output_tokens: Estimate, for token limits.

        Raises:
            ProviderError: The limiter is closed.
        """
        if self.is_closed:
            raise _closed()
        if not self.waiting and not self.paused and self.in_flight < self.concurrency:
            permit = self._try(lane, self._clock(), input_tokens, output_tokens)
            if isinstance(permit, Permit):
                return permit
        self._number += 1
        waiter = _Waiter(self._number, asyncio.get_running_loop().create_future(), input_tokens, output_tokens)
        lane.queue.append(waiter)
        self.waiting += 1
        self._pump()
        try:
            return await waiter.future
        except asyncio.CancelledError:
            if waiter.future.done() and not waiter.future.cancelled():
                if waiter.future.exception() is not None:
                    raise
                self.release(waiter.future.result(), sent=False)
            else:
                self._forget(lane, waiter)
                self._pump()
            raise

    def release(
        self,
        permit: Permit,
        *,
        outcome: Outcome = "abandoned",
        sent: bool = True,
        input_tokens: float = 0,
        output_tokens: float = 0,
        retry_after_s: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Give back a permit with what the call used; `sent=False` when it was never made."""
        lane = permit.lane
        now = self._clock()
        if permit.ticket is not None:
            self.windows.settle(permit.ticket, now, input_tokens=input_tokens, output_tokens=output_tokens, sent=sent)
        if retry_after_s is not None:
            retry_after_s = min(retry_after_s, self._longest_pause_s)
        lane.adaptive.record(outcome, now=now, in_flight=lane.in_flight, retry_after_s=retry_after_s)
        if headers:
            reset = reset_after_s(headers)
            if reset is not None:
                lane.adaptive.pause(now + min(reset, self._longest_pause_s))
        lane.full = outcome == "throttled" and lane.adaptive.is_enabled
        lane.in_flight -= 1
        self.in_flight -= 1
        if self.waiting:
            self._pump()

    def set_concurrency(self, concurrency: int) -> None:
        """Change how many calls may be in flight; those in flight finish."""
        self.concurrency = concurrency
        self._pump()

    def pause(self) -> None:
        """Start nothing new; calls in flight finish."""
        self.paused = True

    def resume(self) -> None:
        """Start calls again."""
        self.paused = False
        self._pump()

    def close(self) -> None:
        """Turn away everyone who waits, and close the store of declared limits."""
        self.is_closed = True
        self._cancel_timer()
        for lane in self._lanes:
            while lane.queue:
                waiter = lane.queue[0]
                self._forget(lane, waiter)
                if not waiter.future.done():
                    waiter.future.set_exception(_closed())
        self.windows.close()

    def _try(self, lane: Lane, now: float, input_tokens: float, output_tokens: float) -> Permit | Denied:
        adaptive = lane.adaptive
        if now < adaptive.paused_until:
            return Denied(scope="", wait_s=adaptive.paused_until - now)
        if lane.in_flight >= adaptive.limit or (lane.full and lane.in_flight):
            return Denied(scope="", wait_s=math.inf)
        ticket: Ticket | None = None
        if lane.scopes:
            taken = self.windows.take(lane.scopes, now, input_tokens=input_tokens, output_tokens=output_tokens)
            if isinstance(taken, Denied):
                return taken
            ticket = taken
        lane.in_flight += 1
        self.in_flight += 1
        return Permit(lane, ticket)

    def _pump(self) -> None:
        """Admit, oldest first, everyone for whom there is room."""
        if self.paused or not self.waiting:
            return
        now = self._clock()
        heads = [(lane.queue[0].number, index, lane) for index, lane in enumerate(self._lanes) if lane.queue]
        heapq.heapify(heads)
        claimed: set[str] = set()
        wait = math.inf
        while heads and self.in_flight < self.concurrency:
            _, index, lane = heads[0]
            waiter = lane.queue[0]
            if waiter.future.done():  # cancelled, and its caller has not run yet
                self._forget(lane, waiter)
                if lane.queue:
                    heapq.heapreplace(heads, (lane.queue[0].number, index, lane))
                else:
                    heapq.heappop(heads)
                continue
            if claimed and any(scope.name in claimed for scope in lane.scopes):
                heapq.heappop(heads)
                continue
            permit = self._try(lane, now, waiter.input_tokens, waiter.output_tokens)
            if isinstance(permit, Denied):
                wait = min(wait, permit.wait_s)
                if permit.scope:
                    claimed.add(permit.scope)
                heapq.heappop(heads)
                continue
            self._forget(lane, waiter)
            waiter.future.set_result(permit)
            if lane.queue:
                heapq.heapreplace(heads, (lane.queue[0].number, index, lane))
            else:
                heapq.heappop(heads)
        self._wake_after(now, wait)

    def _forget(self, lane: Lane, waiter: _Waiter) -> None:
        if waiter.queued:
            waiter.queued = False
            lane.queue.remove(waiter)
            self.waiting -= 1

    def _wake_after(self, now: float, wait: float) -> None:
        if wait == math.inf:
            return
        at = now + max(wait, _SHORTEST_WAIT_S)
        if self._timer is not None:
            if self._timer_at <= at:
                return
            self._cancel_timer()
        self._timer_at = at
        self._timer = asyncio.get_running_loop().call_later(at - now, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._timer_at = math.inf
        self._pump()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        self._timer_at = math.inf


def _closed() -> ProviderError:
    return ProviderError("the gateway was closed while the call waited for its turn", kind="cancelled")
