"""Moments in words: in the time zone that was declared, and in the reader's own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from bakeoff.regression import parse_cron

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.regression import Schedule

__all__ = ["Moment", "missed", "moment_words", "next_times"]


@dataclass(frozen=True, slots=True)
class Moment:
    """One time to fire, said twice."""

    at: float
    """UNIX seconds."""
    declared: str
    """In the schedule's time zone."""
    local: str
    """In the reader's."""


def moment_words(at: float, timezone: str) -> str:
    """Write a moment in a time zone; in UTC when the zone is not known.

    Args:
        at: UNIX seconds.
        timezone: IANA name.

    Examples:
        >>> moment_words(1_790_000_000, "Europe/Berlin")
        'Mon 21 Sep 2026, 16:13 CEST'
    """
    try:
        zone = ZoneInfo(timezone)
    except (KeyError, ValueError, OSError):
        zone = ZoneInfo("UTC")
    return datetime.fromtimestamp(at, zone).strftime("%a %d %b %Y, %H:%M %Z")


def next_times(cron: str, timezone: str, *, local: str, after: float, n: int = 3) -> list[Moment]:
    """Return the next times of a cron expression.

    Args:
        cron: Five fields, or `@daily` and the like.
        timezone: The zone in which it is read.
        local: The reader's zone.
        after: UNIX seconds.
        n: How many.

    Raises:
        SpecError: The expression or its time zone is wrong, or it never fires.

    Examples:
        >>> [m.declared for m in next_times("0 6 * * mon", "UTC", local="Asia/Tokyo", after=1_790_000_000, n=1)]
        ['Mon 28 Sep 2026, 06:00 UTC']
    """
    parsed = parse_cron(cron, timezone)
    found: list[Moment] = []
    for _ in range(n):
        after = parsed.next_after(after)
        found.append(Moment(after, moment_words(after, timezone), moment_words(after, local)))
    return found


def missed(schedules: Sequence[Schedule], now: float) -> list[str]:
    """Return the schedules whose time has passed by more than two minutes with nobody there to fire them."""
    return [s.id for s in schedules if not s.paused and s.next_at is not None and now - s.next_at > 120]
