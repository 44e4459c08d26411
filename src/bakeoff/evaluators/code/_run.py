"""Run code from an output against tests, in the sandbox."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from pydantic import Field, PositiveFloat, PositiveInt
from typing_extensions import override

from bakeoff.evaluators._base import Finding
from bakeoff.evaluators._protocol import CannotScoreError, EvaluatorContext, ScoreKind
from bakeoff.evaluators._redact import clean_text
from bakeoff.evaluators._registry import evaluator
from bakeoff.evaluators._text import as_text, preview
from bakeoff.evaluators.code._check import CodeCheck, fill_in, from_trial
from bakeoff.evaluators.code._containers import SandboxSpec
from bakeoff.evaluators.code._sandbox import SandboxLimits, SandboxResult, run_sandboxed, sandbox_problem

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CodeOutput", "CodeTests"]

# The nonce is what only a finished run of the tests prints: exit codes and prints of the code prove nothing.
_PYTHON_HARNESS = """\
import sys


def run():
    nonce = sys.stdin.readline().strip()
    scope = {"__name__": "solution", "__builtins__": __builtins__}
    with open("/solution.py", encoding="utf-8") as file:
        exec(compile(file.read(), "solution.py", "exec"), scope)
    with open("/tests.py", encoding="utf-8") as file:
        exec(compile(file.read(), "tests.py", "exec"), scope)
    for name, test in list(scope.items()):
        if name.startswith("test_") and callable(test):
            test()
    sys.stdout.flush()
    sys.stdout.write("\\n" + nonce + "\\n")
    sys.stdout.flush()


run()
"""
_NODE_HARNESS = Path(__file__).with_name("run_tests.cjs")


class _Running(CodeCheck):
    """A check that runs the code."""

    timeout_s: PositiveFloat = Field(default=10.0, le=600)
    """Longest time of one run."""
    memory_mb: PositiveInt = Field(default=512, ge=64, le=16_384)
    """Most memory of one process."""
    sandbox: SandboxSpec = SandboxSpec()
    """Where it runs: `bubblewrap`, `docker`, `podman`, or `{engine: podman, image: ..., runtime: runsc}`."""

    @property
    def limits(self) -> SandboxLimits:
        """The limits of one run."""
        return SandboxLimits(wall_s=self.timeout_s, cpu_s=int(self.timeout_s) + 1, memory_mb=self.memory_mb)

    @override
    def unavailable(self) -> str | None:
        return sandbox_problem(self.sandbox, "python" if self.language == "python" else "node")

    async def run(self, files: dict[str, str], main: str, stdin: str) -> SandboxResult:
        """Run a program."""
        runner: Literal["python", "node"] = "python" if self.language == "python" else "node"
        return await run_sandboxed(
            [main], files=files, interpreter=runner, stdin=stdin, limits=self.limits, sandbox=self.sandbox
        )


@evaluator("code_tests")
class CodeTests(_Running):
    r"""Run the code of the output against tests, in a sandbox without network or files.

    The tests are code that runs after that of the output and sees its names: plain assertions, or in Python functions
    named `test_...`. Only a run that reaches their end passes: `sys.exit(0)`, prints and caught failures do not. Python
    code gets the standard library only; JavaScript, a script or a module, gets node's, and `assert`. Tests share a
    process with the code, so code written to deceive them could; it cannot do harm.

    Value:
        Pass or fail; the reason is the last line of the error, or the limit that was hit. pass@k and pass^k come from
        repeats.

    Missing when:
        There is no output or no tests, or the sandbox (bubblewrap, or what `sandbox` names) is missing: code is then
        not run at all.

    Source:
        Own; functional correctness after Chen et al. 2021 (HumanEval).

    Examples:
        >>> import asyncio
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator, score_trial
        >>> context = EvaluatorContext(output="def double(x):\n    return x + x", expected="assert double(3) == 6")
        >>> score = asyncio.run(score_trial([load_evaluator("code_tests")], context))[0]
        >>> score.value if score.error is None else True  # without bubblewrap there is no value
        True
    """

    version: ClassVar[str] = "2"
    shorthand: ClassVar[str | None] = "tests"

    tests: str = Field(default="expected", min_length=1)
    """Dotted path to the tests: `expected`, `metadata.test` ..."""
    after: str = ""
    """Code that runs last, with parts of the item filled in: `check({metadata.entry_point})`."""

    @property
    @override
    def reads(self) -> tuple[str, ...]:
        return (*super().reads, self.tests)

    @override
    async def inspect(self, code: str, context: EvaluatorContext) -> Finding:
        tests = as_text(from_trial(context, self.tests)) + "\n" + fill_in(self.after, context)
        nonce = secrets.token_hex(16)
        if self.language == "python":
            files = {"/solution.py": code, "/tests.py": tests, "/harness.py": _PYTHON_HARNESS}
            result = await self.run(files, "/harness.py", nonce + "\n")
        else:
            harness = await asyncio.to_thread(_NODE_HARNESS.read_text, encoding="utf-8")
            files = {"/solution.js": code, "/tests.js": tests, "/harness.cjs": harness}
            result = await self.run(files, "/harness.cjs", nonce + "\n")
        passed = result.stdout.rstrip().endswith(nonce) and result.exit_code == 0 and result.problem is None
        details = {"exit_code": result.exit_code, "seconds": round(result.wall_s, 3)}
        if passed:
            return Finding(True, None, details)
        return Finding(False, _why(result, tests), {**details, "stderr": clean_text(result.stderr[-1000:], 1000)})


def _why(result: SandboxResult, tests: str = "") -> str:
    """Say why a run failed: the limit it hit, else its error, with the line of the tests that found it."""
    if result.problem is not None:
        return result.problem
    lines = [line.strip() for line in result.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"[A-Za-z_.]*(?:Error|Exception|Exit|Interrupt)\b", line)]
    if not lines:
        return f"ended with exit code {result.exit_code} before the tests were through"
    told = (errors or lines)[-1]
    places = re.findall(r'File "tests\.py", line (\d+)', result.stderr)
    if told == "AssertionError" and places:
        failed = tests.splitlines()[int(places[-1]) - 1 :][:1]
        told = f"AssertionError: {failed[0].strip()}" if failed else told
    return clean_text(told, 300)


class _Case(NamedTuple):
    stdin: str
    stdout: str


@evaluator("code_output")
class CodeOutput(_Running):
    """Run the program of the output on given inputs and compare what it prints, in a sandbox.

    Cases are a list of `{stdin, stdout}` (or `{input, output}`). White space at line ends and at the end is ignored.

    Value:
        Pass or fail: every case; or with `value: share` the share of the cases that agree (0 to 1).

    Missing when:
        There is no output or no case, or the sandbox (bubblewrap, or what `sandbox` names) is missing: code is then not
        run at all.

    Source:
        Own; the format of programming contests.

    Examples:
        >>> import asyncio
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator, score_trial
        >>> context = EvaluatorContext(output="print(int(input()) * 2)", expected=[{"stdin": "4", "stdout": "8"}])
        >>> score = asyncio.run(score_trial([load_evaluator("code_output")], context))[0]
        >>> score.value if score.error is None else True  # without bubblewrap there is no value
        True
    """

    version: ClassVar[str] = "2"
    shorthand: ClassVar[str | None] = "value"

    cases: str = Field(default="expected", min_length=1)
    """Dotted path to the cases."""
    value: Literal["pass", "share"] = "pass"
    """Pass or fail, or the share of the cases that agree."""

    @property
    @override
    def raw_kind(self) -> ScoreKind:
        return "binary" if self.value == "pass" else "bounded"

    @property
    @override
    def reads(self) -> tuple[str, ...]:
        return (*super().reads, self.cases)

    def _cases(self, context: EvaluatorContext) -> list[_Case]:
        value = from_trial(context, self.cases)
        entries: Sequence[Any] = value if isinstance(value, list) else [value]
        cases: list[_Case] = []
        for entry in entries:
            if not isinstance(entry, Mapping) or not ("stdout" in entry or "output" in entry):
                raise CannotScoreError(f"the case {preview(entry)} is no mapping with `stdin` and `stdout`")
            given = entry.get("stdin", entry.get("input", ""))
            cases.append(_Case(as_text(given), as_text(entry.get("stdout", entry.get("output")))))
        if not cases:
            raise CannotScoreError("there is no case to run")
        return cases

    @override
    async def inspect(self, code: str, context: EvaluatorContext) -> Finding:
        cases = self._cases(context)
        main = "/solution.py" if self.language == "python" else "/solution.js"
        problems: list[str] = []
        for index, case in enumerate(cases, start=1):
            result = await self.run({main: code}, main, case.stdin)
            if result.problem is not None or result.exit_code != 0:
                problems.append(f"case {index}: {_why(result)}")
            elif _printed(result.stdout) != _printed(case.stdout):
                problems.append(f"case {index}: printed {preview(result.stdout)}, not {preview(case.stdout)}")
            if problems and self.value == "pass":
                break
        reason = clean_text("; ".join(problems[:3]), 600) or None
        share = 1 - len(problems) / len(cases)
        return Finding(not problems if self.value == "pass" else share, reason, {"cases": len(cases)})


def _printed(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().splitlines()]
