"""From scores to an answer: leaderboard, comparisons, verdicts and health warnings.

Every face - command line, dashboard, notebook, report, gate, MLflow - renders what comes out and computes nothing.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from math import isnan, nan
from typing import TYPE_CHECKING, Literal

import numpy as np

from bakeoff.errors import SpecError, StatsError
from bakeoff.experiments.analysis._answer import Analysis, Comparison, MetricAnalysis, Resources, VariantScore
from bakeoff.experiments.analysis._cube import ItemInfo, ScoreCube, item_info, score_cubes
from bakeoff.experiments.analysis._escalated import read_escalated
from bakeoff.experiments.analysis._family import correct_together, metric_shares
from bakeoff.experiments.analysis._guard import guarded
from bakeoff.experiments.analysis._headline import headline, methods
from bakeoff.experiments.analysis._health import duplicate_warnings, health_warnings, version_warnings
from bakeoff.experiments.analysis._question import Question
from bakeoff.experiments.analysis._resources import read_resources
from bakeoff.experiments.analysis._saved import allocation_words
from bakeoff.experiments.analysis._segments import segment_of
from bakeoff.experiments.analysis._watched import Watch, watch_of, watched_differences, watched_estimate
from bakeoff.experiments.analysis._wording import comparison_words, verdict_label
from bakeoff.stats import Difference, Estimate, adjust, compare, decide, summarize, tied_set

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from bakeoff.experiments.store._manifest import Manifest
    from bakeoff.experiments.store._store import LocalStore
    from bakeoff.stats import Kind

__all__ = ["analyse", "analyse_cubes"]


def analyse(
    store: LocalStore,
    run_id: str,
    *,
    baseline: str | None = None,
    metrics: Sequence[str] | None = None,
    pairs: Literal["baseline", "all"] | None = None,
    alpha: float | None = None,
    margin: float | None = None,
    primary: str | None = None,
    segments: Sequence[str] | None = None,
) -> Analysis:
    """Analyse a run, sealed or in progress, by its declared plan.

    Args:
        store: Where the run is.
        run_id: The run.
        baseline: Variant to compare with, instead of the declared one.
        metrics: Only these metrics; the others still count in the family that is corrected together.
        pairs: Compare with the `baseline` or `all` pairs, instead of what was declared.
        alpha: Level, instead of the declared one.
        margin: Largest difference of the primary metric that does not matter, instead of the declared one.
        primary: Metric that decides, instead of the declared one.
        segments: Metadata fields to break the metric that decides down by, instead of the declared ones.

    Raises:
        SpecError: A variant, metric or metadata field that the run does not have.
    """
    manifest = store.manifest(run_id)
    plan = Question.of(manifest, baseline=baseline, pairs=pairs, alpha=alpha, margin=margin)
    cubes = score_cubes(store, manifest)
    manifest = _with_primary(manifest, list(cubes), primary)
    if primary is not None:
        plan = replace(plan, margin=margin)  # a declared margin is meant for the declared metric
    plan = replace(plan, unmeasured=tuple(name for name in plan.guardrails if name not in cubes))
    if segments is not None:
        plan = replace(plan, segments=tuple(segments))
    items = item_info(store, manifest)
    watch = watch_of(manifest, items)
    shares = metric_shares([name for name, cube in cubes.items() if not cube.is_label], manifest.primary, plan)
    analysed = tuple(
        _metric(cube, manifest, plan, items, watch, share=shares.get(name, 1.0)) for name, cube in cubes.items()
    )
    if plan.family == "all" and watch is None:
        analysed = tuple(correct_together(analysed, plan))
    if metrics is not None:
        analysed = tuple(metric for metric in analysed if metric.metric in metrics)
        cubes = {name: cube for name, cube in cubes.items() if name in metrics}
    resources = read_resources(store, manifest)
    warnings = (
        *health_warnings(manifest, cubes, resources, read_escalated(store, manifest.run_id)),
        *version_warnings(store, manifest),
        *duplicate_warnings(store, manifest, items),
    )
    confirmed = _confirmation(cubes.get(manifest.primary), analysed, manifest, plan, items, watch)
    answer = _assemble(manifest, plan, analysed, resources, warnings, confirmed, watch)
    decides = cubes.get(manifest.primary)
    if decides is None or decides.is_label or watch is not None:
        return answer
    parts = segment_of(
        store, manifest, decides, items, plan, lambda cube, few: _metric(cube, manifest, plan, few, None, tied=False)
    )
    return replace(answer, segments=parts)


def _failure(resources: Sequence[Resources]) -> str:
    """Say why there is no answer when every trial failed."""
    trials, failed = sum(entry.trials for entry in resources), sum(entry.failed for entry in resources)
    if not trials or failed < trials:
        return ""
    samples = [message for entry in resources for message in entry.error_samples.values() if message]
    return f"No answer: every trial failed. {samples[0].splitlines()[0][:300] if samples else ''}".strip()


def _with_primary(manifest: Manifest, found: Sequence[str], asked: str | None) -> Manifest:
    """Return the manifest with the metric that decides, as the scores name it.

    An evaluator that gives several scores names them itself (`mine.clarity`); the first of them stands for `mine`.
    """
    wanted = asked or manifest.primary
    if wanted not in found:
        parts = [name for name in found if name.startswith(f"{wanted}.")]
        if asked is not None and not parts:
            raise SpecError(f"there is no metric {asked!r}; this run has {', '.join(found) or 'none'}")
        wanted = parts[0] if parts else wanted
    return manifest if wanted == manifest.primary else manifest.model_copy(update={"primary": wanted})


def analyse_cubes(
    store: LocalStore,
    manifest: Manifest,
    cube: ScoreCube,
    items: ItemInfo,
    *,
    pairs: Sequence[tuple[str, str]],
    alpha: float | None = None,
    margin: float | None = None,
) -> Analysis:
    """Analyse scores that were put together from several runs.

    Args:
        store: Where the runs are.
        manifest: Run whose plan applies.
        cube: Scores of the primary metric, all on the same items.
        items: Clusters and weights of those items.
        pairs: (candidate, baseline), by names of the cube.
        alpha: Level, instead of the declared one.
        margin: Largest difference that does not matter, instead of the declared one.
    """
    plan = Question.of(manifest, baseline=None, pairs=None, alpha=alpha, margin=margin)
    plan = replace(plan, baseline=pairs[0][1], explicit=tuple(pairs))
    used = {entry.variant: entry for entry in read_resources(store, manifest)}
    empty = Resources(
        variant="", trials=0, failed=0, cost_usd=nan, spent_usd=0.0, cost_usd_per_trial=nan, latency_p50_ms=nan,
        latency_p95_ms=nan,
        ttft_p50_ms=nan, input_tokens=nan, output_tokens=nan,
    )  # fmt: skip
    resources = tuple(replace(used.get(name.removesuffix(" (after)"), empty), variant=name) for name in cube.variants)
    renamed = manifest.model_copy(update={"primary": cube.metric, "dataset_items": cube.values.shape[1]})
    analysed = (_metric(cube, renamed, plan, items, None),)
    return _assemble(renamed, plan, analysed, resources, ())


def _assemble(
    manifest: Manifest,
    plan: Question,
    analysed: tuple[MetricAnalysis, ...],
    resources: tuple[Resources, ...],
    warnings: tuple[str, ...],
    confirmed: Comparison | None = None,
    watch: Watch | None = None,
) -> Analysis:
    trials = sum(entry.trials for entry in resources)
    spent = sum(entry.spent_usd for entry in resources)
    return Analysis(
        run_id=manifest.run_id,
        name=manifest.name,
        status=manifest.status,
        is_simulated=manifest.is_simulated,
        baseline=plan.baseline,
        primary=manifest.primary,
        alpha=plan.alpha,
        confidence=1 - plan.alpha,
        correction=plan.correction if watch is None else "bonferroni",
        margin=plan.margin,
        dataset=f"{manifest.dataset_name} ({manifest.dataset_version[:12]})",
        n_items=manifest.dataset_items,
        repeats=manifest.repeats,
        trials=trials,
        planned_trials=manifest.planned_trials,
        failed=sum(entry.failed for entry in resources),
        cost_usd=manifest.cost_usd if manifest.status in ("complete", "partial") else spent,
        seconds=manifest.seconds,
        headline=_failure(resources) or headline(analysed, manifest, plan),
        methods=methods(analysed, manifest, plan, watched=None if watch is None else watch.method),
        allocation=allocation_words(manifest, trials, plan.alpha),
        confirmation=confirmed,
        metrics=analysed,
        resources=resources,
        warnings=warnings,
    )


def _metric(
    cube: ScoreCube,
    manifest: Manifest,
    plan: Question,
    items: ItemInfo,
    watch: Watch | None,
    *,
    tied: bool = True,
    share: float = 1.0,
) -> MetricAnalysis:
    head = next((m for m in manifest.metrics if m.metric == cube.metric), None) or next(
        (m for m in manifest.metrics if cube.metric.startswith(f"{m.metric}.")), None
    )
    direction = head.higher_is_better if head is not None else True
    kind = _kind(cube, head.score_kind if head is not None else None)
    role: Literal["primary", "guardrail", "other"] = "other"
    if cube.metric == manifest.primary:
        role = "primary"
    elif cube.metric in plan.guardrails:
        role = "guardrail"
        harm = plan.guardrails[cube.metric].harm
        direction = direction if harm is None else harm == "lower"  # what is harm cannot be called better
    if role != "primary":  # margin and methods were declared for the metric that decides
        plan = replace(plan, margin=None, interval=None, test=None)
    comparisons: tuple[Comparison, ...] = ()
    if kind != "label":
        declared = head.score_kind if head is not None else None
        asked = _stat_kind(declared or "continuous") if role == "primary" else _stat_kind(kind)
        comparisons = _comparisons(cube, kind, plan, items, direction, watch, share, decided_as=asked)
        if cube.metric in plan.guardrails:  # the metric that decides may be one, too
            comparisons = tuple(guarded(c, plan, direction, watched=watch is not None) for c in comparisons)
    return MetricAnalysis(
        metric=cube.metric,
        kind=kind,
        higher_is_better=direction,
        unit=head.unit if head is not None else "",
        role=role,
        scores=_scores(cube, kind, plan, items, watch, higher_is_better=direction is not False),
        comparisons=comparisons,
        tied=_tied(cube, items, plan, direction) if tied and role == "primary" and watch is None else (),
    )


_MOST_TIED = 1_000_000
"""Variants x items up to which the tied set is worked out: it takes about a second there."""


def _tied(cube: ScoreCube, items: ItemInfo, plan: Question, direction: bool | None) -> tuple[str, ...]:
    """Return the variants that are statistically indistinguishable from the best."""
    if direction is None or cube.is_label or len(cube.variants) < 3 or cube.values[:, :, 0].size > _MOST_TIED:
        return ()
    found = tied_set(
        {name: cube.of(name) for name in cube.variants},
        higher_is_better=direction,
        clusters=items.clusters,
        confidence=1 - plan.alpha,
        resamples=1999,
        rng=plan.seed,
    )
    return found.tied if found.reason is None else ()


def _kind(cube: ScoreCube, declared: str | None) -> Literal["binary", "bounded", "continuous", "label"]:
    if cube.is_label:
        return "label"
    if cube.is_binary:
        return "binary"
    present = cube.values[~np.isnan(cube.values)]
    if declared in ("binary", "bounded") and present.size and present.min() >= 0 and present.max() <= 1:
        return "bounded"
    return "continuous"


def _scores(
    cube: ScoreCube, kind: str, plan: Question, items: ItemInfo, watch: Watch | None, *, higher_is_better: bool
) -> tuple[VariantScore, ...]:
    counted = cube if watch is None else replace(cube, values=cube.values[:, watch.searched])
    planned = counted.values.shape[1] * counted.values.shape[2]
    rows: list[VariantScore] = []
    for variant in cube.variants:
        scores = counted.of(variant)
        present = ~np.isnan(scores)
        if kind == "label":
            estimate = Estimate(estimate=nan, low=nan, high=nan, n=0, method="none", reason="a label has no mean")
        elif watch is not None:
            estimate = watched_estimate(cube.of(variant), watch, items, kind=_stat_kind(kind), alpha=plan.alpha)
        else:
            estimate = summarize(
                scores, kind=_stat_kind(kind), clusters=items.clusters, weights=items.weights, confidence=1 - plan.alpha
            )
        labels = dict(cube.labels.get(variant, {}))
        n_scored = sum(labels.values()) if labels else int(present.sum())
        n_items = int(present.any(axis=1).sum()) if scores.ndim == 2 else int(present.sum())
        rows.append(
            VariantScore(
                variant=variant,
                estimate=estimate,
                n_items=min(n_scored, cube.values.shape[1]) if labels else n_items,
                n_missing=planned - n_scored,
                rank=0,
                labels=labels,
            )
        )
    sign = -1 if higher_is_better else 1
    values = [sign * row.estimate.estimate for row in rows]
    return tuple(
        replace(row, rank=1 + sum(other < value for other in values) if not isnan(value) else len(rows))
        for row, value in zip(rows, values, strict=True)
    )


def _stat_kind(kind: str) -> Kind:
    return "binary" if kind == "binary" else "bounded" if kind == "bounded" else "continuous"


def _comparisons(
    cube: ScoreCube,
    kind: str,
    plan: Question,
    items: ItemInfo,
    direction: bool | None,
    watch: Watch | None,
    share: float,
    *,
    decided_as: Kind,
) -> tuple[Comparison, ...]:
    higher_is_better = direction is not False
    if plan.explicit:
        pairs = list(plan.explicit)
    elif plan.pairs == "all":
        pairs = [(b, a) for a, b in combinations(cube.variants, 2)]
    else:
        pairs = [(variant, plan.baseline) for variant in cube.variants if variant != plan.baseline]
    if watch is not None:
        watched = watched_differences(
            cube,
            pairs,
            watch,
            items,
            kind=decided_as if watch.adaptive else _stat_kind(kind),  # as the allocation did: its decisions stand
            alpha=plan.alpha,
            alternative=plan.alternative,
            margin=plan.margin,
            higher_is_better=higher_is_better,
            share=share,
        )
        seen = replace(cube, values=cube.values[:, watch.searched])
        return tuple(
            _row(seen, candidate, baseline, replace(difference, kind=_stat_kind(kind)), direction)
            for (candidate, baseline), difference in zip(pairs, watched, strict=True)
        )
    differences = [
        _compared(cube, candidate, baseline, kind, plan, items, higher_is_better=higher_is_better)
        for candidate, baseline in pairs
    ]
    adjusted = adjust([d.p_value for d in differences], method=plan.correction)
    rows: list[Comparison] = []
    for (candidate, baseline), difference, p in zip(pairs, differences, adjusted, strict=True):
        corrected = replace(difference, p_adjusted=float(p))
        level = plan.alpha if plan.correction == "none" else plan.alpha / len(pairs)
        verdict = decide(
            corrected, alpha=plan.alpha, margin=plan.margin, higher_is_better=higher_is_better, level=level
        )
        rows.append(_row(cube, candidate, baseline, replace(corrected, verdict=verdict), direction))
    return tuple(rows)


def _compared(
    cube: ScoreCube,
    candidate: str,
    baseline: str,
    kind: str,
    plan: Question,
    items: ItemInfo,
    *,
    higher_is_better: bool,
) -> Difference:
    options = {"interval": plan.interval, "test": plan.test}
    try:
        return _compare(cube, candidate, baseline, kind, plan, items, higher_is_better, options)
    except StatsError as error:
        if plan.interval is None and plan.test is None:
            raise
        # An old run stays readable: the method it asks for does not fit its data.
        found = _compare(cube, candidate, baseline, kind, plan, items, higher_is_better, {})
        note = f"the declared method was not used: {error}"
        return replace(found, warnings=(*found.warnings, note))


def _compare(
    cube: ScoreCube,
    candidate: str,
    baseline: str,
    kind: str,
    plan: Question,
    items: ItemInfo,
    higher_is_better: bool,
    options: Mapping[str, str | None],
) -> Difference:
    return compare(
        cube.of(candidate),
        cube.of(baseline),
        kind=_stat_kind(kind),
        clusters=items.clusters,
        weights=items.weights,
        confidence=1 - plan.alpha,
        alternative=plan.alternative,
        margin=plan.margin,
        higher_is_better=higher_is_better,
        interval=options.get("interval"),
        test=options.get("test"),
        rng=plan.seed,
    )


def _row(cube: ScoreCube, candidate: str, baseline: str, difference: Difference, direction: bool | None) -> Comparison:
    better, worse, same = _flips(cube.of(candidate), cube.of(baseline), higher_is_better=direction is not False)
    word = difference.verdict.word if difference.verdict is not None else "inconclusive"
    return Comparison(
        metric=cube.metric,
        candidate=candidate,
        baseline=baseline,
        difference=difference,
        improved=better,
        regressed=worse,
        same=same,
        label=verdict_label(word, direction),
        words=comparison_words(difference, candidate, baseline, cube.metric, direction),
    )


def _confirmation(
    cube: ScoreCube | None,
    analysed: Sequence[MetricAnalysis],
    manifest: Manifest,
    plan: Question,
    items: ItemInfo,
    watch: Watch | None,
) -> Comparison | None:
    """Compare the selected winner with its rival on the held-out items, with plain methods: nobody looked there."""
    done = next((entry for entry in manifest.decisions if entry.get("kind") == "confirmed"), None)
    if cube is None or watch is None or done is None or not len(watch.held_out):
        return None
    winner = str(done["variant"])
    rival = plan.baseline if winner != plan.baseline else next(name for name in cube.variants if name != winner)
    primary = next(metric for metric in analysed if metric.metric == cube.metric)
    held = watch.held_out
    part = replace(cube, values=cube.values[:, held])
    kept = ItemInfo(
        ids=items.ids[held],
        clusters=None if items.clusters is None else items.clusters[held],
        weights=None if items.weights is None else items.weights[held],
    )
    higher = primary.higher_is_better is not False
    difference = _compared(part, winner, rival, primary.kind, plan, kept, higher_is_better=higher)
    found = _row(part, winner, rival, difference, primary.higher_is_better)
    return replace(found, words=f"On the {len(held):,} items held out to confirm the choice: {found.words}")


def _flips(
    candidate: NDArray[np.float64], baseline: NDArray[np.float64], *, higher_is_better: bool
) -> tuple[int, int, int]:
    """Count items on which the candidate's mean is higher, lower, equal."""

    def means(scores: NDArray[np.float64]) -> NDArray[np.float64]:
        if scores.ndim == 1:
            return scores
        counted = (~np.isnan(scores)).sum(axis=1)
        return np.divide(np.nansum(scores, axis=1), counted, out=np.full(len(scores), nan), where=counted > 0)

    gaps = means(candidate) - means(baseline)
    gaps = gaps[~np.isnan(gaps)]
    noise = 2e-14 * max(
        (float(np.abs(side[~np.isnan(side)]).max(initial=0.0)) for side in (candidate, baseline)), default=0.0
    )
    up, down = int((gaps > noise).sum()), int((gaps < -noise).sum())
    same = len(gaps) - up - down
    return (up, down, same) if higher_is_better else (down, up, same)
