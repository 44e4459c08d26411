"""What a careful reader must know before believing a run."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from bakeoff._arrow import floats
from bakeoff.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bakeoff.experiments.analysis._answer import Resources
    from bakeoff.experiments.analysis._cube import ItemInfo, ScoreCube
    from bakeoff.experiments.analysis._escalated import Escalated
    from bakeoff.experiments.store._manifest import Manifest
    from bakeoff.experiments.store._store import LocalStore

__all__ = ["duplicate_warnings", "health_warnings", "unweighted_warning", "version_warnings"]

_FEW_ITEMS = 30
_MANY_COPIES = 0.05
"""Share of items that ask what another one asks, from which on it is said."""


def health_warnings(
    manifest: Manifest,
    cubes: Mapping[str, ScoreCube],
    resources: Sequence[Resources],
    escalated: Sequence[Escalated],
) -> tuple[str, ...]:
    """Return warnings in plain words, the most serious first."""
    warnings: list[str] = []
    if manifest.is_simulated:
        warnings.append("Simulated models answered: these numbers show how Bakeoff works, not how any real model does.")
    if manifest.status in ("running", "interrupted", "partial"):
        done = sum(entry.trials for entry in resources)
        why = f" ({manifest.stopped_because})" if manifest.stopped_because else ""
        state = {"running": "is still running", "interrupted": "was interrupted", "partial": "was stopped early"}
        warnings.append(
            f"The run {state[manifest.status]}{why}: {done} of {manifest.planned_trials} trials. "
            "Intervals and tests are always valid meanwhile, and wider than those of a complete run."
        )
    warnings += _failures(resources)
    warnings += _guarded(resources)
    warnings += [f"{note[0].upper()}{note[1:]}." for note in manifest.notes if note]
    warnings += _escalated(manifest, escalated)
    warnings += _unscored(manifest, cubes, resources)
    if manifest.dataset_items < _FEW_ITEMS:
        count = "1 item" if manifest.dataset_items == 1 else f"{manifest.dataset_items} items"
        warnings.append(f"Only {count}: expect to see large differences only.")
    warnings += _copies(manifest, cubes)
    return tuple(warnings)


def duplicate_warnings(store: LocalStore, manifest: Manifest, items: ItemInfo) -> tuple[str, ...]:
    """Say when items ask the same twice: each copy counts as an item of its own, and makes intervals too narrow.

    Not where items have clusters, and not for recorded answers, which need no inputs.
    """
    if items.clusters is not None or all(variant.kind == "recorded" for variant in manifest.variants):
        return ()
    try:
        table = store.items(manifest.run_id, columns=["inputs", "expected"])
    except StoreError:
        return ()  # the data set is no longer there
    copies = table.num_rows - table.group_by(["inputs", "expected"]).aggregate([]).num_rows
    if copies < _MANY_COPIES * table.num_rows or not copies:
        return ()
    asked = f"{copies:,} of {table.num_rows:,} items ask what another item asks (the same inputs and expected answer)"
    return (f"{asked}: each counts as one more, so intervals are too narrow. Drop copies, or give them one `cluster`.",)


def unweighted_warning(items: ItemInfo) -> tuple[str, ...]:
    """Say what always-valid numbers count the same, where weights or sizes of clusters differ."""
    found: list[str] = []
    if items.weights is not None and np.ptp(items.weights) > 0:
        found.append(
            "Items carry weights, which always-valid methods do not use: scores and verdicts here count every item "
            "the same, and can differ from those of the complete run."
        )
    if items.clusters is not None and np.ptp(np.unique(items.clusters, return_counts=True)[1]) > 0:
        found.append(
            "Always-valid methods count every cluster the same, whatever its size: scores here can differ from those "
            "of a complete run with a fixed allocation, where every item counts the same."
        )
    return tuple(found)


def version_warnings(store: LocalStore, manifest: Manifest) -> tuple[str, ...]:
    """Say which metrics hold scores of several versions of their evaluator: a trial may differ only in its ruler."""
    table = store.scores(manifest.run_id, columns=["metric", "version"])
    columns = [table.column(name).combine_chunks().dictionary_encode() for name in ("metric", "version")]
    metrics, versions = (column.dictionary.to_pylist() for column in columns)
    metric_codes, version_codes = (np.nan_to_num(floats(column.indices), nan=-1.0) for column in columns)
    known = (metric_codes >= 0) & (version_codes >= 0)
    found: dict[str, set[str]] = {}
    for code in np.unique(metric_codes[known] * len(versions) + version_codes[known]).astype(np.int64).tolist():
        metric, version = divmod(code, len(versions))
        if versions[version]:
            found.setdefault(metrics[metric], set()).add(versions[version])
    return tuple(
        f"The scores of {name} come from {len(several)} versions of its evaluator "
        f"({', '.join(sorted(several)[:4])}): score all answers again with `bakeoff score`."
        for name, several in sorted(found.items())
        if len(several) > 1
    )


def _failures(resources: Sequence[Resources]) -> list[str]:
    failed = {entry.variant: entry.failed / entry.trials for entry in resources if entry.trials and entry.failed}
    if not failed:
        return []
    said = ", ".join(f"{name} {100 * share:.1f}%" for name, share in failed.items())
    text = f"Failed trials are missing, not zero: {said}."
    counts = np.array([[entry.failed, entry.trials - entry.failed] for entry in resources if entry.trials], dtype=float)
    if len(counts) > 1 and _unequal(counts):
        text += " The variants fail at different rates, so the items that remain may favour one of them."
    samples = {kind: message for entry in resources for kind, message in entry.error_samples.items()}
    totals = {kind: sum(entry.errors.get(kind, 0) for entry in resources) for kind in samples}
    for kind, count in sorted(totals.items(), key=lambda pair: -pair[1])[:3]:
        first = samples[kind].splitlines()[0][:200] if samples[kind] else "no message"
        text += f" {count} x {kind}, for instance: {first}."
    return [text]


def _guarded(resources: Sequence[Resources]) -> list[str]:
    said = [
        f"{entry.variant} {', '.join(f'{count} x {what}' for what, count in entry.guarded.items())}"
        for entry in resources
        if entry.guarded
    ]
    if not said:
        return []
    return [f"Guards acted, and the scores are those of the guarded answers: {'; '.join(said)}."]


def _escalated(manifest: Manifest, escalated: Sequence[Escalated]) -> list[str]:
    if not escalated:
        return []
    counts = ", ".join(f"{count} by {name}" for name, count in Counter(one.metric for one in escalated).items())
    return [f"Answers wait for a person: {counts}. `bakeoff label {manifest.run_id}` and the Label page show them."]


def _unequal(counts: np.ndarray) -> bool:
    """Chi-square test of equal failure rates at 1%."""
    from bakeoff.stats import chi_square_homogeneity

    return chi_square_homogeneity(counts).p_value < 0.01


def _unscored(manifest: Manifest, cubes: Mapping[str, ScoreCube], resources: Sequence[Resources]) -> list[str]:
    answered = sum(entry.trials - entry.failed for entry in resources)
    warnings: list[str] = []
    for name, cube in cubes.items():
        if cube.is_label:
            continue
        lacking = answered - int((~np.isnan(cube.values)).sum())
        if lacking > 0:
            text = f"{lacking} answered trials have no score for {name}: they are missing, not zero."
            if _scored_unequally(cube):
                text += " The variants lack scores at different rates, so what remains may favour one of them."
            if cube.sample_error:
                what, _, fix = cube.sample_error.partition("\n    fix: ")
                text += f" For instance: {what.splitlines()[0][:300]}."
                if fix:
                    text += f" Fix: {fix.splitlines()[0][:200]}."
            warnings.append(text)
    return warnings


def _scored_unequally(cube: ScoreCube) -> bool:
    lacking = np.isnan(cube.values).sum(axis=(1, 2)).astype(float)
    counts = np.stack([lacking, cube.values[0].size - lacking], axis=1)
    return len(counts) > 1 and bool(lacking.any()) and _unequal(counts)


def _copies(manifest: Manifest, cubes: Mapping[str, ScoreCube]) -> list[str]:
    cube = cubes.get(manifest.primary)
    if manifest.repeats < 3 or cube is None or cube.is_binary:
        return []
    spread = np.nanmax(cube.values, axis=2, initial=-np.inf) - np.nanmin(cube.values, axis=2, initial=np.inf)
    if np.isfinite(spread).any() and not np.nanmax(np.where(np.isfinite(spread), spread, 0.0)):
        return ["All repeats of every item scored the same: repeats bought no information (a cache in between?)."]
    return []
