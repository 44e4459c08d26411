"""What a run says beyond its verdicts: effects of factors, one answer or the best of several, what a success costs."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING

import streamlit as st

from bakeoff.app import _parts, _state
from bakeoff.app._charts import chart
from bakeoff.app._text import h, named
from bakeoff.reports import amount_usd, effects_figure

if TYPE_CHECKING:
    from bakeoff.experiments import Insights, Manifest, MetricAnalysis
    from bakeoff.stats import Estimate

__all__ = ["behind"]


def behind(manifest: Manifest, metric: MetricAnalysis) -> None:
    """Draw what each factor does, then the tables and everything else in words."""
    found = _state.insights_of(manifest)
    if found.effects is not None:
        figure = effects_figure(found, points=metric.kind == "binary", mode=_state.mode())
        alt = f"What each factor does to {metric.metric}, with intervals"
        chart(figure, key="effects", alt=alt, name=f"{manifest.run_id}-effects")
        st.caption(
            "Each difference is averaged over the other factors. A product (a × b) says by how much the one depends on "
            "the other; filled marks hold after Holm's correction over all effects."
        )
    if found.passes:
        st.markdown("**One answer, or the best of several**")
        _state.html(_passes(found))
        st.caption("Any of k: the chance that one of k answers is right (pass@k). All of k: that all are (pass^k).")
    if found.choice.success_costs:
        st.markdown("**What 1,000 successes cost**")
        _state.html(_costs(found))
    if found.notes:
        rows = "".join(f"<li>{h(note, 600)}</li>" for note in found.notes)
        _state.html(
            _parts.wrap(f'<div class="bo-card"><ul style="padding-left:1.1rem;margin:.2rem 0">{rows}</ul></div>')
        )
    if not found.notes and found.effects is None and not found.passes:
        scored = any(row.n_items for row in metric.scores)
        said = "Repeats, or a second factor, would tell more." if scored else "No answer has a score."
        _state.html(_parts.empty("◔", "Nothing more to say", said))


def _table(head: list[str], rows: list[list[str]]) -> str:
    top = "".join(f"<th{' class=r' if place else ''}>{h(name)}</th>" for place, name in enumerate(head))
    body = "".join(
        "<tr>"
        + "".join(f'<td class="{"r" if place else "name"}">{cell}</td>' for place, cell in enumerate(row))
        + "</tr>"
        for row in rows
    )
    return _parts.wrap(f'<div class="bo-card bo-scroll"><table><tr>{top}</tr>{body}</table></div>')


def _passes(found: Insights) -> str:
    ks = range(len(found.passes[0].any_of_k))
    rows = [
        [f"{named(curves.variant)}<small>{what}</small>", *(_share(curve[k]) for k in ks)]
        for curves in found.passes
        for what, curve in (("any of k right", curves.any_of_k), ("all of k right", curves.all_of_k))
    ]
    return _table(["Variant", *(f"k = {k + 1}" for k in ks)], rows)


def _share(estimate: Estimate) -> str:
    if isnan(estimate.estimate):
        return "–"
    span = "" if isnan(estimate.low) else f"<br><small>{100 * estimate.low:.0f} to {100 * estimate.high:.0f}</small>"
    return f"{100 * estimate.estimate:.1f}%{span}"


def _costs(found: Insights) -> str:
    def thousand(value: float) -> str:
        return h(amount_usd(1000 * value))

    rows = [
        [named(variant), thousand(cost.estimate), f"{thousand(cost.low)} to {thousand(cost.high)}"]
        for variant, cost in found.choice.success_costs
    ]
    return _table(["Variant", "USD per 1,000 successes", "Interval"], rows)
