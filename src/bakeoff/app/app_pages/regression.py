"""Regression: one experiment from run to run - drift, gates, baselines, schedules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from bakeoff.app import _control_chart, _lineage, _parts, _state
from bakeoff.app._baseline_view import baseline_section
from bakeoff.app._charts import chart
from bakeoff.app._gate_view import gate_section
from bakeoff.app._pages import page
from bakeoff.app._schedule_view import schedule_section
from bakeoff.app._text import ago, h, number
from bakeoff.errors import BakeoffError, SpecError
from bakeoff.experiments import analyse_two
from bakeoff.regression import ENOUGH_RUNS, monitor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.app._lineage import RunPoint
    from bakeoff.experiments import Analysis, Manifest
    from bakeoff.regression import Chart, Monitor

__all__ = ["draw"]

_MOST = 40
_VIEWS = {"trend": "Trend", "gates": "Gates", "baselines": "Baselines", "schedules": "Schedules"}


def draw() -> None:
    """Draw the page."""
    _state.header("Regression", "The same experiment, run after run: is it still as good as it was?")
    named: dict[str, list[Manifest]] = {}
    for manifest in _state.manifests():
        if manifest.status in ("complete", "partial"):
            named.setdefault(manifest.name, []).append(manifest)
    if not named:
        _state.html(_parts.empty("⤳", "Nothing to watch yet", "Run an experiment; each further run adds a point here."))
        schedule_section()
        return
    view = _state.choose(
        "View", list(_VIEWS), name="watch", words=lambda v: _VIEWS[v], style="segments", label_visibility="collapsed"
    )
    if view == "schedules":
        schedule_section()
        return
    many = max(named, key=lambda n: len(named[n]))
    one, two, three = st.columns([3, 2, 1.4])
    with one:
        name = _experiment(named, many)
    if view == "gates":
        gate_section(named[name], [runs[0] for runs in named.values()])
    elif view == "baselines":
        baseline_section(named[name])
    else:
        runs = named[name]
        with two:
            metric = _state.choose(
                "Metric", [m.metric for m in runs[0].metrics], name="metric", default=runs[0].primary, scope=name
            )
        reference = three.number_input(
            "Normal: first runs", 3, 200, value=20, key=f"r_reference_{name}",
            help="How many of the first runs say what is normal. Fewer leave more runs to be judged, by wider limits.",
        )  # fmt: skip
        _trend(runs, metric, int(reference or 20))


def _experiment(named: dict[str, list[Manifest]], many: str) -> str:
    return _state.choose(
        "Experiment", list(named), name="experiment", default=many,
        words=lambda n: f"{n} ({len(named[n])} run{'s' if len(named[n]) > 1 else ''})",
    )  # fmt: skip


def _trend(all_runs: Sequence[Manifest], metric: str, reference: int) -> None:
    runs = all_runs[:_MOST]
    if len(runs) < 2:
        _state.html(
            _parts.empty("⤳", "One run so far", "Run the experiment again, by hand or on a schedule, to see a trend.")
        )
        return
    try:
        watched: Monitor | None = _watched(runs[0].name, metric, reference, tuple(_state.stamp_of(m) for m in all_runs))
        reason = ""
    except SpecError as problem:
        watched, reason = None, str(problem)
    if watched is None:
        _few_runs(runs, metric, reason)
    else:
        _control(watched, percent=_is_pass_rate(runs[0], metric))
    _latest(runs, metric)


@st.cache_resource(max_entries=32, show_spinner="Reading the runs …")
def _watched(experiment: str, metric: str, reference: int, stamps: tuple[tuple[int, ...], ...]) -> Monitor:
    del stamps  # part of the key: another run, or more of one, is another chart
    return monitor(_state.the_store(), experiment, metrics=[metric], reference_runs=reference)


def _control(watched: Monitor, *, percent: bool) -> None:
    """Show every variant's state in words, then one chart in full."""
    charts = {found.variant: found for found in watched.charts}
    drifted = [name for name, found in charts.items() if found.alarm]
    rows = "".join(_chart_row(found, percent=percent) for found in watched.charts[:40])
    head = "<tr><th>Variant</th><th>State</th><th class=r>Normal</th><th class=r>Now</th><th>Runs</th></tr>"
    _state.html(_parts.wrap(f'<div class="bo-card bo-scroll"><table>{head}{rows}</table></div>'))
    chosen = _state.choose(
        "Chart of", list(charts), name="charted", default=drifted[0] if drifted else None,
        scope=watched.experiment, label_visibility="visible" if len(charts) > 1 else "collapsed",
    ) if len(charts) > 1 else next(iter(charts))  # fmt: skip
    found = charts[chosen]
    chart(
        _control_chart.control_figure(found, mode=_state.mode(), percent=percent), key="control",
        alt=f"{found.metric} of {found.variant} over {len(found.runs)} runs: {found.sentence}",
    )  # fmt: skip
    _state.html(
        _parts.wrap(
            f'<div class="bo-card"><p style="margin:0">{h(_sentence(found.sentence), 1200)}</p>{_blame(found)}</div>'
        )
    )
    notes = "".join(f"<li>{h(note, 300)}</li>" for note in (*found.notes, watched.statement))
    _state.html(
        _parts.wrap(
            '<div class="bo-soft"><small>A run is compared with the first '
            f"{found.reference_runs} on the same {found.n_items:,} items; whiskers are 95% of the noise between runs. "
            f"Below, a line beyond 100% is an alarm.<ul>{notes}</ul></small></div>"
        )
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _chart_row(found: Chart, *, percent: bool) -> str:
    scale, unit = (100.0, "%") if percent else (1.0, "")
    if found.alarm:
        state = _parts.chip("▼▲ drifted", "bad")
    elif found.sentence.startswith("not judged"):
        state = _parts.chip("not judged", "open")
    elif found.reference_runs < ENOUGH_RUNS:  # a green word would promise more than so few runs can
        state = _parts.chip(f"no alarm yet · {found.reference_runs} of {ENOUGH_RUNS} runs known", "open")
    else:
        state = _parts.chip("✓ in control", "good")
    normal = _control_chart.normal_level(found)
    return (
        f"<tr><td class=name>{h(found.variant, 80)}</td><td>{state}</td>"
        f"<td class=r>{number(scale * normal)}{unit}</td><td class=r>{number(scale * found.levels[-1])}{unit}</td>"
        f'<td class="bo-mono" aria-hidden="true">{h(found.sparkline[-40:], 40)}</td></tr>'
    )


def _blame(found: Chart) -> str:
    """Return what the drift came from, as far as the runs can tell."""
    if found.attribution is None:
        return ""
    chips = " ".join(_parts.chip(cause, "other") for cause in found.attribution.causes)
    facts = "".join(f"<li>{h(entry, 300)}</li>" for entry in found.attribution.evidence)
    return f'<div class="bo-label" style="margin-top:.6rem">It came from {chips}</div><ul>{facts}</ul>'


def _is_pass_rate(manifest: Manifest, metric: str) -> bool:
    declared = next((m.score_kind for m in manifest.metrics if m.metric == metric), None)
    if declared is not None:
        return declared == "binary"
    return any(m.metric == metric and m.kind == "binary" for m in _state.analysis_of(manifest).metrics)


def _few_runs(runs: Sequence[Manifest], metric: str, reason: str) -> None:
    """Show the points without limits: there are too few runs for control charts."""
    points = _lineage.run_points(runs, metric, _state.analysis_of)
    if not points:
        st.caption("This metric has no numbers to draw.")
        return
    percent = _is_pass_rate(points[-1].manifest, metric)
    variants = list(dict.fromkeys(v for point in points for v in point.estimates))
    chart(
        _lineage.trend_figure(points, variants[:8], metric, mode=_state.mode(), percent=percent), key="trend",
        alt=f"{metric} over runs",
    )  # fmt: skip
    _state.html(_parts.wrap(f'<div class="bo-soft">No control limits: {h(reason, 300)}</div>'))
    _drift(points, variants, percent=percent)


@st.cache_resource(max_entries=32, show_spinner=False)
def _two(before: str, after: str, metric: str, stamps: tuple[tuple[int, ...], ...]) -> Analysis:
    del stamps
    return analyse_two(_state.the_store(), before, after, metric=metric)


def _latest(runs: Sequence[Manifest], metric: str) -> None:
    having = [manifest for manifest in runs if metric in {m.metric for m in manifest.metrics}][:2]
    if len(having) < 2:
        return
    after, before = having
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
    """Chart runs of other kinds, such as stopped ones, on their estimates alone."""
    rows = []
    for variant in variants[:20]:
        found = _lineage.chart_of(points, variant)
        if found is None:
            continue
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
            f"<td class=r>{number(float(found.sigma[-1]) * scale)}</td></tr>"
        )
    if rows:
        st.subheader("Drift")
        head = "<tr><th>Variant</th><th>CUSUM</th><th class=r>Normal</th><th class=r>Spread of a run</th></tr>"
        _state.html(_parts.wrap(f'<div class="bo-card bo-scroll"><table>{head}{"".join(rows)}</table></div>'))
