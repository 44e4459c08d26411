"""What each variant took: money, time, tokens, failures."""

from __future__ import annotations

from collections import Counter
from math import fsum, nan
from typing import TYPE_CHECKING

import numpy as np

from bakeoff._arrow import column, floats
from bakeoff.experiments._json import loads
from bakeoff.experiments.analysis._answer import Resources

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from bakeoff.experiments.store._manifest import Manifest
    from bakeoff.experiments.store._store import LocalStore

__all__ = ["read_resources"]


def read_resources(store: LocalStore, manifest: Manifest) -> tuple[Resources, ...]:
    """Read the trials of a run, variant by variant in the order of the spec."""
    table = store.trials(
        manifest.run_id,
        columns=[
            "variant", "ok", "error_kind", "cached", "cost_usd", "latency_ms", "ttft_ms", "input_tokens",
            "output_tokens", "error", "guards",
        ],
    )  # fmt: skip
    encoded = table.column("variant").combine_chunks().dictionary_encode()
    names = encoded.dictionary.to_pylist()
    codes = floats(encoded.indices)
    columns = {
        name: floats(table.column(name))
        for name in ("ok", "cached", "cost_usd", "latency_ms", "ttft_ms", "input_tokens", "output_tokens")
    }
    judging = _judging(store, manifest.run_id)
    has_guards = table.column("guards").null_count < table.num_rows
    rows: list[Resources] = []
    for variant in manifest.variant_names:
        mine = codes == names.index(variant) if variant in names else np.zeros(len(codes), dtype=bool)
        ok = columns["ok"][mine]
        failed = int(len(ok) - ok.sum())
        errors, samples = _errors(_rows(table, mine & (columns["ok"] == 0))) if failed else ({}, {})
        cost = columns["cost_usd"][mine]
        rows.append(
            Resources(
                variant=variant,
                trials=len(ok),
                failed=failed,
                cost_usd=float(np.nansum(cost)) if np.isfinite(cost).any() else nan,
                spent_usd=float(np.nansum(cost[columns["cached"][mine] == 0])),
                cost_usd_per_trial=_mean(cost),
                latency_p50_ms=_quantile(columns["latency_ms"][mine], 0.5),
                latency_p95_ms=_quantile(columns["latency_ms"][mine], 0.95),
                ttft_p50_ms=_quantile(columns["ttft_ms"][mine], 0.5),
                input_tokens=_mean(columns["input_tokens"][mine]),
                output_tokens=_mean(columns["output_tokens"][mine]),
                errors=errors,
                error_samples=samples,
                guarded=_guarded(table.column("guards"), mine) if has_guards else {},
                judging_usd=judging.get(variant, 0.0),
            )
        )
    return tuple(rows)


def _judging(store: LocalStore, run_id: str) -> dict[str, float]:
    """Add up by variant what judges cost."""
    scores = store.scores(run_id, ["variant", "cost_usd"])
    paid: dict[str, list[float]] = {}
    for variant, cost in zip(*(scores.column(name).to_pylist() for name in ("variant", "cost_usd")), strict=True):
        if cost:
            paid.setdefault(variant, []).append(cost)
    return {variant: fsum(costs) for variant, costs in paid.items()}


def _rows(table: pa.Table, chosen: NDArray[np.bool_]) -> pa.Table:
    import pyarrow as pa

    return table.take(column(np.flatnonzero(chosen).tolist(), pa.int64()))


def _errors(table: pa.Table) -> tuple[dict[str, int], dict[str, str]]:
    """Count failed trials by kind, with the first message of each."""
    counts: dict[str, int] = {}
    samples: dict[str, str] = {}
    for kind, message in zip(table.column("error_kind").to_pylist(), table.column("error").to_pylist(), strict=True):
        if kind is not None:
            counts[kind] = counts.get(kind, 0) + 1
            samples.setdefault(kind, message or "")
    return counts, samples


def _guarded(column: pa.ChunkedArray, chosen: NDArray[np.bool_]) -> dict[str, int]:
    """Count trials on which each guard acted, by `side guard: action`."""
    counts: Counter[str] = Counter()
    for told, mine in zip(column.to_pylist(), chosen, strict=True):
        if mine and told is not None:
            counts.update({f"{one['side']} {one['guard']}: {one['action']}" for one in loads(told)})
    return dict(counts.most_common())


def _mean(values: NDArray[np.float64]) -> float:
    present = values[np.isfinite(values)]
    return float(present.mean()) if present.size else nan


def _quantile(values: NDArray[np.float64], q: float) -> float:
    present = values[np.isfinite(values)]
    return float(np.quantile(present, q)) if present.size else nan
