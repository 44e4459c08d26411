"""Beyond the verdict: what each factor does, how reliable one answer is, where the noise comes from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from bakeoff.experiments.analysis._answer import null_nan, to_plain
from bakeoff.experiments.analysis._cube import item_info, score_cubes
from bakeoff.experiments.analysis._question import Question
from bakeoff.experiments.analysis._scores import kind_of
from bakeoff.experiments.analysis._watched import watch_of
from bakeoff.experiments.insights._choice import Choice, choice_of
from bakeoff.experiments.insights._effects import factor_effects
from bakeoff.experiments.insights._juries import JuryAgreement, jury_agreements
from bakeoff.stats import best_of_many, item_analysis, pass_curve, variance_components

if TYPE_CHECKING:
    from bakeoff.experiments.analysis._cube import ItemInfo, ScoreCube
    from bakeoff.experiments.store._manifest import Manifest
    from bakeoff.experiments.store._store import LocalStore
    from bakeoff.stats import BestOfMany, Estimate, FactorialResult, VarianceComponents

__all__ = ["Insights", "PassCurves", "insights"]

_FEWEST_ITEMS = 10
_MOST_NAMED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class PassCurves:
    """How often one of k answers is right, and how often all k are."""

    variant: str
    any_of_k: tuple[Estimate, ...]
    """pass@k for k = 1, 2, ... up to the repeats."""
    all_of_k: tuple[Estimate, ...]
    """pass^k for the same k."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Insights:
    """What a run says beyond its verdicts, on one metric."""

    run_id: str
    metric: str
    effects: FactorialResult | None = None
    """Main effects and interactions, where variants differ in two factors or more."""
    best: BestOfMany | None = None
    """The best of three or more variants, with an interval that allows for having been picked."""
    noise: VarianceComponents | None = None
    """Where the noise of the difference (of the score, for one variant) comes from; needs repeats."""
    passes: tuple[PassCurves, ...] = ()
    """For pass/fail metrics with repeats."""
    choice: Choice = field(default_factory=Choice)
    """Probability of being better, cost of a success, the cheapest variant that is good enough."""
    juries: tuple[JuryAgreement, ...] = ()
    """Of every metric that a jury judged."""
    dead_items: tuple[str, ...] = ()
    """Ids of items on which every answer of every variant scored the same."""
    suspect_items: tuple[str, ...] = ()
    """Ids of items that weak variants pass and strong ones fail: a wrong key, or a trick question."""
    sentences: tuple[str, ...] = ()
    """All of it in words, one sentence each."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences without those of the effects, for where these stand in a table."""
        said = self.effects.sentences if self.effects is not None else ()
        return tuple(sentence for sentence in self.sentences if sentence not in said)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data; `nan` becomes null."""
        data: dict[str, Any] = {
            field: getattr(self, field) for field in ("run_id", "metric", "dead_items", "suspect_items")
        }
        data["sentences"] = list(self.sentences)
        for name in ("best", "noise"):
            value = getattr(self, name)
            data[name] = None if value is None else asdict(value)
        data["choice"] = asdict(self.choice)
        data["juries"] = [asdict(jury) for jury in self.juries]
        data["passes"] = [asdict(curves) for curves in self.passes]
        data["effects"] = None
        if self.effects is not None:
            means = [{"cell": list(cell), "mean": mean} for cell, mean in self.effects.means.items()]
            data["effects"] = {**asdict(self.effects), "means": means}  # JSON has no tuples for keys
        plain: dict[str, Any] = null_nan(to_plain(data))
        return plain


def insights(store: LocalStore, run_id: str, *, metric: str | None = None) -> Insights:
    """Look behind the verdicts of a finished run.

    A run that is not finished, or whose allocation decided along the way, has none of it: these methods look once, at
    everything.

    Args:
        store: Where the run is.
        run_id: The run.
        metric: Metric to look behind; the primary one when omitted.

    Examples:
        >>> import bakeoff
        >>> from bakeoff.experiments import insights
        >>> result = bakeoff.evaluate([{"q": "2+2", "expected": "4"}], {"a": lambda q: "4"}, ["exact_match"])
        >>> insights(result.store, result.run_id).metric
        'exact_match'
    """
    manifest = store.manifest(run_id)
    question = Question.of(manifest, baseline=None, pairs=None, alpha=None, margin=None)
    metric = metric or manifest.primary
    cube = _cube_of(store, manifest, metric)
    juries = jury_agreements(store, run_id)
    agreed = tuple(jury.sentence for jury in juries)
    if cube is None or cube.is_label:
        return Insights(run_id=run_id, metric=metric, juries=juries, sentences=agreed)
    items = item_info(store, manifest)
    if watch_of(manifest, items) is not None:
        said = "Effects of factors, pass curves and sources of noise need a finished run that tried every item."
        return Insights(run_id=run_id, metric=cube.metric, juries=juries, sentences=(said, *agreed))
    record = next((m for m in manifest.metrics if m.metric in (cube.metric, cube.metric.partition(".")[0])), None)
    direction = record.higher_is_better if record is not None else True
    effects, why_not = factor_effects(cube, manifest, items, question)
    best = _best(cube, items, question, direction)
    noise, noise_words = _noise(cube, manifest)
    passes = _passes(cube, items, question)
    points = kind_of(cube, record.score_kind if record is not None else None) in ("binary", "bounded")
    choice = choice_of(store, manifest, cube, items, question, higher_is_better=direction, points=points)
    dead, suspect = _items(cube, items, direction)
    sentences = [
        *(effects.sentences if effects is not None else [why_not] if why_not else []),
        *(effects.warnings if effects is not None else ()),
        *_unweighted(items, effects is not None, best is not None),
        *_lost_attempts(passes),
        *_mixed_samples(passes),
        *([_best_words(best, points=cube.is_binary)] if best is not None else []),
        *choice.sentences,
        *noise_words,
        *agreed,
        *_item_words(dead, suspect, len(items.ids)),
    ]
    return Insights(
        run_id=run_id,
        metric=cube.metric,
        effects=effects,
        best=best,
        noise=noise,
        passes=passes,
        choice=choice,
        juries=juries,
        dead_items=dead,
        suspect_items=suspect,
        sentences=tuple(sentences),
    )


def _cube_of(store: LocalStore, manifest: Manifest, metric: str) -> ScoreCube | None:
    found = score_cubes(store, manifest, metrics=[metric])
    if not found:  # an evaluator that names its scores itself: the first of them stands for it
        parts = score_cubes(store, manifest)
        found = {name: cube for name, cube in parts.items() if name.startswith(f"{metric}.")}
    return next(iter(found.values()), None)


def _best(cube: ScoreCube, items: ItemInfo, question: Question, direction: bool | None) -> BestOfMany | None:
    if direction is None or len(cube.variants) < 3 or np.isnan(cube.values).all(axis=(1, 2)).any():
        return None
    scores = {name: cube.of(name) for name in cube.variants}
    return best_of_many(
        scores, higher_is_better=direction, confidence=1 - question.alpha, clusters=items.clusters, rng=question.seed
    )


def _best_words(best: BestOfMany, *, points: bool) -> str:
    def value(number: float) -> str:
        return f"{100 * number:.1f}%" if points else f"{number:.3g}"

    if best.low != best.low:
        return best.sentence
    return (
        f"{best.name} is the best of {best.n_variants}: {value(best.estimate)}, {100 * best.confidence:g}% interval "
        f"{value(best.low)} to {value(best.high)} (right for whichever of the {best.n_variants} was picked)."
    )


def _noise(cube: ScoreCube, manifest: Manifest) -> tuple[VarianceComponents | None, list[str]]:
    """Split the noise of the first comparison's difference: what would more items, or more repeats, buy?"""
    if cube.values.shape[2] < 2 or cube.values.shape[1] < _FEWEST_ITEMS:
        return None, []
    base = cube.values[cube.variants.index(manifest.baseline)]
    rival = next((name for name in cube.variants if name != manifest.baseline), None)
    scores = base if rival is None else cube.values[cube.variants.index(rival)] - base
    found = variance_components(scores)
    if found.reason is not None:
        return None, []
    what = "the score" if rival is None else f"the difference of {rival} and {manifest.baseline}"
    return found, [f"Noise of {what}: {found.advice[0].lower()}{found.advice[1:]}", *found.warnings]


def _passes(cube: ScoreCube, items: ItemInfo, question: Question) -> tuple[PassCurves, ...]:
    if not cube.is_binary or cube.values.shape[2] < 2:
        return ()

    def curve(variant: str, rule: str) -> tuple[Estimate, ...]:
        scores = cube.values[cube.variants.index(variant)]
        return pass_curve(
            scores,
            rule="any" if rule == "any" else "all",
            weights=items.weights,
            clusters=items.clusters,
            confidence=1 - question.alpha,
        )

    return tuple(
        PassCurves(variant=name, any_of_k=curve(name, "any"), all_of_k=curve(name, "all")) for name in cube.variants
    )


def _items(cube: ScoreCube, items: ItemInfo, direction: bool | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return items that cannot tell variants apart, and those that tell them apart the wrong way round."""
    variants, n_items, repeats = cube.values.shape
    subjects = cube.values.transpose(0, 2, 1).reshape(variants * repeats, n_items)
    if variants < 2 or n_items < _FEWEST_ITEMS:
        return (), ()
    found = item_analysis(subjects if direction is not False else -subjects)
    complete = ~np.isnan(subjects).any(axis=0)
    names = items.ids.astype(str)
    dead = tuple(names[found.dead & complete].tolist())
    return dead, tuple(names[found.suspect].tolist()) if variants * repeats >= _FEWEST_ITEMS else ()


def _unweighted(items: ItemInfo, effects: bool, best: bool) -> list[str]:
    parts = [*(["effects of factors"] if effects else []), *(["the best variant's interval"] if best else [])]
    if items.weights is None or not parts:
        return []
    said = " and ".join(parts)
    return [
        f"{said[0].upper()}{said[1:]} count every item the same, whatever its weight; the comparisons use the weights."
    ]


def _lost_attempts(passes: tuple[PassCurves, ...]) -> list[str]:
    """Say where pass@k rests on fewer items, since those with fewer than k answers are left out."""
    said: list[str] = []
    for curves in passes:
        first, last = curves.any_of_k[0], curves.any_of_k[-1]
        if last.n < first.n:
            k = len(curves.any_of_k)
            said.append(
                f"pass@{k} of {curves.variant} rests on the {last.n:,} of {first.n:,} items with {k} answers: it need "
                "not be above pass@k for a smaller k."
            )
    return said


def _mixed_samples(passes: tuple[PassCurves, ...]) -> list[str]:
    """Say how often the samples of one item disagree: what one of k gets right, less what all k get right."""
    if not passes or len(passes[0].any_of_k) < 2:
        return []
    mixed = {one.variant: one.any_of_k[-1].estimate - one.all_of_k[-1].estimate for one in passes}
    told = [f"with {variant} on {100 * share:.0f}%" for variant, share in mixed.items() if share > 0]
    if not told:
        return []
    listed = told[0] if len(told) == 1 else f"{', '.join(told[:-1])} and {told[-1]}"
    k = len(passes[0].any_of_k)
    return [f"Of {k} answers to the same item some are right and some wrong: {listed} of the items."]


def _item_words(dead: tuple[str, ...], suspect: tuple[str, ...], n_items: int) -> list[str]:
    said: list[str] = []
    if dead and len(dead) >= n_items / 5:
        said.append(
            f"{len(dead):,} of {n_items:,} items tell nothing about differences: every answer to them scored the same. "
            "Harder (or easier) items in their place would make the comparison sharper at no cost."
        )
    if suspect:
        what = "items" if len(suspect) > 1 else "item"
        more = f" and {len(suspect) - _MOST_NAMED} more" if len(suspect) > _MOST_NAMED else ""
        said.append(
            f"Look at the expected answer of {what} {', '.join(suspect[:_MOST_NAMED])}{more}: what is weak elsewhere "
            "passes there, and what is strong fails."
        )
    return said
