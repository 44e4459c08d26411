"""What an earlier session of a run left behind."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from bakeoff.errors import SpecError
from bakeoff.experiments.run._messages import shared_messages
from bakeoff.experiments.run._scoring import lacks_scores
from bakeoff.experiments.spec._spec import ExperimentSpec
from bakeoff.experiments.store._journal import repair_journal
from bakeoff.experiments.store._tables import JournalIndex
from bakeoff.gateway import Spent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bakeoff.experiments.run._progress import Tally
    from bakeoff.experiments.spec._load import Experiment
    from bakeoff.experiments.store._manifest import Manifest
    from bakeoff.experiments.store._paths import RunPaths

__all__ = ["SCORED_FROM", "Finished", "Resumed", "finished", "read_resumed", "read_unscored"]

SCORED_FROM = "scored_from"
"""Tag that names the run whose answers a run holds."""


class Finished(NamedTuple):
    """What the tally and the allocation need of a trial that an earlier session finished."""

    index: int
    variant: str
    repeat: int
    error_kind: str | None
    value: object
    """Of the primary metric; None when it has none."""
    cost_usd: float


@dataclass(slots=True)
class Resumed:
    """Trials that need not run again, and answers that still need scores."""

    done: set[tuple[int, str, int]] = field(default_factory=set)
    """(item index, variant, repeat)."""
    unscored: list[dict[str, Any]] = field(default_factory=list)
    """Events of trials that were answered but not (wholly) scored, with the scores that they have as `s`."""
    finished: list[Finished] = field(default_factory=list)
    """Trials that count, until they are counted."""
    decisions: list[dict[str, Any]] = field(default_factory=list)
    batches: list[dict[str, Any]] = field(default_factory=list)
    """Events of batches that are still open at a provider."""
    spent: Spent = field(default_factory=Spent)

    def count_into(self, tally: Tally) -> None:
        """Start the tally where the earlier sessions ended."""
        for trial in self.finished:
            kind = trial.error_kind
            tally.reuse(trial.variant, ok=kind is None, kind=kind or "", value=trial.value, cost_usd=trial.cost_usd)


def read_resumed(paths: RunPaths, manifest: Manifest, experiment: Experiment, *, retry_errors: bool) -> Resumed:
    """Read the journal of an unfinished run.

    Raises:
        SpecError: Data, variants or evaluators are not those that the run began with, or it holds answers of another
            run, so that its targets must not be asked.
    """
    if source := manifest.tags.get(SCORED_FROM):
        raise SpecError(
            f"the run {manifest.run_id!r} holds the answers of {source!r}: its targets are not asked again\n"
            f"    fix: bakeoff score {manifest.run_id} --retry-errors"
        )
    _check_same(manifest, experiment)
    if not paths.journal.exists():
        return _from_sealed(manifest, Resumed())
    return read_unscored(
        paths, manifest, primary=experiment.primary, retry_errors=retry_errors, retry_failed=retry_errors
    )


def read_unscored(
    paths: RunPaths, manifest: Manifest, *, primary: str, retry_errors: bool, retry_failed: bool
) -> Resumed:
    """Read what a journal says of trials and scores.

    Args:
        paths: Files of the run.
        manifest: The run.
        primary: Metric whose value the tally shows.
        retry_errors: Count scores that failed as missing; those for want of budget are missing in any case.
        retry_failed: Count trials that failed as not done.
    """
    resumed = Resumed()
    repair_journal(paths.journal)
    index = JournalIndex(manifest.variant_names)
    index.scan(paths.journal)
    resumed.decisions = [
        {key: value for key, value in event.items() if key not in ("e", "at")}
        for event in index.others
        if event["e"] == "decision"
    ]
    closed = {event["id"] for event in index.others if event["e"] == "batch_done"}
    resumed.batches = [event for event in index.others if event["e"] == "batch" and event["id"] not in closed]
    charges = _Charges(index.others, manifest.variant_names)
    scores_of: dict[int, list[list[Any]]] = {}

    def trials() -> Iterator[dict[str, Any]]:
        for event, scores in index.events(paths.journal):
            scores_of[event["at"]] = scores
            yield event

    for event, asked in shared_messages(trials()):
        scores = scores_of.pop(event["at"])
        charges.count(event, scores)
        failed = "err" in event
        if failed and retry_failed:
            continue
        resumed.done.add((event["k"], sys.intern(event["v"]), event["r"]))
        if not failed and lacks_scores(scores, retry_errors=retry_errors):
            resumed.unscored.append({**event, "msgs": asked, "s": scores})
        else:
            resumed.finished.append(finished(event, scores, primary))
    resumed.spent = charges.total(manifest.seconds)
    return resumed


def finished(event: dict[str, Any], scores: Sequence[Sequence[Any]], primary: str) -> Finished:
    """Return what the tally and the allocation need of a trial with its score rows."""
    paid = 0.0 if event.get("hit") else event.get("cost") or 0.0
    return Finished(
        index=event["k"],
        variant=sys.intern(event["v"]),
        repeat=event["r"],
        error_kind=event["err"][0] if "err" in event else None,
        value=next((row[1] for row in scores if row[0] == primary), None),
        cost_usd=paid + sum(row[6] or 0.0 for row in scores),
    )


class _Charges:
    """What earlier sessions spent: the gateway's last word, what was answered after it, and what a kill left open.

    The gateway's own figure (event `spent`: each second, and before more than `step` USD are unwritten) includes
    attempts that failed after they may have been billed. Calls in flight when a process was killed were perhaps
    billed and nobody knows: each is charged with the most that a call could cost (`largest`, where `max_tokens` bounds
    it) or like the dearest answer of the run, so that a resumed run does not overshoot its budget.
    """

    def __init__(self, others: list[dict[str, Any]], variants: Sequence[str]) -> None:
        last: dict[str, Any] = {"at": -1}
        open_calls: list[int] = []
        for event in others:
            if event["e"] == "session":
                open_calls.append(int(event.get("n", 0)))
            elif event["e"] == "end":  # a session that ended by itself left nothing open
                open_calls = open_calls[:-1]
            elif event["e"] == "spent":
                # It started from what the sessions before it left open.
                last, open_calls = event, [int(event["n"])] if "n" in event else open_calls[-1:]
        self._from = last["at"]
        self.usd = float(last.get("usd", 0.0))
        self.unconfirmed = float(last.get("unconfirmed", 0.0))
        self.tokens, self.calls = int(last.get("tokens", 0)), int(last.get("calls", 0))
        self.minutes = float(last.get("minutes", 0.0))
        self.per_variant = dict.fromkeys(variants, 0.0) | dict(last.get("per_variant", {}))
        self._in_flight = sum(open_calls)
        self._step = float(last.get("step", 0.0))
        self._unwritten = self._step if open_calls else 0.0
        self._dearest, self._most_tokens = last.get("largest", (0.0, 0))

    def count(self, event: dict[str, Any], scores: list[list[Any]]) -> None:
        """Take in one trial."""
        if event.get("hit"):
            return
        cost = (event.get("cost") or 0.0) + sum(row[6] or 0.0 for row in scores)
        tokens = sum(event["u"][:2]) if "u" in event else 0
        self._dearest, self._most_tokens = max(self._dearest, cost), max(self._most_tokens, tokens)
        if event["at"] > self._from:
            self.tokens += tokens
            self.calls += event.get("n", 1)
            if not self._step:  # otherwise the step covers it
                self.usd += cost
                self.per_variant[event["v"]] = self.per_variant.get(event["v"], 0.0) + cost

    def total(self, seconds: float) -> Spent:
        """Return what the next session starts from."""
        left_open = self._in_flight * self._dearest + self._unwritten
        share = left_open / max(len(self.per_variant), 1)  # trials alternate between the variants
        return Spent(
            usd=self.usd + left_open,
            unconfirmed_usd=self.unconfirmed + left_open,
            tokens=self.tokens + self._in_flight * self._most_tokens,
            calls=self.calls + self._in_flight,
            minutes=max(self.minutes, seconds / 60),
            per_variant_usd={name: usd + share for name, usd in self.per_variant.items()},
        )


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
    differences += _changed_sections(manifest, experiment)
    if differences:
        raise SpecError(
            f"the run {manifest.run_id!r} cannot go on: {'; '.join(differences)}. "
            "Restore what was changed, or start a new run"
        )


_DECLARED = (
    "models", "targets", "factors", "variants", "exclude", "repeats", "seed", "allocation", "evaluators", "guards",
    "analysis",
)  # fmt: skip
"""Sections of a spec that say what is measured and how; the others may change from session to session."""
_MAY_CHANGE = frozenset({"api_base", "api_key_env", "headers", "stream", "timeout_s", "url"})
"""Within them: where something is served, and with which key."""


def _changed_sections(manifest: Manifest, experiment: Experiment) -> list[str]:
    try:
        then = _as_data(ExperimentSpec.model_validate(manifest.spec))
    except ValidationError:  # written by another version: its own words cannot be held against these
        return []
    now = _as_data(experiment.spec)
    pairs = ((name, then.get(name), now.get(name)) for name in _DECLARED)
    return [f"`{name}` {_difference(before, after)}" for name, before, after in pairs if before != after]


def _as_data(spec: ExperimentSpec) -> dict[str, Any]:
    data = spec.model_dump(mode="json", exclude_defaults=True, by_alias=True, include=set(_DECLARED))
    return {name: _without_places(section) for name, section in data.items()}


def _without_places(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_places(entry) for key, entry in value.items() if key not in _MAY_CHANGE}
    return [_without_places(entry) for entry in value] if isinstance(value, list) else value


def _difference(then: Any, now: Any) -> str:
    if isinstance(then, dict) and isinstance(now, dict):
        names = [name for name in {**then, **now} if then.get(name) != now.get(name)]
        return f"differs in {', '.join(names)}"
    after = "left out" if now is None else str(now)
    before = "its default" if then is None else str(then)
    return "differs" if len(after + before) > 200 else f"is {after}, the run began with {before}"
