"""What looks wrong in the data but may be meant: never an error, always said before and after a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bakeoff.errors import BakeoffError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.datasets import Item
    from bakeoff.experiments.spec._load import Experiment
    from bakeoff.prompts import Prompt
    from bakeoff.targets import VariantTarget

__all__ = ["data_notes"]

_SAMPLE = 200


def data_notes(experiment: Experiment) -> list[str]:
    """Say where items do not fit what is done with them, judging by the first 200.

    Recorded fields that hold more answers for an item than `repeats` looks at, and inputs that are null and that a
    prompt writes out as the word None.
    """
    sample = experiment.dataset.head(_SAMPLE)
    return [*_recorded(experiment, sample), *_nulls(experiment, sample)]


def _recorded(experiment: Experiment, sample: Sequence[Item]) -> list[str]:
    repeats = experiment.spec.repeats
    paths = {v.spec.recorded: v.name for v in experiment.variants.values() if v.spec.recorded is not None}
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


def _nulls(experiment: Experiment, sample: Sequence[Item]) -> list[str]:
    notes: list[str] = []
    seen: set[str] = set()
    for variant in experiment.variants.values():
        prompt = variant.prompt
        if prompt is None or prompt.name in seen:
            continue
        seen.add(prompt.name)
        for name in sorted(prompt.variables):
            items = [item for item in sample if name in item.inputs and item.inputs[name] is None]
            if items and _writes_none(prompt, variant, items[0], name):
                notes.append(
                    f"the input {name!r} is null in {len(items)} of the first {len(sample)} items, for instance "
                    f"{items[0].id!r}, and the prompt {prompt.name!r} writes it as None; leave such items out, or say "
                    f"`{{% if {name} %}}` in the prompt"
                )
    return notes


def _writes_none(prompt: Prompt, variant: VariantTarget, item: Item, name: str) -> bool:
    """Whether the word None in the rendered prompt comes from the null."""
    inputs: dict[str, Any] = {**variant.template_values, **item.inputs}
    try:
        with_null, without = prompt.render(inputs), prompt.render({**inputs, name: ""})
    except BakeoffError:
        return False  # the trial will say so
    return str(with_null).count("None") > str(without).count("None")
