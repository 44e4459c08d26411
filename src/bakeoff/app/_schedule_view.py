"""Schedules: when they fire next, what they did, and everything one does to them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import streamlit as st

from bakeoff.app import _access, _clock, _draft, _launch, _parts, _state
from bakeoff.app._gate_view import TONES
from bakeoff.app._text import clip, h, md
from bakeoff.errors import BakeoffError
from bakeoff.regression import (
    ScheduleFormat,
    add_schedule,
    list_firings,
    list_schedules,
    pause_schedule,
    print_schedule,
    remove_schedule,
    request_run,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.regression import Firing, Schedule

__all__ = ["schedule_section"]

_STATES = {"done": "good", "running": "key", "waiting": "open", "failed": "bad", "missed": "bad", "skipped": "open"}
_ZONES = ("UTC", "Europe/Berlin", "Europe/London", "America/New_York", "America/Los_Angeles", "Asia/Tokyo")


def local_zone() -> str:
    """Return the reader's time zone, as the browser says it; UTC when it does not."""
    return str(st.context.timezone or "UTC")


def schedule_section() -> None:
    """List the schedules of the store, each with its times, its history and its buttons; add one."""
    store = _state.the_store()
    known = list_schedules(store) if store.paths.control.exists() else []
    if not known:
        _state.html(_parts.empty("◷", "No schedules yet", "A schedule runs an experiment file at times, decides its "
                                 "gate, and tells you when it fails or drifts."))  # fmt: skip
    late = _clock.missed(known, time.time())
    if late:
        _state.html(
            _parts.warnings(
                [f"{', '.join(late)}: the time has passed and nothing was started. Keep `bakeoff scheduler` running."],
                "No scheduler is looking",
            )
        )
    for schedule in known:
        firings = list_firings(store, schedule.id, limit=20)
        with st.container(border=True, key=f"card_schedule_{schedule.id}"):
            _facts(schedule, firings)
            _buttons(schedule)
            _history(schedule, firings)
    _add()


def _facts(schedule: Schedule, firings: Sequence[Firing]) -> None:
    state = _parts.chip("paused", "open") if schedule.paused else _parts.chip("on", "good")
    zone = local_zone()
    coming: list[_clock.Moment] = []
    try:
        coming = _clock.next_times(schedule.cron, schedule.timezone, local=zone, after=time.time())
    except BakeoffError as problem:
        _state.html(_parts.error(problem))
    missed = sum(firing.state == "missed" for firing in firings)
    rows = "".join(
        f"<tr><td>{h(moment.declared)}</td><td class=bo-soft>{h(moment.local)}</td></tr>" for moment in coming
    )
    head = f"<tr><th>Next, in {h(schedule.timezone, 40)}</th><th>Where you are ({h(zone, 40)})</th></tr>"
    table = f"<table>{head}{rows}</table>" if rows and not schedule.paused else ""
    last = next((f for f in firings if f.state not in ("waiting", "running")), None)
    said = (
        f"{_outcome(last)} <span>{h(clip(last.message, 300))}</span>"
        if last is not None
        else "<span>not yet run</span>"
    )
    lost = _parts.chip(f"{missed} missed", "bad") if missed else ""
    _state.html(
        _parts.wrap(
            f'<div class="bo-run"><div class="top"><b>{h(schedule.id, 80)}</b>{state}{lost}'
            f'<span class="bo-mono bo-soft">{h(schedule.cron, 60)}</span></div>'
            f'<div class="facts"><span>{h(Path(schedule.file).name, 80)}</span><span>made up for when at most '
            f"{schedule.misfire_grace_s / 60:,.0f} min late</span></div>"
            f'<div class="facts">Last: {said}</div>{table}</div>'
        )
    )


def _outcome(firing: Firing) -> str:
    word = firing.outcome if firing.state == "done" and firing.outcome else firing.state
    return _parts.chip(word, TONES.get(word, _STATES.get(firing.state, "open")))


def _buttons(schedule: Schedule) -> None:
    store, editor, key = _state.the_store(), _access.may("editor"), schedule.id
    with st.container(horizontal=True):
        if st.button("Run now", icon=":material/play_arrow:", key=f"s_now_{key}", disabled=not editor):
            _access.require("editor")
            request_run(store, schedule.id)
            st.rerun()
        word, icon = ("Resume", ":material/play_circle:") if schedule.paused else ("Pause", ":material/pause:")
        if st.button(word, icon=icon, key=f"s_pause_{key}", disabled=not editor):
            _access.require("editor")
            pause_schedule(store, schedule.id, paused=not schedule.paused)
            st.rerun()
        with st.popover("Print as …", icon=":material/print:"):
            form = st.segmented_control(
                "For a scheduler you have already", get_args(ScheduleFormat), default="crontab", required=True,
                key=f"s_form_{key}",
            )  # fmt: skip
            st.code(print_schedule(schedule, str(form), store=store.paths.root), language=None, wrap_lines=True)
        with st.popover("Remove", icon=":material/delete:", disabled=not editor):
            st.write("Its times and its history go; its runs stay.")
            if st.button(f"Remove {md(schedule.id, 60)}", type="primary", key=f"s_remove_{key}"):
                _access.require("editor")
                remove_schedule(store, schedule.id)
                st.toast(f"{md(schedule.id, 60)} is removed.")
                st.rerun()


def _history(schedule: Schedule, firings: Sequence[Firing]) -> None:
    waiting = [firing for firing in firings if firing.state == "waiting"]
    if waiting:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption("A run is asked for. A running `bakeoff scheduler` takes it at its next look.")
            if _access.may("editor") and st.button(
                "Look once now", icon=":material/visibility:", key=f"s_look_{schedule.id}",
                help="Starts one look of a scheduler from here. It also starts whatever else is due.",
            ):  # fmt: skip
                _access.require("editor")
                _launch.look_once(_state.the_store().paths.root)
                st.toast("A scheduler looks once; the run appears in a moment.")
    if not firings:
        return
    with st.expander(f"History ({len(firings)})"):
        rows = "".join(
            f"<tr><td>{h(_clock.moment_words(f.due_at, schedule.timezone))}</td><td>{_outcome(f)}</td>"
            f"<td class=bo-soft>{h(f.reason)}</td><td>{h((f.run_id or '')[-4:])}</td><td>{h(clip(f.message, 300))}</td>"
            "</tr>"
            for f in firings
        )
        head = "<tr><th>Due</th><th>State</th><th>Why it fired</th><th>Run</th><th>What it said</th></tr>"
        _state.html(_parts.wrap(f'<div class="bo-scroll"><table>{head}{rows}</table></div>'))


def _add() -> None:
    st.subheader("Add a schedule")
    if not _access.may("editor"):
        st.caption("Your role lets you read. Ask for the role editor to change schedules.")
        return
    store = _state.the_store()
    files = {path.name: path for path in _draft.known_files(store)}
    if not files:
        st.caption("There is no experiment file beside the store yet: design an experiment and save it.")
        return
    one, two, three = st.columns([3, 2, 2])
    file = one.selectbox("Experiment file", list(files), key="s_file")
    cron = two.text_input("When (cron)", value="0 6 * * mon-fri", key="s_cron", help="minute hour day month weekday")
    zones = list(dict.fromkeys([local_zone(), *_ZONES]))
    zone = three.selectbox("Time zone", zones, key="s_zone", accept_new_options=True, help="An IANA name.")
    four, five = st.columns([3, 4])
    name = four.text_input("Name", key="s_name", placeholder="the experiment's") or ""
    grace = five.number_input(
        "Minutes after which a late run is missed", 1, 10_000, value=60, key="s_grace",
        help="A firing that is less late is made up for.",
    )  # fmt: skip
    try:
        coming = _clock.next_times(str(cron), str(zone), local=local_zone(), after=time.time())
    except BakeoffError as problem:
        _state.html(_parts.error(problem))
        return
    st.caption("Next: " + ";  ".join(moment.declared for moment in coming))
    if st.button("Add the schedule", type="primary", icon=":material/add_alarm:"):
        _access.require("editor")
        try:
            added = add_schedule(
                store, files[str(file)], str(cron), name=name.strip() or None, timezone=str(zone),
                misfire_grace_s=60.0 * float(grace or 60),
            )  # fmt: skip
        except BakeoffError as problem:
            _state.html(_parts.error(problem))
        else:
            st.toast(f"{md(added.id, 60)} is added.", icon=":material/check:")
            st.rerun()
