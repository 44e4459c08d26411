"""Escalation: an undecided gate adds repeats and looks again, at an error rate that was shared out beforehand."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bakeoff.experiments import Experiment, ExperimentSpec, LocalStore
    from bakeoff.regression._result import GateResult

__all__ = ["next_look", "repeats_at"]


def repeats_at(look: int, *, first: int, last: int, looks: int) -> int:
    """Return the repeats of a look, in even steps from the first to the last.

    Examples:
        >>> [repeats_at(look, first=1, last=5, looks=3) for look in range(3)]
        [1, 3, 5]
    """
    return first + ceil((last - first) * look / (looks - 1))


def next_look(experiment: Experiment, store: LocalStore, result: GateResult, *, look: int) -> Experiment | None:
    """Return the experiment with more repeats for the next look; `None` when the spec does not ask for one.

    Every look is decided at alpha / looks, so by the union bound the chance of a false alarm over all looks together is
    at most alpha, however the repeats depend on each other. The first repeats come from the response cache and cost
    nothing; the added ones have a budget of their own.

    Args:
        experiment: As it ran at first.
        store: Where it ran.
        result: The undecided decision.
        look: Looks taken so far, at least 1.
    """
    escalate = experiment.spec.gate_policy.escalate
    if escalate is None or look >= escalate.looks:
        return None
    repeats = repeats_at(look, first=experiment.spec.repeats, last=escalate.repeats, looks=escalate.looks)
    if repeats <= store.manifest(result.run_id).repeats:
        return None
    budget = experiment.spec.budget
    if escalate.budget_usd is not None:
        usd = escalate.budget_usd if budget.usd is None else min(budget.usd, escalate.budget_usd)
        budget = budget.model_copy(update={"usd": usd})
    tags = {**experiment.spec.tags, "escalated_from": result.run_id, "gate_look": look + 1}
    spec: ExperimentSpec = experiment.spec.model_copy(update={"repeats": repeats, "budget": budget, "tags": tags})
    return replace(experiment, spec=spec)
