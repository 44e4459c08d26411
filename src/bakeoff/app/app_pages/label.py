"""Label: people judge answers, blind, one key a judgement."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, fields
from typing import TYPE_CHECKING

import streamlit as st

from bakeoff.app import _access, _parts, _queries, _state
from bakeoff.app._labels import Label, LabelStore, Queue, Task
from bakeoff.app._text import defused, h, line, md
from bakeoff.errors import BakeoffError

if TYPE_CHECKING:
    from bakeoff.app._queries import Trial
    from bakeoff.experiments import Manifest

__all__ = ["draw"]


def draw() -> None:
    """Draw the page."""
    _state.header("Label", "People judge answers without knowing which variant gave them. One key, one judgement.")
    manifest = _state.choose_run(prefer=lambda m: m.status in ("complete", "partial"))
    if manifest is None:
        return
    if not _access.may("editor"):
        _state.html(_parts.empty("✎", "For editors", "Your role lets you read. Ask for the role editor to label."))
        return
    labels = LabelStore(_state.the_store().paths.control)
    try:
        waiting = labels.escalated_queues(_state.the_store(), manifest.run_id)
    except BakeoffError as problem:
        waiting: list[Queue] = []
        _state.html(_parts.error(problem))
    drawn = [queue for queue in labels.queues(manifest.run_id) if queue.metric is None]
    queues = [*waiting, *drawn]
    if not queues:
        _state.html(_parts.empty("✎", "Nothing to label yet", "Draw answers of this run at random into a queue."))
        _new_queue(labels, manifest, expanded=True)
        return
    one, two = st.columns([3, 2])
    with one:
        queue = _state.choose(
            "Queue", queues, name="queue", words=lambda q: f"{q.name} ({q.n_tasks} answers)", code=lambda q: str(q.id),
            scope=manifest.run_id,
        )  # fmt: skip
    with two:
        annotator = st.text_input(
            "Your name", value=st.session_state.get("annotator", ""), placeholder="kept with each label"
        )
    st.session_state["annotator"] = annotator or ""
    if not (annotator or "").strip():
        _state.html(_parts.empty("☺", "Who is judging?", "Write your name above; it is kept with every label."))
    else:
        _judge(labels, queue, manifest, str(annotator).strip())
    _results(labels, queue, manifest)
    _new_queue(labels, manifest, expanded=False)


def _judge(labels: LabelStore, queue: Queue, manifest: Manifest, annotator: str) -> None:
    done = sum(1 for label in labels.labels(queue) if label.annotator == annotator)
    share = _parts.progress(done, 0, queue.n_tasks)
    _state.html(_parts.wrap(f'<div class="bo-label">{done:,} of {queue.n_tasks:,} judged by you</div>{share}'))
    key = f"label_after_{queue.id}_{annotator}"
    task = labels.next_task(queue, annotator, after=int(st.session_state.get(key, -1)))
    if task is None:
        _state.html(_parts.empty("✓", "All done", "Thank you. You have judged every answer of this queue."))
    else:
        _task(labels, queue, task, manifest, annotator, key)
    with st.container(horizontal=True):
        if task is not None and st.button("Later", icon=":material/skip_next:", shortcut="l"):
            st.session_state[key] = task.position
            st.rerun()
        if st.button("Take back the last", icon=":material/undo:", shortcut="u", disabled=not done):
            labels.undo(queue, annotator)
            st.session_state.pop(key, None)
            st.rerun()


def _task(labels: LabelStore, queue: Queue, task: Task, manifest: Manifest, annotator: str, key: str) -> None:
    store = _state.the_store()
    wanted = [task.variant, *([task.other] if task.other else [])]
    trials = {
        trial.variant: trial
        for trial in _queries.trials_of_item(store, manifest, task.item, variants=wanted)
        if trial.repeat == task.repeat
    }
    shown = [trials[name] for name in wanted if name in trials]
    if len(shown) < len(wanted):
        _state.html(_parts.error(f"the trial of item {task.item_id!r} is no longer in the store"))
        return
    with st.container(border=True, key="card_task"):
        _state.html(_parts.wrap(f'<div style="font-size:1.2rem;font-weight:650">{h(queue.question, 400)}</div>'))
        asked = _queries.as_text(shown[0].inputs)
        _state.html(_parts.wrap(f'<div class="bo-label">Asked</div>{_parts.pre(asked, 6000)}'))
        _answers(shown)
        note = st.text_input("Note", key=f"note_{task.id}", placeholder="optional: why")
        _buttons(labels, queue, task, annotator, note or "", key)
    if task.reason:
        with st.expander("Why it is here (look after you have judged)"):
            _state.html(_parts.wrap(_parts.pre(task.reason)))
    with st.expander("Guidelines, expected answer"):
        if queue.guidelines:
            _state.html(_parts.wrap(_parts.pre(queue.guidelines)))
        _state.html(_parts.wrap(f'<div class="bo-label">Expected</div>{_parts.pre(shown[0].expected or "(none)")}'))


def _answers(shown: list[Trial]) -> None:
    names = ["Answer"] if len(shown) == 1 else ["Answer A", "Answer B"]
    for column, name, trial in zip(st.columns(len(shown)), names, shown, strict=True):
        with column:
            body = _parts.pre(trial.output or "(empty)") if trial.ok else "(failed)"
            _state.html(_parts.wrap(f'<div class="bo-label">{name}</div>{body}'))


def _buttons(labels: LabelStore, queue: Queue, task: Task, annotator: str, note: str, key: str) -> None:
    pairs = [(choice, choice) for choice in queue.choices]
    if queue.mode == "pairwise":
        pairs = [("A is better", task.variant), ("Tie", "tie"), ("B is better", task.other or "")]
    with st.container(horizontal=True):
        for place, (text, value) in enumerate(pairs):
            hint = str(place + 1) if place < 9 else None
            if st.button(
                md(text, 40), key=f"say_{task.id}_{place}", shortcut=hint, type="primary" if not place else "secondary"
            ):
                labels.add(queue, task, annotator, value, note=note)
                st.session_state.pop(key, None)
                st.rerun()


def _results(labels: LabelStore, queue: Queue, manifest: Manifest) -> None:
    found = labels.labels(queue)
    if not found:
        return
    st.subheader("So far")
    st.caption("Opens the blinds: look after you have judged.")
    with st.expander(f"{len(found):,} labels by {len({x.annotator for x in found})} people"):
        counts: dict[tuple[str, str], int] = {}
        for label in found:
            name = label.variant if queue.mode == "single" else "(pairs)"
            counts[name, label.value] = counts.get((name, label.value), 0) + 1
        values = sorted({value for _, value in counts})
        head = "".join(f"<th class=r>{h(value, 40)}</th>" for value in values)
        names = sorted({name for name, _ in counts}, key=[*manifest.variant_names, "(pairs)"].index)
        rows = "".join(
            f"<tr><td class=name>{h(name, 60)}</td>"
            + "".join(f"<td class=r>{counts.get((name, v), 0):,}</td>" for v in values)
            + "</tr>"
            for name in names
        )
        _state.html(_parts.wrap(f"<table><tr><th>Variant</th>{head}</tr>{rows}</table>"))
        st.download_button(
            "Download the labels", labels_csv(found), file_name=f"labels-{queue.id}.csv", mime="text/csv",
            icon=":material/download:", on_click="ignore",
        )  # fmt: skip


def labels_csv(found: list[Label]) -> bytes:
    """Return labels as CSV with all that is known about them; formulas of spreadsheets are defused."""
    sink = io.StringIO()
    writer = csv.DictWriter(sink, [field.name for field in fields(Label)])
    writer.writeheader()
    for label in found:
        writer.writerow({name: defused(value) for name, value in asdict(label).items()})
    return sink.getvalue().encode(errors="replace")


def _new_queue(labels: LabelStore, manifest: Manifest, *, expanded: bool) -> None:
    with st.expander("New queue", expanded=expanded, icon=":material/add:"), st.form("new_queue", border=False):
        one, two = st.columns([2, 1])
        name = one.text_input("Name of the queue", value=line(manifest.name, 60))
        mode = two.selectbox(
            "Judge",
            ["single", "pairwise"],
            format_func=lambda m: "two side by side" if m == "pairwise" else "one answer",
        )
        question = st.text_input("Question", value="Is this answer right?")
        a, b, c = st.columns([3, 3, 1])
        choices = a.text_input("Choices, with commas", value="right, wrong, unclear")
        variants = b.multiselect("Variants (all when empty)", manifest.variant_names)
        n = c.number_input("Answers", 1, 5000, value=50)
        guidelines = st.text_area("Guidelines", placeholder="What counts as right? How are borderline cases decided?")
        if st.form_submit_button("Draw answers", type="primary", icon=":material/shuffle:"):
            try:
                labels.create_queue(
                    _state.the_store(), manifest.run_id, name=name or "queue", question=question or "", n=int(n or 50),
                    choices=(choices or "").split(","), guidelines=guidelines or "", variants=variants,
                    mode="pairwise" if mode == "pairwise" else "single",
                )  # fmt: skip
            except BakeoffError as problem:
                _state.html(_parts.error(problem))
            else:
                st.session_state.pop("kept_queue", None)
                st.query_params.pop("queue", None)
                st.rerun()
