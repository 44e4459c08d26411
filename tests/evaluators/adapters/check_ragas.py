"""Runs in an environment with ragas; see test_adapters.py."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from common import EMBEDDER, MODEL, Judge, done, one, refused, set_trap, through_the_door

set_trap()
os.environ["OPENAI_API_KEY"] = "sk-of-the-environment"

OWN = """
from ragas.metrics import discrete_metric

@discrete_metric(name="tone", allowed_values=["warm", "cold"])
def tone(response: str, reference: str = ""):
    if response == "crash":
        raise RuntimeError("boom")
    return "warm" if "please" in response else "cold"
"""


def faithful(body):
    return (
        '{"statements": ["It is 4."]}'
        if "statement_str" not in str(body) and "verdict" not in str(body)
        else ('{"statements": [{"statement": "It is 4.", "reason": "said so", "verdict": 1}]}')
    )


def main() -> None:
    trial = {"inputs": {"question": "2+2?"}, "output": "It is 4.", "expected": "four"}
    same = one({"ragas": {"scorer": "ExactMatch"}}, output="4", expected="4")
    assert (same.value, same.name) == (1.0, "ExactMatch"), same
    assert same.version.startswith("1+ragas-0.4.3"), same.version
    assert one({"ragas": {"scorer": "ExactMatch"}}, output="4", expected="5").value == 0.0
    near = {"scorer": "NonLLMStringSimilarity", "args": {"distance_measure": "levenshtein"}}
    # kitten, sitting: distance 3 of 7.
    found = one({"ragas": near}, output="kitten", expected="sitting")
    assert abs(found.value - 4 / 7) < 1e-9, found
    bare = one({"ragas": {"scorer": "ExactMatch"}}, output="4")
    assert (bare.value, "needs `reference`" in str(bare.error)) == (None, True), bare
    assert one({"ragas": {"scorer": "StringPresence", "threshold": 1}}, output="it is 4", expected="4").value is True

    calls = [{"function": {"name": "search", "arguments": '{"q": "x"}'}}]
    messages = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "", "tool_calls": calls}]
    tools = {"scorer": "ToolCallF1", "fields": {"reference_tool_calls": "metadata.calls"}}
    wanted = {"calls": [{"name": "search", "arguments": {"q": "x"}}]}
    used = one({"ragas": tools}, output="", messages=messages, metadata=wanted)
    assert used.value == 1.0, used
    assert one({"ragas": tools}, output="", metadata=wanted).value is None

    passages = {"metadata": {"passages": ["2 plus 2 is 4."]}, **trial}
    spec = {"scorer": "Faithfulness", "fields": {"retrieved_contexts": "metadata.passages"}}
    good = through_the_door({"ragas": spec}, faithful, **passages)
    assert good.value == 1.0, good
    garbled = one({"ragas": {**spec, "model": MODEL}}, judge=Judge("no JSON"), **passages)
    assert garbled.value is None, garbled
    assert garbled.cost_usd > 0
    nothing = one({"ragas": {**spec, "model": MODEL}}, judge=Judge('{"statements": []}'), **passages)
    assert (nothing.value, nothing.error is None) == (None, False), nothing  # Ragas gives nan

    alike = one({"ragas": {"scorer": "SemanticSimilarity", "embedding_model": EMBEDDER}}, judge=(judge := Judge()),
                output="abc", expected="abc")  # fmt: skip
    assert abs(alike.value - 1) < 1e-6, alike
    assert {body["model"] for body in judge.asked} == {"text-embedding-3-small"}

    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "own.py").write_text(OWN)
        own = {"ragas": {"scorer": "own.py:tone"}}
        warm = one(own, base_dir=folder, output="yes please")
        assert (warm.value, warm.name) == ("warm", "tone"), warm
        crash = one(own, base_dir=folder, output="crash")
        assert (crash.value, "boom" in str(crash.error)) == (None, True), crash

    refused({"ragas": "Faithfullness"}, "did you mean 'Faithfulness'")
    refused({"ragas": "Faithfulness"}, "name it with `model`")
    refused({"ragas": {"scorer": "AnswerRelevancy", "model": MODEL}}, "name it with `embedding_model`")
    done()


main()
