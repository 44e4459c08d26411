"""The control data of a store: baselines, schedules, notifications. Small, transactional, SQLite in WAL mode."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from typing import TYPE_CHECKING

from bakeoff.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bakeoff.experiments import StorePaths

__all__ = ["control_db"]

_MIGRATIONS: tuple[tuple[str, str], ...] = (
    (
        "regression-001-baselines",
        """
        CREATE TABLE baselines (
            experiment TEXT NOT NULL, name TEXT NOT NULL, run_id TEXT NOT NULL, set_at TEXT NOT NULL,
            pins TEXT NOT NULL, note TEXT NOT NULL DEFAULT '', PRIMARY KEY (experiment, name)
        )
        """,
    ),
    (
        "regression-002-schedules",
        """
        CREATE TABLE schedules (
            id TEXT PRIMARY KEY, file TEXT NOT NULL, cron TEXT NOT NULL, timezone TEXT NOT NULL,
            misfire_grace_s REAL NOT NULL, paused INTEGER NOT NULL DEFAULT 0, options TEXT NOT NULL DEFAULT '{}',
            added_at REAL NOT NULL, next_at REAL
        );
        CREATE TABLE firings (
            schedule TEXT NOT NULL, due_at REAL NOT NULL, state TEXT NOT NULL, owner TEXT NOT NULL DEFAULT '',
            lease_until REAL NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0, run_id TEXT, outcome TEXT,
            message TEXT NOT NULL DEFAULT '', started_at REAL, ended_at REAL, reason TEXT NOT NULL DEFAULT 'cron',
            PRIMARY KEY (schedule, due_at)
        );
        CREATE INDEX firings_by_state ON firings (state, schedule);
        """,
    ),
    (
        "regression-003-notifications",
        """
        CREATE TABLE notifications (
            key TEXT NOT NULL, channel TEXT NOT NULL, file TEXT NOT NULL, event TEXT NOT NULL, payload TEXT NOT NULL,
            state TEXT NOT NULL, at REAL NOT NULL, next_at REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
            error TEXT NOT NULL DEFAULT '', PRIMARY KEY (key, channel)
        );
        CREATE TABLE conditions (subject TEXT PRIMARY KEY, state TEXT NOT NULL, since REAL NOT NULL);
        """,
    ),
)


@contextlib.contextmanager
def control_db(paths: StorePaths) -> Iterator[sqlite3.Connection]:
    """Open the control data, brought up to date. A transaction is begun with `BEGIN IMMEDIATE` by whoever needs one.

    In a store that may only be read, what is there can be read, and whoever writes is refused.

    Raises:
        StoreError: The file cannot be opened or written, is damaged, or stays locked.
    """
    connection: sqlite3.Connection | None = None
    try:
        connection = _open_to_write(paths) if _may_write(paths) else _open_to_read(paths)
        yield connection
    except sqlite3.Error as error:
        if "readonly" in str(error):
            raise StoreError(
                f"the store {str(paths.root)!r} cannot be written: no permission; choose another with --store"
            ) from error
        raise StoreError(f"the control data {str(paths.control)!r} cannot be used: {error}") from error
    finally:
        if connection is not None:
            connection.close()


def _may_write(paths: StorePaths) -> bool:
    """Whether there is nothing yet, or what is there may be written."""
    there = [path for path in (paths.root, paths.control) if path.exists()]
    return all(os.access(path, os.W_OK) for path in there)


def _open_to_write(paths: StorePaths) -> sqlite3.Connection:
    paths.create()
    connection = sqlite3.connect(paths.control, timeout=30.0, isolation_level=None)
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        _migrate(connection)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _open_to_read(paths: StorePaths) -> sqlite3.Connection:
    """Open a copy in memory: SQLite itself needs to write beside a file in WAL mode, even to read it."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        if paths.control.exists():
            address = f"{paths.control.absolute().as_uri()}?mode=ro"
            try:
                _copy(address, connection)
            except sqlite3.Error:  # nobody has it open: as it stands, then
                _copy(f"{address}&immutable=1", connection)
        connection.row_factory = sqlite3.Row
        _migrate(connection)
        connection.execute("PRAGMA query_only = ON")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _copy(address: str, into: sqlite3.Connection) -> None:
    with contextlib.closing(sqlite3.connect(address, uri=True)) as file:
        file.backup(into)


def _migrate(connection: sqlite3.Connection) -> None:
    names = [name for name, _ in _MIGRATIONS]
    with contextlib.suppress(sqlite3.OperationalError):  # the table is not there in a new store
        known = {row["name"] for row in connection.execute("SELECT name FROM regression_migrations")}
        if known.issuperset(names):
            return
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS regression_migrations (name TEXT PRIMARY KEY, applied_at TEXT NOT NULL)"
        )
        known = {row["name"] for row in connection.execute("SELECT name FROM regression_migrations")}
        for name, script in _MIGRATIONS:
            if name not in known:
                for statement in filter(str.strip, script.split(";")):
                    connection.execute(statement)
                connection.execute("INSERT INTO regression_migrations VALUES (?, datetime('now'))", (name,))
    except sqlite3.Error:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
