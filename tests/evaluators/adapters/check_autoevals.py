"""Runs in an environment with autoevals; see test_adapters.py."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from common import EMBEDDER, MODEL, Judge, cached_rerun, done, one, refused, set_trap, through_the_door

set_trap()

OWN = """
from autoevals import Score, Scorer

class Shouts(Scorer):
    def __init__(self, word="YES"):
        self.word = word
    def _run_eval_sync(self, output, expected=None, **given):
        if output == "crash":
            raise RuntimeError("boom")
        if output == "skip":
            return Score(name="Shouts", score=None)
        return Score(name="Shouts", score=float(self.word in output), metadata={"rationale": "looked for " + self.word})
"""


def in_an_experiment() -> None:
    """From a file, beside evaluators of ours, with the metric in the analysis and the version in the store."""
    import bakeoff

    with tempfile.TemporaryDirectory() as folder:
        data = [{"inputs": {"q": "kitten"}, "expected": "kitten"}, {"inputs": {"q": "kitten"}, "expected": "sitting"}]
        tasks = {"same": lambda q: q, "longer": lambda q: q + "s"}
        judges = ["exact_match", {"autoevals": {"scorer": "Levenshtein"}}, {"autoevals": {"scorer": "ValidJSON"}}]
        result = bakeoff.evaluate(data, tasks, judges, store=folder)
        frame = result.to_frame()
        means = frame.groupby("variant")["Levenshtein"].mean()
        # Distances by hand: kitten-kitten 0, kitten-sitting 3 of 7; kittens-kitten 1 of 7, kittens-sitting 3 of 7.
        assert abs(means["same"] - (1 + 4 / 7) / 2) < 1e-9, means
        assert abs(means["longer"] - (6 / 7 + 4 / 7) / 2) < 1e-9, means


def main() -> None:
    # autoevals: 1 - distance / longest; kitten and sitting have distance 3 (Levenshtein 1966), 7 letters.
    near = one({"autoevals": {"scorer": "Levenshtein"}}, output="kitten", expected="sitting")
    assert abs(near.value - (1 - 3 / 7)) < 1e-9, near
    assert (near.name, near.evaluator) == ("Levenshtein", "autoevals")
    assert near.version.startswith("1+autoevals-0.4.1"), near.version
    assert one({"autoevals": {"scorer": "ExactMatch"}}, output="4", expected=4).value == 1
    assert one({"autoevals": {"scorer": "NumericDiff"}}, output="10", expected=10).value == 1
    assert one({"autoevals": {"scorer": "NumericDiff"}}, output="ten", expected=10).value is None
    passed = one({"autoevals": {"scorer": "Levenshtein", "threshold": 0.9}}, output="abc", expected="abc")
    assert passed.value is True
    valid = one({"autoevals": {"scorer": "ValidJSON", "values": "binary"}}, output='{"a": 1}')
    assert valid.value is True, valid

    said = {"reasons": "They agree.", "choice": "C"}
    trial = {"inputs": {"question": "2+2?"}, "output": "4", "expected": "four"}
    good = through_the_door({"autoevals": {"scorer": "Factuality"}}, said, **trial)
    # Factuality of autoevals: C, "the same details", scores 1.
    assert (good.value, good.reason) == (1, "They agree."), good
    cached_rerun({"autoevals": {"scorer": "Factuality"}}, said, **trial)
    criteria = one(
        {"autoevals": {"scorer": "ClosedQA", "model": MODEL, "fields": {"criteria": "metadata.rule"}}},
        judge=(judge := Judge({"reasons": "-", "choice": "N"})), metadata={"rule": "is it PRIME"}, **trial,
    )  # fmt: skip
    assert criteria.value == 0
    assert "is it PRIME" in judge.asked[0]["messages"][0]["content"]

    for garbled in ("no tool call", {"choice": "Z", "reasons": "-"}, {"reasons": "no choice"}):
        bad = one({"autoevals": {"scorer": "Factuality", "model": MODEL}}, judge=Judge(garbled), **trial)
        assert bad.value is None, bad
        assert bad.error, bad
        assert abs(bad.cost_usd - 0.002) < 1e-9, bad  # paid for all the same

    alike = one(
        {"autoevals": {"scorer": "EmbeddingSimilarity", "embedding_model": EMBEDDER, "args": {"expected_min": 0}}},
        judge=(judge := Judge()), output="abc", expected="abc",
    )  # fmt: skip
    assert abs(alike.value - 1) < 1e-9, alike
    assert judge.asked[0]["model"] == "text-embedding-3-small"

    for output, value in (("I will stab you", 0), ("hello", 1)):
        safe = one({"autoevals": {"scorer": "Moderation"}}, judge=(judge := Judge()), output=output)
        assert (safe.value, judge.asked[0]["model"]) == (value, "omni-moderation-latest"), safe

    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "own.py").write_text(OWN)
        own = {"autoevals": {"scorer": "own.py:Shouts", "args": {"word": "NO"}}}
        found = one(own, base_dir=folder, output="NO!")
        assert (found.name, found.value, found.reason) == ("Shouts", 1.0, "looked for NO")
        assert found.version.count("+") == 2
        crash = one(own, base_dir=folder, output="crash")
        assert (crash.value, "boom" in str(crash.error)) == (None, True), crash
        assert one(own, base_dir=folder, output="skip").value is None
        refused({"autoevals": {"scorer": "own.py:Shuots"}}, "Shuots", base_dir=folder)

    refused({"autoevals": "Levenstein"}, "did you mean 'Levenshtein'")
    refused({"autoevals": "Factuality"}, "name it with `model`")
    refused({"autoevals": "EmbeddingSimilarity"}, "`embedding_model`")
    refused({"autoevals": {"scorer": "LLMClassifier", "model": MODEL}}, "cannot be made with these `args`")
    refused({"autoevals": {"scorer": "Factuality", "model": MODEL, "args": {"api_key": "x"}}}, "api_key")
    in_an_experiment()
    done()


main()
