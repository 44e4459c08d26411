"""`bakeoff calibrate`: a judge against people, and its means corrected."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bakeoff.cli._common import JsonOption, RunArgument, StoreOption, console, print_json, store_at, table
from bakeoff.errors import SpecError

if TYPE_CHECKING:
    from bakeoff.experiments import HumanLabel, JudgeCalibration, LocalStore

__all__ = ["calibrate"]


def calibrate(
    run_id: RunArgument = "latest",
    labels: Annotated[
        Path | None,
        typer.Option(
            help="CSV with item_id, variant, value (and repeat, annotator); the dashboard's labels when omitted.",
            show_default=False,
        ),
    ] = None,
    metric: Annotated[str | None, typer.Option("--metric", "-m", help="The judge's metric.")] = None,
    queue: Annotated[str | None, typer.Option(help="Only this label queue of the dashboard.")] = None,
    passing: Annotated[
        list[str] | None, typer.Option("--pass", help="Label word that means pass; may be given several times.")
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option(help="Marks that people could give, lowest to highest, as in 1-5.", show_default=False),
    ] = None,
    within: Annotated[
        float | None, typer.Option(help="Wanted half-width of an interval, 0.03 for +-3 points.", show_default=False)
    ] = None,
    confidence: Annotated[float, typer.Option(help="Of the intervals.")] = 0.95,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hold a judge against labels by people: agreement, errors, bias, and what its means are once corrected."""
    from bakeoff.experiments import calibrate_judge, read_labels

    kept = store_at(store)
    found = kept.resolve(run_id)
    given = read_labels(labels) if labels is not None else _of_dashboard(kept, found, queue)
    result = calibrate_judge(
        kept,
        found,
        given,
        metric=metric,
        passing=passing or (),
        scale=_scale(scale),
        half_width=within,
        confidence=confidence,
    )
    if as_json:
        print_json(result.to_dict())
        return
    _print(result)


def _scale(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    found = re.fullmatch(r"\s*(-?\d+(?:\.\d+)?)\s*(?:-|to|\.\.|,|:)\s*(-?\d+(?:\.\d+)?)\s*", text)
    if found is None:
        raise SpecError(f"--scale must be the lowest and the highest mark, as in 1-5, got {text!r}")
    return float(found[1]), float(found[2])


def _of_dashboard(store: LocalStore, run_id: str, name: str | None) -> list[HumanLabel]:
    """Read the labels that were given in the dashboard to single answers of a run."""
    from bakeoff.app._labels import LabelStore
    from bakeoff.experiments import HumanLabel

    if not store.paths.control.exists():
        raise SpecError("nothing is labelled in this store yet; give --labels labels.csv, or label in `bakeoff ui`")
    kept = LabelStore(store.paths.control)
    mine = [entry for entry in kept.queues(run_id) if entry.mode == "single"]
    at_random = [entry for entry in mine if entry.metric is None and entry.drawn == "random"]
    queues = at_random if name is None else [entry for entry in mine if entry.name == name]
    if not queues and name is None and mine:
        names = ", ".join(repr(entry.name) for entry in mine)
        raise SpecError(
            f"the only labels of run {run_id!r} are of answers that were handed over or picked as doubtful ({names}): "
            "they are the hard ones, and means corrected by them would be wrong\n    fix: draw a queue at random in "
            "`bakeoff ui`, or name one with --queue to see the agreement on those answers alone"
        )
    if any(entry not in at_random for entry in queues):
        console(stderr=True).print(
            "note: these answers were handed over or picked because something was not sure of them; they are no "
            "random sample. Read the agreement as that on hard answers, and do not use the corrected means."
        )
    if not queues:
        which = f"no label queue {name!r} for" if name else "no labels of single answers for"
        raise SpecError(f"there are {which} run {run_id!r}; give --labels labels.csv, or label in `bakeoff ui`")
    if len({entry.question for entry in queues}) > 1:
        names = ", ".join(repr(entry.name) for entry in queues)
        raise SpecError(f"the run's label queues ask different questions; say which one with --queue: {names}")
    return [
        HumanLabel(
            item_id=label.item_id, variant=label.variant, value=label.value, repeat=label.repeat,
            annotator=label.annotator,
        )
        for entry in reversed(queues)
        for label in kept.labels(entry)
    ]  # fmt: skip


def _print(result: JudgeCalibration) -> None:
    from rich.text import Text

    out = console()
    out.print()
    for sentence in result.words:
        out.print(Text(sentence))
    if result.confusion:
        columns = list(next(iter(result.confusion.values())))
        rows = [(name, *row.values()) for name, row in result.confusion.items()]
        out.print()
        out.print(Text(f"{result.metric}: people (rows) and judge (columns)"))
        table("", ["people", *columns], rows, right=range(1, len(columns) + 1))
    for warning in result.warnings:
        out.print(Text(f"! {warning}", style="yellow"))
