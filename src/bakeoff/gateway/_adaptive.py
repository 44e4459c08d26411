"""How many calls of one model may be in flight: more while all is well, fewer when the provider refuses."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from bakeoff.gateway._errors import server_now

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["AdaptiveLimit", "Outcome", "reset_after_s"]

Outcome = Literal["ok", "throttled", "failed", "abandoned"]

START = 20
_PAUSE_SHARE = 0.5
_PAUSES_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)


class AdaptiveLimit:
    """Additive increase, multiplicative decrease in proportion to how much is refused.

    An epoch ends when as many calls have answered as the limit allows at once. With the share `a` of
    calls refused in it (429, 503; smoothed), the limit becomes `limit * (1 - a / 2)`; an epoch without
    any refusal adds one (and doubles it until the first refusal ever). This is DCTCP's law (Alizadeh et
    al. 2010): a provider that refuses everything halves the limit each epoch, as AIMD does, and one
    that refuses a few per cent whatever the load does not stop the run. The limit only grows while
    it is in use.

    When half of the latest calls were refused, or the provider says that nothing remains, all calls of
    the model pause for as long as it asks.

    Args:
        cap: Most calls at once, at least 1.
        start: Calls at once in the beginning.
        enabled: When false the limit is always `cap`.

    Examples:
        >>> limit = AdaptiveLimit(cap=100, start=20)
        >>> for _ in range(20):
        ...     limit.record("ok", now=1.0, in_flight=20)
        >>> limit.limit
        40
    """

    __slots__ = (
        "_answered",
        "_limit",
        "_recent",
        "_refused",
        "_share",
        "_slow_start",
        "_streak",
        "cap",
        "is_enabled",
        "paused_until",
    )

    def __init__(self, *, cap: int, start: int = START, enabled: bool = True) -> None:
        self.cap = cap
        self.paused_until = 0.0
        self.is_enabled = enabled
        self._limit = float(min(start, cap) if enabled else cap)
        self._slow_start = True
        self._answered = 0
        self._refused = 0
        self._share = 1.0  # the first refusal halves the limit, as in DCTCP
        self._recent = 0.0
        self._streak = 0

    @property
    def limit(self) -> int:
        """Calls that may be in flight now, 1 to `cap`."""
        return min(int(self._limit), self.cap) if self.is_enabled else self.cap

    def set_cap(self, cap: int) -> None:
        """Change the highest limit."""
        self.cap = cap

    def record(self, outcome: Outcome, *, now: float, in_flight: int, retry_after_s: float | None = None) -> None:
        """Learn from one answer.

        Args:
            outcome: How the call ended; `failed` and `abandoned` say nothing about load.
            now: Monotonic seconds.
            in_flight: Calls in flight when it ended, itself included.
            retry_after_s: Seconds that the provider asked to wait.
        """
        if outcome in ("failed", "abandoned"):
            return
        refused = outcome == "throttled"
        self._recent += (refused - self._recent) / 8
        self._streak = self._streak + 1 if refused else 0
        if refused and self._recent >= _PAUSE_SHARE:
            pause = retry_after_s
            if pause is None:
                pause = _PAUSES_S[min(self._streak // max(self.limit, 4), len(_PAUSES_S) - 1)]
            self.pause(now + pause)
        if self.is_enabled:
            self._learn(refused=refused, in_use=2 * in_flight >= self._limit)

    def pause(self, until: float) -> None:
        """Start no call before `until` (monotonic seconds)."""
        self.paused_until = max(self.paused_until, until)

    def _learn(self, *, refused: bool, in_use: bool) -> None:
        self._answered += 1
        self._refused += refused
        if refused:
            self._slow_start = False
        elif self._slow_start and in_use:
            self._limit = min(self._limit + 1, self.cap)
        if self._answered < self._limit:
            return
        self._share += (self._refused / self._answered - self._share) / 2
        if self._refused:
            self._limit = max(self._limit * (1 - self._share / 2), 1.0)
        elif in_use and not self._slow_start:
            self._limit = min(self._limit + 1, self.cap)
        self._answered = self._refused = 0


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_DURATION = re.compile(rf"(?:{_PART.pattern})+")


def reset_after_s(headers: Mapping[str, str], *, wall_now: float | None = None) -> float | None:
    """Return the seconds until calls are allowed again, when the headers say that nothing remains.

    Understands `x-ratelimit-remaining-requests|tokens` with `x-ratelimit-reset-*` as a duration
    (`6m0s`, `120ms`), seconds, epoch seconds or an RFC 3339 time, and Anthropic's names for the same.

    Examples:
        >>> reset_after_s({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m2.5s"})
        62.5
        >>> reset_after_s({"x-ratelimit-remaining-requests": "17", "x-ratelimit-reset-requests": "2s"}) is None
        True
    """
    waits: list[float] = []
    lowered = {name.lower(): value for name, value in headers.items()}
    wall_now = server_now(lowered) if wall_now is None else wall_now
    for name, value in lowered.items():
        if "-remaining" not in name or value.strip() not in ("0", "0.0"):
            continue
        reset = lowered.get(name.replace("-remaining", "-reset"))  # OpenAI's and Anthropic's names alike
        seconds = None if reset is None else _seconds(reset, wall_now)
        if seconds is not None:
            waits.append(seconds)
    return max(waits) if waits else None


def _seconds(value: str, now: float) -> float | None:
    value = value.strip()
    if _DURATION.fullmatch(value):
        return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(value))
    try:
        number = float(value)
    except ValueError:
        try:
            number = datetime.fromisoformat(value).timestamp()
        except ValueError:
            return None
    if number != number or number in (float("inf"), float("-inf")):
        return None
    return max(number - now if number > 1e9 else number, 0.0)
