"""Rules about facts of a run rather than about a population: sentinel items, error rate; and the list of items."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.errors import SpecError
from bakeoff.regression._result import GateOutcome, ItemChange, RuleResult
from bakeoff.regression._rules import rule_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from bakeoff.experiments import GateRule
    from bakeoff.regression._observations import Observations

    Float = NDArray[np.float64]

__all__ = ["INFRASTRUCTURE_ERRORS", "decide_errors", "decide_sentinels", "item_changes"]

INFRASTRUCTURE_ERRORS = frozenset({"rate_limit", "timeout", "server", "connection", "auth", "not_found", "budget"})
"""Kinds of error that say something about the provider or the network, not about what is under test."""


def item_means(scores: Float) -> Float:
    """Return the mean over repeats, `nan` where every repeat is missing."""
    counted = (~np.isnan(scores)).sum(axis=1)
    return np.asarray(np.divide(np.nansum(scores, axis=1), counted, out=np.full(len(scores), nan), where=counted > 0))


def decide_errors(rule: GateRule, *, candidate: Observations, variant: str) -> RuleResult:
    """Decide `max_error_rate` for one variant: the share that did fail, no estimate of a share that would.

    Where most of the failures are the provider's or the network's, the outcome is `infrastructure`.
    """
    place = candidate.place(variant)
    ran, failed = int(candidate.ran[place].sum()), int(candidate.failed[place].sum())
    share = failed / ran if ran else nan
    allowed = rule.max_error_rate or 0.0
    errors = candidate.variants[variant].errors
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(errors.items(), key=lambda entry: -entry[1])[:4])
    outcome: GateOutcome
    if not ran:
        outcome, because = "infrastructure", "no trial has an outcome"
    elif share <= allowed:
        outcome, because = "pass", f"{failed:,} of {ran:,} trials failed ({100 * share:.2g}%)"
    else:
        foreign = sum(count for kind, count in errors.items() if kind in INFRASTRUCTURE_ERRORS)
        outcome = "infrastructure" if 2 * foreign > failed else "fail"
        whose = ": mostly not the fault of what is tested" if outcome == "infrastructure" else ""
        because = f"{failed:,} of {ran:,} trials failed ({100 * share:.2g}%: {kinds}){whose}"
    return RuleResult(
        rule=rule_words(rule, "", None), kind="max_error_rate", metric="", variant=variant, outcome=outcome,
        because=f"{because}.", estimate=share, value=share, threshold=allowed, n=ran, method="observed share",
        is_statistical=False,
    )  # fmt: skip


def decide_sentinels(
    rule: GateRule,
    metric: str,
    *,
    candidate: Observations,
    baseline: Observations,
    pair: tuple[str, str],
    called: str,
    sentinels: Sequence[str],
    whole: tuple[Observations, Observations],
) -> RuleResult:
    """Decide `no_new_failures` for one variant, on named items.

    An item passes when at least half of its repeats do. A sentinel without a score leaves the rule inconclusive, and so
    does one that passed before and was since taken out or rewritten: else whoever breaks it could make the gate pass.

    Args:
        rule: The rule.
        metric: Pass/fail metric.
        candidate: The run, on the items that both have with the same content.
        baseline: The baseline, likewise.
        pair: Variant, and the baseline's variant.
        called: Name of the baseline.
        sentinels: Ids of the named items.
        whole: Run and baseline with all their items.

    Raises:
        SpecError: The metric is not pass/fail, or a sentinel is in neither run.
    """
    facts = candidate.facts(metric)
    if facts.kind != "binary":
        raise SpecError(
            f"`no_new_failures` needs a pass/fail metric, but {metric!r} gives "
            f"{'words' if facts.is_label else 'numbers'}; give its evaluator a `threshold`"
        )
    named = np.isin(candidate.ids.astype(str), np.array(list(sentinels), dtype=str))
    shared = set(candidate.ids[named].astype(str).tolist())
    new, lost = _elsewhere(sorted(set(sentinels) - shared), metric, pair[1], whole)
    now, then = item_means(candidate.of(metric, pair[0])), item_means(baseline.of(metric, pair[1]))
    passed_before = named & (then >= 0.5)
    fails = candidate.ids[passed_before & (now < 0.5)].tolist()
    wavers = candidate.ids[passed_before & (now >= 0.5) & (now < 1)].tolist()
    silent = candidate.ids[passed_before & np.isnan(now)].tolist()
    outcome: GateOutcome = "fail" if fails else "inconclusive" if silent or lost else "pass"
    counted = int(passed_before.sum())
    because = f"{len(fails)} of {counted} sentinel items that passed before fail now"
    if fails:
        because += f": {_few(fails)}"
    elif silent:
        because += f"; {len(silent)} have no score: {_few(silent)}"
    if lost:
        because += (
            f"; {len(lost)} that passed before cannot be compared, since they were taken out or rewritten: {_few(lost)}"
            " (set a new baseline when that was meant)"
        )
    warnings = []
    if wavers:
        warnings.append(f"{len(wavers)} sentinel items failed in some repeats: {_few(wavers)}")
    if new:
        warnings.append(f"{len(new)} sentinel items are not in the baseline yet: {_few(new)}")
    if candidate.repeats == 1 and fails:
        warnings.append("one answer of each sentinel: if the model varies, repeats tell a lapse from a regression")
    return RuleResult(
        rule=rule_words(rule, metric, facts), kind="no_new_failures", metric=metric, variant=pair[0], reference=called,
        outcome=outcome, because=f"{because}.", estimate=float(len(fails)), value=float(len(fails)), threshold=0.0,
        n=counted, n_missing=len(silent) + len(lost), method="named items", is_statistical=False,
        items=tuple(str(item) for item in fails), warnings=tuple(warnings),
    )  # fmt: skip


def _elsewhere(
    ids: Sequence[str], metric: str, variant: str, whole: tuple[Observations, Observations]
) -> tuple[list[str], list[str]]:
    """Sort named items that cannot be compared: new ones, and those that passed in the baseline.

    Raises:
        SpecError: One is in neither run.
    """
    now, before = whole
    here, there = set(now.ids.astype(str).tolist()), before.ids.astype(str).tolist()
    unknown = [name for name in ids if name not in here and name not in there]
    if unknown:
        raise SpecError(f"`no_new_failures` names items that neither the run nor its baseline has: {_few(unknown)}")
    means = dict(zip(there, item_means(before.of(metric, variant)).tolist(), strict=True))
    return [name for name in ids if name not in means], [name for name in ids if means.get(name, 0.0) >= 0.5]


def _few(ids: Iterable[object]) -> str:
    names = [str(entry) for entry in ids]
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def item_changes(
    metric: str,
    *,
    candidate: Observations,
    baseline: Observations | None,
    pairs: Sequence[tuple[str, str]],
    sentinels: frozenset[str],
) -> tuple[ItemChange, ...]:
    """Return every item of the judged run beside the baseline's."""
    facts = candidate.facts(metric)
    if facts.is_label:
        return ()
    up = 1.0 if facts.higher_is_better is not False else -1.0
    where = {} if baseline is None else {identity: index for index, identity in enumerate(baseline.ids.tolist())}
    rows: list[ItemChange] = []
    for variant, other in pairs:
        now = item_means(candidate.of(metric, variant))
        then = np.full(len(now), nan)
        if baseline is not None and other in baseline.variants and metric in baseline.metrics:
            before = item_means(baseline.of(metric, other))
            places = [where.get(identity, -1) for identity in candidate.ids.tolist()]
            same = [
                p if p >= 0 and baseline.hashes[p] == h else -1 for p, h in zip(places, candidate.hashes, strict=True)
            ]
            then = np.array([before[p] if p >= 0 else nan for p in same])
        failed = candidate.failed[candidate.place(variant)].any(axis=1)
        for index, identity in enumerate(candidate.ids.tolist()):
            a, b = float(now[index]), float(then[index])
            rows.append(
                ItemChange(
                    item=str(identity), variant=variant, metric=metric, now=a, then=b,
                    change="missing" if a != a else "new" if b != b else "same" if abs(a - b) < 1e-12
                    else "improved" if up * (a - b) > 0 else "regressed",
                    is_sentinel=str(identity) in sentinels, error="a trial failed" if failed[index] else "",
                )
            )  # fmt: skip
    return tuple(rows)
