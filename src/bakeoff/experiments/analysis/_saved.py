"""What an allocation decided and saved, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.experiments.analysis._answer import MetricAnalysis
    from bakeoff.experiments.store._manifest import Manifest

__all__ = ["allocation_words"]


def allocation_words(manifest: Manifest, trials: int, alpha: float, metrics: Sequence[MetricAnalysis] = ()) -> str:
    """Return a paragraph; empty when the allocation was `fixed`."""
    section = manifest.spec.get("allocation") or {}
    method = section if isinstance(section, str) else section.get("method", "fixed")
    if method == "fixed":
        return ""
    planned = manifest.planned_trials
    saved = max(0, planned - trials)
    parts = [
        f"Allocation {method}: {trials:,} of {planned:,} trials were run"
        + (f", {100 * saved / planned:.0f}% saved." if saved else ".")
    ]
    for entry in manifest.decisions:
        if entry.get("kind") == "verdict":
            parts.append(f"{entry['variant']} was decided ({entry['verdict']}) after {entry['items']:,} items.")
        elif entry.get("kind") == "dropped":
            parts.append(
                f"{entry['variant']} was dropped after {entry['items']:,} items, beaten by {entry['beaten_by']}."
            )
        elif entry.get("kind") == "race" and entry.get("best"):
            parts.append(f"{entry['best']} won the race.")
    parts += _undecided(manifest, metrics)
    pulls = [entry for entry in manifest.decisions if entry.get("kind") == "bandit"]
    if pulls:
        shares = ", ".join(f"{name} {count:,}" for name, count in pulls[-1]["pulls"].items())
        parts.append(f"Items by variant: {shares}.")
    parts.append(
        "Intervals and tests are always valid: looking after every batch keeps the chance of a false verdict "
        f"at most {alpha:g}."
    )
    return " ".join(parts)


def _undecided(manifest: Manifest, metrics: Sequence[MetricAnalysis]) -> list[str]:
    """Say how a variant can be dropped, and stand in the table as inconclusive."""
    beaten = {entry["variant"]: entry["beaten_by"] for entry in manifest.decisions if entry.get("kind") == "dropped"}
    rows = [
        (comparison.candidate, comparison.baseline)
        for metric in metrics
        if metric.metric == manifest.primary
        for comparison in metric.comparisons
        if comparison.label == "inconclusive" and comparison.candidate in beaten
    ]
    said: list[str] = []
    for winner, baseline in dict.fromkeys((beaten[name], baseline) for name, baseline in rows):
        names = [name for name, against in rows if (beaten[name], against) == (winner, baseline)]
        if winner == baseline:
            why = "the table has a test of one pair alone, and it had not decided"
        else:
            why = f"the table asks another question, the difference from {baseline}, and that is not decided"
        are = "are" if len(names) > 1 else "is"
        said.append(f"{' and '.join(names)} {are} behind {winner} by the race's test of all variants at once; {why}.")
    return said
