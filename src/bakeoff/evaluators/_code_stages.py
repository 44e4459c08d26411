"""Look at code without running it: syntax, style, security, types; and all stages together."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import json
import os
import shutil
import sys
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, NonNegativeInt
from typing_extensions import override

from bakeoff.evaluators._base import Finding
from bakeoff.evaluators._code_run import CodeCheck, CodeTests
from bakeoff.evaluators._containers import SandboxSpec
from bakeoff.evaluators._protocol import (
    CannotScoreError,
    EvaluateResult,
    EvaluatorContext,
    MetricInfo,
    Score,
    ScoreKind,
)
from bakeoff.evaluators._redact import clean_text
from bakeoff.evaluators._registry import evaluator
from bakeoff.evaluators._runner import begin_scoring, finish_scoring
from bakeoff.evaluators._sandbox import SandboxLimits, run_sandboxed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["CodeMesh", "CodeSecurity", "CodeStyle", "CodeSyntax", "CodeTypes"]

_TOOL_SECONDS = 60.0


def _python_problem(code: str) -> str | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an odd escape is no syntax error
            ast.parse(code)
    except SyntaxError as error:
        return f"line {error.lineno}: {error.msg}"
    except (ValueError, MemoryError, RecursionError) as error:
        return str(error) or "nested too deeply"
    return None


@evaluator("code_syntax")
class CodeSyntax(CodeCheck):
    r"""Check that the code of the output parses. It is not run.

    Value:
        Pass or fail; the reason names line and error. No code fails.

    Missing when:
        There is no output; for JavaScript also when the sandbox is missing.

    Source:
        Python's own parser; `node --check` in the sandbox.

    Examples:
        >>> import asyncio
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator, score_trial
        >>> context = EvaluatorContext(output="def f(:\n  pass")
        >>> asyncio.run(score_trial([load_evaluator("code_syntax")], context))[0].value
        False
    """

    shorthand: ClassVar[str | None] = "language"

    @override
    async def inspect(self, code: str, context: EvaluatorContext) -> Finding:
        if self.language == "python":
            problem = _python_problem(code)
            return Finding(problem is None, problem)
        limits = SandboxLimits(wall_s=10)
        result = await run_sandboxed(
            ["--check", "/code.js"], files={"/code.js": code}, interpreter="node", limits=limits
        )
        lines = [line for line in result.stderr.splitlines() if "Error" in line]
        return Finding(result.exit_code == 0, clean_text(lines[0], 300) if lines else result.problem)


def find_tool(name: str) -> str:
    """Find a program of the extra `code`, beside the interpreter or on the path.

    Raises:
        CannotScoreError: It is not installed.
    """
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise CannotScoreError(f"{name} is not installed\n    fix: pip install 'bakeoff[code]'")
    return found


async def run_tool(command: list[str], *, stdin: str = "", cwd: str | None = None) -> tuple[int, str, str]:
    """Run a tool that reads code but does not run it.

    Raises:
        CannotScoreError: It did not finish in time.
    """
    environment = {key: os.environ[key] for key in ("PATH", "LANG", "HOME", "SYSTEMROOT") if key in os.environ}
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
        cwd=cwd,
    )
    try:
        async with asyncio.timeout(_TOOL_SECONDS):
            out, err = await process.communicate(stdin.encode("utf-8", "replace"))
    except TimeoutError:
        raise CannotScoreError(f"{Path(command[0]).name} did not finish within {_TOOL_SECONDS:g} s") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return process.returncode or 0, out.decode("utf-8", "replace"), err.decode("utf-8", "replace")


@contextlib.contextmanager
def in_folder(files: Mapping[str, str]) -> Iterator[str]:
    """Write files to a folder of their own, for as long as it is needed."""
    with tempfile.TemporaryDirectory(prefix="bakeoff-") as folder:
        for name, content in files.items():
            Path(folder, name).write_text(content, encoding="utf-8", errors="replace")
        yield folder


def read_report(name: str, out: str, err: str) -> Any:
    """Read the JSON report of a tool.

    Raises:
        CannotScoreError: It gave none.
    """
    try:
        return json.loads(out)
    except ValueError:
        told = (err.strip().splitlines() or ["no output"])[-1]
        raise CannotScoreError(f"{name} gave no report: {clean_text(told, 200)}") from None


class _Issues(CodeCheck):
    """A stage that counts issues in Python code."""

    score_kind: ClassVar[ScoreKind] = "continuous"
    higher_is_better: ClassVar[bool | None] = False
    unit: ClassVar[str] = "issues"
    shorthand: ClassVar[str | None] = "max_issues"

    language: Literal["python"] = "python"
    """Language of the code."""
    max_issues: NonNegativeInt = 0
    """Most issues that pass."""
    count: bool = False
    """Give the number of issues instead of pass or fail."""

    @property
    @override
    def raw_kind(self) -> ScoreKind:
        return "continuous" if self.count else "binary"

    async def issues(self, code: str) -> list[tuple[str, int, str]]:
        """Find the issues: rule, line, message."""
        raise NotImplementedError(f"{type(self).__name__}.issues")

    @override
    async def inspect(self, code: str, context: EvaluatorContext) -> Finding:
        problem = _python_problem(code)
        if problem is not None:
            if self.count:
                raise CannotScoreError(f"the code does not parse: {problem}")
            return Finding(False, f"the code does not parse: {problem}")
        found = await self.issues(code)
        told = "; ".join(f"line {line}: {rule} {message}" for rule, line, message in found[:5])
        more = f" (and {len(found) - 5} more)" if len(found) > 5 else ""
        details = {"issues": len(found), "rules": sorted({rule for rule, _, _ in found})}
        value: bool | int = len(found) if self.count else len(found) <= self.max_issues
        return Finding(value, clean_text(told + more, 1000) or None, details)


@evaluator("code_style")
class CodeStyle(_Issues):
    r"""Check Python code of the output with ruff. It is not run.

    Value:
        Pass when at most `max_issues` are found; with `count`, their number (lower is better).

    Missing when:
        There is no output, or ruff is not installed (extra `code`); with `count`, when the code does not parse.

    Source:
        ruff, with its default rules unless `select` names others; configuration files are ignored.

    Examples:
        >>> import asyncio
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator, score_trial
        >>> context = EvaluatorContext(output="import os\nprint(1)")
        >>> score = asyncio.run(score_trial([load_evaluator("code_style")], context))[0]
        >>> score.value if score.error is None else False  # without ruff there is no value
        False
    """

    select: list[str] = Field(default_factory=lambda: ["E4", "E7", "E9", "F"], min_length=1)
    """Rules of ruff, by code or prefix."""

    @override
    async def issues(self, code: str) -> list[tuple[str, int, str]]:
        command = [find_tool("ruff"), "check", "--isolated", "--no-cache", "--output-format", "json", "--exit-zero"]
        command += ["--select", ",".join(self.select), "--stdin-filename", "solution.py", "-"]
        _, out, err = await run_tool(command, stdin=code)
        report = read_report("ruff", out, err)
        return [(str(one["code"]), int(one["location"]["row"]), str(one["message"])) for one in report]


@evaluator("code_security")
class CodeSecurity(_Issues):
    r"""Check Python code of the output for dangerous constructs with bandit. It is not run.

    Value:
        Pass when at most `max_issues` of the given severity are found; with `count`, their number (lower is better).

    Missing when:
        There is no output, or bandit is not installed (extra `code`); with `count`, when the code does not parse.

    Source:
        bandit, with its default rules; `# nosec` comments are ignored.

    Examples:
        >>> import asyncio
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator, score_trial
        >>> context = EvaluatorContext(output="import subprocess\nsubprocess.call(input(), shell=True)")
        >>> score = asyncio.run(score_trial([load_evaluator("code_security")], context))[0]
        >>> score.value if score.error is None else False  # without bandit there is no value
        False
    """

    severity: Literal["low", "medium", "high"] = "medium"
    """Least severity that counts."""

    @override
    async def issues(self, code: str) -> list[tuple[str, int, str]]:
        order = ("low", "medium", "high")
        with in_folder({"solution.py": code}) as folder:
            command = [find_tool("bandit"), "-f", "json", "-q", "--exit-zero", "--ignore-nosec", "solution.py"]
            _, out, err = await run_tool(command, cwd=folder)
        report = read_report("bandit", out, err)
        if report.get("errors"):
            raise CannotScoreError(f"bandit could not read the code: {clean_text(str(report['errors'][0]), 200)}")
        least = order.index(self.severity)
        return [
            (str(one["test_id"]), int(one["line_number"]), str(one["issue_text"]))
            for one in report["results"]
            if order.index(str(one["issue_severity"]).lower()) >= least
        ]


@evaluator("code_types")
class CodeTypes(_Issues):
    r"""Check the types of Python code of the output with pyrefly. It is not run.

    Value:
        Pass when at most `max_issues` errors are found; with `count`, their number (lower is better).

    Missing when:
        There is no output, or pyrefly is not installed (extra `code`); with `count`, when the code does not parse.

    Source:
        pyrefly, with its default rules; packages other than the standard library are taken as unknown.

    Examples:
        >>> import asyncio
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator, score_trial
        >>> context = EvaluatorContext(output="def f(x: int) -> str:\n    return x")
        >>> score = asyncio.run(score_trial([load_evaluator("code_types")], context))[0]
        >>> score.value if score.error is None else False  # without pyrefly there is no value
        False
    """

    @override
    async def issues(self, code: str) -> list[tuple[str, int, str]]:
        with in_folder({"solution.py": code, "pyrefly.toml": ""}) as folder:  # no configuration from above
            command = [find_tool("pyrefly"), "check", "--output-format", "json", "--ignore-missing-imports", "*"]
            command += ["--skip-interpreter-query", "--python-version", f"3.{sys.version_info.minor}", "solution.py"]
            _, out, err = await run_tool(command, cwd=folder)
        report = read_report("pyrefly", out, err)
        return [
            (
                str(one.get("name", "type")),
                int(one["line"]),
                str(one.get("concise_description", one.get("description"))),
            )
            for one in report["errors"]
            if one.get("severity", "error") == "error"
        ]


_STAGES = ("syntax", "style", "security", "types", "run")


def _tell_stages(scores: Mapping[str, Score]) -> str:
    """Say how many stages pass, and which do not."""
    known = [score.value for score in scores.values() if isinstance(score.value, bool)]
    failed = [name for name, score in scores.items() if score.value is False]
    told = f"{sum(known)} of {len(known)} stages pass"
    return f"{told}; failed: {', '.join(failed)}" if failed else told


@evaluator("code_mesh")
class CodeMesh(CodeCheck):
    """Judge Python code of the output by five independent stages, and by how far they agree.

    Syntax, style (ruff), security (bandit), types (pyrefly) and tests in the sandbox, each a metric of its own, and
    `consensus`: the share of the stages with a value that pass.

    Value:
        One pass/fail metric for each stage, and `consensus` from 0 to 1. `escalate` in its details marks trials for a
        human, who finds them with `bakeoff label` or on the Label page.

    Missing when:
        A stage has no value (its tool or the sandbox is missing, or there are no tests); the others stand.

    Source:
        Own.

    Examples:
        >>> from bakeoff.evaluators import load_evaluator
        >>> [info.name for info in load_evaluator("code_mesh").metrics][:2]
        ['code_mesh.syntax', 'code_mesh.style']
    """

    language: Literal["python"] = "python"
    """Language of the code."""
    stages: list[Literal["syntax", "style", "security", "types", "run"]] = Field(
        default_factory=lambda: list(_STAGES), min_length=2
    )
    """Which stages."""
    tests: str = Field(default="expected", min_length=1)
    """Dotted path to the tests."""
    after: str = ""
    """Code that runs last, with parts of the item filled in: `check({metadata.entry_point})`."""
    sandbox: SandboxSpec = SandboxSpec()
    """Where the tests run: `bubblewrap`, `docker`, `podman`, or `{engine: podman, image: ..., runtime: runsc}`."""
    escalate_below: float = Field(default=0.6, ge=0, le=1)
    """Consensus below which a trial is marked for a human, when some stage passes."""

    @property
    @override
    def parts(self) -> tuple[str, ...]:
        return (*self.stages, "consensus")

    @property
    @override
    def metrics(self) -> tuple[MetricInfo, ...]:
        return tuple(
            MetricInfo(name=f"{self.metric}.{part}", score_kind="bounded" if part == "consensus" else "binary")
            for part in self.parts
        )

    def _stage(self, name: str) -> CodeCheck:
        shared: dict[str, Any] = {"extract": self.extract, "before": self.before}
        if name == "run":
            return CodeTests(tests=self.tests, after=self.after, sandbox=self.sandbox, **shared)
        kinds: dict[str, type[CodeCheck]] = {
            "syntax": CodeSyntax,
            "style": CodeStyle,
            "security": CodeSecurity,
            "types": CodeTypes,
        }
        return kinds[name](**shared)

    @override
    async def evaluate(self, context: EvaluatorContext) -> EvaluateResult:
        stages = [self._stage(name) for name in self.stages]
        scores = await finish_scoring(stages, [begin_scoring(stage, context) for stage in stages])
        named: dict[str, Score] = {
            name: replace(score, name=f"{self.metric}.{name}", version=f"{self.version}({score.version})")
            for name, score in zip(self.stages, scores, strict=True)
        }
        known = [score.value for score in scores if isinstance(score.value, bool)]
        share = sum(known) / len(known) if known else None
        named["consensus"] = Score(
            name=f"{self.metric}.consensus",
            value=share,
            error=None if known else "no stage has a value",
            reason=_tell_stages(dict(zip(self.stages, scores, strict=True))) if known else None,
            details={"escalate": share is not None and 0 < share < self.escalate_below},
        )
        result: Mapping[str, Score] = named
        return result
