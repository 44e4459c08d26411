"""Variants compared in pairs on one metric, with plain or always-valid methods, and the winner confirmed."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from math import nan
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.experiments.analysis._answer import Comparison, MetricAnalysis
from bakeoff.experiments.analysis._cube import ItemInfo, ScoreCube
from bakeoff.experiments.analysis._scores import stat_kind
from bakeoff.experiments.analysis._watched import Watch, watched_differences
from bakeoff.experiments.analysis._wording import comparison_words, verdict_label
from bakeoff.stats import Difference, adjust, compare, decide

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from bakeoff.experiments.analysis._question import Question
    from bakeoff.experiments.store._manifest import Manifest
    from bakeoff.stats import Kind

__all__ = ["comparisons_of", "confirmation_of"]


def comparisons_of(
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
            kind=decided_as if watch.adaptive else stat_kind(kind),  # as the allocation did: its decisions stand
            alpha=plan.alpha,
            alternative=plan.alternative,
            margin=plan.margin,
            higher_is_better=higher_is_better,
            share=share,
        )
        seen = replace(cube, values=cube.values[:, watch.searched])
        return tuple(
            _row(seen, candidate, baseline, replace(difference, kind=stat_kind(kind)), direction)
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
        kind=stat_kind(kind),
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


def confirmation_of(
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
