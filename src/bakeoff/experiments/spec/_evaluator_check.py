"""Can the evaluators score anything here? Asked before a run: answers that nobody can judge cost money, too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bakeoff.evaluators import places_read, tools_missing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.datasets import Dataset, Item
    from bakeoff.evaluators import Evaluator
    from bakeoff.experiments.spec._key_check import Add
    from bakeoff.experiments.spec._spec import ExperimentSpec

__all__ = ["check_evaluators"]


def check_evaluators(
    spec: ExperimentSpec, evaluators: Sequence[Evaluator], dataset: Dataset | None, *, add: Add
) -> None:
    """Name evaluators that miss a program on this machine, or what they read in every item of the data."""
    placed = len(evaluators) == len(spec.evaluators)
    keys: list[tuple[str | int, ...]] = [
        ("evaluators", i) if placed else ("evaluators",) for i in range(len(evaluators))
    ]
    for key, one in zip(keys, evaluators, strict=True):
        for problem in tools_missing(one):
            message, _, fix = problem.partition("\n    fix: ")
            without = "or leave it out now, and judge the kept answers later with `bakeoff score`"
            add(f"{one.metric} cannot work here: {message}", *key, fix=f"{fix}; {without}")
    if dataset is None:
        return
    read = [places_read(one) for one in evaluators]
    nowhere = _places_nowhere({place for places in read for place in places}, dataset)
    for key, one, places in zip(keys, evaluators, read, strict=True):
        for place in places:
            if place in nowhere:
                fix = f"{_way_out(place)}, or leave {one.metric} out"
                add(f"{one.metric} reads {place!r}, which no item of the data has", *key, fix=fix)


def _way_out(place: str) -> str:
    section, _, rest = place.partition(".")
    if section == "inputs" and rest:
        return f"let the data have an input {rest.partition('.')[0]!r}, or name another place in the check's options"
    if rest:
        return "name another place in the check's options"
    return f"say which field holds it, `dataset: {{{section}: FIELD}}`"


def _places_nowhere(places: set[str], dataset: Dataset) -> set[str]:
    """Find the places that no item has; the data is read only as far as it takes."""
    left = set(places)
    if left:
        for item in dataset:
            left -= {place for place in left if _has_place(item, place)}
            if not left:
                break
    return left


def _has_place(item: Item, place: str) -> bool:
    here: Any = {"inputs": item.inputs, "metadata": item.metadata, "expected": item.expected}
    for step in place.split("."):
        if isinstance(here, Mapping):
            here = here.get(step)
        elif isinstance(here, list) and step.lstrip("-").isdigit() and -len(here) <= int(step) < len(here):
            here = here[int(step)]
        else:
            return False
    return here is not None
