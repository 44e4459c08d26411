"""What several tests of this room share."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

import bakeoff
from bakeoff.regression import MetricFacts, Observations, VariantFacts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bakeoff.experiments import LocalStore


def recorded(
    answers: Mapping[str, Sequence[bool | None]],
    *,
    name: str = "sums",
    gate: Sequence[Mapping[str, Any]] = (),
    **keys: Any,
) -> dict[str, Any]:
    """Give a spec whose targets have answered already: right, wrong, or not at all."""
    n = len(next(iter(answers.values())))
    words = {True: "yes", False: "no", None: None}
    rows = [
        {"id": f"i{i}", "q": f"question {i}", "expected": "yes", **{v: words[a[i]] for v, a in answers.items()}}
        for i in range(n)
    ]
    return {
        "name": name,
        "dataset": {"rows": rows, "inputs": ["q"], "expected": "expected"},
        "targets": {variant: {"recorded": variant} for variant in answers},
        "evaluators": [{"exact_match": {"name": "correct"}}],
        "mlflow": False,
        "gate": list(gate),
        **keys,
    }


def run(store: LocalStore, spec: Mapping[str, Any]) -> str:
    """Run a spec and give the run's id."""
    return bakeoff.run(dict(spec), store=store.paths.root).run_id


def passes(n: int, right: int) -> list[bool]:
    """Give n answers of which the first are right."""
    return [i < right for i in range(n)]


def observed(
    values: Any,
    *,
    kind: str = "binary",
    higher_is_better: bool = True,
    clusters: Any = None,
    run_id: str = "now",
    metric: str = "correct",
    variants: Sequence[str] = ("only",),
) -> Observations:
    """Give observations of one metric from scores of shape (items,), (items, repeats) or (variants, items, repeats)."""
    cube = np.asarray(values, dtype=np.float64)
    if cube.ndim == 1:
        cube = cube[:, None]
    if cube.ndim == 2:
        cube = cube[None]
    n = cube.shape[1]
    ids = np.arange(n).astype(str).astype(object)
    return Observations(
        run_id=run_id, experiment="test", created_at="2026-01-01T00:00:00+00:00", status="complete", dataset="d",
        dataset_version="v1", primary=metric, baseline=variants[0], repeats=cube.shape[2],
        variants={name: VariantFacts() for name in variants},
        metrics={metric: MetricFacts(version="1", kind=kind, higher_is_better=higher_is_better)},  # type: ignore[arg-type]
        ids=ids, hashes=ids, clusters=None if clusters is None else np.asarray(clusters), weights=None,
        values={metric: cube}, ran=np.ones(cube.shape, dtype=bool), failed=np.zeros(cube.shape, dtype=bool),
    )  # fmt: skip


def flipped(base: Observations, *, lost: int, gained: int) -> Observations:
    """Give the same observations with the first passes lost and the first failures gained."""
    (metric,) = base.values
    scores = base.values[metric].copy()
    flat = scores.reshape(-1)
    flat[np.flatnonzero(flat == 1)[:lost]] = -1
    flat[np.flatnonzero(flat == 0)[:gained]] = 1
    flat[flat == -1] = 0
    return replace(base, run_id="now", values={metric: scores})
