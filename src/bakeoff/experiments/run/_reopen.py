"""Find again what a run was made of, to go on with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bakeoff.errors import SpecError
from bakeoff.experiments.spec._load import Experiment, load_experiment
from bakeoff.experiments.spec._spec import ExperimentSpec

if TYPE_CHECKING:
    from bakeoff.experiments.store._store import LocalStore

__all__ = ["reopen_experiment"]


def reopen_experiment(store: LocalStore, run_id: str, *, source: Path | None = None) -> Experiment:
    """Load the experiment of a run from the spec in its manifest.

    Args:
        store: Where the run is.
        run_id: The run.
        source: An experiment file to take limits, budget and keys from instead; data, variants and evaluators must
            still be those that the run began with.

    Raises:
        SpecError: A file that the experiment needs is gone or was changed, or the run was made from Python objects.
    """
    if source is not None:
        return load_experiment(source, cache_dir=store.paths.datasets)
    manifest = store.manifest(run_id)
    spec = ExperimentSpec.model_validate(manifest.spec)
    if any(str(target.python or "").startswith("task:") for target in spec.targets.values()):
        raise SpecError(
            f"the run {run_id!r} was made by `bakeoff.evaluate` from Python functions, which are not stored: "
            "call it again; what the response cache holds is not paid for twice"
        )
    return load_experiment(spec, base_dir=Path(manifest.base_dir), cache_dir=store.paths.datasets)
