"""The sentence on who may be the best, where two procedures answer two questions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import bakeoff
from bakeoff.experiments import MetricAnalysis, tied_words


def three(store: Path) -> MetricAnalysis:
    rows = [{"id": str(k), "q": "q", "e": "1", "a": "1", "b": "1" if k % 2 else "0", "c": "0"} for k in range(40)]
    spec = {
        "name": "three",
        "dataset": {"rows": rows, "id": "id", "inputs": ["q"], "expected": "e"},
        "targets": {name: {"recorded": name} for name in "abc"},
        "evaluators": ["exact_match"],
        "mlflow": False,
    }
    return bakeoff.run(spec, store=store).analysis.metric()


def test_a_clear_winner(tmp_path: Path) -> None:
    metric = three(tmp_path)
    assert metric.tied == ("a",)
    assert tied_words(metric).endswith("a is the best.")
    assert tied_words(replace(metric, tied=())) == ""


def test_worse_beside_may_be_the_best_is_explained(tmp_path: Path) -> None:
    metric = three(tmp_path)
    assert {one.label for one in metric.comparisons} == {"worse"}, "b and c against a"
    said = tied_words(replace(metric, tied=("a", "b")))
    assert "the best one is among a, b." in said
    assert "b is worse than a" in said
    assert "c is worse" not in said, "c is not among those that may be the best"
    told = tuple(replace(one, label="inconclusive") for one in metric.comparisons)
    assert tied_words(replace(metric, tied=("a", "b"), comparisons=told)).endswith("among a, b.")
