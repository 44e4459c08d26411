"""Recorded answers that do not fit the repeats: never an error, since an answer may be a list, but always said."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bakeoff.experiments._load import Experiment

__all__ = ["recorded_notes"]

_SAMPLE = 200


def recorded_notes(experiment: Experiment) -> list[str]:
    """Say where a recorded field holds more answers for an item than the experiment looks at.

    Looks at the first 200 items.
    """
    repeats = experiment.spec.repeats
    paths = {v.spec.recorded: v.name for v in experiment.variants.values() if v.spec.recorded is not None}
    sample = experiment.dataset.head(_SAMPLE) if paths else []
    notes: list[str] = []
    for path, variant in paths.items():
        lists = [item.recorded[path] for item in sample if isinstance(item.recorded.get(path), list)]
        longest = max((len(answers) for answers in lists), default=0)
        if longest <= repeats:
            continue
        taken = (
            "each list as a whole is taken for one answer"
            if repeats == 1
            else f"only the first {repeats} are looked at"
        )
        notes.append(
            f"{path!r} of {variant!r} holds lists of up to {longest} answers for an item, and `repeats` is {repeats}: "
            f"{taken}; set `repeats: {longest}` to count each answer as a sample"
        )
    return notes
