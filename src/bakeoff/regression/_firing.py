"""One scheduled run, from claim to outcome; can be killed anywhere and taken over by another process."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bakeoff.errors import BakeoffError, SpecError, StoreError
from bakeoff.experiments import RunLock, execute, load_experiment, reopen_experiment
from bakeoff.regression._gate import check_gate, decide_gate
from bakeoff.regression._notify import Notice, change_condition, deliver, queue_notice
from bakeoff.regression._schedules import (
    LEASE_S,
    Firing,
    Schedule,
    finish_firing,
    get_schedule,
    list_firings,
    note_run,
    release_firing,
    renew_lease,
)

if TYPE_CHECKING:
    from bakeoff.experiments import Experiment, LocalStore, Manifest
    from bakeoff.regression._notify import Event

__all__ = ["FIRED_BY", "due_words", "notify_schedule", "run_firing"]

FIRED_BY = "scheduled_for"
"""Tag of a scheduled run: which firing it belongs to."""


def due_words(due_at: float) -> str:
    """Return a firing's time as it stands in tags and messages: ISO 8601, UTC."""
    return datetime.fromtimestamp(due_at, UTC).isoformat(timespec="milliseconds")


def run_firing(store: LocalStore, name: str, due_at: float, owner: str) -> Firing:
    """Run what a claim stands for, decide its gate, tell people, and write down how it ended.

    A firing that another process began is gone on with: the run that carries its tag is resumed, never begun again.

    Args:
        store: Where schedules and runs are.
        name: The schedule.
        due_at: The firing's time, as it stands in the control data.
        owner: Who holds the claim.

    Raises:
        SpecError: There is no such firing, or it belongs to somebody else.
    """
    schedule = get_schedule(store, name)
    firing = next((entry for entry in list_firings(store, name, limit=1000) if entry.due_at == due_at), None)
    if firing is None or not renew_lease(store, firing, owner):
        raise SpecError(f"the firing of {name!r} at {due_words(due_at)} is not claimed by {owner!r}")
    with _Heartbeat(store, firing, owner):
        try:
            manifest, experiment = _run(store, schedule, firing)
        except BakeoffError as error:
            if finish_firing(store, firing, owner, state="failed", message=str(error)):
                notify_schedule(store, schedule, "error", f"{name} could not run", str(error), due_at=due_at)
            return _now(store, firing)
        if manifest.status != "complete" and "interrupt" in (manifest.stopped_because or ""):
            release_firing(store, firing, owner)  # stopped from outside: the next scheduler goes on with it
            return _now(store, firing)
        _conclude(store, schedule, firing, owner, manifest, experiment)
    return _now(store, firing)


def _now(store: LocalStore, firing: Firing) -> Firing:
    found = [entry for entry in list_firings(store, firing.schedule, limit=1000) if entry.due_at == firing.due_at]
    return found[0] if found else firing


def _run(store: LocalStore, schedule: Schedule, firing: Firing) -> tuple[Manifest, Experiment]:
    began = _begun(store, firing)
    if began is None:
        experiment = load_experiment(Path(schedule.file), cache_dir=store.paths.datasets)
        tags = {**experiment.spec.tags, "schedule": schedule.id, FIRED_BY: due_words(firing.due_at)}
        changes: dict[str, object] = {"tags": tags}
        if not schedule.options.get("cached"):  # answers from the cache would hide every drift
            changes["gateway"] = experiment.spec.gateway.model_copy(update={"cache": False})
        experiment = replace(experiment, spec=experiment.spec.model_copy(update=changes))
        if experiment.spec.gate:
            check_gate(experiment)
        manifest = asyncio.run(execute(experiment, store=store.paths, handle_signals=_is_main_thread()))
    else:
        note_run(store, firing, began)
        _wait_for_driver(store, began)
        manifest = store.manifest(began)
        experiment = reopen_experiment(store, began)
        if manifest.status != "complete":
            manifest = asyncio.run(
                execute(experiment, store=store.paths, resume=began, handle_signals=_is_main_thread())
            )
    note_run(store, firing, manifest.run_id)
    return manifest, experiment


def _begun(store: LocalStore, firing: Firing) -> str | None:
    """Return the run that an earlier process began for this firing."""
    wanted = due_words(firing.due_at)
    for manifest in store.runs():
        if manifest.tags.get("schedule") == firing.schedule and manifest.tags.get(FIRED_BY) == wanted:
            return manifest.run_id
    return None


def _wait_for_driver(store: LocalStore, run_id: str) -> None:
    """Wait while a process that lost its claim (it slept) still drives the run."""
    lock = RunLock(store.run_paths(run_id).lock)
    while lock.is_held():
        time.sleep(0.5)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _conclude(
    store: LocalStore, schedule: Schedule, firing: Firing, owner: str, manifest: Manifest, experiment: Experiment
) -> None:
    outcome, message = str(manifest.status), manifest.stopped_because or ""
    if experiment.spec.gate:
        try:
            result = decide_gate(store, manifest.run_id, base_dir=experiment.base_dir)
            outcome, message = result.outcome, result.headline
        except BakeoffError as error:
            outcome, message = "undecided", str(error)
    mine = finish_firing(store, firing, owner, state="done", outcome=outcome, message=message, run_id=manifest.run_id)
    if not mine:
        return
    _tell_gate(store, schedule, outcome, message, manifest.run_id)
    _tell_drift(store, schedule, manifest.name)


def _tell_gate(store: LocalStore, schedule: Schedule, outcome: str, message: str, run_id: str) -> None:
    """Tell of a failure once, and of the recovery once; what is undecided changes nothing."""
    if outcome in ("infrastructure", "partial"):
        notify_schedule(store, schedule, "error", f"{schedule.id}: {outcome}", message, run_id=run_id)
        return
    if outcome not in ("fail", "pass", "complete"):
        return
    state = "fail" if outcome == "fail" else "ok"
    before = change_condition(store, f"gate:{schedule.id}", state)
    if state == "fail" and before != "fail":
        notify_schedule(store, schedule, "fail", f"{schedule.id}: the gate fails", message, run_id=run_id)
    elif state == "ok" and before == "fail":
        notify_schedule(store, schedule, "recovery", f"{schedule.id}: the gate passes again", message, run_id=run_id)


def _tell_drift(store: LocalStore, schedule: Schedule, experiment: str) -> None:
    from bakeoff.regression._monitor import monitor

    try:
        watched = monitor(store, experiment)
    except (SpecError, StoreError):
        return  # too few runs yet
    for chart in watched.charts:
        subject = f"drift:{schedule.id}:{chart.metric}:{chart.variant}"
        before = change_condition(store, subject, "drift" if chart.alarm else "ok")
        if chart.alarm and before != "drift":
            title = f"{schedule.id}: {chart.metric} has drifted ({chart.variant})"
            notify_schedule(store, schedule, "drift", title, chart.sentence, run_id=chart.runs[-1])


def notify_schedule(
    store: LocalStore,
    schedule: Schedule,
    event: Event,
    title: str,
    text: str,
    *,
    run_id: str = "",
    due_at: float | None = None,
) -> None:
    """Queue a notice on the schedule's channels and try to send it now; a failure to send never fails the run."""
    file = schedule.options.get("notify")
    if not file:
        return
    about = run_id or due_words(due_at if due_at is not None else time.time())
    notice = Notice(
        key=f"{schedule.id}/{event}/{about}/{title}", event=event, title=title, text=text,
        data={"schedule": schedule.id, "run_id": run_id, "file": schedule.file},
    )  # fmt: skip
    try:
        queue_notice(store, notice, Path(str(file)))
        deliver(store)
    except BakeoffError:
        return  # the scheduler's own log says it again at the next delivery


class _Heartbeat:
    """Renews the lease while a run goes on."""

    def __init__(self, store: LocalStore, firing: Firing, owner: str) -> None:
        self._store, self._firing, self._owner = store, firing, owner
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="bakeoff-lease", daemon=True)

    def _beat(self) -> None:
        while not self._stop.wait(LEASE_S / 4):
            try:
                renew_lease(self._store, self._firing, self._owner)
            except StoreError:
                continue  # busy for longer than the timeout: the next beat tries again

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=5)
