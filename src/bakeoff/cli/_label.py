"""`bakeoff label`: what waits for people, as a list, as a file to fill in, and back."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bakeoff.cli._common import JsonOption, RunArgument, StoreOption, console, print_json, store_at, table
from bakeoff.errors import SpecError, StoreError

if TYPE_CHECKING:
    from bakeoff.app._labels import LabelStore, Queue, Task
    from bakeoff.experiments import LocalStore

__all__ = ["label"]

_COLUMNS = ("task", "question", "choices", "asked", "answer", "expected", "value", "note", "annotator")
_SHOWN = 20
_CELL = 30_000


def label(
    run_id: RunArgument = "latest",
    queue: Annotated[str | None, typer.Option(help="Name of a queue, where there are several.")] = None,
    to: Annotated[
        Path | None, typer.Option("--to", help="Write its answers as CSV, to fill in the column `value`.")
    ] = None,
    read: Annotated[Path | None, typer.Option("--from", help="Read such a CSV back.")] = None,
    annotator: Annotated[str, typer.Option(help="Who judged, where the CSV does not say.")] = "",
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the answers that wait for a person; write them to a file to be judged, and read the judgements."""
    from bakeoff.app._labels import LabelStore

    kept = store_at(store)
    found = kept.resolve(run_id)
    labels = LabelStore(kept.paths.control)
    labels.escalated_queues(kept, found)
    queues = labels.queues(found)
    if to is None and read is None:
        _list(labels, queues, found, as_json=as_json)
        return
    chosen = _chosen(queues, queue, found)
    if to is not None:
        n = _write(kept, labels, chosen, to)
        console().print(f"{n} answers of {chosen.name!r} written to {to}; fill in `value`, then --from {to}")
    if read is not None:
        n, empty = _read(labels, chosen, read, annotator)
        console().print(f"{n} labels read into {chosen.name!r}; {empty} rows had no value")


def _list(labels: LabelStore, queues: list[Queue], run_id: str, *, as_json: bool) -> None:
    tasks = {entry.id: labels.tasks(entry) for entry in queues}
    given = {entry.id: labels.labels(entry) for entry in queues}
    if as_json:
        print_json(
            [
                {
                    "queue": entry.name, "metric": entry.metric, "question": entry.question, "choices": entry.choices,
                    "labels": len(given[entry.id]),
                    "answers": [
                        {"item_id": one.item_id, "variant": one.variant, "repeat": one.repeat, "why": one.reason}
                        for one in tasks[entry.id]
                    ],
                }
                for entry in queues
            ]
        )  # fmt: skip
        return
    if not queues:
        console().print(_nothing_waits(run_id))
        return
    rows = [(entry.name, entry.question, entry.n_tasks, len(given[entry.id])) for entry in queues]
    table("", ["queue", "question", "answers", "labels"], rows, right=(2, 3))
    waiting = [(entry, one) for entry in queues if entry.metric is not None for one in tasks[entry.id]]
    if waiting:
        shown = [(one.item_id, one.variant, one.repeat + 1, entry.metric, one.reason) for entry, one in waiting]
        table("Handed over", ["item", "variant", "repeat", "by", "why"], shown[:_SHOWN], right=(2,))
        if len(shown) > _SHOWN:
            console().print(f"... and {len(shown) - _SHOWN} more (--json lists all)")
    console().print("judge them on the Label page of `bakeoff ui`, or here with --to FILE.csv")


def _chosen(queues: list[Queue], name: str | None, run_id: str) -> Queue:
    """Find the queue that is meant.

    Raises:
        SpecError: None, or several.
    """
    fitting = [entry for entry in queues if entry.mode == "single" and name in (None, entry.name)]
    if len(fitting) == 1:
        return fitting[0]
    names = ", ".join(repr(entry.name) for entry in queues)
    if not names:
        raise SpecError(_nothing_waits(run_id))
    if fitting:
        raise SpecError(f"the run {run_id!r} has {len(fitting)} queues; say which one with --queue: {names}")
    wanted = "" if name is None else f" {name!r}"
    raise SpecError(f"there is no queue{wanted} of single answers for run {run_id!r}; it has: {names}")


def _nothing_waits(run_id: str) -> str:
    return (
        f"nothing waits for a person in {run_id}: no jury was unsure (`escalate_below`), and no queue was drawn in "
        "`bakeoff ui`"
    )


def _write(store: LocalStore, labels: LabelStore, queue: Queue, path: Path) -> int:
    """Write the answers without their variants: whoever judges is blind."""
    from bakeoff.app._queries import as_text, trials_of_item
    from bakeoff.app._text import defused

    manifest = store.manifest(queue.run_id)
    sink = io.StringIO()
    writer = csv.DictWriter(sink, _COLUMNS)
    writer.writeheader()
    tasks = labels.tasks(queue)
    for task in tasks:
        trials = trials_of_item(store, manifest, task.item, variants=[task.variant])
        trial = next((one for one in trials if one.repeat == task.repeat), None)
        if trial is None:
            raise StoreError(f"the trial of item {task.item_id!r} is no longer in the store")
        row = {
            "task": task.id, "question": queue.question, "choices": " | ".join(queue.choices),
            "asked": as_text(trial.inputs)[:_CELL], "answer": trial.output[:_CELL],
            "expected": (trial.expected or "")[:_CELL], "value": "", "note": "", "annotator": "",
        }  # fmt: skip
        writer.writerow({name: defused(value) for name, value in row.items()})
    try:
        path.write_bytes(sink.getvalue().encode("utf-8", "replace"))
    except OSError as error:
        raise StoreError(f"{str(path)!r} cannot be written: {error.strerror or error}") from error
    return len(tasks)


def _read(labels: LabelStore, queue: Queue, path: Path, annotator: str) -> tuple[int, int]:
    """Read judgements; nothing is kept unless every row can be.

    Raises:
        SpecError: The file cannot be read, or a row is wrong: its line is named.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"the labels {str(path)!r} cannot be read: {error}") from error
    head = text.partition("\n")[0]
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count))
    missing = [name for name in ("task", "value") if name not in (reader.fieldnames or ())]
    if missing:
        raise SpecError(f"the labels {str(path)!r} lack the column {missing[0]!r}; write such a file with --to")
    tasks = {str(task.id): task for task in labels.tasks(queue)}
    found: list[tuple[Task, str, str, str]] = []
    empty = 0
    for row in reader:
        value, where = (row.get("value") or "").strip(), f"{str(path)!r}, line {reader.line_num}"
        if not value:
            empty += 1
            continue
        task = tasks.get((row.get("task") or "").strip())
        if task is None:
            raise SpecError(f"{where}: the task {row.get('task')!r} is not in the queue {queue.name!r}")
        who = (row.get("annotator") or "").strip() or annotator.strip()
        if not who:
            raise SpecError(f"{where}: nobody is named in `annotator`; fill it in, or give --annotator NAME")
        known = {choice.casefold(): choice for choice in queue.choices}
        if value.casefold() not in known:
            raise SpecError(f"{where}: {value!r} is not one of the choices {', '.join(map(repr, queue.choices))}")
        found.append((task, who, known[value.casefold()], (row.get("note") or "").strip()))
    for task, who, value, note in found:
        labels.add(queue, task, who, value, note=note)
    return len(found), empty
