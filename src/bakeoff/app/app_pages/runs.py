"""Home: recent runs with their answers, what is going on, what needs a person."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import streamlit as st

from bakeoff.app import _access, _attention, _launch, _parts, _state
from bakeoff.app._pages import page
from bakeoff.app._text import ago, h
from bakeoff.errors import BakeoffError
from bakeoff.reports import amount_usd, duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.experiments import Manifest

__all__ = ["draw"]

_PER_PAGE = 8


def draw() -> None:
    """Draw the page."""
    found = _state.manifests()
    title, new = st.columns([3.6, 1.4], vertical_alignment="bottom")
    with title:
        _state.header(
            "Runs", "Every experiment that ran in this store: what it found, how sure that is, and what it cost."
        )
    left_out = _state.the_store().unreadable()
    if left_out:
        more = [f"and {len(left_out) - 5:,} more"] if len(left_out) > 5 else []
        _state.html(_parts.warnings([*left_out[:5], *more], "Runs that cannot be read are left out"))
    if not found:
        if not left_out:
            _first_use()
        return
    if new.button("New experiment", icon=":material/add:", type="primary", width="stretch"):
        st.switch_page(page("design"))
    _overview(found)
    _in_progress(found)
    attention = st.container()
    search, state = st.columns([2, 2], vertical_alignment="bottom")
    with search:
        needle = st.text_input(
            "Search runs", value=_state.kept("find") or "", placeholder="Search by name, tag or id",
            label_visibility="collapsed",
        )  # fmt: skip
        if needle or _state.kept("find"):
            _state.remember("find", needle or "")
    with state:
        wanted = _state.choose(
            "State", ["all", "running", "complete", "unfinished"], name="state", style="segments",
            label_visibility="collapsed",
        )  # fmt: skip
    shown = [m for m in found if _matches(m, needle or "", wanted)]
    shown = [m for m in shown if m.status != "running" or wanted == "running"]  # they stand above
    if not shown:
        _state.html(_parts.empty("∅", "Nothing matches", "Change the search or the state above."))
        return
    pages = (len(shown) + _PER_PAGE - 1) // _PER_PAGE
    place = st.container()
    current = _state.paged(pages, scope=("runs", needle, wanted))
    with place:
        for manifest in shown[(current - 1) * _PER_PAGE : current * _PER_PAGE]:
            _card(manifest)
    with attention:
        _needs_you(found)


def _matches(manifest: Manifest, needle: str, state: str) -> bool:
    if state == "unfinished" and manifest.status not in ("interrupted", "partial"):
        return False
    if state in ("running", "complete") and manifest.status != state:
        return False
    text = f"{manifest.name} {manifest.run_id} {manifest.dataset_name} {manifest.tags}".lower()
    return needle.strip().lower() in text


def _overview(found: Sequence[Manifest]) -> None:
    week = (datetime.now(UTC) - timedelta(days=7)).isoformat()
    recent = [m for m in found if m.created_at >= week]
    waiting = [m for m in found if m.status == "interrupted"]
    _state.html(
        _parts.tiles(
            [
                (f"{len(found):,}", "runs"),
                (f"{sum(m.status == 'running' for m in found):,}", "in progress"),
                (f"{sum(m.counts.get('trials', 0) for m in recent):,}", "trials this week"),
                (amount_usd(sum(_spent(m) for m in recent)), "spent this week"),
                (f"{len(waiting):,}", "interrupted, to resume"),
            ]
        )
    )


def _spent(manifest: Manifest) -> float:
    """Return what a run has cost so far, in USD; while it goes on, by its own account."""
    if manifest.status not in ("running", "interrupted"):
        return manifest.cost_usd
    status = _state.the_store().status(manifest.run_id) or {}
    return max(manifest.cost_usd, float(status.get("spent_usd") or 0))


@st.fragment(run_every=2)
def _progress(run_ids: tuple[str, ...]) -> None:
    store = _state.the_store()
    for run_id in run_ids:
        try:
            manifest = store.manifest(run_id)
        except BakeoffError:
            continue
        status = store.status(run_id) or {}
        done, failed = int(status.get("done", 0)), int(status.get("failed", 0))
        planned = int(status.get("planned", manifest.planned_trials))
        state = str(status.get("state", manifest.status)) if manifest.status == "running" else manifest.status
        words = f"{done:,} of {planned:,} trials · {amount_usd(float(status.get('spent_usd') or 0))}"
        if state == "running":
            words += f" · {duration(status.get('eta_s'))} left"
        _state.html(
            f'<div class="bo"><div class="bo-run"><div class="top"><b>{h(manifest.name, 80)}</b>'
            f'{_parts.state_chip(state)}<span class="bo-soft">{h(words)}</span></div>'
            f"{_parts.progress(done - failed, failed, planned)}</div></div>"
        )


def _in_progress(found: Sequence[Manifest]) -> None:
    running = [m for m in found if m.status == "running"]
    if not running:
        return
    with st.container(border=True, key="card_progress"):
        _progress(tuple(m.run_id for m in running[:4]))
        st.page_link(page("live"), label="Watch", icon=":material/monitoring:", query_params={"run": running[0].run_id})


_TONES = {"gate": "bad", "schedule": "bad", "verdict": "key", "run": "open", "labels": "other"}
_MOST_NOTES = 8


def _needs_you(found: Sequence[Manifest]) -> None:
    """Show what waits for a person, each with the way there."""
    store = _state.the_store()
    notes = [
        *_attention.failed_gates(found, _gate_outcome),
        *_attention.schedule_notes(store),
        *_attention.changed_verdicts(found, lambda m: _state.analysis_of(m, primary_only=True)),
        *_attention.interrupted(found),
        *_attention.labels_wanted(store, found),
    ][:_MOST_NOTES]
    if not notes:
        return
    with st.container(border=True, key="card_attention", gap="small"):
        _state.html(_parts.wrap("<b>What needs a person</b>"))
        for place, note in enumerate(notes):
            with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"note_{place}"):
                with st.container(width="stretch", gap=None):
                    said = f"{_parts.chip(note.kind, _TONES[note.kind])} <span>{h(note.text, 400)}</span>"
                    _state.html(_parts.wrap(said, "bo-note"))
                with st.container(width=92, gap=None):
                    st.page_link(
                        page(note.page), label="Look", icon=":material/arrow_forward:", query_params=note.query
                    )


def _gate_outcome(manifest: Manifest) -> tuple[str, str]:
    from bakeoff.app import _gate_view

    result = _gate_view.decision(manifest, _gate_view.gate_yaml(manifest))
    return result.outcome, result.headline


def _card(manifest: Manifest) -> None:
    with st.container(
        border=True, horizontal=True, vertical_alignment="center", gap="medium", key=f"card_{manifest.run_id}"
    ):
        with st.container(width="stretch", gap=None):
            _state.html(_card_html(manifest))
        with st.container(width=104, gap=None):
            target = "live" if manifest.status in ("running", "interrupted") else "results"
            label = {"running": "Watch", "interrupted": "Resume"}.get(manifest.status, "Results")
            query = {"run": manifest.run_id}
            st.page_link(page(target), label=label, icon=":material/arrow_forward:", query_params=query)


def _card_html(manifest: Manifest) -> str:
    answer, labels = "In progress.", list[str]()
    try:
        analysis = _state.analysis_of(manifest, primary_only=True) if manifest.status != "running" else None
    except BakeoffError as problem:
        answer = str(problem)
    else:
        if analysis is not None:
            answer = analysis.headline
            labels = [c.label for m in analysis.metrics if m.metric == analysis.primary for c in m.comparisons]
    chips = "".join(_parts.verdict_chip(word) for word in dict.fromkeys(labels))
    state = "" if manifest.status == "complete" else _parts.state_chip(manifest.status)
    simulated = _parts.chip("simulated", "other") if manifest.is_simulated else ""
    facts = [
        ago(manifest.created_at),
        f"{len(manifest.variants)} variants × {manifest.dataset_items:,} items"
        + (f" × {manifest.repeats} repeats" if manifest.repeats > 1 else ""),
        manifest.dataset_name,
        amount_usd(manifest.cost_usd),
        duration(manifest.seconds),
    ]
    listed = "".join(f"<span>{h(fact, 60)}</span>" for fact in facts)
    return (
        f'<div class="bo bo-run"><div class="top"><b>{h(manifest.name, 90)}</b>{state}{chips}{simulated}</div>'
        f'<div class="say">{h(answer, 300)}</div><div class="facts">{listed}</div></div>'
    )


def _first_use() -> None:
    _state.html(
        _parts.empty(
            "◔",
            "Nothing has run here yet",
            "Compare two prompts on your own data, or look around first with an example: 168 support messages, two "
            "prompts, two simulated models. It takes seconds and costs nothing.",
        )
    )
    with st.container(horizontal=True, horizontal_alignment="center"):
        if st.button("Run the example", icon=":material/play_arrow:", type="primary"):
            _access.require("editor")
            store = _state.the_store()
            with st.spinner("Starting …"):
                started = _launch.start_example(store.paths.root)
                run_id = _launch.wait_for_run(store, set(), started)
            if run_id is None:
                _state.html(_parts.error(f"the run did not start; its process said:\n{started.said()}"))
            else:
                st.switch_page(page("live"), query_params={"run": run_id})
        if st.button("Design an experiment", icon=":material/add:"):
            st.switch_page(page("design"))
