from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from bakeoff.cli import main
from bakeoff.errors import BakeoffError, SpecError, StoreError
from bakeoff.experiments import GatePolicy, GateRule, LocalStore
from bakeoff.regression import (
    align,
    calibrate,
    calibrate_gate,
    decide,
    decide_gate,
    find_baseline,
    get_baseline,
    list_baselines,
    observe,
    read_baseline_file,
    set_baseline,
    unset_baseline,
    write_baseline_file,
)
from tests.regression.support import observed, passes, recorded, run

NI = GateRule(no_worse_than="baseline", margin=0.1)


def test_set_list_replace_unset(store: LocalStore) -> None:
    first, second = (run(store, recorded({"bot": passes(20, right)})) for right in (18, 19))
    set_baseline(store, first, note="release 1")
    set_baseline(store, second, name="next")
    assert [(b.name, b.run_id, b.note) for b in list_baselines(store)] == [
        ("main", first, "release 1"), ("next", second, ""),
    ]  # fmt: skip
    set_baseline(store, second)
    assert get_baseline(store, "sums").run_id == second
    assert list(get_baseline(store, "sums").pins["evaluators"]) == ["correct"]
    unset_baseline(store, "sums")
    with pytest.raises(SpecError, match="no baseline 'main'; it has next"):
        get_baseline(store, "sums")
    store.delete(second)
    with pytest.raises(StoreError, match=r"is the run .* which cannot be read"):
        find_baseline(store, "sums", "next", base_dir=Path())


def test_a_file_decides_like_the_store(store: LocalStore, tmp_path: Path) -> None:
    answers: list[bool | None] = [*passes(60, 50)]
    answers[7] = None
    then = run(store, recorded({"bot": answers}))
    now = run(store, recorded({"bot": passes(60, 49)}))
    set_baseline(store, then)
    file = write_baseline_file(store, then, tmp_path / "b" / "main.json")
    kept, read = observe(store, then), read_baseline_file(file)
    assert np.array_equal(kept.values["correct"], read.values["correct"], equal_nan=True)
    assert np.array_equal(kept.failed, read.failed)
    one, two = (decide_gate(store, now, rules=[NI], against=against).rules[0] for against in ("main", str(file)))
    assert one.because == two.because
    assert "question" not in file.read_text()  # neither inputs nor outputs


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is no JSON"), ("{}", "is no baseline file of this version"), ("[1]", "is no baseline file"),
        ('{"format": "bakeoff-baseline/1"}', "is damaged"),
    ],
)  # fmt: skip
def test_wrong_files(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "b.json"
    path.write_text(content)
    with pytest.raises(SpecError, match=message):
        read_baseline_file(path)


@pytest.mark.parametrize("key", ["ids", "values", "variants", "metrics", "hashes", "clusters", "failed"])
@pytest.mark.parametrize("value", [None, 3, "x", [], {}, [[]]])
def test_damaged_files_never_give_a_foreign_error(store: LocalStore, tmp_path: Path, key: str, value: Any) -> None:
    run_id = run(store, recorded({"bot": passes(6, 4)}))
    file = write_baseline_file(store, run_id, tmp_path / "b.json")
    data = json.loads(file.read_text())
    data[key] = value
    file.write_text(json.dumps(data))
    with contextlib.suppress(BakeoffError):
        decide(observe(store, run_id), read_baseline_file(file), [NI], GatePolicy(), called="b.json")


def test_other_data_is_compared_on_the_common_items(store: LocalStore) -> None:
    then = run(store, recorded({"bot": passes(60, 50)}))
    spec = recorded({"bot": passes(70, 60)})
    spec["dataset"]["rows"][3]["q"] = "another question"
    del spec["dataset"]["rows"][5]
    result = decide_gate(store, run(store, spec), rules=[NI], against=then)
    assert result.n_items == 58
    assert result.rules[0].n == 58
    assert result.changed == ("data",)
    assert result.notes[0] == (
        "The data changed (10 new, 1 gone, 1 with another content under the same id): "
        "compared on the 58 items that both have."
    )
    with pytest.raises(SpecError, match="made with other versions \\(data\\)"):
        decide_gate(store, run(store, spec), rules=[NI], against=then, policy=GatePolicy(on_version_change="refuse"))


def test_another_evaluator_is_said(store: LocalStore) -> None:
    a, b = observed(passes(30, 20)), observed(passes(30, 20))
    later = replace(b, metrics={"correct": replace(b.metrics["correct"], version="2")})
    assert "is another version (1 then, 2 now)" in align(later, a).notes[0]
    assert align(later, a).changed == ("evaluator:correct",)


def test_nothing_in_common(store: LocalStore) -> None:
    a = observed(passes(30, 20))
    other = replace(a, run_id="other", ids=np.array([f"x{i}" for i in range(30)], dtype=object))
    with pytest.raises(SpecError, match="no item in common \\(their ids differ\\)"):
        align(a, other)
    edited = replace(a, run_id="other", hashes=np.array([f"x{i}" for i in range(30)], dtype=object))
    with pytest.raises(SpecError, match="all 30 shared ids have another content now"):
        align(a, edited)


def test_only_a_complete_run_is_a_baseline(store: LocalStore) -> None:
    with pytest.raises(StoreError):
        set_baseline(store, "nothing")
    good = run(store, recorded({"bot": passes(6, 4)}))
    with pytest.raises(SpecError, match=r"must not be empty or end in .json"):
        set_baseline(store, good, name="x.json")


# --- A/A: the short version of benchmarks/gate_calibration.py


@pytest.mark.parametrize("clustered", [False, True])
def test_false_alarms_and_false_passes_stay_within_the_declared_rate(clustered: bool) -> None:
    """600 decisions; three standard errors of 5% are 2.7 points. Every item has a chance of its own."""
    rng = np.random.default_rng(7)
    rules = [NI.model_copy(update={"margin": 0.08}), GateRule(at_least=0.4)]
    failed = passed = 0
    for _ in range(600):
        groups = np.repeat(np.arange(40), 4)
        chance = np.clip(rng.beta(2, 1, 160), 0, 1)
        if clustered:  # a cluster shares its luck within a run
            luck = rng.random((2, 40))[:, groups]
            luck = np.where(rng.random((2, 160)) < 0.4, luck, rng.random((2, 160)))
        else:
            luck = rng.random((2, 160))
        scores = (luck < chance) * 1.0
        codes = groups if clustered else None
        now, then = observed(scores[0], clusters=codes), observed(scores[1], clusters=codes, run_id="then")
        failed += decide(now, then, rules, GatePolicy(), called="main", quick=True).outcome == "fail"
        lost = now.values["correct"] * (rng.random((1, 160, 1)) >= 0.08 / (2 / 3))
        worse = observed(lost[0], clusters=codes)
        passed += decide(worse, then, rules[:1], GatePolicy(), called="main", quick=True).outcome == "pass"
    assert failed / 600 < 0.077
    assert passed / 600 < 0.077


def test_calibration_of_a_run(store: LocalStore) -> None:
    rng = np.random.default_rng(1)
    gate = [{"no_worse_than": "baseline", "margin": 0.08}, {"max_error_rate": 0.1}]
    then, now = (run(store, recorded({"bot": (rng.random(150) < 0.8).tolist()}, gate=gate)) for _ in range(2))
    set_baseline(store, then)
    found = calibrate_gate(store, now, decisions=300, rng=3)
    assert found.within
    assert found.unchanged.failed < 0.09
    assert found.worse is not None
    assert found.worse.failed > 0.5
    assert found.drop == pytest.approx(0.16)
    assert "Not part of this: 1 rule about named items or error rates." in found.sentences[-1]
    with pytest.raises(SpecError, match="has one repeat: nothing varies"):
        calibrate_gate(store, then, decisions=100)


def test_a_gate_that_lies_is_found_out() -> None:
    """The check can fail: a floor above the truth alarms nearly always, and the calibration says so."""
    found = calibrate(observed(passes(200, 100)), None, [GateRule(at_least=0.7)], GatePolicy(), decisions=100)
    assert not found.within
    assert any("do not trust this gate" in sentence for sentence in found.sentences)


# --- command line


def cli(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    printed = capsys.readouterr()
    text = printed.out + printed.err
    assert caught.value.code == code, text
    assert "Traceback" not in text
    return text


def test_on_the_command_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BAKEOFF_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("COLUMNS", "200")
    gate = [{"no_worse_than": "baseline", "margin": 0.1}]
    file = Path("experiment.yaml")

    def write(right: int) -> None:
        file.write_text(yaml.safe_dump(recorded({"bot": passes(80, right)}, gate=gate)))

    write(72)
    assert "has no baseline 'main'" in cli(capsys, "run", "experiment.yaml", "-q", "--no-report", code=2)
    assert "is 2" in cli(capsys, "baseline", "set", "latest", "--file", "baselines/main.json")
    assert "main" in cli(capsys, "baseline", "list")
    assert json.loads(cli(capsys, "baseline", "show"))["experiment"] == "sums"
    assert "PASS" in cli(capsys, "run", "experiment.yaml", "--no-report")
    write(40)
    assert "FAIL: the rule failed" in cli(capsys, "run", "experiment.yaml", "--no-report", code=1)
    text = cli(capsys, "gate", "latest", "--against", "baselines/main.json", "--junit", "out/j.xml", "--markdown",
               "out/m.md", "--annotate", code=1)  # fmt: skip
    assert "::error title=fail" in text
    assert Path("out/j.xml").exists()
    assert Path("out/m.md").read_text().startswith("<!-- bakeoff-gate -->")
    assert json.loads(cli(capsys, "gate", "--json", code=1))["outcome"] == "fail"
    gate[0] = {"metric": "speed", "at_least": 1}
    write(72)
    assert "gate.0: there is no metric 'speed'" in cli(capsys, "run", "experiment.yaml", code=2)
    assert "gate.0: there is no metric 'speed'" in cli(capsys, "validate", "experiment.yaml", code=2)
    gate[0] = {"no_worse_than": "baseline"}
    write(72)
    assert "needs a `margin`" in cli(capsys, "validate", "experiment.yaml", code=2)
    assert "has no baseline" in cli(capsys, "baseline", "unset", "nope", code=2)
    cli(capsys, "schedule", "add", "experiment.yaml", "--cron", "0 6 * *", code=2)


def test_escalation_adds_repeats_until_it_is_decided(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BAKEOFF_STORE", str(tmp_path / "store"))
    spec = {
        "name": "coin", "dataset": "bundled:support-triage", "prompts": {"p": "Classify this: {{ message }}"},
        "models": {"m": {"model": "sim/small", "params": {"sim": {"time_scale": 0}}}}, "evaluators": ["contains"],
        "mlflow": False, "gate": [{"at_least": 0.52}],
        "gate_policy": {"escalate": {"repeats": 5, "looks": 2}},
    }  # fmt: skip
    Path("experiment.yaml").write_text(yaml.safe_dump(spec))
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["run", "experiment.yaml", "--no-report"])
    printed = capsys.readouterr().out
    from bakeoff.experiments import open_store

    runs = open_store().runs()
    assert "Both rates are shared out over 2 looks (2.5% each)" in printed
    if len(runs) > 1:
        assert "look 2 of 2: 5 repeats of each item" in printed
        assert (runs[0].repeats, runs[0].tags["escalated_from"]) == (5, runs[1].run_id)
