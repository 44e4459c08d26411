"""Quality against what it takes: which variants nothing else beats at once, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from bakeoff._arrow import floats
from bakeoff.errors import SpecError
from bakeoff.experiments.analysis._cube import item_info, score_cubes
from bakeoff.stats import summarize

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from bakeoff.experiments.store._manifest import Manifest
    from bakeoff.experiments.store._store import LocalStore
    from bakeoff.stats import Estimate, ParetoResult

    Float = NDArray[np.float64]

__all__ = ["TRADE_AXES", "TradeAxis", "TradeOff", "cost_by_item", "trade_axes", "trade_off"]

TradeAxis = Literal["cost", "latency_p50", "latency_p95", "latency_mean", "ttft_p50", "output_tokens", "input_tokens"]
"""What quality is weighed against; less is better."""
TRADE_AXES: tuple[TradeAxis, ...] = get_args(TradeAxis)

_COLUMNS: dict[TradeAxis, tuple[str, float | None]] = {
    "cost": ("cost_usd", None),
    "latency_p50": ("latency_ms", 0.5),
    "latency_p95": ("latency_ms", 0.95),
    "latency_mean": ("latency_ms", None),
    "ttft_p50": ("ttft_ms", 0.5),
    "output_tokens": ("output_tokens", None),
    "input_tokens": ("input_tokens", None),
}
"""Column of `trials`, and the quantile over items that sums it up (the mean when there is none)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeOff:
    """The front of one metric against one or more costs."""

    metric: str
    axes: tuple[TradeAxis, ...]
    higher_is_better: bool
    front: ParetoResult
    """Its objectives are the metric and then the axes: cost in USD per trial, times in ms, tokens per trial."""
    spread: tuple[tuple[Estimate, ...], ...]
    """For each axis, the estimate of each variant with its interval, in the order of `front.variants`."""


def trade_axes(store: LocalStore, manifest: Manifest) -> tuple[TradeAxis, ...]:
    """Return the axes on which this run knows a number for at least two variants, and not the same for all."""
    arrays = _item_means(store, manifest, sorted({column for column, _ in _COLUMNS.values()}))
    found: list[TradeAxis] = []
    for axis, (column, _) in _COLUMNS.items():
        values = arrays[column]
        known = (~np.isnan(values)).any(axis=1)
        if known.sum() >= 2 and np.nanmax(values) > np.nanmin(values):
            found.append(axis)
    return tuple(found)


def trade_off(
    store: LocalStore,
    manifest: Manifest,
    metric: str,
    *,
    against: Sequence[TradeAxis] = ("cost",),
    confidence: float = 0.95,
    resamples: int = 2000,
) -> TradeOff:
    """Find the variants that no other beats on quality and cost at once, with the probability of each being there.

    Repeats of an item are averaged first; items (or clusters) are resampled jointly over variants and objectives, so
    a hard item is hard, dear and slow for all in the same resample. Item weights are not used here.

    Args:
        store: Where the run is.
        manifest: The run.
        metric: A metric with numbers and a better direction.
        against: One or more axes, each once.
        confidence: Of the intervals in `spread`.
        resamples: Bootstrap resamples.

    Raises:
        SpecError: The metric or an axis is not known, or the metric has no mean or no better direction.
    """
    from bakeoff.stats import Objective, pareto_analysis

    axes = tuple(dict.fromkeys(against))
    unknown = [axis for axis in axes if axis not in _COLUMNS]
    if unknown or not axes:
        raise SpecError(f"against must name one or more of {', '.join(TRADE_AXES)}; got {list(against)!r}")
    cube = score_cubes(store, manifest, metrics=[metric]).get(metric)
    if cube is None:
        raise SpecError(f"there is no metric {metric!r}; this run has {', '.join(m.metric for m in manifest.metrics)}")
    info = next((m for m in manifest.metrics if metric == m.metric or metric.startswith(f"{m.metric}.")), None)
    direction = True if info is None else info.higher_is_better
    if cube.is_label or direction is None:
        why = "is a label" if cube.is_label else "has no better direction"
        raise SpecError(f"{metric!r} {why}: nothing to trade off; choose a metric where more or less is better")
    arrays = _item_means(store, manifest, [_COLUMNS[axis][0] for axis in axes], items=cube.values.shape[1])
    clusters = item_info(store, manifest).clusters
    objectives = [Objective(name=metric, values=_mean(cube.values), goal="max" if direction else "min")]
    objectives += [
        Objective(name=axis, values=arrays[_COLUMNS[axis][0]], goal="min", quantile=_COLUMNS[axis][1]) for axis in axes
    ]
    seed = int(manifest.spec.get("seed", 0))
    front = pareto_analysis(objectives, variants=cube.variants, clusters=clusters, resamples=resamples, rng=seed)
    spread = tuple(
        tuple(_interval(row, _COLUMNS[axis][1], clusters, confidence) for row in arrays[_COLUMNS[axis][0]])
        for axis in axes
    )
    return TradeOff(metric=metric, axes=axes, higher_is_better=direction, front=front, spread=spread)


def cost_by_item(store: LocalStore, manifest: Manifest, *, items: int) -> NDArray[np.float64]:
    """Return what an answer cost in USD, averaged over repeats, shape (variants, items); `nan` where not known.

    Args:
        store: Where the run is.
        manifest: The run.
        items: Number of items, at least.
    """
    return _item_means(store, manifest, ["cost_usd"], items=items)["cost_usd"]


def _interval(row: Float, quantile: float | None, clusters: NDArray[np.int64] | None, confidence: float) -> Estimate:
    if quantile is not None:
        from bakeoff.stats import quantile_interval

        return quantile_interval(row, quantile, confidence=confidence)
    return summarize(row, kind="continuous", clusters=clusters, confidence=confidence)


def _mean(values: Float) -> Float:
    """Average over repeats, leaving missing ones out."""
    known = ~np.isnan(values)
    counted = known.sum(axis=2)
    total = np.where(known, values, 0.0).sum(axis=2)
    return np.divide(total, counted, out=np.full(counted.shape, np.nan), where=counted > 0)


def _item_means(
    store: LocalStore, manifest: Manifest, columns: Sequence[str], *, items: int | None = None
) -> dict[str, Float]:
    """Return numbers of trials as arrays of shape (variants, items), averaged over repeats."""
    names = list(dict.fromkeys(columns))
    table = store.trials(manifest.run_id, columns=["variant", "item", "repeat", *names])
    place = floats(table.column("item")).astype(np.int64)
    repeat = floats(table.column("repeat")).astype(np.int64)
    variant = _variants(table, manifest)
    size = max(manifest.dataset_items, items or 0, int(place.max(initial=-1)) + 1)
    shape = (len(manifest.variants), size, max(manifest.repeats, int(repeat.max(initial=-1)) + 1))
    found: dict[str, Float] = {}
    for name in names:
        cube = np.full(shape, np.nan)
        cube[variant, place, repeat] = floats(table.column(name))
        found[name] = _mean(cube)
    return found


def _variants(table: pa.Table, manifest: Manifest) -> NDArray[np.int64]:
    encoded = table.column("variant").combine_chunks().dictionary_encode()
    codes = np.array([manifest.variant_names.index(name) for name in encoded.dictionary.to_pylist()] or [0])
    return codes[floats(encoded.indices).astype(np.int64)]
