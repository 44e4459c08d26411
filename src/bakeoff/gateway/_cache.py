"""The response cache: a call that was answered before costs nothing and takes microseconds.

One SQLite file in WAL mode, safe for several processes. Reads happen in the caller's thread (about
10 us); writes are collected and written by a thread a few times per second, so a crash loses at most
the last fraction of a second of the *cache* - never of a run, whose truth is its journal.

The cache never stops a run. When the file is damaged it is moved aside and a new one begun; when it
cannot be written, the run goes on without it. Either is reported once.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from bakeoff.errors import StoreError
from bakeoff.gateway._cache_key import checksum, decode_response, encode_response
from bakeoff.gateway._sqlite import is_busy, is_damage, open_to_read, open_wal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bakeoff.gateway._types import ModelResponse

__all__ = ["CacheStats", "ResponseCache"]

_logger = logging.getLogger(__name__)

_DAY_S = 86_400
_FLUSH_S = 0.2
_FLUSH_ROWS = 500
_MOST_PENDING = 20_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers_v1 (
    key BLOB PRIMARY KEY,
    payload BLOB NOT NULL,
    checksum INTEGER NOT NULL,
    created_s REAL NOT NULL,
    used_day INTEGER NOT NULL,
    model TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS answers_v1_used ON answers_v1 (used_day, created_s);
"""
_READ = "SELECT payload, checksum, created_s, used_day FROM answers_v1 WHERE key = ?"
_WRITE = "INSERT OR REPLACE INTO answers_v1 VALUES (?, ?, ?, ?, ?, ?)"
_TOUCH = "UPDATE answers_v1 SET used_day = ? WHERE key = ?"

_Row = tuple[bytes, bytes, int, float, int, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheStats:
    """What a response cache holds and did.

    Attributes:
        entries: Answers in the file.
        size_mb: Size of their pages in the file.
        oldest_s: Unix time of the oldest answer, `None` when empty.
        newest_s: Unix time of the newest answer.
        by_model: Answers by model.
        hits: Of this session.
        misses: Of this session.
        damaged: Rows of this session that failed their checksum.
    """

    entries: int = 0
    size_mb: float = 0.0
    oldest_s: float | None = None
    newest_s: float | None = None
    by_model: Mapping[str, int] = field(default_factory=dict)
    hits: int = 0
    misses: int = 0
    damaged: int = 0


class ResponseCache:
    """Answers by key in one SQLite file.

    Args:
        path: The file; its directory is made when missing.
        ttl_days: Answers older than this are misses; `None` keeps them for ever.
        max_mb: Size above which the answers that were not used for longest are dropped.
        wall_clock: Unix time, for ages.

    Examples:
        >>> import tempfile
        >>> from bakeoff.gateway import ModelResponse
        >>> with tempfile.TemporaryDirectory() as folder, ResponseCache(Path(folder) / "c.sqlite") as cache:
        ...     cache.put(b"key", ModelResponse(text="42", model="m"), model="m")
        ...     cache.get(b"key").text, cache.get(b"other"), cache.stats().entries
        ('42', None, 1)
    """

    def __init__(
        self,
        path: Path,
        *,
        ttl_days: float | None = None,
        max_mb: float = 2048.0,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = Path(path)
        self.warnings: list[str] = []
        self.hits = 0
        self.misses = 0
        self.damaged = 0
        self._ttl_s = None if ttl_days is None else ttl_days * _DAY_S
        self._max_bytes = max_mb * 1e6
        self._wall_clock = wall_clock
        self._pending: dict[bytes, _Row] = {}
        self._writing: dict[bytes, _Row] = {}
        self._touched: set[bytes] = set()
        self._lock = threading.Lock()
        self._file_lock = threading.Lock()
        self._wake = threading.Event()
        self._stop = False
        self._writable = True
        self._thread: threading.Thread | None = None
        self._inode = 0
        self._suspicion: sqlite3.Error | None = None
        self._reader = self._open_or_none()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @property
    def is_open(self) -> bool:
        """Whether answers can be read."""
        return self._reader is not None

    def get(self, key: bytes) -> ModelResponse | None:
        """Return the stored answer, marked `cached`, or `None`.

        Its cost, latency and usage are those of the call that was paid for.
        """
        self._repair()
        row = self._pending.get(key) or self._writing.get(key)
        if row is not None:
            self.hits += 1
            return decode_response(row[1])
        found = self._read(key)
        if found is None:
            self.misses += 1
            return None
        payload, crc, created_s, used_day = found
        now = self._wall_clock()
        if self._ttl_s is not None and abs(now - created_s) > self._ttl_s:  # also of a clock that was ahead by more
            self.misses += 1
            return None
        try:
            if checksum(key, payload) != crc:
                raise ValueError("checksum differs")
            response = decode_response(payload)
        except (ValueError, TypeError) as error:
            self.damaged += 1
            self.misses += 1
            self._warn(f"response cache {str(self.path)!r}: a damaged answer was found ({error}); it is asked again")
            return None
        self.hits += 1
        if used_day != int(now // _DAY_S):
            self._touched.add(key)
            self._start_thread()
        return response

    def put(self, key: bytes, response: ModelResponse, *, model: str) -> None:
        """Store an answer soon; it can be read at once."""
        self._repair()
        if not self._writable:
            return
        try:
            payload = encode_response(response)
        except (TypeError, ValueError) as error:
            self._warn(f"response cache: an answer of {model!r} cannot be stored: {error}")
            return
        now = self._wall_clock()
        model = model.encode("utf-8", "replace").decode()  # a lone surrogate is no text to SQLite
        with self._lock:
            if len(self._pending) >= _MOST_PENDING:
                return  # the disk does not keep up: an answer that is not cached is only asked again
            self._pending[key] = (key, payload, checksum(key, payload), now, int(now // _DAY_S), model)
        if len(self._pending) >= _FLUSH_ROWS:
            self._wake.set()
        self._start_thread()

    def flush(self) -> None:
        """Write everything that is pending."""
        self._write_pending()

    def close(self) -> None:
        """Write what is pending and close the file."""
        self._stop = True
        self._wake.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()
        self._write_pending()
        self._close_reader()

    def stats(self) -> CacheStats:
        """Count what the cache holds."""
        self.flush()
        counts = {"hits": self.hits, "misses": self.misses, "damaged": self.damaged}
        reader = self._reader
        if reader is None:
            return CacheStats(**counts)
        try:
            entries, oldest, newest = reader.execute(
                "SELECT count(*), min(created_s), max(created_s) FROM answers_v1"
            ).fetchone()
            by_model = dict(reader.execute("SELECT model, count(*) FROM answers_v1 GROUP BY model ORDER BY model"))
            size_mb = _used_bytes(reader) / 1e6
        except sqlite3.Error as error:
            self._on_error(error)
            return CacheStats(**counts)
        return CacheStats(
            entries=entries, size_mb=size_mb, oldest_s=oldest, newest_s=newest, by_model=by_model, **counts
        )

    def clear(self, *, model: str | None = None, older_than_days: float | None = None) -> int:
        """Delete answers and return how many.

        Args:
            model: Only of this model.
            older_than_days: Only older ones.

        Raises:
            StoreError: The file cannot be written.
        """
        self.flush()
        before = self._wall_clock() - (older_than_days or 0) * _DAY_S
        newest = before if older_than_days is not None else float("inf")
        try:
            with contextlib.closing(self._connect()) as connection, connection:
                deleted = connection.execute(
                    "DELETE FROM answers_v1 WHERE created_s <= ?1 AND (?2 IS NULL OR model = ?2)", (newest, model)
                ).rowcount
            with contextlib.closing(self._connect()) as connection:
                connection.execute("VACUUM")
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"response cache {str(self.path)!r} cannot be cleared: {error}\n    fix: delete the file"
            ) from error
        return deleted

    # Reading

    def _read(self, key: bytes) -> tuple[bytes, int, float, int] | None:
        reader = self._reader
        if reader is None:
            return None
        try:
            found: tuple[bytes, int, float, int] | None = reader.execute(_READ, (key,)).fetchone()
        except sqlite3.Error as error:
            self._on_error(error)
            return None
        return found

    # Opening and repairing

    def _connect(self) -> sqlite3.Connection:
        connection = open_wal(self.path, _SCHEMA, busy_s=30.0)
        connection.execute("PRAGMA cache_size = -16384")
        return connection

    def _open_or_none(self) -> sqlite3.Connection | None:
        for last in (False, True):
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                connection = self._connect()
                connection.execute(_READ, (b"",)).fetchone()
                self._inode = self.path.stat().st_ino
            except (sqlite3.Error, OSError) as error:
                if not last and is_damage(error):
                    self._move_aside(error)
                    continue
                self._writable = False
                connection = self._to_read_or_none()
                without = "nothing new is kept" if connection else "going on without it"
                self._warn(f"response cache {str(self.path)!r} cannot be written: {error}; {without}")
            return connection
        return None

    def _to_read_or_none(self) -> sqlite3.Connection | None:
        try:
            connection = open_to_read(self.path)
            connection.execute(_READ, (b"",)).fetchone()
        except sqlite3.Error:
            return None
        return connection

    def _repair(self) -> None:
        """Replace a file that the writing thread found damaged; here, where it is read."""
        if self._suspicion is not None:
            suspicion, self._suspicion = self._suspicion, None
            self._on_error(suspicion)

    def _on_error(self, error: sqlite3.Error) -> None:
        """Handle an error of the open file: a busy one is a miss, a damaged one is replaced."""
        if not is_damage(error):
            if not is_busy(error):
                self._warn(f"response cache {str(self.path)!r} cannot be used: {error}; going on without it")
                self._writable = False
                self._close_reader()
            return
        self._close_reader()
        with self._file_lock:
            try:
                replaced = self.path.stat().st_ino != self._inode
            except OSError:
                replaced = True
            if not replaced:  # else another process has repaired it already
                self._move_aside(error)
            self._reader = self._open_or_none()

    def _move_aside(self, error: Exception) -> None:
        aside = self.path.with_name(f"{self.path.name}.damaged-{int(self._wall_clock())}-{os.getpid()}")
        with contextlib.suppress(OSError):
            self.path.rename(aside)
        for suffix in ("-wal", "-shm"):
            with contextlib.suppress(OSError):
                Path(f"{self.path}{suffix}").unlink()
        self._warn(
            f"response cache {str(self.path)!r} is damaged ({error}); it was moved to {aside.name!r}, a new one begins"
        )

    def _close_reader(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            with contextlib.suppress(sqlite3.Error):
                reader.close()

    def _warn(self, message: str) -> None:
        kind = message.split("(", maxsplit=1)[0]
        if all(not known.startswith(kind) for known in self.warnings):
            self.warnings.append(message)
            _logger.warning("%s", message)

    # Writing

    def _start_thread(self) -> None:
        if self._thread is None and not self._stop and self._writable:
            self._thread = threading.Thread(target=self._write_loop, name="bakeoff-cache", daemon=True)
            self._thread.start()

    def _write_loop(self) -> None:
        while not self._stop:
            self._wake.wait(_FLUSH_S)
            self._wake.clear()
            self._write_pending()

    def _write_pending(self) -> None:
        with self._file_lock:
            with self._lock:
                if not self._pending and not self._touched:
                    return
                self._writing = self._pending.copy()
                touched = self._touched.copy()
                self._pending.clear()
                self._touched.clear()
            try:
                if self._writable:
                    self._write(list(self._writing.values()), touched)
            except (sqlite3.Error, OSError, ValueError) as error:
                if is_damage(error) and isinstance(error, sqlite3.Error):
                    self._suspicion = error
                elif is_busy(error):
                    with self._lock:  # try again with the next ones
                        self._pending = {**self._writing, **self._pending}
                else:
                    self._writable = False
                    self._warn(f"response cache {str(self.path)!r} cannot be written: {error}; going on without it")
            finally:
                self._writing = {}

    def _write(self, rows: list[_Row], touched: set[bytes]) -> None:
        with contextlib.closing(self._connect()) as connection:
            today = int(self._wall_clock() // _DAY_S)
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(_WRITE, rows)
            connection.executemany(_TOUCH, ((today, key) for key in touched))
            connection.execute("COMMIT")
            if _used_bytes(connection) > self._max_bytes:
                self._evict(connection)

    def _evict(self, connection: sqlite3.Connection) -> None:
        """Drop the tenth of the answers that were not used for longest, until the file is small enough."""
        for _ in range(50):
            if _used_bytes(connection) <= self._max_bytes * 0.9:
                return
            (entries,) = connection.execute("SELECT count(*) FROM answers_v1").fetchone()
            if not entries:
                return
            connection.execute(
                "DELETE FROM answers_v1 WHERE rowid IN"
                " (SELECT rowid FROM answers_v1 ORDER BY used_day, created_s LIMIT ?)",
                (max(entries // 10, 1),),
            )


def _used_bytes(connection: sqlite3.Connection) -> int:
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size
