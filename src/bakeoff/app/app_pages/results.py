"""Results of one run: the verdict first, then what it rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from bakeoff.app import _cautions, _details, _export, _parts, _shapes, _state
from bakeoff.app._behind import behind
from bakeoff.app._charts import chart
from bakeoff.app._pages import page
from bakeoff.app._text import h
from bakeoff.experiments import tied_words
from bakeoff.reports import amount_usd, duration, forest_figure

if TYPE_CHECKING:
    from bakeoff.experiments import Analysis, Manifest, MetricAnalysis

__all__ = ["draw"]

_VIEWS = {
    "front": "Trade-off",
    "behind": "Behind it",
    "spread": "Distribution",
    "heat": "Heat map",
    "segments": "Segments",
    "metrics": "All metrics",
    "differences": "Forest plot",
    "methods": "Methods",
}


def draw() -> None:
    """Draw the page."""
    _state.header("Results", "The answer first, with how sure it is; then everything it rests on.")
    chooser, tools = st.columns([5, 1.2], vertical_alignment="bottom")
    with chooser:
        manifest = _state.choose_run(prefer=lambda m: m.status in ("complete", "partial"))
    if manifest is None:
        return
    with tools:
        _export.export_menu(_state.the_store(), manifest)
    analysis = _state.analysis_of(manifest)
    if not analysis.metrics:
        _state.html(_parts.empty("◔", "No scores yet", "The run has not scored a trial so far."))
        st.page_link(page("live"), label="Watch it live", icon=":material/monitoring:")
        return
    metric = _metric(analysis, manifest)
    analysis = _baseline(analysis, manifest)
    metric = analysis.metric(metric.metric)
    _state.html(_parts.hero(analysis, metric))
    _facts(analysis)
    warnings = [*analysis.warnings, *_cautions.cautions(_state.the_store(), manifest, metric)]
    if warnings:
        _state.html(_parts.warnings(warnings))
    if metric.kind == "label":
        _details.label_counts(_state.the_store(), manifest, metric)
    else:
        if metric.comparisons:
            st.subheader("Differences")
            _state.html(_parts.comparisons(analysis, metric))
        st.subheader("Leaderboard")
        models = {v.name: v.model or v.kind for v in manifest.variants}
        _state.html(_parts.leaderboard(analysis, metric, models))
        said = tied_words(metric)
        if said:
            _state.html(_parts.wrap(f'<div class="bo-soft">{h(said, 2000)}</div>'))
    _more(analysis, metric, manifest)


def _metric(analysis: Analysis, manifest: Manifest) -> MetricAnalysis:
    names = [m.metric for m in analysis.metrics]
    default = analysis.primary if analysis.primary in names else names[0]
    if len(names) == 1:
        return analysis.metric(default)
    style = "segments" if len(names) <= 6 else "select"
    name = _state.choose(
        "Metric", names, name="metric", default=default, style=style, scope=manifest.run_id,
        words=lambda m: f"{m} (primary)" if m == analysis.primary else m, label_visibility="collapsed",
    )  # fmt: skip
    return analysis.metric(name)


def _baseline(analysis: Analysis, manifest: Manifest) -> Analysis:
    """Let the reader compare with another variant than the declared one."""
    wanted = _state.kept("baseline")
    if wanted in manifest.variant_names and wanted != manifest.baseline:
        return _state.analysis_of(manifest, baseline=wanted)
    return analysis


def _facts(analysis: Analysis) -> None:
    _state.html(
        _parts.tiles(
            [
                (f"{len(analysis.resources)}", "variants"),
                (f"{analysis.n_items:,}", "items"),
                (f"{analysis.trials:,}", f"of {analysis.planned_trials:,} trials"),
                (f"{analysis.failed:,}", "failed"),
                (amount_usd(analysis.cost_usd), "spent"),
                (duration(analysis.seconds), "run time"),
            ]
        )
    )


def _more(analysis: Analysis, metric: MetricAnalysis, manifest: Manifest) -> None:
    st.subheader("Look closer")
    views = [v for v in _VIEWS if v in ("metrics", "methods") or metric.kind != "label"]
    views = [v for v in views if v != "differences" or metric.comparisons]
    views = [v for v in views if v != "behind" or metric.role == "primary"]
    if not any(m.comparisons for m in analysis.metrics):
        views = [v for v in views if v != "metrics"]
    if metric.higher_is_better is None or len(manifest.variants) < 2 or not _state.trade_axes_of(manifest):
        views = [v for v in views if v != "front"]
    view = _state.choose(
        "View", views, name="view", words=lambda v: _VIEWS[v], style="segments", label_visibility="collapsed"
    )
    if view == "behind":
        behind(manifest, metric)
    elif view == "differences":
        figure = forest_figure(analysis, metric.metric, mode=_state.mode())
        chart(figure, key="forest", alt="Forest plot of the differences", name=f"{manifest.run_id}-forest")
    elif view == "front":
        _shapes.trade_off(manifest, analysis, metric)
    elif view == "spread":
        _shapes.distribution(manifest, metric)
    elif view == "heat":
        _shapes.heat_map(manifest, metric)
    elif view == "segments":
        _details.segments(manifest, analysis, metric)
    elif view == "metrics":
        _details.all_metrics(analysis)
    else:
        _details.methods(analysis, manifest)
        _baseline_control(manifest)


def _baseline_control(manifest: Manifest) -> None:
    st.caption("Compare with another variant (this page only; the declared analysis stays as it is).")
    _state.choose(
        "Baseline", manifest.variant_names, name="baseline", default=manifest.baseline, scope=manifest.run_id,
        words=lambda v: f"{v} (declared)" if v == manifest.baseline else v,
    )  # fmt: skip
