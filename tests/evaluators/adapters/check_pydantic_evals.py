"""Runs in an environment with pydantic-evals; see test_adapters.py."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from common import MODEL, Judge, done, one, refused, score, set_trap, through_the_door

set_trap()

OWN = """
from dataclasses import dataclass
import time
from pydantic_evals.evaluators import Evaluator, EvaluationReason, EvaluatorContext

@dataclass
class Shape(Evaluator):
    most: int = 3
    def evaluate(self, ctx: EvaluatorContext):
        if ctx.output == "crash":
            raise RuntimeError("boom")
        if ctx.output == "slow":
            time.sleep(0.5)
        words = len(ctx.output.split())
        return {"words": words, "short": EvaluationReason(value=words <= self.most, reason=f"{words} words")}
"""


def main() -> None:
    has = one({"pydantic_evals": {"scorer": "Contains", "args": {"value": "blue"}}}, output="a blue car")
    assert (has.value, has.name) == (True, "Contains"), has
    assert has.version.startswith("1+pydantic-evals-2.62.0"), has.version
    no = one({"pydantic_evals": {"scorer": "Contains", "args": {"value": "red"}}}, output="a blue car")
    assert no.value is False
    assert "does not contain" in no.reason
    turned = one({"pydantic_evals": {"scorer": "Contains", "args": {"value": "red"}, "not": True}}, output="a blue car")
    assert turned.value is True
    assert one({"pydantic_evals": {"scorer": "EqualsExpected"}}, output="4", expected="4").value is True
    assert one({"pydantic_evals": {"scorer": "EqualsExpected"}}, output="4").value is None
    assert one({"pydantic_evals": {"scorer": "MaxDuration", "args": {"seconds": 1}}}, output="", latency_ms=900).value
    assert one({"pydantic_evals": {"scorer": "MaxDuration", "args": {"seconds": 1}}}, output="").value is None
    refused({"pydantic_evals": {"scorer": "MaxToolCalls", "args": {"max_calls": 1}}}, "spans", "trajectory")

    trial = {"inputs": {"question": "2+2?"}, "output": "4", "expected": "four"}

    def reply(body):
        return {"reason": "It is right.", "pass": True, "score": 0.75}

    judge = {"pydantic_evals": {"scorer": "LLMJudge", "args": {"rubric": "Is it RIGHT?"}}}
    good = through_the_door(judge, reply, **trial)
    assert (good.value, good.reason, good.name) == (True, "It is right.", "LLMJudge"), good
    both = {"rubric": "Is it right?", "score": {"include_reason": True}, "assertion": {}, "include_input": True}
    asked = Judge(reply)
    found = {one.name: one.value for one in score(
        {"pydantic_evals": {"scorer": "LLMJudge", "model": MODEL, "args": both}}, judge=asked, **trial)}  # fmt: skip
    assert found == {"LLMJudge.LLMJudge_score": 0.75, "LLMJudge.LLMJudge_pass": True}, found
    assert "2+2?" in str(asked.asked[0]["messages"])
    garbled = one(
        {"pydantic_evals": {**judge["pydantic_evals"], "model": MODEL}}, judge=Judge("I would rather not"), **trial
    )
    assert garbled.value is None, garbled
    assert garbled.error

    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "own.py").write_text(OWN)
        own = {"pydantic_evals": {"scorer": "own.py:Shape", "args": {"most": 2}}}
        parts = {one.name: (one.value, one.reason) for one in score(own, base_dir=folder, output="one two three")}
        assert parts == {"Shape.words": (3, None), "Shape.short": (False, "3 words")}, parts
        crash = one(own, base_dir=folder, output="crash")
        assert (crash.value, "boom" in str(crash.error)) == (None, True), crash

    refused({"pydantic_evals": "Contians"}, "did you mean 'Contains'")
    refused({"pydantic_evals": {"scorer": "LLMJudge", "args": {"rubric": "x"}}}, "name it with `model`")
    refused(
        {"pydantic_evals": {"scorer": "Contains", "args": {"vlaue": 1}}}, "cannot be made with these `args`", "vlaue"
    )
    done()


main()
