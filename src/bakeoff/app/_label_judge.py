"""Judging: who does it, one task at a time, by key; and going back to what was said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from bakeoff.app import _access, _parts, _queries, _state
from bakeoff.app._text import h, line, md, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.app._labels import Judged, LabelStore, Queue, Task
    from bakeoff.app._queries import Trial
    from bakeoff.experiments import Manifest

__all__ = ["judge", "same_person", "say", "who_judges"]

_SHOWN = 20_000
_BACK = 24
_SIDES = ("A is better", "Tie", "B is better")


def same_person(name: str, known: Sequence[str]) -> str:
    """Return a name as it was written before, where only capitals or spaces differ: two spellings are no two people.

    Examples:
        >>> same_person(" ann  lee", ["Ann Lee", "bob"]), same_person("Cy", ["bob"])
        ('Ann Lee', 'Cy')
    """
    plain = " ".join(name.split())
    return next((one for one in known if " ".join(one.split()).casefold() == plain.casefold()), plain)


def who_judges(people: dict[str, int], n_tasks: int) -> str:
    """Ask who judges, until there is a name. The field is gone afterwards: what is typed then is a judgement.

    Args:
        people: Who has judged in this queue, and how many tasks.
        n_tasks: Of the queue.
    """
    logged_in = _access.person()
    name = logged_in or str(st.session_state.get("annotator", ""))
    if name:
        with st.container(horizontal=True, vertical_alignment="center"):
            _state.html(_parts.wrap(f'<div class="bo-soft">Judging as <b>{h(name, 60)}</b></div>'))
            if not logged_in and st.button("Somebody else", type="tertiary", key="label_other_person"):
                st.session_state.pop("annotator")
                st.rerun()
        return name
    typed = st.text_input("Your name", placeholder="kept with each label", key="label_name")
    chosen = same_person(typed or "", list(people))
    if people:
        st.caption("Or go on as")
        with st.container(horizontal=True):
            for place, (one, done) in enumerate(list(people.items())[:12]):
                if st.button(md(f"{one} ({done} of {n_tasks})", 60), key=f"label_person_{place}"):
                    chosen = one
    if chosen:
        st.session_state["annotator"] = chosen
        st.rerun()
    _state.html(_parts.empty("☺", "Who is judging?", "Write your name above; it is kept with every label."))
    return ""


def say(queue: Queue, task: Task, value: str) -> str:
    """Return a judgement in words that do not name variants: A is the answer on the left."""
    if queue.mode == "single":
        return value
    return {task.variant: _SIDES[0], "tie": _SIDES[1]}.get(value, _SIDES[2])


def judge(labels: LabelStore, queue: Queue, manifest: Manifest, annotator: str) -> None:
    """Show the next task of an annotator with its keys, how far the queue is, and what was said before."""
    said = labels.judged(queue, annotator)
    _state.html(
        _parts.wrap(
            f'<div class="bo-label">{len(said):,} of {queue.n_tasks:,} judged by you</div>'
            f"{_parts.progress(len(said), 0, queue.n_tasks)}"
        )
    )
    if queue.guidelines:
        with st.expander("Guidelines", expanded=True, icon=":material/menu_book:"):
            _state.html(_parts.wrap(_parts.pre(queue.guidelines, css="short")))
    later, again = f"label_after_{queue.id}_{annotator}", f"label_again_{queue.id}_{annotator}"
    before = next((one for one in said if one.task.id == st.session_state.get(again)), None)
    task = before.task if before else labels.next_task(queue, annotator, after=int(st.session_state.get(later, -1)))
    if task is None:
        _state.html(_parts.empty("✓", "All done", "Thank you. You have judged every answer of this queue."))
    else:
        _task(labels, queue, task, manifest, annotator, before=before, done=(later, again))
        _keys(queue)
    with st.container(horizontal=True):
        if task is not None and st.button("Later", icon=":material/skip_next:", shortcut="l"):
            if before is None:
                st.session_state[later] = task.position
            st.session_state.pop(again, None)
            st.rerun()
        if st.button("Take back the last", icon=":material/undo:", shortcut="u", disabled=not said):
            _access.require("editor")
            labels.undo(queue, annotator)
            st.session_state.pop(later, None)
            st.session_state.pop(again, None)
            st.rerun()
    if said:
        _back(queue, said, again)


def _keys(queue: Queue) -> None:
    keys = list(_SIDES) if queue.mode == "pairwise" else list(queue.choices[:9])
    said = " · ".join(f"{place} {line(choice, 30)}" for place, choice in enumerate(keys, 1))
    _state.html(_parts.wrap(f'<div class="bo-soft"><small>Keys: {h(said)} · l later · u take back</small></div>'))


def _task(
    labels: LabelStore, queue: Queue, task: Task, manifest: Manifest, annotator: str, *,
    before: Judged | None, done: Sequence[str],
) -> None:  # fmt: skip
    wanted = [task.variant, *([task.other] if task.other else [])]
    trials = {
        trial.variant: trial
        for trial in _queries.trials_of_item(_state.the_store(), manifest, task.item, variants=wanted)
        if trial.repeat == task.repeat
    }
    shown = [trials[name] for name in wanted if name in trials]
    if len(shown) < len(wanted):
        _state.html(_parts.error(f"the trial of item {task.item_id!r} is no longer in the store"))
        return
    with st.container(border=True, key="card_task"):
        _state.html(_parts.wrap(f'<div style="font-size:1.2rem;font-weight:650">{h(queue.question, 400)}</div>'))
        if before is not None:
            said = f"You said: {say(queue, task, before.value)}{f' ({before.note})' if before.note else ''}"
            _state.html(_parts.wrap(f'<div class="bo-soft">{h(said, 600)}. What you say now counts instead.</div>'))
        _state.html(_parts.wrap(_parts.inputs(shown[0].inputs, 6000)))
        _answers(shown, task)
        note = str(st.session_state.get(f"note_{task.id}") or st.session_state.get(f"kept_note_{task.id}") or "")
        _buttons(labels, queue, task, annotator, note, done)
        _note(task.id)
    if task.reason:
        with st.expander("Why it is here (look after you have judged)"):
            _state.html(_parts.wrap(_parts.pre(task.reason)))
    with st.expander("Expected answer"):
        _state.html(_parts.wrap(f'<div class="bo-label">Expected</div>{_parts.pre(shown[0].expected or "(none)")}'))


def _answers(shown: list[Trial], task: Task) -> None:
    names = ["Answer"] if len(shown) == 1 else ["Answer A", "Answer B"]
    for column, name, trial in zip(st.columns(len(shown)), names, shown, strict=True):
        with column:
            body = _parts.pre(trial.output or "(empty)", _SHOWN) if trial.ok else "(failed)"
            _state.html(_parts.wrap(f'<div class="bo-label">{name}</div>{body}'))
            if trial.ok and len(trial.output) > _SHOWN:
                whole = trial.output.encode("utf-8", "replace")
                st.download_button(
                    f"All of it ({number(len(whole) / 1e6, 2)} MB)", data=lambda whole=whole: whole,
                    file_name=f"{name.lower().replace(' ', '-')}-{task.id}.txt", mime="text/plain", on_click="ignore",
                    icon=":material/download:", type="tertiary", key=f"whole_{task.id}_{name}",
                )  # fmt: skip


def _buttons(labels: LabelStore, queue: Queue, task: Task, annotator: str, note: str, done: Sequence[str]) -> None:
    pairs = [(choice, choice) for choice in queue.choices]
    if queue.mode == "pairwise":
        pairs = list(zip(_SIDES, (task.variant, "tie", task.other or ""), strict=True))
    with st.container(horizontal=True):
        for place, (text, value) in enumerate(pairs):
            hint = str(place + 1) if place < 9 else None
            if st.button(md(text, 40), key=f"say_{task.id}_{place}", shortcut=hint):
                _access.require("editor")
                labels.add(queue, task, annotator, value, note=note.strip())
                for key in (*done, f"kept_note_{task.id}"):
                    st.session_state.pop(key, None)
                st.rerun()


def _note(task_id: int) -> None:
    """Take a note. Once written it is text, not a field: the keys judge again. Below the buttons, which do not move."""
    kept = f"kept_note_{task_id}"
    if st.session_state.get(kept):
        with st.container(horizontal=True, vertical_alignment="center"):
            _state.html(_parts.wrap(f'<div class="bo-soft">Note: {h(st.session_state[kept], 400)}</div>'))
            if st.button("Change the note", type="tertiary", key=f"change_{task_id}"):
                st.session_state[f"note_{task_id}"] = st.session_state.pop(kept)
                st.rerun()
        return

    def keep() -> None:
        st.session_state[kept] = str(st.session_state.get(f"note_{task_id}") or "").strip()

    st.text_input("Note, before you judge", key=f"note_{task_id}", placeholder="optional: why", on_change=keep)


def _back(queue: Queue, said: Sequence[Judged], again: str) -> None:
    """Let the annotator judge anything again."""
    with st.expander(f"What you said ({len(said):,})"):
        st.caption("The latest first. Choose one to judge it again.")
        pages = -(-len(said) // _BACK)
        current = st.pagination(pages, key=f"pages_{again}") if pages > 1 else 1
        with st.container(horizontal=True):
            for one in said[(current - 1) * _BACK : current * _BACK]:
                words = f"{line(one.task.item_id, 30)}: {line(say(queue, one.task, one.value), 30)}"
                if st.button(md(words, 70), key=f"{again}_{one.task.id}", type="tertiary", icon=":material/edit:"):
                    st.session_state[again] = one.task.id
                    st.rerun()
