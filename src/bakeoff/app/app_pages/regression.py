"""Regression: one experiment from run to run, and whether anything drifted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from bakeoff.app import _lineage, _parts, _state
from bakeoff.app._charts import chart
from bakeoff.app._pages import page
from bakeoff.app._text import ago, h, number
from bakeoff.errors import BakeoffError
from bakeoff.experiments import analyse_two

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.app._lineage import RunPoint
    from bakeoff.experiments import Analysis, Manifest

__all__ = ["draw"]

_MOST = 40


def draw() -> None:
    """Draw the page."""
    _state.header("Regression", "The same experiment, run after run: is it still as good as it was?")
    named: dict[str, list[Manifest]] = {}
    for manifest in _state.manifests():
        if manifest.status in ("complete", "partial"):
            named.setdefault(manifest.name, []).append(manifest)
    if not named:
        _state.html(_parts.empty("⤳", "Nothing to watch yet", "Run an experiment; each further run adds a point here."))
        return
    one, two = st.columns([3, 2])
    with one:
        many = max(named, key=lambda n: len(named[n]))
        name = _state.choose(
            "Experiment", list(named), name="experiment", default=many, words=lambda n: f"{n} ({len(named[n])} runs)"
        )
    runs = named[name][:_MOST]
    metrics = [m.metric for m in runs[0].metrics]
    with two:
        metric = _state.choose("Metric", metrics, name="metric", default=runs[0].primary, scope=name)
    points = _lineage.run_points(runs, metric, _state.analysis_of)
    if len(points) < 2:
        _state.html(
            _parts.empty("⤳", "One run so far", "Run the experiment again, by hand or on a schedule, to see a trend.")
        )
        return
    variants = list(dict.fromkeys(v for point in points for v in point.estimates))
    percent = _is_pass_rate(points, metric)
    chart(
        _lineage.trend_figure(points, variants[:8], metric, mode=_state.mode(), percent=percent), key="trend",
        alt=f"{metric} over runs",
    )  # fmt: skip
    _latest(points, metric)
    _drift(points, variants, percent=percent)


def _is_pass_rate(points: Sequence[RunPoint], metric: str) -> bool:
    analysis = _state.analysis_of(points[-1].manifest)
    return any(m.metric == metric and m.kind == "binary" for m in analysis.metrics)


@st.cache_resource(max_entries=32, show_spinner=False)
def _two(before: str, after: str, metric: str, stamps: tuple[tuple[int, ...], ...]) -> Analysis:
    del stamps
    return analyse_two(_state.the_store(), before, after, metric=metric)


def _latest(points: Sequence[RunPoint], metric: str) -> None:
    before, after = points[-2].manifest, points[-1].manifest
    st.subheader("Newest run against the one before")
    try:
        analysis = _two(before.run_id, after.run_id, metric, (_state.stamp_of(before), _state.stamp_of(after)))
    except BakeoffError as problem:
        _state.html(_parts.error(problem))
        return
    if analysis.warnings:
        _state.html(_parts.warnings(analysis.warnings, "What else differs"))
    _state.html(_parts.comparisons(analysis, analysis.metric(metric)))
    query = {"run": after.run_id, "what": "runs", "before": before.run_id}
    st.page_link(page("compare"), label="Compare the two runs", icon=":material/compare_arrows:", query_params=query)


def _drift(points: Sequence[RunPoint], variants: Sequence[str], *, percent: bool) -> None:
    st.subheader("Drift")
    rows = []
    notes: set[str] = set()
    for variant in variants[:20]:
        found = _lineage.chart_of(points, variant)
        if found is None:
            continue
        notes |= set(found.warnings)
        if found.reason is not None:
            said = f"{_parts.chip('no limits', 'open')} <span class=bo-soft>{h(found.reason, 200)}</span>"
        elif found.first_alarm is not None:
            run = points[found.first_alarm].manifest
            said = f"{_parts.chip('▼▲ drifted', 'bad')} since run {h(run.run_id[-4:])}, {h(ago(run.created_at))}"
        else:
            said = _parts.chip("steady", "good")
        scale = 100.0 if percent else 1.0
        rows.append(
            f"<tr><td class=name>{h(variant, 80)}</td><td>{said}</td><td class=r>{number(found.centre * scale)}</td>"
            f"<td class=r>{number(float(found.sigma[-1]) * scale)}</td><td class=r>{number(found.run_length)}</td></tr>"
        )
    if not rows:
        st.caption("A control chart needs at least four runs.")
        return
    head = (
        "<tr><th>Variant</th><th>CUSUM</th><th class=r>Normal</th><th class=r>Spread of a run</th>"
        "<th class=r>Runs between false alarms</th></tr>"
    )
    _state.html(_parts.wrap(f'<div class="bo-card bo-scroll"><table>{head}{"".join(rows)}</table></div>'))
    for note in sorted(notes):
        _state.html(_parts.wrap(f'<div class="bo-soft"><small>{h(note, 300)}</small></div>'))
