"""Look at code without running it: syntax, style, security, types."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, NonNegativeInt
from typing_extensions import override

from bakeoff.evaluators._base import Finding
from bakeoff.evaluators._protocol import CannotScoreError, EvaluatorContext, ScoreKind
from bakeoff.evaluators._redact import clean_text
from bakeoff.evaluators._registry import evaluator
from bakeoff.evaluators.code._check import CodeCheck
from bakeoff.evaluators.code._containers import SandboxSpec
from bakeoff.evaluators.code._javascript_tools import (
    LINT_PACKAGES,
    SECURITY_PACKAGES,
    TYPE_PACKAGES,
    find_node,
    find_packages,
    javascript_security,
    javascript_style,
    javascript_types,
    packages_version,
)
from bakeoff.evaluators.code._python_tools import python_problem, python_security, python_style, python_types
from bakeoff.evaluators.code._sandbox import SandboxLimits, run_sandboxed, sandbox_problem
from bakeoff.evaluators.code._tools import DoesNotParseError, find_tool, tool_version

if TYPE_CHECKING:
    from bakeoff.evaluators.code._tools import Issue

__all__ = ["CodeSecurity", "CodeStyle", "CodeSyntax", "CodeTypes"]


@evaluator("code_syntax")
class CodeSyntax(CodeCheck):
    r"""Check that the code of the output parses. It is not run.

    JavaScript may be a script or a module (`import`, `export`).

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

    version: ClassVar[str] = "2"
    shorthand: ClassVar[str | None] = "language"

    sandbox: SandboxSpec = SandboxSpec()
    """Where node parses JavaScript: `bubblewrap`, `docker`, `podman`, or `{engine: podman, image: ...}`."""

    @override
    def unavailable(self) -> str | None:
        return sandbox_problem(self.sandbox, "node") if self.language == "javascript" else None

    @override
    async def inspect(self, code: str, context: EvaluatorContext) -> Finding:
        problem = python_problem(code) if self.language == "python" else await self._javascript_problem(code)
        return Finding(problem is None, problem)

    async def _javascript_problem(self, code: str) -> str | None:
        script = await self._parse(code, "/code.cjs")
        if script is None:
            return None
        module = await self._parse(code, "/code.mjs")
        if module is None:
            return None
        return module if "import" in script or "export" in script else script

    async def _parse(self, code: str, name: str) -> str | None:
        result = await run_sandboxed(
            ["--check", name],
            files={name: code},
            interpreter="node",
            limits=SandboxLimits(wall_s=10),
            sandbox=self.sandbox,
        )
        if result.exit_code == 0 and result.problem is None:
            return None
        lines = result.stderr.splitlines()
        errors = [line for line in lines if "Error" in line]
        place = next((line.rpartition(":")[2] for line in lines if line.rpartition(":")[0].endswith(name)), "")
        told = errors[0] if errors else result.problem or "it does not parse"
        return clean_text(f"line {place}: {told}" if place.isdigit() else told, 300)


class _Issues(CodeCheck):
    """A stage that counts issues."""

    score_kind: ClassVar[ScoreKind] = "continuous"
    higher_is_better: ClassVar[bool | None] = False
    unit: ClassVar[str] = "issues"
    shorthand: ClassVar[str | None] = "max_issues"

    python_tool: ClassVar[str] = ""
    packages: ClassVar[tuple[str, ...]] = LINT_PACKAGES

    max_issues: NonNegativeInt = 0
    """Most issues that pass."""
    count: bool = False
    """Give the number of issues instead of pass or fail."""

    @property
    @override
    def raw_kind(self) -> ScoreKind:
        return "continuous" if self.count else "binary"

    @property
    @override
    def stamp(self) -> str:
        """Version, and that of the tool, whose next release may find other issues."""
        if self.language == "javascript":
            return f"{self.version}({packages_version(self.packages)})"
        return f"{self.version}({self.python_tool} {tool_version(self.python_tool)})"

    @override
    def unavailable(self) -> str | None:
        try:
            if self.language == "python":
                find_tool(self.python_tool)
            else:
                find_node()
                find_packages(self.packages)
        except CannotScoreError as error:
            return str(error)
        return None

    async def issues(self, code: str) -> list[Issue]:
        """Find the issues."""
        raise NotImplementedError(f"{type(self).__name__}.issues")

    @override
    async def inspect(self, code: str, context: EvaluatorContext) -> Finding:
        try:
            found = await self.issues(code)
        except DoesNotParseError as problem:
            if self.count:
                raise CannotScoreError(f"the code does not parse: {problem}") from None
            return Finding(False, f"the code does not parse: {problem}")
        told = "; ".join(f"line {line}: {rule} {message}" for rule, line, message in found[:5])
        more = f" (and {len(found) - 5} more)" if len(found) > 5 else ""
        details = {"issues": len(found), "rules": sorted({one.rule for one in found})}
        value: bool | int = len(found) if self.count else len(found) <= self.max_issues
        return Finding(value, clean_text(told + more, 1000) or None, details)


@evaluator("code_style")
class CodeStyle(_Issues):
    r"""Check code of the output with a linter: ruff for Python, ESLint for JavaScript. It is not run.

    Value:
        Pass when at most `max_issues` are found; with `count`, their number (lower is better). Code that does not parse
        fails.

    Missing when:
        There is no output, or the linter is not installed: ruff (extra `code`), or for JavaScript node and the npm
        packages eslint and globals; with `count`, when the code does not parse.

    Source:
        ruff, with its default rules, or ESLint's recommended ones, unless `select` names others. Configuration files,
        and comments in the code that switch rules off, are ignored. Names at the top of JavaScript are what the answer
        offers and not "unused"; names of node and of browsers are known.

    Examples:
        >>> import asyncio
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator, score_trial
        >>> context = EvaluatorContext(output="import os\nprint(1)")
        >>> score = asyncio.run(score_trial([load_evaluator("code_style")], context))[0]
        >>> score.value if score.error is None else False  # without ruff there is no value
        False
    """

    version: ClassVar[str] = "2"
    python_tool: ClassVar[str] = "ruff"

    select: list[str] | None = Field(default=None, min_length=1)
    """Rules: of ruff by code or prefix (`E4`, `E7`, `E9` and `F` when omitted), of ESLint by name (`recommended` when
    omitted)."""

    @override
    async def issues(self, code: str) -> list[Issue]:
        look = python_style if self.language == "python" else javascript_style
        return await look(code, self.select)


@evaluator("code_security")
class CodeSecurity(_Issues):
    r"""Check code of the output for dangerous constructs: bandit for Python, ESLint for JavaScript. It is not run.

    Value:
        Pass when at most `max_issues` of the given severity are found; with `count`, their number (lower is better).
        Code that does not parse fails.

    Missing when:
        There is no output, or the tool is not installed: bandit (extra `code`), or for JavaScript node and the npm
        packages eslint, eslint-plugin-security, eslint-plugin-no-unsanitized and globals; with `count`, when the code
        does not parse.

    Source:
        bandit, with its default rules; for JavaScript the rules of eslint-plugin-security and
        eslint-plugin-no-unsanitized, ESLint's own against code made from text, and three of ours (certificates that are
        not checked, weak hashes), graded as bandit grades the like. Comments that switch rules off are ignored.

    Examples:
        >>> import asyncio
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator, score_trial
        >>> context = EvaluatorContext(output="import subprocess\nsubprocess.call(input(), shell=True)")
        >>> score = asyncio.run(score_trial([load_evaluator("code_security")], context))[0]
        >>> score.value if score.error is None else False  # without bandit there is no value
        False
    """

    python_tool: ClassVar[str] = "bandit"
    packages: ClassVar[tuple[str, ...]] = SECURITY_PACKAGES

    severity: Literal["low", "medium", "high"] = "medium"
    """Least severity that counts."""

    @override
    async def issues(self, code: str) -> list[Issue]:
        look = python_security if self.language == "python" else javascript_security
        return await look(code, self.severity)


@evaluator("code_types")
class CodeTypes(_Issues):
    r"""Check the types of code of the output: pyrefly for Python, `tsc` for JavaScript. It is not run.

    Value:
        Pass when at most `max_issues` errors are found; with `count`, their number (lower is better). Code that does
        not parse fails.

    Missing when:
        There is no output, or the tool is not installed: pyrefly (extra `code`), or for JavaScript node and the npm
        package typescript; with `count`, when the code does not parse.

    Source:
        pyrefly, with its default rules; `tsc` with `checkJs`, which infers types and reads those of JSDoc, not strict.
        Packages other than the standard library are taken as unknown; comments that silence errors are ignored.

    Examples:
        >>> import asyncio
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator, score_trial
        >>> context = EvaluatorContext(output="def f(x: int) -> str:\n    return x")
        >>> score = asyncio.run(score_trial([load_evaluator("code_types")], context))[0]
        >>> score.value if score.error is None else False  # without pyrefly there is no value
        False
    """

    version: ClassVar[str] = "2"
    python_tool: ClassVar[str] = "pyrefly"
    packages: ClassVar[tuple[str, ...]] = TYPE_PACKAGES

    @override
    async def issues(self, code: str) -> list[Issue]:
        look = python_types if self.language == "python" else javascript_types
        return await look(code)
