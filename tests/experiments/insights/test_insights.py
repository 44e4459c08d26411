"""What a run says beyond its verdicts: effects of factors, reliability over k answers, noise, items."""

from __future__ import annotations

import json
import random
from itertools import product
from math import comb
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bakeoff.experiments import Insights, LocalStore, execute, insights, load_experiment

if TYPE_CHECKING:
    from pathlib import Path

LEVELS = {"style": ["plain", "long"], "size": ["small", "large", "huge"]}


async def looked(store: LocalStore, answers: dict[str, list[Any]], **spec: Any) -> Insights:
    n = len(next(iter(answers.values())))
    rows = [
        {"id": f"i{i}", "q": "x", "expected": "1", **{name: given[i] for name, given in answers.items()}}
        for i in range(n)
    ]
    content = {
        "name": "behind",
        "dataset": {"rows": rows, "inputs": ["q"]},
        "targets": {name: {"recorded": name} for name in answers},
        "evaluators": ["exact_match"],
        "mlflow": False,
        **spec,
    }
    manifest = await execute(load_experiment(content, cache_dir=store.paths.datasets), store=store.paths)
    return insights(store, manifest.run_id)


def cells(n: int, gain: dict[tuple[str, str], float]) -> dict[tuple[str, str], list[str]]:
    rng = random.Random(4)
    ease = [rng.uniform(-0.2, 0.2) for _ in range(n)]
    return {cell: [str(int(rng.random() < 0.4 + ease[i] + more)) for i in range(n)] for cell, more in gain.items()}


TARGET = "def answer(style, size, **columns):\n    return columns[f'{style}_{size}']\n"


async def factorial(store: LocalStore, folder: Path, scores: dict[tuple[str, str], list[str]], **spec: Any) -> Insights:
    (folder / "t.py").write_text(TARGET)
    n = len(next(iter(scores.values())))
    columns = {f"{style}_{size}": given for (style, size), given in scores.items()}
    rows = [{"id": f"i{i}", "expected": "1", **{name: given[i] for name, given in columns.items()}} for i in range(n)]
    content = {
        "name": "cross",
        "dataset": {"rows": rows, "inputs": list(columns)},
        "targets": {"t": {"python": f"{folder / 't.py'}:answer"}},
        "evaluators": ["exact_match"],
        "mlflow": False,
        **spec,
    }
    manifest = await execute(load_experiment(content, cache_dir=store.paths.datasets), store=store.paths)
    return insights(store, manifest.run_id)


GAIN = {(p, m): 0.2 * (p == "long") + 0.25 * (m == "large") for p, m in product(*LEVELS.values())}


async def test_the_full_cross_gives_main_effects_and_interactions(store: LocalStore, tmp_path: Path) -> None:
    """Main effects by hand: a difference of means of cells; the t interval of scipy on item-level contrasts."""
    from scipy import stats

    scores = cells(150, GAIN)
    found = await factorial(store, tmp_path, scores, factors=LEVELS)
    assert found.effects is not None
    assert [effect.name for effect in found.effects.effects] == ["style", "size", "style x size"]
    value = {cell: np.array(given, dtype=float) for cell, given in scores.items()}
    long, plain = (np.mean([value[p, m] for m in LEVELS["size"]], axis=0) for p in ("long", "plain"))
    (contrast,) = found.effects.get("style").contrasts
    expected = stats.ttest_rel(long, plain).confidence_interval()
    assert contrast.estimate == pytest.approx((long - plain).mean())
    assert (contrast.low, contrast.high) == pytest.approx((expected.low, expected.high))
    assert [c.label for c in found.effects.get("size").contrasts] == ["size: large - small", "size: huge - small"]
    assert found.effects.get("style").p_adjusted < 0.01
    assert found.effects.get("style", "size").p_adjusted > 0.05


async def test_a_cross_with_cells_left_out_is_fitted(store: LocalStore, tmp_path: Path) -> None:
    scores = cells(150, GAIN)
    found = await factorial(store, tmp_path, scores, factors=LEVELS, exclude=[{"style": "long", "size": "huge"}])
    assert found.effects is not None
    assert "gee" in found.effects.method
    assert found.effects.get("style").p_value < 0.05


async def test_one_factor_has_no_effects_beside_its_comparisons(store: LocalStore) -> None:
    found = await looked(store, {"a": ["1"] * 20, "b": ["1", "0"] * 10})
    assert found.effects is None


async def test_pass_at_k_is_the_unbiased_estimator(store: LocalStore) -> None:
    """Chen et al. (2021), arXiv:2107.03374: 1 - C(n - c, k) / C(n, k), averaged over items."""
    rng = random.Random(6)
    given = [[str(int(rng.random() < 0.4)) for _ in range(4)] for _ in range(25)]
    found = await looked(store, {"a": given, "b": [["1", "0", "1", "1"]] * 25}, repeats=4)
    (curves, _) = found.passes
    for k in range(1, 5):
        right = [answers.count("1") for answers in given]
        assert curves.any_of_k[k - 1].estimate == pytest.approx(
            np.mean([1 - comb(4 - c, k) / comb(4, k) for c in right])
        )
        assert curves.all_of_k[k - 1].estimate == pytest.approx(np.mean([comb(c, k) / comb(4, k) for c in right]))
    assert found.noise is not None
    assert any(sentence.startswith("Noise of the difference of b and a") for sentence in found.sentences)


async def test_samples_of_an_item_that_disagree_are_told(store: LocalStore) -> None:
    mixed = [["1", "0", "1"]] * 3 + [["1", "1", "1"]] * 5 + [["0", "0", "0"]] * 2
    found = await looked(store, {"a": mixed, "b": [["1"] * 3] * 10}, repeats=3)
    said = "Of 3 answers to the same item some are right and some wrong: with a on 30% of the items."
    assert said in found.sentences
    steady = await looked(store, {"a": [["1"] * 3] * 10, "b": [["0"] * 3] * 10}, repeats=3)
    assert not [sentence for sentence in steady.sentences if sentence.startswith("Of 3 answers")]


async def test_any_metric_can_be_looked_behind(store: LocalStore) -> None:
    given = [["1", "x1", "2"]] * 10  # 1 of 3 is the answer, 2 of 3 hold it
    found = await looked(
        store, {"a": given, "b": given}, repeats=3, evaluators=["exact_match", {"contains": {"name": "held"}}]
    )
    assert (found.metric, found.passes[0].any_of_k[0].estimate) == ("exact_match", pytest.approx(1 / 3))
    other = insights(store, found.run_id, metric="held")
    assert (other.metric, other.passes[0].any_of_k[0].estimate) == ("held", pytest.approx(2 / 3))


async def test_items_that_cannot_tell_variants_apart_are_counted(store: LocalStore) -> None:
    rng = random.Random(7)
    random_part = [[str(rng.randrange(2)) for _ in range(15)] for _ in range(3)]
    found = await looked(store, {f"v{i}": ["1"] * 15 + random_part[i] for i in range(3)})
    dead = {f"i{k}" for k in range(15)} | {
        f"i{15 + k}" for k in range(15) if len({part[k] for part in random_part}) == 1
    }
    assert set(found.dead_items) == dead
    assert any(f"{len(dead)} of 30 items tell nothing" in sentence for sentence in found.sentences)
    assert found.best is not None
    assert found.best.low < found.best.naive.low
    assert any(f"is the best of 3: {100 * found.best.estimate:.1f}%" in sentence for sentence in found.sentences)


async def test_a_run_that_decided_along_the_way_has_no_plain_insights(store: LocalStore) -> None:
    rng = random.Random(8)
    answers = {name: [str(rng.randrange(2)) for _ in range(60)] for name in ("a", "b")}
    found = await looked(store, answers, allocation={"method": "sequential", "looks": 3})
    assert (found.effects, found.passes, found.noise) == (None, (), None)
    assert "need a finished run" in found.sentences[0]


async def test_everything_is_plain_json(store: LocalStore, tmp_path: Path) -> None:
    found = await factorial(store, tmp_path, cells(30, GAIN), factors=LEVELS, repeats=2)
    text = json.dumps(found.to_dict(), allow_nan=False)
    assert json.loads(text)["effects"]["means"][0]["cell"] == ["plain", "small"]


async def test_the_bayesian_reading_is_the_beta_posterior_of_discordant_items(store: LocalStore) -> None:
    """Beta(wins + 1/2, losses + 1/2) above 1/2, by scipy."""
    from scipy import stats

    a = ["1"] * 20 + ["0"] * 20
    b = ["1"] * 15 + ["0"] * 5 + ["1"] * 12 + ["0"] * 8
    found = await looked(store, {"a": a, "b": b})
    (entry,) = found.choice.probabilities
    assert entry.reading.p_better == pytest.approx(float(stats.beta(12.5, 5.5).sf(0.5)), abs=1e-9)
    assert any("better than a with probability" in sentence for sentence in found.sentences)
    turned = await looked(store, {"a": a, "b": b}, evaluators=[{"exact_match": {"not": True}}])
    assert turned.choice.probabilities[0].reading.p_better == pytest.approx(1 - entry.reading.p_better)


async def test_what_a_success_costs_and_the_cheapest_that_is_good_enough(store: LocalStore) -> None:
    """Cost per success by hand: everything spent over everything right."""
    spec = {
        "name": "cost",
        "dataset": {"rows": [{"id": f"i{i}", "q": f"{i}+{i}", "expected": str(2 * i)} for i in range(120)]},
        "prompts": {"p": "{{ q }}"},
        "models": {
            name: {"model": f"sim/{name}", "params": {"sim": {"time_scale": 0}}} for name in ("large", "medium")
        },
        "evaluators": ["contains"],
        "analysis": {"margin": 0.2},
        "mlflow": False,
    }
    manifest = await execute(load_experiment(spec, cache_dir=store.paths.datasets), store=store.paths)
    found = insights(store, manifest.run_id)
    cost = store.trials(manifest.run_id, ["variant", "cost_usd"]).to_pylist()
    score = store.scores(manifest.run_id, ["variant", "value"]).to_pylist()
    for name, estimate in found.choice.success_costs:
        spent = sum(row["cost_usd"] for row in cost if row["variant"] == name)
        right = sum(row["value"] for row in score if row["variant"] == name)
        assert estimate.estimate == pytest.approx(spent / right)
        assert estimate.low < estimate.estimate < estimate.high
    assert found.choice.cheapest is not None
    assert found.choice.cheapest.reason in found.sentences


async def test_missing_combinations_are_told_with_what_the_effects_rest_on(store: LocalStore, tmp_path: Path) -> None:
    """size helps the terse style and harms the long one; without long+huge an additive model would hide it."""
    (tmp_path / "own.py").write_text(
        "def answer(q, style='terse', size='small', act='alone'):\n"
        "    gain = {'small': 0, 'large': 4, 'huge': 4}[size]\n"
        "    return 'x' * (20 + int(q) % 7 + (gain if style == 'terse' or act == 'alone' else -gain))\n"
    )
    for act, begins in (("together", "Do not read the effects of single factors"), ("alone", "Some combinations were")):
        content = {
            "name": "cells",
            "dataset": {"rows": [{"id": str(i), "q": str(i)} for i in range(40)]},
            "targets": {"t": {"python": f"{tmp_path}/own.py:answer", "params": {"act": act}}},
            "factors": {"target": ["t"], "style": ["terse", "long"], "size": ["small", "large", "huge"]},
            "exclude": [{"style": "long", "size": "huge"}],
            "evaluators": [{"length": {"unit_of": "characters"}}],
            "mlflow": False,
        }
        manifest = await execute(load_experiment(content, cache_dir=store.paths.datasets), store=store.paths)
        assert any(sentence.startswith(begins) for sentence in insights(store, manifest.run_id).sentences), act
