"""Schedules and their firings: who runs what when, in the control data, claimed atomically."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from bakeoff.errors import SpecError
from bakeoff.regression._control_db import control_db
from bakeoff.regression._cron import parse_cron

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping
    from pathlib import Path

    from bakeoff.experiments import LocalStore

__all__ = [
    "Firing",
    "FiringState",
    "Schedule",
    "add_schedule",
    "claim_due",
    "finish_firing",
    "get_schedule",
    "list_firings",
    "list_schedules",
    "note_run",
    "pause_schedule",
    "release_firing",
    "remove_schedule",
    "renew_lease",
    "request_run",
]

FiringState = Literal["waiting", "running", "done", "failed", "missed", "skipped"]
"""`missed`: nobody was there in time; `skipped`: the one before was still going; `failed`: it could not run."""

LEASE_S = 60.0
"""A firing whose lease was not renewed for so long has lost its process and is taken over."""
_MAX_ATTEMPTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """An experiment file that runs at times."""

    id: str
    file: str
    cron: str
    timezone: str
    misfire_grace_s: float
    """A firing that is later than this is missed; an earlier one is made up for."""
    paused: bool
    next_at: float | None
    """UNIX seconds."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """`env_file`, `notify`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """One time at which a schedule was due. There is exactly one for each schedule and time."""

    schedule: str
    due_at: float
    state: FiringState
    owner: str = ""
    attempts: int = 0
    run_id: str | None = None
    outcome: str | None = None
    """Of the gate, or `complete` without one."""
    message: str = ""
    started_at: float | None = None
    ended_at: float | None = None
    reason: Literal["cron", "run-now"] = "cron"


def add_schedule(
    store: LocalStore,
    file: Path,
    cron: str,
    *,
    name: str | None = None,
    timezone: str = "UTC",
    misfire_grace_s: float = 3600.0,
    options: Mapping[str, Any] | None = None,
    now: float | None = None,
) -> Schedule:
    """Run an experiment file at the times of a cron expression.

    Raises:
        SpecError: The expression, the time zone or the file is wrong, or the name is taken.
    """
    from bakeoff.experiments import parse_spec

    spec, _ = parse_spec(file)
    identity = name or re.sub(r"[^a-z0-9]+", "-", spec.name.lower()).strip("-") or "schedule"
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", identity):
        raise SpecError(f"a schedule's name must be letters, digits, . _ -, got {identity!r}")
    if not misfire_grace_s > 0:
        raise SpecError(f"the misfire grace must be above 0 seconds, got {misfire_grace_s!r}")
    parsed = parse_cron(cron, timezone)
    moment = time.time() if now is None else now
    with control_db(store.paths) as control:
        taken = control.execute("SELECT 1 FROM schedules WHERE id = ?", (identity,)).fetchone()
        if taken is not None:
            raise SpecError(f"there is a schedule {identity!r} already; remove it, or give another --name")
        control.execute(
            "INSERT INTO schedules (id, file, cron, timezone, misfire_grace_s, options, added_at, next_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (identity, str(file.resolve()), parsed.text, timezone, misfire_grace_s, json.dumps(dict(options or {})),
             moment, parsed.next_after(moment)),
        )  # fmt: skip
    return get_schedule(store, identity)


def list_schedules(store: LocalStore) -> list[Schedule]:
    """Return the schedules of a store, by name."""
    with control_db(store.paths) as control:
        return [_schedule(row) for row in control.execute("SELECT * FROM schedules ORDER BY id")]


def get_schedule(store: LocalStore, name: str) -> Schedule:
    """Return a schedule.

    Raises:
        SpecError: There is none of that name.
    """
    known = list_schedules(store)
    for schedule in known:
        if schedule.id == name:
            return schedule
    raise SpecError(f"there is no schedule {name!r}; there are {', '.join(s.id for s in known) or 'none'}")


def _schedule(row: sqlite3.Row) -> Schedule:
    return Schedule(
        id=row["id"], file=row["file"], cron=row["cron"], timezone=row["timezone"],
        misfire_grace_s=row["misfire_grace_s"], paused=bool(row["paused"]), next_at=row["next_at"],
        options=json.loads(row["options"]),
    )  # fmt: skip


def pause_schedule(store: LocalStore, name: str, *, paused: bool = True, now: float | None = None) -> Schedule:
    """Pause a schedule, or let it go on from now; times in between are not made up for."""
    schedule = get_schedule(store, name)
    moment = time.time() if now is None else now
    upcoming = parse_cron(schedule.cron, schedule.timezone).next_after(moment)
    with control_db(store.paths) as control:
        control.execute("UPDATE schedules SET paused = ?, next_at = ? WHERE id = ?", (int(paused), upcoming, name))
    return get_schedule(store, name)


def remove_schedule(store: LocalStore, name: str) -> None:
    """Remove a schedule with its history; its runs stay."""
    get_schedule(store, name)
    with control_db(store.paths) as control, _transaction(control):
        control.execute("DELETE FROM schedules WHERE id = ?", (name,))
        control.execute("DELETE FROM firings WHERE schedule = ?", (name,))


def request_run(store: LocalStore, name: str, *, now: float | None = None) -> Firing:
    """Ask for a run outside the times; the scheduler takes it at its next look."""
    get_schedule(store, name)
    moment = time.time() if now is None else now
    with control_db(store.paths) as control:
        control.execute(
            "INSERT INTO firings (schedule, due_at, state, reason) VALUES (?, ?, 'waiting', 'run-now')", (name, moment)
        )
    return next(firing for firing in list_firings(store, name, limit=1000) if firing.due_at == moment)


def list_firings(store: LocalStore, name: str | None = None, *, limit: int = 50) -> list[Firing]:
    """Return firings, newest first."""
    with control_db(store.paths) as control:
        rows = control.execute(
            "SELECT * FROM firings WHERE ? IS NULL OR schedule = ? ORDER BY due_at DESC LIMIT ?", (name, name, limit)
        ).fetchall()
    return [_firing(row) for row in rows]


def _firing(row: sqlite3.Row) -> Firing:
    names = ("schedule", "due_at", "state", "owner", "attempts", "run_id", "outcome", "message", "started_at",
             "ended_at", "reason")  # fmt: skip
    return Firing(**{name: row[name] for name in names})


class _transaction:  # noqa: N801 - reads as a phrase
    """Write lock from the first statement on: what is read inside cannot change before the commit."""

    def __init__(self, control: sqlite3.Connection) -> None:
        self._control = control

    def __enter__(self) -> None:
        self._control.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        self._control.execute("COMMIT" if kind is None else "ROLLBACK")


def claim_due(
    store: LocalStore, owner: str, *, now: float | None = None, lease_s: float = LEASE_S
) -> tuple[list[Firing], list[Firing]]:
    """Claim everything that is due, atomically: two schedulers on one store never claim the same firing.

    Of several times that passed unattended, the last is made up for if it is within the grace, the others are missed.
    A firing whose lease ran out is claimed again, to be resumed.

    Args:
        store: Where the control data are.
        owner: Who claims.
        now: UNIX seconds.
        lease_s: How long a claim holds without renewal.

    Returns:
        Firings to run, and firings that were newly missed or skipped.
    """
    moment = time.time() if now is None else now
    claimed: list[tuple[str, float]] = []
    passed_by: list[tuple[str, float]] = []
    with control_db(store.paths) as control:
        with _transaction(control):
            control.execute(  # of a clock that was set back since: live claims are renewed, dead ones must run out
                "UPDATE firings SET lease_until = ?1 WHERE state = 'running' AND lease_until > ?1",
                (moment + max(lease_s, LEASE_S),),
            )
            claimed += _take_over(control, owner, moment, lease_s, passed_by)
            for row in control.execute("SELECT * FROM schedules WHERE paused = 0").fetchall():
                _fire(control, _schedule(row), owner, moment, lease_s, claimed, passed_by)
        found = {
            (row["schedule"], row["due_at"]): _firing(row)
            for row in control.execute("SELECT * FROM firings WHERE state != 'done' OR ended_at >= ?", (moment,))
        }
    return [found[key] for key in claimed], [found[key] for key in passed_by]


def _take_over(
    control: sqlite3.Connection, owner: str, moment: float, lease_s: float, passed_by: list[tuple[str, float]]
) -> list[tuple[str, float]]:
    """Claim firings whose process is gone, and those asked for by `run-now` where nothing else runs."""
    claimed: list[tuple[str, float]] = []
    lost = control.execute(
        "SELECT * FROM firings WHERE state = 'running' AND lease_until < ? ORDER BY due_at", (moment,)
    ).fetchall()
    for row in lost:
        key = (row["schedule"], row["due_at"])
        if row["attempts"] >= _MAX_ATTEMPTS:
            control.execute(
                "UPDATE firings SET state = 'failed', ended_at = ?, message = ? WHERE schedule = ? AND due_at = ?",
                (moment, f"its process died {_MAX_ATTEMPTS} times", *key),
            )
            passed_by.append(key)
            continue
        _claim(control, key, owner, moment, lease_s)
        claimed.append(key)
    waiting = control.execute("SELECT * FROM firings WHERE state = 'waiting' ORDER BY due_at").fetchall()
    for row in waiting:
        if not _is_busy(control, row["schedule"]):
            key = (row["schedule"], row["due_at"])
            _claim(control, key, owner, moment, lease_s)
            claimed.append(key)
    return claimed


def _claim(control: sqlite3.Connection, key: tuple[str, float], owner: str, moment: float, lease_s: float) -> None:
    control.execute(
        "UPDATE firings SET state = 'running', owner = ?, lease_until = ?, attempts = attempts + 1, "
        "started_at = COALESCE(started_at, ?) WHERE schedule = ? AND due_at = ?",
        (owner, moment + lease_s, moment, *key),
    )


def _is_busy(control: sqlite3.Connection, schedule: str) -> bool:
    found = control.execute("SELECT 1 FROM firings WHERE schedule = ? AND state = 'running'", (schedule,)).fetchone()
    return found is not None


def _fire(
    control: sqlite3.Connection,
    schedule: Schedule,
    owner: str,
    moment: float,
    lease_s: float,
    claimed: list[tuple[str, float]],
    passed_by: list[tuple[str, float]],
) -> None:
    if schedule.next_at is None:
        return
    cron = parse_cron(schedule.cron, schedule.timezone)
    if schedule.next_at > moment:
        upcoming = cron.next_after(moment)
        if upcoming is not None and upcoming < schedule.next_at:  # the clock was set back; what has fired fires once
            control.execute("UPDATE schedules SET next_at = ? WHERE id = ?", (upcoming, schedule.id))
        return
    due = [schedule.next_at, *cron.between(schedule.next_at, moment)]
    *earlier, last = due
    for at in earlier:
        _record(control, schedule.id, at, "missed", "a later one was due as well", moment, passed_by)
    if moment - last > schedule.misfire_grace_s:
        late = f"no scheduler was there for {(moment - last) / 60:.0f} minutes"
        _record(control, schedule.id, last, "missed", late, moment, passed_by)
    elif _is_busy(control, schedule.id):
        _record(control, schedule.id, last, "skipped", "the one before was still going", moment, passed_by)
    else:
        inserted = control.execute(
            "INSERT OR IGNORE INTO firings (schedule, due_at, state) VALUES (?, ?, 'running')", (schedule.id, last)
        )
        if inserted.rowcount:
            _claim(control, (schedule.id, last), owner, moment, lease_s)
            claimed.append((schedule.id, last))
    control.execute("UPDATE schedules SET next_at = ? WHERE id = ?", (cron.next_after(moment), schedule.id))


def _record(
    control: sqlite3.Connection, name: str, at: float, state: FiringState, message: str, moment: float,
    passed_by: list[tuple[str, float]],
) -> None:  # fmt: skip
    inserted = control.execute(
        "INSERT OR IGNORE INTO firings (schedule, due_at, state, message, ended_at) VALUES (?, ?, ?, ?, ?)",
        (name, at, state, message, moment),
    )
    if inserted.rowcount:
        passed_by.append((name, at))


def renew_lease(
    store: LocalStore, firing: Firing, owner: str, *, now: float | None = None, lease_s: float = LEASE_S
) -> bool:
    """Keep a claim; `False` when somebody else has taken it over."""
    moment = time.time() if now is None else now
    with control_db(store.paths) as control:
        changed = control.execute(
            "UPDATE firings SET lease_until = ? WHERE schedule = ? AND due_at = ? AND owner = ? AND state = 'running'",
            (moment + lease_s, firing.schedule, firing.due_at, owner),
        )
        return changed.rowcount == 1


def note_run(store: LocalStore, firing: Firing, run_id: str) -> None:
    """Remember which run belongs to a firing."""
    with control_db(store.paths) as control:
        control.execute(
            "UPDATE firings SET run_id = ? WHERE schedule = ? AND due_at = ?", (run_id, firing.schedule, firing.due_at)
        )


def release_firing(store: LocalStore, firing: Firing, owner: str, *, count: bool = False) -> None:
    """Give a claim back unfinished: the next look takes it over and resumes its run.

    Args:
        store: Where the control data are.
        firing: The firing.
        owner: Who holds the claim.
        count: Whether this counts as one of the attempts after which a firing is given up.
    """
    with control_db(store.paths) as control:
        control.execute(
            "UPDATE firings SET lease_until = 0, attempts = attempts - ? "
            "WHERE schedule = ? AND due_at = ? AND owner = ? AND state = 'running'",
            (0 if count else 1, firing.schedule, firing.due_at, owner),
        )


def finish_firing(
    store: LocalStore,
    firing: Firing,
    owner: str,
    *,
    state: FiringState,
    outcome: str | None = None,
    message: str = "",
    run_id: str | None = None,
) -> bool:
    """Write down how a firing ended; `False` when somebody else has taken it over."""
    with control_db(store.paths) as control:
        changed = control.execute(
            "UPDATE firings SET state = ?, outcome = ?, message = ?, run_id = COALESCE(?, run_id), ended_at = ?, "
            "lease_until = 0 WHERE schedule = ? AND due_at = ? AND owner = ? AND state = 'running'",
            (state, outcome, message, run_id, time.time(), firing.schedule, firing.due_at, owner),
        )
        return changed.rowcount == 1
