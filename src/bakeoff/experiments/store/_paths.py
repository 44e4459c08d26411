"""Where things lie in a store, and how a run is locked by the process that drives it."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from bakeoff.errors import StoreError

__all__ = ["ID_STAMP", "RunLock", "RunPaths", "StorePaths", "default_store", "new_run_id"]

ID_STAMP = "%Y%m%d-%H%M%S"
"""How the id of a run begins: with the time in UTC."""


def default_store() -> Path:
    """Return the store's folder: `BAKEOFF_STORE`, or `.bakeoff` in the working directory or the nearest parent."""
    named = os.environ.get("BAKEOFF_STORE")
    if named:
        return Path(named)
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / ".bakeoff" / "runs").is_dir():
            return folder / ".bakeoff"
    return here / ".bakeoff"


def new_run_id(name: str, *, now: datetime | None = None) -> str:
    """Return a name that sorts by time and says what ran: `20261120-143005-triage-3f9a`."""
    stamp = (now or datetime.now(UTC)).strftime(ID_STAMP)
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "run"
    return f"{stamp}-{slug}-{secrets.token_hex(2)}"


@dataclass(frozen=True, slots=True)
class RunPaths:
    """Files of one run."""

    folder: Path

    @property
    def run_id(self) -> str:
        """Name of the run."""
        return self.folder.name

    def create(self) -> None:
        """Make the run's folder.

        Raises:
            StoreError: The store cannot be written.
        """
        try:
            self.folder.mkdir(parents=True)
        except OSError as error:
            raise StoreError(
                f"the store {str(self.folder.parent.parent)!r} cannot be written: {error.strerror}; "
                "choose another with --store"
            ) from error

    @property
    def manifest(self) -> Path:
        """What ran, on what, with which versions, and how it ended."""
        return self.folder / "manifest.json"

    @property
    def journal(self) -> Path:
        """Events, until the run is complete."""
        return self.folder / "journal.jsonl"

    @property
    def trials(self) -> Path:
        """Sealed trials."""
        return self.folder / "trials.parquet"

    @property
    def scores(self) -> Path:
        """Sealed scores."""
        return self.folder / "scores.parquet"

    @property
    def lock(self) -> Path:
        """Held by the process that drives the run."""
        return self.folder / "run.lock"

    @property
    def status(self) -> Path:
        """Progress, written about once a second."""
        return self.folder / "status.json"

    @property
    def control(self) -> Path:
        """Wishes of other processes: pause, resume, stop, concurrency."""
        return self.folder / "control.jsonl"


@dataclass(frozen=True, slots=True)
class StorePaths:
    """Folders of a store."""

    root: Path

    @property
    def runs(self) -> Path:
        """One folder for each run."""
        return self.root / "runs"

    @property
    def datasets(self) -> Path:
        """Items by content version."""
        return self.root / "datasets"

    @property
    def cache(self) -> Path:
        """Response cache."""
        return self.root / "cache.sqlite"

    @property
    def control(self) -> Path:
        """Labels, baselines, schedules."""
        return self.root / "control.sqlite"

    @property
    def mlflow(self) -> Path:
        """MLflow's own database, when no server is named."""
        return self.root / "mlflow.db"

    @property
    def catalogue(self) -> Path:
        """DuckDB file with views over all sealed runs."""
        return self.root / "bakeoff.duckdb"

    def run(self, run_id: str) -> RunPaths:
        """Files of one run."""
        return RunPaths(self.runs / run_id)

    def create(self) -> None:
        """Make the folders; a store is never committed by accident."""
        try:
            self.runs.mkdir(parents=True, exist_ok=True)
            self.datasets.mkdir(exist_ok=True)
            if not os.access(self.runs, os.W_OK):
                raise PermissionError(errno.EACCES, "no permission")
            ignore = self.root / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n")
        except OSError as error:
            raise StoreError(
                f"the store {str(self.root)!r} cannot be written: {error.strerror}; choose another with --store"
            ) from error


class RunLock:
    """An advisory lock that the system releases when its process dies, however it dies."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None

    def acquire(self) -> bool:
        """Take the lock; `False` when another process holds it."""
        file = self._path.open("a+b")
        if not _try_lock(file):
            file.close()
            return False
        self._file = file
        return True

    def wait(self, *, timeout_s: float = 60.0) -> bool:
        """Take the lock, waiting for whoever holds it; `False` when the time runs out."""
        deadline = time.monotonic() + timeout_s
        while not self.acquire():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def release(self) -> None:
        """Give the lock back."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def is_held(self) -> bool:
        """Whether some process drives the run."""
        if not self._path.exists():
            return False
        with contextlib.suppress(OSError), self._path.open("a+b") as file:
            return not _try_lock(file)
        return False


def _try_lock(file: IO[bytes]) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
