"""Start runs in processes of their own: closing the browser, or the dashboard, does not stop them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from bakeoff.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

    from bakeoff.experiments import LocalStore

__all__ = ["log_tail", "resume", "start", "wait_for_run"]


def start(experiment: Path, root: Path) -> Path:
    """Run an experiment file in a process of its own; return the file that its messages go to.

    Raises:
        StoreError: The process cannot be started.
    """
    return _spawn(["run", str(experiment)], root, cwd=experiment.parent)


def resume(run_id: str, root: Path) -> Path:
    """Go on with a run in a process of its own; return the file that its messages go to.

    Raises:
        StoreError: The process cannot be started.
    """
    return _spawn(["resume", run_id], root, cwd=root.parent)


def start_example(root: Path, name: str = "triage") -> Path:
    """Write an example beside the store and run it; return the file that its messages go to.

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


def _spawn(arguments: list[str], root: Path, *, cwd: Path) -> Path:
    logs = root.resolve() / "logs"
    try:
        logs.mkdir(parents=True, exist_ok=True)
        log = logs / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-{time.monotonic_ns() % 10**6:06d}.log"
        with log.open("wb") as sink:
            subprocess.Popen(  # noqa: S603 - our own command; the file was validated by the caller
                [sys.executable, "-m", "bakeoff", *arguments, "--store", str(root.resolve()), "--quiet"],
                cwd=cwd, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
    except OSError as error:
        raise StoreError(f"a run cannot be started from {str(cwd)!r}: {error.strerror or error}") from error
    return log


def wait_for_run(store: LocalStore, before: set[str], *, timeout_s: float = 20.0) -> str | None:
    """Return the run that appeared in the store since `before`, or `None` when none did in time."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        for manifest in store.runs():
            if manifest.run_id not in before:
                return manifest.run_id
        time.sleep(0.15)
    return None


def log_tail(log: Path, limit: int = 4000) -> str:
    """Return the end of what a started process said."""
    try:
        return log.read_bytes()[-limit:].decode(errors="replace").strip()
    except OSError:
        return ""
