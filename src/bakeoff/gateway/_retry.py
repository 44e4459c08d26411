"""When a failed call is made again, and after how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

    from bakeoff.errors import ProviderError

__all__ = ["RetryPolicy"]

_BASE_S = {"rate_limit": 4.0}
"""A refused call waits longer: the usual limit is per minute."""
_CAP_S = {"rate_limit": 60.0}
_FREE_RETRIES = 100


class RetryPolicy:
    """Exponential backoff with full jitter, within a budget per call and per run.

    The wait before retry k = 1, 2, ... is uniform on `[0, min(cap, base * 2 ** (k - 1))]` ("full
    jitter", Brooker, AWS Architecture Blog 2015) with base 0.5 s and cap 30 s, or 4 s and 60 s after
    a 429. When the provider says how long to wait, its figure is added below: never earlier than it
    asks, and not all callers at the same moment.

    Args:
        attempts: Attempts for one call, the first one included.
        share: Retries in the run as a share of its calls; 100 are always allowed. Retries after a 429 do
            not count: the provider is alive, and the limiter slows down.
        max_wait_s: Longest wait; a provider that asks for more gets none.
        rng: Source of the jitter.
    """

    def __init__(self, *, attempts: int, share: float, max_wait_s: float, rng: Random) -> None:
        self.attempts = attempts
        self.retries = 0
        self.calls = 0
        self._charged = 0
        self._share = share
        self._max_wait_s = max_wait_s
        self._rng = rng

    @property
    def exhausted(self) -> bool:
        """Whether the run has used its share of retries."""
        return self._charged >= max(_FREE_RETRIES, self._share * self.calls)

    def refusal(self, error: ProviderError, attempt: int) -> str | None:
        """Say why attempt number `attempt` is the last one; `None` when another may follow."""
        if not error.retryable:
            return ""
        if attempt >= self.attempts:
            return f"gave up after {attempt} attempts"
        if error.retry_after_s is not None and error.retry_after_s > self._max_wait_s:
            return (
                f"the provider asks to wait {error.retry_after_s:.0f} s, more than "
                f"limits.max_wait_s = {self._max_wait_s:.0f}"
            )
        if error.kind != "rate_limit" and self.exhausted:
            return (
                f"no retry: the run has used its {self._charged} retries for {self.calls} calls "
                f"(limits.retry_budget = {self._share})"
            )
        return None

    def wait_s(self, error: ProviderError, attempt: int) -> float:
        """Return the seconds to wait after failed attempt number `attempt` (from 1), and count the retry."""
        self.retries += 1
        self._charged += error.kind != "rate_limit"
        base = _BASE_S.get(error.kind, 0.5)
        cap = min(_CAP_S.get(error.kind, 30.0), self._max_wait_s)
        if error.retry_after_s is not None:
            # Spread over a tenth of the wait, at least a quarter second, so that callers do not return together.
            spread = max(0.25, 0.1 * error.retry_after_s)
            return min(max(error.retry_after_s, 0.0) + self._rng.random() * spread, self._max_wait_s + spread)
        return self._rng.random() * min(cap, base * 2.0 ** min(attempt - 1, 30))
