"""What waits for a person: gates that failed, schedules that missed, verdicts that changed, runs, labels."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bakeoff.app import _clock
from bakeoff.app._labels import LabelStore
from bakeoff.app._text import ago, line
from bakeoff.errors import BakeoffError
from bakeoff.regression import list_firings, list_schedules

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bakeoff.experiments import Analysis, LocalStore, Manifest

__all__ = ["Note", "changed_verdicts", "failed_gates", "interrupted", "labels_wanted", "schedule_notes"]

_MOST_NAMES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One thing to look at, and where."""

    kind: str
    """One word: `gate`, `schedule`, `verdict`, `run`, `labels`."""
    text: str
    page: str
    query: Mapping[str, str] = field(default_factory=dict)


def interrupted(runs: Sequence[Manifest], *, most: int = 3) -> list[Note]:
    """Return the runs that lost their process."""
    return [
        Note(
            kind="run", text=f"{m.name} ({m.run_id[-4:]}) was interrupted: resume it on the Live page.", page="live",
            query={"run": m.run_id},
        )
        for m in runs
        if m.status == "interrupted"
    ][:most]  # fmt: skip


def labels_wanted(store: LocalStore, runs: Sequence[Manifest], *, most: int = 2) -> list[Note]:
    """Return the queues with answers that nobody has judged."""
    path = store.paths.control
    if not path.exists():
        return []
    known = {m.run_id for m in runs}
    labels = LabelStore(path)
    notes: list[Note] = []
    for queue in labels.queues()[:10]:
        done = len({(x.item_id, x.repeat, x.variant) for x in labels.labels(queue)})
        if queue.run_id in known and done < queue.n_tasks:
            text = f"{queue.n_tasks - done:,} answers wait for labels in the queue {line(queue.name, 60)!r}."
            notes.append(Note(kind="labels", text=text, page="label", query={"run": queue.run_id}))
    return notes[:most]


def by_name(runs: Sequence[Manifest]) -> list[list[Manifest]]:
    """Return the complete runs of each experiment, newest first; the experiments by their newest run."""
    named: dict[str, list[Manifest]] = {}
    for manifest in runs:
        if manifest.status == "complete":
            named.setdefault(manifest.name, []).append(manifest)
    return list(named.values())[:_MOST_NAMES]


def changed_verdicts(
    runs: Sequence[Manifest], analysis_of: Callable[[Manifest], Analysis], *, most: int = 3
) -> list[Note]:
    """Compare the newest run of each experiment with the one before."""
    notes: list[Note] = []
    for found in by_name(runs):
        if len(found) < 2:
            continue
        new, old = _verdicts(found[0], analysis_of), _verdicts(found[1], analysis_of)
        query = {"run": found[0].run_id, "what": "runs", "before": found[1].run_id}
        notes += [
            Note(
                kind="verdict", page="compare", query={**query, "from": a, "to": a},
                text=f"{found[0].name}: {a} against {b} is now {new[a, b]}; it was {old[a, b]}.",
            )
            for a, b in [pair for pair in new if pair in old and new[pair] != old[pair]][:2]
        ]  # fmt: skip
    return notes[:most]


def _verdicts(manifest: Manifest, analysis_of: Callable[[Manifest], Analysis]) -> dict[tuple[str, str], str]:
    try:
        analysis = analysis_of(manifest)
    except BakeoffError:
        return {}
    return {(c.candidate, c.baseline): c.label for m in analysis.metrics for c in m.comparisons}


def failed_gates(
    runs: Sequence[Manifest], outcome_of: Callable[[Manifest], tuple[str, str]], *, most: int = 4
) -> list[Note]:
    """Return the experiments whose newest run does not pass its own gate.

    Args:
        runs: Newest first.
        outcome_of: Decides the gate of a run: (outcome, headline).
        most: Notes at most.
    """
    notes: list[Note] = []
    for found in by_name(runs):
        newest = found[0]
        if not newest.spec.get("gate"):
            continue
        try:
            outcome, headline = outcome_of(newest)
        except BakeoffError as problem:
            outcome, headline = "undecided", str(problem)
        if outcome != "pass":
            said = {"fail": "fails its gate", "inconclusive": "cannot say whether it passes its gate"}
            text = (
                f"{newest.name} {said.get(outcome, f'has no decision on its gate ({outcome})')}: {line(headline, 220)}"
            )
            query = {"experiment": newest.name, "run": newest.run_id}
            notes.append(Note(kind="gate", text=text, page="regression", query=query))
    return notes[:most]


def schedule_notes(store: LocalStore, *, now: float | None = None, most: int = 4) -> list[Note]:
    """Return the schedules that nobody looks after, that missed their last time, or could not run."""
    if not store.paths.control.exists():
        return []
    moment = time.time() if now is None else now
    known = list_schedules(store)
    notes: list[Note] = []
    late = _clock.missed(known, moment)
    if late:
        text = f"{', '.join(late[:4])}: due and not started. Keep `bakeoff scheduler` running."
        notes.append(Note(kind="schedule", text=text, page="regression"))
    for schedule in known:
        last = next(
            (f for f in list_firings(store, schedule.id, limit=5) if f.state not in ("waiting", "running")), None
        )
        if last is None or last.state not in ("missed", "failed"):
            continue
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(last.due_at))
        said = "missed its time" if last.state == "missed" else "could not run"
        why = f": {line(last.message, 160)}" if last.message else ""
        notes.append(Note(kind="schedule", text=f"{schedule.id} {said} ({ago(stamp)}){why}", page="regression"))
    return notes[:most]
