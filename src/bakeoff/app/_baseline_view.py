"""Baselines: which run later runs are compared with, what it is pinned to, and how to change that."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from bakeoff.app import _access, _parts, _state
from bakeoff.app._text import ago, h, md
from bakeoff.errors import BakeoffError
from bakeoff.regression import list_baselines, set_baseline, unset_baseline, write_baseline_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from bakeoff.experiments import Manifest
    from bakeoff.regression import Baseline

__all__ = ["baseline_section"]


def baseline_section(runs: Sequence[Manifest]) -> None:
    """List all baselines; set one of the chosen experiment's runs, or take one away.

    Args:
        runs: Those of the chosen experiment, newest first.
    """
    store = _state.the_store()
    known = list_baselines(store)
    if not known:
        _state.html(_parts.empty("⚓", "No baselines yet", "A baseline is a run that you found good. Gates compare "
                                 "later runs with it."))  # fmt: skip
    for baseline in known:
        _card(baseline, {m.run_id: m for m in store.runs()})
    _set(runs)


def _card(baseline: Baseline, runs: Mapping[str, Manifest]) -> None:
    editor = _access.may("editor")
    key = f"{baseline.experiment}_{baseline.name}"
    gone = baseline.run_id not in runs
    state = _parts.chip("its run was deleted", "bad") if gone else ""
    note = f"<p>{h(baseline.note, 300)}</p>" if baseline.note else ""
    with st.container(border=True, key=f"card_base_{key}"):
        _state.html(
            _parts.wrap(
                f'<div class="bo-run"><div class="top"><b>{h(baseline.experiment, 80)}</b>'
                f"{_parts.chip(baseline.name, 'key')}{state}</div>"
                f'<div class="facts"><span>run {h(baseline.run_id, 60)}</span>'
                f"<span>set {h(ago(baseline.set_at))}</span></div>{note}</div>"
            )
        )
        with st.container(horizontal=True):
            with st.popover("Pinned versions", icon=":material/push_pin:"):
                _state.html(_pins(baseline.pins))
            if not gone:
                _download(baseline, key)
            with st.popover("Unset", icon=":material/delete:", disabled=not editor):
                st.write("Gates that compare with it cannot decide until there is another. Its run stays.")
                if st.button(f"Unset {md(baseline.name, 40)}", type="primary", key=f"b_unset_{key}"):
                    _access.require("editor")
                    unset_baseline(_state.the_store(), baseline.experiment, name=baseline.name)
                    st.toast(f"{md(baseline.experiment, 60)} has no baseline {md(baseline.name, 40)} any more.")
                    st.rerun()


def _pins(pins: Mapping[str, Any]) -> str:
    rows: list[str] = []
    for kind, value in pins.items():
        entries = value.items() if isinstance(value, dict) else [("", value)]
        rows += [
            f"<tr><td class=name>{h(kind, 30)}<small>{h(name, 60)}</small></td>"
            f'<td class="bo-mono">{h(version, 80)}</td></tr>'
            for name, version in entries
        ]
    return _parts.wrap(f'<div class="bo-scroll"><table>{"".join(rows)}</table></div>')


@st.cache_data(max_entries=16, show_spinner=False)
def _file(run_id: str, stamp: tuple[int, ...]) -> bytes:
    del stamp
    with tempfile.TemporaryDirectory() as folder:
        return write_baseline_file(_state.the_store(), run_id, Path(folder) / "baseline.json").read_bytes()


def _download(baseline: Baseline, key: str) -> None:
    def content() -> bytes:
        return _file(baseline.run_id, _state.stamp_of(_state.the_store().manifest(baseline.run_id)))

    st.download_button(
        "As a file", content, file_name=f"{baseline.name}.json", mime="application/json", icon=":material/download:",
        key=f"b_file_{key}", on_click="ignore", help="Ids, versions and scores, for CI: no questions, no answers.",
    )  # fmt: skip


def _set(runs: Sequence[Manifest]) -> None:
    st.subheader("Set a baseline")
    if not _access.may("editor"):
        st.caption("Your role lets you read. Ask for the role editor to set baselines.")
        return
    complete = [manifest for manifest in runs if manifest.status == "complete"]
    if not complete:
        st.caption("A baseline must be a complete run, and this experiment has none.")
        return
    known = {(b.experiment, b.name): b for b in list_baselines(_state.the_store())}
    by_id = {manifest.run_id: manifest for manifest in complete[:60]}
    one, two, three = st.columns([3, 1.2, 2])
    chosen = one.selectbox(
        "Run", list(by_id), format_func=lambda i: _state.run_label(by_id[i]), key=f"b_run_{complete[0].name}"
    )
    name = (two.text_input("Name", value="main", key="b_name", help="`main` is what gates look for.") or "").strip()
    note = three.text_input("Why", key="b_note", placeholder="optional") or ""
    before = known.get((complete[0].name, name))
    if before is not None and before.run_id != chosen:
        st.caption(f"Replaces the run {before.run_id}, set {ago(before.set_at)}.")
    if st.button("Set as baseline", type="primary", icon=":material/anchor:", disabled=not name or chosen is None):
        _access.require("editor")
        try:
            set_baseline(_state.the_store(), str(chosen), name=name, note=note.strip())
        except BakeoffError as problem:
            _state.html(_parts.error(problem))
        else:
            st.toast(f"Baseline {md(name, 40)} is set.", icon=":material/check:")
            st.rerun()
