"""Compare two runs item by item: the same variant then and now, or one variant of each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.errors import SpecError
from bakeoff.experiments.analysis._analysis import analyse_cubes
from bakeoff.experiments.analysis._cube import ItemInfo, ScoreCube, item_info, score_cubes
from bakeoff.experiments.spec._spec import AllocationSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.experiments.analysis._answer import Analysis
    from bakeoff.experiments.store._manifest import Manifest
    from bakeoff.experiments.store._store import LocalStore

__all__ = ["analyse_two"]


def analyse_two(
    store: LocalStore,
    baseline_run: str,
    candidate_run: str,
    *,
    metric: str | None = None,
    alpha: float | None = None,
    margin: float | None = None,
    pairs: Sequence[tuple[str, str]] | None = None,
) -> Analysis:
    """Compare the variants of a run with those of an earlier one, on the items that both have.

    A variant that both runs have is compared with itself; where they share none, each run's baseline variant is.

    Args:
        store: Where the runs are.
        baseline_run: The earlier run.
        candidate_run: The later run.
        metric: Metric to compare on; the earlier run's primary when omitted.
        alpha: Level, instead of the declared one.
        margin: Largest difference that does not matter, instead of the declared one.
        pairs: (variant of the earlier run, variant of the later one) to compare, instead of those that both have.

    Raises:
        SpecError: The runs share no item or no metric, or a run does not have a variant.
    """
    first, second = store.manifest(baseline_run), store.manifest(candidate_run)
    name = metric or _deciding(store, first)
    cubes = [score_cubes(store, manifest, metrics=[name]) for manifest in (first, second)]
    for manifest, found in zip((first, second), cubes, strict=True):
        if name not in found:
            raise SpecError(f"the run {manifest.run_id!r} has no metric {name!r}")
    infos = [item_info(store, manifest) for manifest in (first, second)]
    shared, left, right = np.intersect1d(
        infos[0].ids.astype(str), infos[1].ids.astype(str), assume_unique=True, return_indices=True
    )
    if not len(shared):
        raise SpecError(f"{baseline_run!r} and {candidate_run!r} have no item in common (ids are compared)")
    pairs = _pairs(first, second) if pairs is None else _known(first, second, pairs)
    one, two = cubes[0][name], cubes[1][name]
    repeats = max(one.values.shape[2], two.values.shape[2])
    labels: list[str] = []
    layers: list[np.ndarray] = []
    for before, after in pairs:
        labels += [f"{before} (before)", f"{after} (after)"]
        layers.append(_padded(one.values[one.variants.index(before)][left], repeats))
        layers.append(_padded(two.values[two.variants.index(after)][right], repeats))
    cube = ScoreCube(
        metric=name,
        variants=tuple(labels),
        values=np.stack(layers),
        is_binary=one.is_binary and two.is_binary,
        is_label=one.is_label or two.is_label,
    )
    info = infos[0]
    items = ItemInfo(
        ids=info.ids[left],
        clusters=None if info.clusters is None else info.clusters[left],
        weights=None if info.weights is None else info.weights[left],
    )
    analysis = analyse_cubes(
        store,
        second,
        cube,
        items,
        pairs=[(labels[2 * index + 1], labels[2 * index]) for index in range(len(pairs))],
        alpha=alpha,
        margin=margin,
    )
    told = (*_early(first, second), *_differences(first, second, name, len(shared)))
    return replace(analysis, warnings=(*told, *analysis.warnings))


def _deciding(store: LocalStore, run: Manifest) -> str:
    """Return the metric that decides as the scores name it: of an evaluator with several scores, the first."""
    if run.primary in score_cubes(store, run, metrics=[run.primary]):
        return run.primary
    return next((name for name in score_cubes(store, run) if name.startswith(f"{run.primary}.")), run.primary)


def _pairs(first: Manifest, second: Manifest) -> list[tuple[str, str]]:
    shared = [name for name in first.variant_names if name in second.variant_names]
    return [(name, name) for name in shared] or [(first.baseline, second.baseline)]


def _known(first: Manifest, second: Manifest, pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    for run, names in ((first, [before for before, _ in pairs]), (second, [after for _, after in pairs])):
        lost = next((name for name in names if name not in run.variant_names), None)
        if lost is not None:
            raise SpecError(
                f"the run {run.run_id!r} has no variant {lost!r}; it has {', '.join(map(repr, run.variant_names))}"
            )
    return list(dict.fromkeys(pairs))


def _padded(scores: np.ndarray, repeats: int) -> np.ndarray:
    missing = repeats - scores.shape[1]
    return np.pad(scores, ((0, 0), (0, missing)), constant_values=np.nan) if missing else scores


def _early(first: Manifest, second: Manifest) -> list[str]:
    """Say where plain intervals promise too much: a run that is not finished, or that decided what to run."""
    notes: list[str] = []
    for run in (first, second):
        method = AllocationSpec.model_validate(run.spec.get("allocation", {})).method
        if method != "fixed":
            notes.append(
                f"The allocation of {run.run_id} ({method}) decided from the scores which trials to run: intervals and "
                "tests between two runs do not allow for that, and promise too much."
            )
        elif run.status != "complete":
            notes.append(
                f"The run {run.run_id} is not finished ({run.status}): intervals and tests between two runs are not "
                "made to be watched while one grows."
            )
    return notes


def _differences(first: Manifest, second: Manifest, metric: str, shared: int) -> list[str]:
    """Say what else changed between the runs."""
    notes: list[str] = []
    if first.dataset_version != second.dataset_version:
        notes.append(
            f"The data differ ({first.dataset_version[:12]} and {second.dataset_version[:12]}): "
            f"compared on the {shared:,} items whose ids both have."
        )
    versions = [next((m.version for m in run.metrics if m.metric == metric), "") for run in (first, second)]
    if versions[0] != versions[1]:
        notes.append(f"The evaluator of {metric} changed (version {versions[0]} to {versions[1]}).")
    before = {variant.name: variant for variant in first.variants}
    for variant in second.variants:
        old = before.get(variant.name)
        if old is not None and old.prompt_version != variant.prompt_version:
            notes.append(f"The prompt of {variant.name} changed ({old.prompt_version} to {variant.prompt_version}).")
        if old is not None and old.model != variant.model:
            notes.append(f"The model of {variant.name} changed ({old.model} to {variant.model}).")
    return notes
