"""The recorded answers of four models to 1,319 school-maths questions: known figures, end to end.

Source: openai/grade-school-math, `example_model_solutions.jsonl`, MIT (Cobbe et al. 2021, arXiv 2110.14168).
"""

from __future__ import annotations

import json
import time
from itertools import combinations
from math import comb, sqrt
from pathlib import Path

import pytest

import bakeoff
from bakeoff.experiments import LocalStore

MODELS = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
RIGHT = {"6b_finetuning": 286, "6b_verification": 515, "175b_finetuning": 458, "175b_verification": 742}
Z = 1.959963984540054

EXPERIMENT = r"""
name: gsm8k
dataset: {path: %s, inputs: [question], expected: ground_truth}
targets:
  6b_finetuning: {recorded: 6b_finetuning.solution}
  6b_verification: {recorded: 6b_verification.solution}
  175b_finetuning: {recorded: 175b_finetuning.solution}
  175b_verification: {recorded: 175b_verification.solution}
evaluators:
  - numeric: {name: correct, pattern: 'A:\s*(-?[\d,.]+)'}
analysis: {primary: correct, compare: all}
mlflow: false
"""


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> bakeoff.RunResult:
    data = Path(__file__).parents[2] / "shared" / "data" / "gsm8k_model_solutions.jsonl"
    if not data.exists():
        pytest.skip("the recorded GSM8K answers (gsm8k_model_solutions.jsonl) are not beside the checkout")
    folder = tmp_path_factory.mktemp("gsm8k")
    (folder / "experiment.yaml").write_text(EXPERIMENT % data)
    return bakeoff.run(folder / "experiment.yaml", store=folder / "store")


def verdicts(gsm8k: Path) -> dict[str, list[bool]]:
    rows = [json.loads(line) for line in gsm8k.read_text().splitlines()]
    return {model: [row[model]["is_correct"] for row in rows] for model in MODELS}


def test_accuracy_is_what_is_known(result: bakeoff.RunResult) -> None:
    board = result.leaderboard("correct")
    assert {name: round(board.loc[name, "correct"] * 1319) for name in MODELS} == RIGHT
    assert set(board["n_items"]) == {1319}
    assert set(board["n_missing"]) == {0}


def test_every_single_item_agrees_with_the_published_verdict(result: bakeoff.RunResult, gsm8k: Path) -> None:
    frame = result.to_frame()
    for model, expected in verdicts(gsm8k).items():
        found = frame[frame["variant"] == model].sort_values("item")["correct"].astype(bool).tolist()
        assert found == expected


def mcnemar_midp(b: int, c: int) -> float:
    """Fagerland, Lydersen and Laake (2013): twice the binomial tail, minus the point probability. Exact integers."""
    m, low = b + c, min(b, c)
    tail = sum(comb(m, k) for k in range(low + 1))
    return min(1.0, (2 * tail - comb(m, low)) / 2**m)


def bonett_price(b: int, c: int, n: int) -> tuple[float, float, float]:
    """Bonett and Price (2012): Wald on counts with one added to each discordant cell."""
    p12, p21 = (b + 1) / (n + 2), (c + 1) / (n + 2)
    half = Z * sqrt((p12 + p21 - (p12 - p21) ** 2) / (n + 2))
    return p12 - p21 - half, p12 - p21 + half, (b - c) / n


def test_all_six_comparisons_agree_with_independent_formulas(result: bakeoff.RunResult, gsm8k: Path) -> None:
    truth = verdicts(gsm8k)
    rows = {(row["candidate"], row["baseline"]): row for row in result.compare(metric="correct").to_dict("records")}
    assert len(rows) == 6
    raw: dict[tuple[str, str], float] = {}
    for baseline, candidate in combinations(MODELS, 2):
        row = rows[candidate, baseline]
        b = sum(x and not y for x, y in zip(truth[candidate], truth[baseline], strict=True))
        c = sum(y and not x for x, y in zip(truth[candidate], truth[baseline], strict=True))
        low, high, estimate = bonett_price(b, c, 1319)
        assert (row["improved"], row["regressed"]) == (b, c)
        assert row["difference"] == pytest.approx(estimate, abs=1e-12)
        assert row["low"] == pytest.approx(low, abs=1e-9)
        assert row["high"] == pytest.approx(high, abs=1e-9)
        assert row["p"] == pytest.approx(mcnemar_midp(b, c), rel=1e-9)
        assert (row["interval"], row["test"]) == ("bonett_price", "mcnemar_midp")
        raw[candidate, baseline] = row["p"]
    running = 0.0
    for rank, pair in enumerate(sorted(raw, key=lambda pair: raw[pair])):  # Holm (1979), step down
        running = max(running, min(1.0, raw[pair] * (6 - rank)))
        assert rows[pair]["p_adjusted"] == pytest.approx(running, rel=1e-9)
    assert rows["175b_finetuning", "6b_verification"]["verdict"] == "worse"
    assert sum(row["verdict"] == "better" for row in rows.values()) == 5


def test_the_best_is_told_from_the_others(result: bakeoff.RunResult) -> None:
    assert result.analysis.metric("correct").tied == ("175b_verification",)
    assert result.leaderboard()["tied_with_best"].tolist() == [True, False, False, False]


def test_scoring_and_analysis_are_quick(result: bakeoff.RunResult) -> None:
    """A generous multiple of the 2 s that are promised: this guards against a wrong order of magnitude."""
    assert result.manifest.seconds < 10
    started = time.process_time()
    bakeoff.RunResult(LocalStore(result.store.paths), result.run_id).analysis.to_dict()
    assert time.process_time() - started < 2


def test_the_report_is_one_file_that_loads_nothing(result: bakeoff.RunResult, tmp_path: Path) -> None:
    page = result.report(tmp_path / "report.html").read_text()
    assert "default-src 'none'" in page
    assert "175b_verification" in page
    for loading in ('src="http', "src='http", '<link rel="stylesheet"', "@import"):
        assert loading not in page
