"""Scheduled runs under statistical control: charts, the run of a change, and what it came from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import isfinite, isnan, nan, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from bakeoff.errors import SpecError, StoreError
from bakeoff.experiments import AnalysisSpec
from bakeoff.regression import _say
from bakeoff.regression._attribute import Attribution, attribute
from bakeoff.regression._facts import item_means
from bakeoff.regression._observations import Observations, observe
from bakeoff.stats import chart_threshold, control_chart, find_changepoint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bakeoff.experiments import LocalStore
    from bakeoff.stats import ControlChart

    Float = NDArray[np.float64]

__all__ = ["ENOUGH_RUNS", "Chart", "Monitor", "monitor", "run_series"]

_LEAST = 4
_LATEST = 200
_BARS = "▁▂▃▄▅▆▇█"


ENOUGH_RUNS = 20
"""Runs from which normal is known well enough that limits need no widening worth a word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One metric of one variant over the runs of an experiment."""

    metric: str
    variant: str
    runs: tuple[str, ...]
    times: tuple[str, ...]
    levels: tuple[float, ...]
    """Mean score of each run."""
    shifts: tuple[float, ...]
    """Mean over the items that every run has, minus the reference runs' mean on the very same items."""
    se: tuple[float, ...]
    """Standard error of a shift: the noise of generation, since the items are the same in every run."""
    between_sd: float
    """Spread between runs beyond that noise."""
    cusum: tuple[float, ...]
    cusum_limit: float
    ewma: tuple[float, ...]
    ewma_limits: tuple[float, ...]
    alarms: tuple[bool, ...]
    """Whether either chart is outside its limits at a run."""
    alarm: bool
    """Whether the latest run is."""
    changed_at: str | None
    """First run after the change; `None` when no change is shown."""
    changed_between: tuple[str, str] | None
    """95% interval for it."""
    attribution: Attribution | None
    reference_runs: int
    n_items: int
    sentence: str
    notes: tuple[str, ...] = ()

    @property
    def sparkline(self) -> str:
        """The levels as a line of bars."""
        present = [level for level in self.levels if isfinite(level)]
        if not present:
            return ""
        low, high = min(present), max(present)
        scale = (len(_BARS) - 1) / (high - low) if high > low else 0.0
        return "".join(" " if not isfinite(x) else _BARS[int((x - low) * scale)] for x in self.levels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitor:
    """All charts of an experiment."""

    experiment: str
    charts: tuple[Chart, ...]
    mean_runs: float
    """Mean number of runs between false alarms, over all charts together."""
    statement: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data; what is not estimable becomes null."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain


def monitor(
    store: LocalStore,
    experiment: str,
    *,
    metrics: Sequence[str] | None = None,
    reference_runs: int = 20,
    mean_runs: float = 370.0,
) -> Monitor:
    """Chart every metric of an experiment over its complete runs.

    All runs answer the same items, so which items were drawn does not add to the spread between runs: a run is judged
    by the noise of generation (residuals of items x runs) and by the spread between the reference runs beyond it.
    CUSUM and EWMA share the false-alarm rate over all charts.

    Args:
        store: Where the runs are.
        experiment: Name of the experiment.
        metrics: Metrics to chart; the primary and the guardrails when omitted.
        reference_runs: First runs, which say what is normal.
        mean_runs: Mean number of runs between false alarms, over all charts together.

    Raises:
        SpecError: There are too few complete runs, or a metric is unknown.
    """
    series = run_series(store, experiment)
    newest = series[-1]
    chosen = list(metrics) if metrics is not None else _watched(store, newest)
    variants = [name for name in newest.variants if sum(name in run.variants for run in series) >= _LEAST]
    if not variants:
        raise SpecError(f"no variant of {experiment!r} is in {_LEAST} runs")
    charts = max(1, 2 * len(chosen) * len(variants))
    limits = {
        kind: chart_threshold(mean_runs, kind=kind, metrics=charts)
        for kind in ("cusum", "ewma")
    }  # fmt: skip
    found = [
        _chart(series, metric, variant, reference_runs, cusum=limits["cusum"], ewma=limits["ewma"])
        for metric in chosen
        for variant in variants
    ]
    return Monitor(
        experiment=experiment,
        charts=tuple(found),
        mean_runs=mean_runs,
        statement=(
            f"If nothing changes, one of these {charts} charts (CUSUM and EWMA of each metric and variant) alarms no "
            f"more than once in about {mean_runs:,.0f} runs on average; limits that come from few runs are widened."
        ),
    )


def run_series(store: LocalStore, experiment: str) -> list[Observations]:
    """Return the complete runs of an experiment that are on the same data as the newest, oldest first.

    Runs that an escalation added are left out: they were made because of what another run showed.

    Raises:
        SpecError: There are fewer than four.
    """
    runs = [m for m in store.runs() if m.name == experiment and m.status == "complete"]
    runs = [m for m in runs if "escalated_from" not in m.tags][:_LATEST]
    found: list[Observations] = []
    for manifest in reversed(runs):
        try:
            found.append(observe(store, manifest.run_id))
        except StoreError:
            continue  # its data set was removed
    if len(found) < _LEAST:
        raise SpecError(f"{experiment!r} has {len(found)} complete runs: control charts need at least {_LEAST}")
    return found


def _watched(store: LocalStore, newest: Observations) -> list[str]:
    declared = AnalysisSpec.model_validate(store.manifest(newest.run_id).spec.get("analysis", {}))
    names = [newest.primary, *(entry.metric for entry in declared.guardrails)]
    known = [name for name in dict.fromkeys(names) if name in newest.metrics and not newest.metrics[name].is_label]
    if not known:
        raise SpecError(f"the metric {newest.primary!r} gives words: name a metric with numbers")
    return known


def _chart(
    series: Sequence[Observations], metric: str, variant: str, reference_runs: int, *, cusum: float, ewma: float
) -> Chart:
    facts = series[-1].facts(metric)
    if facts.is_label:
        raise SpecError(f"the metric {metric!r} gives words: a chart needs numbers")
    kept = [run for run in series if variant in run.variants and metric in run.metrics]
    scores, items = _same_items(kept, metric, variant)
    reference = min(reference_runs, max(3, len(kept) - 1))
    shifts, se = _shifts(scores, reference)
    charts = [
        control_chart(shifts, kind=kind, se=_positive(se), baseline_runs=reference, limit=limit)
        for kind, limit in (("cusum", cusum), ("ewma", ewma))
    ]  # fmt: skip
    alarms = charts[0].alarm | charts[1].alarm
    alarms[:reference] = False
    change = find_changepoint(shifts, se=_positive(np.sqrt(se**2 + max(charts[0].between_sd, 0.0) ** 2)))
    levels = [float(np.nanmean(item_means(run.of(metric, variant)))) for run in kept]
    drifted = bool(alarms[-1])
    where = None
    blame = None
    if change.index is not None and change.low is not None and change.high is not None:
        where = (change.low, change.high)
        if drifted:
            blame = attribute(kept, metric, variant, index=change.index, low=change.low, high=change.high)
    notes = _notes(kept, charts, items, len(series[-1].ids))
    return Chart(
        metric=metric, variant=variant, runs=tuple(run.run_id for run in kept),
        times=tuple(run.created_at for run in kept), levels=tuple(levels), shifts=tuple(shifts.tolist()),
        se=tuple(se.tolist()), between_sd=charts[0].between_sd, cusum=tuple(charts[0].statistic.tolist()),
        cusum_limit=cusum, ewma=tuple(charts[1].statistic.tolist()), ewma_limits=tuple(charts[1].upper.tolist()),
        alarms=tuple(bool(alarm) for alarm in alarms), alarm=drifted,
        changed_at=kept[change.index].run_id if change.index is not None else None,
        changed_between=(kept[where[0]].run_id, kept[where[1]].run_id) if where else None,
        attribution=blame, reference_runs=reference, n_items=items, notes=notes,
        sentence=_sentence(kept, facts_gap=_say.gap(float(np.nanmean(shifts[change.index:])), facts)
                           if change.index is not None else "", shown=where, index=change.index, drifted=drifted,
                           latest=_say.value(levels[-1], facts), blame=blame, alarms=alarms,
                           why_not=_unjudged(len(kept), reference, float(shifts[-1])),
                           reference=reference),
    )  # fmt: skip


def _same_items(kept: Sequence[Observations], metric: str, variant: str) -> tuple[Float, int]:
    """Return item means of shape (runs, items), on the items of the newest run; `nan` where a run lacks one."""
    newest = kept[-1]
    rows = np.full((len(kept), len(newest.ids)), nan)
    for index, run in enumerate(kept):
        where = {identity: place for place, identity in enumerate(run.ids.tolist())}
        means = item_means(run.of(metric, variant))
        for column, (identity, content) in enumerate(zip(newest.ids.tolist(), newest.hashes.tolist(), strict=True)):
            place = where.get(identity)
            if place is not None and run.hashes[place] == content:
                rows[index, column] = means[place]
    shared = (~np.isnan(rows)).mean(axis=0) >= 0.8
    if not shared.any():
        raise SpecError(f"the runs of this experiment share no items: {metric!r} cannot be charted")
    return rows[:, shared], int(shared.sum())


def _shifts(scores: Float, reference: int) -> tuple[Float, Float]:
    """Return each run's mean difference from the reference on the same items, and its standard error.

    Residuals of the two-way layout items x reference runs estimate the noise of one answer: sum of squares over
    (items - 1)(runs - 1).
    """
    counted = (~np.isnan(scores[:reference])).sum(axis=0)
    total = np.nansum(scores[:reference], axis=0)
    normal = np.divide(total, counted, out=np.full(scores.shape[1], nan), where=counted > 0)
    gaps = scores - normal
    present = (~np.isnan(gaps)).sum(axis=1)
    shifts = np.divide(np.nansum(gaps, axis=1), present, out=np.full(len(scores), nan), where=present > 0)
    residuals = gaps[:reference] - shifts[:reference, None]
    freedom = max(1, (scores.shape[1] - 1) * (reference - 1))
    noise = sqrt(float(np.nansum(residuals**2)) / freedom)
    return shifts, np.asarray(noise / np.sqrt(np.maximum(present, 1)))


def _positive(se: Float) -> Float:
    """Keep a chart possible where no item ever changed: one answer in a thousand counts as noise."""
    return np.maximum(se, 1e-9)


def _notes(kept: Sequence[Observations], charts: Sequence[ControlChart], items: int, n_items: int) -> tuple[str, ...]:
    found = list(dict.fromkeys(warning for chart in charts for warning in chart.warnings))
    if charts[0].reason:
        found.append(charts[0].reason)
    if items < n_items:
        found.append(f"charted on the {items:,} of {n_items:,} items that the runs share")
    if len(kept) >= 3 and all(np.array_equal(kept[0].ids, run.ids) for run in kept) and _frozen(kept):
        found.append("every run scored every item the same: were the answers taken from the cache?")
    return tuple(found)


def _frozen(kept: Sequence[Observations]) -> bool:
    primary = kept[-1].primary
    cubes = [run.values.get(primary) for run in kept]
    first = cubes[0]
    return first is not None and all(cube is not None and np.array_equal(first, cube, equal_nan=True) for cube in cubes)


def _unjudged(runs: int, reference: int, latest: float) -> str:
    """Say why the newest run cannot be judged, if it cannot."""
    if runs <= reference:
        have = "run has" if runs == 1 else "runs have"
        return f"{runs} {have} this metric, and what is normal takes {reference} runs before the newest"
    return "the newest run has no score on the items that the runs share" if isnan(latest) else ""


def _sentence(
    kept: Sequence[Observations],
    *,
    facts_gap: str,
    shown: tuple[int, int] | None,
    index: int | None,
    drifted: bool,
    latest: str,
    blame: Attribution | None,
    alarms: NDArray[np.bool_],
    why_not: str,
    reference: int,
) -> str:
    if why_not:
        return f"not judged: {why_not}."
    if not drifted:
        earlier = int(alarms.sum())
        past = f" ({earlier} earlier runs were not)" if earlier else ""
        known = f", as far as {reference} runs can tell what is normal" if reference < ENOUGH_RUNS else ""
        return f"in control over {len(kept)} runs, {latest} now{past}{known}."
    text = f"DRIFT: {latest} now"
    if index is not None and shown is not None:
        text += (
            f", {facts_gap} since {_when(kept[index])} (95% interval: between {_when(kept[shown[0]])} and "
            f"{_when(kept[shown[1]])})"
        )
    else:
        text += "; no single change is shown, it may have come gradually"
    return f"{text}. {blame.sentence}" if blame is not None else f"{text}."


def _when(run: Observations) -> str:
    return run.created_at[:16].replace("T", " ")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and not isfinite(value) else value
