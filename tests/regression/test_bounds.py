"""What a gate may not be sure of: one heavy item, one cluster, a handful of scores that happen to be equal."""

from __future__ import annotations

from math import isnan
from pathlib import Path

import numpy as np
import pytest
from scipy import stats as scipy_stats

from bakeoff.experiments import LocalStore
from bakeoff.regression import decide_gate, monitor
from bakeoff.regression._bounds import level_of, measure_gain
from tests.regression.support import run


def test_one_heavy_item_is_not_taken_for_items_that_are_all_equal() -> None:
    scores = np.random.default_rng(0).random((100, 1))
    scores[0] = 0.95
    heavy = np.r_[1000.0, np.ones(99)]
    for kind in ("bounded", "continuous"):
        found = level_of(scores, kind=kind, alpha=0.05, clusters=None, weights=heavy)
        assert isnan(found.low)
        assert found.reason == "no interval: one item or cluster has nearly all the weight"


@pytest.mark.parametrize("n", [2, 5, 60])
def test_a_few_equal_scores_in_0_to_1_are_no_certainty(n: int) -> None:
    """None of n deviates, so at most the Clopper-Pearson bound of 0 of n does (scipy), and each by its whole range."""
    found = level_of(np.full((n, 1), 0.9), kind="bounded", alpha=0.05, clusters=None, weights=None)
    share = scipy_stats.binomtest(0, n, alternative="less").proportion_ci(0.95).high
    assert found.low == pytest.approx(0.9 * (1 - share))
    assert found.high == pytest.approx(0.9 + 0.1 * share)


def test_a_price_that_is_always_the_same_is_that_price() -> None:
    found = level_of(np.full((5, 1), 0.002), kind="continuous", alpha=0.05, clusters=None, weights=None)
    assert found.low == found.high == pytest.approx(0.002)


def test_items_of_one_cluster_are_one_unit_where_nothing_changed() -> None:
    same = np.full((200, 1), 0.7)

    def gain(clusters: np.ndarray | None, weights: np.ndarray | None) -> float:
        return measure_gain(
            same, same, kind="bounded", alpha=0.05, higher_is_better=True, clusters=clusters, weights=weights
        ).low

    assert isnan(gain(np.zeros(200, dtype=np.int64), None))
    assert isnan(gain(None, np.r_[1e5, np.ones(199)]))
    assert gain(None, np.r_[300.0, np.ones(199)]) < -0.3, "two thirds of the weight on one item"
    assert gain(np.arange(200) // 10, None) < -0.05
    assert gain(None, None) > -0.03


def test_the_first_score_of_an_evaluator_with_several_decides(store: LocalStore, tmp_path: Path) -> None:
    """As in the analysis: a gate and a chart that name no metric are about `several.ok`."""
    (tmp_path / "own.py").write_text("import json\n\ndef several(output):\n    return json.loads(output)\n")
    rng = np.random.default_rng(0)
    for _ in range(4):
        rows = [
            {"id": str(i), "q": f"{i}", "out": f'{{"ok": {str(bool(value)).lower()}, "other": 0.5}}'}
            for i, value in enumerate(rng.random(80) < 0.8)
        ]
        spec = {
            "name": "parts",
            "dataset": {"rows": rows, "inputs": ["q"]},
            "targets": {"bot": {"recorded": "out"}},
            "evaluators": [{"python": f"{tmp_path / 'own.py'}:several"}],
            "gate": [{"at_least": 0.5}],
            "mlflow": False,
        }
        run_id = run(store, spec)
    assert store.manifest(run_id).primary == "several"
    (rule,) = decide_gate(store, run_id).rules
    assert (rule.metric, rule.outcome) == ("several.ok", "pass")
    assert [chart.metric for chart in monitor(store, "parts").charts] == ["several.ok"]
