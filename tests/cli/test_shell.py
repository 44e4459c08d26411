"""The command line in a real shell: readers that leave, full disks, other encodings."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

BAKEOFF = f"{shlex.quote(sys.executable)} -m bakeoff"


def shell(folder: Path, command: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash; `bakeoff` is this one."""
    return subprocess.run(
        ["bash", "-c", command.replace("bakeoff", BAKEOFF)],
        cwd=folder,
        env={**os.environ, "BAKEOFF_STORE": str(folder / "store"), **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def write_spec(folder: Path, **changes: object) -> Path:
    spec = {
        "name": "small",
        "dataset": {"rows": [{"id": str(n), "question": f"{n}+1 é", "expected": str(n + 1)} for n in range(12)]},
        "prompts": {"plain": "{{ question }}", "steps": "Step by step: {{ question }}"},
        "models": {"small": "sim/echo"},
        "evaluators": ["exact_match"],
        "mlflow": False,
        **changes,
    }
    path = folder / "spec.yaml"
    path.write_text(yaml.safe_dump(spec))
    return path


def reports(folder: Path) -> list[Path]:
    return sorted(folder.glob("store/runs/*/report.html"))


@pytest.mark.parametrize("reader", ["head -1", "true"])
def test_a_run_whose_reader_leaves_writes_its_report(tmp_path: Path, reader: str) -> None:
    write_spec(tmp_path)
    done = shell(tmp_path, f"bakeoff run spec.yaml | {reader}; exit ${{PIPESTATUS[0]}}")
    assert (done.returncode, done.stderr) == (0, "")
    (report,) = reports(tmp_path)
    assert json.loads((report.parent / "manifest.json").read_text())["status"] == "complete"


def test_a_gate_is_obeyed_although_nobody_reads(tmp_path: Path) -> None:
    write_spec(tmp_path, gate=[{"metric": "exact_match", "at_least": 0.9}])
    done = shell(tmp_path, "bakeoff run spec.yaml | true; exit ${PIPESTATUS[0]}")
    assert done.returncode == 1, "sim/echo is wrong on every item"
    assert len(reports(tmp_path)) == 1


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("runs --json", 0),
        ("schema", 0),
        ("evaluators", 0),
        ("--version", 0),
        ("nonsense 2>&1", 2),
        ("run no.yaml 2>&1", 2),
    ],
)
def test_commands_whose_reader_leaves_keep_their_code(tmp_path: Path, command: str, code: int) -> None:
    done = shell(tmp_path, f"bakeoff {command} | true; exit ${{PIPESTATUS[0]}}")
    assert (done.returncode, done.stderr) == (code, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_on_a_full_disk_is_said_and_the_report_is_written(tmp_path: Path) -> None:
    write_spec(tmp_path)
    done = shell(tmp_path, "bakeoff run spec.yaml > /dev/full")
    assert done.returncode == 4
    assert "No space left on device" in done.stderr
    assert "Bakeoff itself" not in done.stderr
    assert "Traceback" not in done.stderr
    assert len(reports(tmp_path)) == 1


def test_json_is_valid_where_the_terminal_knows_only_ascii(tmp_path: Path) -> None:
    write_spec(tmp_path, name="größe")
    ascii_only = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    run = shell(tmp_path, "bakeoff run spec.yaml", **ascii_only)
    assert (run.returncode, run.stderr) == (0, "")
    listed = shell(tmp_path, "bakeoff runs --json", **ascii_only)
    assert [entry["name"] for entry in json.loads(listed.stdout)] == ["größe"]


def test_no_color_and_no_escapes_in_a_file(tmp_path: Path) -> None:
    write_spec(tmp_path)
    done = shell(tmp_path, "bakeoff run spec.yaml > out.txt; bakeoff run no.yaml 2> err.txt")
    assert done.returncode == 2
    assert "\x1b" not in (tmp_path / "out.txt").read_text() + (tmp_path / "err.txt").read_text()


def test_recorded_lists_that_do_not_fit_the_repeats_are_said(tmp_path: Path) -> None:
    rows = [{"id": str(n), "q": "?", "expected": "a", "old": ["a", "b", "a"]} for n in range(5)]
    recorded = {"old": {"recorded": "old"}}
    data = {"rows": rows, "inputs": ["q"]}
    spec = {"dataset": data, "prompts": {}, "models": {}, "targets": recorded}
    write_spec(tmp_path, **spec)
    for command in ("validate", "plan", "run"):
        said = " ".join(shell(tmp_path, f"bakeoff {command} spec.yaml").stdout.split())
        assert "holds lists of up to 3 answers for an item, and `repeats` is 1" in said, command
        assert "set `repeats: 3`" in said
    write_spec(tmp_path, repeats=2, **spec)
    assert "only the first 2 are looked at" in shell(tmp_path, "bakeoff validate spec.yaml").stdout
    write_spec(tmp_path, repeats=3, **spec)
    assert "holds lists" not in shell(tmp_path, "bakeoff validate spec.yaml").stdout


def test_an_export_says_what_it_cut_and_which_folder_it_made(tmp_path: Path) -> None:
    import openpyxl

    rows = [{"id": str(n), "q": "?", "expected": "a", "old": "x" * (40_000 if n else 10)} for n in range(3)]
    data = {"rows": rows, "inputs": ["q"]}
    write_spec(tmp_path, dataset=data, prompts={}, models={}, targets={"old": {"recorded": "old"}})
    assert shell(tmp_path, "bakeoff run spec.yaml").returncode == 0
    done = shell(tmp_path, "bakeoff export latest out/trials.xlsx")
    assert "made the folder 'out'" in done.stderr
    assert "2 cells cut at 32,767 characters" in done.stderr
    assert done.stdout.strip() == "out/trials.xlsx"
    sheet = openpyxl.load_workbook(tmp_path / "out" / "trials.xlsx").active
    assert sheet is not None
    header, *cells = [list(row) for row in sheet.iter_rows(values_only=True)]
    outputs = [str(row[header.index("output")]) for row in cells]
    assert [len(output) for output in outputs] == [10, 32_767, 32_767]
    assert outputs[1].endswith("[cut by the limit of Excel: 40,000 characters in all]")
    whole = shell(tmp_path, "bakeoff export latest trials.jsonl")
    assert whole.stderr == ""
    refused = shell(tmp_path, "bakeoff export latest trials.csv/trials.csv")
    assert (refused.returncode, "looks like a file" in refused.stderr) == (2, True)
    assert not (tmp_path / "trials.csv").exists()


def test_a_null_that_a_prompt_would_write_as_none_is_said(tmp_path: Path) -> None:
    rows = [{"id": str(n), "question": None if n == 3 else "a", "expected": "a"} for n in range(5)]
    guarded = "{% if question %}{{ question }}{% endif %}"
    write_spec(tmp_path, dataset={"rows": rows}, prompts={"plain": "Ask: {{ question }}", "guarded": guarded})
    for command in ("validate", "plan", "run"):
        said = " ".join(shell(tmp_path, f"bakeoff {command} spec.yaml").stdout.split())
        assert (
            "'question' is null in 1 of the first 5 items, for instance '3', and the prompt 'plain' writes it" in said
        )
        assert "'guarded' writes" not in said


def test_a_store_that_may_only_be_read_is_read(tmp_path: Path) -> None:
    as_root = os.geteuid() == 0
    if as_root and shutil.which("setpriv") is None:
        pytest.skip("root may write everything, and there is no setpriv to take that right away")
    write_spec(tmp_path)
    assert shell(tmp_path, "bakeoff run spec.yaml -q && bakeoff baseline set latest --name good").returncode == 0
    store = tmp_path / "store"
    shell(tmp_path, f"chmod -R a-w {store}")
    rights = "-dac_override,-dac_read_search"
    less = f"setpriv --bounding-set={rights} --inh-caps={rights} " if as_root else ""
    try:
        listed = shell(tmp_path, f"{less}bakeoff baseline list --json")
        assert [entry["name"] for entry in json.loads(listed.stdout)] == ["good"]
        for command in ("runs", "show", "compare latest latest", "schedule list", "export latest out.csv"):
            done = shell(tmp_path, f"{less}bakeoff {command}")
            assert (done.returncode, done.stderr) == (0, ""), command
        cached = json.loads(shell(tmp_path, f"{less}bakeoff cache stats --json").stdout)
        assert (cached["entries"], cached["by_model"]) == (24, {"sim/echo": 24}), "2 prompts on 12 items"
        for command in ("baseline set latest", "run spec.yaml", "cache clear"):
            done = shell(tmp_path, f"{less}bakeoff {command}")
            assert done.returncode == 4, f"{command}: {done.stdout}{done.stderr}"
            assert "cannot be written" in done.stderr
            assert "Traceback" not in done.stderr
    finally:
        shell(tmp_path, f"chmod -R u+w {store}")
    kept = shell(tmp_path, "bakeoff baseline list --json")
    assert [entry["name"] for entry in json.loads(kept.stdout)] == ["good"]


def test_validate_as_json_holds_every_problem_with_its_place(tmp_path: Path) -> None:
    write_spec(tmp_path)
    right = json.loads(shell(tmp_path, "bakeoff validate spec.yaml --json").stdout)
    assert (right["right"], right["variants"], right["items"]) == (True, ["plain", "steps"], 12)
    write_spec(tmp_path, repeats=0, evaluators=["exact_macth"])
    done = shell(tmp_path, "bakeoff validate spec.yaml --json")
    assert (done.returncode, done.stderr) == (2, "")
    wrong = json.loads(done.stdout)
    assert not wrong["right"]
    assert {problem["key"] for problem in wrong["problems"]} == {"repeats", "evaluators.0"}
    assert all(problem["line"] > 0 for problem in wrong["problems"])


@pytest.mark.parametrize("command", ["runs", "cache stats", "cache clear", "baseline list", "schedule list", "doctor"])
def test_json_of_an_empty_store_is_json(tmp_path: Path, command: str) -> None:
    json.loads(shell(tmp_path, f"bakeoff {command} --json").stdout)


def test_a_narrow_terminal_gets_lines_instead_of_columns_a_letter_wide(tmp_path: Path) -> None:
    write_spec(tmp_path)
    assert shell(tmp_path, "bakeoff run spec.yaml -q --no-report").returncode == 0
    run_id = json.loads(shell(tmp_path, "bakeoff runs --json").stdout)[0]["run_id"]
    narrow = shell(tmp_path, "bakeoff runs && bakeoff show", COLUMNS="40").stdout
    assert f" run       {run_id}\n" in narrow, "an id that can be copied"
    assert " trials missing  0\n" in narrow
    wide = shell(tmp_path, "bakeoff show", COLUMNS="120").stdout
    assert any(line.split()[:5] == ["1", "plain", "(baseline)", "0.0%", "0.0%"] for line in wide.splitlines()), wide


def _run_whose_report_cannot_be_written(folder: Path, answer: str) -> subprocess.CompletedProcess[str]:
    """Run a target that puts a folder where the report would be: nobody can write it, not even root."""
    (folder / "mine.py").write_text(
        "from pathlib import Path\n"
        "def answer(question):\n"
        "    for run in Path('store/runs').iterdir():\n"
        "        (run / 'report.html').mkdir(exist_ok=True)\n"
        f"    return {answer!r}\n"
    )
    checks, gate = [{"regex": {"pattern": "yes", "name": "said"}}], [{"metric": "said", "at_least": 0.5}]
    targets = {"mine": {"python": "mine.py:answer"}}
    write_spec(folder, prompts={}, models={}, targets=targets, evaluators=checks, gate=gate)
    return shell(folder, "bakeoff run spec.yaml")


@pytest.mark.parametrize(("answer", "outcome", "code"), [("yes", "PASS", 4), ("no", "FAIL", 1)])
def test_a_gate_is_decided_although_the_report_cannot_be_written(
    tmp_path: Path, answer: str, outcome: str, code: int
) -> None:
    done = _run_whose_report_cannot_be_written(tmp_path, answer)
    assert "report.html' cannot be written" in done.stderr
    assert f"\n{outcome}" in done.stdout
    assert done.returncode == code
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_gate_is_decided_although_nothing_can_be_printed(tmp_path: Path) -> None:
    write_spec(tmp_path, gate=[{"metric": "exact_match", "at_least": 0.9}])
    done = shell(tmp_path, "bakeoff run spec.yaml > /dev/full")
    assert done.returncode == 1, "sim/echo is wrong on every item"
    assert "No space left on device" in done.stderr
    assert "\nFAIL" in done.stderr
    done = shell(tmp_path, "bakeoff gate latest --junit /dev/null/no.xml --json-file gate.json")
    assert done.returncode == 1
    assert "cannot be made" in done.stderr
    assert json.loads((tmp_path / "gate.json").read_text())["outcome"] == "fail", "one bad place spares the others"


def on_a_terminal(folder: Path, command: str, **env: str) -> str:
    """Run a line of bash with a terminal for output and errors; return what the terminal was sent."""
    master, slave = pty.openpty()
    try:
        done = subprocess.Popen(
            ["bash", "-c", command.replace("bakeoff", BAKEOFF)], cwd=folder, stdout=slave, stderr=slave,
            env={**os.environ, "BAKEOFF_STORE": str(folder / "store"), "COLUMNS": "120", "TERM": "xterm", **env},
        )  # fmt: skip
        os.close(slave)
        sent = b""
        with contextlib.suppress(OSError):  # Linux says so when the other end is closed
            while chunk := os.read(master, 65_536):
                sent += chunk
        done.wait(timeout=120)
    finally:
        os.close(master)
    return sent.decode()


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=["NO_COLOR", "dumb"])
def test_a_terminal_that_wants_plain_text_gets_no_style(tmp_path: Path, env: dict[str, str]) -> None:
    """https://no-color.org: any value but the empty one; bold is left out, too, so that nothing is styled."""
    write_spec(tmp_path, gate=[{"metric": "exact_match", "at_least": 0.9}])
    command = "bakeoff run spec.yaml -q; bakeoff show; bakeoff gate; bakeoff run no.yaml"
    styled = re.compile("\x1b\\[[0-9;]*m")
    assert styled.search(on_a_terminal(tmp_path, command, NO_COLOR="")), "a terminal is styled otherwise"
    sent = on_a_terminal(tmp_path, command, **env)
    assert "FAIL" in sent
    assert "error: " in sent
    assert not styled.search(sent)


def test_a_gate_alone_is_a_file_of_rules(tmp_path: Path) -> None:
    write_spec(tmp_path)
    assert shell(tmp_path, "bakeoff run spec.yaml -q").returncode == 0
    rules = tmp_path / "rules.yaml"
    rules.write_text("gate:\n  - {at_least: 0.9}\ngate_policy: {alpha: 0.1}\n")
    done = shell(tmp_path, "bakeoff gate latest --rules rules.yaml --json")
    assert done.returncode == 1, "sim/echo is wrong on every item"
    assert json.loads(done.stdout)["alpha"] == 0.1
    assert shell(tmp_path, "bakeoff gate --rules rules.yaml --calibrate --decisions 100").returncode == 0
    for text, said in (
        ("gate: [{at_lest: 0.9}]", "unknown key 'at_lest'"),
        ("gates: [{at_least: 0.9}]", "did you mean 'gate'?"),
        ("gate_policy: {alpha: 0.1}", "has no rule"),
        ("- {at_least: 0.9}", "must be a mapping"),
    ):
        rules.write_text(text)
        done = shell(tmp_path, "bakeoff gate --rules rules.yaml")
        assert done.returncode == 2
        assert "rules.yaml:1" in done.stderr
        assert said in done.stderr


def test_the_export_of_a_run_that_died_at_once_has_no_rows(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import os\ndef answer(question):\n    os._exit(9)\n")
    write_spec(tmp_path, prompts={}, models={}, targets={"mine": {"python": "mine.py:answer"}})
    assert shell(tmp_path, "bakeoff run spec.yaml").returncode == 9
    done = shell(tmp_path, "bakeoff export latest out.jsonl && bakeoff export latest out.csv")
    assert (done.returncode, done.stderr.count("there are no rows")) == (0, 2)
    assert [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()] == []
    assert (tmp_path / "out.csv").read_text().startswith("run_id,variant,item_id,")
