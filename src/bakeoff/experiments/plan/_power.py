"""What a planned run can show: the power of the very tests, looks and corrections that it will use."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import nan
from typing import TYPE_CHECKING, Literal

import numpy as np

from bakeoff.errors import BakeoffError, SpecError, StatsError
from bakeoff.experiments.analysis._cube import ScoreCube, item_info, score_cubes
from bakeoff.experiments.analysis._sequential import primary_info
from bakeoff.stats import ComparisonDesign, design_from_pilot, plan_comparison, plan_levers, planned_power

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.datasets import Item
    from bakeoff.evaluators import MetricInfo
    from bakeoff.experiments.spec._load import Experiment
    from bakeoff.experiments.store._manifest import Manifest
    from bakeoff.experiments.store._store import LocalStore
    from bakeoff.stats import Kind, PilotDesign, PlanCorrection

__all__ = ["PowerForecast", "forecast_power"]

_GUESSED_ICC = 0.1
_FEWEST = 20
"""Items below which an earlier run is no pilot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerForecast:
    """What a run of this size shows."""

    detectable: float
    """Smallest difference of the primary metric that is shown with the wanted power; `nan` when none is."""
    sentence: str
    more: tuple[str, ...] = ()
    """On guardrails, gate rules and equivalence, one sentence each."""
    pilot: str = ""
    """Id of the earlier run from which the spread is known."""


def forecast_power(
    experiment: Experiment, sample: Sequence[Item], *, store: LocalStore | None, pilot: str | None
) -> PowerForecast:
    """Forecast what a run can show.

    Args:
        experiment: What is planned.
        sample: Some of its items, for the size of clusters.
        store: Where earlier runs are.
        pilot: Run to learn the spread from; the newest fitting one of the same experiment when omitted.

    Raises:
        SpecError: The pilot does not have the primary metric, or fewer than two sets of scores on common items.
    """
    info = primary_info(experiment)
    if info.score_kind == "label":
        return PowerForecast(
            detectable=nan, sentence=f"{info.name} is a label: counts are shown, no difference is tested."
        )
    design, source = _design(experiment, info, sample, store, pilot)
    more = _gate_sentences(experiment, info, design, _worth(sample, len(experiment.dataset))[0])
    if len(experiment.variants) < 2:
        sentence = "One variant: its interval is shown; there is nothing to compare it with."
        return PowerForecast(detectable=nan, sentence=sentence, more=more, pilot=source)
    allocation = experiment.spec.allocation
    n_items = len(experiment.dataset)
    if allocation.method != "fixed":
        n_items = max(1, n_items - round(n_items * allocation.confirm))
    if allocation.method == "bandit":
        sentence = "A bandit moves trials to what looks best: no power is promised for any comparison."
        return PowerForecast(detectable=nan, sentence=sentence, more=more, pilot=source)
    n_items, weighed = _worth(sample, n_items)
    plan = plan_comparison(n_items, design=design)
    words = [*weighed, plan.sentence]
    if plan.assumptions:
        known = f" from the run {source}" if source else ""
        words.append(f"Assumed{known}: {'; '.join(plan.assumptions)}.")
    if allocation.method in ("sequential", "racing"):
        words.append("Larger differences are shown with fewer items, and the run then stops.")
    more = (*_margin_sentences(experiment, design, n_items), *more, *(() if weighed else _levers(design, n_items)))
    return PowerForecast(detectable=plan.difference, sentence=" ".join(words), more=more, pilot=source)


def _design(
    experiment: Experiment, info: MetricInfo, sample: Sequence[Item], store: LocalStore | None, pilot: str | None
) -> tuple[ComparisonDesign, str]:
    spec, analysis = experiment.spec, experiment.spec.analysis
    kind: Kind = info.score_kind if info.score_kind in ("binary", "bounded") else "continuous"
    infos = [entry for evaluator in experiment.evaluators for entry in evaluator.metrics]
    numeric = [entry.name for entry in infos if entry.score_kind != "label"]
    together = analysis.family == "all" and analysis.correction != "none"
    correction: PlanCorrection = "bonferroni" if analysis.correction == "bonferroni" else "holm"
    method = spec.allocation.method
    looks: int | Literal["always"] = "always" if method in ("sequential", "racing") else 1
    size = _cluster_size(sample)
    design = ComparisonDesign(
        kind=kind,
        repeats=spec.repeats,
        n_variants=max(2, len(experiment.variants)),
        comparisons="all" if method == "racing" else analysis.compare,
        n_metrics=len(numeric) if together else 1,
        primary_share=analysis.primary_share if analysis.correction != "hochberg" else None,
        correction="none" if analysis.correction == "none" else correction,
        alpha=analysis.alpha,
        power=analysis.power,
        alternative=analysis.alternative,
        looks=looks,
        cluster_size=size,
        icc=_GUESSED_ICC if size > 1 else 0.0,
    )
    return _from_earlier(experiment, info, design, store, pilot)


def _worth(sample: Sequence[Item], n_items: int) -> tuple[int, list[str]]:
    """Return how many items of equal weight the items are worth (Kish 1965), and say so where weights differ."""
    weights = np.array([1.0 if item.weight is None else item.weight for item in sample])
    if not weights.size or not np.ptp(weights) > 0:
        return n_items, []
    worth = max(1, round(n_items * float(weights.sum() ** 2 / (weights @ weights)) / weights.size))
    said = f"Items carry weights: {n_items:,} are worth about {worth:,} equal ones, and what follows is for those."
    return worth, [said]


def _cluster_size(sample: Sequence[Item]) -> float:
    named = [item.cluster for item in sample if item.cluster is not None]
    return len(named) / len(set(named)) if named else 1.0


def _from_earlier(
    experiment: Experiment, info: MetricInfo, design: ComparisonDesign, store: LocalStore | None, pilot: str | None
) -> tuple[ComparisonDesign, str]:
    """Take spread, pass rate and clusters from an earlier run, if there is one."""
    if store is None:
        return design, ""
    if pilot is not None:
        return _measured(store, store.manifest(store.resolve(pilot)), info, design), store.resolve(pilot)
    for manifest in store.runs()[:20]:
        fits = manifest.name == experiment.spec.name and manifest.status == "complete"
        if fits and manifest.spec.get("allocation", {}).get("method", "fixed") == "fixed":
            try:
                return _measured(store, manifest, info, design), manifest.run_id
            except BakeoffError:
                continue  # another metric, too few items, a data set that is gone
    return design, ""


def _measured(store: LocalStore, manifest: Manifest, info: MetricInfo, design: ComparisonDesign) -> ComparisonDesign:
    cube = score_cubes(store, manifest, metrics=[info.name]).get(info.name)
    if cube is None or cube.is_label:
        raise SpecError(f"the run {manifest.run_id!r} has no scores of the metric {info.name!r} to learn a spread from")
    clusters = item_info(store, manifest).clusters
    if clusters is not None and len(np.unique(clusters)) < 2:
        clusters = None
    binary = cube.is_binary
    if (design.kind == "binary") != binary:
        design = replace(design, kind="binary" if binary else "bounded" if _is_unit(cube) else "continuous")
    sides = _sides(cube, manifest)
    found = [
        _level(design_from_pilot(one, two, design=design, clusters=clusters, reruns=reruns), one, two)
        for one, two, reruns in sides
        if (~np.isnan(_flat(one)) & ~np.isnan(_flat(two))).sum() >= _FEWEST
    ]
    if not found:
        raise SpecError(
            f"the run {manifest.run_id!r} is no pilot for {info.name!r}: it needs two variants, or two repeats of one, "
            f"with at least {_FEWEST} items scored in common"
        )
    return max(found, key=_spread)  # of several pairs the noisiest: rather too cautious


def _spread(design: ComparisonDesign) -> float:
    return design.expected_discordance if design.kind == "binary" else design.sd or 0.0


def _level(pilot: PilotDesign, one: np.ndarray, two: np.ndarray) -> ComparisonDesign:
    """Return the design as it would be had the two not differed on average.

    Variants with pass rates `d` apart disagree on at least `d` of the items; what is noise among the disagreement `s`
    solves `s = s0 + d (1 - s0 / p)`, `p` the share of items that could have changed (`discordance_at`).
    """
    design = pilot.design
    if design.kind != "binary" or design.discordance is None or design.discordance_of == "reruns":
        return design
    both = ~np.isnan(_means(one)) & ~np.isnan(_means(two))
    gap = float((_means(one)[both] - _means(two)[both]).mean())
    room, size = design.room(1 if gap > 0 else -1), abs(gap)
    if not size < room:
        return design
    noise = max(design.discordance - size, 1 / (pilot.n_items + 2)) / (1 - size / room)
    return replace(design, discordance=min(noise, design.discordance), discordance_of="reruns")


def _means(scores: np.ndarray) -> np.ndarray:
    rows = scores[:, None] if scores.ndim == 1 else scores
    counted = (~np.isnan(rows)).sum(axis=1)
    return np.divide(np.nansum(rows, axis=1), counted, out=np.full(len(rows), nan), where=counted > 0)


def _sides(cube: ScoreCube, manifest: Manifest) -> list[tuple[np.ndarray, np.ndarray, bool]]:
    """Return (candidate, baseline, are they reruns of one variant) of every comparison the run allows."""
    others = [name for name in cube.variants if name != manifest.baseline]
    base = cube.of(manifest.baseline)
    if others:
        return [(cube.of(name), base, False) for name in others]
    return [(base[:, 0], base[:, 1], True)] if base.ndim == 2 and base.shape[1] > 1 else []


def _flat(scores: np.ndarray) -> np.ndarray:
    return scores if scores.ndim == 1 else scores[:, 0]


def _is_unit(cube: ScoreCube) -> bool:
    present = cube.values[~np.isnan(cube.values)]
    return bool(present.size) and float(present.min()) >= 0 and float(present.max()) <= 1


def _amount(value: float, kind: Kind) -> str:
    return f"{100 * value:.3g} points" if kind == "binary" else f"{value:.3g}"


def _levers(design: ComparisonDesign, n_items: int) -> tuple[str, ...]:
    """Say what smaller differences would cost, the cheapest change first."""
    today, *changes = plan_levers(n_items, design=design)
    better = [lever for lever in changes if lever.difference < today.difference * 0.97]
    if not better:
        return ()
    parts = [
        f"{_amount(lever.difference, design.kind)} with {lever.change} ({lever.n_calls:,} trials)"
        for lever in better[:3]
    ]
    return (f"Smaller differences would show: {'; '.join(parts)}.",)


def _margin_sentences(experiment: Experiment, design: ComparisonDesign, n_items: int) -> tuple[str, ...]:
    margin = experiment.spec.analysis.margin
    if margin is None:
        return ()
    if design.kind == "continuous" and design.sd is None:
        amount = _amount(margin, design.kind)
        return (
            f"Whether a variant can be called equivalent within {amount} depends on a spread that is not known yet.",
        )
    same = replace(design, goal="equivalence", correction="none", looks=1)
    power = planned_power(n_items, margin, design=same)
    if power != power:
        return ()
    return (
        f"If nothing differs, a variant is called equivalent within {_amount(margin, design.kind)} in {power:.0%}.",
    )


def _gate_sentences(
    experiment: Experiment, info: MetricInfo, design: ComparisonDesign, n_items: int
) -> tuple[str, ...]:
    """Say for each rule against the baseline how often it passes unchanged, and catches twice its margin."""
    rules = experiment.spec.gate
    said: list[str] = []
    for rule in rules:
        if rule.no_worse_than is None or rule.margin is None or rule.metric not in (None, info.name):
            continue
        alone = replace(
            design, n_variants=2, comparisons="baseline", n_metrics=len(rules), primary_share=None, looks=1,
            correction="holm" if len(rules) > 1 else "none", alpha=experiment.spec.gate_policy.alpha,
            alternative="less",
        )  # fmt: skip
        try:
            caught = planned_power(n_items, -2 * rule.margin, design=alone)
            passes = planned_power(n_items, rule.margin, design=replace(alone, goal="noninferiority"))
        except StatsError:
            continue  # a margin that the score does not allow is said by the gate itself
        if caught == caught and passes == passes:
            said.append(
                f"Gate on {info.name}: a true loss of {_amount(2 * rule.margin, design.kind)} (twice the margin) fails "
                f"in {caught:.0%}; unchanged it passes in {passes:.0%} and is inconclusive otherwise."
            )
    return tuple(said)
