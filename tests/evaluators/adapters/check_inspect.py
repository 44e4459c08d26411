"""Runs in an environment with inspect-ai; see test_adapters.py."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from common import MODEL, Judge, done, one, refused, score, set_trap, through_the_door

set_trap()

OWN = """
from inspect_ai.scorer import Score, Target, accuracy, mean, scorer

@scorer(metrics=[mean()])
def parts(scale: float = 1.0):
    async def judge(state, target: Target) -> Score:
        if state.output.completion == "crash":
            raise RuntimeError("boom")
        if state.output.completion == "unscored":
            return Score.unscored(reason="no_response")
        return Score(value={"length": len(state.output.completion) * scale, "right": "C"}, explanation="counted")
    return judge
"""


def main() -> None:
    trial = {"inputs": {"question": "2+2?"}, "output": "The answer is 4", "expected": "4"}
    found = one({"inspect": {"scorer": "includes"}}, **trial)
    assert (found.value, found.name) == (True, "includes"), found
    assert found.version.startswith("1+inspect-ai-0.3.285"), found.version
    assert one({"inspect": {"scorer": "includes"}}, **{**trial, "expected": "5"}).value is False
    assert one({"inspect": {"scorer": "includes", "values": "bounded"}}, **trial).value == 1.0
    assert one({"inspect": {"scorer": "match", "args": {"numeric": True}}}, **trial).value is True
    assert one({"inspect": {"scorer": "exact"}}, **{**trial, "expected": ["x", "The answer is 4"]}).value is True
    drawn = one({"inspect": {"scorer": "pattern", "args": {"pattern": r"answer is (\d)"}}}, **trial)
    assert (drawn.value, drawn.details["answer"]) == (True, "4"), drawn
    # SQuAD's F1: one of two words in common both ways, so precision, recall and F1 are 1/2.
    f1 = one({"inspect": {"scorer": "f1"}}, output="red house", expected="red horse")
    assert abs(f1.value - 0.5) < 1e-9, f1
    assert one({"inspect": {"scorer": "f1", "threshold": 0.4}}, output="red house", expected="red horse").value is True
    assert "target" in str(one({"inspect": {"scorer": "includes"}}, output="x").error)

    talk = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "2+2?"},
            {"role": "assistant", "content": "so: 4"}]  # fmt: skip
    history = {"scorer": "model_graded_qa", "model": MODEL, "args": {"include_history": True}}
    heard = Judge("GRADE: I")
    assert one({"inspect": history}, judge=heard, messages=talk, **trial).value is False
    assert "2+2?" in str(heard.asked[0]["messages"])

    good = through_the_door({"inspect": {"scorer": "model_graded_qa"}}, "It agrees.\nGRADE: C", **trial)
    assert good.value is True, good
    partial = {"scorer": "model_graded_qa", "model": MODEL, "args": {"partial_credit": True}}
    half = one({"inspect": {**partial, "values": "bounded"}}, judge=Judge("Half.\nGRADE: P"), **trial)
    assert half.value == 0.5, half
    torn = one({"inspect": partial}, judge=Judge("Half.\nGRADE: P"), **trial)
    assert (torn.value, "values: bounded" in str(torn.error)) == (None, True), torn
    silent = one({"inspect": {"scorer": "model_graded_qa", "model": MODEL}}, judge=Judge("I cannot say."), **trial)
    assert silent.value is None, silent
    assert "unscored" in str(silent.error), silent

    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "own.py").write_text(OWN)
        own = {"inspect": {"scorer": "own.py:parts", "args": {"scale": 2}}}
        values = {one.name: one.value for one in score(own, base_dir=folder, output="abc", expected="x")}
        assert values == {"parts.length": 6.0, "parts.right": True}, values
        for output, word in (("crash", "boom"), ("unscored", "no_response")):
            bad = one(own, base_dir=folder, output=output, expected="x")
            assert (bad.value, word in str(bad.error)) == (None, True), bad

    refused({"inspect": "inclodes"}, "did you mean 'includes'")
    refused({"inspect": "model_graded_qa"}, "name it with `model`")
    refused({"inspect": {"scorer": "includes", "args": {"case": 1}}}, "cannot be made with these `args`")
    done()


main()
