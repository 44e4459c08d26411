"""The import against promptfoo itself, file by file and test by test.

    npm install promptfoo@0.121.20          # in any folder
    BAKEOFF_PROMPTFOO=FOLDER pytest tests/experiments/promptfoo

Each file of `cases.yaml` is run by `promptfoo eval`, and imported and run here, against one server that answers from
the prompt alone. Output, pass or fail, and score of every test must agree; where they do not, the case says how many
(`differs`) and what the importer must have said about it (`told`).
"""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

import bakeoff
from bakeoff.cli import main
from bakeoff.experiments import import_promptfoo, open_store
from tests.experiments.promptfoo.echo_server import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

CASES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "cases.yaml").read_text(encoding="utf-8"))
Row = tuple[str, bool | None, float | None]
"""Output, whether the test passed, and its score."""


@pytest.fixture(scope="module")
def promptfoo() -> Path:
    """Give the program, or skip."""
    folder = os.environ.get("BAKEOFF_PROMPTFOO")
    if not folder:
        pytest.skip("BAKEOFF_PROMPTFOO names no folder with promptfoo; see the head of this file")
    return Path(folder) / "node_modules" / ".bin" / "promptfoo"


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve; both tools find the server by the variables that they know."""
    with serving() as (found, _):
        for name, value in {
            "OPENAI_BASE_URL": found, "OPENAI_API_KEY": "not-a-key",
            "ANTHROPIC_BASE_URL": found.removesuffix("/v1"), "ANTHROPIC_API_BASE": found.removesuffix("/v1"),
            "ANTHROPIC_API_KEY": "not-a-key",
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        yield found


def write(case: dict[str, Any], folder: Path, address: str) -> Path:
    for name, text in case.get("files", {}).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    config = folder / "promptfooconfig.yaml"
    text: str = case["config"].replace("ADDRESS", address)
    config.write_text(
        text if "providers:" in text or "targets:" in text else f"{text}\nproviders: [openai:chat:gpt-4o-mini]\n"
    )
    return config


def theirs(program: Path, config: Path, home: Path) -> list[Row]:
    out = home / "out.json"
    env = {
        **{key: value for key, value in os.environ.items() if "PROXY" not in key.upper()},
        "PROMPTFOO_CONFIG_DIR": str(home), "PROMPTFOO_DISABLE_TELEMETRY": "1", "PROMPTFOO_DISABLE_UPDATE": "1",
        "PROMPTFOO_DISABLE_REMOTE_GENERATION": "1", "HOME": str(home),
    }  # fmt: skip
    command = [
        str(program), "eval", "-c", str(config), "-o", str(out), "--no-cache", "--no-table", "--no-progress-bar",
        "--no-share",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=config.parent, env=env, capture_output=True, text=True, timeout=240, check=False)
    assert out.exists(), done.stdout[-3000:] + done.stderr[-3000:]
    rows: list[Row] = []
    for row in json.loads(out.read_text(encoding="utf-8"))["results"]["results"]:
        output = (row.get("response") or {}).get("output")
        text = output if isinstance(output, str) else json.dumps(output, separators=(",", ":"), ensure_ascii=False)
        rows.append((text, bool(row["success"]), round(float(row["score"]), 6)))
    return rows


def _key(row: dict[str, Any]) -> str:
    return f"{row['variant']} {row['item_id']} {row['repeat']}"


def ours(config: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[Row], str]:
    done = import_promptfoo(config, out)
    with pytest.raises(SystemExit) as caught:
        main(["validate", str(done.experiment)])  # as it stands
    assert caught.value.code == 0
    spec = yaml.safe_load(done.experiment.read_text(encoding="utf-8"))
    spec["evaluators"].append(
        {"item_checks": {**spec["evaluators"][0]["item_checks"], "name": "score", "value": "share"}}
    )
    spec["mlflow"] = False
    done.experiment.write_text(yaml.safe_dump(spec), encoding="utf-8")
    monkeypatch.setenv("BAKEOFF_STORE", str(out / "store"))
    run = bakeoff.run(done.experiment)
    store = open_store()
    scores: dict[str, dict[str, float | None]] = {}
    for score in store.scores(run.run_id).to_pylist():
        scores.setdefault(_key(score), {})[score["metric"]] = score["value"]
    rows: list[Row] = []
    for trial in store.trials(run.run_id).to_pylist():
        found = scores.get(_key(trial), {})
        passed, share = found.get("passes"), found.get("score")
        rows.append((
            str(trial["output"]), None if passed is None else bool(passed), None if share is None else round(share, 6)
        ))  # fmt: skip
    return rows, "\n".join((*done.lost, *done.changed))


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_every_test_of_a_file_ends_as_in_promptfoo(
    case: dict[str, Any], promptfoo: Path, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAKEOFF_STATE_DIR", str(tmp_path / "state"))
    (tmp_path / "file").mkdir()
    config = write(case, tmp_path / "file", address)
    wanted = theirs(promptfoo, config, tmp_path / "home")
    got, told = ours(config, tmp_path / "out", monkeypatch)
    for part in case.get("told", []):
        assert part in told, told
    if not case.get("told"):
        assert told == "", told
    keep = (lambda row: row) if case.get("scores", True) else (lambda row: row[:2])
    missing = Counter(map(keep, wanted)) - Counter(map(keep, got))
    extra = Counter(map(keep, got)) - Counter(map(keep, wanted))
    differs = case.get("differs", 0)
    assert missing.total() == differs, f"promptfoo: {dict(missing)}\nbakeoff: {dict(extra)}\n{told}"
    assert (len(wanted), len(got)) == (case["tests"], case.get("runs", case["tests"]))
