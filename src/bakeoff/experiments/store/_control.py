"""Steering a run from outside: a stop signal inside the process, wishes in a file from other processes."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from typing import TYPE_CHECKING, Any, Literal

from bakeoff.errors import SpecError, StoreError
from bakeoff.experiments._json import dumps, loads
from bakeoff.experiments.store._journal import JournalReader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bakeoff.experiments.store._paths import RunPaths

__all__ = ["Control", "Steering", "read_status", "send_control"]

Action = Literal["pause", "resume", "stop", "set"]


class Steering:
    """What the runner obeys: run, drain (finish what is in flight), or stop now."""

    def __init__(self) -> None:
        self.draining = False
        self.reason: str | None = None
        self.now = asyncio.Event()
        self.ending = asyncio.Event()
        """Set as soon as `draining` is, for those who sleep."""
        self._going = asyncio.Event()
        self._going.set()

    @property
    def paused(self) -> bool:
        """Whether no new trial may start for now."""
        return not self._going.is_set()

    def drain(self, reason: str) -> None:
        """Start nothing more; keep what is in flight."""
        if not self.draining:
            self.draining = True
            self.reason = reason
            self.ending.set()
        self._going.set()

    def stop(self, reason: str) -> None:
        """Stop now."""
        self.drain(reason)
        self.now.set()

    def pause(self) -> None:
        """Let no new trial start."""
        if not self.draining:
            self._going.clear()

    def proceed(self) -> None:
        """End a pause."""
        self._going.set()

    async def may_start(self) -> bool:
        """Wait while paused; say whether another trial may start."""
        if not self._going.is_set():
            await self._going.wait()
        return not self.draining

    @contextlib.contextmanager
    def signals(self) -> Iterator[None]:
        """Drain on the first SIGINT or SIGTERM, stop on the second. Only in the main thread of a process."""
        loop = asyncio.get_running_loop()
        handled: list[signal.Signals] = []

        def on_signal(name: str) -> None:
            if self.draining:
                self.stop(f"{name} twice")
            else:
                self.drain(f"interrupted by {name}")

        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError, ValueError, RuntimeError):
                loop.add_signal_handler(number, on_signal, number.name)
                handled.append(number)
        try:
            yield
        finally:
            for number in handled:
                loop.remove_signal_handler(number)


class Control:
    """Reads the wishes that other processes appended for this run."""

    def __init__(self, paths: RunPaths) -> None:
        self._reader = JournalReader(paths.control)
        if paths.control.exists():  # wishes for an earlier session are not for this one
            self._reader.offset = paths.control.stat().st_size

    def poll(self) -> list[dict[str, Any]]:
        """Return the new wishes."""
        return list(self._reader.poll())


def send_control(paths: RunPaths, action: Action, *, concurrency: int | None = None) -> None:
    """Ask the process that drives a run to pause, resume, stop or change its concurrency.

    Raises:
        StoreError: No process drives the run.
        SpecError: `set` without a concurrency of at least 1.
    """
    from bakeoff.experiments.store._paths import RunLock

    if action == "set" and (concurrency is None or concurrency < 1):
        raise SpecError(f"concurrency must be at least 1, got {concurrency!r}")
    if not paths.manifest.exists():
        raise StoreError(f"there is no run {paths.run_id!r}; `bakeoff runs` lists them")
    if not RunLock(paths.lock).is_held():
        raise StoreError(f"no process drives the run {paths.run_id!r}; `bakeoff resume {paths.run_id}` starts one")
    wish = {"action": action, "at": time.time(), **({"concurrency": concurrency} if concurrency else {})}
    with paths.control.open("ab") as file:
        file.write(dumps(wish) + b"\n")


def read_status(paths: RunPaths) -> dict[str, Any] | None:
    """Return the latest progress that the driving process published, if there is any."""
    try:
        status = loads(paths.status.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return status if isinstance(status, dict) else None
