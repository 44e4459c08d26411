from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff.experiments import GatePolicy, GateRule, LocalStore
from bakeoff.regression import (
    EXIT_CODES,
    GateResult,
    annotations,
    decide,
    decide_gate,
    junit_xml,
    markdown_summary,
    set_baseline,
    write_baseline_file,
)
from tests.regression.support import flipped, observed, passes, recorded, run

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
GATE: list[Mapping[str, Any]] = [
    {"no_worse_than": "baseline", "margin": 0.05},
    {"no_new_failures": ["i0"]},
    {"max_error_rate": 0.01},
]


@pytest.fixture(scope="module")
def failed() -> GateResult:
    base = observed(passes(200, 150), run_id="then")
    return decide(flipped(base, lost=40, gained=2), base, [GateRule.model_validate(GATE[0]), GateRule(at_least=0.52)],
                  GatePolicy(), called="main")  # fmt: skip


def test_junit_has_a_case_for_each_rule_and_item(failed: GateResult) -> None:
    root = ET.fromstring(junit_xml(failed))
    gate, items = root.findall("testsuite")
    assert [case.find("failure") is not None for case in gate.iter("testcase")] == [True, False]
    assert (gate.get("tests"), gate.get("failures"), gate.get("skipped")) == ("2", "1", "1")
    assert items.get("tests") == "200"
    assert items.get("failures") == "0"  # single items flip by chance
    changed = [case for case in items.iter("testcase") if case.find("system-out") is not None]
    assert len(changed) == 42


def test_a_failing_sentinel_is_a_failing_case(store: LocalStore) -> None:
    set_baseline(store, run(store, recorded({"bot": passes(40, 40)}, gate=GATE)))
    result = decide_gate(store, run(store, recorded({"bot": [False, *passes(39, 39)]}, gate=GATE)))
    items = ET.fromstring(junit_xml(result)).findall("testsuite")[1]
    assert [case.get("name") for case in items.iter("testcase") if case.find("failure") is not None] == ["i0"]


@given(text=st.text(max_size=60))
@settings(max_examples=100, deadline=None)
def test_hostile_text_stays_text(failed: GateResult, text: str) -> None:
    rule = replace(failed.rules[0], because=text, rule=text, variant=text)
    result = replace(failed, rules=(rule,), notes=(text,), experiment=text, headline=text)
    case = next(iter(ET.fromstring(junit_xml(result)).iter("testcase")))
    assert case.find("failure") is not None
    for line in markdown_summary(result).splitlines():
        assert "<script" not in line.replace("\\<", "")
    (first, *_) = annotations(result)
    assert "\n" not in first
    assert first.startswith("::error title=")
    assert len(annotations(result)) == 1


def test_markdown_escapes_what_would_be_markup(failed: GateResult) -> None:
    text = "[x](http://evil) <img src=x> @team `code` | cell\n# head"
    page = markdown_summary(replace(failed, notes=(text,)))
    assert "\\[x\\]\\(http:\u200b//evil\\) \\<img src=x\\> \\@team \\`code\\` \\| cell \\# head" in page
    assert page.startswith("<!-- bakeoff-gate -->\n### ❌ Bakeoff gate: fail")


def test_every_outcome_has_its_exit_code() -> None:
    assert EXIT_CODES == {"pass": 0, "fail": 1, "inconclusive": 3, "infrastructure": 4}


# --- the action's own script, dry: head against baseline, comment text, exit code for each of the five outcomes


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from bakeoff.experiments import open_store

    folder = tmp_path_factory.mktemp("checkout")
    store = open_store(folder / "store")
    write_baseline_file(store, run(store, recorded({"bot": passes(120, 100)}, name="ci")), folder / "main.json")
    return folder


SCENES: dict[str, tuple[list[bool | None], list[Mapping[str, Any]], int, str]] = {
    "pass": (passes(120, 100), GATE, 0, "### ✅ Bakeoff gate: pass (ci)"),
    "fail": ([True, *passes(119, 70)], GATE, 1, "### ❌ Bakeoff gate: fail (ci)"),
    "wrong use": (passes(120, 100), [{"metric": "speed", "at_least": 1}], 2, "### ⚠️ Bakeoff gate: error"),
    "inconclusive": ([*passes(100, 90), *passes(20, 9)], GATE, 3, "### ❔ Bakeoff gate: inconclusive (ci)"),
    "infrastructure": ([*passes(100, 100), *[None] * 20], GATE, 4, "### ⚠️ Bakeoff gate: infrastructure (ci)"),
}


@pytest.mark.slow
@pytest.mark.parametrize("scene", SCENES)
def test_the_action_dry(workplace: Path, scene: str) -> None:
    answers, gate, code, title = SCENES[scene]
    folder = workplace / scene.replace(" ", "-")
    folder.mkdir()
    (folder / "experiment.yaml").write_text(yaml.safe_dump(recorded({"bot": answers}, name="ci", gate=gate)))
    (folder / "output.txt").touch()
    env = {
        **os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "BAKEOFF_EXPERIMENT": "experiment.yaml", "BAKEOFF_BASELINE": "../main.json", "BAKEOFF_INCONCLUSIVE": "fail",
        "BAKEOFF_STORE": "store", "BAKEOFF_OUT": "out", "GITHUB_OUTPUT": "output.txt",
        "GITHUB_STEP_SUMMARY": "summary.md",
    }  # fmt: skip
    done = subprocess.run(
        ["bash", str(ROOT / "docs/ci/gate.sh")], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    comment = (folder / "out/comment.md").read_text()
    assert title in comment
    assert (folder / "summary.md").read_text() == comment
    outputs = dict(line.partition("=")[::2] for line in (folder / "output.txt").read_text().splitlines())
    assert outputs["code"] == str(code)
    if scene != "wrong use":
        decision = json.loads((folder / "out/gate.json").read_text())
        assert decision["outcome"] == scene == outputs["outcome"]
        assert ET.parse(folder / "out/junit.xml").getroot().tag == "testsuites"
        assert Path(outputs["report"]).exists()


def test_the_action_and_the_templates_are_whole() -> None:
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    assert action["runs"]["using"] == "composite"
    for step in action["runs"]["steps"]:
        script = step.get("run", "")
        assert "${{" not in script, "inputs reach scripts through the environment only: no text can become a command"
        for word in script.split():
            if "GITHUB_ACTION_PATH" in word:
                assert (ROOT / word.strip('"').removeprefix("$GITHUB_ACTION_PATH/")).exists()
    for file in ("github-workflow.yml", "gitlab-ci.yml", "pre-commit-config.yaml"):
        assert yaml.safe_load((ROOT / "docs/ci" / file).read_text())
    steps = yaml.safe_load((ROOT / "docs/ci/github-workflow.yml").read_text())["jobs"]["gate"]["steps"]
    assert set(steps[-1]["with"]) <= set(action["inputs"])


# --- pytest plugin


def test_the_plugin_checks_gates_and_is_light(tmp_path: Path) -> None:
    spec = recorded({"bot": passes(50, 45)}, name="suite", gate=[{"at_least": 0.5}])
    (tmp_path / "good.yaml").write_text(yaml.safe_dump(spec))
    (tmp_path / "bad.yaml").write_text(yaml.safe_dump({**spec, "gate": [{"at_least": 0.99}]}))
    (tmp_path / "unsure.yaml").write_text(yaml.safe_dump({**spec, "gate": [{"at_least": 0.88}]}))
    (tmp_path / "test_it.py").write_text(
        "import sys, pytest\n"
        "def test_light():\n    assert not {'numpy', 'pydantic', 'duckdb', 'scipy'} & set(sys.modules)\n"
        "@pytest.mark.bakeoff('good.yaml')\n"
        "def test_good(bakeoff_run):\n    assert bakeoff_run.manifest.counts['failed'] == 0\n"
        "@pytest.mark.bakeoff('bad.yaml')\ndef test_bad(bakeoff_run):\n    pass\n"
        "def test_unsure(bakeoff):\n    bakeoff.check(bakeoff.run('unsure.yaml'))\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "--strict-markers"]
    command += ["--bakeoff-store", "store", "--junitxml", "junit.xml"]
    installed = bool(entry_points(group="pytest11", name="bakeoff"))
    named = () if installed else ("bakeoff.pytest_plugin",)  # pytest refuses one plugin under two names
    for plugin in (*named, "no:randomly", "no:cacheprovider", "no:hypothesispytest"):
        command += ["-p", plugin]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "1 failed, 2 passed, 1 skipped" in done.stdout, done.stdout + done.stderr
    assert "FAIL: the rule failed: correct at least 99.0%" in done.stdout
    assert "INCONCLUSIVE" in done.stdout
    assert "bakeoff gates" in done.stdout
    assert '<property name="bakeoff_outcome" value="fail"' in (tmp_path / "junit.xml").read_text()


def test_workers_of_xdist_report_gates_and_mistakes_have_no_traceback(tmp_path: Path) -> None:
    pytest.importorskip("xdist")
    spec = recorded({"bot": passes(20, 20)}, gate=[{"at_least": 0.5}])
    (tmp_path / "good.yaml").write_text(json.dumps(spec))
    (tmp_path / "lost.yaml").write_text(json.dumps({**spec, "gate": [{"no_new_failures": ["i0"]}]}))
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "@pytest.mark.bakeoff('good.yaml')\ndef test_good(bakeoff_run):\n    pass\n"
        "@pytest.mark.bakeoff('absent.yaml')\ndef test_absent(bakeoff_run):\n    pass\n"
        "@pytest.mark.bakeoff('lost.yaml')\ndef test_lost(bakeoff_run):\n    pass\n"
    )
    installed = bool(entry_points(group="pytest11", name="bakeoff"))
    named = () if installed else ("-p", "bakeoff.pytest_plugin")
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", *named, "-p", "no:randomly", "-p", "no:cacheprovider"]
    command += ["--bakeoff-store", "store"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "test_it.py::test_good: PASS: " in done.stdout, done.stdout + done.stderr
    assert "absent.yaml: there is no such file" in done.stdout
    assert "has no baseline 'main'" in done.stdout
    assert "Traceback" not in done.stdout
    assert "_yaml.py" not in done.stdout
