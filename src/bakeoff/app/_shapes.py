"""What the results page draws: the front of quality against cost, how scores are spread, items by variants."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from bakeoff.app import _parts, _state
from bakeoff.app._charts import chart
from bakeoff.app._pages import page
from bakeoff.app._text import h, md, named, number, percent
from bakeoff.reports import AXIS_WORDS, axis_value, distribution_figure, tradeoff_figure

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bakeoff.experiments import Analysis, Manifest, MetricAnalysis, TradeOff

__all__ = ["distribution", "heat_map", "heat_rows", "trade_off"]

_MOST_ITEMS = 60
_ORDER = {"spread": "Most different first", "hardest": "Hardest first", "data": "As in the data"}


def trade_off(manifest: Manifest, analysis: Analysis, metric: MetricAnalysis) -> None:
    """Draw quality against an axis of the reader's choice, with the front and how sure each place on it is."""
    axes = _state.trade_axes_of(manifest)
    one, two = st.columns(2)
    with one:
        axis = _state.choose(
            "Quality against", axes, name="against", words=lambda a: AXIS_WORDS[a][0], scope=manifest.run_id
        )
    others = [None, *(a for a in axes if a != axis)]
    with two:
        also = _state.choose(
            "And at the same time", others, name="also", scope=f"{manifest.run_id}{axis}", code=lambda a: a or "none",
            words=lambda a: "nothing else" if a is None else AXIS_WORDS[a][0],
        )  # fmt: skip
    against = (axis,) if also is None else (axis, also)
    found = _state.trade_off_of(manifest, metric.metric, against, confidence=analysis.confidence)
    figure = tradeoff_figure(found, metric, mode=_state.mode())
    alt = f"{metric.metric} against {AXIS_WORDS[axis][0].lower()}, with the Pareto front"
    chart(figure, key="front", alt=alt, name=f"{manifest.run_id}-{metric.metric}-{axis}")
    better = "Up" if found.higher_is_better else "Down"
    st.caption(
        f"{better} and to the left is better. The dotted line is the best that can be had for so much. A hollow point "
        f"is beaten by another variant on {_listed(metric.metric, against)} at once."
    )
    _state.html(_front_table(found, metric, analysis))
    for note in _notes(found, manifest):
        st.caption(md(note, 300))


def _listed(metric: str, against: tuple[str, ...]) -> str:
    words = [md(metric, 60), *(AXIS_WORDS[a][0].lower() for a in against)]
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _front_table(found: TradeOff, metric: MetricAnalysis, analysis: Analysis) -> str:
    front = found.front
    quality = {row.variant: row.estimate for row in metric.scores}
    order = sorted(range(len(front.variants)), key=lambda i: (not front.on_front[i], _first(front.values[i, 1])))
    rows: list[str] = []
    for index in order[:60]:
        variant = front.variants[index]
        chance = float(front.probability[index])
        width = 100 * chance if isfinite(chance) else 0.0
        share = percent(chance, 0) if isfinite(chance) else "–"
        place = _parts.chip("✓ on it", "good") if front.on_front[index] else _parts.chip("beaten", "open")
        cells = "".join(
            f"<td class=r>{h(number(axis_value(axis, float(front.values[index, column + 1]))))}"
            f"<br><small class=bo-soft>{_ends(axis, found, column, index)}</small></td>"
            for column, axis in enumerate(found.axes)
        )
        base = "baseline" if variant == analysis.baseline else ""
        value = quality.get(variant)
        shown = "–" if value is None else _parts.shown(value.estimate, metric)
        rows.append(
            f"<tr><td>{place}</td><td class=name>{named(variant)}<small>{base}</small></td>"
            f"<td class=r><b>{h(shown)}</b></td>{cells}"
            f'<td><div class="bo-progress"><div class="bo-key" style="width:{width:.0f}%"></div></div></td>'
            f"<td class=r>{h(share)}</td></tr>"
        )
    heads = "".join(f"<th class=r>{h(AXIS_WORDS[a][0])}<br>{h(AXIS_WORDS[a][1])}</th>" for a in found.axes)
    head = (
        f"<tr><th>Front</th><th>Variant</th><th class=r>{h(metric.metric, 40)}</th>{heads}"
        '<th style="min-width:90px">Chance of being on it</th><th></th></tr>'
    )
    return _parts.wrap(f'<div class="bo-card bo-scroll"><table>{head}{"".join(rows)}</table></div>')


def _first(value: float) -> float:
    return value if isfinite(value) else float("inf")


def _ends(axis: str, found: TradeOff, column: int, index: int) -> str:
    estimate = found.spread[column][index]
    if not (isfinite(estimate.low) and isfinite(estimate.high)):
        return "no interval"
    return h(f"{number(axis_value(axis, estimate.low))} – {number(axis_value(axis, estimate.high))}")


def _notes(found: TradeOff, manifest: Manifest) -> list[str]:
    front = found.front
    support = (
        f"The chance is the share of {front.resamples:,} resamples of {front.n:,} items (whole clusters where the data "
        "has them) in which no other variant beats it. Read it as support, not as a test."
    )
    notes = [support, *(f"{note[0].upper()}{note[1:]}." for note in front.warnings)]
    if front.reason:
        notes.append(f"{front.reason[0].upper()}{front.reason[1:]}.")
    if any(axis in ("latency_p50", "latency_p95", "latency_mean", "ttft_p50") for axis in found.axes):
        notes.append("Repeats of an item are averaged before a median or percentile is taken over items.")
    _, info = _state.cube_of(manifest, found.metric)
    if info is not None and info.weights is not None:
        notes.append("Item weights count in the quality that is drawn, but not in who is on the front.")
    return notes


def distribution(manifest: Manifest, metric: MetricAnalysis) -> None:
    """Draw how the scores of each variant are spread."""
    cube, _ = _state.cube_of(manifest, metric.metric)
    scores = [(name, cube.values[index].ravel()) for index, name in enumerate(cube.variants)]
    shown = scores[:8]
    figure = distribution_figure(shown, metric, mode=_state.mode())
    chart(figure, key="spread", alt="Distribution of scores", name=f"{manifest.run_id}-{metric.metric}-distribution")
    if len(scores) > len(shown):
        st.caption(f"The first {len(shown)} of {len(scores):,} variants; the export holds all.")


def heat_rows(values: NDArray[np.float64], order: str, *, higher_is_better: bool, most: int) -> NDArray[np.int64]:
    """Return which items a heat map shows, in order; items without any score come last.

    Args:
        values: Shape (items, variants), `nan` where there is no score.
        order: `spread`, `hardest` or `data`.
        higher_is_better: Which end is hard.
        most: Rows at most.

    Examples:
        >>> heat_rows(np.array([[1.0, 1.0], [0.0, 1.0], [0.0, 0.0]]), "hardest", higher_is_better=True, most=2)
        array([2, 1])
    """
    known = ~np.isnan(values)
    some = known.any(axis=1)
    if order == "data":
        return np.arange(len(values))[:most]
    if order == "hardest":
        mean = np.where(known, values, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        key = mean if higher_is_better else -mean
    else:
        key = np.where(known, values, np.inf).min(axis=1) - np.where(known, values, -np.inf).max(axis=1)
    return np.argsort(np.where(some, key, np.inf), kind="stable")[:most]


def heat_map(manifest: Manifest, metric: MetricAnalysis) -> None:
    """Draw items by variants: where they agree, where they differ, what is missing."""
    from bakeoff.reports import matrix_figure

    cube, info = _state.cube_of(manifest, metric.metric)
    order = _state.choose("Order", list(_ORDER), name="heat_order", words=lambda o: _ORDER[o], style="segments")
    known = ~np.isnan(cube.values)
    counted = known.sum(axis=2)
    total = np.where(known, cube.values, 0.0).sum(axis=2)
    means = np.divide(total, counted, out=np.full(counted.shape, np.nan), where=counted > 0).T
    rows = heat_rows(means, order, higher_is_better=metric.higher_is_better is not False, most=_MOST_ITEMS)
    ids = [str(index) if info is None else str(info.ids[index]) for index in rows]
    figure = matrix_figure(means[rows], ids, list(cube.variants), metric.metric, mode=_state.mode())
    chart(
        figure, key="heat", alt=f"{metric.metric} by item and variant", name=f"{manifest.run_id}-{metric.metric}-heat"
    )
    left, right = st.columns([4, 1.4], vertical_alignment="center")
    left.caption(f"{len(rows):,} of {len(means):,} items; a gap is a missing score, never a zero.")
    query = {"run": manifest.run_id, "metric": metric.metric}
    right.page_link(page("items"), label="All items", icon=":material/grid_on:", query_params=query)
