"""The sheet of `bakeoff label`: answers to be judged as a CSV file, blind, and what was judged read back from it."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from bakeoff.errors import SpecError, StoreError

if TYPE_CHECKING:
    from pathlib import Path

    from bakeoff.app._labels import LabelStore, Queue, Task
    from bakeoff.app._queries import Trial
    from bakeoff.experiments import LocalStore

__all__ = ["read_sheet", "write_bytes", "write_sheet"]

_ONE = ("task", "question", "choices", "asked", "answer", "expected", "value", "note", "annotator")
_TWO = ("task", "question", "choices", "asked", "answer_a", "answer_b", "expected", "value", "note", "annotator")
_CELL = 30_000
_SIDES = ("A", "tie", "B")


def write_sheet(store: LocalStore, labels: LabelStore, queue: Queue, path: Path) -> int:
    """Write the tasks of a queue without their variants, whoever judges is blind; return how many.

    Raises:
        StoreError: A trial is gone, or the file cannot be written.
    """
    from bakeoff.app._queries import as_text
    from bakeoff.app._text import defused

    columns = list(_ONE if queue.mode == "single" else _TWO)
    if queue.guidelines:
        columns.insert(2, "guidelines")
    sink = io.StringIO()
    writer = csv.DictWriter(sink, columns)
    writer.writeheader()
    tasks = labels.tasks(queue)
    for task in tasks:
        shown = _trials(store, queue, task)
        answers = ("answer",) if queue.mode == "single" else ("answer_a", "answer_b")
        row = {
            "task": task.id, "question": queue.question, "guidelines": _cut(queue.guidelines),
            "choices": " | ".join(queue.choices if queue.mode == "single" else _SIDES),
            "asked": _cut(as_text(shown[0].inputs)), "expected": _cut(shown[0].expected or ""),
            **{name: _cut(trial.output) for name, trial in zip(answers, shown, strict=True)},
        }  # fmt: skip
        writer.writerow({name: defused(row.get(name, "")) for name in columns})
    write_bytes(path, sink.getvalue().encode("utf-8-sig", "replace"))  # Excel reads UTF-8 by this mark
    return len(tasks)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file.

    Raises:
        StoreError: It cannot be written.
    """
    try:
        path.write_bytes(content)
    except OSError as error:
        raise StoreError(f"{str(path)!r} cannot be written: {error.strerror or error}") from error


def _trials(store: LocalStore, queue: Queue, task: Task) -> list[Trial]:
    from bakeoff.app._queries import trials_of_item

    wanted = [task.variant, *([task.other] if task.other else [])]
    found = trials_of_item(store, store.manifest(queue.run_id), task.item, variants=wanted)
    by_variant = {one.variant: one for one in found if one.repeat == task.repeat}
    if any(name not in by_variant for name in wanted):
        raise StoreError(f"the trial of item {task.item_id!r} is no longer in the store")
    return [by_variant[name] for name in wanted]


def _cut(text: str) -> str:
    """Keep a cell within what spreadsheets hold, and say so where something is missing."""
    if len(text) <= _CELL:
        return text
    return f"{text[:_CELL]}\n[... {len(text) - _CELL:,} more characters: see the Label page of `bakeoff ui`]"


def read_sheet(labels: LabelStore, queue: Queue, path: Path, annotator: str) -> tuple[int, int, int]:
    """Read judgements; nothing is kept unless every row can be.

    Returns:
        How many were new, were there already, and had no value.

    Raises:
        SpecError: The file cannot be read, or a row is wrong: its line is named.
    """
    rows = _rows(path)
    tasks = {str(task.id): task for task in labels.tasks(queue)}
    found: list[tuple[Task, str, str, str]] = []
    empty = 0
    for line, row in rows:
        value, where = row.get("value", ""), f"{str(path)!r}, line {line}"
        if not value:
            empty += 1
            continue
        task = tasks.get(row.get("task", ""))
        if task is None:
            raise SpecError(f"{where}: the task {row.get('task')!r} is not in the queue {queue.name!r}")
        who = row.get("annotator") or annotator.strip()
        if not who:
            raise SpecError(f"{where}: nobody is named in `annotator`; fill it in, or give --annotator NAME")
        choices = queue.choices if queue.mode == "single" else _SIDES
        known = {choice.casefold(): choice for choice in choices}
        if value.casefold() not in known:
            raise SpecError(f"{where}: {value!r} is not one of the choices {', '.join(map(repr, choices))}")
        said = known[value.casefold()]
        if queue.mode == "pairwise":
            said = {"A": task.variant, "B": task.other or ""}.get(said, said)
        found.append((task, who, said, row.get("note", "")))
    standing = {who: {one.task.id: one for one in labels.judged(queue, who)} for _, who, _, _ in found}
    new = 0
    for task, who, value, note in found:
        before = standing[who].get(task.id)
        if before is None or (before.value, before.note) != (value, note):
            labels.add(queue, task, who, value, note=note)
            new += 1
    return new, len(found) - new, empty


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Read the file, whatever mark separates its cells: (line, stripped cells by column)."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SpecError(f"the labels {str(path)!r} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        fix = "in Excel save as “CSV UTF-8”"
        raise SpecError(f"the labels {str(path)!r} are not UTF-8 (byte {error.start})\n    fix: {fix}") from error
    head = text.partition("\n")[0]
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count))
    try:
        missing = [name for name in ("task", "value") if name not in (reader.fieldnames or ())]
        if missing:
            raise SpecError(f"the labels {str(path)!r} lack the column {missing[0]!r}; write such a file with --to")
        return [(reader.line_num, {str(k): v.strip() for k, v in row.items() if isinstance(v, str)}) for row in reader]
    except csv.Error as error:
        raise SpecError(f"the labels {str(path)!r}, after line {reader.line_num}: {error}") from error
