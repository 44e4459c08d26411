"""What a sceptical reader checks: verdict, counts, words and allocation must say the same thing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bakeoff.experiments import LocalStore, Manifest, analyse, execute, load_experiment
from tests.experiments.analysis.test_analysis import analysed
from tests.experiments.support import arithmetic

_EVALUATORS = """
import json

def passed(output):
    return output == "1"

def several(output):
    return json.loads(output)
"""


@pytest.fixture
def own(tmp_path: Path) -> str:
    """Give a file of evaluators as a user writes them: no kind and no direction declared."""
    (tmp_path / "own.py").write_text(_EVALUATORS)
    return str(tmp_path / "own.py")


def _several(quality: np.ndarray, harm: np.ndarray) -> list[str]:
    return [f'{{"ok": {str(bool(q)).lower()}, "harm": {h:.4f}}}' for q, h in zip(quality, harm, strict=True)]


async def test_what_was_declared_harm_is_never_called_better(store: LocalStore, own: str) -> None:
    rng = np.random.default_rng(1)
    columns = {
        "a": _several(rng.random(80) < 0.6, rng.normal(0.1, 0.02, 80)),
        "b": _several(rng.random(80) < 0.6, rng.normal(0.3, 0.02, 80)),
    }
    guards: list[Any] = [{"metric": "several.harm", "margin": 0.1, "harm": "higher"}]
    section = {"primary": "several.ok", "guardrails": guards}
    analysis = await analysed(store, columns, {"python": f"{own}:several"}, analysis=section)
    harm = analysis.metric("several.harm").comparisons[0]
    assert harm.label == "worse"
    assert (harm.improved, harm.regressed) == (0, 80)
    assert "b is worse than a" in harm.words
    ranked = sorted(analysis.metric("several.harm").scores, key=lambda row: row.rank)
    assert [row.variant for row in ranked] == ["a", "b"]


async def test_a_guardrail_that_nobody_measured_is_said(store: LocalStore, own: str) -> None:
    columns = {"a": ['{"ok": true}'] * 40, "b": ['{"ok": true}'] * 40}
    section: dict[str, Any] = {"primary": "several.ok", "guardrails": [{"metric": "several.toxcity", "margin": 0.1}]}
    analysis = await analysed(store, columns, {"python": f"{own}:several"}, analysis=section)
    assert "several.toxcity was never measured" in analysis.headline


async def test_the_analysis_stands_by_what_the_allocation_decided(store: LocalStore, own: str) -> None:
    """An evaluator of one's own declares no kind: the run stopped as `equivalent`, and the report says so too."""
    base = np.random.default_rng(7).random(600) < 0.6
    other = base.copy()
    other[:3] = ~other[:3]
    columns = {"a": [str(int(v)) for v in base], "b": [str(int(v)) for v in other]}
    analysis = await analysed(
        store, columns, {"python": f"{own}:passed"}, allocation={"method": "sequential"}, analysis={"margin": 0.05}
    )
    assert "b was decided (equivalent)" in analysis.allocation
    assert analysis.trials < analysis.planned_trials
    assert analysis.metric().comparisons[0].label == "equivalent"


async def test_counts_of_an_allocated_run_are_those_of_its_estimates(store: LocalStore) -> None:
    rng = np.random.default_rng(7)
    columns = {
        "a": [str(int(v)) for v in rng.random(600) < 0.4],
        "b": [str(int(v)) for v in rng.random(600) < 0.8],
    }
    analysis = await analysed(store, columns, "exact_match", allocation={"method": "sequential", "confirm": 0.3})
    row = analysis.metric().comparisons[0]
    assert row.improved + row.regressed + row.same == row.difference.n_items < 420
    assert {score.n_items for score in analysis.metric().scores} == {row.difference.n_items}
    assert analysis.confirmation is not None
    assert analysis.confirmation.words.startswith("On the 180 items held out to confirm the choice: b is better")
    assert analysis.correction == "bonferroni"
    assert "always valid" in analysis.methods
    assert "Holm" not in analysis.methods


async def test_scores_that_only_one_side_lost_shake_the_headline(store: LocalStore) -> None:
    """One side fails on two fifths of the items: `equivalent` on what is left is no answer."""
    rng = np.random.default_rng(3)
    base = [str(int(v)) for v in rng.random(300) < 0.6]
    lossy: list[str | None] = [None if v == "0" else v for v in base]
    analysis = await analysed(store, {"a": base, "b": lossy}, "exact_match", analysis={"margin": 0.05})
    assert analysis.metric().comparisons[0].label == "equivalent"
    assert "Scores missing on one side could overturn this for b." in analysis.headline
    whole = await analysed(store, {"a": base, "b": base}, "exact_match", analysis={"margin": 0.05})
    assert "overturn" not in whole.headline


async def test_lost_repeats_widen_what_the_missing_scores_could_change(store: LocalStore) -> None:
    rng = np.random.default_rng(4)
    a = [[str(int(v)) for v in rng.random(4) < 0.5] for _ in range(80)]
    b = [[str(int(rng.random() < 0.6)) if rng.random() > 0.3 else None for _ in range(4)] for _ in range(80)]
    analysis = await analysed(store, {"a": a, "b": b}, "exact_match", repeats=4)
    left = np.array(a, dtype=float)
    right = np.array([[np.nan if v is None else float(v) for v in row] for row in b])
    worst, best = (np.where(np.isnan(right), fill, right).mean() - left.mean() for fill in (0.0, 1.0))
    bound = analysis.metric().comparisons[0].difference.missing_bound
    assert bound == pytest.approx((worst, best))
    assert "repeats of the items that are kept have no score" in analysis.metric().comparisons[0].words


async def test_a_one_sided_question_is_answered_one_sided(store: LocalStore) -> None:
    rng = np.random.default_rng(5)
    columns = {"a": [str(int(v)) for v in rng.random(90) < 0.8], "b": [str(int(v)) for v in rng.random(90) < 0.4]}
    analysis = await analysed(store, columns, "exact_match", analysis={"alternative": "greater"})
    assert analysis.headline == "On exact_match: b is not shown to score higher than a."
    assert "Tests are one-sided, as declared: only a higher score was looked for." in analysis.methods


async def test_the_metric_that_decides_may_be_a_guardrail_too(store: LocalStore) -> None:
    rng = np.random.default_rng(6)
    base = [str(int(v)) for v in rng.random(200) < 0.7]
    worse = [v if rng.random() < 0.8 else "0" for v in base]
    section: dict[str, Any] = {"guardrails": [{"metric": "exact_match", "margin": 0.02}]}
    analysis = await analysed(store, {"a": base, "b": worse}, "exact_match", analysis=section)
    assert analysis.metric().role == "primary"
    assert "Guardrails: b harmed beyond the margin on exact_match." in analysis.headline


async def test_items_that_ask_the_same_twice_are_said(store: LocalStore) -> None:
    def warned(manifest: Manifest) -> bool:
        return any("ask what another item asks" in warning for warning in analyse(store, manifest.run_id).warnings)

    spec = arithmetic(30)
    rows = spec["dataset"]["rows"]
    spec["dataset"] = {"rows": [*rows, *({**row, "id": f"again-{row['id']}"} for row in rows[:6])]}
    doubled = await execute(load_experiment(spec, cache_dir=store.paths.datasets), store=store.paths)
    assert any(
        "6 of 36 items ask what another item asks" in warning for warning in analyse(store, doubled.run_id).warnings
    )
    assert not warned(await execute(load_experiment(arithmetic(30), cache_dir=store.paths.datasets), store=store.paths))
    grouped = {"rows": [{**row, "of": row["question"]} for row in spec["dataset"]["rows"]], "cluster": "of"}
    spec["dataset"] = {**grouped, "inputs": ["question"]}
    assert not warned(await execute(load_experiment(spec, cache_dir=store.paths.datasets), store=store.paths))


async def test_one_huge_cluster_or_weight_is_said(store: LocalStore) -> None:
    rng = np.random.default_rng(7)
    columns = {name: [str(int(v)) for v in rng.random(120) < rate] for name, rate in {"a": 0.5, "b": 0.6}.items()}
    cases = {
        "cluster": (lambda i: {"cluster": "huge" if i < 100 else str(i)}, "21 clusters are worth about"),
        "weight": (lambda i: {"weight": 1e6 if i == 0 else 1}, "one item or cluster has nearly all the weight"),
    }
    for key, (row, said) in cases.items():
        analysis = await analysed(store, columns, "exact_match", row=row, dataset={key: key})
        assert said in analysis.metric().comparisons[0].words, key
        assert analysis.metric().comparisons[0].label == "inconclusive", key
    plain = await analysed(
        store, columns, "exact_match", row=lambda i: {"cluster": str(i // 6)}, dataset={"cluster": "cluster"}
    )
    assert "are worth about" not in plain.metric().comparisons[0].words
