"""action.yml, run step by step on a pull request: base branch, cache, gate, artifacts, one comment kept up to date."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.regression.actions import CommentApi, Job, run_action
from tests.regression.support import passes, recorded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).parents[2]
TOKEN = "ghs_of_the_job"
MARK = "<!-- bakeoff-gate -->"
GATE: list[Mapping[str, Any]] = [
    {"no_worse_than": "baseline", "margin": 0.05},
    {"no_new_failures": ["i0"]},
    {"max_error_rate": 0.01},
]
PULL = 7


class PullRequest:
    """A repository with a base branch and a pull request, whose pushes run the action."""

    def __init__(self, folder: Path, api: CommentApi) -> None:
        self.folder = folder
        self.api = api
        self.origin = folder / "origin.git"
        self.work = folder / "work"
        self.pushes = 0
        subprocess.run(["git", "init", "-q", "--bare", self.origin], check=True)
        subprocess.run(["git", "clone", "-q", self.origin, self.work], check=True, capture_output=True)
        self.git("checkout", "-q", "-b", "main")

    def git(self, *arguments: str) -> str:
        options = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", *options, *arguments], cwd=self.work, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def commit(self, branch: str, files: Mapping[str, str]) -> str:
        for name, text in files.items():
            (self.work / name).write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", branch)
        self.git("push", "-q", "origin", f"HEAD:refs/heads/{branch}")
        return self.git("rev-parse", "HEAD")

    def base(self, spec: Mapping[str, Any]) -> None:
        self.base_sha = self.commit("main", {"experiment.yaml": yaml.safe_dump(spec)})

    def push(self, spec: Mapping[str, Any], **inputs: str) -> Job:
        """Push to the pull request; return the job that it starts, on a machine that knows nothing."""
        self.commit("change", {"experiment.yaml": yaml.safe_dump(spec)})
        self.pushes += 1
        checkout = self.folder / f"runner-{self.pushes}"
        clone = ["git", "clone", "-q", "--depth=1", "--branch", "change", f"file://{self.origin}", checkout]
        subprocess.run(clone, check=True)
        github = {
            "api_url": self.api.url,
            "repository": "acme/shop",
            "run_id": str(self.pushes),
            "token": TOKEN,
            "event_name": "pull_request",
            "event": {"pull_request": {"number": PULL, "base": {"sha": self.base_sha}}},
        }
        given = {"experiment": "experiment.yaml", "version": "", **inputs}
        self.checkout = checkout
        return run_action(
            ROOT / "action.yml",
            checkout=checkout,
            server=self.folder / "server",
            inputs=given,
            github=github,
            env={"BAKEOFF_STATE_DIR": str(self.folder)},
        )


@pytest.fixture
def pull(tmp_path: Path) -> Iterator[PullRequest]:
    with CommentApi(TOKEN) as api:
        yield PullRequest(tmp_path, api)


SCENES: Sequence[tuple[str, list[bool | None], list[Mapping[str, Any]], int, str]] = (
    ("fail", [True, *passes(119, 70)], GATE, 1, "### ❌ Bakeoff gate: fail (ci)"),
    ("pass", [*passes(120, 100)], GATE, 0, "### ✅ Bakeoff gate: pass (ci)"),
    ("error", [*passes(120, 100)], [{"metric": "speed", "at_least": 1}], 2, "### ⚠️ Bakeoff gate: error"),
    ("inconclusive", [*passes(100, 90), *passes(20, 9)], GATE, 3, "### ❔ Bakeoff gate: inconclusive (ci)"),
    ("infrastructure", [*passes(100, 100), *[None] * 20], GATE, 4, "### ⚠️ Bakeoff gate: infrastructure (ci)"),
)


@pytest.mark.slow
def test_every_push_is_judged_against_the_base_branch_and_updates_one_comment(pull: PullRequest) -> None:
    """Five pushes, five outcomes: what the job does, what it hands on, and what stands on the pull request."""
    for number in range(130):  # more than one page of them
        pull.api.add(PULL, f"a remark, number {number}; somebody quotes {MARK}")
    others = dict(pull.api.comments)
    pull.base(recorded({"bot": passes(120, 100)}, name="ci", gate=GATE))
    for outcome, answers, gate, code, title in SCENES:
        job = pull.push(recorded({"bot": answers}, name="ci", gate=gate))
        expected = "success" if code in (0, 3) else "failure"  # neutral is the default for an inconclusive gate
        assert job.steps == {
            "Install": "skipped",
            "Keep answered calls": "success",
            "Base branch": "success",
            "Run and decide": expected,
            "Upload the report": "success" if code != 2 else "skipped",
            "Comment": "success",
        }, job.log
        assert job.success == (expected == "success")
        assert (job.outputs["outcome"], job.outputs["exit-code"]) == (outcome, str(code)), job.log
        ours = [c for number, c in pull.api.comments.items() if number not in others]
        assert len(ours) == 1, "the comment is updated, not posted again"
        assert ours[0]["body"].startswith(MARK)
        assert title in ours[0]["body"]
        assert ours[0]["body"] == job.summary
        if code != 2:
            assert {"report.html", "junit.xml", "gate.json", "comment.md"} <= set(job.artifacts)
        assert TOKEN not in job.log
        assert "Traceback" not in job.log
    assert [method for method, _ in pull.api.log if method != "GET"] == ["POST", *["PATCH"] * 4]
    assert all(pull.api.comments[number] == comment for number, comment in others.items())


@pytest.mark.slow
def test_inconclusive_fails_on_demand_a_baseline_file_replaces_the_base_run_and_a_fork_may_not_comment(
    pull: PullRequest,
) -> None:
    spec = recorded({"bot": passes(120, 100)}, name="ci", gate=GATE)
    pull.base(spec)
    baseline = pull.folder / "main.json"
    command = f"bakeoff run experiment.yaml --quiet --no-gate && bakeoff baseline set latest --file {baseline}"
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run(["bash", "-c", command], cwd=pull.work, check=True, capture_output=True, env=env)
    shutil.rmtree(pull.work / ".bakeoff")
    shutil.copy(baseline, pull.work / "main.json")
    pull.api.refuse = 403
    unsure = recorded({"bot": [*passes(100, 90), *passes(20, 9)]}, name="ci", gate=GATE)
    job = pull.push(unsure, baseline="main.json", inconclusive="fail")
    assert job.steps["Base branch"] == "skipped"
    assert (job.success, job.outputs["exit-code"]) == (False, "3"), job.log
    assert "::warning title=Bakeoff::the comment could not be posted: 403" in job.log
    assert job.steps["Comment"] == "success", "the gate decides about the job, not the comment"
    assert pull.api.comments == {}


@pytest.mark.slow
def test_what_a_push_paid_for_is_free_for_the_next(pull: PullRequest) -> None:
    spec: dict[str, Any] = {
        "name": "paid",
        "dataset": {"rows": [{"id": str(n), "q": f"{n} + 1", "expected": str(n + 1)} for n in range(20)]},
        "prompts": {"plain": "{{ q }}"},
        "models": {"small": {"model": "sim/small", "params": {"sim": {"time_scale": 0}}}},
        "evaluators": ["exact_match"],
        "mlflow": False,
        "gate": [{"max_error_rate": 0.5}],
    }
    pull.base(spec)
    costs = []
    for _ in range(2):
        job = pull.push(spec, comment="false")
        assert job.success, job.log
        assert job.steps["Comment"] == "skipped"
        manifests = [json.loads(file.read_text()) for file in pull.checkout.glob(".bakeoff/runs/*/manifest.json")]
        assert len(manifests) == 2, "base and head"
        costs.append(sum(manifest["cost_usd"] for manifest in manifests))
    assert costs[0] > 0
    assert costs[1] == 0
    assert job.restored.endswith("-1"), "from the cache that the first push saved"


def test_a_comment_longer_than_github_takes_is_cut(tmp_path: Path) -> None:
    text = f"{MARK}\n" + "ä" * 70_000
    (tmp_path / "comment.md").write_text(text)
    with CommentApi(TOKEN) as api:
        env = {"GITHUB_API_URL": api.url, "GITHUB_REPOSITORY": "acme/shop", "GH_TOKEN": TOKEN, "PULL": str(PULL)}
        for said in ("posted", "updated"):
            done = subprocess.run(
                [sys.executable, str(ROOT / "docs/ci/comment.py")],
                env={**os.environ, **env, "COMMENT": str(tmp_path / "comment.md")},
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert (done.returncode, done.stdout) == (0, f"{said} the comment\n")
        (comment,) = api.comments.values()
    assert len(comment["body"]) == 65_000
    assert comment["body"].endswith("the rest is in the summary of the job and in the report.\n")
