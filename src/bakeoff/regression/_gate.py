"""The gate: rules over a run, decided together, with known error rates."""

from __future__ import annotations

from dataclasses import replace
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bakeoff.errors import SpecError
from bakeoff.experiments import ExperimentSpec, GatePolicy, GateRule
from bakeoff.regression._baselines import find_baseline
from bakeoff.regression._facts import item_changes
from bakeoff.regression._observations import RESOURCES, Observations, observe
from bakeoff.regression._result import GateOutcome, GateResult, RuleResult
from bakeoff.regression._rules import Measured, Setting
from bakeoff.regression._scope import Scope
from bakeoff.stats import adjust

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bakeoff.experiments import Experiment, LocalStore, Manifest

__all__ = ["check_gate", "decide", "decide_gate", "gate_of", "needs_baseline"]

_FROM_BASELINE = ("no_new_failures",)


def needs_baseline(rules: Sequence[GateRule]) -> bool:
    """Say whether a rule compares with the stored baseline."""
    return any(
        "baseline" in (rule.no_worse_than, rule.better_than) or rule.no_new_failures is not None for rule in rules
    )


def gate_of(manifest: Manifest) -> tuple[list[GateRule], GatePolicy]:
    """Return the rules and the policy that a run's spec declares."""
    rules = [GateRule.model_validate(rule) for rule in manifest.spec.get("gate", [])]
    return rules, GatePolicy.model_validate(manifest.spec.get("gate_policy", {}))


def check_gate(experiment: Experiment) -> None:
    """Check that the rules of an experiment name metrics and variants that it has, before anything is paid for.

    Raises:
        SpecError: With the first rule that does not.
    """
    method = experiment.spec.allocation.method
    if experiment.spec.gate and method != "fixed":
        raise SpecError(f"{experiment.source or 'the experiment'}: {_adaptive(method)}")
    metrics = [info.name for evaluator in experiment.evaluators for info in evaluator.metrics]
    for index, rule in enumerate(experiment.spec.gate):
        where = f"{experiment.source}: gate.{index}" if experiment.source else f"gate.{index}"
        name = rule.metric
        known = name is None or name in RESOURCES or name in metrics or any(name.startswith(f"{m}.") for m in metrics)
        if not known:
            known_names = ", ".join([*metrics, *RESOURCES])
            raise SpecError(f"{where}: there is no metric {name!r}\n    fix: the metrics are {known_names}")
        compared = [reference.removeprefix("variant:") for reference in (rule.no_worse_than, rule.better_than)
                    if reference is not None and reference.startswith("variant:")]  # fmt: skip
        for variant in [*compared, *([rule.variant] if rule.variant else []), *experiment.spec.gate_policy.variants]:
            if variant not in experiment.variants:
                known_names = ", ".join(experiment.variants)
                raise SpecError(f"{where}: there is no variant {variant!r}\n    fix: the variants are {known_names}")


def _adaptive(method: str) -> str:
    return (
        f"a gate needs `allocation: fixed`, but this one is {method!r}: it decides from the scores which trials run, "
        "so ordinary bounds on those scores promise too much\n    fix: gate a run with the fixed allocation"
    )


def decide_gate(
    store: LocalStore,
    run_id: str,
    *,
    against: str | None = None,
    rules: Sequence[GateRule] | None = None,
    policy: GatePolicy | None = None,
    base_dir: Path | None = None,
    spec: Mapping[str, Any] | None = None,
) -> GateResult:
    """Decide the gate of a run, without running anything.

    Args:
        store: Where the run is.
        run_id: The run.
        against: A baseline's name, a baseline file, or a run, instead of what the policy names.
        rules: Rules instead of those of the run's spec.
        policy: Policy instead of that of the run's spec.
        base_dir: Where a relative baseline file starts from; the run's folder when omitted.
        spec: An experiment file's content to take rules and policy from.

    Returns:
        The decision, with an exit code.

    Raises:
        SpecError: There is no rule, no baseline, or a rule names a metric or variant that the run does not have.
        StoreError: The run or its baseline cannot be read.

    Examples:
        >>> import tempfile, bakeoff
        >>> from bakeoff.regression import set_baseline
        >>> spec = {
        ...     "name": "greeting",
        ...     "dataset": {"rows": [{"q": f"{n}", "expected": "yes", "old": "yes"} for n in range(60)]},
        ...     "targets": {"bot": {"recorded": "old"}},
        ...     "evaluators": ["exact_match"],
        ...     "gate": [{"no_worse_than": "baseline", "margin": 0.05}, {"at_least": 0.9}],
        ...     "mlflow": False,
        ... }
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     run = bakeoff.run(spec, store=folder)
        ...     baseline = set_baseline(run.store, run.run_id)
        ...     result = decide_gate(run.store, run.run_id)
        ...     result.outcome, result.exit_code, result.headline
        ('pass', 0, 'PASS: all 2 rules hold.')
    """
    manifest = store.manifest(run_id)
    own_rules, own_policy = gate_of(manifest)
    if spec is not None:
        other = ExperimentSpec.model_validate(spec)
        own_rules, own_policy = other.gate, other.gate_policy
    rules, policy = list(own_rules if rules is None else rules), policy or own_policy
    if not rules:
        raise SpecError(
            f"the run {run_id!r} has no gate\n    fix: add `gate:` to the experiment file, for instance\n"
            "        gate:\n          - {no_worse_than: baseline, margin: 0.02}\n"
            "    and pass it with --rules experiment.yaml"
        )
    method = ExperimentSpec.model_validate(manifest.spec).allocation.method
    if method != "fixed":
        raise SpecError(f"the run {run_id!r} cannot be gated: {_adaptive(method)}")
    candidate = observe(store, run_id)
    folder = base_dir or Path(manifest.base_dir or ".")
    baseline, called = None, ""
    if needs_baseline(rules) or against is not None:
        baseline, called = find_baseline(store, candidate.experiment, against or policy.baseline, base_dir=folder)
    marked = {
        rule.no_new_failures: _marked(store, run_id, rule.no_new_failures)
        for rule in rules
        if isinstance(rule.no_new_failures, str)
    }
    result = decide(candidate, baseline, rules, policy, called=called, marked=marked)
    return replace(result, is_simulated=manifest.is_simulated)


def _marked(store: LocalStore, run_id: str, field: str) -> list[str]:
    """Return the ids of items whose metadata field is true."""
    import json

    table = store.items(run_id, columns=["id", "metadata"])
    found = [
        identity
        for identity, metadata in zip(table.column("id").to_pylist(), table.column("metadata").to_pylist(), strict=True)
        if metadata is not None and json.loads(metadata).get(field) in (True, 1, "true", "yes", "1")
    ]
    if not found:
        raise SpecError(f"no item of the run has the metadata field {field!r} set to true: it has no sentinels")
    return found


def decide(
    candidate: Observations,
    baseline: Observations | None,
    rules: Sequence[GateRule],
    policy: GatePolicy,
    *,
    called: str = "",
    marked: Mapping[str, Sequence[str]] | None = None,
    quick: bool = False,
) -> GateResult:
    """Decide rules on what was observed.

    Args:
        candidate: The run that is judged.
        baseline: What it is compared with, where a rule needs it.
        rules: The rules.
        policy: How they are decided together.
        called: Name of the baseline.
        marked: Sentinel items by metadata field.
        quick: Leave out what a simulation does not need: items, needs, p-values above alpha.

    Raises:
        SpecError: A rule does not fit the run.
    """
    looks = policy.escalate.looks if policy.escalate is not None else 1
    alpha = policy.alpha / looks
    setting = Setting(
        alpha=alpha, power=policy.power, max_missing=policy.max_missing, exact_p=not quick, with_need=not quick
    )
    scope = Scope.of(candidate, baseline, policy, called, marked or {})
    if policy.on_version_change == "refuse":
        scope.refuse_other_versions()
    measured: list[Measured | RuleResult] = []
    for rule in rules:
        measured += scope.measure(rule, setting)
    results = _corrected(measured, alpha)
    outcome, headline = _together(candidate, results)
    statistical = sum(result.is_statistical for result in results)
    items = () if quick else _items(scope, rules)
    return GateResult(
        run_id=candidate.run_id,
        experiment=candidate.experiment,
        outcome=outcome,
        headline=headline,
        rules=tuple(results),
        baseline=called,
        baseline_run=baseline.run_id if baseline is not None else "",
        alpha=policy.alpha,
        alpha_look=alpha,
        looks=looks,
        n_items=len(scope.alignment.candidate.ids) if scope.alignment else len(candidate.ids),
        statement=_statement(policy, statistical, looks, len(results) - statistical),
        notes=scope.notes(),
        changed=scope.alignment.changed if scope.alignment else (),
        items=items,
    )


def _corrected(measured: Sequence[Measured | RuleResult], alpha: float) -> list[RuleResult]:
    """Fail what fails after Holm's correction over all statistical rules; the rest passes or is undecided."""
    p_values = [entry.draft.p_value for entry in measured if isinstance(entry, Measured)]
    family = sum(not isnan(p) for p in p_values)
    adjusted = iter(adjust(np.array(p_values, dtype=np.float64), method="holm").tolist())
    results: list[RuleResult] = []
    for entry in measured:
        if isinstance(entry, RuleResult):
            results.append(entry)
            continue
        p = next(adjusted)
        outcome: GateOutcome = "pass" if entry.passes else "fail" if p <= alpha else "inconclusive"
        ending = entry.said[outcome]
        if outcome == "inconclusive" and entry.draft.p_value <= alpha < p:
            ending += f" (p = {entry.draft.p_value:.2g} alone, {p:.2g} among {family} rules)"
        need = entry.may_need if outcome == "inconclusive" else None
        because = f"{entry.draft.because}: {ending}."
        results.append(
            replace(entry.draft, outcome=outcome, p_adjusted=p, need=need,
                    because=because + (f" {need.sentence}" if need else ""))
        )  # fmt: skip
    return results


def _together(candidate: Observations, results: Sequence[RuleResult]) -> tuple[GateOutcome, str]:
    """Combine the rules: any failure fails; what keeps the run from saying anything comes before the undecided."""
    groups = {
        outcome: [result for result in results if result.outcome == outcome]
        for outcome in ("fail", "infrastructure", "inconclusive", "pass")
    }
    unfinished = candidate.status != "complete"
    if groups["fail"] and not unfinished:
        return "fail", f"FAIL: {_count(groups['fail'], results)} failed: {_named(groups['fail'])}."
    if unfinished:
        why = f" ({candidate.stopped_because})" if candidate.stopped_because else ""
        return "infrastructure", (
            f"INFRASTRUCTURE: the run is {candidate.status}{why}, so nothing is decided. "
            f"Go on with `bakeoff resume {candidate.run_id}`."
        )
    if groups["infrastructure"]:
        return "infrastructure", f"INFRASTRUCTURE: {groups['infrastructure'][0].because}"
    if groups["inconclusive"]:
        open_ = groups["inconclusive"]
        verb = "are" if len(open_) > 1 else "is"
        return "inconclusive", f"INCONCLUSIVE: {_count(open_, results)} {verb} undecided: {_named(open_)}."
    return "pass", f"PASS: {'the rule holds' if len(results) == 1 else f'all {len(results)} rules hold'}."


def _count(some: Sequence[RuleResult], results: Sequence[RuleResult]) -> str:
    return "the rule" if len(results) == 1 else f"{len(some)} of {len(results)} rules"


def _named(results: Sequence[RuleResult]) -> str:
    several = len({result.variant for result in results}) > 1
    names = [f"{result.rule}{f' ({result.variant})' if several else ''}" for result in results]
    return "; ".join(names[:3]) + (f"; and {len(names) - 3} more" if len(names) > 3 else "")


def _statement(policy: GatePolicy, statistical: int, looks: int, factual: int) -> str:
    if not statistical:
        return "The rules are about facts of this run, not about a sample: no error rate applies."
    rate = f"{100 * policy.alpha:g}%"
    rules = "its rule" if statistical == 1 else f"its {statistical} statistical rules together (Holm's correction)"
    any_rule = "If the rule is" if statistical == 1 else "If any of them is"
    why = "" if statistical == 1 else ": passing needs every rule (intersection-union)"
    text = (
        f"If nothing changed, this gate fails in at most {rate} of cases, for {rules}. "
        f"{any_rule} truly violated by its margin, it passes in at most {rate} of cases{why}."
    )
    if looks > 1:
        text += f" Both rates are shared out over {looks} looks ({100 * policy.alpha / looks:.3g}% each)."
    if factual:
        plural = "s" if factual > 1 else ""
        text += f" {factual} rule{plural} about facts (sentinel items, errors) come on top: they say what happened."
    return text


def _items(scope: Scope, rules: Sequence[GateRule]) -> tuple[Any, ...]:
    primary = scope.candidate.primary
    metric = next((rule.metric or primary for rule in rules if rule.max_error_rate is None), primary)
    if metric in RESOURCES or metric not in scope.candidate.metrics:
        metric = primary
    if metric not in scope.candidate.metrics:
        return ()
    named: set[str] = set()
    for rule in rules:
        if rule.no_new_failures is not None:
            chosen = rule.no_new_failures
            named.update(scope.marked[chosen] if isinstance(chosen, str) else chosen)
    pairs = scope.pairs or tuple((name, name) for name in scope.alone)
    return item_changes(
        metric, candidate=scope.candidate, baseline=scope.alignment.baseline if scope.alignment else None, pairs=pairs,
        sentinels=frozenset(named),
    )  # fmt: skip
