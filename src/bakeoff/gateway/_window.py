"""Declared limits: what may be sent in any window of sixty seconds, counted so that the server agrees.

A request that is admitted now reaches the server a little later, and the client cannot know when. A
request therefore counts from its admission until sixty seconds after the *last* moment at which it
can have arrived: the moment of its answer, or `slack_s` after its admission, whichever is first.
Output tokens count until sixty seconds after the answer, because some providers count them as they
are written. So no window of sixty seconds on the server's clock can hold more than the limit, as
long as a request needs less than `slack_s` to arrive. Admissions are smoothed as well (a leaky
bucket, as in GCRA), because most providers enforce "per minute" over much shorter times.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "REQUEST_BURST_S",
    "SLACK_S",
    "TOKEN_BURST_S",
    "WINDOW_S",
    "Denied",
    "LocalWindows",
    "SlidingWindow",
    "Ticket",
    "WindowScope",
    "WindowStore",
]

WINDOW_S = 60.0
SLACK_S = 3.0
"""Longest time from admission to arrival at the server: covers one lost SYN (sent again after 1 s)."""

_STEP_S = 0.05
REQUEST_BURST_S = 3.0
TOKEN_BURST_S = 10.0
_POLL_S = 1.0
_EPSILON = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowScope:
    """Declared limits that a group of calls shares: one model, one provider, one key, or the whole run."""

    name: str
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    concurrency: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """Why a call must wait.

    Attributes:
        scope: Name of the first scope without room.
        wait_s: Seconds after which to ask again (earlier when another call ends).
    """

    scope: str
    wait_s: float


class Ticket(Protocol):
    """What one admitted call holds; only the store that gave it can read it."""


class WindowStore(Protocol):
    """Where declared limits are counted: in this process, in a file, or in a server such as Redis.

    Calls must be short (no waiting): they run in the event loop.
    """

    def take(
        self, scopes: Sequence[WindowScope], now: float, *, input_tokens: float, output_tokens: float
    ) -> Ticket | Denied:
        """Admit one call in all scopes, or in none."""
        ...

    def settle(self, ticket: Ticket, now: float, *, input_tokens: float, output_tokens: float, sent: bool) -> None:
        """Replace the estimates of an admitted call by what it used; `sent=False` takes it back entirely."""
        ...

    def close(self) -> None:
        """Write what is pending and free resources."""
        ...


class _Bucket:
    __slots__ = ("amount", "expires", "gone")

    def __init__(self, expires: float) -> None:
        self.expires = expires
        self.amount = 0.0
        self.gone = False


class _Entry:
    __slots__ = ("amount", "at", "bucket")

    def __init__(self, at: float, amount: float) -> None:
        self.at = at
        self.amount = amount
        self.bucket: _Bucket | None = None


class SlidingWindow:
    """Count one quantity (requests or tokens) over a sliding window, in constant memory.

    Args:
        limit: Most units in any window, above 0. Below 1 the window is stretched instead.
        burst_s: Seconds of the steady rate that may go at once after idling.
        window_s: Length of the window in seconds.
        slack_s: See the module.

    Examples:
        >>> window = SlidingWindow(60, burst_s=3)
        >>> admitted = 0
        >>> while window.wait_s(0.0, 1) == 0:
        ...     _ = window.reserve(0.0, 1)
        ...     admitted += 1
        >>> admitted, window.wait_s(0.0, 1)
        (4, 1.0)
    """

    __slots__ = (
        "_buckets",
        "_burst_s",
        "_held",
        "_interval_s",
        "_next",
        "_now",
        "_slack_s",
        "_window_s",
        "limit",
        "used",
    )

    def __init__(self, limit: float, *, burst_s: float, window_s: float = WINDOW_S, slack_s: float = SLACK_S) -> None:
        if limit < 1:
            window_s, limit = window_s / limit, 1.0
        self.limit = float(limit)
        self.used = 0.0
        self._window_s = window_s
        self._slack_s = slack_s
        self._interval_s = window_s / limit
        self._burst_s = burst_s
        self._next = -math.inf
        self._now = -math.inf
        self._held: deque[_Entry] = deque()
        self._buckets: deque[_Bucket] = deque()

    def wait_s(self, now: float, amount: float) -> float:
        """Return 0.0 when `amount` may go now, else the seconds after which to ask again.

        An amount above the limit is treated as the limit: it goes when the window is empty.
        """
        now = self._advance(now)
        wait = max(self._next - self._burst_s - now, 0.0)
        missing = self.used + min(amount, self.limit) - self.limit
        if missing <= _EPSILON:
            return wait
        for bucket in self._buckets:
            missing -= bucket.amount
            if missing <= _EPSILON:
                return max(wait, bucket.expires - now)
        return max(wait, _POLL_S)  # the rest is in flight: its end will wake the queue

    def reserve(self, now: float, amount: float, *, until_answer: bool = False) -> _Entry:
        """Count `amount` from now; with `until_answer` it is held until settled, however long that takes."""
        now = self._advance(now)
        entry = _Entry(now, amount)
        self.used += amount
        self._next = max(self._next, now) + amount * self._interval_s
        if not until_answer:
            self._held.append(entry)
        return entry

    def settle(self, entry: _Entry, now: float, amount: float) -> None:
        """Correct an entry to `amount` at the moment of its answer."""
        now = self._advance(now)
        delta = amount - entry.amount
        self._next += delta * self._interval_s
        bucket = entry.bucket
        if bucket is None:
            self.used += delta
            entry.amount = amount
            self._file(entry, now)
        elif not bucket.gone:
            self.used += delta
            bucket.amount += delta

    def _file(self, entry: _Entry, arrived: float) -> None:
        expires = (math.ceil((arrived + self._window_s) / _STEP_S) + 1) * _STEP_S
        if not self._buckets or self._buckets[-1].expires < expires:
            self._buckets.append(_Bucket(expires))
        # An earlier expiry than the newest bucket's joins the newest: late by a step or two, never early.
        bucket = self._buckets[-1]
        bucket.amount += entry.amount
        entry.bucket = bucket

    def _advance(self, now: float) -> float:
        # A clock that jumps back must not unlock anything: time stands still until it has caught up.
        now = self._now = max(now, self._now)
        held, buckets = self._held, self._buckets
        while held and (held[0].bucket is not None or held[0].at + self._slack_s <= now):
            entry = held.popleft()
            if entry.bucket is None:
                self._file(entry, entry.at + self._slack_s)
        while buckets and buckets[0].expires <= now:
            bucket = buckets.popleft()
            bucket.gone = True
            self.used -= bucket.amount
        return now


class _ScopeState:
    __slots__ = ("in_flight", "requests", "tokens")

    def __init__(self, scope: WindowScope) -> None:
        rpm, tpm = scope.requests_per_minute, scope.tokens_per_minute
        self.requests = None if rpm is None else SlidingWindow(rpm, burst_s=REQUEST_BURST_S)
        self.tokens = None if tpm is None else SlidingWindow(tpm, burst_s=TOKEN_BURST_S)
        self.in_flight = 0

    def wait_s(self, scope: WindowScope, now: float, tokens: float) -> float:
        if scope.concurrency is not None and self.in_flight >= scope.concurrency:
            return _POLL_S
        wait = 0.0 if self.requests is None else self.requests.wait_s(now, 1)
        return wait if self.tokens is None else max(wait, self.tokens.wait_s(now, tokens))


class _LocalHold:
    __slots__ = ("input", "output", "request", "state")

    def __init__(self, state: _ScopeState, now: float, input_tokens: float, output_tokens: float) -> None:
        state.in_flight += 1
        self.state = state
        self.request = None if state.requests is None else state.requests.reserve(now, 1)
        self.input = None if state.tokens is None else state.tokens.reserve(now, input_tokens)
        self.output = None if state.tokens is None else state.tokens.reserve(now, output_tokens, until_answer=True)


class _LocalTicket(list[_LocalHold]):
    __slots__ = ()


class LocalWindows:
    """Declared limits counted in this process."""

    def __init__(self) -> None:
        self._states: dict[str, _ScopeState] = {}

    def take(
        self, scopes: Sequence[WindowScope], now: float, *, input_tokens: float, output_tokens: float
    ) -> Ticket | Denied:
        """Admit one call in all scopes, or in none."""
        tokens = input_tokens + output_tokens
        states: list[_ScopeState] = []
        for scope in scopes:
            state = self._states.get(scope.name)
            if state is None:
                state = self._states[scope.name] = _ScopeState(scope)
            wait = state.wait_s(scope, now, tokens)
            if wait > 0:
                return Denied(scope=scope.name, wait_s=wait)
            states.append(state)
        return _LocalTicket(_LocalHold(state, now, input_tokens, output_tokens) for state in states)

    def settle(self, ticket: Ticket, now: float, *, input_tokens: float, output_tokens: float, sent: bool) -> None:
        """Replace the estimates of an admitted call by what it used."""
        assert isinstance(ticket, _LocalTicket)
        for hold in ticket:
            state = hold.state
            state.in_flight -= 1
            if state.requests is not None and hold.request is not None:
                state.requests.settle(hold.request, now, 1 if sent else 0)
            if state.tokens is not None and hold.input is not None and hold.output is not None:
                state.tokens.settle(hold.input, now, input_tokens if sent else 0)
                state.tokens.settle(hold.output, now, output_tokens if sent else 0)

    def close(self) -> None:
        """Do nothing: all is in memory."""
