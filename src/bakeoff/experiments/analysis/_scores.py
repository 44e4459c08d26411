"""The score of each variant on one metric, and which variants cannot be told from the best."""

from __future__ import annotations

from dataclasses import replace
from math import isnan, nan
from typing import TYPE_CHECKING, Literal

import numpy as np

from bakeoff.experiments.analysis._answer import VariantScore
from bakeoff.experiments.analysis._watched import Watch, watched_estimate
from bakeoff.stats import Estimate, summarize, tied_set

if TYPE_CHECKING:
    from bakeoff.experiments.analysis._cube import ItemInfo, ScoreCube
    from bakeoff.experiments.analysis._question import Question
    from bakeoff.stats import Kind

__all__ = ["kind_of", "stat_kind", "tied_variants", "variant_scores"]

_MOST_TIED = 1_000_000
"""Variants x items up to which the tied set is worked out: it takes about a second there."""


def tied_variants(cube: ScoreCube, items: ItemInfo, plan: Question, direction: bool | None) -> tuple[str, ...]:
    """Return the variants that are statistically indistinguishable from the best; none where items carry weights.

    The set counts every item the same, and could contradict the scores and verdicts beside it.
    """
    if direction is None or cube.is_label or len(cube.variants) < 3 or cube.values[:, :, 0].size > _MOST_TIED:
        return ()
    if items.weights is not None:
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


def kind_of(cube: ScoreCube, declared: str | None) -> Literal["binary", "bounded", "continuous", "label"]:
    if cube.is_label:
        return "label"
    if cube.is_binary:
        return "binary"
    present = cube.values[~np.isnan(cube.values)]
    if declared in ("binary", "bounded") and present.size and present.min() >= 0 and present.max() <= 1:
        return "bounded"
    return "continuous"


def variant_scores(
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
            estimate = watched_estimate(cube.of(variant), watch, items, kind=stat_kind(kind), alpha=plan.alpha)
        else:
            estimate = summarize(
                scores, kind=stat_kind(kind), clusters=items.clusters, weights=items.weights, confidence=1 - plan.alpha
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


def stat_kind(kind: str) -> Kind:
    return "binary" if kind == "binary" else "bounded" if kind == "bounded" else "continuous"
