"""Labels by people: queues, blind tasks, and every judgement kept with who, when and by which guidelines."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from bakeoff.app._label_order import draw_tasks
from bakeoff.app._label_tables import migrate, now
from bakeoff.errors import SpecError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from bakeoff.app._label_order import Draw
    from bakeoff.experiments import LocalStore

__all__ = ["Judged", "Label", "LabelStore", "Queue", "Task"]

Mode = Literal["single", "pairwise"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """What is to be judged, and how."""

    id: int
    name: str
    run_id: str
    mode: Mode
    question: str
    choices: tuple[str, ...]
    guidelines: str
    guidelines_version: str
    n_tasks: int
    metric: str | None = None
    """Whose evaluator handed these answers over; `None` where they were drawn at random."""
    drawn: str = "random"
    """How its answers were chosen; only those drawn at random stand for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One answer, or two in `pairwise` mode, to be judged blind."""

    id: int
    position: int
    item: int
    item_id: str
    repeat: int
    variant: str
    """In pairwise mode the one shown on the left."""
    other: str | None
    reason: str = ""
    """Why a person should look, for answers that were handed over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One judgement, the newest version of it."""

    queue: str
    run_id: str
    item_id: str
    repeat: int
    variant: str
    other: str | None
    annotator: str
    value: str
    """The choice; in pairwise mode the variant that won, or `tie`."""
    note: str
    version: int
    guidelines_version: str
    created_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What one annotator said of one task."""

    task: Task
    value: str
    note: str


class LabelStore:
    """Labels in the store's control database. Several people may write at the same time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self._path, timeout=15, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"the labels in {str(self._path)!r} cannot be opened: {error}") from error
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA foreign_keys = ON")
            migrate(connection)
            yield connection
        except sqlite3.Error as error:
            raise StoreError(f"the labels in {str(self._path)!r} cannot be read or written: {error}") from error
        finally:
            connection.close()

    def create_queue(
        self,
        store: LocalStore,
        run_id: str,
        *,
        name: str,
        question: str,
        choices: Sequence[str],
        guidelines: str = "",
        n: int = 50,
        variants: Sequence[str] = (),
        mode: Mode = "single",
        seed: int = 0,
        draw: Draw = "random",
    ) -> Queue:
        """Draw tasks from a run and keep them as a queue.

        Args:
            store: Where the run is.
            run_id: The run.
            name: Of the queue.
            question: What the annotator answers.
            choices: The possible answers; ignored in pairwise mode.
            guidelines: How to decide; versioned with every label.
            n: Tasks at most.
            variants: Only these; all when omitted. Pairwise mode needs exactly two.
            mode: One answer at a time, or two side by side.
            seed: Of the draw and of the sides.
            draw: At random, where scores disagree first, or where they are least sure first.

        Raises:
            SpecError: No choices, or not two variants in pairwise mode, or nothing to label.
        """
        name, question, guidelines = (_clean(text) for text in (name, question, guidelines))
        wanted = list(dict.fromkeys(variants)) or store.manifest(run_id).variant_names
        options = [_clean(choice).strip() for choice in choices if choice.strip()]
        if mode == "pairwise" and len(wanted) != 2:
            raise SpecError(f"side by side stand exactly two variants, not {len(wanted)}: choose two under Variants")
        if mode == "single" and len(set(options)) < 2:
            raise SpecError(f"a label needs at least two different choices, got {options!r}")
        if mode == "pairwise" and "tie" in wanted:
            raise SpecError("a variant named 'tie' cannot be told from a tie: rename it, or judge one answer at a time")
        tasks = draw_tasks(store, run_id, wanted, pairwise=mode == "pairwise", n=n, seed=seed, draw=draw)
        if not tasks and draw != "random":
            which = "nothing disagrees" if draw == "disagreement" else "no score says how sure it is"
            raise SpecError(f"{which} among {', '.join(map(repr, wanted))} in the run {run_id!r}; draw at random")
        if not tasks:
            raise SpecError(f"the run {run_id!r} has no answered trials to label")
        version = hashlib.sha256(f"{question}\0{guidelines}".encode()).hexdigest()[:12]
        with self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            queue = connection.execute(
                "INSERT INTO label_queue (name, run_id, mode, question, choices, guidelines, guidelines_version, seed, "
                "created_at, drawn) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (name, run_id, mode, question, json.dumps(options), guidelines, version, seed, now(), draw),
            ).lastrowid
            connection.executemany(
                "INSERT INTO label_task (queue, position, item, item_id, repeat, variant, other) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(queue, position, *task) for position, task in enumerate(tasks)],
            )
            connection.execute("COMMIT")
        return next(entry for entry in self.queues() if entry.id == queue)

    def escalated_queues(self, store: LocalStore, run_id: str) -> list[Queue]:
        """Return a queue for each evaluator that hands answers of a run over to people, made or brought up to date.

        An answer that was handed over once stays, whatever the run does later. The least sure stands first.
        """
        from bakeoff.experiments import escalated_question, read_escalated

        found = read_escalated(store, run_id)
        if not found:
            return [entry for entry in self.queues(run_id) if entry.metric is not None]
        manifest = store.manifest(run_id)
        for metric in dict.fromkeys(one.metric for one in found):
            mine = [one for one in found if one.metric == metric]
            question, choices = escalated_question(manifest, metric, _words_of(store, run_id, metric))
            version = hashlib.sha256(f"{question}\0".encode()).hexdigest()[:12]
            with self._open() as connection:
                connection.execute("BEGIN IMMEDIATE")
                row = connection.execute(
                    "SELECT id FROM label_queue WHERE run_id = ? AND metric = ?", (run_id, metric)
                ).fetchone()
                queue = row[0] if row is not None else connection.execute(
                    "INSERT INTO label_queue (name, run_id, mode, question, choices, guidelines, guidelines_version, "
                    "seed, created_at, metric) VALUES (?, ?, 'single', ?, ?, '', ?, 0, ?, ?)",
                    (f"escalated by {metric}", run_id, question, json.dumps(choices), version, now(), metric),
                ).lastrowid  # fmt: skip
                there = set(
                    connection.execute("SELECT item, repeat, variant FROM label_task WHERE queue = ?", (queue,))
                )
                new = [one for one in mine if (one.item, one.repeat, one.variant) not in there]
                connection.executemany(
                    "INSERT INTO label_task (queue, position, item, item_id, repeat, variant, other, reason) "
                    "VALUES (?, ?, ?, ?, ?, ?, NULL, ?)",
                    [
                        (queue, len(there) + place, one.item, one.item_id, one.repeat, one.variant, one.reason)
                        for place, one in enumerate(new)
                    ],
                )
                connection.execute("COMMIT")
        return [entry for entry in self.queues(run_id) if entry.metric is not None]

    def queues(self, run_id: str | None = None) -> list[Queue]:
        """Return the queues, newest first."""
        with self._open() as connection:
            rows = connection.execute(
                "SELECT q.id, q.name, q.run_id, q.mode, q.question, q.choices, q.guidelines, q.guidelines_version, "
                "count(t.id), q.metric, q.drawn FROM label_queue q LEFT JOIN label_task t ON t.queue = q.id "
                "WHERE ? IS NULL OR q.run_id = ? GROUP BY q.id ORDER BY q.id DESC",
                (run_id, run_id),
            ).fetchall()
        return [
            Queue(
                id=row[0], name=row[1], run_id=row[2], mode="pairwise" if row[3] == "pairwise" else "single",
                question=row[4], choices=tuple(json.loads(row[5])), guidelines=row[6], guidelines_version=row[7],
                n_tasks=row[8], metric=row[9], drawn=row[10],
            )
            for row in rows
        ]  # fmt: skip

    def next_task(self, queue: Queue, annotator: str, *, after: int = -1) -> Task | None:
        """Return the first task that this annotator has not judged, `None` when there is none.

        Args:
            queue: The queue.
            annotator: Who judges.
            after: Position of a task that was put off; those behind it come first.
        """
        with self._open() as connection:
            row = connection.execute(
                "SELECT t.id, t.position, t.item, t.item_id, t.repeat, t.variant, t.other, t.reason FROM label_task t "
                "WHERE t.queue = ? AND NOT EXISTS (SELECT 1 FROM label_value v WHERE v.task = t.id AND v.annotator = ? "
                "AND v.value IS NOT NULL "
                "AND v.id = (SELECT max(id) FROM label_value WHERE task = t.id AND annotator = ?)) "
                "ORDER BY t.position <= ?, t.position LIMIT 1",
                (queue.id, annotator, annotator, after),
            ).fetchone()
        if row is None:
            return None
        return _task(row)

    def tasks(self, queue: Queue) -> list[Task]:
        """Return all tasks of a queue, in order."""
        with self._open() as connection:
            rows = connection.execute(
                "SELECT id, position, item, item_id, repeat, variant, other, reason FROM label_task WHERE queue = ? "
                "ORDER BY position",
                (queue.id,),
            ).fetchall()
        return [_task(row) for row in rows]

    def add(self, queue: Queue, task: Task, annotator: str, value: str | None, *, note: str = "") -> None:
        """Keep a judgement as a new version; `None` takes the last one back. Nothing is ever overwritten.

        Raises:
            SpecError: The annotator has no name, or the value is not one of the choices.
        """
        annotator, note = _clean(annotator), _clean(note)
        allowed = queue.choices if queue.mode == "single" else (task.variant, task.other, "tie")
        if not annotator.strip():
            raise SpecError("a label needs the name of who gives it")
        if value is not None and value not in allowed:
            raise SpecError(f"{value!r} is not one of the choices {', '.join(map(repr, allowed))}")
        with self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            (before,) = connection.execute(
                "SELECT coalesce(max(version), 0) FROM label_value WHERE task = ? AND annotator = ?",
                (task.id, annotator),
            ).fetchone()
            connection.execute(
                "INSERT INTO label_value (task, annotator, value, note, version, guidelines_version, created_at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (task.id, annotator, value, note, before + 1, queue.guidelines_version, now()),
            )
            connection.execute("COMMIT")

    def undo(self, queue: Queue, annotator: str) -> bool:
        """Take back the annotator's newest judgement in a queue; say whether there was one."""
        said = self.judged(queue, annotator)
        if not said:
            return False
        self.add(queue, said[0].task, annotator, None)
        return True

    def judged(self, queue: Queue, annotator: str) -> list[Judged]:
        """Return what an annotator said so far, the latest first; what was taken back is left out."""
        with self._open() as connection:
            rows = connection.execute(
                "SELECT t.id, t.position, t.item, t.item_id, t.repeat, t.variant, t.other, t.reason, v.value, v.note "
                "FROM label_value v JOIN label_task t ON t.id = v.task "
                "WHERE t.queue = ? AND v.annotator = ? AND v.value IS NOT NULL "
                "AND v.id = (SELECT max(id) FROM label_value WHERE task = t.id AND annotator = v.annotator) "
                "ORDER BY v.id DESC",
                (queue.id, annotator),
            ).fetchall()
        return [Judged(task=_task(row[:8]), value=row[8], note=row[9]) for row in rows]

    def labels(self, queue: Queue) -> list[Label]:
        """Return the judgements that stand: the newest version by task and annotator."""
        with self._open() as connection:
            rows = connection.execute(
                "SELECT t.item_id, t.repeat, t.variant, t.other, v.annotator, v.value, v.note, v.version, "
                "v.guidelines_version, v.created_at FROM label_value v JOIN label_task t ON t.id = v.task "
                "WHERE t.queue = ? AND v.value IS NOT NULL "
                "AND v.id = (SELECT max(id) FROM label_value WHERE task = t.id AND annotator = v.annotator) "
                "ORDER BY v.id",
                (queue.id,),
            ).fetchall()
        return [
            Label(
                queue=queue.name, run_id=queue.run_id, item_id=row[0], repeat=row[1], variant=row[2], other=row[3],
                annotator=row[4], value=row[5], note=row[6], version=row[7], guidelines_version=row[8],
                created_at=row[9],
            )
            for row in rows
        ]  # fmt: skip

    def mark_prompt(self, prompt: str, version: str, label: str) -> None:
        """Put a label such as `production` on a version of a prompt; it leaves the version that had it."""
        with self._open() as connection:
            connection.execute(
                "INSERT INTO prompt_label (prompt, version, label, created_at) VALUES (?, ?, ?, ?)",
                (prompt, version, label, now()),
            )

    def prompt_labels(self) -> dict[tuple[str, str], str]:
        """Return the version that each (prompt, label) stands on now."""
        with self._open() as connection:
            rows = connection.execute("SELECT prompt, label, version FROM prompt_label ORDER BY id").fetchall()
        return {(prompt, label): version for prompt, label, version in rows}


def _task(row: tuple[Any, ...]) -> Task:
    names = ("id", "position", "item", "item_id", "repeat", "variant", "other", "reason")
    return Task(**dict(zip(names, row, strict=True)))


def _words_of(store: LocalStore, run_id: str, metric: str) -> list[str]:
    """Return the words that the evaluator of a label metric used in a run."""
    rows = store.scores(run_id, ["metric", "label"]).to_pylist()
    return sorted({row["label"] for row in rows if row["metric"] == metric and row["label"] is not None})


def _clean(text: str) -> str:
    """Replace halves of characters, which no file can hold."""
    return text.encode("utf-8", "replace").decode()
