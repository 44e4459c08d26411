"""JavaScript answers: looked at by ESLint and the TypeScript compiler, and run by node."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from bakeoff.evaluators import EvaluatorContext, Score, load_evaluator, score_trial, tools_missing
from bakeoff.evaluators._protocol import CannotScoreError
from bakeoff.evaluators.code._javascript_tools import LINT_PACKAGES, TYPE_PACKAGES, find_packages
from bakeoff.evaluators.code._sandbox import sandbox_problem

TOOLS = Path(__file__).parents[1] / "javascript"
"""Where `make system` lays the npm packages."""

needs_tools = pytest.mark.skipif(
    shutil.which("node") is None or not (TOOLS / "node_modules" / "eslint").is_dir(),
    reason="node or the npm packages are missing; `make system` installs the packages where npm is",
)
needs_node = pytest.mark.skipif(sandbox_problem(None, "node") is not None, reason="no node in a sandbox here")
TESTS = "assert.strictEqual(add(2, 3), 5);"
ADD = "function add(a, b) { return a + b; }"


async def judged(spec: object, output: str, **trial: object) -> Score:
    (score,) = await score_trial([load_evaluator(spec)], EvaluatorContext(output=output, **trial))
    return score


async def stage(name: str, code: str, **options: object) -> Score:
    return await judged({name: {"language": "javascript", **options}}, code)


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(TOOLS)


# -- run ---------------------------------------------------------------------------------------------------------------


@needs_node
@pytest.mark.parametrize(
    ("code", "value", "told"),
    [
        (ADD, True, None),
        (f"#!/usr/bin/env node\n'use strict';\n{ADD}", True, None),
        (f"const assert = require('assert');\n{ADD}\nmodule.exports = {{ add }};", True, None),
        (f"{ADD}\nif (require.main === module) {{ process.exit(3); }}", True, None),
        ("export const add = (a, b) => a + b;", True, None),
        ("import assert from 'node:assert';\nexport default function add(a, b) { return a + b; }", True, None),
        ("const add = (a, b) => a + b;\nawait Promise.resolve(1);\nexport { add };", True, None),
        (f"{ADD}\nsetTimeout(() => console.log('later'), 20);", True, None),
        ("const add = (a, b) => a - b;", False, "-1 !== 5"),
        ("export const add = (a, b) => a - b;", False, "-1 !== 5"),
        ("function add() { return 0; }\nreturn;", False, "before the tests were through"),
        (f"{ADD}\nprocess.exit(0);", False, "before the tests were through"),
        (f"{ADD}\nJSON.parse('{{');", False, "SyntaxError"),
        ("import _ from 'lodash';\nexport const add = (a, b) => _.sum([a, b]);", False, "lodash"),
        ("function add(a: number, b: number) { return a + b; }", False, "SyntaxError"),
        ("export const add = (a, b => a + b;", False, "SyntaxError"),
    ],
)
async def test_scripts_and_modules_are_run(code: str, value: bool, told: str | None) -> None:
    score = await judged({"code_tests": {"language": "javascript"}}, code, expected=TESTS)
    assert score.value is value, score
    assert told is None or told in str(score.reason), score.reason


@needs_node
@pytest.mark.parametrize(
    ("tests", "value"),
    [
        ("import { ok } from 'node:assert';\nok(add(1, 1) === 2);", True),
        ("import { ok } from 'node:assert';\nok(add(1, 1) === 3);", False),
        ("const assert = require('node:assert');\nassert(add(1, 1) === 2);", True),
        ("Promise.resolve(add(1, 1)).then((sum) => assert(sum === 3));", False),
        ("const test = require('node:test');\ntest('sum', () => assert.equal(add(1, 1), 3));", False),
        ("const test = require('node:test');\ntest('sum', () => assert.equal(add(1, 1), 2));", True),
    ],
)
async def test_tests_of_every_form_count(tests: str, value: bool) -> None:
    score = await judged({"code_tests": {"language": "javascript"}}, f"```js\n{ADD}\n```", expected=tests)
    assert score.value is value, score


@needs_node
async def test_programs_may_be_modules() -> None:
    code = "import { readFileSync } from 'node:fs';\nconsole.log(Number(readFileSync(0, 'utf8')) * 2);"
    cases = [{"stdin": "4", "stdout": "8"}]
    assert (await judged({"code_output": {"language": "javascript"}}, code, expected=cases)).value is True


@needs_node
@pytest.mark.parametrize(
    ("code", "problem"),
    [
        (ADD, None),
        ("export const x = await fetch('x');", None),
        ("module.exports = 1; return;", None),
        ("let x = 1;\nconst y = ;", "line 2: SyntaxError: Unexpected token ';'"),
        ("import fs from 'fs';\nconst y = ;", "line 2: SyntaxError: Unexpected token ';'"),
        ("let x = 1; let x = 2;", "line 1: SyntaxError: Identifier 'x' has already been declared"),
    ],
)
async def test_syntax(code: str, problem: str | None) -> None:
    score = await stage("code_syntax", code)
    assert score.error is None
    assert (score.value, score.reason) == (problem is None, problem)


# -- look --------------------------------------------------------------------------------------------------------------

# Every rule is named with what its own documentation gives as incorrect code.
STYLE = [
    ("no-unused-vars", "function f() { const x = 1; }"),
    ("no-unused-vars", "import fs from 'fs';\nexport const x = 1;"),
    ("no-unused-vars", "const fs = require('fs');\nmodule.exports = 1;"),
    ("no-undef", "function f() { return nowhere; }"),
    ("no-dupe-keys", "const f = { bar: 'baz', bar: 'qux' };"),
    ("use-isnan", "function f(foo) { return foo == NaN; }"),
    ("no-unreachable", "function f() { return true; console.log('done'); }"),
    ("no-const-assign", "const a = 0; a = 1;"),
    ("no-cond-assign", "let x; if (x = 0) { x = 1; }"),
    ("no-fallthrough", "function f(foo) { switch (foo) { case 1: foo(); case 2: foo(); } }"),
]
SECURITY = [
    ("no-eval", "function f(x) { return eval(x); }", "high"),
    ("no-new-func", "const f = new Function('a', 'return a');", "high"),
    ("no-implied-eval", "setTimeout(\"alert('Hi!');\", 100);", "high"),
    ("no-script-url", "location.href = 'javascript:void(0)';", "medium"),
    ("security/detect-child-process", "require('child_process').exec(process.argv[2]);", "high"),
    ("security/detect-unsafe-regex", "const r = /(x+x+)+y/;", "medium"),
    ("security/detect-non-literal-regexp", "function f(x) { return new RegExp(x); }", "medium"),
    ("security/detect-object-injection", "function f(a, b) { a[b] = 1; }", "low"),
    ("no-unsanitized/property", "function f(a, b) { a.innerHTML = b; }", "high"),
    ("no-unsanitized/method", "function f(a, b) { a.insertAdjacentHTML('beforebegin', b); }", "high"),
    ("no-restricted-syntax", "const o = { rejectUnauthorized: false };", "high"),
    ("no-restricted-syntax", "process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';", "high"),
    ("no-restricted-syntax", "require('crypto').createHash('md5').update('x');", "high"),
]
TYPES = [
    ("TS2345", "/** @param {number} a */\nfunction f(a) { return a; }\nf('x');"),
    ("TS2339", "class A { constructor() { this.x = 1; } }\nnew A().y;"),
    ("TS2554", "export function f(a, b) { return a + b; }\nf(1, 2, 3);"),
    ("TS2304", "export const x = nowhere;"),
    ("TS2362", "const x = 'a' - 1;"),
]
CLEAN = [
    ADD,
    "export const add = (a, b) => a + b;",
    "const name = 'x';\nvar status = 3;\nfunction add(a, b) { return a + b; }",
    "const fs = require('fs');\nfs.readFileSync('a.txt', 'utf8').split('\\n').forEach((line) => console.log(line));",
    (
        "import express from 'express';\nconst app = express();\n"
        "app.get('/', (request, reply) => reply.send('Hello'));\n"
        "app.listen(3000);"
    ),
    (
        "class Stack {\n  #items = [];\n"
        "  push(item) { this.#items.push(item); }\n  get size() { return this.#items.length; }\n}\n"
        "module.exports = { Stack };"
    ),
    (
        "document.querySelector('#go').addEventListener('click', async () => {\n"
        "  const reply = await fetch('/api');\n  document.title = (await reply.json()).title;\n});"
    ),
    "function* count() { let i = 0; while (true) yield i++; }",
    (
        "const groups = new Map();\n"
        "for (const [key, value] of Object.entries({ a: 1 })) groups.set(key, value ?? 0);\n"
        "process.stdout.write(String(groups.size));"
    ),
]


@needs_tools
@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize(("rule", "code"), STYLE)
async def test_style(rule: str, code: str) -> None:
    score = await stage("code_style", f"{code}  // eslint-disable-line\n")
    assert score.value is False
    assert rule in score.details["rules"], score


@needs_tools
@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize(("rule", "code", "severity"), SECURITY)
async def test_security(rule: str, code: str, severity: str) -> None:
    order = ["low", "medium", "high"]
    code = f"/* eslint-disable */\n{code}"
    score = await stage("code_security", code, severity=severity)
    assert score.value is False
    assert rule in score.details["rules"], score
    for worse in order[order.index(severity) + 1 :]:
        milder = await stage("code_security", code, severity=worse)
        assert rule not in milder.details["rules"], (worse, milder)


@needs_tools
@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize(("rule", "code"), TYPES)
async def test_types(rule: str, code: str) -> None:
    score = await stage("code_types", f"// @ts-nocheck\n// @ts-ignore\n{code}\n")
    assert score.value is False
    assert rule in score.details["rules"], score


@needs_tools
@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize("code", CLEAN)
async def test_clean_code_of_many_kinds_passes(code: str) -> None:
    for name in ("code_style", "code_security", "code_types"):
        score = await stage(name, code)
        assert score.value is True, (name, score)


@needs_tools
@pytest.mark.usefixtures("tools")
async def test_rules_can_be_named_and_counted() -> None:
    code = "var a = 1;\nif (a == 2) { a = 3; }\nconsole.log(a);\n"
    assert (await stage("code_style", code)).value is True
    counted = await stage("code_style", code, select=["eqeqeq", "no-var"], count=True)
    assert counted.value == 2
    assert "eslint 10." in counted.version
    unknown = await stage("code_style", code, select=["no-such-rule"])
    assert unknown.value is None
    assert 'eslint has no rule "no-such-rule"' in str(unknown.error)
    broken = await stage("code_style", "const x = ;", count=True)
    assert broken.value is None
    assert (await stage("code_types", "const x = ;")).value is False


@needs_tools
async def test_a_configuration_of_the_project_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "node_modules").symlink_to(TOOLS / "node_modules")
    (tmp_path / "eslint.config.mjs").write_text("export default [{ ignores: ['**'] }];")
    (tmp_path / "tsconfig.json").write_text(json.dumps({"compilerOptions": {"checkJs": False}}))
    monkeypatch.chdir(tmp_path)
    assert (await stage("code_style", "function f() { const x = 1; }")).value is False
    assert (await stage("code_types", "const x = 'a' - 1;")).value is False


@needs_tools
@pytest.mark.usefixtures("tools")
async def test_references_in_code_read_no_file(tmp_path: Path) -> None:
    other = tmp_path / "other.d.ts"
    other.write_text("declare const secret: { key: 'abc' };\n")
    code = f'/// <reference path="{other}" />\nimport "{other}";\nexport const x = secret;\n'
    score = await stage("code_types", code)
    assert "TS2304" in score.details["rules"], score  # `secret` stays unknown


@needs_tools
@needs_node
@pytest.mark.usefixtures("tools")
async def test_the_mesh() -> None:
    mesh = load_evaluator({"code_mesh": "javascript"})
    assert tools_missing(mesh) == []
    good = await score_trial([mesh], EvaluatorContext(output=f"```js\n{ADD}\n```", expected=TESTS))
    assert [score.value for score in good] == [True, True, True, True, True, 1.0]
    sly = "function add(a, b) { const x = 1; return eval(`${a}+${b}`); }"
    values = [one.value for one in await score_trial([mesh], EvaluatorContext(output=sly, expected=TESTS))]
    assert values == [True, False, False, True, True, pytest.approx(3 / 5)]  # style: `x`; security: eval
    python = await score_trial([mesh], EvaluatorContext(output="def add(a, b):\n    return a + b", expected=TESTS))
    assert python[-1].value == 0


# -- what is missing ---------------------------------------------------------------------------------------------------


async def test_missing_packages_are_told_before_and_never_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    (problem,) = tools_missing(load_evaluator({"all": ["json_valid", {"code_style": {"language": "javascript"}}]}))
    assert problem.startswith("node is not installed\n    fix: ")
    score = await stage("code_style", ADD)
    assert (score.value, "node is not installed" in str(score.error)) == (None, True)
    with pytest.raises(CannotScoreError, match=r"npm install --global eslint@10 .*globals@17"):
        find_packages(LINT_PACKAGES)
    for name in ("eslint", "node"):
        (programs / name).touch(mode=0o755)
    kept = tmp_path / "lib" / "node_modules"  # where npm keeps global packages: beside bin, in lib
    (kept / "typescript").mkdir(parents=True)
    (kept / "typescript" / "package.json").write_text("{}")
    assert find_packages(TYPE_PACKAGES) == kept


def test_the_mesh_says_which_stages_are_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    mesh = load_evaluator({"code_mesh": {"language": "javascript", "stages": ["style", "security", "types"]}})
    (problem,) = tools_missing(mesh)
    assert problem.startswith("style and security and types: node is not installed\n    fix: apt-get install nodejs")
