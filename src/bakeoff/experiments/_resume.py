"""What an earlier session of a run left behind."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bakeoff.errors import SpecError
from bakeoff.experiments._journal import repair_journal
from bakeoff.experiments._tables import JournalIndex
from bakeoff.gateway import Spent

if TYPE_CHECKING:
    from bakeoff.experiments._load import Experiment
    from bakeoff.experiments._manifest import Manifest
    from bakeoff.experiments._paths import RunPaths
    from bakeoff.experiments._progress import Tally

__all__ = ["Resumed", "read_resumed"]


@dataclass(slots=True)
class Resumed:
    """Trials that need not run again, and answers that still need scores."""

    done: set[tuple[int, str, int]] = field(default_factory=set)
    """(item index, variant, repeat)."""
    unscored: list[dict[str, Any]] = field(default_factory=list)
    """Events of trials that were answered but not (wholly) scored."""
    finished: list[tuple[dict[str, Any], list[list[Any]]]] = field(default_factory=list)
    """Events that count, with their scores; only what the tally and the allocation need of them."""
    decisions: list[dict[str, Any]] = field(default_factory=list)
    spent: Spent = field(default_factory=Spent)

    def count_into(self, tally: Tally, primary: str) -> None:
        """Start the tally where the earlier sessions ended."""
        for event, scores in self.finished:
            value = next((row[1] for row in scores if row[0] == primary), None)
            cost = (event.get("cost") or 0.0) + sum(row[6] or 0.0 for row in scores)
            kind = event["err"][0] if "err" in event else ""
            tally.reuse(event["v"], ok="err" not in event, kind=kind, value=value, cost_usd=cost)


def read_resumed(paths: RunPaths, manifest: Manifest, experiment: Experiment, *, retry_errors: bool) -> Resumed:
    """Read the journal of an unfinished run.

    Raises:
        SpecError: Data, variants or evaluators are not those that the run began with.
    """
    _check_same(manifest, experiment)
    resumed = Resumed()
    if not paths.journal.exists():
        return _from_sealed(manifest, resumed)
    repair_journal(paths.journal)
    index = JournalIndex(manifest.variant_names)
    index.scan(paths.journal)
    resumed.decisions = [
        {key: value for key, value in event.items() if key != "e"} for event in index.others if event["e"] == "decision"
    ]
    usd, tokens, calls = 0.0, 0, 0
    per_variant: dict[str, float] = {}
    for event, scores in index.events(paths.journal):
        cost = (event.get("cost") or 0.0) + sum(row[6] or 0.0 for row in scores)
        if not event.get("hit"):
            usd += cost
            per_variant[event["v"]] = per_variant.get(event["v"], 0.0) + cost
            tokens += sum(event["u"][:2]) if "u" in event else 0
            calls += event.get("n", 1)
        failed = "err" in event
        if failed and retry_errors:
            continue
        resumed.done.add((event["k"], event["v"], event["r"]))
        needs_scores = not failed and (not scores or (retry_errors and any(row[3] is not None for row in scores)))
        if needs_scores:
            resumed.unscored.append(event)
        else:
            slim = {key: event[key] for key in ("v", "i", "k", "r", "err", "cost") if key in event}
            resumed.finished.append((slim, [[row[0], row[1], None, None, None, None, row[6]] for row in scores]))
    resumed.spent = Spent(
        usd=usd, tokens=tokens, calls=calls, minutes=manifest.seconds / 60, per_variant_usd=per_variant
    )
    return resumed


def _from_sealed(manifest: Manifest, resumed: Resumed) -> Resumed:
    if manifest.status == "complete":
        raise SpecError(f"the run {manifest.run_id!r} is complete: nothing is missing and nothing failed")
    return resumed


def _check_same(manifest: Manifest, experiment: Experiment) -> None:
    differences: list[str] = []
    if manifest.dataset_version != experiment.dataset.version:
        differences.append(
            f"the data set is {experiment.dataset.version[:12]}, the run began with {manifest.dataset_version[:12]}"
        )
    now = {name: variant.prompt.version if variant.prompt else None for name, variant in experiment.variants.items()}
    then = {variant.name: variant.prompt_version for variant in manifest.variants}
    if list(now) != list(then):
        differences.append(f"the variants are {', '.join(now)}, the run began with {', '.join(then)}")
    else:
        changed = [name for name in now if now[name] != then[name]]
        differences += [f"the prompt of {name!r} was changed" for name in changed]
    if differences:
        raise SpecError(
            f"the run {manifest.run_id!r} cannot go on: {'; '.join(differences)}. "
            "Restore what was changed, or start a new run"
        )
