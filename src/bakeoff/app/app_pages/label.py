"""Label: people judge answers, blind, one key a judgement."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import streamlit as st

from bakeoff.app import _access, _parts, _state
from bakeoff.app._label_files import agreement, import_labels, labels_csv, pair_agreements, preferences
from bakeoff.app._label_judge import judge, who_judges
from bakeoff.app._label_order import DRAWS
from bakeoff.app._labels import LabelStore
from bakeoff.app._text import h, line, md, number
from bakeoff.errors import BakeoffError

if TYPE_CHECKING:
    from bakeoff.app._label_order import Draw
    from bakeoff.app._labels import Label, Queue
    from bakeoff.experiments import Manifest

__all__ = ["draw", "labels_csv"]

_DRAWN = {
    "random": "at random",
    "disagreement": "where the scores disagree",
    "confidence": "where they are least sure",
}
_AT_ONCE = 300
"""Labels up to which agreement is computed before somebody opens it; half a second for 2,000."""


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
    queue = _state.choose(
        "Queue", queues, name="queue", words=_queue_words, code=lambda q: str(q.id), scope=manifest.run_id
    )
    found = labels.labels(queue)
    annotator = who_judges(dict(Counter(label.annotator for label in found)), queue.n_tasks)
    if annotator:
        judge(labels, queue, manifest, annotator)
    _results(queue, manifest, found)
    _import(labels, queue, annotator)
    _new_queue(labels, manifest, expanded=False)


def _queue_words(queue: Queue) -> str:
    how = "handed over" if queue.metric is not None else _DRAWN[queue.drawn]
    return f"{queue.name} ({queue.n_tasks} {'pairs' if queue.mode == 'pairwise' else 'answers'}, {how})"


def _results(queue: Queue, manifest: Manifest, found: list[Label]) -> None:
    if not found:
        return
    st.subheader("So far")
    st.caption("Opens the blinds: look after you have judged.")
    people = len({x.annotator for x in found})
    title = f"{len(found):,} labels by {people} {'person' if people == 1 else 'people'}"
    with st.expander(title, key=f"so_far_{queue.id}", on_change="rerun") as shown:
        if len(found) > _AT_ONCE and not shown.open:
            return  # it would take longer than a judgement does
        if queue.mode == "single":
            _counts(manifest, found)
        else:
            _preferred(queue, manifest, found)
        st.download_button(
            "Download the labels", labels_csv(found), file_name=f"labels-{queue.id}.csv", mime="text/csv",
            icon=":material/download:", on_click="ignore",
        )  # fmt: skip
        _agreement(found)


def _counts(manifest: Manifest, found: list[Label]) -> None:
    """Show how often each variant was called what."""
    counts = Counter((label.variant, label.value) for label in found)
    values = sorted({value for _, value in counts})
    head = "".join(f"<th class=r>{h(value, 40)}</th>" for value in values)
    names = sorted({name for name, _ in counts}, key=manifest.variant_names.index)
    rows = "".join(
        f"<tr><td class=name>{h(name, 60)}</td>"
        + "".join(f"<td class=r>{counts.get((name, v), 0):,}</td>" for v in values)
        + "</tr>"
        for name in names
    )
    _state.html(_parts.wrap(f"<table><tr><th>Variant</th>{head}</tr>{rows}</table>"))


def _preferred(queue: Queue, manifest: Manifest, found: list[Label]) -> None:
    """Show which of two variants people prefer, and how sure that is."""
    from bakeoff.experiments import rank_preferences

    counts = Counter(label.value for label in found)
    names = [name for name in manifest.variant_names if any(name in (x.variant, x.other) for x in found)]
    rows = "".join(
        f"<tr><td class=name>{h(name, 60)}</td><td class=r>{counts.get(key, 0):,}</td></tr>"
        for name, key in [*((name, name) for name in names), ("tie", "tie")]
    )
    _state.html(_parts.wrap(f"<table><tr><th>Preferred</th><th class=r>Labels</th></tr>{rows}</table>"))
    baseline = manifest.baseline if manifest.baseline in names else names[0]
    alpha = float(manifest.spec.get("analysis", {}).get("alpha", 0.05))
    try:
        ranked = rank_preferences(manifest.run_id, preferences(found), baseline=baseline, by="people", alpha=alpha)
    except BakeoffError as problem:
        _state.html(_parts.error(problem))
        return
    said = "".join(f"<p>{h(sentence, 400)}</p>" for sentence in ranked.sentences)
    _state.html(_parts.wrap(said))
    st.caption(f"The same from the command line: `bakeoff rank {manifest.run_id} --queue` {md(queue.name, 60)}")


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
                free = _free_name(labels, manifest, name or "queue")
                labels.create_queue(
                    _state.the_store(), manifest.run_id, name=free, question=question or "", n=int(n or 50),
                    choices=(choices or "").split(","), guidelines=guidelines or "", variants=variants,
                    mode="pairwise" if mode == "pairwise" else "single", draw=kind,
                )  # fmt: skip
            except BakeoffError as problem:
                _state.html(_parts.error(problem))
            else:
                st.session_state.pop("kept_queue", None)
                st.query_params.pop("queue", None)
                st.rerun()


def _free_name(labels: LabelStore, manifest: Manifest, name: str) -> str:
    """Return the name, with a number where a queue of this run has it: queues are found by name."""
    taken = {queue.name for queue in labels.queues(manifest.run_id)}
    return next(one for one in (name, *(f"{name} {k}" for k in range(2, len(taken) + 3))) if one not in taken)
