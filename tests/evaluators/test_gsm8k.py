"""Real input: the recorded answers of four models on GSM8K, item by item."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bakeoff.evaluators import EvaluatorContext, load_evaluator, score_sync

DATA = Path(__file__).parents[2] / "../shared/data/gsm8k_model_solutions.jsonl"
FIGURES = {"6b_finetuning": 286, "6b_verification": 515, "175b_finetuning": 458, "175b_verification": 742}


@pytest.mark.skipif(not DATA.exists(), reason="the GSM8K answers are not part of the project")
@pytest.mark.parametrize("pattern", [r"A:\s*(-?[\d,.]+)", None], ids=["pattern", "last number"])
def test_numeric_agrees_with_the_published_judgement_on_every_item(pattern: str | None) -> None:
    rows = [json.loads(line) for line in DATA.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 1319
    numeric = load_evaluator({"numeric": {"pattern": pattern}})
    for model, right in FIGURES.items():
        values = [
            score_sync([numeric], EvaluatorContext(output=row[model]["solution"], expected=row["ground_truth"]))[
                0
            ].value
            for row in rows
        ]
        if pattern is not None:
            assert values == [row[model]["is_correct"] for row in rows]
            assert sum(map(bool, values)) == right
        else:  # without the pattern some unfinished answers are read, but none that is right is missed
            assert all(value for value, row in zip(values, rows, strict=True) if row[model]["is_correct"])
