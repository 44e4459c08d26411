"""Start runs in processes of their own: closing the browser, or the dashboard, does not stop them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bakeoff.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

    from bakeoff.experiments import LocalStore

__all__ = ["Started", "look_once", "resume", "start", "start_example", "wait_for_run"]


@dataclass(frozen=True, slots=True)
class Started:
    """A process that drives a run, and the file that its messages go to."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def failed(self) -> bool:
        """Whether it ended with an error."""
        return bool(self.process.poll())

    def said(self, limit: int = 4000) -> str:
        """Return the end of what it said."""
        try:
            return self.log.read_bytes()[-limit:].decode(errors="replace").strip() or "it said nothing"
        except OSError:
            return "it said nothing"


def start(experiment: Path, root: Path) -> Started:
    """Run an experiment file in a process of its own.

    Raises:
        StoreError: The process cannot be started.
    """
    return _spawn(["run", str(experiment), "--quiet"], root, cwd=experiment.parent)


def resume(run_id: str, root: Path) -> Started:
    """Go on with a run in a process of its own.

    Raises:
        StoreError: The process cannot be started.
    """
    return _spawn(["resume", run_id, "--quiet"], root, cwd=root.parent)


def look_once(root: Path) -> Started:
    """Let a scheduler look once in a process of its own: what is due or asked for is run.

    Raises:
        StoreError: The process cannot be started.
    """
    return _spawn(["scheduler", "--once"], root, cwd=root.resolve().parent)


def start_example(root: Path, name: str = "triage") -> Started:
    """Write an example beside the store and run it.

    Raises:
        StoreError: A file cannot be written or the process cannot be started.
    """
    folder = root.resolve().parent / f"{name}-example"
    if not (folder / "experiment.yaml").exists():
        done = subprocess.run(  # noqa: S603 - our own command with fixed arguments
            [sys.executable, "-m", "bakeoff", "init", str(folder), "--example", name],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        if done.returncode:
            raise StoreError(f"the example cannot be written to {str(folder)!r}: {done.stderr.strip()[:500]}")
    return start(folder / "experiment.yaml", root)


def _spawn(arguments: list[str], root: Path, *, cwd: Path) -> Started:
    logs = root.resolve() / "logs"
    try:
        logs.mkdir(parents=True, exist_ok=True)
        log = logs / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-{time.monotonic_ns() % 10**6:06d}.log"
        with log.open("wb") as sink:
            process = subprocess.Popen(  # noqa: S603 - our own command; the file was validated by the caller
                [sys.executable, "-m", "bakeoff", *arguments, "--store", str(root.resolve())],
                cwd=cwd, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
    except OSError as error:
        raise StoreError(f"a run cannot be started from {str(cwd)!r}: {error.strerror or error}") from error
    # Somebody has to take note of its end, or it stays a zombie.
    threading.Thread(target=process.wait, name=f"bakeoff-run-{process.pid}", daemon=True).start()
    return Started(process, log)


def wait_for_run(store: LocalStore, before: set[str], started: Started, *, timeout_s: float = 60.0) -> str | None:
    """Return the run that appeared in the store since `before`; `None` when its process failed or took too long."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        for manifest in store.runs():
            if manifest.run_id not in before:
                return manifest.run_id
        if started.failed:
            return None
        time.sleep(0.15)
    return None
