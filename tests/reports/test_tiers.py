"""The report on cascades and routers: against sums over the trials, made a second time."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

import bakeoff
from bakeoff.agents import choice_regret, fit_router
from bakeoff.experiments import LocalStore, analyse
from bakeoff.reports._tiers import read_choosing

ROWS = [{"id": str(n), "question": f"What is {n} + {n}?", "expected": str(2 * n)} for n in range(60)]


@pytest.fixture
def result(store: LocalStore, tmp_path: Path) -> bakeoff.RunResult:
    texts = [one["question"] for one in ROWS]
    fit_router(texts, {"small": [float(n % 2) for n in range(60)], "large": [0.4] * 60}).save(tmp_path / "router.json")
    cascade = {"tiers": [
        {"model": "small", "accept": {"by": "consistency", "samples": 3, "threshold": 0.9}}, {"model": "large"},
    ]}  # fmt: skip
    path = tmp_path / "experiment.yaml"
    spec: dict[str, Any] = {
        "name": "choosing", "dataset": {"rows": ROWS}, "models": {"small": "sim/small", "large": "sim/large"},
        "targets": {
            name: {"agent": {"prompt": "{{ question }}", **agent}}
            for name, agent in {
                "small": {"model": "small"}, "large": {"model": "large"}, "cascade": cascade,
                "rules": {"model": "large", "route": [
                    {"when": "question | length < 15", "model": "small"}, {"model": "large"},
                ]},
                "router": {"router": "router.json"},
            }.items()
        },
        "variants": {name: {"target": name} for name in ("small", "large", "cascade", "rules", "router")},
        "evaluators": ["exact_match"], "mlflow": False,
    }  # fmt: skip
    path.write_text(json.dumps(spec))  # JSON is YAML
    return bakeoff.run(path, store=store.paths.root)


def test_the_report_says_which_model_answered_and_what_choosing_was_worth(
    result: bakeoff.RunResult, store: LocalStore, tmp_path: Path
) -> None:
    analysis = analyse(store, result.manifest.run_id)
    found = {one.variant: one for one in read_choosing(store, analysis)}
    assert sorted(found) == ["cascade", "router", "rules"]
    frame = result.to_frame()
    trials = store.trials(result.manifest.run_id).to_pylist()
    right = {(row.variant, row.item_id): float(row.exact_match) for row in frame.itertuples()}

    # By tier: counted from the traces themselves.
    for name, key in (("cascade", "tier_model"), ("rules", "routed_to"), ("router", "routed_to")):
        counted: dict[str, list[tuple[float, float]]] = {}
        for row in trials:
            if row["variant"] == name:
                step = next(span for span in json.loads(row["trace"]) if span["kind"] == "step")
                counted.setdefault(step[key], []).append((right[name, row["item_id"]], row["cost_usd"]))
        assert {one.model for one in found[name].tiers} == set(counted)
        assert len(counted) == 2, "both models had work to do"
        for one in found[name].tiers:
            scores, costs = zip(*counted[one.model], strict=True)
            assert (one.trials, one.share) == (len(scores), len(scores) / 60)
            assert one.score == pytest.approx(np.mean(scores))
            assert one.cost_usd == pytest.approx(np.mean(costs))
            assert (one.tier is None) == (name != "cascade")

    # Regret: one of two fixed variants is so much better that it is chosen in every fold, so the plain paired
    # difference is the answer; the interval is SciPy's.
    means = {name: np.mean([right[name, row["id"]] for row in ROWS]) for name in ("small", "large")}
    assert means["large"] - means["small"] > 0.15
    for name, one in found.items():
        difference = np.array([right["large", row["id"]] - right[name, row["id"]] for row in ROWS])
        low, high = stats.ttest_1samp(difference, 0).confidence_interval(0.95)
        assert one.regret is not None
        assert one.regret.best_fixed == "large"
        assert (one.regret.regret, one.regret.low, one.regret.high) == pytest.approx((difference.mean(), low, high))
    assert found["cascade"].fitted == ()
    assert len(found["router"].fitted) == 1
    assert found["router"].fitted[0].startswith("Routing ")

    page = result.report(tmp_path / "r.html").read_text()
    part = page[page.index("Which model answered") :]
    for one in found.values():
        assert one.regret is not None
        assert one.regret.sentence.replace("'", "&#x27;") in part
    assert re.search(r"<td>answer</td><td class=n>1</td><td>sim/large</td>", part)
    assert "<td class=n>routed</td><td>sim/small</td>" in part
    assert "When it was fitted: Routing" in part


def test_a_run_without_such_agents_has_no_such_section(store: LocalStore, tmp_path: Path) -> None:
    done = bakeoff.evaluate(
        ROWS[:12], {"a": lambda question: question, "b": lambda question: "2"}, ["length"], store=store.paths.root
    )
    assert "Which model answered" not in done.report(tmp_path / "r.html").read_text()


def test_the_best_of_many_is_not_chosen_on_the_items_that_it_is_held_against() -> None:
    """20 fixed variants of pure noise, all as good as the one that chooses: the regret is zero on average.

    Chosen on the same items, the best of 20 would look better by 1.87 standard errors (expected maximum of 20 normal
    values, Harter 1961).
    """
    dice = np.random.default_rng(3)
    found: list[float] = []
    naive: list[float] = []
    for _ in range(200):
        values = dice.normal(size=(21, 50))
        maps = [dict(zip(map(str, range(50)), row, strict=True)) for row in values]
        fixed = {str(n): one for n, one in enumerate(maps[1:])}
        found.append(choice_regret(maps[0], fixed).regret)
        naive.append(values[1:].mean(axis=1).max() - values[0].mean())
    error = 1 / math.sqrt(50)
    assert abs(np.mean(found)) < 3 * error * math.sqrt(2) / math.sqrt(200)
    assert np.mean(naive) == pytest.approx(1.87 * error, abs=3 * error / math.sqrt(200) * 1.3)


def test_a_regret_that_cannot_be_told_says_why() -> None:
    values = {str(n): 1.0 for n in range(9)}
    few = choice_regret(values, {"a": values})
    assert math.isnan(few.regret)
    assert "9 items have a value for all variants" in few.sentence
    assert "no variant of the run does without choosing" in choice_regret(values, {}).sentence
    gaps = {str(n): math.nan if n < 5 else 1.0 for n in range(30)}
    assert choice_regret({str(n): 1.0 for n in range(30)}, {"a": gaps}).n_items == 25
