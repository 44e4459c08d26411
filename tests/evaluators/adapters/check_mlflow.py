"""Runs in an environment with mlflow; see test_adapters.py."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from common import done, one, refused, score, set_trap

set_trap()

OWN = """
from mlflow.entities import AssessmentError, Feedback
from mlflow.genai import scorer
from mlflow.genai.judges import make_judge

@scorer
def polite(outputs, expectations):
    if outputs == "crash":
        raise RuntimeError("boom")
    if outputs == "none":
        return None
    if outputs == "error":
        return Feedback(name="polite", error=AssessmentError(error_code="X", error_message="the scorer broke"))
    return Feedback(name="polite", value=expectations["expected_response"] in outputs, rationale="looked for it")

@scorer
def two(outputs):
    return [Feedback(name="words", value=len(outputs.split())), Feedback(name="short", value=True, rationale="yes")]

judge = make_judge(name="j", instructions="Is {{ outputs }} good?", model="openai:/gpt-4o-mini")
plain = 3
"""


def main() -> None:
    hit = one({"mlflow": {"scorer": "RegexMatch", "args": {"pattern": "^A"}}}, output="Answer: 4")
    assert (hit.value, hit.name) == (True, "RegexMatch"), hit
    assert "matches" in hit.reason
    assert hit.version.startswith("1+mlflow-3."), hit.version
    assert one({"mlflow": {"scorer": "RegexMatch", "args": {"pattern": "^A"}}}, output="B").value is False
    leak = one({"mlflow": {"scorer": "PIIDetection"}}, output="me@example.org")
    assert (leak.value, "email" in leak.reason) == (False, True), leak
    assert one({"mlflow": {"scorer": "ResponseLength", "args": {"max_length": 3}}}, output="abcd").value is False

    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "own.py").write_text(OWN)
        own = {"mlflow": {"scorer": "own.py:polite"}}
        found = one(own, base_dir=folder, output="please wait", expected="please")
        assert (found.value, found.reason, found.name) == (True, "looked for it", "polite"), found
        for output, word in (("crash", "boom"), ("error", "the scorer broke"), ("none", "no value")):
            bad = one(own, base_dir=folder, output=output, expected="please")
            assert (bad.value, word in str(bad.error)) == (None, True), bad
        parts = {one.name: (one.value, one.reason) for one in score({"mlflow": {"scorer": "own.py:two"}},
                 base_dir=folder, output="a b")}  # fmt: skip
        assert parts == {"two.words": (2, None), "two.short": (True, "yes")}, parts
        refused({"mlflow": "own.py:judge"}, "past the gateway", "correctness", base_dir=folder)
        refused({"mlflow": "own.py:plain"}, "no function 'plain'", base_dir=folder)

    for name in ("Correctness", "Guidelines", "RetrievalGroundedness", "Safety"):
        refused({"mlflow": name}, name, "past the gateway")
    refused({"mlflow": {"scorer": "RegexMatch", "model": "openai/gpt-5-mini"}}, "has no option 'model'")
    refused({"mlflow": "mlflow.genai.scorers:Correctness"}, "past the gateway")
    refused({"mlflow": "RegexMtach"}, "did you mean 'RegexMatch'")
    refused({"mlflow": {"scorer": "RegexMatch", "args": {"pattern": "("}}}, "cannot be made with these `args`")
    done()


main()
