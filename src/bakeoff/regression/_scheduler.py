"""The scheduler: one long-running process that looks, claims, and starts a process for each run."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

from bakeoff.errors import BakeoffError, MissingExtraError
from bakeoff.regression._firing import due_words, notify_schedule
from bakeoff.regression._notify import deliver
from bakeoff.regression._schedules import Firing, claim_due, get_schedule, list_firings, release_firing

if TYPE_CHECKING:
    from collections.abc import Callable

    from bakeoff.experiments import LocalStore

__all__ = ["Scheduler"]


class Scheduler:
    """Claims what is due and runs each firing in a process of its own.

    Any number of schedulers may look at one store: a firing is claimed by one of them. A run's own process keeps the
    claim alive, so a scheduler that dies takes no run with it; a run that dies is resumed when its lease runs out.
    """

    def __init__(
        self, store: LocalStore, *, poll_s: float = 5.0, say: Callable[[str], None] = lambda line: None
    ) -> None:
        self._store = store
        self._poll_s = poll_s
        self._say = say
        self._children: dict[tuple[str, float], tuple[subprocess.Popen[bytes], str]] = {}
        self._stop = threading.Event()
        self._looking = threading.Lock()

    def look(self) -> list[Firing]:
        """Look once: claim and start what is due, note what ended, send what waits to be sent."""
        with self._looking:
            self._reap()
            if self._stop.is_set():
                return []
            owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
            claimed, passed_by = claim_due(self._store, owner)
            for firing in claimed:
                self._start(firing, owner)
            for firing in passed_by:
                self._passed_by(firing)
            for error in deliver(self._store):
                self._say(error)
            return claimed

    def run(self) -> None:
        """Look until SIGINT or SIGTERM; then let the runs finish what is in flight, seal, and stop.

        Raises:
            MissingExtraError: APScheduler is not installed.
        """
        try:
            from apscheduler.schedulers.background import BackgroundScheduler
        except ImportError as error:
            raise MissingExtraError("the scheduler", "schedule") from error
        clock = BackgroundScheduler(timezone="UTC")
        clock.add_job(
            self._guarded_look, "interval", seconds=self._poll_s, id="look", max_instances=1, coalesce=True,
            misfire_grace_time=None,
        )  # fmt: skip
        previous = {
            number: signal.signal(number, lambda *_: self._stop.set()) for number in (signal.SIGINT, signal.SIGTERM)
        }
        clock.start()
        try:
            self._guarded_look()
            while not self._stop.wait(0.5):
                pass
        finally:
            clock.shutdown(wait=False)
            self._say("stopping: runs finish what is in flight")
            self._end_children()
            for number, handler in previous.items():
                signal.signal(number, handler)

    def stop(self) -> None:
        """Ask `run` to end, from another thread."""
        self._stop.set()

    def wait(self) -> None:
        """Wait for the runs that this scheduler started."""
        for child, _ in list(self._children.values()):
            child.wait()
        self._reap()

    def _guarded_look(self) -> None:
        try:
            self.look()
        except BakeoffError as error:
            self._say(f"error: {error}")

    def _start(self, firing: Firing, owner: str) -> None:
        again = f" (attempt {firing.attempts})" if firing.attempts > 1 else ""
        self._say(f"{firing.schedule} due {due_words(firing.due_at)}: started{again}")
        schedule = get_schedule(self._store, firing.schedule)
        command = [
            sys.executable, "-m", "bakeoff", "schedule", "fire", firing.schedule, "--due", repr(firing.due_at),
            "--owner", owner, "--store", str(self._store.paths.root),
        ]  # fmt: skip
        if schedule.options.get("env_file"):
            command += ["--env-file", str(schedule.options["env_file"])]
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603 - our own
        self._children[firing.schedule, firing.due_at] = (child, owner)

    def _reap(self) -> None:
        for key, (child, owner) in list(self._children.items()):
            if child.poll() is None:
                continue
            del self._children[key]
            name, due_at = key
            found = [entry for entry in list_firings(self._store, name, limit=1000) if entry.due_at == due_at]
            if not found:
                continue
            firing = found[0]
            if firing.state == "running" and firing.owner == owner and child.returncode != 0:
                # Its process is gone: no need to wait for the lease. The attempt counts.
                release_firing(self._store, firing, owner, count=True)
                self._say(f"{name} due {due_words(due_at)}: its process ended with {child.returncode}; it is resumed")
            elif firing.state in ("done", "failed"):
                self._say(f"{name} due {due_words(due_at)}: {firing.outcome or firing.state}. {firing.message}")

    def _passed_by(self, firing: Firing) -> None:
        self._say(f"{firing.schedule} due {due_words(firing.due_at)}: {firing.state}, {firing.message}")
        if firing.state in ("missed", "failed"):
            schedule = get_schedule(self._store, firing.schedule)
            event = "missed" if firing.state == "missed" else "error"
            notify_schedule(
                self._store, schedule, event, f"{firing.schedule}: {firing.state}", firing.message, due_at=firing.due_at
            )

    def _end_children(self) -> None:
        for child, _ in self._children.values():
            if child.poll() is None:
                child.send_signal(signal.SIGINT)
        deadline = time.monotonic() + 60
        for child, _ in self._children.values():
            try:
                child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self._say(f"process {child.pid} goes on without the scheduler")
        self._reap()
