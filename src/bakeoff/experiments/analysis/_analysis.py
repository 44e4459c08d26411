"""From scores to an answer: leaderboard, comparisons, verdicts and health warnings.

Every face - command line, dashboard, notebook, report, gate, MLflow - renders what comes out and computes nothing.
"""

from __future__ import annotations

from dataclasses import replace
from math import nan
from typing import TYPE_CHECKING, Literal

from bakeoff.errors import SpecError
from bakeoff.experiments.analysis._answer import Analysis, Comparison, MetricAnalysis, Resources
from bakeoff.experiments.analysis._border import border_words
from bakeoff.experiments.analysis._comparisons import comparisons_of, confirmation_of
from bakeoff.experiments.analysis._cube import ItemInfo, ScoreCube, item_info, score_cubes
from bakeoff.experiments.analysis._escalated import read_escalated
from bakeoff.experiments.analysis._family import correct_together, metric_shares
from bakeoff.experiments.analysis._guard import guarded
from bakeoff.experiments.analysis._headline import headline, methods
from bakeoff.experiments.analysis._health import (
    duplicate_warnings,
    health_warnings,
    unweighted_warning,
    version_warnings,
)
from bakeoff.experiments.analysis._question import Question
from bakeoff.experiments.analysis._resources import read_resources
from bakeoff.experiments.analysis._saved import allocation_words
from bakeoff.experiments.analysis._scores import kind_of, stat_kind, tied_variants, variant_scores
from bakeoff.experiments.analysis._segments import segment_of
from bakeoff.experiments.analysis._watched import Watch, watch_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.experiments.store._manifest import Manifest
    from bakeoff.experiments.store._store import LocalStore

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
        metrics: Only these metrics (the name of an evaluator that gives several stands for all of them); the others
            still count in the family that is corrected together, and the headline stays that of the whole run.
        pairs: Compare with the `baseline` or `all` pairs, instead of what was declared.
        alpha: Level, instead of the declared one.
        margin: Largest difference of the primary metric that does not matter, instead of the declared one.
        primary: Metric that decides, instead of the declared one. What part of `alpha` each metric has stays as it was
            declared: a metric that is chosen afterwards has no better chance of a verdict.
        segments: Metadata fields to break the metric that decides down by, instead of the declared ones.

    Raises:
        SpecError: A variant, metric or metadata field that the run does not have.
    """
    manifest = store.manifest(run_id)
    plan = Question.of(manifest, baseline=baseline, pairs=pairs, alpha=alpha, margin=margin)
    cubes = score_cubes(store, manifest)
    manifest = _with_primary(manifest, list(cubes), None)
    plan = replace(plan, declared=manifest.primary)
    shown = list(cubes) if metrics is None else _shown(metrics, list(cubes))
    manifest = _with_primary(manifest, list(cubes), primary)
    if primary is not None:
        plan = replace(plan, margin=margin)  # a declared margin is meant for the declared metric
    plan = replace(plan, unmeasured=tuple(name for name in plan.guardrails if name not in cubes))
    if segments is not None:
        plan = replace(plan, segments=tuple(segments))
    items = item_info(store, manifest)
    watch = watch_of(manifest, items)
    shares = metric_shares([name for name, cube in cubes.items() if not cube.is_label], plan.declared, plan)
    analysed = tuple(
        _metric(cube, manifest, plan, items, watch, share=shares.get(name, 1.0)) for name, cube in cubes.items()
    )
    if plan.family == "all" and watch is None:
        analysed = tuple(correct_together(analysed, plan))
    resources = read_resources(store, manifest)
    told = {name: cubes[name] for name in shown}
    warnings = (
        *(unweighted_warning(items) if watch is not None else ()),
        *health_warnings(manifest, told, resources, read_escalated(store, manifest.run_id)),
        *version_warnings(store, manifest),
        *duplicate_warnings(store, manifest, items),
    )
    confirmed = confirmation_of(cubes.get(manifest.primary), analysed, manifest, plan, items, watch)
    answer = _assemble(manifest, plan, analysed, resources, warnings, confirmed, watch)
    answer = replace(answer, metrics=tuple(metric for metric in analysed if metric.metric in told))
    decides = cubes.get(manifest.primary)
    if decides is None or decides.is_label or watch is not None:
        return answer
    parts, left_out = segment_of(
        store, manifest, decides, items, plan, lambda cube, few: _metric(cube, manifest, plan, few, None, tied=False)
    )
    said = (*left_out, *border_words(analysed, parts, plan.alpha))
    return replace(answer, segments=parts, warnings=(*answer.warnings, *said))


def _shown(asked: Sequence[str], found: Sequence[str]) -> list[str]:
    """Return the metrics that were asked for, in the order of the run."""
    for name in asked:
        if not any(one == name or one.startswith(f"{name}.") for one in found):
            raise SpecError(f"there is no metric {name!r}; this run has {', '.join(found) or 'none'}")
    parts = {one for name in asked if name not in found for one in found if one.startswith(f"{name}.")}
    return [one for one in found if one in asked or one in parts]


def _failure(resources: Sequence[Resources]) -> str:
    """Say why there is no answer when every trial failed."""
    trials, failed = sum(entry.trials for entry in resources), sum(entry.failed for entry in resources)
    if not trials or failed < trials:
        return ""
    samples = [message for entry in resources for message in entry.error_samples.values() if message]
    what, _, fix = (samples[0] if samples else "").partition("\n    fix: ")
    said = f"No answer: every trial failed. {what.splitlines()[0][:300] if what else ''}".strip()
    return f"{said.rstrip('.')}. Fix: {fix.splitlines()[0][:300]}." if fix else said


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
    if margin is None and cube.metric != manifest.primary:
        plan = replace(plan, margin=None, interval=None, test=None)  # declared for the metric that decides
    plan = replace(plan, baseline=pairs[0][1], explicit=tuple(pairs), declared=cube.metric)
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
    judging = sum(entry.judging_usd for entry in resources)
    spent = sum(entry.spent_usd for entry in resources) + judging
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
        allocation=allocation_words(manifest, trials, plan.alpha, analysed),
        confirmation=confirmed,
        metrics=analysed,
        resources=resources,
        warnings=warnings,
        judging_usd=judging,
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
    kind = kind_of(cube, head.score_kind if head is not None else None)
    role: Literal["primary", "guardrail", "other"] = "other"
    if cube.metric == manifest.primary:
        role = "primary"
    elif cube.metric in plan.guardrails:
        role = "guardrail"
        harm = plan.guardrails[cube.metric].harm
        direction = direction if harm is None else harm == "lower"  # what is harm cannot be called better
    if role != "primary":  # margin, methods and side were declared for the metric that decides
        plan = replace(plan, margin=None, interval=None, test=None, alternative="two-sided")
    comparisons: tuple[Comparison, ...] = ()
    if kind != "label":
        declared = head.score_kind if head is not None else None
        asked = stat_kind(declared or "continuous") if role == "primary" else stat_kind(kind)
        comparisons = comparisons_of(cube, kind, plan, items, direction, watch, share, decided_as=asked)
        if cube.metric in plan.guardrails:  # the metric that decides may be one, too
            comparisons = tuple(guarded(c, plan, direction, watched=watch is not None) for c in comparisons)
    return MetricAnalysis(
        metric=cube.metric,
        kind=kind,
        higher_is_better=direction,
        unit=head.unit if head is not None else "",
        role=role,
        scores=variant_scores(cube, kind, plan, items, watch, higher_is_better=direction is not False),
        comparisons=comparisons,
        tied=tied_variants(cube, items, plan, direction) if tied and role == "primary" and watch is None else (),
    )
