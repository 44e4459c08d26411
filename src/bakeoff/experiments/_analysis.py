"""From scores to an answer: leaderboard, comparisons, verdicts and health warnings, as plain data.

Every face - command line, dashboard, notebook, report, gate, MLflow - renders this and computes nothing itself.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from itertools import combinations
from math import isnan, nan
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bakeoff.errors import SpecError
from bakeoff.experiments._cube import ItemInfo, ScoreCube, item_info, score_cubes
from bakeoff.experiments._health import health_warnings
from bakeoff.experiments._json import plain
from bakeoff.experiments._saved import allocation_words
from bakeoff.experiments._watched import Watch, watch_of, watched_differences, watched_estimate
from bakeoff.stats import Difference, Estimate, adjust, compare, decide, describe, methods_paragraph, summarize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bakeoff.experiments._manifest import Manifest
    from bakeoff.experiments._store import LocalStore
    from bakeoff.stats import Kind

__all__ = ["Analysis", "Comparison", "MetricAnalysis", "Resources", "VariantScore", "analyse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What a variant took."""

    variant: str
    trials: int
    failed: int
    cost_usd: float
    """What its answers cost, those from the cache at their price; `nan` when no price is known for any."""
    spent_usd: float
    """Spent on it in this run; nothing for answers from the cache."""
    cost_usd_per_trial: float
    latency_p50_ms: float
    latency_p95_ms: float
    ttft_p50_ms: float
    input_tokens: float
    """Mean by trial."""
    output_tokens: float
    errors: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantScore:
    """One variant on one metric."""

    variant: str
    estimate: Estimate
    n_items: int
    """Items with at least one score."""
    n_missing: int
    """Trials planned and not scored: failed, not run, or unscorable."""
    rank: int
    labels: dict[str, int] = field(default_factory=dict)
    """Counts by word, for label metrics."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One variant against another on one metric."""

    metric: str
    candidate: str
    baseline: str
    difference: Difference
    improved: int
    """Items on which the candidate did better."""
    regressed: int
    same: int
    label: Literal["better", "worse", "higher", "lower", "equivalent", "inconclusive"]
    """The verdict; `higher` or `lower` where the metric says that neither direction is better."""
    words: str
    """One plain paragraph."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricAnalysis:
    """One metric over all variants."""

    metric: str
    kind: Literal["binary", "bounded", "continuous", "label"]
    higher_is_better: bool | None
    unit: str
    role: Literal["primary", "guardrail", "other"]
    scores: tuple[VariantScore, ...]
    comparisons: tuple[Comparison, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """The whole answer of a run."""

    run_id: str
    name: str
    status: str
    is_simulated: bool
    baseline: str
    primary: str
    alpha: float
    confidence: float
    correction: str
    margin: float | None
    dataset: str
    n_items: int
    repeats: int
    trials: int
    planned_trials: int
    failed: int
    cost_usd: float
    seconds: float
    headline: str
    """The answer to the declared question in one sentence."""
    methods: str
    """How the numbers came about: a paragraph fit for a report."""
    allocation: str
    """What an allocation decided and saved; empty when every trial was run."""
    confirmation: Comparison | None
    """The selected winner re-tested on items that had no part in selecting it."""
    metrics: tuple[MetricAnalysis, ...]
    resources: tuple[Resources, ...]
    warnings: tuple[str, ...]

    def metric(self, name: str | None = None) -> MetricAnalysis:
        """Return one metric; the primary one when no name is given.

        Raises:
            SpecError: There is no such metric.
        """
        wanted = name or self.primary
        for metric in self.metrics:
            if metric.metric == wanted:
                return metric
        raise SpecError(f"there is no metric {wanted!r}; this run has {', '.join(m.metric for m in self.metrics)}")

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data; `nan` becomes null."""
        data: dict[str, Any] = _null_nan(plain_floats(asdict(self)))
        return data


def analyse(
    store: LocalStore,
    run_id: str,
    *,
    baseline: str | None = None,
    metrics: Sequence[str] | None = None,
    pairs: Literal["baseline", "all"] | None = None,
    alpha: float | None = None,
    margin: float | None = None,
) -> Analysis:
    """Analyse a run, sealed or in progress, by its declared plan.

    Args:
        store: Where the run is.
        run_id: The run.
        baseline: Variant to compare with, instead of the declared one.
        metrics: Only these metrics.
        pairs: Compare with the `baseline` or `all` pairs, instead of what was declared.
        alpha: Level, instead of the declared one.
        margin: Largest difference that does not matter, instead of the declared one.

    Raises:
        SpecError: A variant or metric that the run does not have.
    """
    manifest = store.manifest(run_id)
    plan = _Plan.of(manifest, baseline=baseline, pairs=pairs, alpha=alpha, margin=margin)
    cubes = score_cubes(store, manifest, metrics=metrics)
    items = item_info(store, manifest)
    watch = watch_of(manifest, items)
    analysed = tuple(_metric(cube, manifest, plan, items, watch) for cube in cubes.values())
    resources = _resources(store, manifest)
    warnings = health_warnings(manifest, cubes, resources)
    confirmed = _confirmation(cubes.get(manifest.primary), analysed, manifest, plan, items, watch)
    return _assemble(manifest, plan, analysed, resources, warnings, confirmed)


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
    plan = _Plan.of(manifest, baseline=None, pairs=None, alpha=alpha, margin=margin)
    plan = replace(plan, baseline=pairs[0][1], explicit=tuple(pairs))
    used = {entry.variant: entry for entry in _resources(store, manifest)}
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
    plan: _Plan,
    analysed: tuple[MetricAnalysis, ...],
    resources: tuple[Resources, ...],
    warnings: tuple[str, ...],
    confirmed: Comparison | None = None,
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
        correction=plan.correction,
        margin=plan.margin,
        dataset=f"{manifest.dataset_name} ({manifest.dataset_version[:12]})",
        n_items=manifest.dataset_items,
        repeats=manifest.repeats,
        trials=trials,
        planned_trials=manifest.planned_trials,
        failed=sum(entry.failed for entry in resources),
        cost_usd=manifest.cost_usd if manifest.status in ("complete", "partial") else spent,
        seconds=manifest.seconds,
        headline=_headline(analysed, manifest, plan),
        methods=_methods(analysed, manifest, plan),
        allocation=allocation_words(manifest, trials, plan.alpha),
        confirmation=confirmed,
        metrics=analysed,
        resources=resources,
        warnings=warnings,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    baseline: str
    pairs: Literal["baseline", "all"]
    alpha: float
    alternative: Literal["two-sided", "greater", "less"]
    correction: Literal["holm", "hochberg", "bh", "by", "bonferroni", "none"]
    margin: float | None
    guardrails: tuple[str, ...]
    interval: str | None
    test: str | None
    seed: int
    explicit: tuple[tuple[str, str], ...] = ()
    """(candidate, baseline) pairs that replace `pairs`."""

    @classmethod
    def of(
        cls,
        manifest: Manifest,
        *,
        baseline: str | None,
        pairs: Literal["baseline", "all"] | None,
        alpha: float | None,
        margin: float | None,
    ) -> _Plan:
        from bakeoff.experiments._spec import AnalysisSpec

        declared = AnalysisSpec.model_validate(manifest.spec.get("analysis", {}))
        chosen = baseline or manifest.baseline
        if chosen not in manifest.variant_names:
            raise SpecError(f"there is no variant {chosen!r}; this run has {', '.join(manifest.variant_names)}")
        return cls(
            baseline=chosen,
            pairs=pairs or declared.compare,
            alpha=alpha if alpha is not None else declared.alpha,
            alternative=declared.alternative,
            correction=declared.correction,
            margin=margin if margin is not None else declared.margin,
            guardrails=tuple(declared.guardrails),
            interval=declared.interval,
            test=declared.test,
            seed=int(manifest.spec.get("seed", 0)),
        )


def _metric(cube: ScoreCube, manifest: Manifest, plan: _Plan, items: ItemInfo, watch: Watch | None) -> MetricAnalysis:
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
    comparisons: tuple[Comparison, ...] = ()
    if kind != "label":
        comparisons = _comparisons(cube, kind, plan, items, direction, watch)
    return MetricAnalysis(
        metric=cube.metric,
        kind=kind,
        higher_is_better=direction,
        unit=head.unit if head is not None else "",
        role=role,
        scores=_scores(cube, kind, plan, items, watch, higher_is_better=direction is not False),
        comparisons=comparisons,
    )


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
    cube: ScoreCube, kind: str, plan: _Plan, items: ItemInfo, watch: Watch | None, *, higher_is_better: bool
) -> tuple[VariantScore, ...]:
    planned = cube.values.shape[1] * cube.values.shape[2]
    rows: list[VariantScore] = []
    for variant in cube.variants:
        scores = cube.of(variant)
        present = ~np.isnan(scores)
        if kind == "label":
            estimate = Estimate(estimate=nan, low=nan, high=nan, n=0, method="none", reason="a label has no mean")
        elif watch is not None:
            estimate = watched_estimate(scores, watch, items, kind=_stat_kind(kind), alpha=plan.alpha)
        else:
            estimate = summarize(
                scores, kind=_stat_kind(kind), clusters=items.clusters, weights=items.weights, confidence=1 - plan.alpha
            )
        n_items = int(present.any(axis=1).sum()) if scores.ndim == 2 else int(present.sum())
        rows.append(
            VariantScore(
                variant=variant, estimate=estimate, n_items=n_items, n_missing=planned - int(present.sum()), rank=0
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
    cube: ScoreCube, kind: str, plan: _Plan, items: ItemInfo, direction: bool | None, watch: Watch | None
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
            kind=_stat_kind(kind),
            alpha=plan.alpha,
            alternative=plan.alternative,
            margin=plan.margin,
            higher_is_better=higher_is_better,
        )
        return tuple(
            _row(cube, candidate, baseline, difference, direction)
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
        verdict = decide(corrected, alpha=plan.alpha, margin=plan.margin, higher_is_better=higher_is_better)
        rows.append(_row(cube, candidate, baseline, replace(corrected, verdict=verdict), direction))
    return tuple(rows)


def _compared(
    cube: ScoreCube, candidate: str, baseline: str, kind: str, plan: _Plan, items: ItemInfo, *, higher_is_better: bool
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
        interval=plan.interval,
        test=plan.test,
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
        label=_label(word, direction),
        words=_words(difference, candidate, baseline, cube.metric, direction),
    )


def _confirmation(
    cube: ScoreCube | None,
    analysed: Sequence[MetricAnalysis],
    manifest: Manifest,
    plan: _Plan,
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
    return _row(part, winner, rival, difference, primary.higher_is_better)


def _label(
    word: Literal["better", "worse", "equivalent", "inconclusive"], direction: bool | None
) -> Literal["better", "worse", "higher", "lower", "equivalent", "inconclusive"]:
    if direction is None and word in ("better", "worse"):
        return "higher" if word == "better" else "lower"
    return word


def _words(difference: Difference, candidate: str, baseline: str, metric: str, direction: bool | None) -> str:
    text = describe(difference, name=candidate, baseline=baseline, metric=metric)
    if direction is None:
        for word, neutral in (("better", "higher"), ("worse", "lower")):
            text = text.replace(
                f"{candidate} is {word} than {baseline}", f"{candidate} is {neutral} than {baseline}", 1
            )
    return text


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
    up, down = int((gaps > 1e-12).sum()), int((gaps < -1e-12).sum())
    same = len(gaps) - up - down
    return (up, down, same) if higher_is_better else (down, up, same)


def _resources(store: LocalStore, manifest: Manifest) -> tuple[Resources, ...]:
    table = store.trials(
        manifest.run_id,
        columns=[
            "variant", "ok", "error_kind", "cached", "cost_usd", "latency_ms", "ttft_ms", "input_tokens",
            "output_tokens",
        ],
    )  # fmt: skip
    encoded = table.column("variant").combine_chunks().dictionary_encode()
    names = encoded.dictionary.to_pylist()
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    columns = {
        name: table.column(name).to_numpy(zero_copy_only=False).astype(np.float64)
        for name in ("ok", "cached", "cost_usd", "latency_ms", "ttft_ms", "input_tokens", "output_tokens")
    }
    kinds = table.column("error_kind")
    rows: list[Resources] = []
    for variant in manifest.variant_names:
        mine = codes == names.index(variant) if variant in names else np.zeros(len(codes), dtype=bool)
        ok = columns["ok"][mine]
        failed = int(len(ok) - ok.sum())
        errors: dict[str, int] = {}
        if failed:
            for entry in kinds.filter(mine).value_counts().to_pylist():
                if entry["values"] is not None:
                    errors[entry["values"]] = entry["counts"]
        cost = columns["cost_usd"][mine]
        rows.append(
            Resources(
                variant=variant,
                trials=len(ok),
                failed=failed,
                cost_usd=float(np.nansum(cost)) if np.isfinite(cost).any() else nan,
                spent_usd=float(np.nansum(cost[columns["cached"][mine] == 0])),
                cost_usd_per_trial=_mean(cost),
                latency_p50_ms=_quantile(columns["latency_ms"][mine], 0.5),
                latency_p95_ms=_quantile(columns["latency_ms"][mine], 0.95),
                ttft_p50_ms=_quantile(columns["ttft_ms"][mine], 0.5),
                input_tokens=_mean(columns["input_tokens"][mine]),
                output_tokens=_mean(columns["output_tokens"][mine]),
                errors=errors,
            )
        )
    return tuple(rows)


def _mean(values: NDArray[np.float64]) -> float:
    present = values[np.isfinite(values)]
    return float(present.mean()) if present.size else nan


def _quantile(values: NDArray[np.float64], q: float) -> float:
    present = values[np.isfinite(values)]
    return float(np.quantile(present, q)) if present.size else nan


def _headline(metrics: Sequence[MetricAnalysis], manifest: Manifest, plan: _Plan) -> str:
    """Say the answer to the declared question."""
    primary = next((metric for metric in metrics if metric.metric == manifest.primary), None)
    if primary is None or not any(row.n_items for row in primary.scores):
        return "No scores yet."
    if not primary.comparisons:
        if primary.kind == "label":
            return f"{primary.metric} is a label: see the counts by variant."
        only = primary.scores[0]
        return f"{only.variant}: {primary.metric} {show(only.estimate.estimate, primary)}, nothing to compare with."
    if plan.explicit:
        return f"On {primary.metric}: {'; '.join(_pair_words(c) for c in primary.comparisons)}."
    against = [c for c in primary.comparisons if c.baseline == plan.baseline] or list(primary.comparisons)
    groups: dict[str, list[str]] = {word: [] for word in _SAID}
    for comparison in against:
        groups[comparison.label].append(comparison.candidate)
    parts = [
        f"{_and(names)} {'is' if len(names) == 1 else 'are'} {_SAID[word]} {plan.baseline}"
        for word, names in groups.items()
        if names
    ]
    return f"On {primary.metric}: {'; '.join(parts)}."


def _methods(metrics: Sequence[MetricAnalysis], manifest: Manifest, plan: _Plan) -> str:
    numeric = [metric for metric in metrics if metric.kind != "label"]
    results = [row.estimate for metric in numeric for row in metric.scores]
    results += [comparison.difference for metric in numeric for comparison in metric.comparisons]
    repeats = f", with {manifest.repeats} repeats averaged within the item" if manifest.repeats > 1 else ""
    design = (
        f"Every variant answered the same {manifest.dataset_items:,} items{repeats}; the item is the unit of analysis. "
        "Failed and unscored trials are missing, never zero."
    )
    if not results:
        return design
    family = max((len(metric.comparisons) for metric in numeric), default=0)
    return f"{design} " + methods_paragraph(
        results, correction=plan.correction if family > 1 else "none", family_size=family or None, alpha=plan.alpha
    )


_SAID = {
    "better": "better than",
    "worse": "worse than",
    "higher": "higher than",
    "lower": "lower than",
    "equivalent": "equivalent to",
    "inconclusive": "not shown to differ from",
}


def _pair_words(comparison: Comparison) -> str:
    return f"{comparison.candidate} is {_SAID[comparison.label]} {comparison.baseline}"


def _and(names: Sequence[str]) -> str:
    if len(names) > 4:
        return f"{', '.join(names[:3])} and {len(names) - 3} more"
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def show(value: float, metric: MetricAnalysis) -> str:
    """Write a value of a metric the way people read it: pass rates in percent."""
    if isnan(value):
        return "-"
    if metric.kind == "binary":
        return f"{100 * value:.1f}%"
    return f"{value:.3g}{' ' + metric.unit if metric.unit else ''}"


def plain_floats(value: Any) -> Any:
    """Turn numpy scalars and tuples into plain Python."""
    if isinstance(value, dict):
        return {key: plain_floats(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_floats(entry) for entry in value]
    return value if isinstance(value, float | int | str | bool) or value is None else plain(value)


def _null_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _null_nan(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_null_nan(entry) for entry in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
