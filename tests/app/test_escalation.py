"""What a jury is not sure of, stages disagree on, or a guard hands over stands before people, with the reason."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

import bakeoff
from bakeoff.app._labels import LabelStore
from bakeoff.cli import main
from bakeoff.errors import EvaluatorError
from bakeoff.evaluators import load_evaluator
from bakeoff.experiments import read_escalated
from bakeoff.gateway import ModelRequest, ModelResponse
from tests.app.test_pages import open_page, text_of

JURY = {"model": "one", "jury": ["two", "three"], "question": "Is it polite?", "escalate_below": 0.9}


class Jurors:
    """Answers `please NUMBER`; the jurors agree unless the number divides by three: then the third says no."""

    async def complete(self, request: ModelRequest) -> ModelResponse:
        text = str(request.messages[-1]["content"])
        if request.purpose != "judge":
            return ModelResponse(text=f"please {text}", model="m", cost_usd=0.0)
        number = int(text.rpartition("please ")[2].split()[0].partition("<")[0])
        verdict = request.model != "three" or number % 3 != 0
        return ModelResponse(text=json.dumps({"reason": "r", "pass": verdict}), model=request.model, cost_usd=0.0)


def judged(store: Path, **keys: Any) -> bakeoff.RunResult:
    spec = {
        "name": "polite",
        "dataset": {"rows": [{"id": f"i{k}", "question": str(k), "expected": ""} for k in range(6)]},
        "prompts": {"first_v1": "{{ question }}", "second_v2": "{{ question }} "},
        "models": {"m": "sim/small"},
        "evaluators": [{"judge": {"name": "polite", **JURY}}],
        "mlflow": False,
        **keys,
    }
    return bakeoff.run(spec, store=store, client=Jurors())


@pytest.fixture
def result(tmp_path: Path) -> bakeoff.RunResult:
    return judged(tmp_path / "store")


def test_an_unsure_jury_fills_the_queue_with_its_reason(result: bakeoff.RunResult) -> None:
    found = read_escalated(result.store, result.run_id)
    # Oracle: how the jurors were made; 0 and 3 divide by three.
    assert {(one.item_id, one.variant) for one in found} == {
        (i, v) for i in ("i0", "i3") for v in ("first_v1", "second_v2")
    }
    assert found[0].confidence == pytest.approx(2 / 3, abs=1e-4)
    assert found[0].reason == "confidence 0.67 is below 0.9: 2 x pass, 1 x fail"
    labels = LabelStore(result.store.paths.control)
    (queue,) = labels.escalated_queues(result.store, result.run_id)
    assert (queue.name, queue.question, queue.choices) == (
        "escalated by polite", "Is it polite?", ("yes", "no", "unclear"),
    )  # fmt: skip
    assert [task.reason for task in labels.tasks(queue)] == [found[0].reason] * 4
    assert [q.n_tasks for q in labels.escalated_queues(result.store, result.run_id)] == [4], "looking twice adds none"
    assert any("Answers wait for a person: 4 by polite" in said for said in result.analysis.warnings)


def test_a_split_jury_gives_no_score_but_a_task(tmp_path: Path) -> None:
    jury = {**JURY, "jury": ["three"], "name": "polite"}
    result = judged(tmp_path, evaluators=[{"judge": jury}])
    found = read_escalated(result.store, result.run_id)
    assert {one.reason for one in found} == {"the jury is split: 1 x pass, 1 x fail"}
    assert len(found) == 4


def test_a_jury_inside_a_combination_still_asks(tmp_path: Path) -> None:
    result = judged(tmp_path, evaluators=[{"all": {"name": "both", "of": [{"judge": JURY}, {"length": {"min": 1}}]}}])
    found = read_escalated(result.store, result.run_id)
    assert {(one.metric, one.reason) for one in found} == {
        ("both", "judge: confidence 0.67 is below 0.9: 2 x pass, 1 x fail")
    }


def test_disagreeing_stages_of_the_mesh_ask(tmp_path: Path) -> None:
    rows = [
        {"id": "unused", "question": "?", "code": "import os\n"},
        {"id": "fine", "question": "?", "code": "x = 1\n"},
    ]
    mesh = {"stages": ["syntax", "style"], "extract": False}
    result = bakeoff.run(
        {
            "name": "mesh",
            "dataset": {"rows": rows, "inputs": ["question"]},
            "targets": {"old": {"recorded": "code"}},
            "evaluators": [{"code_mesh": mesh}],
            "mlflow": False,
        },
        store=tmp_path,
    )
    (asked,) = read_escalated(result.store, result.run_id)
    assert (asked.item_id, asked.metric, asked.confidence) == ("unused", "code_mesh.consensus", 0.5)
    assert asked.reason == "1 of 2 stages pass; failed: style"


def test_a_guard_hands_over_too(tmp_path: Path) -> None:
    guard = {"check": {"contains": {"none": ["please 4"]}}, "action": "escalate", "say": "A colleague will write."}
    result = judged(tmp_path, guards=[guard], evaluators=[{"length": {"min": 1}}])
    found = read_escalated(result.store, result.run_id)
    assert {(one.metric, one.item_id) for one in found} == {("guards", "i4")}
    (queue,) = LabelStore(result.store.paths.control).escalated_queues(result.store, result.run_id)
    assert queue.question == "Was it right to hand this over to a person?"


def test_one_judge_alone_cannot_be_unsure() -> None:
    with pytest.raises(EvaluatorError, match="needs several votes"):
        load_evaluator({"judge": {"model": "m", "question": "Is it polite?", "escalate_below": 0.8}})


def test_the_page_and_the_trial_show_it(result: bakeoff.RunResult, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("label", result.store.paths.root, monkeypatch)
    app.text_input[0].set_value("ann").run()
    shown = text_of(app)
    assert "Is it polite?" in shown
    assert "0 of 4 judged by you" in shown
    assert "confidence 0.67 is below 0.9" in shown
    assert "first_v1" not in shown, "the annotator is blind"
    assert "asks for a person" in text_of(open_page("items", result.store.paths.root, monkeypatch))


def call(*arguments: str, code: int = 0) -> None:
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    assert caught.value.code == code


def test_the_command_line_lists_writes_and_reads(
    result: bakeoff.RunResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = ("--store", str(result.store.paths.root))
    call("label", *store)
    assert "confidence 0.67 is below 0.9" in capsys.readouterr().out
    file = tmp_path / "labels.csv"
    call("label", *store, "--to", str(file))
    rows = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 4
    assert "variant" not in rows[0], "whoever judges is blind"
    assert rows[0]["answer"].startswith("please ")
    rows[0]["value"], rows[1]["value"] = "Yes", "maybe"
    write(file, rows)
    call("label", *store, "--from", str(file), "--annotator", "ann", code=2)
    assert "line 3: 'maybe' is not one of the choices 'yes', 'no', 'unclear'" in capsys.readouterr().err
    labels = LabelStore(result.store.paths.control)
    (queue,) = labels.queues(result.run_id)
    assert labels.labels(queue) == [], "nothing is kept of a file with a wrong row"
    rows[1]["value"] = ""
    write(file, rows)
    call("label", *store, "--from", str(file), code=2)
    assert "nobody is named" in capsys.readouterr().err
    call("label", *store, "--from", str(file), "--annotator", "ann")
    assert [(one.value, one.annotator) for one in labels.labels(queue)] == [("yes", "ann")]
    call("calibrate", *store, code=2)
    assert "hard ones" in capsys.readouterr().err, "unsure answers are no random sample"


def write(file: Path, rows: list[dict[str, str]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as sink:
        writer = csv.DictWriter(sink, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
