"""The GitLab template and the pre-commit hooks, executed: their own lines, in real bash, on a real repository."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml

from tests.regression.support import passes, recorded

CI = Path(__file__).parents[2] / "docs" / "ci"
GATE = [{"no_worse_than": "baseline", "margin": 0.05}, {"max_error_rate": 0.1}]
ENV = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def write(folder: Path, answers: list[bool | None], **keys: Any) -> None:
    spec = recorded({"bot": answers}, name="ci", gate=GATE, **keys)
    (folder / "experiment.yaml").write_text(yaml.safe_dump(spec))


def bash(folder: Path, command: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command, "bash", *arguments],
        cwd=folder, env={**ENV, **env}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answers", "code", "state"),
    [
        (passes(120, 100), 0, "success"),
        (passes(120, 70), 1, "failed"),
        ([*passes(100, 90), *passes(20, 9)], 3, "warning"),
    ],
)
def test_the_gitlab_job(tmp_path: Path, answers: list[bool | None], code: int, state: str) -> None:
    """As GitLab's runner does: all lines of `script` in one shell that ends at the first failure."""
    (tmp_path / "baselines").mkdir()
    write(tmp_path, [*passes(120, 100)])
    made = "bakeoff run experiment.yaml --quiet --no-gate && bakeoff baseline set latest --file baselines/main.json"
    assert bash(tmp_path, made).returncode == 0
    shutil.rmtree(tmp_path / ".bakeoff")
    write(tmp_path, answers)
    (job,) = yaml.safe_load((CI / "gitlab-ci.yml").read_text()).values()
    assert job["before_script"] == ["pip install --quiet bakeoff"]  # the one line that is not run here
    done = bash(tmp_path, "set -eo pipefail\n" + "\n".join(job["script"]), **job["variables"])
    assert done.returncode == code, done.stdout + done.stderr
    allowed = done.returncode in job["allow_failure"]["exit_codes"]
    assert ("success" if code == 0 else "warning" if allowed else "failed") == state
    for pattern in job["artifacts"]["paths"]:
        assert list(tmp_path.glob(pattern)), f"the artifact {pattern} is not there"
    assert ET.parse(tmp_path / job["artifacts"]["reports"]["junit"]).getroot().tag == "testsuites"
    assert json.loads((tmp_path / "bakeoff-out/gate.json").read_text())["exit_code"] == code


def test_the_pre_commit_hooks(tmp_path: Path) -> None:
    """As pre-commit does for `language: system`: the words of `entry`, then the files that match."""
    hooks = {
        hook["id"]: hook for hook in yaml.safe_load((CI / "pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    }
    validate, gate = hooks["bakeoff-validate"], hooks["bakeoff-gate"]
    (tmp_path / "other").mkdir()
    write(tmp_path, [*passes(60, 50)])
    write(tmp_path / "other", [*passes(60, 50)])
    files = ["experiment.yaml", "other/experiment.yaml"]
    assert [file for file in [*files, "notes.yaml"] if re.search(validate["files"], file)] == files

    def hook(entry: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*shlex.split(entry), *arguments]
        return subprocess.run(command, cwd=tmp_path, env=ENV, capture_output=True, text=True, check=False)

    assert hook(validate["entry"], *files).returncode == 0
    spec = yaml.safe_load((tmp_path / "experiment.yaml").read_text())
    (tmp_path / "experiment.yaml").write_text(yaml.safe_dump({**spec, "evaluators": ["exact_macth"]}))
    refused = hook(validate["entry"], *files)
    assert refused.returncode == 2
    assert "did you mean 'exact_match'" in refused.stderr
    assert (gate["pass_filenames"], gate["stages"]) == (False, ["pre-push"])
    write(tmp_path, [*passes(60, 50)])
    run = "bakeoff run experiment.yaml --quiet --no-gate"
    assert bash(tmp_path, f"{run} && bakeoff baseline set latest").returncode == 0
    assert hook(gate["entry"]).returncode == 0
    write(tmp_path, [*passes(60, 10)])
    assert bash(tmp_path, run).returncode == 0
    assert hook(gate["entry"]).returncode == 1, "a push with a failing gate is stopped"
