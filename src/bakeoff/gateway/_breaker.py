"""A circuit breaker: a model that only fails is left alone for a while."""

from __future__ import annotations

from typing import Literal

__all__ = ["Breaker", "BreakerState"]

BreakerState = Literal["closed", "open", "half_open"]

_COUNTED = frozenset({"server", "connection", "timeout", "bad_response", "auth", "not_found", "unknown"})
_PERMANENT = frozenset({"auth", "not_found"})


class Breaker:
    """Count consecutive failures of one model; open after too many, probe with single calls.

    Closed: calls pass. Open: none passes for `reset_s`. Half-open: one call passes as a probe; its success
    closes the breaker, its failure opens it again. Refusals (429) and errors of the request itself say
    nothing about health.

    Whether waiting is worthwhile: a model that has answered before is waited for, up to `patience_s`
    since the breaker opened (an outage); one that never answered, or that rejects the key, is not.

    Args:
        failures: Consecutive failures after which the breaker opens, at least 1.
        reset_s: Seconds until the first probe.
        patience_s: Longest outage that calls wait for.

    Examples:
        >>> breaker = Breaker(failures=2, reset_s=30, patience_s=300)
        >>> breaker.record_failure("server", now=0); breaker.record_failure("server", now=1)
        >>> breaker.state(2), breaker.wait_s(2), breaker.state(31)
        ('open', 29.0, 'half_open')
    """

    __slots__ = (
        "_answered",
        "_failures",
        "_limit",
        "_open",
        "_opened_at",
        "_patience_s",
        "_permanent",
        "_probing",
        "_reset_s",
        "_until",
        "last_error",
    )

    def __init__(self, *, failures: int, reset_s: float, patience_s: float) -> None:
        self.last_error = ""
        self._limit = failures
        self._reset_s = reset_s
        self._patience_s = patience_s
        self._failures = 0
        self._open = False
        self._opened_at = 0.0
        self._until = 0.0
        self._probing = False
        self._answered = False
        self._permanent = False

    @property
    def is_closed(self) -> bool:
        """Whether calls pass freely."""
        return not self._open

    def state(self, now: float) -> BreakerState:
        """Return the state at `now` (monotonic seconds)."""
        if not self._open:
            return "closed"
        return "open" if now < self._until else "half_open"

    def wait_s(self, now: float) -> float:
        """Return 0.0 when a call may pass now, else the seconds after which to ask again."""
        if not self._open:
            return 0.0
        if now < self._until:
            return float(self._until - now)
        return 0.5 if self._probing else 0.0

    def is_hopeless(self, now: float) -> bool:
        """Whether an open breaker is not worth waiting for."""
        if not self._open:
            return False
        return self._permanent or not self._answered or now - self._opened_at > self._patience_s

    def admit(self, now: float) -> bool | None:
        """Let one call pass: `False` as a normal call, `True` as the probe, `None` when it must not pass."""
        if not self._open:
            return False
        if now < self._until or self._probing:
            return None
        self._probing = True
        return True

    def record_success(self) -> None:
        """Close: the model has answered."""
        self._answered = True
        self._failures = 0
        if self._open:
            self._open = self._probing = self._permanent = False

    def record_failure(self, kind: str, *, now: float, probe: bool = False, message: str = "") -> None:
        """Count a failure of class `kind`."""
        if kind not in _COUNTED:
            if kind != "cancelled" and probe:
                # It answered, if only to refuse: that is health enough.
                self.record_success()
            elif probe:
                self._probing = False
            return
        self.last_error = message
        self._failures += 1
        if probe and self._open:
            self._probing = False
            self._until = now + self._reset_s
            self._permanent = kind in _PERMANENT
        elif not self._open and self._failures >= self._limit:
            self._open = True
            self._opened_at = now
            self._until = now + self._reset_s
            self._permanent = kind in _PERMANENT
