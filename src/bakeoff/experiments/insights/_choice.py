"""What to choose: how probably a variant is better, what a success costs, the cheapest that is good enough."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan, nan
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.experiments.insights._tradeoffs import cost_by_item
from bakeoff.stats import bayes_paired_binary, bayes_scores, cheapest_within, cost_per_success

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bakeoff.experiments.analysis._cube import ItemInfo, ScoreCube
    from bakeoff.experiments.analysis._question import Question
    from bakeoff.experiments.store._manifest import Manifest
    from bakeoff.experiments.store._store import LocalStore
    from bakeoff.stats import BayesComparison, CheapestResult, Estimate

    Float = NDArray[np.float64]

__all__ = ["Choice", "Probability", "choice_of"]

_FEWEST = 10
_PRIOR_SPREAD = 0.1
"""Standard deviation of true differences of scores in [0, 1] before the data: most prompts differ by a few points."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probability:
    """One variant against the baseline, read the Bayesian way."""

    variant: str
    baseline: str
    reading: BayesComparison
    """Its `p_better` is the probability that the variant is the better one, whichever direction is better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What bears on choosing a variant."""

    probabilities: tuple[Probability, ...] = ()
    success_costs: tuple[tuple[str, Estimate], ...] = ()
    """USD for one success, by variant, failed attempts paid for."""
    cheapest: CheapestResult | None = None
    """The cheapest variant shown to be within the declared margin of the best."""
    sentences: tuple[str, ...] = ()


def choice_of(
    store: LocalStore,
    manifest: Manifest,
    cube: ScoreCube,
    items: ItemInfo,
    question: Question,
    *,
    higher_is_better: bool | None,
    points: bool,
) -> Choice:
    """Work out what bears on the choice; parts that the run does not allow are left out.

    Args:
        store: Where the run is.
        manifest: The run.
        cube: Scores of the primary metric.
        items: Clusters and weights.
        question: What was declared.
        higher_is_better: Direction of the metric; nothing is worked out without one.
        points: Whether scores are on the scale from 0 to 1, rather than numbers that happen to lie there.
    """
    if higher_is_better is None:
        return Choice()
    probabilities = _probabilities(cube, items, question, higher_is_better=higher_is_better, points=points)
    costs = cost_by_item(store, manifest, items=cube.values.shape[1])
    priced = bool(np.nansum(costs) > 0) and not np.isnan(costs).all(axis=1).any()
    success = _success_costs(cube, costs, items, question) if priced and cube.is_binary and higher_is_better else ()
    cheapest = _cheapest(cube, costs, items, question, higher_is_better=higher_is_better) if priced else None
    return Choice(
        probabilities=probabilities,
        success_costs=success,
        cheapest=cheapest,
        sentences=(
            *_probability_words(probabilities, points=points),
            *((cheapest.reason,) if cheapest is not None else ()),
        ),
    )


def _means(values: Float) -> Float:
    counted = (~np.isnan(values)).sum(axis=-1)
    return np.divide(np.nansum(values, axis=-1), counted, out=np.full(counted.shape, nan), where=counted > 0)


def _probabilities(
    cube: ScoreCube, items: ItemInfo, question: Question, *, higher_is_better: bool, points: bool
) -> tuple[Probability, ...]:
    """Read each comparison with the baseline; clusters and weights have no such reading here."""
    if items.clusters is not None or items.weights is not None:
        return ()
    sign = 1 if higher_is_better else -1
    means = sign * _means(cube.values)
    base = means[cube.variants.index(question.baseline)]
    once = cube.is_binary and cube.values.shape[2] == 1
    found: list[Probability] = []
    for place, name in enumerate(cube.variants):
        gaps = means[place] - base
        gaps = gaps[~np.isnan(gaps)]
        if name == question.baseline or len(gaps) < _FEWEST:
            continue
        confidence = 1 - question.alpha
        if once:
            wins, losses = int((gaps > 0).sum()), int((gaps < 0).sum())
            reading = bayes_paired_binary(
                len(gaps) - wins - losses, wins, losses, 0, confidence=confidence, rng=question.seed
            )
        else:
            spread = float(gaps.std(ddof=1))
            prior = _PRIOR_SPREAD if points else spread / 2
            if not prior > 0:
                continue
            reading = bayes_scores(gaps, prior_sd=prior, confidence=confidence)
        if not isnan(reading.p_better):
            found.append(Probability(variant=name, baseline=question.baseline, reading=reading))
    return tuple(found)


def _probability_words(probabilities: tuple[Probability, ...], *, points: bool) -> list[str]:
    if not probabilities:
        return []
    best = max(probabilities, key=lambda entry: entry.reading.estimate)
    reading, scale = best.reading, 100 if points else 1
    unit = " points" if points else ""
    losses = (reading.loss_if_candidate, reading.loss_if_baseline)
    chosen, kept = (f"{scale * loss:.2g}{unit}" if loss > max(losses) / 1e4 else "next to nothing" for loss in losses)
    said = (
        f"Read the Bayesian way: {best.variant} is better than {best.baseline} with probability "
        f"{_chance(reading.p_better)}; the expected loss is {chosen} if {best.variant} is chosen and {kept} if "
        f"{best.baseline} is kept. A description, not a rule for stopping early."
    )
    return [said]


def _chance(p: float) -> str:
    return ">99.9%" if p > 0.999 else "<0.1%" if p < 0.001 else f"{100 * p:.1f}%" if p > 0.99 else f"{100 * p:.0f}%"


def _success_costs(
    cube: ScoreCube, costs: Float, items: ItemInfo, question: Question
) -> tuple[tuple[str, Estimate], ...]:
    quality = _means(cube.values)
    found: list[tuple[str, Estimate]] = []
    for place, name in enumerate(cube.variants):
        known = ~np.isnan(quality[place]) & ~np.isnan(costs[place])
        if known.sum() < _FEWEST:
            continue
        estimate = cost_per_success(
            costs[place][known],
            quality[place][known],
            weights=None if items.weights is None else items.weights[known],
            clusters=None if items.clusters is None else items.clusters[known],
            confidence=1 - question.alpha,
        )
        found.append((name, estimate))
    return tuple(found)


def _cheapest(
    cube: ScoreCube, costs: Float, items: ItemInfo, question: Question, *, higher_is_better: bool
) -> CheapestResult | None:
    if question.margin is None or len(cube.variants) < 2 or items.weights is not None:
        return None  # it counts every item the same
    quality = _means(cube.values) * (1 if higher_is_better else -1)
    try:
        return cheapest_within(
            quality, costs, margin=question.margin, variants=cube.variants, clusters=items.clusters,
            alpha=question.alpha, rng=question.seed,
        )  # fmt: skip
    except StatsError:
        return None  # a variant without any score or price
