"""Look at JavaScript without running it: ESLint for style and security, the TypeScript compiler for types.

The packages come from npm. They are looked for in `node_modules` of the working folder and the folders above it, then
among the global packages. No configuration of the working folder is read.
"""

from __future__ import annotations

import json
import re
import shutil
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakeoff.evaluators._protocol import CannotScoreError
from bakeoff.evaluators._redact import clean_text
from bakeoff.evaluators.code._tools import DoesNotParseError, Issue, in_folder, read_report, run_tool

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = [
    "LINT_PACKAGES",
    "SECURITY_PACKAGES",
    "TYPE_PACKAGES",
    "find_node",
    "find_packages",
    "javascript_security",
    "javascript_style",
    "javascript_types",
    "packages_version",
]

LINT_PACKAGES = ("eslint", "globals")
SECURITY_PACKAGES = (*LINT_PACKAGES, "eslint-plugin-no-unsanitized", "eslint-plugin-security")
TYPE_PACKAGES = ("typescript",)
_VERSIONS = {
    "eslint": "10",
    "eslint-plugin-no-unsanitized": "4",
    "eslint-plugin-security": "4",
    "globals": "17",
    "typescript": "7",
}
_DRIVER = Path(__file__).with_name("lint.cjs")
# Severity as bandit grades the like; a rule that is not named is medium.
_SEVERITY = {
    "no-eval": "high",
    "no-new-func": "high",
    "no-implied-eval": "high",
    "security/detect-eval-with-expression": "high",
    "security/detect-child-process": "high",
    "security/detect-bidi-characters": "high",
    "no-unsanitized/method": "high",
    "no-unsanitized/property": "high",
    "no-restricted-syntax": "high",
    "security/detect-object-injection": "low",
    "security/detect-possible-timing-attacks": "low",
    "security/detect-non-literal-fs-filename": "low",
    "security/detect-non-literal-require": "low",
}
_ORDER = ("low", "medium", "high")
# Node's own names; what packages hold is not known, and counts as anything.
_NODE_NAMES = """\
declare var require: any, module: any, exports: any, process: any, Buffer: any, global: any;
declare var __dirname: string, __filename: string;
declare function setImmediate(run: any, ...given: any[]): any;
declare function clearImmediate(which: any): void;
"""
_TSCONFIG: dict[str, Any] = {
    "compilerOptions": {
        "allowJs": True,
        "checkJs": True,
        "lib": ["esnext", "dom", "dom.iterable"],
        "module": "preserve",
        "moduleDetection": "force",
        "noEmit": True,
        "noResolve": True,  # nothing but the two files is read, whatever the code refers to
        "pretty": False,
        "skipLibCheck": True,
        "strict": False,
        "target": "esnext",
        "types": [],
    },
    "files": ["node.d.ts", "solution.js"],
}
_TSC_LINE = re.compile(r"solution\.js\((\d+),\d+\): error TS(\d+): (.*)")
_UNKNOWN_PACKAGE = frozenset({2307, 2580, 2591, 2732, 2792, 7016})
_SILENCER = re.compile(r"@ts-(?=nocheck|ignore|expect-error|check)")


def find_node() -> str:
    """Find node.

    Raises:
        CannotScoreError: It is not installed.
    """
    found = shutil.which("node")
    if found is None:
        raise CannotScoreError("node is not installed\n    fix: apt-get install nodejs npm, or https://nodejs.org")
    return found


def _folders() -> Iterator[Path]:
    here = Path.cwd()
    yield from (folder / "node_modules" for folder in (here, *here.parents))
    for name in ("eslint", "tsc", "node"):  # the global ones stand beside their programs, or in ../lib
        program = shutil.which(name)
        if program is not None:
            for parent in (Path(program), Path(program).resolve()):
                yield from (folder for folder in parent.parents if folder.name == "node_modules")
                yield parent.parent / "node_modules"
                yield parent.parent.parent / "lib" / "node_modules"


def find_packages(names: Sequence[str]) -> Path:
    """Find the folder of npm packages that holds all that are named.

    Raises:
        CannotScoreError: There is none.
    """
    for folder in _folders():
        if all((folder / name / "package.json").is_file() for name in names):
            return folder
    wanted = " ".join(f"{name}@{_VERSIONS[name]}" for name in names)
    raise CannotScoreError(
        f"npm packages are missing: {', '.join(names)} (looked in node_modules here and above, then globally)"
        f"\n    fix: npm install --global {wanted}"
    )


@lru_cache(maxsize=64)
def _package_version(folder: Path, name: str) -> str:
    return str(json.loads((folder / name / "package.json").read_text(encoding="utf-8")).get("version", ""))


def packages_version(names: Sequence[str]) -> str:
    """Give the versions of packages, as `eslint 10.15.0, globals 17.14.0`; empty when they are not installed."""
    try:
        folder = find_packages(names)
    except CannotScoreError:
        return ""
    return ", ".join(f"{name} {_package_version(folder, name)}" for name in names)


async def _lint(code: str, *, select: Sequence[str] = (), security: bool = False) -> list[Issue]:
    node = find_node()
    command = [node, str(_DRIVER), str(find_packages(SECURITY_PACKAGES if security else LINT_PACKAGES))]
    asked = json.dumps({"code": code, "select": list(select), "security": security})
    _, out, err = await run_tool(command, stdin=asked)
    report: dict[str, Any] = read_report("eslint", out, err)
    broken = report["fatal"]
    if broken is not None:
        told = str(broken["message"]).removeprefix("Parsing error: ")
        raise DoesNotParseError(f"line {broken['line']}: {clean_text(told, 200)}")
    return [Issue(str(one["rule"]), int(one["line"]), str(one["message"])) for one in report["messages"]]


async def javascript_style(code: str, select: Sequence[str] | None) -> list[Issue]:
    """Ask ESLint."""
    return await _lint(code, select=select or ("recommended",))


async def javascript_security(code: str, severity: str) -> list[Issue]:
    """Ask ESLint's security rules for issues of a severity, or worse."""
    least = _ORDER.index(severity)
    found = await _lint(code, security=True)
    return [one for one in found if _ORDER.index(_SEVERITY.get(one.rule, "medium")) >= least]


async def javascript_types(code: str) -> list[Issue]:
    """Ask the TypeScript compiler, which infers types and reads those of JSDoc."""
    node = find_node()
    compiler = find_packages(TYPE_PACKAGES) / "typescript" / "bin" / "tsc"
    files = {
        "solution.js": _SILENCER.sub("@ts_", code),
        "node.d.ts": _NODE_NAMES,
        "tsconfig.json": json.dumps(_TSCONFIG),
    }
    with in_folder(files) as folder:
        status, out, err = await run_tool([node, str(compiler), "-p", folder], cwd=folder)
    found = [Issue(f"TS{number}", int(line), told) for line, number, told in _TSC_LINE.findall(out)]
    if status != 0 and not found:
        told = (out.strip() or err.strip() or "no output").splitlines()[-1]
        raise CannotScoreError(f"tsc gave no report: {clean_text(told.replace(folder, ''), 200)}")
    broken = next((one for one in found if _is_syntax(one)), None)
    if broken is not None:
        raise DoesNotParseError(f"line {broken.line}: {clean_text(broken.message, 200)}")
    return [one for one in found if int(one.rule[2:]) not in _UNKNOWN_PACKAGE]


def _is_syntax(issue: Issue) -> bool:
    """Tell errors of the parser (TS1...), and types where JavaScript has none (TS80..), from errors of types."""
    number = int(issue.rule[2:])
    return 1000 <= number < 2000 or 8000 <= number < 8020
