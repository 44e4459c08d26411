"""A small GitHub: runs the steps of a composite action with real bash, and answers the part of the API they use.

Not GitHub's runner: expressions are those that `action.yml` uses, `actions/cache` and `actions/upload-artifact` are
folders, and the API knows comments on pull requests only.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlparse

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

__all__ = ["CommentApi", "Job", "run_action"]

_TOKEN = re.compile(r"\s*('[^']*'|==|!=|&&|\|\||!|\(|\)|,|[A-Za-z_][\w.-]*)")


class CommentApi:
    """Comments on pull requests, as `api.github.com` serves them."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.comments: dict[int, dict[str, Any]] = {}
        self.log: list[tuple[str, str]] = []
        self.refuse: int | None = None
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                api.handle(self)

            do_POST = do_PATCH = do_GET  # noqa: N815 - names that http.server wants

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def add(self, pull: int, body: str) -> int:
        """Add a comment of somebody's."""
        number = 1000 + len(self.comments)
        self.comments[number] = {"id": number, "pull": pull, "body": body, "user": {"login": "somebody"}}
        return number

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        url = urlparse(request.path)
        self.log.append((request.command, url.path))
        data = json.loads(request.rfile.read(int(request.headers.get("content-length") or 0)) or "null")
        status, answer = self._answer(request, url.path, parse_qs(url.query), data)
        body = json.dumps(answer).encode()
        request.send_response(status)
        request.send_header("content-type", "application/json; charset=utf-8")
        request.send_header("content-length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def _answer(
        self, request: BaseHTTPRequestHandler, path: str, query: Mapping[str, list[str]], data: Any
    ) -> tuple[int, Any]:
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return 401, {"message": "Bad credentials"}
        if self.refuse is not None and request.command != "GET":
            return self.refuse, {"message": "Resource not accessible by integration"}
        if request.command != "GET" and (not isinstance(data, dict) or not 0 < len(data.get("body", "")) <= 65_536):
            return 422, {"message": "Validation Failed"}
        if found := re.fullmatch(r"/repos/acme/shop/issues/(\d+)/comments", path):
            pull = int(found[1])
            if request.command == "POST":
                return 201, self.comments[self.add(pull, data["body"])]
            size, page = int(query.get("per_page", ["30"])[0]), int(query.get("page", ["1"])[0])
            return 200, [c for c in self.comments.values() if c["pull"] == pull][size * (page - 1) : size * page]
        found = re.fullmatch(r"/repos/acme/shop/issues/comments/(\d+)", path)
        if found and request.command == "PATCH" and int(found[1]) in self.comments:
            self.comments[int(found[1])]["body"] = data["body"]
            return 200, self.comments[int(found[1])]
        return 404, {"message": "Not Found"}


@dataclass
class Job:
    """One run of an action."""

    success: bool = True
    outputs: dict[str, str] = field(default_factory=dict)
    steps: dict[str, str] = field(default_factory=dict)
    """Name of each step: `success`, `failure` or `skipped`."""
    log: str = ""
    summary: str = ""
    restored: str = ""
    """Key of the cache that was found."""
    artifacts: list[str] = field(default_factory=list)


def run_action(
    action: Path,
    *,
    checkout: Path,
    server: Path,
    inputs: Mapping[str, str],
    github: Mapping[str, Any],
    env: Mapping[str, str],
) -> Job:
    """Run a composite action's steps in order.

    Args:
        action: Its `action.yml`.
        checkout: The repository as `actions/checkout` leaves it.
        server: Folder that outlives the job: caches and artifacts.
        inputs: What the workflow gives under `with`.
        github: The `github` context.
        env: Environment of the job.
    """
    spec = yaml.safe_load(action.read_text())
    temp = server / f"temp-{github['run_id']}"
    temp.mkdir(parents=True)
    given = {name: str(inputs.get(name, value.get("default", ""))) for name, value in spec["inputs"].items()}
    contexts: dict[str, Any] = {"github": github, "runner": {"temp": str(temp)}, "steps": {}, "inputs": {}}
    contexts["inputs"] = {name: _fill(value, contexts, checkout) for name, value in given.items()}
    job, afterwards = Job(), []
    for number, step in enumerate(spec["runs"]["steps"]):
        condition = str(step.get("if", "success()"))
        contexts["job"] = job.success
        if "always()" not in condition and not job.success:
            condition = "false"
        if not _evaluate(condition, contexts, checkout):
            job.steps[step["name"]] = "skipped"
            continue
        if "run" in step:
            ok = _bash(step, number, job, contexts, action.parent, checkout, temp, env)
        elif step["uses"].startswith("actions/cache@"):
            ok = True
            afterwards.append(_restore(step["with"], job, contexts, server / "caches", checkout))
        elif step["uses"].startswith("actions/upload-artifact@"):
            ok = _upload(step["with"], job, contexts, server / f"artifacts-{github['run_id']}", checkout)
        else:
            raise AssertionError(f"the harness does not know {step['uses']}")
        job.steps[step["name"]] = "success" if ok else "failure"
        job.success = job.success and ok
    for save in afterwards:
        save()
    job.outputs = {name: _fill(value["value"], contexts, checkout) for name, value in spec["outputs"].items()}
    return job


def _bash(
    step: Mapping[str, Any],
    number: int,
    job: Job,
    contexts: dict[str, Any],
    action: Path,
    checkout: Path,
    temp: Path,
    env: Mapping[str, str],
) -> bool:
    assert step["shell"] == "bash"
    script, output, summary = (temp / f"{name}-{number}" for name in ("script.sh", "output", "summary"))
    script.write_text(step["run"])
    output.touch()
    summary.touch()
    github = contexts["github"]
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],  # as GitHub starts `shell: bash`
        cwd=checkout / _fill(str(step.get("working-directory", ".")), contexts, checkout),
        env={
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(temp),
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTION_PATH": str(action),
            "GITHUB_API_URL": github["api_url"],
            "GITHUB_REPOSITORY": github["repository"],
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(summary),
            "RUNNER_TEMP": str(temp),
            **env,
            **{name: _fill(str(value), contexts, checkout) for name, value in step.get("env", {}).items()},
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    job.log += f"--- {step['name']}\n{done.stdout}{done.stderr}"
    job.summary += summary.read_text()
    if "id" in step:
        lines = [line.partition("=") for line in output.read_text().splitlines()]
        contexts["steps"][step["id"]] = {"outputs": {name: value for name, _, value in lines}}
    return done.returncode == 0


def _restore(options: Mapping[str, str], job: Job, contexts: dict[str, Any], caches: Path, checkout: Path) -> Any:
    """Do what `actions/cache` does: the key itself, else the newest that starts like a restore key; save at the end."""
    path = checkout / _fill(options["path"], contexts, checkout)
    key = _fill(options["key"], contexts, checkout)
    wanted = [key, *_fill(options["restore-keys"], contexts, checkout).split()]
    newest = sorted(caches.glob("*"), key=lambda file: -file.stat().st_mtime_ns) if caches.exists() else []
    for prefix in wanted:
        found = next((file for file in newest if file.name.startswith(prefix)), None)
        if found is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(found, path)
            job.restored = found.name
            break

    def save() -> None:
        if job.success and path.exists() and not (caches / key).exists():
            caches.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, caches / key)

    return save


def _upload(options: Mapping[str, str], job: Job, contexts: dict[str, Any], target: Path, checkout: Path) -> bool:
    for line in _fill(options["path"], contexts, checkout).split("\n"):
        source = checkout / line.strip()
        files = [source] if source.is_file() else [file for file in source.rglob("*") if file.is_file()]
        for file in files:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target / file.name)
    job.artifacts = sorted(file.name for file in target.glob("*"))
    return bool(job.artifacts) or options.get("if-no-files-found") == "ignore"


def _fill(text: str, contexts: dict[str, Any], checkout: Path) -> str:
    return re.sub(r"\$\{\{(.*?)\}\}", lambda found: str(_evaluate(found[1], contexts, checkout)), text)


def _evaluate(expression: str, contexts: dict[str, Any], checkout: Path) -> Any:
    """Evaluate an expression of GitHub's: names, texts, ==, !=, &&, ||, and the functions that the action uses."""
    words = {"==": "==", "!=": "!=", "&&": " and ", "||": " or ", "!": " not "}
    python, place = "", 0
    expression = expression.strip().removeprefix("${{").removesuffix("}}").strip()
    while place < len(expression):
        found = _TOKEN.match(expression, place)
        assert found, f"the harness cannot read {expression!r} at {place}"
        place, token = found.end(), found[1]
        if token in words or token in "(),":
            python += words.get(token, token)
        elif token.startswith("'") or token in ("hashFiles", "always", "success"):
            python += token
        else:
            python += "False" if token == "false" else f"look({token!r})"

    def look(name: str) -> Any:
        value: Any = contexts
        for part in name.split("."):
            value = value.get(part, "") if isinstance(value, dict) else ""
        return value

    def hash_files(pattern: str) -> str:
        names = sorted(str(file.relative_to(checkout)) for file in checkout.rglob("*") if file.is_file())
        chosen = fnmatch.filter(names, pattern)
        return hashlib.sha256(b"".join((checkout / name).read_bytes() for name in chosen)).hexdigest() if chosen else ""

    functions = {"look": look, "hashFiles": hash_files, "always": lambda: True, "success": lambda: contexts["job"]}
    return eval(python, {"__builtins__": {}}, functions)
