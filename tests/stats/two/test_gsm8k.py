"""The six pairwise comparisons of four real models on 1,319 real questions (Cobbe et al. 2021, arXiv:2110.14168)."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar as sm_mcnemar

from bakeoff.stats import adjust, compare, summarize

DATA = Path(__file__).parents[3] / "../shared/data/gsm8k_model_solutions.jsonl"
MODELS = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")


@pytest.fixture(scope="module")
def scores() -> dict[str, np.ndarray]:
    if not DATA.exists():
        pytest.skip(f"{DATA.name} is not available beside the repository")
    rows = [json.loads(line) for line in DATA.read_text(encoding="utf-8").splitlines()]
    return {model: np.array([float(row[model]["is_correct"]) for row in rows]) for model in MODELS}


def test_accuracies_are_those_of_the_paper(scores):
    # Cobbe et al. (2021), figures 2 and 5: 6B about 20% and 40%, 175B about 33% and 55%.
    for model, accuracy in zip(MODELS, (0.20, 0.39, 0.33, 0.56), strict=True):
        e = summarize(scores[model])
        assert e.n == 1319
        assert e.estimate == pytest.approx(accuracy, abs=0.03)


def test_six_comparisons(scores):
    pairs = list(combinations(MODELS, 2))
    differences = [compare(scores[a], scores[b]) for a, b in pairs]
    for (a, b), d in zip(pairs, differences, strict=True):
        x, y = scores[a], scores[b]
        square = [[int(((x == i) & (y == j)).sum()) for j in (1, 0)] for i in (1, 0)]
        exact = sm_mcnemar(square, exact=True).pvalue
        assert d.estimate == pytest.approx(x.mean() - y.mean())
        assert exact / 2.5 <= d.p_value <= exact
        assert d.low < x.mean() - y.mean() < d.high
        # Pairing pays: the same answers treated as unpaired give a wider interval.
        unpaired = compare(x, y, paired=False)
        assert d.high - d.low < unpaired.high - unpaired.low
    adjusted = adjust([d.p_value for d in differences])
    assert (adjusted < 0.01).all()
