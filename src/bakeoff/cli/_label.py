"""`bakeoff label`: what waits for people, as a list, as a file to fill in, and back."""

from __future__ import annotations

from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bakeoff.cli._common import JsonOption, RunArgument, StoreOption, console, print_json, printable, store_at, table
from bakeoff.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.app._labels import Label, LabelStore, Queue
    from bakeoff.experiments import LocalStore

__all__ = ["label"]

_SHOWN = 20


def label(
    run_id: RunArgument = "latest",
    queue: Annotated[str | None, typer.Option(help="Name of a queue: which of several, or of a new one.")] = None,
    draw: Annotated[
        str | None,
        typer.Option(
            help="Draw answers into a new queue: `random`, or first those of `disagreement` or low `confidence`."
        ),
    ] = None,
    answers: Annotated[int, typer.Option(min=1, max=5000, help="With --draw: so many.")] = 50,
    question: Annotated[str | None, typer.Option(help="With --draw: what people are asked.")] = None,
    choices: Annotated[str, typer.Option(help="With --draw: what they may say, with commas.")] = "right,wrong,unclear",
    guidelines: Annotated[
        Path | None, typer.Option(help="With --draw: text file that says how to decide; shown with every task.")
    ] = None,
    variant: Annotated[list[str] | None, typer.Option(help="With --draw: only this variant; may be repeated.")] = None,
    pairwise: Annotated[
        bool, typer.Option("--pairwise", help="With --draw: two variants side by side, blind: A, B or tie.")
    ] = False,
    to: Annotated[
        Path | None, typer.Option("--to", help="Write its answers as CSV, to fill in the column `value`.")
    ] = None,
    read: Annotated[Path | None, typer.Option("--from", help="Read such a CSV back.")] = None,
    annotator: Annotated[str, typer.Option(help="Who judged, where the CSV does not say.")] = "",
    labels_to: Annotated[
        Path | None,
        typer.Option("--labels", help="Write what was said, with who, when and by which guidelines, as CSV."),
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let people judge answers: draw them, list what waits, write a file to fill in, read it back, see who agrees."""
    from bakeoff.app._labels import LabelStore
    from bakeoff.cli._label_sheet import read_sheet, write_bytes, write_sheet

    kept = store_at(store)
    found = kept.resolve(run_id)
    labels = LabelStore(kept.paths.control)
    labels.escalated_queues(kept, found)
    if draw is not None:
        fresh = _draw(
            kept, labels, found, draw, name=queue, n=answers, question=question, choices=choices.split(","),
            guidelines=guidelines, variants=variant or (), pairwise=pairwise,
        )  # fmt: skip
        kind = "pairs" if pairwise else "answers"
        console().print(printable(f"{fresh.n_tasks} {kind} drawn into the queue {fresh.name!r}"), markup=False)
        queue = fresh.name
    queues = labels.queues(found)
    if to is None and read is None and labels_to is None:
        _list(labels, queues, found, as_json=as_json)
        return
    chosen = _chosen(queues, queue, found)
    said: list[str] = []
    if to is not None:
        n = write_sheet(kept, labels, chosen, to)
        said.append(f"{n} answers of {chosen.name!r} written to {to}; fill in `value`, then --from {to}")
    if read is not None:
        new, same, empty = read_sheet(labels, chosen, read, annotator)
        there = f", {same} were there already" if same else ""
        said.append(f"{new} labels read into {chosen.name!r}{there}; {empty} rows had no value")
    if labels_to is not None:
        from bakeoff.app._label_files import labels_csv

        given = labels.labels(chosen)
        write_bytes(labels_to, labels_csv(given))
        said.append(f"{len(given)} labels of {chosen.name!r} written to {labels_to}")
    for words in said:
        console().print(printable(words), markup=False)


def _draw(
    kept: LocalStore, labels: LabelStore, run_id: str, draw: str, *, name: str | None, n: int, question: str | None,
    choices: list[str], guidelines: Path | None, variants: Sequence[str], pairwise: bool,
) -> Queue:  # fmt: skip
    """Make a queue.

    Raises:
        SpecError: The draw, a variant or the guidelines are not known, or the name is taken.
    """
    from bakeoff.app._label_order import DRAWS

    kind = next((one for one in DRAWS if one == draw), None)
    if kind is None:
        raise SpecError(f"--draw must be one of {', '.join(map(repr, DRAWS))}, got {draw!r}")
    manifest = kept.manifest(run_id)
    unknown = [one for one in variants if one not in manifest.variant_names]
    if unknown:
        known = ", ".join(map(repr, manifest.variant_names))
        raise SpecError(f"--variant {unknown[0]!r} is not in the run {run_id!r}; it has: {known}")
    name = name or ("pairs" if pairwise else "labels")
    if any(entry.name == name for entry in labels.queues(run_id)):
        raise SpecError(f"the run {run_id!r} has a queue {name!r} already; name the new one with --queue")
    try:
        rules = guidelines.read_text(encoding="utf-8-sig") if guidelines is not None else ""
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"the guidelines {str(guidelines)!r} cannot be read: {error}") from error
    asked = question or ("Which answer is better?" if pairwise else "Is this answer right?")
    return labels.create_queue(
        kept, run_id, name=name, question=asked,
        choices=choices, guidelines=rules, n=n, variants=variants, mode="pairwise" if pairwise else "single", draw=kind,
    )  # fmt: skip


def _list(labels: LabelStore, queues: list[Queue], run_id: str, *, as_json: bool) -> None:
    tasks = {entry.id: labels.tasks(entry) for entry in queues}
    given = {entry.id: labels.labels(entry) for entry in queues}
    if as_json:
        print_json(
            [
                {
                    "queue": entry.name, "metric": entry.metric, "question": entry.question, "choices": entry.choices,
                    "labels": len(given[entry.id]), "annotators": sorted({one.annotator for one in given[entry.id]}),
                    "agreement": _alpha(given[entry.id]), "mode": entry.mode, "drawn": entry.drawn,
                    "answers": [
                        {
                            "item_id": one.item_id, "variant": one.variant, "other": one.other, "repeat": one.repeat,
                            "why": one.reason,
                        }
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
    rows = [
        (
            entry.name, entry.question, entry.n_tasks, len(given[entry.id]),
            len({one.annotator for one in given[entry.id]}), _agreement_words(given[entry.id]),
        )
        for entry in queues
    ]  # fmt: skip
    table("", ["queue", "question", "tasks", "labels", "people", "agreement"], rows, right=(2, 3, 4))
    waiting = [(entry, one) for entry in queues if entry.metric is not None for one in tasks[entry.id]]
    if waiting:
        shown = [(one.item_id, one.variant, one.repeat + 1, entry.metric, one.reason) for entry, one in waiting]
        table("Handed over", ["item", "variant", "repeat", "by", "why"], shown[:_SHOWN], right=(2,))
        if len(shown) > _SHOWN:
            console().print(f"... and {len(shown) - _SHOWN} more (--json lists all)")
    console().print("judge them on the Label page of `bakeoff ui`, or here with --to FILE.csv")


def _alpha(given: list[Label]) -> dict[str, float | None] | None:
    """Return Krippendorff's alpha of a queue with its interval; `None` while nothing was judged twice."""
    from bakeoff.app._label_files import agreement

    found = agreement(given)
    if found is None:
        return None
    values = {"alpha": found.estimate, "low": found.low, "high": found.high}
    return {name: None if isnan(value) else value for name, value in values.items()}


def _agreement_words(given: list[Label]) -> str:
    alpha = _alpha(given)
    if alpha is None or alpha["alpha"] is None:
        return "-"
    low, high = alpha["low"], alpha["high"]
    interval = "" if low is None or high is None else f" ({low:.2f} to {high:.2f})"
    return f"alpha {alpha['alpha']:.2f}{interval}"


def _chosen(queues: list[Queue], name: str | None, run_id: str) -> Queue:
    """Find the queue that is meant.

    Raises:
        SpecError: None, or several.
    """
    fitting = [entry for entry in queues if name in (None, entry.name)]
    if len(fitting) == 1:
        return fitting[0]
    names = ", ".join(repr(entry.name) for entry in queues)
    if not names:
        raise SpecError(_nothing_waits(run_id))
    if fitting:
        raise SpecError(f"the run {run_id!r} has {len(fitting)} queues; say which one with --queue: {names}")
    wanted = "" if name is None else f" {name!r}"
    raise SpecError(f"there is no queue{wanted} for run {run_id!r}; it has: {names}")


def _nothing_waits(run_id: str) -> str:
    return (
        f"nothing waits for a person in {run_id}: no jury was unsure (`escalate_below`), and no queue was drawn: "
        "draw one with --draw random, or in `bakeoff ui`"
    )
