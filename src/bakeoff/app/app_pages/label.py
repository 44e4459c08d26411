"""Label: people judge answers, blind, one key a judgement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from bakeoff.app import _access, _parts, _queries, _state
from bakeoff.app._label_files import agreement, import_labels, labels_csv, pair_agreements
from bakeoff.app._label_order import DRAWS
from bakeoff.app._labels import LabelStore
from bakeoff.app._text import h, line, md, number
from bakeoff.errors import BakeoffError

if TYPE_CHECKING:
    from bakeoff.app._label_order import Draw
    from bakeoff.app._labels import Label, Queue, Task
    from bakeoff.app._queries import Trial
    from bakeoff.experiments import Manifest

__all__ = ["draw", "labels_csv"]

_DRAWN = {
    "random": "at random",
    "disagreement": "where the scores disagree",
    "confidence": "where they are least sure",
}


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
            "Queue", queues, name="queue", words=_queue_words,
            code=lambda q: str(q.id), scope=manifest.run_id,
        )  # fmt: skip
    with two:
        logged_in = _access.person()
        annotator = st.text_input(
            "Your name", value=logged_in or st.session_state.get("annotator", ""), placeholder="kept with each label",
            disabled=bool(logged_in),
        )  # fmt: skip
        annotator = logged_in or annotator
    st.session_state["annotator"] = annotator or ""
    if not (annotator or "").strip():
        _state.html(_parts.empty("☺", "Who is judging?", "Write your name above; it is kept with every label."))
    else:
        _judge(labels, queue, manifest, str(annotator).strip())
    _results(labels, queue, manifest)
    _import(labels, queue, str(annotator or ""))
    _new_queue(labels, manifest, expanded=False)


def _queue_words(queue: Queue) -> str:
    how = "handed over" if queue.metric is not None else _DRAWN[queue.drawn]
    return f"{queue.name} ({queue.n_tasks} answers, {how})"


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
    if task is not None:
        keys = ["A is better", "tie", "B is better"] if queue.mode == "pairwise" else list(queue.choices[:9])
        said = " · ".join(f"{place} {line(choice, 30)}" for place, choice in enumerate(keys, 1))
        _state.html(_parts.wrap(f'<div class="bo-soft"><small>Keys: {h(said)} · l later · u take back</small></div>'))
    with st.container(horizontal=True):
        if task is not None and st.button("Later", icon=":material/skip_next:", shortcut="l"):
            st.session_state[key] = task.position
            st.rerun()
        if st.button("Take back the last", icon=":material/undo:", shortcut="u", disabled=not done):
            _access.require("editor")
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
    if queue.guidelines:
        with st.expander("Guidelines", expanded=True, icon=":material/menu_book:"):
            _state.html(_parts.wrap(_parts.pre(queue.guidelines, css="short")))
    with st.expander("Expected answer"):
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
            if st.button(md(text, 40), key=f"say_{task.id}_{place}", shortcut=hint):
                _access.require("editor")
                labels.add(queue, task, annotator, value, note=note)
                st.session_state.pop(key, None)
                st.rerun()


def _results(labels: LabelStore, queue: Queue, manifest: Manifest) -> None:
    found = labels.labels(queue)
    if not found:
        return
    st.subheader("So far")
    st.caption("Opens the blinds: look after you have judged.")
    people = len({x.annotator for x in found})
    with st.expander(f"{len(found):,} labels by {people} {'person' if people == 1 else 'people'}"):
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
        _agreement(found)


def _agreement(found: list[Label]) -> None:
    """Say how far people agree, and on what they do not."""
    overall = agreement(found)
    if overall is None:
        st.caption("Agreement is known as soon as two people have judged the same answer.")
        return
    pairs = pair_agreements(found)
    said = number(overall.estimate) if overall.estimate == overall.estimate else f"– ({overall.reason})"
    interval = "" if overall.low != overall.low else f", 95% interval {number(overall.low)} to {number(overall.high)}"
    rows = "".join(
        f"<tr><td class=name>{h(pair.one, 60)}</td><td class=name>{h(pair.other, 60)}</td>"
        f"<td class=r>{pair.same:,} of {pair.both:,}</td><td class=r>{100 * pair.same / pair.both:.0f}%</td></tr>"
        for pair in pairs[:30]
    )
    head = "<tr><th>One</th><th>Other</th><th class=r>Said the same</th><th class=r></th></tr>"
    _state.html(
        _parts.wrap(
            f'<div class="bo-label">Agreement: Krippendorff’s alpha {h(said)}{h(interval)} (1 is perfect, 0 is chance)'
            f"</div><table>{head}{rows}</table>"
        )
    )


def _import(labels: LabelStore, queue: Queue, annotator: str) -> None:
    """Take labels from a file."""
    with st.expander("Import labels from a CSV file", icon=":material/upload:"):
        st.caption("Columns item_id, variant, value; if needed repeat, annotator, note, and other for pairs.")
        upload = st.file_uploader("CSV file of labels", type=["csv", "tsv"], key=f"labels_file_{queue.id}")
        if upload is not None and st.button("Import", key=f"labels_import_{queue.id}", type="primary"):
            _access.require("editor")
            try:
                done = import_labels(labels, queue, upload.getvalue(), annotator=annotator.strip())
            except BakeoffError as problem:
                _state.html(_parts.error(problem))
                return
            st.success(f"{done.added:,} labels added, {done.unchanged:,} were there already.")
            if done.refused:
                shown = [*done.refused[:20], *([f"{len(done.refused) - 20:,} more"] if len(done.refused) > 20 else [])]
                _state.html(_parts.warnings(shown, f"{len(done.refused):,} rows do not fit"))


_ONE, _TWO = "Is this answer right?", "Which answer is better?"


def _new_queue(labels: LabelStore, manifest: Manifest, *, expanded: bool) -> None:
    with st.expander("New queue", expanded=expanded, icon=":material/add:"), st.form("new_queue", border=False):
        one, two = st.columns([2, 1])
        name = one.text_input("Name of the queue", value=line(manifest.name, 60))
        mode = two.selectbox(
            "Judge",
            ["single", "pairwise"],
            format_func=lambda m: "two side by side" if m == "pairwise" else "one answer",
        )
        question = st.text_input("Question", value=_ONE)
        a, b, c = st.columns([3, 3, 1])
        choices = a.text_input("Choices, with commas", value="right, wrong, unclear")
        variants = b.multiselect(
            "Variants (all when empty)", manifest.variant_names,
            help="Two to judge side by side: the choices are then A, B and a tie.",
        )  # fmt: skip
        n = c.number_input("Answers", 1, 5000, value=50)
        drawn = st.selectbox(
            "Which answers", DRAWS, format_func=lambda d: _DRAWN[d],
            help="Only labels of answers drawn at random stand for all of them: use those to calibrate a judge. The "
            "other two find what is worth a look.",
        )  # fmt: skip
        guidelines = st.text_area("Guidelines", placeholder="What counts as right? How are borderline cases decided?")
        if st.form_submit_button("Draw answers", type="primary", icon=":material/shuffle:"):
            _access.require("editor")
            kind: Draw = drawn or "random"
            question = _TWO if mode == "pairwise" and question == _ONE else question
            try:
                labels.create_queue(
                    _state.the_store(), manifest.run_id, name=name or "queue", question=question or "", n=int(n or 50),
                    choices=(choices or "").split(","), guidelines=guidelines or "", variants=variants,
                    mode="pairwise" if mode == "pairwise" else "single", draw=kind,
                )  # fmt: skip
            except BakeoffError as problem:
                _state.html(_parts.error(problem))
            else:
                st.session_state.pop("kept_queue", None)
                st.query_params.pop("queue", None)
                st.rerun()
