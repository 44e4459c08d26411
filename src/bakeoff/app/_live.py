"""What can be said while a run is going on: intervals that hold at every look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.errors import BakeoffError
from bakeoff.experiments import item_info, score_cubes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bakeoff.experiments import LocalStore, Manifest, ScoreCube
    from bakeoff.stats import SequentialResult

__all__ = ["RunningComparison", "running_comparisons"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningComparison:
    """One variant against the baseline, as far as both have answered."""

    candidate: str
    baseline: str
    n_items: int
    """Items with all repeats of both scored."""
    result: SequentialResult | None
    reason: str = ""
    """Why there is no result."""


def running_comparisons(store: LocalStore, manifest: Manifest) -> list[RunningComparison]:
    """Compare every variant with the baseline on the items that both have finished.

    The intervals are always-valid and share the error rate over the comparisons (Bonferroni): together they hold at
    every moment, however often somebody looks.
    """
    cube = score_cubes(store, manifest, metrics=[manifest.primary]).get(manifest.primary)
    others = [name for name in manifest.variant_names if name != manifest.baseline]
    if cube is None or cube.is_label:
        reason = "the primary metric is a label" if cube is not None else "no scores yet"
        return [
            RunningComparison(candidate=name, baseline=manifest.baseline, n_items=0, result=None, reason=reason)
            for name in others
        ]
    try:
        clusters = item_info(store, manifest).clusters
    except BakeoffError:
        clusters = None
    return [_compare(cube, manifest, name, clusters, family=len(others)) for name in others]


def _compare(
    cube: ScoreCube, manifest: Manifest, candidate: str, clusters: NDArray[np.int64] | None, *, family: int
) -> RunningComparison:
    from bakeoff.stats import SequentialComparison, SequentialConfig

    plan = manifest.spec.get("analysis", {})
    info = next((entry for entry in manifest.metrics if entry.metric == cube.metric), None)
    one = cube.values[cube.variants.index(candidate)]
    two = cube.values[cube.variants.index(manifest.baseline)]
    both = ~np.isnan(one).any(axis=1) & ~np.isnan(two).any(axis=1)
    n_items = int(both.sum())
    present = cube.values[~np.isnan(cube.values)]
    bounded = bool(present.size) and float(present.min()) >= 0 and float(present.max()) <= 1
    declared = info.score_kind if info is not None else None
    kind = "binary" if cube.is_binary else "bounded" if bounded and declared in ("binary", "bounded") else "continuous"
    try:
        config = SequentialConfig(
            kind="binary" if kind == "binary" else "bounded" if kind == "bounded" else "continuous",
            alpha=float(plan.get("alpha", 0.05)) / max(1, family),
            margin=plan.get("margin"),
            planned_n=max(2, manifest.dataset_items),
            repeats=manifest.repeats,
            clustered=clusters is not None,
            higher_is_better=info is None or info.higher_is_better is not False,
        )
        result = SequentialComparison(config).update(
            _flat(one[both]), _flat(two[both]), clusters=None if clusters is None else clusters[: len(both)][both]
        )
    except BakeoffError as problem:
        return RunningComparison(
            candidate=candidate, baseline=manifest.baseline, n_items=n_items, result=None, reason=str(problem)
        )
    return RunningComparison(
        candidate=candidate, baseline=manifest.baseline, n_items=n_items, result=result, reason=result.reason or ""
    )


def _flat(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    return scores[:, 0] if scores.shape[1] == 1 else scores
