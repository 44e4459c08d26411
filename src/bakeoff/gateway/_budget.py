"""Hard budgets: reserved before a call with an upper estimate, settled after it."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bakeoff.errors import BudgetExceeded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bakeoff.gateway._config import BudgetSpec

__all__ = ["Budget", "Reservation", "Spent"]

_EPSILON = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What calls have used: of a session, or of the earlier sessions of a resumed run.

    Attributes:
        usd: Charged against the budget: the cost of answers, plus `unconfirmed_usd`.
        unconfirmed_usd: Part of `usd` for calls that failed after they may have been billed (timeout,
            reset, cut or malformed answer, cancelled): their full upper estimate.
        tokens: Input plus output, charged in the same way.
        calls: Attempts sent to a provider.
        minutes: Wall-clock minutes.
        per_variant_usd: `usd` by variant.
    """

    usd: float = 0.0
    unconfirmed_usd: float = 0.0
    tokens: int = 0
    calls: int = 0
    minutes: float = 0.0
    per_variant_usd: Mapping[str, float] = field(default_factory=dict)


class Reservation:
    """Room held for one attempt; give it back with `Budget.settle`."""

    __slots__ = ("tokens", "usd", "variant")

    def __init__(self, variant: str, usd: float, tokens: float) -> None:
        self.variant = variant
        self.usd = usd
        self.tokens = tokens


class _Account:
    """One quantity with a cap: spent + reserved never passes it."""

    __slots__ = ("cap", "open", "reserved", "spent")

    def __init__(self, cap: float | None, spent: float = 0.0) -> None:
        self.cap = cap
        self.spent = spent
        self.reserved = 0.0
        self.open = 0

    def refuses(self, amount: float) -> bool:
        """Whether `amount` has no room even if all that is in flight turned out to be free."""
        return self.cap is not None and self.spent + amount > self.cap + _EPSILON

    def must_wait(self, amount: float) -> bool:
        return self.cap is not None and self.spent + self.reserved + amount > self.cap + _EPSILON

    def hold(self, amount: float) -> None:
        self.reserved += amount
        self.open += 1

    def settle(self, held: float, used: float) -> None:
        self.spent += used
        self.open -= 1
        self.reserved = self.reserved - held if self.open else 0.0  # no drift from rounding


class _Waiter:
    __slots__ = ("future", "reservation")

    def __init__(self, reservation: Reservation, future: asyncio.Future[None]) -> None:
        self.reservation = reservation
        self.future = future


class Budget:
    """The hard budget of one run: task, judge and agent calls together.

    A call whose upper estimate does not fit beside what is spent is refused. One that would only fit
    when calls in flight cost less than reserved waits for them: near the cap a run slows down, rather
    than stop early or overshoot.

    Args:
        spec: The caps; `None` means no cap.
        clock: Monotonic seconds.
        spent: What earlier sessions of the same run used.
    """

    def __init__(self, spec: BudgetSpec, *, clock: Callable[[], float], spent: Spent | None = None) -> None:
        spent = spent if spent is not None else Spent()
        self._clock = clock
        self._start = clock()
        self._spec = spec
        self._minutes_before = spent.minutes
        self._unconfirmed_usd = spent.unconfirmed_usd
        self._usd = _Account(spec.usd, spent.usd)
        self._tokens = _Account(spec.tokens, spent.tokens)
        self._calls = _Account(spec.calls, spent.calls)
        self._variants = {
            name: _Account(spec.per_variant_usd, usd) for name, usd in spent.per_variant_usd.items() if name
        }
        self._has_caps = any(value is not None for value in spec.model_dump().values())
        self._waiters: deque[_Waiter] = deque()
        self.reached: str | None = None
        """The first refusal, in words; `None` while the budget lasts."""

    @property
    def needs_usd(self) -> bool:
        """Whether reservations must carry a price."""
        return self._spec.usd is not None or self._spec.per_variant_usd is not None

    @property
    def needs_tokens(self) -> bool:
        """Whether reservations must carry tokens."""
        return self._spec.tokens is not None

    @property
    def spent_usd(self) -> float:
        """What is charged so far, earlier sessions included."""
        return self._usd.spent

    @property
    def waiting(self) -> int:
        """Calls that wait for others to settle."""
        return len(self._waiters)

    def spent(self) -> Spent:
        """Return what is spent so far, earlier sessions included."""
        return Spent(
            usd=self._usd.spent,
            unconfirmed_usd=self._unconfirmed_usd,
            tokens=round(self._tokens.spent),
            calls=round(self._calls.spent),
            minutes=self._elapsed_minutes(),
            per_variant_usd={name: account.spent for name, account in self._variants.items()},
        )

    def check_time(self) -> None:
        """Refuse when the minutes are over.

        Raises:
            BudgetExceeded: They are.
        """
        minutes = self._spec.minutes
        if minutes is not None and self._elapsed_minutes() >= minutes:
            raise self._refusal("minutes", f"{minutes:g} minutes", "all of it is used")

    async def reserve(self, *, variant: str = "", usd: float = 0.0, tokens: float = 0.0) -> Reservation:
        """Hold room for one attempt, waiting for calls in flight when they may leave enough.

        Args:
            variant: Whose budget it is, too; empty for none.
            usd: Upper estimate of the cost.
            tokens: Upper estimate of input plus output tokens.

        Raises:
            BudgetExceeded: There is no room, whatever calls in flight will cost.
        """
        reservation = Reservation(variant, usd, tokens)
        account = self._variant(variant)
        if not self._has_caps:
            self._hold(reservation, account)
            return reservation
        self._refuse(reservation, account)
        if not self._waiters and not self._must_wait(reservation, account):
            self._hold(reservation, account)
            return reservation
        waiter = _Waiter(reservation, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        self._admit()
        try:
            await waiter.future
        except asyncio.CancelledError:
            if waiter.future.done() and not waiter.future.cancelled():
                if waiter.future.exception() is None:
                    self.cancel(reservation)
            elif waiter in self._waiters:
                self._waiters.remove(waiter)
                self._admit()
            raise
        return reservation

    def hold_batch(self, reservations: Sequence[Reservation], *, force: bool = False) -> None:
        """Hold room for many calls at once: for all of them or for none, without waiting.

        Args:
            reservations: Upper estimates, one for each call.
            force: Hold them whatever the caps are: the calls were made by an earlier session.

        Raises:
            BudgetExceeded: They do not all fit beside what is spent and reserved.
        """
        if not force:
            self._refuse_batch(reservations)
        for reservation in reservations:
            self._hold(reservation, self._variant(reservation.variant))

    def _refuse_batch(self, reservations: Sequence[Reservation]) -> None:
        self.check_time()
        spec, n = self._spec, len(reservations)
        usd, tokens = (sum(getattr(one, name) for one in reservations) for name in ("usd", "tokens"))
        for key, unit, account, amount in (
            ("usd", "USD", self._usd, usd),
            ("tokens", "tokens", self._tokens, tokens),
            ("calls", "calls", self._calls, n),
        ):
            if account.must_wait(amount):
                raise self._refusal(key, f"{account.cap:g} {unit}", _short_batch(account, amount, unit, n))
        per_variant: dict[str, float] = {}
        for one in reservations:
            per_variant[one.variant] = per_variant.get(one.variant, 0.0) + one.usd
        for name, amount in per_variant.items():
            account = self._variant(name)
            if account is not None and account.must_wait(amount):
                cap = f"{spec.per_variant_usd:g} USD for variant {name!r}"
                why = _short_batch(account, amount, "USD", n)
                raise self._refusal("per_variant_usd", cap, why, whole_run=False)

    def settle(self, reservation: Reservation, *, usd: float, tokens: float, confirmed: bool = True) -> None:
        """Replace a reservation by what the attempt used, even when that is more than was reserved.

        Args:
            reservation: What was held.
            usd: Cost in USD.
            tokens: Input plus output.
            confirmed: Whether the figures come from an answer, not from the charge policy for failures.
        """
        if not confirmed:
            self._unconfirmed_usd += usd
        self._release(reservation, usd, tokens, 1)

    def cancel(self, reservation: Reservation) -> None:
        """Give back a reservation whose attempt was never sent."""
        self._release(reservation, 0.0, 0.0, 0)

    def _release(self, reservation: Reservation, usd: float, tokens: float, calls: int) -> None:
        self._usd.settle(reservation.usd, usd)
        self._tokens.settle(reservation.tokens, tokens)
        self._calls.settle(1, calls)
        account = self._variant(reservation.variant)
        if account is not None:
            account.settle(reservation.usd, usd)
        if self._waiters:
            self._admit()

    def _admit(self) -> None:
        """Admit waiters, oldest first; one that waits for its variant does not hold back other variants."""
        blocked: set[str] = set()
        kept: deque[_Waiter] = deque()
        while self._waiters:
            waiter = self._waiters.popleft()
            if waiter.future.done():
                continue
            reservation = waiter.reservation
            account = self._variant(reservation.variant)
            try:
                self._refuse(reservation, account)
            except BudgetExceeded as error:
                waiter.future.set_exception(error)
                continue
            if reservation.variant in blocked:
                kept.append(waiter)
            elif self._run_must_wait(reservation):
                kept.append(waiter)
                break
            elif account is not None and account.must_wait(reservation.usd):
                blocked.add(reservation.variant)
                kept.append(waiter)
            else:
                self._hold(reservation, account)
                waiter.future.set_result(None)
        kept.extend(self._waiters)
        self._waiters = kept

    def _must_wait(self, reservation: Reservation, account: _Account | None) -> bool:
        return self._run_must_wait(reservation) or (account is not None and account.must_wait(reservation.usd))

    def _run_must_wait(self, reservation: Reservation) -> bool:
        return (
            self._usd.must_wait(reservation.usd)
            or self._tokens.must_wait(reservation.tokens)
            or self._calls.must_wait(1)
        )

    def _hold(self, reservation: Reservation, account: _Account | None) -> None:
        self._usd.hold(reservation.usd)
        self._tokens.hold(reservation.tokens)
        self._calls.hold(1)
        if account is not None:
            account.hold(reservation.usd)

    def _refuse(self, reservation: Reservation, account: _Account | None) -> None:
        self.check_time()
        spec, usd = self._spec, reservation.usd
        if self._usd.refuses(usd):
            raise self._refusal("usd", f"{spec.usd:g} USD", _short(self._usd.spent, usd, "USD"))
        if self._tokens.refuses(reservation.tokens):
            raise self._refusal(
                "tokens", f"{spec.tokens} tokens", _short(self._tokens.spent, reservation.tokens, "tokens")
            )
        if self._calls.refuses(1):
            raise self._refusal("calls", f"{spec.calls} calls", "all of them are made")
        if account is not None and account.refuses(usd):
            raise self._refusal(
                "per_variant_usd",
                f"{spec.per_variant_usd:g} USD for variant {reservation.variant!r}",
                _short(account.spent, usd, "USD"),
                whole_run=False,
            )

    def _refusal(self, key: str, cap: str, why: str, *, whole_run: bool = True) -> BudgetExceeded:
        message = f"budget of {cap} reached: {why}\n    fix: raise budget.{key} and resume the run"
        if key in ("usd", "tokens", "per_variant_usd"):
            message += ", or set `max_tokens` on the model: without it a call reserves a long answer"
        if whole_run and self.reached is None:
            self.reached = message
        return BudgetExceeded(message)

    def _variant(self, name: str) -> _Account | None:
        if not name:
            return None
        account = self._variants.get(name)
        if account is None:
            account = self._variants[name] = _Account(self._spec.per_variant_usd)
        return account

    def _elapsed_minutes(self) -> float:
        return self._minutes_before + max(self._clock() - self._start, 0.0) / 60


def _short(spent: float, amount: float, unit: str) -> str:
    if unit == "USD":
        return f"{spent:.6f} USD are spent and the next call may cost up to {amount:.6f} USD"
    return f"{spent:.0f} {unit} are used and the next call may need up to {amount:.0f}"


def _short_batch(account: _Account, amount: float, unit: str, n: int) -> str:
    digits = 6 if unit == "USD" else 0
    return (
        f"{account.spent:.{digits}f} {unit} are used, {account.reserved:.{digits}f} reserved, and the next batch of "
        f"{n} calls may need up to {amount:.{digits}f}"
    )
