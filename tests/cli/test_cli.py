from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bakeoff.cli import main
from bakeoff.cli._common import console
from bakeoff.experiments import open_store

HEAVY = ("litellm", "mlflow", "streamlit", "scipy", "statsmodels", "pandas", "duckdb", "plotly", "pydantic", "numpy")


class Cli:
    def __init__(self, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
        self._capsys = capsys
        self.folder = folder
        self.store = folder / "store"

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """Run a command; return what it printed, errors included."""
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main(list(arguments))
        printed = self._capsys.readouterr()
        text = printed.out + printed.err
        assert caught.value.code == code, text
        assert "Traceback" not in text
        return text


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BAKEOFF_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("COLUMNS", "160")
    return Cli(capsys, tmp_path)


def test_help_is_quick_and_imports_nothing_heavy() -> None:
    code = (
        "import sys, time\n"
        "from bakeoff.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit: pass\n"
        "print('CPU', time.process_time()); print('LOADED', sorted({m.partition('.')[0] for m in sys.modules}))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "Compare prompts, models and agents" in printed
    for name in HEAVY:
        assert f"'{name}'" not in printed, f"--help imports {name}"
    assert float(printed.partition("CPU ")[2].split()[0]) < 0.3


def test_version(cli: Cli) -> None:
    assert cli("--version").startswith("bakeoff ")


@pytest.mark.parametrize("example", ["triage", "qa", "recorded", "python"])
def test_every_example_runs_as_it_is(cli: Cli, example: str) -> None:
    written = cli("init", "demo", "--example", example)
    assert "demo/experiment.yaml" in written
    assert "is right" in cli("validate", "demo/experiment.yaml")
    cli("plan", "demo/experiment.yaml")
    text = Path("demo/experiment.yaml").read_text()
    at_once = "params: {sim: {time_scale: 0}}"
    for plain, hurried in (
        ("small: sim/small", f"small: {{model: sim/small, {at_once}}}"),
        ("large: sim/large", f"large: {{model: sim/large, {at_once}}}"),
        ("temperature: 0.7", f"temperature: 0.7, {at_once}"),
    ):
        text = text.replace(plain, hurried)
    Path("demo/experiment.yaml").write_text(text)
    printed = cli("run", "demo/experiment.yaml", "--no-mlflow")
    assert "On " in printed
    assert "report.html" in printed
    (run,) = open_store().runs()
    assert run.status == "complete"
    assert run.counts["failed"] == run.counts["unscored"] == 0


def test_init_does_not_overwrite(cli: Cli) -> None:
    cli("init", ".", "--example", "recorded")
    assert "would be overwritten; pass --force" in cli("init", ".", "--example", "recorded", code=2)
    cli("init", ".", "--example", "recorded", "--force")
    assert "choose one of triage, qa, recorded, python" in cli("init", "--example", "nope", code=2)


@pytest.fixture
def ran(cli: Cli) -> Cli:
    cli("init", ".", "--example", "recorded")
    cli("run", "experiment.yaml", "--no-mlflow", "--no-report", "--quiet")
    return cli


def test_look_at_a_run(ran: Cli) -> None:
    assert "recorded-answers" in ran("runs")
    assert "new_prompt is better than old_prompt" in ran("show")
    words = ran("compare", "latest", "--margin", "0.02")
    assert "Based on 60 items answered by both" in " ".join(words.split())
    data = json.loads(ran("show", "--json"))
    assert data["analysis"]["primary"] == "correct"
    assert data["manifest"]["counts"]["trials"] == 120


@pytest.mark.parametrize("suffix", ["csv", "parquet", "json", "jsonl", "xlsx"])
def test_export_formats(ran: Cli, suffix: str) -> None:
    ran("export", "latest", f"out/trials.{suffix}")
    assert (ran.folder / "out" / f"trials.{suffix}").stat().st_size > 1000


def test_export_refuses_an_unknown_format(ran: Cli) -> None:
    assert "the suffix must be one of .csv" in ran("export", "latest", "trials.doc", code=2)


def test_report(ran: Cli) -> None:
    assert ran("report", "--out", "page.html").strip().endswith("page.html")
    assert "new_prompt" in Path("page.html").read_text()


def test_compare_two_runs(ran: Cli) -> None:
    first = open_store().runs()[0].run_id
    text = Path("answers.csv").read_text().replace("The answer is", "I get")
    Path("answers.csv").write_text(text)
    ran("run", "experiment.yaml", "--no-mlflow", "--no-report", "--quiet")
    printed = ran("compare", first, "latest")
    assert "The data differ" in printed
    assert "compared on the 60 items whose ids both have" in " ".join(printed.split())
    assert "not shown to differ" in " ".join(printed.split())


def test_score_again_without_calling_anything(ran: Cli) -> None:
    printed = ran("score", "latest", "-e", "{numeric: {name: near, tolerance: 10}}", "-e", "length")
    assert "near" in printed
    newest = open_store().runs()[0]
    assert newest.tags["scored_from"]
    assert newest.counts == {"trials": 120, "failed": 0, "scores": 240, "unscored": 0}


def test_delete_asks_first(ran: Cli) -> None:
    assert "removed" in ran("delete", "latest", "--yes")
    assert "no runs in" in ran("runs")


def test_status_control_and_cache(ran: Cli) -> None:
    assert "complete  120/120 trials" in ran("status")
    assert "no process drives the run" in ran("control", "latest", "pause", code=4)
    assert "there is no action 'jump'" in ran("control", "latest", "jump", code=2)
    assert "set takes concurrency=N" in ran("control", "latest", "set", "concurrency=lots", code=2)
    ran("cache", "stats")


def test_doctor(cli: Cli) -> None:
    printed = cli("doctor")
    assert "all is well" in printed


def test_doctor_never_shows_a_key(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-key")
    assert "very-secret" not in cli("doctor") + cli("doctor", "--json")


def test_schema_accepts_every_example(cli: Cli) -> None:
    import jsonschema
    import yaml

    schema = json.loads(cli("schema"))
    jsonschema.Draft202012Validator.check_schema(schema)
    for example in ("triage", "qa", "recorded", "python"):
        cli("init", example, "--example", example)
        jsonschema.validate(yaml.safe_load(Path(f"{example}/experiment.yaml").read_text()), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"name": "x", "dataset": "y", "evaluators": ["z"], "promts": {}}, schema)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "nope.yaml"), "there is no such file"),
        (("show", "nope"), "has no runs yet; start one with `bakeoff run`"),
        (("run",), "Missing argument"),
        (("frobnicate",), "No such command"),
        (("run", "x.yaml", "--concurrency", "0"), "Invalid value"),
        (("run", "x.yaml", "--env-file", "nope.env"), "there is no env file 'nope.env'"),
        (("evaluators", "contians"), "did you mean 'contains'?"),
    ],
)
def test_wrong_use(cli: Cli, arguments: tuple[str, ...], message: str) -> None:
    code = 4 if arguments[0] == "show" else 2
    assert message in cli(*arguments, code=code)


def test_keys_come_from_an_env_file(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    cli("init", ".", "--example", "qa")
    text = Path("experiment.yaml").read_text().replace("sim/medium", "openai/gpt-4o-mini")
    Path("experiment.yaml").write_text(text)
    assert "needs the environment variable OPENAI_API_KEY" in cli("validate", "experiment.yaml", code=2)
    Path("keys.env").write_text("OPENAI_API_KEY=sk-from-file\n")
    monkeypatch.setenv("OPENAI_API_KEY", "")
    monkeypatch.delenv("OPENAI_API_KEY")
    assert "is right" in cli("validate", "experiment.yaml", "--env-file", "keys.env")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def test_score_says_what_it_needs_and_when_nothing_is_missing(ran: Cli) -> None:
    assert "-e EVALUATOR" in ran("score", "latest", code=2)
    assert "nothing to score" in ran("score", "latest", "--retry-errors", code=2)


def test_rank_takes_a_judge_with_options_or_by_its_name_in_the_file(cli: Cli) -> None:
    cli("init", ".", "--example", "qa")
    cli("run", "experiment.yaml", "--limit", "4", "--no-report", "--no-gate")
    name = next(iter(open_store(cli.store).runs()[0].spec["models"]))
    for judge in ("{model: sim/judge, ties: false}", name):
        assert "preferred by sim/" in cli("rank", "latest", "--judge", judge, "--items", "3")
    assert "names no model" in cli("rank", "latest", "--judge", "{api_base: x}", code=2)


@pytest.mark.parametrize("given", ["{judge: x", "[1, 2]", "12", ""])
def test_score_names_an_evaluator_that_cannot_be_read(cli: Cli, given: str) -> None:
    printed = cli("score", "latest", "-e", given, code=2)
    assert f"the evaluator {given!r} cannot be read" in printed
    assert "fix: write a name" in printed


def test_what_an_error_quotes_cannot_rewrite_the_screen(cli: Cli) -> None:
    (cli.folder / "e.yaml").write_text('name: x\n"\\e[2J\\e[31mred": 1\n')
    said = cli("validate", "e.yaml", code=2)
    assert "unknown key" in said
    assert "\x1b" not in said


@pytest.mark.parametrize("stderr", [False, True])
def test_plain_text_cannot_rewrite_the_screen(stderr: bool, capsys: pytest.CaptureFixture[str]) -> None:
    console(stderr=stderr).print("stopped: \x1b]0;owned\x07\x1b[2Jhello", soft_wrap=True)
    printed = capsys.readouterr()
    assert "hello" in printed.out + printed.err
    assert not {"\x1b", "\x07"} & set(printed.out + printed.err)


def test_when_every_trial_fails_the_way_out_is_said(cli: Cli) -> None:
    (cli.folder / "e.yaml").write_text(
        "name: x\ndataset: {rows: [{id: a, q: '1', expected: '1'}]}\nprompts: {p: '{{ q }}'}\n"
        "models: {m: {model: openai/m, api_base: 'http://127.0.0.1:9/v1'}}\nevaluators: [contains]\n"
        "limits: {attempts: 1}\nmlflow: false\n"
    )
    said = " ".join(cli("run", "e.yaml", "--no-report", code=4).split())
    assert "no connection at http://127.0.0.1:9" in said
    assert "Fix: check that it is up, the address, and any proxy" in said
    assert f"bakeoff resume {open_store(cli.store).resolve('latest')} --retry-errors" in said
