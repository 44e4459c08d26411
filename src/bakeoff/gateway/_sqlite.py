"""Open a small SQLite file that several processes use at once."""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["is_busy", "is_damage", "open_to_read", "open_wal"]

_PATIENCE_S = 5.0
_PAUSE_S = 0.01
_DAMAGE = ("malformed", "not a database", "disk image", "corrupt", "encrypted")


def open_wal(path: Path, schema: str, *, busy_s: float) -> sqlite3.Connection:
    """Open a file in WAL mode with its tables.

    The switch to WAL fails at once, whatever the busy timeout, when another process makes it at the same
    moment; so it is tried again for a while.

    Args:
        path: The file.
        schema: Statements that make what is missing.
        busy_s: How long later statements wait for other writers.

    Raises:
        sqlite3.Error: The file cannot be opened, is damaged, or stays locked.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        connection = sqlite3.connect(path, timeout=busy_s, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = OFF")
            connection.executescript(schema)
        except sqlite3.Error as error:
            connection.close()
            if not is_busy(error) or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_S)
        else:
            return connection


def open_to_read(path: Path) -> sqlite3.Connection:
    """Open a file that may not be written.

    SQLite itself wants to write beside a file in WAL mode, even to read it. Where it may not, and nobody else has the
    file open, it is read as it stands.

    Raises:
        sqlite3.Error: The file cannot be read.
    """
    address = f"{path.absolute().as_uri()}?mode=ro"
    for last in (False, True):
        connection = sqlite3.connect(
            f"{address}&immutable=1" if last else address, uri=True, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.Error:
            connection.close()
            if last:
                raise
        else:
            break
    return connection


def is_busy(error: BaseException) -> bool:
    """Whether another process holds the file just now."""
    return isinstance(error, sqlite3.OperationalError) and ("locked" in str(error) or "busy" in str(error))


def is_damage(error: BaseException) -> bool:
    """Whether the file is not, or no longer, a sound database."""
    return isinstance(error, sqlite3.DatabaseError) and any(sign in str(error) for sign in _DAMAGE)
