"""A/A and power of a gate, by simulation on the scores that it will be used on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bakeoff.errors import SpecError
from bakeoff.experiments import ExperimentSpec, GatePolicy, GateRule
from bakeoff.regression._baselines import find_baseline
from bakeoff.regression._gate import decide, gate_of, needs_baseline
from bakeoff.regression._observations import Observations, align, observe
from bakeoff.stats import proportion

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from bakeoff.experiments import LocalStore

    Float = NDArray[np.float64]

__all__ = ["Calibration", "Rates", "calibrate", "calibrate_gate", "worsened"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """How often a gate decided what, with 95% Wilson limits of the failures."""

    decisions: int
    failed: float
    failed_low: float
    failed_high: float
    passed: float
    inconclusive: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What a gate does when nothing changed, and when something did."""

    alpha: float
    """Declared for the whole gate."""
    unchanged: Rates
    worse: Rates | None
    """After a true drop of `drop`; `None` where no rule compares."""
    drop: float
    n_items: int
    within: bool
    """Whether the false-alarm rate is at or under `alpha`, within the error of the simulation."""
    sentences: tuple[str, ...]


def calibrate_gate(
    store: LocalStore,
    run_id: str,
    *,
    against: str | None = None,
    rules: Sequence[GateRule] | None = None,
    policy: GatePolicy | None = None,
    spec: Mapping[str, Any] | None = None,
    base_dir: Path | None = None,
    decisions: int = 2000,
    drop: float | None = None,
    rng: np.random.Generator | int = 0,
) -> Calibration:
    """Simulate the gate of a run: its false-alarm rate when nothing changed, its power for a drop.

    Args:
        store: Where the run is.
        run_id: A run like those that the gate will judge.
        against: Baseline, instead of what the policy names.
        rules: Rules instead of those of the run's spec.
        policy: Policy instead of that of the run's spec.
        spec: An experiment file's content to take the gate from.
        base_dir: Folder of the experiment file.
        decisions: Simulated decisions for each question.
        drop: True drop, on the scale of the score; twice the largest margin when omitted.
        rng: Generator or seed.

    Raises:
        SpecError: There is no gate, no baseline, or nothing to resample.
    """
    manifest = store.manifest(run_id)
    own_rules, own_policy = gate_of(manifest)
    if spec is not None:
        other = ExperimentSpec.model_validate(spec)
        own_rules, own_policy = other.gate, other.gate_policy
    rules, policy = list(own_rules if rules is None else rules), policy or own_policy
    if not rules:
        raise SpecError(f"the run {run_id!r} has no gate to calibrate; pass one with --rules experiment.yaml")
    candidate, baseline, called = observe(store, run_id), None, ""
    if needs_baseline(rules):
        folder = base_dir or Path(manifest.base_dir or ".")
        baseline, called = find_baseline(store, candidate.experiment, against or policy.baseline, base_dir=folder)
    return calibrate(candidate, baseline, rules, policy, called=called, decisions=decisions, drop=drop, rng=rng)


def calibrate(
    candidate: Observations,
    baseline: Observations | None,
    rules: Sequence[GateRule],
    policy: GatePolicy,
    *,
    called: str = "",
    decisions: int = 2000,
    drop: float | None = None,
    rng: np.random.Generator | int = 0,
) -> Calibration:
    """Simulate a gate on what was observed.

    Each decision draws items (whole clusters, where there are any) with replacement and swaps the two sides of each at
    random, which makes "nothing changed" true and keeps pairing, spread and clusters as they are. For the power, each
    score of the judged side is then lowered at random so that its mean falls by `drop`. Rules about named items and
    error rates are left out: they are no statements about a sample.

    Raises:
        SpecError: The two runs are one and the same without repeats, so that nothing varies.
    """
    draw = np.random.default_rng(rng)
    kept = [rule for rule in rules if rule.no_new_failures is None and rule.max_error_rate is None]
    if not kept:
        raise SpecError("every rule of this gate is about facts of a run: there is no error rate to calibrate")
    sides = _sides(candidate, baseline)
    relative = [rule for rule in kept if rule.no_worse_than or rule.better_than]
    within_run = any((rule.no_worse_than or rule.better_than or "").startswith("variant:") for rule in relative)
    size = drop if drop is not None else 2 * max((rule.margin or 0.0 for rule in relative), default=0.0)
    metrics = {rule.metric or candidate.primary for rule in relative}
    fixed = {(rule.no_worse_than or rule.better_than or "").removeprefix("variant:") for rule in relative if within_run}
    tallies = {"unchanged": np.zeros(3), "worse": np.zeros(3)}
    for _ in range(decisions):
        a, b = _resampled(sides, draw, permute=within_run)
        tallies["unchanged"] += _decision(a, b, kept, policy, called)
        if size > 0:
            tallies["worse"] += _decision(
                worsened(a, metrics, size, draw, spare=fixed, population=sides[0]), b, kept, policy, called
            )
    unchanged = _rates(tallies["unchanged"])
    worse = _rates(tallies["worse"]) if size > 0 else None
    left_out = len(rules) - len(kept)
    return Calibration(
        alpha=policy.alpha,
        unchanged=unchanged,
        worse=worse,
        drop=size if size > 0 else nan,
        n_items=len(sides[0].ids),
        within=unchanged.failed_low <= policy.alpha,
        sentences=_sentences(unchanged, worse, policy.alpha, size, len(sides[0].ids), left_out),
    )


def _sides(candidate: Observations, baseline: Observations | None) -> tuple[Observations, Observations | None]:
    if baseline is None:
        return candidate, None
    if candidate.run_id == baseline.run_id or _copies(candidate, baseline):
        if candidate.repeats < 2:
            raise SpecError(
                "the run is its own baseline, or a copy of it (from the cache?), and has one repeat: nothing varies\n"
                "    fix: calibrate with another run of the same experiment, or with repeats"
            )
        return _halves(candidate)
    aligned = align(candidate, baseline)
    repeats = max(candidate.repeats, baseline.repeats)
    return _padded(aligned.candidate, repeats), _padded(aligned.baseline, repeats)


def _copies(candidate: Observations, baseline: Observations) -> bool:
    """Say whether every score of the primary metric is the same: answers from the cache."""
    cubes = [run.values.get(candidate.primary) for run in (candidate, baseline)]
    return cubes[0] is not None and cubes[1] is not None and np.array_equal(cubes[0], cubes[1], equal_nan=True)


def _halves(observed: Observations) -> tuple[Observations, Observations]:
    half = observed.repeats // 2
    parts = [
        replace(
            observed,
            repeats=half,
            values={name: v[:, :, part] for name, v in observed.values.items()},
            ran=observed.ran[:, :, part],
            failed=observed.failed[:, :, part],
        )
        for part in (slice(0, half), slice(half, 2 * half))
    ]
    return parts[0], replace(parts[1], run_id=f"{observed.run_id} (other repeats)")


def _padded(observed: Observations, repeats: int) -> Observations:
    more = repeats - observed.repeats
    if not more:
        return observed
    ends = ((0, 0), (0, 0), (0, more))
    return replace(
        observed,
        repeats=repeats,
        values={name: np.pad(v, ends, constant_values=nan) for name, v in observed.values.items()},
        ran=np.pad(observed.ran, ends),
        failed=np.pad(observed.failed, ends),
    )


def _resampled(
    sides: tuple[Observations, Observations | None], draw: np.random.Generator, *, permute: bool
) -> tuple[Observations, Observations | None]:
    first, second = sides
    n = len(first.ids)
    if first.clusters is None:
        items, clusters = draw.integers(0, n, n), None
    else:
        labels = np.unique(first.clusters)
        groups = [np.flatnonzero(first.clusters == label) for label in labels]
        chosen = [groups[index] for index in draw.integers(0, len(groups), len(groups))]
        items = np.concatenate(chosen)
        clusters = np.repeat(np.arange(len(chosen)), [len(group) for group in chosen])
    unit = clusters if clusters is not None else np.arange(len(items))
    fresh = {
        "ids": np.arange(len(items)).astype(str).astype(object),
        "hashes": np.zeros(len(items), dtype=object),
        "clusters": clusters,
    }
    a = replace(first.on(items), **fresh, dataset_version="")
    if permute:
        order = draw.permuted(np.tile(np.arange(len(a.variants)), (int(unit.max()) + 1, 1)), axis=1)[unit].T
        a = replace(a, values={name: v[order, np.arange(len(items))] for name, v in a.values.items()})
    if second is None:
        return a, None
    b = replace(second.on(items), **fresh, dataset_version="")
    swap = draw.random(int(unit.max()) + 1)[unit] < 0.5
    one, two = dict(a.values), dict(b.values)
    for name in set(one) & set(two):
        one[name], two[name] = one[name].copy(), two[name].copy()
        for variant, other in _pairs(a, b):
            left, right = one[name][variant, swap].copy(), two[name][other, swap].copy()
            one[name][variant, swap], two[name][other, swap] = right, left
    return replace(a, values=one), replace(b, values=two)


def _pairs(a: Observations, b: Observations) -> list[tuple[int, int]]:
    shared = [(a.place(name), b.place(name)) for name in a.variants if name in b.variants]
    return shared or [(a.place(a.baseline), b.place(b.baseline))]


def worsened(
    observed: Observations,
    metrics: set[str],
    drop: float,
    rng: np.random.Generator,
    *,
    spare: set[str] | None = None,
    population: Observations | None = None,
) -> Observations:
    """Return a run whose true mean is worse by `drop` on some metrics.

    Pass/fail: a pass becomes a fail (where less is better, the other way round) with the probability that gives the
    drop; a number in [0, 1] shrinks towards the worse end; any other number moves by `drop`.

    Args:
        observed: The run.
        metrics: Which metrics.
        drop: How much worse, on the scale of the score.
        rng: Generator.
        spare: Variants that stay as they are.
        population: Where the run was drawn from: its means say how many answers must change. Taking them from the draw
            itself would make the answers of one draw depend on each other.
    """
    values = dict(observed.values)
    rows = [index for index, name in enumerate(observed.variants) if name not in (spare or set())]
    for name in metrics:
        facts = observed.facts(name)
        scores = values[name].copy()
        up = facts.higher_is_better is not False
        whole = (population or observed).values[name]
        for row in rows:
            present = whole[row][~np.isnan(whole[row])]
            if facts.kind == "binary":
                from_value = 1.0 if up else 0.0
                share = float((present == from_value).mean()) or 1.0
                flip = (scores[row] == from_value) & (rng.random(scores[row].shape) < min(1.0, drop / share))
                scores[row][flip] = 1.0 - from_value
            elif facts.kind == "bounded":  # towards the worse end, so that it stays within the bounds
                room = float((present if up else 1 - present).mean()) or 1.0
                kept = max(0.0, 1 - drop / room)
                scores[row] = scores[row] * kept if up else 1 - (1 - scores[row]) * kept
            else:
                scores[row] += -drop if up else drop
        values[name] = scores
    return replace(observed, values=values)


def _decision(
    a: Observations, b: Observations | None, rules: Sequence[GateRule], policy: GatePolicy, called: str
) -> Float:
    """Return a one in the place of the outcome: fail, pass, anything else."""
    outcome = decide(a, b, rules, policy, called=called, quick=True).outcome
    return np.array([outcome == "fail", outcome == "pass", outcome not in ("fail", "pass")], dtype=np.float64)


def _rates(tally: Float) -> Rates:
    n = int(tally.sum())
    limits = proportion(int(tally[0]), n)
    return Rates(
        decisions=n, failed=float(tally[0] / n), failed_low=limits.low, failed_high=limits.high,
        passed=float(tally[1] / n), inconclusive=float(tally[2] / n),
    )  # fmt: skip


def _sentences(
    unchanged: Rates, worse: Rates | None, alpha: float, drop: float, n_items: int, left_out: int
) -> tuple[str, ...]:
    first = (
        f"Nothing changed: {unchanged.failed:.1%} of {unchanged.decisions:,} simulated decisions on {n_items:,} items "
        f"failed (95% interval {unchanged.failed_low:.1%} to {unchanged.failed_high:.1%}; declared: {alpha:.3g}"
        f"); {unchanged.passed:.1%} passed, {unchanged.inconclusive:.1%} were inconclusive."
    )
    found = [first]
    if worse is not None:
        found.append(
            f"True drop of {drop:g}: {worse.failed:.1%} failed "
            f"(95% interval {worse.failed_low:.1%} to {worse.failed_high:.1%}), {worse.passed:.1%} passed, "
            f"{worse.inconclusive:.1%} were inconclusive."
        )
    if unchanged.failed_low > alpha:
        found.append("The false-alarm rate is above what was declared: do not trust this gate on these scores.")
    if unchanged.passed < 0.5:
        found.append("Less than half of the unchanged runs pass: use more items, repeats, or a wider margin.")
    if left_out:
        rules = "rule" if left_out == 1 else "rules"
        found.append(f"Not part of this: {left_out} {rules} about named items or error rates.")
    return tuple(found)
