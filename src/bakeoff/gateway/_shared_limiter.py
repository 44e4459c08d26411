"""Declared limits shared by all Bakeoff processes of one user on one machine.

One small SQLite file in the user's state directory counts what every process has admitted. Names in it
are hashes of provider, address and key; it never holds a key, a prompt or a model's answer. Losing or
deleting it forgets at most the last minute.

Times are `time.monotonic`, which all processes of a machine share until it is started again; the
file is emptied when the machine's boot id has changed. A process that dies leaves its calls in
flight behind; they count until their lease ends, or until another process sees that it is gone.

A server such as Redis can take this place by implementing `WindowStore`.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import socket
import sqlite3
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bakeoff.gateway._sqlite import is_busy, open_wal
from bakeoff.gateway._window import (
    REQUEST_BURST_S,
    SLACK_S,
    TOKEN_BURST_S,
    WINDOW_S,
    Denied,
    LocalWindows,
    Ticket,
    WindowScope,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["SqliteWindows", "state_file"]

_logger = logging.getLogger(__name__)

_STEPS = 240
_POLL_S = 1.0
_BUSY_S = 0.02
_OPEN_TIMEOUT_S = 5.0
_BUSY_TIMEOUT_MS = 200
_EPSILON = 1e-6
_REQUESTS, _TOKENS = 0, 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS boot (id TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS pace (
    scope TEXT NOT NULL, kind INTEGER NOT NULL, next_s REAL NOT NULL, PRIMARY KEY (scope, kind)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS used (
    scope TEXT NOT NULL, kind INTEGER NOT NULL, expires_s REAL NOT NULL, amount REAL NOT NULL,
    PRIMARY KEY (scope, kind, expires_s)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS held (
    id INTEGER PRIMARY KEY, scope TEXT NOT NULL, tokens REAL NOT NULL, lease_s REAL NOT NULL, owner TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS held_scope ON held (scope);
"""
_ADD_USED = (
    "INSERT INTO used VALUES (?, ?, ?, ?)"
    " ON CONFLICT (scope, kind, expires_s) DO UPDATE SET amount = amount + excluded.amount"
)
_SET_PACE = "INSERT OR REPLACE INTO pace VALUES (?, ?, ?)"


def state_file(env: Mapping[str, str]) -> Path:
    """Return where shared limits are counted: `BAKEOFF_STATE_DIR`, else the user's state directory."""
    named = env.get("BAKEOFF_STATE_DIR")
    if named:
        return Path(named) / "limits.sqlite"
    if sys.platform == "win32":
        base = Path(env.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(env.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return base / "bakeoff" / "limits.sqlite"


class _Hold:
    __slots__ = ("arrives_s", "row", "scope", "tokens")

    def __init__(self, scope: WindowScope, row: int, arrives_s: float, tokens: float) -> None:
        self.scope = scope
        self.row = row
        self.arrives_s = arrives_s
        self.tokens = tokens


class _SharedTicket(list[_Hold]):
    __slots__ = ()


class SqliteWindows:
    """A `WindowStore` in a file; falls back to this process alone when the file cannot be used.

    Args:
        path: The file; made with its directory when missing, readable by its owner only.
        lease_s: Longest time that a call can be in flight.
        window_s: Length of the windows in seconds.
    """

    def __init__(self, path: Path, *, lease_s: float, window_s: float = WINDOW_S) -> None:
        self.path = path
        self.warnings: list[str] = []
        self._lease_s = lease_s
        self._window_s = window_s
        self._slack_s = min(SLACK_S, window_s)
        self._step_s = window_s / _STEPS
        self._local = LocalWindows()
        self._owner = f"{socket.gethostname()}:{os.getpid()}"
        self._late: list[tuple[_SharedTicket, float, float, bool]] = []
        self._connection: sqlite3.Connection | None = None
        try:
            self._connection = self._open()
        except (sqlite3.Error, OSError) as error:
            self._give_up(error)

    @property
    def is_shared(self) -> bool:
        """Whether the file is in use."""
        return self._connection is not None

    def take(
        self, scopes: Sequence[WindowScope], now: float, *, input_tokens: float, output_tokens: float
    ) -> Ticket | Denied:
        """Admit one call in all scopes, or in none."""
        connection = self._connection
        if connection is not None:
            try:
                return self._take(connection, scopes, now, input_tokens + output_tokens)
            except sqlite3.Error as error:
                self._abort(connection)
                if is_busy(error):
                    return Denied(scope=scopes[0].name, wait_s=_BUSY_S)
                self._give_up(error)
        return self._local.take(scopes, now, input_tokens=input_tokens, output_tokens=output_tokens)

    def settle(self, ticket: Ticket, now: float, *, input_tokens: float, output_tokens: float, sent: bool) -> None:
        """Replace the estimates of an admitted call by what it used; `sent=False` takes it back entirely."""
        if not isinstance(ticket, _SharedTicket):
            self._local.settle(ticket, now, input_tokens=input_tokens, output_tokens=output_tokens, sent=sent)
            return
        self._late.append((ticket, now, input_tokens + output_tokens, sent))
        connection = self._connection
        if connection is None:
            self._late.clear()
            return
        try:
            connection.execute("BEGIN IMMEDIATE")
            self._settle_late(connection)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._abort(connection)
            if not is_busy(error):  # a busy file settles with the next call
                self._give_up(error)
        else:
            self._late.clear()

    def close(self) -> None:
        """Close the file."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("BEGIN IMMEDIATE")
                self._settle_late(connection)
                connection.execute("COMMIT")
            connection.close()

    # Taking

    def _take(
        self, connection: sqlite3.Connection, scopes: Sequence[WindowScope], now: float, tokens: float
    ) -> Ticket | Denied:
        connection.execute("BEGIN IMMEDIATE")
        self._settle_late(connection)
        for scope in scopes:
            wait = self._wait_s(connection, scope, now, tokens)
            if wait > 0:
                connection.execute("COMMIT")
                self._late.clear()
                return Denied(scope=scope.name, wait_s=wait)
        ticket = _SharedTicket(self._hold(connection, scope, now, tokens) for scope in scopes)
        connection.execute("COMMIT")
        self._late.clear()
        return ticket

    def _wait_s(self, connection: sqlite3.Connection, scope: WindowScope, now: float, tokens: float) -> float:
        name = scope.name
        connection.execute("DELETE FROM used WHERE scope = ? AND expires_s <= ?", (name, now))
        self._bury(connection, scope, now, "lease_s <= ?", now)
        in_flight, held_tokens = connection.execute(
            "SELECT count(*), coalesce(sum(tokens), 0) FROM held WHERE scope = ?", (name,)
        ).fetchone()
        if scope.concurrency is not None and in_flight >= scope.concurrency:
            self._forget_dead(connection, scope, now)
            return min(_POLL_S, 0.1)
        wait = 0.0
        if scope.requests_per_minute is not None:
            wait = self._kind_wait_s(connection, scope, _REQUESTS, now, 1, 0)
        if scope.tokens_per_minute is not None:
            wait = max(wait, self._kind_wait_s(connection, scope, _TOKENS, now, tokens, held_tokens))
        return wait

    def _kind_wait_s(
        self, connection: sqlite3.Connection, scope: WindowScope, kind: int, now: float, amount: float, held: float
    ) -> float:
        """Return 0.0 when `amount` of one quantity may go now, else after how long to ask again."""
        limit, _, burst_s = self._law(scope, kind)
        (next_s,) = connection.execute(
            "SELECT coalesce(max(next_s), -1e18) FROM pace WHERE scope = ? AND kind = ?", (scope.name, kind)
        ).fetchone()
        wait = max(next_s - burst_s - now, 0.0)
        (used,) = connection.execute(
            "SELECT coalesce(sum(amount), 0) FROM used WHERE scope = ? AND kind = ?", (scope.name, kind)
        ).fetchone()
        missing = used + held + min(amount, limit) - limit
        if missing <= _EPSILON:
            return wait
        for expires_s, freed in connection.execute(
            "SELECT expires_s, amount FROM used WHERE scope = ? AND kind = ? ORDER BY expires_s", (scope.name, kind)
        ):
            missing -= freed
            if missing <= _EPSILON:
                # Other processes may settle for less at any time: look again now and then.
                return max(wait, min(expires_s - now, _POLL_S))
        return max(wait, _POLL_S / 4)

    def _hold(self, connection: sqlite3.Connection, scope: WindowScope, now: float, tokens: float) -> _Hold:
        name = scope.name
        arrives_s = self._expiry(now + self._slack_s, scope, _REQUESTS)
        for kind, amount in ((_REQUESTS, 1.0), (_TOKENS, tokens)):
            limit, interval_s, _ = self._law(scope, kind)
            if limit != math.inf:
                self._push_pace(connection, name, kind, now, amount * interval_s)
        if scope.requests_per_minute is not None:
            connection.execute(_ADD_USED, (name, _REQUESTS, arrives_s, 1.0))
        row = connection.execute(
            "INSERT INTO held (scope, tokens, lease_s, owner) VALUES (?, ?, ?, ?)",
            (name, tokens, now + self._lease_s, self._owner),
        ).lastrowid
        return _Hold(scope, row or 0, arrives_s, tokens)

    def _push_pace(self, connection: sqlite3.Connection, name: str, kind: int, now: float, delay_s: float) -> None:
        (next_s,) = connection.execute(
            "SELECT coalesce(max(next_s), -1e18) FROM pace WHERE scope = ? AND kind = ?", (name, kind)
        ).fetchone()
        connection.execute(_SET_PACE, (name, kind, max(next_s, now) + delay_s))

    # Settling

    def _settle_late(self, connection: sqlite3.Connection) -> None:
        for ticket, now, tokens, sent in self._late:
            for hold in ticket:
                self._settle(connection, hold, now, tokens, sent=sent)

    def _settle(self, connection: sqlite3.Connection, hold: _Hold, now: float, tokens: float, *, sent: bool) -> None:
        scope, name = hold.scope, hold.scope.name
        connection.execute("DELETE FROM held WHERE id = ?", (hold.row,))
        if scope.requests_per_minute is not None:
            expires_s = self._expiry(now, scope, _REQUESTS)
            if not sent or expires_s < hold.arrives_s:
                connection.execute(
                    "UPDATE used SET amount = amount - 1 WHERE scope = ? AND kind = ? AND expires_s = ?",
                    (name, _REQUESTS, hold.arrives_s),
                )
                if sent:
                    connection.execute(_ADD_USED, (name, _REQUESTS, expires_s, 1.0))
                else:
                    self._give_back_pace(connection, scope, _REQUESTS, 1.0)
        if scope.tokens_per_minute is not None:
            if sent and tokens > 0:
                connection.execute(_ADD_USED, (name, _TOKENS, self._expiry(now, scope, _TOKENS), tokens))
            self._give_back_pace(connection, scope, _TOKENS, hold.tokens - (tokens if sent else 0.0))

    def _give_back_pace(self, connection: sqlite3.Connection, scope: WindowScope, kind: int, amount: float) -> None:
        _, interval_s, _ = self._law(scope, kind)
        connection.execute(
            "UPDATE pace SET next_s = next_s - ? WHERE scope = ? AND kind = ?", (amount * interval_s, scope.name, kind)
        )

    def _law(self, scope: WindowScope, kind: int) -> tuple[float, float, float]:
        """Return limit, seconds per unit, and seconds of burst."""
        limit = scope.requests_per_minute if kind == _REQUESTS else scope.tokens_per_minute
        burst_s = REQUEST_BURST_S if kind == _REQUESTS else TOKEN_BURST_S
        if limit is None:
            return math.inf, 0.0, 0.0
        return max(limit, 1.0), self._window_s / limit, burst_s * self._window_s / WINDOW_S

    def _expiry(self, arrived_s: float, scope: WindowScope, kind: int) -> float:
        limit = scope.requests_per_minute if kind == _REQUESTS else scope.tokens_per_minute
        window_s = self._window_s if limit is None or limit >= 1 else self._window_s / limit
        return (math.ceil((arrived_s + window_s) / self._step_s) + 1) * self._step_s

    def _forget_dead(self, connection: sqlite3.Connection, scope: WindowScope, now: float) -> None:
        """End the calls of processes of this host that have ended (another container is another host)."""
        owners = connection.execute("SELECT DISTINCT owner FROM held WHERE scope = ?", (scope.name,)).fetchall()
        for (owner,) in owners:
            host, _, pid = owner.rpartition(":")
            if host == self._owner.rpartition(":")[0] and not _is_alive(int(pid)):
                self._bury(connection, scope, now, "owner = ?", owner)

    def _bury(
        self, connection: sqlite3.Connection, scope: WindowScope, now: float, which: str, value: float | str
    ) -> None:
        """End calls that nobody will settle. What they used is unknown: all that they held counts for a window."""
        tokens, lease_s = connection.execute(
            f"SELECT total(tokens), coalesce(max(lease_s), 0) FROM held WHERE scope = ? AND {which}",  # noqa: S608 - one of two literals
            (scope.name, value),
        ).fetchone()
        connection.execute(f"DELETE FROM held WHERE scope = ? AND {which}", (scope.name, value))  # noqa: S608
        if tokens and scope.tokens_per_minute is not None:
            expires_s = self._expiry(min(now, lease_s), scope, _TOKENS)
            if expires_s > now:
                connection.execute(_ADD_USED, (scope.name, _TOKENS, expires_s, tokens))

    # The file

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            return self._connect()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            for suffix in ("", "-wal", "-shm"):  # damaged, and worth one minute of memory
                Path(f"{self.path}{suffix}").unlink(missing_ok=True)
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = open_wal(self.path, _SCHEMA, busy_s=_OPEN_TIMEOUT_S)
        try:
            connection.execute("BEGIN IMMEDIATE")
            boot = _boot_id()
            known = connection.execute("SELECT id FROM boot").fetchall()
            if known != [(boot,)]:
                for table in ("boot", "pace", "used", "held"):
                    connection.execute(f"DELETE FROM {table}")  # noqa: S608 - names from the line above
                connection.execute("INSERT INTO boot VALUES (?)", (boot,))
            if not boot:  # then what lies too far ahead comes from before the machine was started again
                ahead_s = time.monotonic() + max(self._lease_s, 2 * self._window_s) + 2 * self._slack_s
                connection.execute("DELETE FROM used WHERE expires_s > ?", (ahead_s,))
                connection.execute("DELETE FROM held WHERE lease_s > ?", (ahead_s,))
                connection.execute("DELETE FROM pace WHERE next_s > ?", (ahead_s,))
            connection.execute("COMMIT")
            # From now on the event loop waits for it.
            connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _abort(self, connection: sqlite3.Connection) -> None:
        with contextlib.suppress(sqlite3.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def _give_up(self, error: Exception) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()
        message = (
            f"limits cannot be shared with other processes through {str(self.path)!r}: {error}; they hold for this "
            "process only\n    fix: set BAKEOFF_STATE_DIR to a directory that can be written, or limits.shared: false"
        )
        self.warnings.append(message)
        _logger.warning("%s", message)


def _boot_id() -> str:
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


def _is_alive(pid: int) -> bool:
    if sys.platform == "win32":
        return True  # os.kill would end it
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
