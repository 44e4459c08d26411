"""What a run observed, item by item: the one shape that gates, baselines, monitors and calibration work on."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bakeoff.errors import SpecError
from bakeoff.experiments import item_info, score_cubes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from bakeoff.experiments import LocalStore, Manifest
    from bakeoff.stats import Kind

    Float = NDArray[np.float64]

__all__ = ["RESOURCES", "Alignment", "MetricFacts", "Observations", "VariantFacts", "align", "observe"]

RESOURCES: dict[str, str] = {
    "cost_usd": "USD",
    "latency_ms": "ms",
    "ttft_ms": "ms",
    "input_tokens": "tokens",
    "output_tokens": "tokens",
}
"""What a trial takes, by name, with its unit. Less is better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricFacts:
    """What is known of a metric beside its values."""

    version: str
    """Of the evaluator; empty for what a trial takes."""
    kind: Kind
    is_label: bool = False
    higher_is_better: bool | None = True
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantFacts:
    """What a variant was made of."""

    prompt_version: str | None = None
    model: str | None = None
    levels: Mapping[str, Any] = field(default_factory=dict)
    answered_by: Mapping[str, int] = field(default_factory=dict)
    """Trials by the model name that the provider gave back."""
    fingerprints: Mapping[str, int] = field(default_factory=dict)
    """Trials by the system fingerprint that the provider gave back."""
    errors: Mapping[str, int] = field(default_factory=dict)
    """Failed trials by the kind of error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """Scores and resources of one run."""

    run_id: str
    experiment: str
    created_at: str
    status: str
    stopped_because: str | None = None
    dataset: str
    dataset_version: str
    primary: str
    baseline: str
    """Variant that the others of the same run are compared with."""
    repeats: int
    variants: Mapping[str, VariantFacts]
    metrics: Mapping[str, MetricFacts]
    ids: NDArray[np.object_]
    hashes: NDArray[np.object_]
    """Of inputs and expected value, for each item."""
    clusters: NDArray[np.int64] | None
    weights: Float | None
    values: Mapping[str, Float]
    """Metric to scores of shape (variants, items, repeats); `nan` is missing."""
    ran: NDArray[np.bool_]
    """Which trials have an outcome, answered or failed; shape (variants, items, repeats)."""
    failed: NDArray[np.bool_]

    def facts(self, metric: str) -> MetricFacts:
        """Return what is known of a metric.

        Raises:
            SpecError: The run has no such metric.
        """
        if metric not in self.metrics:
            raise SpecError(f"the run {self.run_id!r} has no metric {metric!r}; it has {', '.join(self.metrics)}")
        return self.metrics[metric]

    def of(self, metric: str, variant: str) -> Float:
        """Return the scores of a variant, shape (items, repeats).

        Raises:
            SpecError: The run has no such metric or variant.
        """
        self.facts(metric)
        if variant not in self.variants:
            raise SpecError(f"the run {self.run_id!r} has no variant {variant!r}; it has {', '.join(self.variants)}")
        return self.values[metric][self.place(variant)]

    def place(self, variant: str) -> int:
        """Return the position of a variant on the first axis."""
        return list(self.variants).index(variant)

    def on(self, items: NDArray[np.intp]) -> Observations:
        """Return the same on some items only."""
        return replace(
            self,
            ids=self.ids[items],
            hashes=self.hashes[items],
            clusters=None if self.clusters is None else self.clusters[items],
            weights=None if self.weights is None else self.weights[items],
            values={name: values[:, items] for name, values in self.values.items()},
            ran=self.ran[:, items],
            failed=self.failed[:, items],
        )


def observe(store: LocalStore, run_id: str) -> Observations:
    """Read what a run observed, sealed or in progress.

    Raises:
        StoreError: The run or its data set is not in the store.
    """
    manifest = store.manifest(run_id)
    cubes = score_cubes(store, manifest)
    items = item_info(store, manifest)
    n = len(items.ids)
    values = {name: cube.values[:, :n] for name, cube in cubes.items()}
    metrics = {name: _facts(manifest, name, cube.values, cube.is_binary, cube.is_label) for name, cube in cubes.items()}
    ran, failed, resources, variants = _trials(store, manifest, n)
    for name, unit in RESOURCES.items():
        if np.isfinite(resources[name]).any() and name not in metrics:
            values[name] = resources[name]
            metrics[name] = MetricFacts(version="", kind="continuous", higher_is_better=False, unit=unit)
    return Observations(
        run_id=run_id,
        experiment=manifest.name,
        created_at=manifest.created_at,
        status=manifest.status,
        stopped_because=manifest.stopped_because,
        dataset=manifest.dataset_name,
        dataset_version=manifest.dataset_version,
        primary=_primary(manifest, cubes),
        baseline=manifest.baseline,
        repeats=manifest.repeats,
        variants=variants,
        metrics=metrics,
        ids=items.ids,
        hashes=_hashes(store, run_id),
        clusters=items.clusters,
        weights=items.weights,
        values=values,
        ran=ran,
        failed=failed,
    )


def _primary(manifest: Manifest, found: Iterable[str]) -> str:
    """Return the metric that decides as the scores name it: of an evaluator with several scores, the first."""
    names = list(found)
    parts = [name for name in names if name.startswith(f"{manifest.primary}.")]
    return manifest.primary if manifest.primary in names or not parts else parts[0]


def _facts(manifest: Manifest, name: str, values: Float, is_binary: bool, is_label: bool) -> MetricFacts:
    record = next((entry for entry in manifest.metrics if entry.metric == name), None) or next(
        (entry for entry in manifest.metrics if name.startswith(f"{entry.metric}.")), None
    )
    present = values[~np.isnan(values)]
    declared = record.score_kind if record is not None else None
    kind: Kind = "continuous"
    if is_binary:
        kind = "binary"
    elif declared in ("binary", "bounded") and present.size and present.min() >= 0 and present.max() <= 1:
        kind = "bounded"
    return MetricFacts(
        version=record.version if record is not None else "",
        kind=kind,
        is_label=is_label,
        higher_is_better=record.higher_is_better if record is not None else True,
        unit=record.unit if record is not None else "",
    )


def _hashes(store: LocalStore, run_id: str) -> NDArray[np.object_]:
    table = store.items(run_id, columns=["inputs", "expected"])
    columns = zip(table.column("inputs").to_pylist(), table.column("expected").to_pylist(), strict=True)
    return np.array(
        [hashlib.sha256(f"{inputs}\0{expected}".encode()).hexdigest()[:16] for inputs, expected in columns],
        dtype=object,
    )


def _trials(
    store: LocalStore, manifest: Manifest, n_items: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], dict[str, Float], dict[str, VariantFacts]]:
    columns = ["variant", "item", "repeat", "ok", "error_kind", "model", "fingerprint", *RESOURCES]
    table = store.trials(manifest.run_id, columns)
    names = manifest.variant_names
    shape = (len(names), n_items, manifest.repeats)
    encoded = table.column("variant").combine_chunks().dictionary_encode()
    lookup = np.array([names.index(name) for name in encoded.dictionary.to_pylist()] or [0], dtype=np.int64)
    variant = lookup[encoded.indices.to_numpy(zero_copy_only=False)]
    item = table.column("item").to_numpy(zero_copy_only=False)
    repeat = table.column("repeat").to_numpy(zero_copy_only=False)
    ok = table.column("ok").to_numpy(zero_copy_only=False).astype(bool)
    ran, failed = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    ran[variant, item, repeat] = True
    failed[variant, item, repeat] = ~ok
    resources: dict[str, Float] = {}
    for name in RESOURCES:
        cube = np.full(shape, np.nan)
        column = table.column(name).to_numpy(zero_copy_only=False).astype(np.float64)
        cube[variant, item, repeat] = np.where(ok, column, np.nan)
        resources[name] = cube
    counted: list[list[Counter[str]]] = [[Counter(), Counter(), Counter()] for _ in names]
    for place, column in enumerate(("model", "fingerprint", "error_kind")):
        for code, value in zip(variant.tolist(), table.column(column).to_pylist(), strict=True):
            if value is not None:
                counted[code][place][value] += 1
    facts = {
        info.name: VariantFacts(
            prompt_version=info.prompt_version,
            model=info.model,
            levels=dict(info.levels),
            answered_by=dict(counted[index][0]),
            fingerprints=dict(counted[index][1]),
            errors=dict(counted[index][2]),
        )
        for index, info in enumerate(manifest.variants)
    }
    return ran, failed, resources, facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """Two runs on the items that both have, in the same order, with what else differs."""

    candidate: Observations
    baseline: Observations
    n_candidate: int
    """Items of the candidate's run before the restriction."""
    n_baseline: int
    notes: tuple[str, ...]
    """What is not the same, for the reader."""
    changed: tuple[str, ...]
    """The pins that broke: `data`, `evaluator:NAME`, `prompt:VARIANT`, `model:VARIANT`."""


def align(candidate: Observations, baseline: Observations) -> Alignment:
    """Restrict two runs to the items that are in both with the same content.

    Raises:
        SpecError: They have no item in common.
    """
    shared, left, right = np.intersect1d(
        candidate.ids.astype(str), baseline.ids.astype(str), assume_unique=True, return_indices=True
    )
    same = candidate.hashes[left] == baseline.hashes[right]
    order = np.argsort(left[same])
    left, right = left[same][order], right[same][order]
    edited = len(shared) - len(left)
    if not len(left):
        why = "their ids differ" if not len(shared) else f"all {edited} shared ids have another content now"
        raise SpecError(
            f"the runs {candidate.run_id!r} and {baseline.run_id!r} have no item in common ({why}): "
            "set a baseline that ran on this data"
        )
    notes, changed = _data_notes(candidate, baseline, len(left), edited)
    for name, facts in candidate.metrics.items():
        old = baseline.metrics.get(name)
        if old is not None and old.version != facts.version:
            changed.append(f"evaluator:{name}")
            notes.append(
                f"The evaluator of {name} is another version ({old.version} then, {facts.version} now): "
                "a difference may come from the judge; re-score the baseline's run with `bakeoff score`."
            )
    for name, now in candidate.variants.items():
        then = baseline.variants.get(name)
        if then is None:
            continue
        if then.prompt_version != now.prompt_version:
            changed.append(f"prompt:{name}")
            notes.append(f"The prompt of {name} changed ({then.prompt_version} then, {now.prompt_version} now).")
        if then.model != now.model:
            changed.append(f"model:{name}")
            notes.append(f"The model of {name} changed ({then.model} then, {now.model} now).")
    return Alignment(
        candidate=candidate.on(left),
        baseline=baseline.on(right),
        n_candidate=len(candidate.ids),
        n_baseline=len(baseline.ids),
        notes=tuple(notes),
        changed=tuple(changed),
    )


def _data_notes(
    candidate: Observations, baseline: Observations, common: int, edited: int
) -> tuple[list[str], list[str]]:
    if candidate.dataset_version == baseline.dataset_version:
        return [], []
    lost = len(baseline.ids) - common - edited
    new = len(candidate.ids) - common - edited
    parts = [
        f"{count:,} {what}"
        for count, what in ((new, "new"), (lost, "gone"), (edited, "with another content under the same id"))
        if count
    ]
    if not parts:  # only the order, metadata or clusters changed
        return ["The data set has another version, with the same items."], ["data"]
    note = f"The data changed ({', '.join(parts)}): compared on the {common:,} items that both have."
    return [note], ["data"]
