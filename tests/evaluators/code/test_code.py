"""Code from outputs: HumanEval in the sandbox, cheats that must not pass, and the stages of the mesh."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import time
from pathlib import Path

import pytest

from bakeoff.evaluators import EvaluatorContext, Score, load_evaluator, score_trial
from bakeoff.evaluators.code import _tools
from bakeoff.evaluators.code._sandbox import sandbox_problem

DATA = Path(__file__).parents[3] / "../shared/data/HumanEval.jsonl.gz"
needs_sandbox = pytest.mark.skipif(
    sandbox_problem() is not None, reason="bubblewrap is not installed, so code is not run"
)
HUMANEVAL = {
    "code_tests": {
        "before": "inputs.prompt",
        "tests": "metadata.test",
        "after": "check({metadata.entry_point})",
        "extract": False,
    }
}


async def judged(spec: object, output: object, **trial: object) -> Score:
    scores = await score_trial([load_evaluator(spec)], EvaluatorContext(output=output, **trial))
    assert len(scores) == 1
    return scores[0]


def humaneval() -> list[dict[str, str]]:
    with gzip.open(DATA, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def trial(row: dict[str, str], body: str) -> EvaluatorContext:
    metadata = {"test": row["test"], "entry_point": row["entry_point"]}
    return EvaluatorContext(output=body, inputs={"prompt": row["prompt"]}, metadata=metadata)


@needs_sandbox
@pytest.mark.skipif(not DATA.exists(), reason="HumanEval is not part of the project")
@pytest.mark.slow
async def test_humaneval_solutions_pass_and_empty_or_wrong_bodies_fail() -> None:
    import asyncio

    evaluator = load_evaluator(HUMANEVAL)
    rows = humaneval()
    assert len(rows) == 164
    start = time.monotonic()

    async def values(bodies: list[str]) -> list[object]:
        jobs = (score_trial([evaluator], trial(row, body)) for row, body in zip(rows, bodies, strict=True))
        return [scores[0].value for scores in await asyncio.gather(*jobs)]

    assert await values([row["canonical_solution"] for row in rows]) == [True] * 164
    assert await values(["    pass\n"] * 164) == [False] * 164
    assert time.monotonic() - start < 60
    assert await values(["    return 'no such answer'\n"] * 164) == [False] * 164


TESTS = "assert add(2, 3) == 5\nassert add(-1, 1) == 0"


@needs_sandbox
@pytest.mark.parametrize(
    ("output", "value", "told"),
    [
        ("def add(a, b):\n    return a + b", True, None),
        ("Here you go:\n```python\ndef add(a, b):\n    return a + b\n```\nEnjoy!", True, None),
        ("```py\ndef add(a, b):\n    return a + b", True, None),
        ("def add(a, b):\n    return a - b", False, "AssertionError: assert add(2, 3) == 5"),
        ("def add(a, b):\n    return a + c", False, "NameError: name 'c' is not defined"),
        ("def add(a, b) return a + b", False, "SyntaxError"),
        ("import sys\nsys.exit(0)", False, "exit code 0"),
        ("import os\nos._exit(0)", False, "exit code 0"),
        ("print('passed'); print('OK')\nraise SystemExit", False, "exit code 0"),
        ("import atexit, os\natexit.register(lambda: os._exit(0))\n1/0", False, "ZeroDivisionError"),
        ("while True: pass", False, "did not finish within 1 s"),
        ("function add(a, b) { return a + b; }", False, "SyntaxError"),
        ("I would add the two numbers.", False, "SyntaxError"),
        ("", False, "there is no code"),
        ("def add(a, b):\n    return a + b\nif __name__ == '__main__':\n    print(add(int(input()), 1))", True, None),
        ("def add(a, b):\n    return a + b  # caf\u00e9 \ud800", True, None),
    ],
)
async def test_only_code_that_reaches_the_end_of_the_tests_passes(output: str, value: bool, told: str | None) -> None:
    limit_s = 1 if "while True" in output else 20
    score = await judged({"code_tests": {"timeout_s": limit_s}}, output, expected=TESTS)
    assert score.value is value, score
    assert told is None or told in str(score.reason)


@needs_sandbox
async def test_functions_named_test_are_called() -> None:
    tests = "def test_one():\n    assert add(1, 1) == 2\ndef test_two():\n    assert add(1, 1) == 3"
    assert (await judged("code_tests", "def add(a, b): return a + b", expected=tests)).value is False


@needs_sandbox
@pytest.mark.parametrize(
    ("output", "value"),
    [
        ("```js\nfunction add(a, b) { return a + b; }\n```", True),
        ("const add = (a, b) => a - b;", False),
        ("process.exit(0)", False),
        ("def add(a, b): return a + b", False),
    ],
)
async def test_javascript(output: str, value: bool) -> None:
    spec = {"code_tests": {"language": "javascript"}}
    score = await judged(spec, output, expected="assert.strictEqual(add(2, 3), 5);")
    assert score.value is value, score


@needs_sandbox
async def test_programs_are_judged_by_what_they_print() -> None:
    cases = [{"stdin": "2 3\n", "stdout": "5\n"}, {"input": "1 1", "output": "2"}, {"stdin": "0 x", "stdout": "error"}]
    program = "a, b = input().split()\nprint(int(a) + int(b), ' ')"
    score = await judged("code_output", program, expected=cases)
    assert score.value is False
    assert "case 3: ValueError" in str(score.reason)
    share = await judged({"code_output": "share"}, program, expected=cases)
    assert share.value == pytest.approx(2 / 3)
    assert (await judged("code_output", program, expected=cases[:2])).value is True


async def test_missing_tests_are_a_missing_score() -> None:
    score = await judged("code_tests", "x = 1")
    assert score.value is None
    assert "'expected'" in str(score.error)


@pytest.mark.parametrize(
    ("spec", "output", "value"),
    [
        ("code_syntax", "x = 1", True),
        ("code_syntax", "x = = 1", False),
        ("code_syntax", "x = '\\d'", True),
        ("code_syntax", "(" * 100_000, False),
        ("code_syntax", "x = 1\x00", False),
        ("code_style", "x = 1\n", True),
        ("code_style", "import os\n", False),
        ("code_style", "import os  # noqa\n", False),
        ("code_style", "# ruff: noqa\nimport os\n", False),
        ({"code_style": {"select": ["W"]}}, "import os\nx = 1 \n", False),
        ({"code_style": 1}, "import os\n", True),
        ({"code_style": {"count": True}}, "import os, sys\n", 3),
        ("code_style", "x = (", False),
        ("code_security", "x = 1", True),
        ("code_security", "eval(input())", False),
        ("code_security", "eval(input())  # nosec", False),
        ({"code_security": {"severity": "high"}}, "eval(input())", True),
        ("code_types", "def f(x: int) -> int:\n    return x\n", True),
        ("code_types", "def f(x: int) -> str:\n    return x\n", False),
        ("code_types", "def f(x: int) -> str:\n    return x  # type: ignore\n", False),
        ("code_types", "# pyrefly: ignore-errors\ndef f(x: int) -> str:\n    return x\n", False),
        ("code_types", "import numpy\nx: int = numpy.array([1])\n", True),
    ],
)
async def test_stages_look_without_running(spec: object, output: str, value: object) -> None:
    score = await judged(spec, output)
    assert score.value == value, score
    assert score.error is None


@needs_sandbox
async def test_javascript_syntax() -> None:
    assert (await judged({"code_syntax": "javascript"}, "const x = 1;")).value is True
    bad = await judged({"code_syntax": "javascript"}, "const x = ;")
    assert bad.value is False
    assert "SyntaxError" in str(bad.reason)


@needs_sandbox
async def test_the_mesh_gives_every_stage_and_their_consensus() -> None:
    mesh = load_evaluator("code_mesh")
    good = EvaluatorContext(output="def add(a: int, b: int) -> int:\n    return a + b\n", expected=TESTS)
    scores = await score_trial([mesh], good)
    assert {score.name: score.value for score in scores} == {
        **{f"code_mesh.{stage}": True for stage in ("syntax", "style", "security", "types", "run")},
        "code_mesh.consensus": 1.0,
    }
    odd = EvaluatorContext(output="import os\ndef add(a, b):\n    return eval(f'{a}-{b}')\n", expected=TESTS)
    values = {score.name.partition(".")[2]: score for score in await score_trial([mesh], odd)}
    assert values["consensus"].value == pytest.approx(2 / 5)
    assert values["consensus"].details == {"escalate": True}
    untested = await score_trial([mesh], EvaluatorContext(output="x = 1\n"))
    assert untested[4].value is None
    assert untested[5].value == 1.0
    assert re.match(r"4 of 4 stages", str(untested[5].reason))


async def test_a_tool_that_prints_without_end_does_not_hang_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_tools, "_TOOL_SECONDS", 0.3)
    asking = asyncio.create_task(_tools.run_tool(["yes"]))
    done, _ = await asyncio.wait({asking}, timeout=30)
    assert done, "it hangs"
    assert "yes did not finish within 0.3 s" in str(asking.exception())
