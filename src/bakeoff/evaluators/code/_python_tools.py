"""Look at Python code without running it: Python's own parser, ruff, bandit, pyrefly."""

from __future__ import annotations

import ast
import sys
import warnings
from typing import TYPE_CHECKING

from bakeoff.evaluators._protocol import CannotScoreError
from bakeoff.evaluators._redact import clean_text
from bakeoff.evaluators.code._tools import DoesNotParseError, Issue, find_tool, in_folder, read_report, run_tool

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["python_problem", "python_security", "python_style", "python_types"]

_RUFF_RULES = ("E4", "E7", "E9", "F")
_SEVERITIES = ("low", "medium", "high")


def python_problem(code: str) -> str | None:
    """Say where code does not parse; `None` when it does."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an odd escape is no syntax error
            ast.parse(code)
    except SyntaxError as error:
        return f"line {error.lineno}: {error.msg}"
    except (ValueError, MemoryError, RecursionError) as error:
        return str(error) or "nested too deeply"
    return None


def _check_parses(code: str) -> None:
    problem = python_problem(code)
    if problem is not None:
        raise DoesNotParseError(problem)


async def python_style(code: str, select: Sequence[str] | None) -> list[Issue]:
    """Ask ruff."""
    _check_parses(code)
    command = [find_tool("ruff"), "check", "--isolated", "--no-cache", "--output-format", "json", "--exit-zero"]
    command += ["--ignore-noqa", "--select", ",".join(select or _RUFF_RULES), "--stdin-filename", "solution.py", "-"]
    _, out, err = await run_tool(command, stdin=code)
    report = read_report("ruff", out, err)
    return [Issue(str(one["code"]), int(one["location"]["row"]), str(one["message"])) for one in report]


async def python_security(code: str, severity: str) -> list[Issue]:
    """Ask bandit for issues of a severity, or worse."""
    _check_parses(code)
    with in_folder({"solution.py": code}) as folder:
        command = [find_tool("bandit"), "-f", "json", "-q", "--exit-zero", "--ignore-nosec", "solution.py"]
        _, out, err = await run_tool(command, cwd=folder)
    report = read_report("bandit", out, err)
    if report.get("errors"):
        raise CannotScoreError(f"bandit could not read the code: {clean_text(str(report['errors'][0]), 200)}")
    least = _SEVERITIES.index(severity)
    return [
        Issue(str(one["test_id"]), int(one["line_number"]), str(one["issue_text"]))
        for one in report["results"]
        if _SEVERITIES.index(str(one["issue_severity"]).lower()) >= least
    ]


async def python_types(code: str) -> list[Issue]:
    """Ask pyrefly."""
    _check_parses(code)
    with in_folder({"solution.py": code, "pyrefly.toml": "enabled-ignores = []\n"}) as folder:
        command = [find_tool("pyrefly"), "check", "--output-format", "json", "--ignore-missing-imports", "*"]
        command += ["--skip-interpreter-query", "--python-version", f"3.{sys.version_info.minor}", "solution.py"]
        _, out, err = await run_tool(command, cwd=folder)
    report = read_report("pyrefly", out, err)
    return [
        Issue(
            str(one.get("name", "type")), int(one["line"]), str(one.get("concise_description", one.get("description")))
        )
        for one in report["errors"]
        if one.get("severity", "error") == "error"
    ]
