"""Whether a call may be sent now, and what becomes of its reservation afterwards.

Breaker, budget and limits in one place, so that whatever a call took is given back or settled exactly once.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, NamedTuple

from bakeoff.errors import BudgetExceeded, ProviderError

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from bakeoff.gateway._budget import Budget, Reservation
    from bakeoff.gateway._counts import Counts
    from bakeoff.gateway._limiter import Limiter, Permit
    from bakeoff.gateway._models import Call
    from bakeoff.gateway._types import ModelResponse

__all__ = ["Admission", "Admitted"]

_NEVER_BILLED = frozenset(
    {"rate_limit", "server", "auth", "bad_request", "context_length", "content_filter", "not_found", "budget"}
)
_BREAKER_POLL_S = 1.0


class Admitted(NamedTuple):
    """What one attempt holds while it is at the provider."""

    reservation: Reservation
    permit: Permit
    probe: bool
    """Whether the attempt tests a model that was out."""


class Admission:
    """The way in and out for every attempt.

    Args:
        budget: Hard limits of the run.
        limiter: Concurrency and declared limits.
        counts: Where answers and failures are counted.
        breaker_failures: For the message of a model that is left alone.
        on_spent: Called after each attempt that was charged.
        clock: Monotonic seconds.
        rng: Spreads the waits for a breaker.
    """

    def __init__(
        self,
        budget: Budget,
        limiter: Limiter,
        counts: Counts,
        *,
        breaker_failures: int,
        on_spent: Callable[[], None] | None,
        clock: Callable[[], float],
        rng: Random,
    ) -> None:
        self._budget = budget
        self._limiter = limiter
        self._counts = counts
        self._breaker_failures = breaker_failures
        self._on_spent = on_spent
        self._clock = clock
        self._rng = rng
        self.closed = False

    def close(self) -> None:
        """Admit nothing more; whoever waits is turned away."""
        self.closed = True
        self._limiter.close()

    async def admit(self, call: Call) -> Admitted:
        """Wait until one attempt may be made, and reserve what it may use.

        Raises:
            ProviderError: The model is out and not worth waiting for, or the gateway is closed.
            BudgetExceeded: The attempt could overshoot a hard budget.
        """
        model = call.model
        while True:
            if not model.breaker.is_closed:
                await self._wait_for_breaker(call)
            reservation = await self._budget.reserve(
                variant=call.request.variant, usd=call.usd, tokens=call.input_tokens + call.output_tokens
            )
            try:
                permit = await self._limiter.acquire(
                    model.lane, input_tokens=call.input_tokens, output_tokens=call.output_tokens
                )
            except BaseException:
                self._budget.cancel(reservation)
                raise
            try:
                self._budget.check_time()
                probe = model.breaker.admit(self._clock())
            except BudgetExceeded:
                self._give_back(reservation, permit)
                raise
            if probe is not None:
                return Admitted(reservation, permit, probe)
            self._give_back(reservation, permit)  # the breaker opened while this call was queued

    def settle_answer(self, call: Call, held: Admitted, response: ModelResponse) -> None:
        """Charge an answer, and let the next call in."""
        usage = response.usage
        self._counts.add_usage(usage)
        self._budget.settle(
            held.reservation, usd=response.cost_usd or 0.0, tokens=usage.input_tokens + usage.output_tokens
        )
        self._limiter.release(
            held.permit,
            outcome="ok",
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            headers=response.rate_limit,
        )
        call.model.breaker.record_success()
        if self._on_spent is not None:
            self._on_spent()
        if call.estimate:
            call.model.forecast.learn(call.estimate, usage)

    def settle_failure(self, call: Call, held: Admitted, error: ProviderError) -> None:
        """Charge a failure in full if it may have been billed, and let the next call in."""
        self._counts.errors[error.kind] += 1
        billed = error.kind not in _NEVER_BILLED and not _was_never_sent(error)
        tokens = (call.input_tokens, call.output_tokens) if billed else (0, 0)
        self._budget.settle(held.reservation, usd=call.usd if billed else 0.0, tokens=sum(tokens), confirmed=not billed)
        if billed and self._on_spent is not None:
            self._on_spent()
        throttled = error.kind == "rate_limit" or error.status in (503, 529)
        self._limiter.release(
            held.permit,
            outcome="throttled" if throttled else "failed",
            # The provider may count what it refused: the input always, the output when it may have been written.
            input_tokens=call.input_tokens,
            output_tokens=tokens[1],
            retry_after_s=error.retry_after_s,
        )
        call.model.breaker.record_failure(error.kind, now=self._clock(), probe=held.probe, message=str(error))

    def _give_back(self, reservation: Reservation, permit: Permit) -> None:
        self._limiter.release(permit, sent=False)
        self._budget.cancel(reservation)

    async def _wait_for_breaker(self, call: Call) -> None:
        breaker = call.model.breaker
        while (wait := breaker.wait_s(self._clock())) > 0:
            self._budget.check_time()
            if self.closed or breaker.is_hopeless(self._clock()):
                raise ProviderError(
                    f"model {call.request.model!r} is left alone for {wait:.0f} s after "
                    f"{self._breaker_failures} failures in a row; the last: {breaker.last_error}",
                    kind="server",
                    retry_after_s=wait,
                )
            await asyncio.sleep(min(wait, _BREAKER_POLL_S) * (1 + 0.2 * self._rng.random()))


def _was_never_sent(error: BaseException) -> bool:
    """Whether a failure happened before a byte of the request could leave: no connection was made."""
    seen = 0
    cause: BaseException | None = error.__cause__
    while cause is not None and seen < 5:
        if isinstance(cause, ConnectionRefusedError | socket.gaierror):
            return True
        if type(cause).__name__.startswith(("ClientConnector", "ConnectionTimeout", "ConnectTimeout", "ConnectError")):
            return True
        cause = cause.__cause__ or cause.__context__
        seen += 1
    return False
