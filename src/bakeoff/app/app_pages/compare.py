"""Two variants, of one run or of two, side by side: what improved, what got worse, and how the answers changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from bakeoff.app import _compare_items, _pairs, _parts, _state
from bakeoff.app._text import h
from bakeoff.errors import BakeoffError
from bakeoff.experiments import analyse_two

if TYPE_CHECKING:
    from bakeoff.experiments import Analysis, Comparison, Manifest, MetricAnalysis

__all__ = ["draw"]


def draw() -> None:
    """Draw the page."""
    _state.header("Compare", "The same items, two settings: what got better, what got worse, and what exactly changed.")
    manifest = _state.choose_run()
    if manifest is None:
        return
    what = _state.choose(
        "Compare", ["variants", "runs"], name="what", style="segments", label_visibility="collapsed",
        words=lambda w: {"variants": "Two variants of this run", "runs": "This run with another one"}[w],
    )  # fmt: skip
    if what == "runs":
        _two_runs(manifest)
    elif len(manifest.variants) < 2:
        _state.html(
            _parts.empty("⇄", "Only one variant", "This run has nothing to compare within; choose another run.")
        )
    else:
        _two_variants(manifest)


def _two_variants(manifest: Manifest) -> None:
    names = manifest.variant_names
    one, two, three = st.columns([3, 3, 2])
    with one:
        baseline = _state.choose("From", names, name="from", default=manifest.baseline, scope=manifest.run_id)
    others = [name for name in names if name != baseline]
    with two:
        candidate = _state.choose("To", others, name="to", default=others[-1], scope=manifest.run_id)
    with three:
        metrics = [m.metric for m in manifest.metrics]
        metric = _state.choose("Metric", metrics, name="metric", default=manifest.primary, scope=manifest.run_id)
    analysis = _state.analysis_of(manifest, baseline=baseline)
    comparison = _find(analysis, metric, candidate, baseline)
    if comparison is not None:
        _summary(analysis, comparison)
    _compare_items.show(
        manifest, manifest, metric, before=_side(manifest, baseline), after=_side(manifest, candidate), moved=comparison
    )


def _side(manifest: Manifest, variant: str) -> _pairs.Side:
    return _pairs.Side(run_id=manifest.run_id, variant=variant)


def _find(analysis: Analysis, metric: str, candidate: str, baseline: str) -> Comparison | None:
    for found in analysis.metrics:
        if found.metric == metric:
            for comparison in found.comparisons:
                if (comparison.candidate, comparison.baseline) == (candidate, baseline):
                    return comparison
    return None


def _summary(analysis: Analysis, comparison: Comparison) -> None:
    tone = _parts.TONES[comparison.label]
    simulated = _parts.chip("simulated", "other") if analysis.is_simulated else ""
    title, _, rest = comparison.words.partition(": ")
    verdict = comparison.difference.verdict
    decided = comparison.label not in ("inconclusive", "equivalent")
    because = "" if verdict is None or decided else verdict.because
    said = any(len(part) > 20 and part in rest for part in because.split(". "))  # the words hold it already
    why = f"<p>{h(because, 400)}</p>" if because and not said else ""
    neutral = analysis.metric(comparison.metric).higher_is_better is None
    names = ("higher", "the same", "lower") if neutral else ("improved", "the same", "regressed")
    counts = _parts.split(comparison.improved, comparison.same, comparison.regressed, names)
    _state.html(
        _parts.wrap(
            f'<div class="bo-card bo-hero bo-{tone}"><div class="bo-eyebrow">{_parts.verdict_chip(comparison.label)}'
            f"{simulated}</div><h2>{h(title, 300)}</h2><p>{h(rest, 500)}</p>{why}{counts}</div>"
        )
    )


@st.cache_resource(max_entries=32, show_spinner=False)
def _analysed(
    before: str, after: str, metric: str, pair: tuple[str, str] | None, stamps: tuple[tuple[int, ...], ...]
) -> Analysis:
    del stamps
    return analyse_two(_state.the_store(), before, after, metric=metric, pairs=None if pair is None else [pair])


def _two_runs(manifest: Manifest) -> None:
    others = [m for m in _state.manifests() if m.run_id != manifest.run_id]
    others.sort(key=lambda m: m.name != manifest.name)  # runs of the same experiment first
    if not others:
        _state.html(_parts.empty("⇄", "No other run", "Run the experiment again to compare it with this one."))
        return
    earlier = _state.choose(
        "Other run", others, name="before", words=_state.run_label, code=lambda m: m.run_id, scope=manifest.run_id
    )
    metrics = [m.metric for m in manifest.metrics if m.metric in {other.metric for other in earlier.metrics}]
    if not metrics:
        _state.html(
            _parts.empty(
                "⇄", "No metric in common", "The two runs were scored differently; `bakeoff score` can add it."
            )
        )
        return
    one, two, three = st.columns([3, 3, 2])
    scope = f"{earlier.run_id}{manifest.run_id}"
    with one:
        before = _state.choose("From", earlier.variant_names, name="from", default=earlier.baseline, scope=scope)
    with two:
        same = before if before in manifest.variant_names else manifest.baseline
        after = _state.choose("To", manifest.variant_names, name="to", default=same, scope=scope)
    with three:
        default = manifest.primary if manifest.primary in metrics else metrics[0]
        metric = _state.choose("Metric", metrics, name="metric", default=default, scope=scope)
    stamps = (_state.stamp_of(earlier), _state.stamp_of(manifest))
    try:
        analysis = _analysed(earlier.run_id, manifest.run_id, metric, (before, after), stamps)
        shared = _analysed(earlier.run_id, manifest.run_id, metric, None, stamps)
    except BakeoffError as problem:
        _state.html(_parts.error(problem))
        return
    if analysis.warnings:
        _state.html(_parts.warnings(analysis.warnings, "What else differs"))
    for comparison in analysis.metric(metric).comparisons:
        _summary(analysis, comparison)
    if len(shared.metric(metric).comparisons) > 1:
        with st.expander(_changed(shared.metric(metric)), icon=":material/compare_arrows:"):
            _state.html(_parts.comparisons(shared, shared.metric(metric)))
    _compare_items.show(
        earlier,
        manifest,
        metric,
        before=_side(earlier, before),
        after=_side(manifest, after),
        moved=next(iter(analysis.metric(metric).comparisons), None),
    )


def _changed(metric: MetricAnalysis) -> str:
    """Say in a few words what changed between two runs, over all variants that both have."""
    counts: dict[str, int] = {}
    for comparison in metric.comparisons:
        counts[comparison.label] = counts.get(comparison.label, 0) + 1
    open_count = counts.pop("inconclusive", 0)
    said = [f"{count} {word}" for word, count in counts.items()]
    said += [f"{open_count} not shown to differ"] if open_count else []
    return f"All {len(metric.comparisons)} variants that both runs have: {', '.join(said)}"
