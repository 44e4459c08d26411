"""Runs in an environment with deepeval; see test_adapters.py."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from common import MODEL, Judge, done, one, refused, set_trap, through_the_door

set_trap()
os.environ["OPENAI_API_KEY"] = "sk-of-the-environment"  # DeepEval would open a client of its own with it
os.environ["CONFIDENT_API_KEY"] = "confident_us_x"  # and upload traces with this one

OWN = """
from deepeval.metrics import BaseMetric

class Words(BaseMetric):
    def __init__(self, most: int = 3, threshold: float = 0.5):
        self.most, self.threshold = most, threshold
    async def a_measure(self, test_case, _show_indicator=True, **given):
        if test_case.actual_output == "crash":
            raise RuntimeError("boom")
        words = len(test_case.actual_output.split())
        self.score = None if test_case.actual_output == "skip" else float(words <= self.most)
        self.reason = f"{words} words"
        return self.score
    def measure(self, test_case, **given):
        raise NotImplementedError
"""


def relevancy(body):
    prompt = body["messages"][0]["content"]
    if "statements" in prompt and "verdicts" not in prompt and "reason" not in prompt[-400:]:
        return '{"statements": ["It is 4.", "I like cake."]}'
    if "verdict" in prompt[:3000] and '"verdicts"' in prompt:
        return '{"verdicts": [{"verdict": "yes"}, {"verdict": "no", "reason": "cake"}]}'
    if "statements" in prompt and '"statements"' in prompt:
        return '{"statements": ["It is 4.", "I like cake."]}'
    return '{"reason": "Half of it is about cake."}'


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path(".env").write_text("LEAKED_BY_DOTENV=1\n")
        trial = {"inputs": {"question": "2+2?"}, "output": "4", "expected": "4"}
        same = one({"deepeval": {"scorer": "ExactMatchMetric"}}, **trial)
        assert (same.value, same.name) == (1.0, "ExactMatchMetric"), same
        assert "exact" in same.reason
        assert same.version.startswith("1+deepeval-4.3.1"), same.version
        assert one({"deepeval": {"scorer": "ExactMatchMetric"}}, **{**trial, "output": "5"}).value == 0.0
        bare = one({"deepeval": {"scorer": "ExactMatchMetric"}}, inputs={"q": "?"}, output="4")
        assert (bare.value, "expected_output" in str(bare.error)) == (None, True), bare
        shape = {"scorer": "PatternMatchMetric", "args": {"pattern": "[0-9]+"}, "threshold": 0.5}
        assert one({"deepeval": shape}, **trial).value is True

        calls = [{"id": "1", "type": "function", "function": {"name": "search", "arguments": '{"q": "x"}'}}]
        tools = {
            "scorer": "ToolCorrectnessMetric",
            "fields": {"expected_tools": "metadata.tools"},
        }
        used = one({"deepeval": tools}, **trial, tool_calls=calls, metadata={"tools": ["search"]})
        assert used.value == 1.0, used
        wrong = one({"deepeval": tools}, **trial, tool_calls=calls, metadata={"tools": ["book"]})
        assert wrong.value == 0.0, wrong

        # Two statements, one of them relevant: 1/2 (DeepEval: relevant statements / all statements).
        good = through_the_door({"deepeval": {"scorer": "AnswerRelevancyMetric"}}, relevancy, **trial)
        assert (good.value, good.reason) == (0.5, "Half of it is about cake."), good
        geval = {"scorer": "GEval", "model": MODEL, "name": "tone",
                 "args": {"name": "Tone", "evaluation_steps": ["Is it KIND?"],
                          "evaluation_params": ["input", "actual_output"]}}  # fmt: skip
        judge = Judge('{"score": 7, "reason": "Kind enough."}')
        tone = one({"deepeval": geval}, judge=judge, **trial)
        assert (tone.name, tone.value, tone.reason) == ("tone", 0.7, "Kind enough."), tone
        assert "KIND" in str(judge.asked[0]["messages"])
        faithful = {"scorer": "FaithfulnessMetric", "model": MODEL,
                    "fields": {"retrieval_context": "metadata.passages"}}  # fmt: skip
        absent = one({"deepeval": faithful}, judge=(judge := Judge("{}")), **trial)
        assert (absent.value, judge.asked) == (None, []), absent
        talk = [{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4"},
                {"role": "user", "content": "3+3?"}, {"role": "assistant", "content": "cake"}]  # fmt: skip
        turns = {"scorer": "TurnRelevancyMetric", "model": MODEL}
        judge = Judge(
            lambda body: '{"verdict": "yes"}' if "verdict" in str(body)[-900:] else '{"reason": "All of it."}'
        )
        spoken = one({"deepeval": turns}, judge=judge, output="cake", messages=talk)
        assert spoken.value == 1.0, spoken
        assert "3+3?" in str(judge.asked)
        silent = one({"deepeval": turns}, judge=Judge("{}"), output="4")
        assert (silent.value, "no messages" in str(silent.error)) == (None, True), silent
        garbled = one(
            {"deepeval": {"scorer": "AnswerRelevancyMetric", "model": MODEL}}, judge=Judge("no JSON"), **trial
        )
        assert (garbled.value, garbled.cost_usd) == (None, 0.002), garbled
        # Without `model` it must not fall back on the key of the environment.
        nobody = one({"deepeval": {"scorer": "AnswerRelevancyMetric"}}, **trial)
        assert (nobody.value, "name it with `model`" in str(nobody.error)) == (None, True), nobody

        Path("own.py").write_text(OWN)
        own = {"deepeval": {"scorer": "own.py:Words", "args": {"most": 2}}}
        assert one(own, base_dir=folder, **trial).reason == "1 words"
        assert one(own, base_dir=folder, output="a b c").value == 0.0
        crash = one(own, base_dir=folder, output="crash")
        assert (crash.value, "boom" in str(crash.error)) == (None, True), crash
        assert one(own, base_dir=folder, output="skip").value is None

        refused({"deepeval": "AnswerRelevanceMetric"}, "did you mean 'AnswerRelevancyMetric'")
        refused({"deepeval": {"scorer": "ExactMatchMetric", "args": {"x": 1}}}, "cannot be made with these `args`")
        refused({"deepeval": {"scorer": "BiasMetric", "model": MODEL, "args": {"system_one_model": "x"}}}, "gateway")
        assert "LEAKED_BY_DOTENV" not in os.environ
        assert sorted(path.name for path in Path().iterdir() if path.name != "__pycache__") == [".env", "own.py"]
    done()


main()
