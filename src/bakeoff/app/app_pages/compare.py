"""Two variants, or two runs, side by side: what improved, what got worse, and how the answers changed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import streamlit as st

from bakeoff.app import _parts, _queries, _state
from bakeoff.app._diff import word_diff
from bakeoff.app._queries import ItemFilter
from bakeoff.app._text import h, line, md, visible
from bakeoff.app._trial_view import score_chip
from bakeoff.errors import BakeoffError
from bakeoff.experiments import analyse_two

if TYPE_CHECKING:
    from bakeoff.app._queries import Trial
    from bakeoff.experiments import Analysis, Comparison, Manifest, MetricAnalysis

__all__ = ["draw"]

_ROWS = 12
_SHOW = {
    "improved": "Improved", "regressed": "Regressed", "changed": "Answer changed", "errors": "Errors", "all": "All",
}  # fmt: skip


def draw() -> None:
    """Draw the page."""
    _state.header("Compare", "The same items, two settings: what got better, what got worse, and what exactly changed.")
    manifest = _state.choose_run()
    if manifest is None:
        return
    what = _state.choose(
        "Compare", ["variants", "runs"], name="what", style="segments", label_visibility="collapsed",
        words=lambda w: {"variants": "Two variants of this run", "runs": "This run with an earlier one"}[w],
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
    _changes(manifest, metric, candidate, baseline)


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
    why = f"<p>{h(verdict.because, 400)}</p>" if verdict is not None and not decided else ""
    neutral = analysis.metric(comparison.metric).higher_is_better is None
    names = ("higher", "the same", "lower") if neutral else ("improved", "the same", "regressed")
    counts = _parts.split(comparison.improved, comparison.same, comparison.regressed, names)
    _state.html(
        _parts.wrap(
            f'<div class="bo-card bo-hero bo-{tone}"><div class="bo-eyebrow">{_parts.verdict_chip(comparison.label)}'
            f"{simulated}</div><h2>{h(title, 300)}</h2><p>{h(rest, 500)}</p>{why}{counts}</div>"
        )
    )


def _changes(manifest: Manifest, metric: str, candidate: str, baseline: str) -> None:
    st.subheader("Item by item")
    left, right = st.columns([4, 3], vertical_alignment="bottom")
    with left:
        show = _state.choose(
            "Show",
            list(_SHOW),
            name="changes",
            words=lambda s: _SHOW[s],
            style="segments",
            label_visibility="collapsed",
        )
    with right:
        search = st.text_input("Search", placeholder="Search inputs and outputs", label_visibility="collapsed")
    info = next((m for m in manifest.metrics if m.metric == metric), None)
    wanted = ItemFilter(
        metric=metric, search=search or "", candidate=candidate, baseline=baseline, show=_show(show),
        higher_is_better=info is None or info.higher_is_better is not False,
    )  # fmt: skip
    scope = hash((manifest.run_id, wanted))
    total = _state.items_of(manifest, wanted, limit=1).total
    if not total:
        _state.html(_parts.empty("∅", "No such item", "Nothing in this group. Choose another group above."))
        return
    pages = (total + _ROWS - 1) // _ROWS
    body = st.container()
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.caption(f"{total:,} items")
        current = st.pagination(pages, key=f"compare_page_{scope}") if pages > 1 else 1
    found = _state.items_of(manifest, wanted, limit=_ROWS, offset=(current - 1) * _ROWS)
    with body:
        listed, shown = st.columns([2, 5], gap="medium")
        with listed:
            places = {row.item: row for row in found.rows}
            item = st.radio(
                "Item", list(places), key=f"compare_item_{scope}_{current}", label_visibility="collapsed",
                format_func=lambda k: md(f"{places[k].item_id}  {visible(line(places[k].glance, 42))}", 60),
            )  # fmt: skip
        with shown:
            if item is not None:
                _side_by_side(manifest, int(item), candidate, baseline)


def _show(name: str) -> _queries.Show:
    known: dict[str, _queries.Show] = {
        "improved": "improved", "regressed": "regressed", "changed": "changed", "errors": "errors",
    }  # fmt: skip
    return known.get(name, "all")


def _side_by_side(manifest: Manifest, item: int, candidate: str, baseline: str) -> None:
    trials = _state.trials_of(manifest, item, variants=[baseline, candidate])
    before = next((t for t in trials if t.variant == baseline), None)
    after = next((t for t in trials if t.variant == candidate), None)
    some = after or before
    if some is None:
        return
    asked = _parts.pre(_queries.glance(json.dumps(some.inputs)), 4000)
    wanted = _parts.pre(some.expected or "(nothing declared)", 2000)
    _state.html(
        _parts.wrap(
            f'<div class="bo-label">Item {h(some.item_id, 60)}</div>{asked}'
            f'<div class="bo-label" style="margin-top:.6rem">Expected</div>{wanted}'
        )
    )
    old, new = word_diff(before.output if before else "", after.output if after else "")
    left, right = st.columns(2, gap="small")
    with left:
        _state.html(_answer(before, baseline, old))
    with right:
        _state.html(_answer(after, candidate, new))


def _answer(trial: Trial | None, variant: str, diff: str) -> str:
    head = f'<div class="bo-label">{h(variant, 60)}</div>'
    if trial is None:
        return _parts.wrap(f"{head}<pre>(no trial)</pre>")
    chips = "".join(score_chip(score) for score in trial.scores)
    body = f"<pre>{diff or '(empty)'}</pre>" if trial.ok else _parts.error(f"{trial.error_kind}: {trial.error}")
    reasons = "".join(
        f'<div class="bo-soft"><small>{h(s.metric, 40)}: {h(s.error or s.reason, 400)}</small></div>'
        for s in trial.scores
        if s.error or s.reason
    )
    return _parts.wrap(f'{head}{body}<div class="bo-label" style="margin-top:.5rem">{chips}</div>{reasons}')


def _two_runs(manifest: Manifest) -> None:
    others = [m for m in _state.manifests() if m.run_id != manifest.run_id]
    same = [m for m in others if m.name == manifest.name] or others
    if not same:
        _state.html(_parts.empty("⇄", "No other run", "Run the experiment again to compare it with this one."))
        return
    earlier = _state.choose(
        "Earlier run", same, name="before", words=_state.run_label, code=lambda m: m.run_id, scope=manifest.run_id
    )
    try:
        analysis = analyse_two(_state.the_store(), earlier.run_id, manifest.run_id)
    except BakeoffError as problem:
        _state.html(_parts.error(problem))
        return
    if analysis.warnings:
        _state.html(_parts.warnings(analysis.warnings, "What else differs"))
    metric = analysis.metric()
    _state.html(_parts.hero(analysis, metric, title=_changed(metric)))
    _state.html(_parts.comparisons(analysis, metric))


def _changed(metric: MetricAnalysis) -> str:
    """Say in one sentence what changed between two runs."""
    counts: dict[str, int] = {}
    for comparison in metric.comparisons:
        counts[comparison.label] = counts.get(comparison.label, 0) + 1
    open_count = counts.pop("inconclusive", 0)
    if not counts:
        return f"On {metric.metric}: no variant is shown to have changed."
    said = [f"{count} {'variant' if count == 1 else 'variants'} {word}" for word, count in counts.items()]
    rest = f", {open_count} not shown to differ" if open_count else ""
    return f"On {metric.metric}, against the earlier run: {', '.join(said)}{rest}."
