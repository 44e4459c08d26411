"""Replay real answers in random order: does watching stop early, with the right verdict, and what does it save?

Four models on the 1,319 test questions of GSM8K (Cobbe et al. 2021, arXiv:2110.14168), one recorded answer each. The
figures in docs/statistics-sequential.md are these.
"""

from __future__ import annotations

import json
import re
from functools import cache
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from bakeoff.stats import PairedRace, RaceConfig, SequentialComparison, SequentialConfig, compare

ROOT = Path(__file__).parents[2]
DATA = ROOT / "../shared/data/gsm8k_model_solutions.jsonl"
GUIDE = ROOT / "docs/statistics-sequential.md"
MODELS = ("175b_verification", "6b_verification", "175b_finetuning", "6b_finetuning")
ORDERS, BATCH = 200, 20

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.exists(), reason=f"{DATA.name} is not available beside the repository"),
]


@cache
def passed() -> np.ndarray:
    """Shape (items, models)."""
    rows = [json.loads(line) for line in DATA.read_text(encoding="utf-8").splitlines()]
    return np.array([[float(row[model]["is_correct"]) for model in MODELS] for row in rows])


def shuffled(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).permutation(len(passed()))


@cache
def replay(first: str, second: str) -> tuple[tuple[int, str], ...]:
    """Items used and verdict of each order, the comparison watched every 20 items."""
    both = passed()[:, [MODELS.index(first), MODELS.index(second)]]
    outcomes = []
    for seed in range(ORDERS):
        a, b = both[shuffled(seed)].T
        comparison = SequentialComparison(SequentialConfig(planned_n=len(a)))
        result = comparison.result()
        for start in range(0, len(a), BATCH):
            result = comparison.update(a[start : start + BATCH], b[start : start + BATCH])
            if result.stop:
                break
        assert result.verdict is not None
        outcomes.append((result.n, result.verdict.word))
    return tuple(outcomes)


def truth(first: str, second: str) -> str:
    """What all 1,319 items say with the planned test."""
    verdict = compare(*(passed()[:, MODELS.index(name)] for name in (first, second))).verdict
    assert verdict is not None
    return verdict.word


@pytest.mark.parametrize(("first", "second"), list(combinations(MODELS, 2)))
def test_a_watched_comparison_never_stops_with_the_wrong_verdict(first: str, second: str) -> None:
    opposite = {"better": "worse", "worse": "better"}[truth(first, second)]
    assert opposite not in {word for _, word in replay(first, second)}


def test_five_clear_differences_stop_early() -> None:
    clear = [pair for pair in combinations(MODELS, 2) if pair != ("6b_verification", "175b_finetuning")]
    for pair in clear:
        used, words = zip(*replay(*pair), strict=True)
        assert set(words) == {truth(*pair)}, pair
        assert len(passed()) - np.mean(used) > 1_100, pair


@cache
def races() -> tuple[tuple[str | None, float, int], ...]:
    """Survivor, share of the trials saved, and items seen, for each order."""
    outcomes = []
    for seed in range(ORDERS):
        order = shuffled(seed)
        race = PairedRace(RaceConfig(variants=MODELS, planned_n=len(order)))
        result = race.result()
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            result = race.update({name: passed()[batch, MODELS.index(name)] for name in race.survivors})
            if result.stop:
                break
        outcomes.append((result.best, result.saved_share, result.n))
    return tuple(outcomes)


def test_a_race_of_four_keeps_the_best_model_and_saves_most_trials() -> None:
    best, saved, _ = zip(*races(), strict=True)
    assert set(best) == {"175b_verification"}
    assert np.mean(saved) > 0.9


def test_the_guide_prints_these_figures() -> None:
    guide = GUIDE.read_text(encoding="utf-8")
    names = {"175b_verification": "175B verification", "6b_verification": "6B verification",
             "175b_finetuning": "175B finetuning", "6b_finetuning": "6B finetuning"}  # fmt: skip
    for first, second in combinations(MODELS, 2):
        used, words = zip(*replay(first, second), strict=True)
        mean, decided = round(float(np.mean(used))), np.mean([word != "inconclusive" for word in words])
        row = next(line for line in guide.splitlines() if line.startswith(f"| {names[first]} – {names[second]} "))
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert cells[2:5] == [f"{mean:,}", f"{len(passed()) - mean:,}", f"{decided:.0%}"], row
    share = re.search(r"keeps the best one in all 200 orders and saves (\d+)%", " ".join(guide.split()))
    assert share is not None
    assert share[1] == f"{100 * np.mean([saved for _, saved, _ in races()]):.0f}"
