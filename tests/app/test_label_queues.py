"""Which answers people are asked about, how far they agree, and labels as files."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import krippendorff
import numpy as np
import pytest

import bakeoff
from bakeoff.app._label_files import agreement, import_labels, labels_csv, pair_agreements
from bakeoff.app._label_tables import MIGRATIONS
from bakeoff.app._labels import Label, LabelStore, Queue
from bakeoff.errors import SpecError
from tests.app.test_escalation import JURY, judged
from tests.app.test_pages import open_page, text_of

N = 12


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> bakeoff.RunResult:
    return two_checks(tmp_path_factory.mktemp("queues") / ".bakeoff")


def two_checks(store: Path) -> bakeoff.RunResult:
    """Give answers on which two checks disagree at items 3 and 7 of `b`; at item 5 the two variants differ."""
    rows = [
        {
            "id": f"i{k}", "q": f"question {k}", "expected": "yes", "a": "yes", "b": "yes, sure" if k in (3, 7) else
            "no" if k == 5 else "yes",
        }
        for k in range(N)
    ]  # fmt: skip
    spec = {
        "name": "two checks",
        "dataset": {"rows": rows, "id": "id", "inputs": ["q"], "expected": "expected"},
        "targets": {"a": {"recorded": "a"}, "b": {"recorded": "b"}},
        "evaluators": [{"exact_match": {"name": "exact"}}, {"contains": {"name": "loose", "all": ["yes"]}}],
        "analysis": {"primary": "exact"},
        "mlflow": False,
    }
    return bakeoff.run(spec, store=store)


@pytest.fixture
def labels(tmp_path: Path) -> LabelStore:
    return LabelStore(tmp_path / "control.sqlite")


def queue_of(labels: LabelStore, result: bakeoff.RunResult, **options: Any) -> Queue:
    given = {"name": "q", "question": "Right?", "choices": ["yes", "no"], "n": 50, **options}
    return labels.create_queue(result.store, result.run_id, **given)


def test_disagreement_comes_first_and_alone(labels: LabelStore, result: bakeoff.RunResult) -> None:
    queue = queue_of(labels, result, draw="disagreement")
    assert {(t.item_id, t.variant) for t in labels.tasks(queue)} == {("i3", "b"), ("i7", "b")}
    assert labels.queues()[0].drawn == "disagreement"


def test_pairs_that_differ_come_first(labels: LabelStore, result: bakeoff.RunResult) -> None:
    queue = queue_of(labels, result, draw="disagreement", mode="pairwise", variants=["a", "b"])
    assert {t.item_id for t in labels.tasks(queue)} == {"i3", "i5", "i7"}


def test_without_confidence_there_is_nothing_to_be_unsure_of(labels: LabelStore, result: bakeoff.RunResult) -> None:
    with pytest.raises(SpecError, match="shows any doubt"):
        queue_of(labels, result, draw="confidence")
    with pytest.raises(SpecError, match="nothing disagrees"):
        queue_of(labels, result, draw="disagreement", variants=["a"])
    assert labels.queues() == []


def test_the_least_sure_come_first(labels: LabelStore, tmp_path: Path) -> None:
    """What a jury hands over comes first; then token overlap, the nearer to the middle the earlier."""
    said = ("please {k}", "please", "nothing", "please and so on and on and on")
    rows = [{"id": f"i{k}", "question": str(k), "expected": said[k % 4].format(k=k)} for k in range(1, 13)]
    result = judged(
        tmp_path / ".bakeoff", dataset={"rows": rows}, prompts={"only": "{{ question }}"},
        evaluators=[{"judge": {"name": "polite", **JURY}}, {"token_f1": {"name": "overlap"}}],
        analysis={"primary": "polite"},
    )  # fmt: skip
    scores = result.store.scores(result.run_id, columns=["item_id", "metric", "value", "escalated"]).to_pylist()
    overlap = {row["item_id"]: row["value"] for row in scores if row["metric"] == "overlap"}
    queue = labels.create_queue(
        result.store, result.run_id, name="q", question="?", choices=["y", "n"], draw="confidence", n=30
    )
    drawn = [task.item_id for task in labels.tasks(queue)]
    assert set(drawn[:4]) == {"i3", "i6", "i9", "i12"}, "the jurors split where the number divides by three"
    rest = [abs(overlap[item] - 0.5) for item in drawn[4:]]
    assert rest == sorted(rest)
    assert set(drawn[4:]) == {k for k, v in overlap.items() if 0 < v < 1} - set(drawn[:4])
    assert len(set(rest)) > 1


def answer(labels: LabelStore, queue: Queue, who: str, values: list[str]) -> None:
    for value in values:
        task = labels.next_task(queue, who)
        assert task is not None
        labels.add(queue, task, who, value)


def test_agreement_is_that_of_a_known_library(labels: LabelStore, result: bakeoff.RunResult) -> None:
    queue = queue_of(labels, result)
    said = {"ann": "yes no yes yes no no yes no".split(), "bob": "yes no no yes no yes yes".split(), "cy": ["yes"] * 5}  # noqa: SIM905
    answer(labels, queue, "ann", said["ann"])
    assert agreement(labels.labels(queue)) is None, "one person agrees with nobody"
    answer(labels, queue, "bob", said["bob"])
    answer(labels, queue, "cy", said["cy"])
    found = labels.labels(queue)
    codes = {"yes": 0.0, "no": 1.0}
    ratings = np.full((3, 8), np.nan)
    for row, values in enumerate(said.values()):
        ratings[row, : len(values)] = [codes[value] for value in values]
    wanted = krippendorff.alpha(reliability_data=ratings, level_of_measurement="nominal")
    measured = agreement(found)
    assert measured is not None
    assert measured.estimate == pytest.approx(wanted)
    pairs = {(p.one, p.other): (p.same, p.both) for p in pair_agreements(found)}
    assert pairs == {("ann", "bob"): (5, 7), ("ann", "cy"): (3, 5), ("bob", "cy"): (2, 5)}


def test_labels_go_out_and_come_back(labels: LabelStore, result: bakeoff.RunResult, tmp_path: Path) -> None:
    queue = queue_of(labels, result, seed=1)
    answer(labels, queue, "=ann", ["yes", "no", "yes"])
    content = labels_csv(labels.labels(queue))
    assert import_labels(labels, queue, content).unchanged == 3
    other = LabelStore(tmp_path / "other.sqlite")
    same = queue_of(other, result, seed=1)
    done = import_labels(other, same, content)
    assert (done.added, done.refused) == (3, ())

    def plain(found: list[Label]) -> set[tuple[str, str, str, str]]:
        return {(x.item_id, x.variant, x.annotator, x.value) for x in found}

    assert plain(other.labels(same)) == plain(labels.labels(queue))


def test_rows_that_do_not_fit_are_named(labels: LabelStore, result: bakeoff.RunResult) -> None:
    queue = queue_of(labels, result)
    content = "item_id;variant;value\ni0;a;yes\ni0;a;maybe\nnowhere;a;yes\ni1;b;no\n".encode("utf-8-sig")
    done = import_labels(labels, queue, content, annotator="ann")
    assert done.added == 2
    assert len(done.refused) == 2
    assert "line 3: 'maybe' is not one of the choices" in done.refused[0]
    assert "line 4: no such task: item 'nowhere'" in done.refused[1]
    unnamed = import_labels(labels, queue, b"item_id,variant,value\ni2,a,yes\n")
    assert "name of who gives it" in unnamed.refused[0]


@pytest.mark.parametrize(
    ("content", "said"), [(b"\xff\xfe\x00", "not UTF-8"), (b"a,b\n1,2\n", "lacks 'item_id'"), (b"", "no columns")]
)
def test_no_file_of_labels(content: bytes, said: str, labels: LabelStore, result: bakeoff.RunResult) -> None:
    with pytest.raises(SpecError, match=said):
        import_labels(labels, queue_of(labels, result), content)


def test_a_store_of_before_is_brought_forward(tmp_path: Path, result: bakeoff.RunResult) -> None:
    path = tmp_path / "control.sqlite"
    with sqlite3.connect(path) as old:
        old.execute("CREATE TABLE label_migration (number INTEGER PRIMARY KEY, at TEXT NOT NULL)")
        for number in (0, 1):
            old.executescript(MIGRATIONS[number])
            old.execute("INSERT INTO label_migration VALUES (?, '')", (number,))
        old.execute(
            "INSERT INTO label_queue (name, run_id, mode, question, choices, guidelines, guidelines_version, seed, "
            "created_at) VALUES ('old', 'r', 'single', '?', '[]', '', '', 0, '')"
        )
    assert [(queue.name, queue.drawn) for queue in LabelStore(path).queues()] == [("old", "random")]


def test_a_judge_is_not_calibrated_on_hand_picked_answers(tmp_path: Path) -> None:
    store = tmp_path / ".bakeoff"
    result = two_checks(store)
    kept = LabelStore(store / "control.sqlite")
    answer(kept, queue_of(kept, result, draw="disagreement", name="odd ones"), "ann", ["yes", "no"])
    command = [sys.executable, "-m", "bakeoff", "calibrate", result.run_id, "--store", str(store), "--metric", "exact"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "picked as doubtful" in done.stderr
    named = subprocess.run([*command, "--queue", "odd ones"], capture_output=True, text=True, check=False)
    assert "no random sample" in " ".join(named.stderr.split())


def test_the_page_says_how_far_people_agree(result: bakeoff.RunResult, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = LabelStore(result.store.paths.control)
    queue = queue_of(kept, result, name="for the page", guidelines="Be strict.")
    answer(kept, queue, "ann", ["yes", "no", "yes"])
    answer(kept, queue, "bob", ["yes", "no", "no"])
    app = open_page("label", result.store.paths.root, monkeypatch, run=result.run_id, queue=str(queue.id))
    app.text_input[0].set_value("cy").run()
    assert not app.exception
    shown = text_of(app)
    assert "2 of 3" in shown
    assert "Krippendorff" in shown
    assert "Be strict." in shown
    assert "1 yes · 2 no · l later · u take back" in shown
