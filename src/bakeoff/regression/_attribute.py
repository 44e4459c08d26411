"""What a drift came from: something of ours that changed, or the provider's model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bakeoff.regression._observations import Observations

__all__ = ["Attribution", "Cause", "attribute"]

Cause = Literal["prompt", "model", "data", "evaluator", "settings", "provider"]
"""`provider`: nothing of ours changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """What changed between the runs before and after a shift."""

    causes: tuple[Cause, ...]
    """What changed of ours within the interval of the shift; `provider` alone when nothing did."""
    evidence: tuple[str, ...]
    """What supports it."""
    sentence: str


def attribute(
    runs: Sequence[Observations], metric: str, variant: str, *, index: int, low: int, high: int
) -> Attribution:
    """Say what a shift came from.

    Args:
        runs: Oldest first.
        metric: The metric that shifted.
        variant: Of this variant.
        index: First run after the shift.
        low: First run that the interval of the shift allows.
        high: Last run that it allows.
    """
    causes: list[Cause] = []
    evidence: list[str] = []
    for at in range(max(1, low), high + 1):
        before, after = runs[at - 1], runs[at]
        for cause, old, new in _ours(before, after, metric, variant):
            causes.append(cause)
            when = after.created_at[:16].replace("T", " ")
            evidence.append(f"{cause} changed with the run of {when} ({old} to {new})")
    foreign = _provider_evidence(runs, variant, index)
    causes = list(dict.fromkeys(causes))
    if causes:
        names = " and ".join(f"the {cause}" if cause != "data" else "the data" for cause in causes)
        sentence = f"In that interval {names} changed: {'; '.join(evidence)}."
        if foreign:
            sentence += f" The provider's answers changed as well: {'; '.join(foreign)}."
        return Attribution(causes=tuple(causes), evidence=(*evidence, *foreign), sentence=sentence)
    sentence = (
        "Nothing of ours changed in that interval (prompt, model name, settings, data, evaluator): "
        "the provider's model has drifted"
    )
    if foreign:
        said = "; ".join(foreign)
        sentence += f". {said[:1].upper()}{said[1:]}."
    else:
        sentence += ", or the judge's, where a model judges: `bakeoff score` an old run again to tell them apart."
    return Attribution(causes=("provider",), evidence=tuple(foreign), sentence=sentence)


def _ours(before: Observations, after: Observations, metric: str, variant: str) -> list[tuple[Cause, str, str]]:
    then, now = before.variants[variant], after.variants[variant]
    pairs: list[tuple[Cause, object, object]] = [
        ("prompt", then.prompt_version, now.prompt_version),
        ("model", then.model, now.model),
        ("settings", dict(then.levels), dict(now.levels)),
        ("data", before.dataset_version[:12], after.dataset_version[:12]),
        ("evaluator", before.metrics[metric].version, after.metrics[metric].version),
    ]
    return [(cause, str(old), str(new)) for cause, old, new in pairs if old != new]


def _provider_evidence(runs: Sequence[Observations], variant: str, index: int) -> list[str]:
    """Compare what the provider said of itself, and how it answered, before and after."""
    found: list[str] = []
    for what, field in (("fingerprint", "fingerprints"), ("model name in the answers", "answered_by")):
        before, after = (_seen(part, variant, field) for part in (runs[:index], runs[index:]))
        if before and after and set(before) != set(after):
            new = sorted(set(after) - set(before))
            gone = sorted(set(before) - set(after))
            parts = [f"{', '.join(new[:3])} appeared"] if new else []
            parts += [f"{', '.join(gone[:3])} went"] if gone else []
            found.append(f"the {what} changed: {' and '.join(parts)}")
    for name in ("output_tokens", "latency_ms"):
        means = [_level(part, variant, name) for part in (runs[:index], runs[index:])]
        if all(value > 0 for value in means) and not 0.8 < means[1] / means[0] < 1.25:
            found.append(f"mean {name} went from {means[0]:.4g} to {means[1]:.4g}")
    return found


def _seen(runs: Sequence[Observations], variant: str, field: str) -> Mapping[str, int]:
    seen: dict[str, int] = {}
    for run in runs:
        for value, count in getattr(run.variants[variant], field).items():
            seen[value] = seen.get(value, 0) + count
    return seen


def _level(runs: Sequence[Observations], variant: str, name: str) -> float:
    values = [float(np.nanmean(run.of(name, variant))) for run in runs if name in run.values]
    return float(np.mean(values)) if values else 0.0
