"""A run while it goes on: progress, spend, errors, running estimates that may be watched, and its controls."""

from __future__ import annotations

import time
from math import isnan
from typing import TYPE_CHECKING, Any

import streamlit as st

from bakeoff.app import _access, _launch, _parts, _state
from bakeoff.app._live import RunningComparison, running_comparisons
from bakeoff.app._pages import page
from bakeoff.app._text import h, named, percent, signed
from bakeoff.errors import BakeoffError, StoreError
from bakeoff.experiments import send_control
from bakeoff.reports import amount_usd, duration

if TYPE_CHECKING:
    from bakeoff.experiments import Manifest

__all__ = ["draw"]


def draw() -> None:
    """Draw the page."""
    _state.header("Live", "A run while it goes on. It lives in its own process: closing this page does not stop it.")
    manifest = _state.choose_run(prefer=lambda m: m.status == "running")
    if manifest is None:
        return
    _picture(manifest.run_id, manifest.status)
    if manifest.status == "running":
        if _access.may("editor"):
            _controls(manifest)
        return
    if manifest.status in ("interrupted", "partial") and _access.may("editor"):
        _resume(manifest)
    if manifest.status != "interrupted":
        st.page_link(
            page("results"),
            label="See the results",
            icon=":material/leaderboard:",
            query_params={"run": manifest.run_id},
        )


def _picture(run_id: str, status: str) -> None:
    """Draw what changes; again every two seconds while the run goes on."""
    every = 2.0 if status == "running" else None

    @st.fragment(run_every=every)
    def draw_now() -> None:
        store = _state.the_store()
        try:
            manifest = store.manifest(run_id)
        except StoreError as problem:
            _state.html(_parts.error(problem))
            return
        if manifest.status != status:
            st.rerun()
        _progress(manifest, store.status(run_id) or {})
        if manifest.status != "complete":
            _estimates(manifest)

    draw_now()


def _progress(manifest: Manifest, status: dict[str, Any]) -> None:
    planned = int(status.get("planned") or manifest.planned_trials)
    done, failed = int(status.get("done") or 0), int(status.get("failed") or 0)
    state = str(status.get("state", "starting")) if manifest.status == "running" else manifest.status
    budget = manifest.spec.get("budget", {}).get("usd")
    spent = amount_usd(float(status.get("spent_usd") or 0))
    running = manifest.status == "running"
    entries = [
        (f"{done:,} / {planned:,}", f"trials ({percent(done / planned if planned else None, 0)})"),
        (spent, f"of {amount_usd(float(budget))} budget" if budget else "spent"),
        (f"{failed:,}", "failed"),
        (duration(float(status.get("elapsed_s") or 0) if running else manifest.seconds), "run time"),
    ]
    if running:
        entries += [
            (duration(status.get("eta_s")), f"left, at {float(status.get('rate_per_s') or 0):.1f} trials/s"),
            (str(status.get("concurrency", "–")), "at a time"),
        ]
    primary = next((m for m in manifest.metrics if m.metric == manifest.primary), None)
    share = primary is not None and primary.score_kind == "binary"
    each = planned // max(1, len(manifest.variants))
    rows = "".join(_variant_row(v, status, each, share=share) for v in manifest.variant_names[:40])
    simulated = _parts.chip("simulated", "other") if manifest.is_simulated else ""
    _state.html(
        '<div class="bo bo-card"><div class="bo-run"><div class="top">'
        f"<b>{h(manifest.name, 90)}</b>{_parts.state_chip(state)}{simulated}</div></div>"
        f'<div style="margin:.7rem 0 .6rem">{_parts.progress(done - failed, failed, planned)}</div>'
        f'{_parts.tiles(entries)}<table style="margin-top:.6rem"><tr><th>Variant</th>'
        f'<th style="width:45%">Progress</th>'
        f"<th class=r>Done</th><th class=r>Failed</th><th class=r>Mean so far</th></tr>{rows}</table></div>"
    )
    errors = status.get("errors") or {}
    if errors:
        listed = [f"{count} × {kind}" for kind, count in sorted(errors.items(), key=lambda e: -e[1])]
        _state.html(_parts.warnings([*listed, *[str(s) for s in status.get("samples", [])]], "Failed trials"))


def _variant_row(variant: str, status: dict[str, Any], planned: int, *, share: bool) -> str:
    entry = (status.get("variants") or {}).get(variant) or {}
    done, failed = int(entry.get("done") or 0), int(entry.get("failed") or 0)
    mean = entry.get("mean")
    shown = "–" if not isinstance(mean, int | float) or isnan(mean) else percent(mean) if share else f"{mean:.3f}"
    return (
        f"<tr><td class=name>{named(variant)}</td><td>{_parts.progress(done, failed, planned)}</td>"
        f"<td class=r>{done:,}</td><td class=r>{failed:,}</td><td class=r>{shown}</td></tr>"
    )


@st.cache_resource(max_entries=16, show_spinner=False)
def _running(run_id: str, stamp: tuple[int, ...]) -> list[RunningComparison]:
    del stamp
    store = _state.the_store()
    return running_comparisons(store, store.manifest(run_id))


def _estimates(manifest: Manifest) -> None:
    try:
        found = _running(manifest.run_id, _state.stamp_of(manifest))
    except BakeoffError as problem:
        _state.html(_parts.error(problem))
        return
    if not found:
        return
    rows = []
    for entry in found:
        result = entry.result
        if result is None or isnan(result.low):
            why = entry.reason or "too early to say"
            rows.append(
                f"<tr><td>{_parts.chip('waiting', 'open')}</td><td class=name>{named(entry.candidate)}</td>"
                f"<td class=r>{entry.n_items:,}</td><td colspan=2 class=bo-soft>{h(why, 160)}</td></tr>"
            )
            continue
        points = result.kind == "binary"
        word = result.verdict.word if result.verdict else "inconclusive"
        interval = f"{signed(result.low, points=points)} to {signed(result.high, points=points)}"
        label = _parts.verdict_chip(word) if word != "inconclusive" else _parts.chip("still open", "open")
        rows.append(
            f"<tr><td>{label}</td><td class=name>{named(entry.candidate)}</td><td class=r>{entry.n_items:,}</td>"
            f"<td class=r><b>{h(signed(result.estimate, points=points))}</b></td><td class=r>{h(interval)}</td></tr>"
        )
    st.subheader("What can be said so far")
    head = (
        f"<tr><th>So far</th><th>Against {named(manifest.baseline, 60)}</th><th class=r>Items</th>"
        "<th class=r>Difference</th><th class=r>Always-valid interval</th></tr>"
    )
    _state.html(
        _parts.wrap(
            f'<div class="bo-card bo-scroll"><table>{head}{"".join(rows)}</table></div>'
            '<div class="bo-soft" style="margin-top:.45rem;font-size:.86rem">These intervals hold at every look, over '
            "all comparisons together: you may watch, and stop when the answer is clear. They are wider than the ones "
            "on the results page, which are made to be read once, at the end.</div>"
        )
    )


def _controls(manifest: Manifest) -> None:
    paths = _state.the_store().run_paths(manifest.run_id)
    state = str((_state.the_store().status(manifest.run_id) or {}).get("state", "running"))
    with st.container(border=True, horizontal=True, vertical_alignment="bottom"):
        try:
            if st.button("Pause", icon=":material/pause:", disabled=state == "paused"):
                send_control(paths, "pause")
                st.toast("Asked to pause: what is in flight is finished.")
            if st.button("Go on", icon=":material/play_arrow:"):
                send_control(paths, "resume")
                st.toast("Asked to go on.")
            if st.button("Stop", icon=":material/stop:", help="Finishes what is in flight; the run can be resumed."):
                send_control(paths, "stop")
                st.toast("Asked to stop. It can be resumed later.")
            current = int((_state.the_store().status(manifest.run_id) or {}).get("concurrency") or 8)
            wanted = st.number_input("Trials at a time", 1, 1000, value=max(1, current), width=150)
            if st.button("Set", icon=":material/speed:") and wanted:
                send_control(paths, "set", concurrency=int(wanted))
                st.toast(f"Asked for {int(wanted)} trials at a time.")
        except BakeoffError as problem:
            st.toast("The run is over.")
            _state.html(_parts.error(problem))


def _resume(manifest: Manifest) -> None:
    gone = manifest.status == "interrupted"
    why = "The process that drove this run is gone." if gone else f"This run {_why_partial(manifest)}."
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        _state.html(_parts.wrap(f"{h(why, 400)} Nothing already answered is paid for again."))
        if st.button("Resume", icon=":material/play_arrow:", type="primary" if gone else "secondary"):
            with st.spinner("Starting …"):
                started = _launch.resume(manifest.run_id, _state.the_store().paths.root)
                while _is_unchanged(manifest) and started.process.poll() is None:
                    time.sleep(0.2)
            if _is_unchanged(manifest):
                _state.html(_parts.error(f"it could not be resumed; its process said:\n{started.said()}"))
            else:
                st.rerun()


def _why_partial(manifest: Manifest) -> str:
    because = manifest.stopped_because or "not everything planned was answered"
    return "was stopped by hand" if "bakeoff control" in because else f"stopped early: {because}"


def _is_unchanged(manifest: Manifest) -> bool:
    """Say whether a run is as it was: nobody drives it, and nobody sealed it anew."""
    now = _state.the_store().manifest(manifest.run_id)
    return (now.status, now.ended_at) == (manifest.status, manifest.ended_at)
