"""Comparisons that stay right although somebody, or an allocation, looked at them while they grew."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from bakeoff.experiments.analysis._order import batches, dispatch_order, hold_out
from bakeoff.experiments.analysis._sequential import sequential_config
from bakeoff.experiments.spec._spec import AllocationSpec
from bakeoff.stats import (
    Estimate,
    SequentialComparison,
    asymptotic_confidence_sequence,
    beta_binomial_confidence_sequence,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bakeoff.experiments.analysis._cube import ItemInfo, ScoreCube
    from bakeoff.experiments.store._manifest import Manifest
    from bakeoff.stats import Difference, Kind

__all__ = ["Watch", "watch_of", "watched_differences", "watched_estimate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """How a run was dispatched, as far as inference must know it."""

    searched: NDArray[np.int64]
    """Items in dispatch order, without those held out."""
    held_out: NDArray[np.int64]
    looks: list[NDArray[np.int64]]
    """Batches between looks."""
    adaptive: bool
    """Whether an allocation decided; otherwise the run is only unfinished."""
    method: str = "fixed"


def watch_of(manifest: Manifest, items: ItemInfo) -> Watch | None:
    """Return how a run was dispatched when plain intervals would not be right for it, else `None`.

    That is when an allocation decided while it ran, and when it is not finished: whoever reads it is looking early.
    """
    allocation = AllocationSpec.model_validate(manifest.spec.get("allocation", {}))
    adaptive = allocation.method != "fixed"
    if not adaptive and manifest.status == "complete":
        return None
    seed = int(manifest.spec.get("seed", 0))
    order = dispatch_order(items.ids.tolist(), items.clusters, seed)
    searched, held_out = hold_out(order, items.clusters, allocation.confirm if adaptive else 0.0)
    looks = [searched]
    if allocation.method in ("sequential", "racing"):
        size, first = allocation.sizes(len(searched))
        looks = batches(searched, items.clusters, size=size, first=first)
    return Watch(searched=searched, held_out=held_out, looks=looks, adaptive=adaptive, method=allocation.method)


def watched_differences(
    cube: ScoreCube,
    pairs: Sequence[tuple[str, str]],
    watch: Watch,
    items: ItemInfo,
    *,
    kind: Kind,
    alpha: float,
    alternative: Literal["two-sided", "greater", "less"],
    margin: float | None,
    higher_is_better: bool,
    share: float = 1.0,
) -> list[Difference]:
    """Compare pairs with always-valid methods; this metric's share of the level is split between them (Bonferroni)."""
    config = sequential_config(
        kind=kind,
        alpha=alpha * share,
        comparisons=len(pairs),
        planned_n=len(watch.searched),
        repeats=cube.values.shape[2],
        clustered=items.clusters is not None,
        alternative=alternative,
        margin=margin,
        higher_is_better=higher_is_better,
    )
    found: list[Difference] = []
    for candidate, baseline in pairs:
        left, right = cube.values[cube.variants.index(candidate)], cube.values[cube.variants.index(baseline)]
        comparison = SequentialComparison(config)
        result = comparison.result()
        for look in watch.looks:
            both = ~(np.isnan(left[look]).all(axis=1) | np.isnan(right[look]).all(axis=1))
            rows = look[both]
            if not len(rows):
                continue
            clusters = None if items.clusters is None else items.clusters[rows]
            result = comparison.update(left[rows], right[rows], clusters=clusters)
        found.append(replace(result, p_adjusted=min(1.0, result.p_value * len(pairs) / share)))
    return found


def watched_estimate(
    scores: NDArray[np.float64], watch: Watch, items: ItemInfo, *, kind: Kind, alpha: float
) -> Estimate:
    """Estimate one variant with an interval that may be read at any time."""
    ordered = scores[watch.searched]
    rows = ordered if ordered.ndim == 2 else ordered[:, None]
    counted = (~np.isnan(rows)).sum(axis=1)
    means = np.divide(np.nansum(rows, axis=1), counted, out=np.full(len(rows), np.nan), where=counted > 0)
    if items.clusters is not None:
        means = _by_cluster(means, items.clusters[watch.searched])
    means = means[~np.isnan(means)]
    if kind == "binary" and rows.shape[1] == 1 and items.clusters is None:
        return beta_binomial_confidence_sequence([means.sum()], [len(means)], confidence=1 - alpha).last()
    sequence = asymptotic_confidence_sequence(means, planned_n=max(2, len(watch.searched)), confidence=1 - alpha)
    estimate = sequence.last()
    if kind == "continuous":
        return estimate
    return replace(estimate, low=max(0.0, estimate.low), high=min(1.0, estimate.high))


def _by_cluster(means: NDArray[np.float64], clusters: NDArray[np.int64]) -> NDArray[np.float64]:
    _, codes = np.unique(clusters, return_inverse=True)
    present = ~np.isnan(means)
    sizes = np.bincount(codes, present)
    totals = np.bincount(codes, np.where(present, means, 0.0))
    return np.divide(totals, sizes, out=np.full(len(sizes), np.nan), where=sizes > 0)
