"""Baselines: the run that later runs are compared with, in the store or as a small file that can be committed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from bakeoff.errors import SpecError, StoreError
from bakeoff.experiments import write_atomically
from bakeoff.regression._control_db import control_db
from bakeoff.regression._observations import MetricFacts, Observations, VariantFacts, observe

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bakeoff.experiments import LocalStore

__all__ = [
    "Baseline",
    "find_baseline",
    "get_baseline",
    "list_baselines",
    "read_baseline_file",
    "set_baseline",
    "unset_baseline",
    "write_baseline_file",
]

_FORMAT = "bakeoff-baseline/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A run under a name, with the versions that it was made with."""

    experiment: str
    name: str
    run_id: str
    set_at: str
    """ISO 8601, UTC."""
    pins: Mapping[str, Any]
    """`data`, `evaluators` by metric, `prompts` and `models` by variant."""
    note: str = ""


def set_baseline(store: LocalStore, run_id: str, *, name: str = "main", note: str = "") -> Baseline:
    """Make a run the baseline of its experiment.

    Args:
        store: Where the run is.
        run_id: A complete run.
        name: Several baselines can stand beside each other: `main`, `release-3`.
        note: Why.

    Raises:
        SpecError: The run is not complete.
        StoreError: There is no such run.
    """
    if not name or name.endswith(".json"):
        raise SpecError(f"a baseline's name must not be empty or end in .json, got {name!r}")
    observed = _complete(store, run_id)
    baseline = Baseline(
        experiment=observed.experiment,
        name=name,
        run_id=run_id,
        set_at=datetime.now(UTC).isoformat(timespec="seconds"),
        pins=_pins(observed),
        note=note,
    )
    with control_db(store.paths) as control:
        control.execute(
            "INSERT OR REPLACE INTO baselines (experiment, name, run_id, set_at, pins, note) VALUES (?, ?, ?, ?, ?, ?)",
            (baseline.experiment, name, run_id, baseline.set_at, json.dumps(baseline.pins), note),
        )
    return baseline


def _complete(store: LocalStore, run_id: str) -> Observations:
    observed = observe(store, run_id)
    if observed.status != "complete":
        raise SpecError(
            f"the run {run_id!r} is {observed.status}: a baseline must be complete; "
            f"go on with `bakeoff resume {run_id}`"
        )
    return observed


def _pins(observed: Observations) -> dict[str, Any]:
    return {
        "data": observed.dataset_version,
        "evaluators": {name: facts.version for name, facts in observed.metrics.items() if facts.version},
        "prompts": {name: facts.prompt_version for name, facts in observed.variants.items() if facts.prompt_version},
        "models": {name: facts.model for name, facts in observed.variants.items() if facts.model},
    }


def list_baselines(store: LocalStore, *, experiment: str | None = None) -> list[Baseline]:
    """Return the baselines of a store, or of one experiment, by experiment and name."""
    if not store.paths.control.exists():
        return []
    with control_db(store.paths) as control:
        rows = control.execute(
            "SELECT * FROM baselines WHERE ? IS NULL OR experiment = ? ORDER BY experiment, name",
            (experiment, experiment),
        ).fetchall()
    return [
        Baseline(**{key: row[key] for key in ("experiment", "name", "run_id", "set_at", "note")},
                 pins=json.loads(row["pins"]))
        for row in rows
    ]  # fmt: skip


def get_baseline(store: LocalStore, experiment: str, *, name: str = "main") -> Baseline:
    """Return a stored baseline.

    Raises:
        SpecError: The experiment has no baseline of that name.
    """
    known = list_baselines(store, experiment=experiment)
    for baseline in known:
        if baseline.name == name:
            return baseline
    names = f"; it has {', '.join(b.name for b in known)}" if known else ""
    raise SpecError(
        f"the experiment {experiment!r} has no baseline {name!r}{names}\n"
        f"    fix: choose a run that is good: bakeoff baseline set RUN --name {name}"
    )


def unset_baseline(store: LocalStore, experiment: str, *, name: str = "main") -> None:
    """Forget a baseline; its run stays.

    Raises:
        SpecError: There is none.
    """
    get_baseline(store, experiment, name=name)
    with control_db(store.paths) as control:
        control.execute("DELETE FROM baselines WHERE experiment = ? AND name = ?", (experiment, name))


def find_baseline(store: LocalStore, experiment: str, reference: str, *, base_dir: Path) -> tuple[Observations, str]:
    """Return what a baseline observed and what to call it.

    Args:
        store: Where baselines and runs are.
        experiment: Name of the experiment.
        reference: A baseline's name, a baseline file (`.json`, relative to `base_dir`), or the id of a run.
        base_dir: Folder of the experiment file.

    Raises:
        SpecError: There is no such baseline, file or run.
        StoreError: The baseline's run was deleted.
    """
    if reference.endswith(".json"):
        return read_baseline_file(base_dir / reference), reference
    known = {baseline.name: baseline for baseline in list_baselines(store, experiment=experiment)}
    if reference not in known and any(manifest.run_id == reference for manifest in store.runs()):
        return observe(store, reference), reference
    baseline = known.get(reference) or get_baseline(store, experiment, name=reference)
    try:
        return observe(store, baseline.run_id), reference
    except StoreError as error:
        raise StoreError(
            f"the baseline {reference!r} of {experiment!r} is the run {baseline.run_id!r}, which cannot be read: "
            f"{error}\n    fix: set another with `bakeoff baseline set RUN --name {reference}`"
        ) from error


def write_baseline_file(store: LocalStore, run_id: str, path: Path) -> Path:
    """Write what a complete run observed as one JSON file, for CI without a server.

    It holds ids and hashes of items, versions, scores and resources; no inputs and no outputs.

    Raises:
        SpecError: The run is not complete, or the path does not end in .json.
        StoreError: The file cannot be written.
    """
    if path.suffix != ".json":
        raise SpecError(f"a baseline file must end in .json, got {path.name!r}")
    observed = _complete(store, run_id)
    data = {
        "format": _FORMAT,
        "run_id": run_id,
        "experiment": observed.experiment,
        "created_at": observed.created_at,
        "dataset": observed.dataset,
        "dataset_version": observed.dataset_version,
        "primary": observed.primary,
        "baseline": observed.baseline,
        "repeats": observed.repeats,
        "variants": {
            name: {"prompt_version": facts.prompt_version, "model": facts.model, "levels": dict(facts.levels),
                   "answered_by": dict(facts.answered_by), "fingerprints": dict(facts.fingerprints)}
            for name, facts in observed.variants.items()
        },
        "metrics": {
            name: {"version": facts.version, "kind": facts.kind, "is_label": facts.is_label,
                   "higher_is_better": facts.higher_is_better, "unit": facts.unit}
            for name, facts in observed.metrics.items()
        },
        "ids": observed.ids.tolist(),
        "hashes": observed.hashes.tolist(),
        "clusters": None if observed.clusters is None else observed.clusters.tolist(),
        "weights": None if observed.weights is None else observed.weights.tolist(),
        "values": {name: _shortened(values) for name, values in observed.values.items()},
        "failed": np.argwhere(observed.failed).tolist(),
        "not_run": np.argwhere(~observed.ran).tolist(),
    }  # fmt: skip
    lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}" for key, value in data.items())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{str(path.parent)!r} cannot be made: {error.strerror}") from error
    write_atomically(path, f"{{\n{lines}\n}}\n".encode())
    return path


def _shortened(values: np.ndarray) -> list[list[list[float | int | None]]]:
    """Write seven digits of each number; whole numbers as such; `null` for a missing score."""

    def short(value: float) -> float | int | None:
        if value != value:
            return None
        return int(value) if value == int(value) else float(f"{value:.7g}")

    return [[[short(value) for value in row] for row in layer] for layer in values.tolist()]


def read_baseline_file(path: Path) -> Observations:
    """Read a file that `write_baseline_file` wrote.

    Raises:
        SpecError: The file is not there, or is no baseline file.
    """
    try:
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise SpecError(
            f"the baseline file {str(path)!r} cannot be read: {error.strerror}\n"
            f"    fix: write one: bakeoff baseline set RUN --file {path}"
        ) from None
    except ValueError as error:
        raise SpecError(f"the baseline file {str(path)!r} is no JSON: {error}") from None
    if not isinstance(data, dict) or data.get("format") != _FORMAT:
        raise SpecError(f"{str(path)!r} is no baseline file of this version ({_FORMAT}); write it again")
    try:
        return _observations_of(data)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise SpecError(f"the baseline file {str(path)!r} is damaged ({type(error).__name__}: {error})") from None


def _observations_of(data: Mapping[str, Any]) -> Observations:
    ids = np.array([str(entry) for entry in data["ids"]], dtype=object)
    shape = (len(data["variants"]), len(ids), int(data["repeats"]))
    values: dict[str, np.ndarray] = {}
    for name, raw in data["values"].items():
        cube = np.array([[[np.nan if v is None else v for v in row] for row in layer] for layer in raw], dtype=float)
        if cube.shape != shape:
            raise ValueError(f"{name} has shape {cube.shape}, expected {shape}")
        values[name] = cube
    ran, failed = np.ones(shape, dtype=bool), np.zeros(shape, dtype=bool)
    for place in data["not_run"]:
        ran[tuple(place)] = False
    for place in data["failed"]:
        failed[tuple(place)] = True
    metrics = {name: MetricFacts(**facts) for name, facts in data["metrics"].items()}
    if set(metrics) != set(values) or data["primary"] not in metrics:
        raise ValueError(f"it has values of {sorted(values)} and facts of {sorted(metrics)}")
    lists = {name: data[name] for name in ("hashes", "clusters", "weights")}
    for name, entries in lists.items():
        wanted = entries is None and name != "hashes"
        if not wanted and (not isinstance(entries, list) or len(entries) != len(ids)):
            raise ValueError(f"{name} must hold one entry for each of {len(ids)} items")
    clusters, weights = lists["clusters"], lists["weights"]
    return Observations(
        run_id=str(data["run_id"]),
        experiment=str(data["experiment"]),
        created_at=str(data["created_at"]),
        status="complete",
        dataset=str(data["dataset"]),
        dataset_version=str(data["dataset_version"]),
        primary=str(data["primary"]),
        baseline=str(data["baseline"]),
        repeats=shape[2],
        variants={name: VariantFacts(**facts) for name, facts in data["variants"].items()},
        metrics=metrics,
        ids=ids,
        hashes=np.array(lists["hashes"], dtype=object),
        clusters=None if clusters is None else np.array(clusters, dtype=np.int64),
        weights=None if weights is None else np.array(weights, dtype=np.float64),
        values=values,
        ran=ran,
        failed=failed,
    )
