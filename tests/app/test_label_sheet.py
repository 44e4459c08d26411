"""`bakeoff label`: queues drawn, judged in a spreadsheet and read back, without the dashboard."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import krippendorff
import pytest

import bakeoff
from bakeoff.app._labels import LabelStore
from bakeoff.cli import main
from tests.app.support import hostile, recorded


@pytest.fixture
def result(tmp_path: Path) -> bakeoff.RunResult:
    return recorded(tmp_path / ".bakeoff", n=20)


def call(result: bakeoff.RunResult, *arguments: str, code: int = 0) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["label", result.run_id, "--store", str(result.store.paths.root), *arguments])
    assert caught.value.code == code


def sheet(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(file.read_text(encoding="utf-8-sig").splitlines()))


def fill(file: Path, rows: list[dict[str, str]], values: list[str], *, delimiter: str = ",") -> None:
    with file.open("w", encoding="utf-8-sig", newline="") as sink:
        writer = csv.DictWriter(sink, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows({**row, "value": value} for row, value in zip(rows, values, strict=True))


def test_pairs_are_judged_in_a_sheet(
    result: bakeoff.RunResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules, file = tmp_path / "rules.txt", tmp_path / "pairs.csv"
    rules.write_text("Prefer the right one.", encoding="utf-8")
    call(result, "--draw", "random", "--pairwise", "--answers", "4", "--guidelines", str(rules), "--to", str(file))
    rows = sheet(file)
    assert [row["choices"] for row in rows] == ["A | tie | B"] * 4
    assert {row["guidelines"] for row in rows} == {"Prefer the right one."}
    assert "variant" not in rows[0], "whoever judges is blind"
    fill(file, rows, ["a", "TIE", "B", ""], delimiter=";")
    call(result, "--from", str(file), "--annotator", "ann")
    labels = LabelStore(result.store.paths.control)
    (queue,) = labels.queues(result.run_id)
    first, second, third, _ = labels.tasks(queue)
    said = {one.task.id: one.value for one in labels.judged(queue, "ann")}
    assert said == {first.id: first.variant, second.id: "tie", third.id: third.other}
    call(result, "--from", str(file), "--annotator", "ann")
    assert "0 labels read into 'pairs', 3 were there already" in capsys.readouterr().out
    assert {one.version for one in labels.labels(queue)} == {1}
    call(result, "--labels", str(tmp_path / "out.csv"))
    assert [row["value"] for row in sheet(tmp_path / "out.csv")] == [first.variant, "tie", third.other]


def test_the_list_says_how_far_people_agree(
    result: bakeoff.RunResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "q.csv"
    call(result, "--draw", "random", "--answers", "6", "--queue", "six", "--to", str(file))
    rows = sheet(file)
    ann, bob = (
        ["right", "wrong", "right", "wrong", "right", "wrong"],
        ["right", "wrong", "right", "wrong", "wrong", "wrong"],
    )
    for name, values in (("ann", ann), ("bob", bob)):
        fill(file, rows, values)
        call(result, "--queue", "six", "--from", str(file), "--annotator", name)
    capsys.readouterr()
    call(result, "--json")
    (told,) = json.loads(capsys.readouterr().out)
    expected = krippendorff.alpha(  # an implementation by others
        reliability_data=[[float(v == "right") for v in said] for said in (ann, bob)],
        level_of_measurement="nominal",
    )
    assert told["agreement"]["alpha"] == pytest.approx(expected)
    assert told["annotators"] == ["ann", "bob"]
    call(result)
    assert f"alpha {expected:.2f}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--draw", "all"], "--draw must be one of 'random'"),
        (["--draw", "random", "--variant", "gone"], "--variant 'gone' is not in the run"),
        (["--draw", "random", "--guidelines", "no-such-file"], "'no-such-file' cannot be read"),
        (["--draw", "random", "--choices", "yes"], "at least two different choices"),
        (["--draw", "random", "--pairwise", "--variant", "old"], "exactly two variants"),
        (["--labels", "x.csv"], "draw one with --draw random"),
    ],
)
def test_what_is_wrong_is_said(
    result: bakeoff.RunResult, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    call(result, *arguments, code=2)
    assert said in " ".join(capsys.readouterr().err.split())
    assert LabelStore(result.store.paths.control).queues() == []


def test_a_file_that_excel_saved_its_own_way(
    result: bakeoff.RunResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call(result, "--draw", "random", "--queue", "one")
    call(result, "--draw", "random", "--queue", "one", code=2)
    assert "has a queue 'one' already" in capsys.readouterr().err
    file = tmp_path / "own.csv"
    file.write_bytes("task;value;note\n1;right;für\n".encode("cp1252"))
    call(result, "--from", str(file), "--annotator", "ann", code=2)
    assert "CSV UTF-8" in capsys.readouterr().err
    file.write_text("task,value\n1," + "x" * 200_000)
    before = csv.field_size_limit(131_072)  # of the process; reading a data set raises it
    call(result, "--from", str(file), "--annotator", "ann", code=2)
    csv.field_size_limit(before)
    assert "after line 1: field larger" in capsys.readouterr().err


def test_long_answers_say_that_they_are_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = hostile(tmp_path / ".bakeoff", big=True)
    file = tmp_path / "big.csv"
    call(result, "--draw", "random", "--to", str(file))
    with file.open(encoding="utf-8-sig", newline="") as source:
        answers: list[Any] = [row["answer"] for row in csv.DictReader(source)]
    assert max(map(len, answers)) < 32_767, "no cell of Excel holds more"
    assert sum("more characters: see the Label page" in answer for answer in answers) == 2
    assert capsys.readouterr().err == ""
