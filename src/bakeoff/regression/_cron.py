"""Cron expressions in a time zone, with a daylight-saving rule that fires exactly once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from bakeoff.errors import SpecError

__all__ = ["Cron", "parse_cron"]

_MONTHS = {name: i for i, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}  # noqa: SIM905
_DAYS = {name: i for i, name in enumerate("sun mon tue wed thu fri sat".split())}  # noqa: SIM905
_ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of month", 1, 31), ("month", 1, 12), ("day of week", 0, 7))
_HORIZON_DAYS = 366 * 9
"""Far enough for 29 February across a century year."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """A parsed expression: five fields as in cron(5), days of the week from Sunday = 0.

    A schedule at fixed hours fires once a day for each of its times: a time that the clocks skip fires at the first
    instant after the gap, a time that comes twice fires the first time only. A schedule with `*` as its hour follows
    the real hours, as every cron does.
    """

    text: str
    timezone: str
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    """0 is Sunday."""
    either_day: bool
    """Day of month and day of week are both restricted: either one is enough."""
    every_hour: bool

    def next_after(self, moment: float) -> float:
        """Return the next time to fire after a moment, both in UNIX seconds.

        Raises:
            SpecError: No such time comes (30 February).

        Examples:
            >>> from datetime import datetime, UTC
            >>> daily = parse_cron("30 6 * * *", "Europe/Berlin")
            >>> at = daily.next_after(datetime(2026, 7, 1, tzinfo=UTC).timestamp())
            >>> datetime.fromtimestamp(at, UTC).isoformat()
            '2026-07-01T04:30:00+00:00'
        """
        zone = ZoneInfo(self.timezone)
        start = datetime.fromtimestamp(moment, zone).date() - timedelta(days=1)
        for offset in range(_HORIZON_DAYS):
            day = start + timedelta(days=offset)
            if self._matches(day):
                later = [instant for instant in self._instants(day, zone) if instant > moment]
                if later:
                    return min(later)
        raise SpecError(f"the cron expression {self.text!r} never fires")

    def between(self, after: float, until: float) -> list[float]:
        """Return the times to fire in (after, until], at most the last thousand."""
        found: list[float] = []
        moment = after
        while (moment := self.next_after(moment)) <= until:
            found.append(moment)
            if len(found) > 2000:
                del found[:1000]
        return found[-1000:]

    def _matches(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        by_day, by_weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return by_day or by_weekday if self.either_day else by_day and by_weekday

    def _instants(self, day: date, zone: ZoneInfo) -> list[float]:
        if not self.every_hour:
            return [
                _first_instant(datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone))
                for hour in self.hours
                for minute in self.minutes
            ]
        first = _first_instant(datetime(day.year, day.month, day.day, tzinfo=zone))
        found = []
        for step in range(26 * 60):
            local = datetime.fromtimestamp(first + 60 * step, zone)
            if local.date() == day and local.minute in self.minutes:
                found.append(first + 60 * step)
        return found


def _first_instant(wall: datetime) -> float:
    """Return when a wall-clock time comes: its first occurrence, or the end of the gap that swallows it."""
    zone = wall.tzinfo
    instant = wall.replace(fold=0).timestamp()
    if datetime.fromtimestamp(instant, zone).replace(tzinfo=None) == wall.replace(tzinfo=None, fold=0):
        return instant
    # In a gap: fold=0 reads the clock as before the change; the gap ends when the offset becomes the later one.
    later = wall.replace(fold=1).timestamp()
    low, high = int(min(instant, later)) // 60, int(max(instant, later)) // 60 + 1
    before = datetime.fromtimestamp(60 * low, UTC).astimezone(zone).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(60 * middle, UTC).astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return 60.0 * high


def parse_cron(text: str, timezone: str = "UTC") -> Cron:
    """Parse a cron expression.

    Args:
        text: Five fields (`0 6 * * mon-fri`), or `@daily` and the like.
        timezone: IANA name, for instance `Europe/Berlin`.

    Raises:
        SpecError: The expression or the time zone is wrong; says which field.

    Examples:
        >>> sorted(parse_cron("*/20 6 * * *").minutes)
        [0, 20, 40]
        >>> parse_cron("0 25 * * *")
        Traceback (most recent call last):
        ...
        bakeoff.errors.SpecError: cron '0 25 * * *': the hour '25' is not between 0 and 23
    """
    try:
        ZoneInfo(timezone)
    except (KeyError, ValueError, OSError):
        raise SpecError(f"there is no time zone {timezone!r}; write a name like 'Europe/Berlin' or 'UTC'") from None
    fields = _ALIASES.get(text.strip().lower(), text).split()
    if len(fields) != 5:
        raise SpecError(
            f"cron {text!r}: needs five fields (minute hour day month weekday), got {len(fields)}; "
            "for instance '0 6 * * *' is every day at 06:00"
        )
    none: dict[str, int] = {}
    names = (none, none, none, _MONTHS, _DAYS)
    parsed = [
        _field(value, known, what, (low, high), text)
        for value, known, (what, low, high) in zip(fields, names, _FIELDS, strict=True)
    ]
    return Cron(
        text=" ".join(fields),
        timezone=timezone,
        minutes=parsed[0],
        hours=parsed[1],
        days=parsed[2],
        months=parsed[3],
        weekdays=frozenset(day % 7 for day in parsed[4]),
        either_day=not fields[2].startswith("*") and not fields[4].startswith("*"),
        every_hour=fields[1].startswith("*") and len(parsed[1]) == 24,
    )


def _field(value: str, names: dict[str, int], what: str, bounds: tuple[int, int], text: str) -> frozenset[int]:
    low, high = bounds
    found: set[int] = set()
    for part in value.lower().split(","):
        span, slash, step_text = part.partition("/")
        step = _number(step_text, {}, f"step of the {what}", (1, high), text) if slash else 1
        if span == "*":
            first, last = low, high if what != "day of week" else 6
        else:
            head, dash, tail = span.partition("-")
            first = _number(head, names, what, bounds, text)
            last = _number(tail, names, what, bounds, text) if dash else high if slash else first
            if last < first:
                raise SpecError(f"cron {text!r}: the {what} {span!r} runs backwards")
        found.update(range(first, last + 1, step))
    return frozenset(found)


def _number(text: str, names: dict[str, int], what: str, bounds: tuple[int, int], whole: str) -> int:
    if text in names:
        return names[text]
    if not text.isascii() or not text.isdigit():
        raise SpecError(f"cron {whole!r}: the {what} {text!r} is no number")
    if not bounds[0] <= int(text) <= bounds[1]:
        raise SpecError(f"cron {whole!r}: the {what} {text!r} is not between {bounds[0]} and {bounds[1]}")
    return int(text)
