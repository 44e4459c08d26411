"""The declared question stays the same whoever asks: `show`, `compare`, a frame, a filter, another metric."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bakeoff.errors import SpecError
from bakeoff.experiments import LocalStore, analyse, analyse_two, insights, tied_words
from bakeoff.reports import RunResult
from tests.experiments.analysis.test_analysis import analysed

_TWO: dict[str, Any] = {"evaluators": ["exact_match", {"length": {"unit_of": "characters"}}]}


def _bits(rng: np.random.Generator, rate: float, n: int) -> list[str]:
    return [str(int(v)) for v in rng.random(n) < rate]


async def test_a_filter_of_metrics_changes_neither_the_headline_nor_the_methods(store: LocalStore) -> None:
    rng = np.random.default_rng(0)
    whole = await analysed(store, {"a": _bits(rng, 0.4, 80), "b": _bits(rng, 0.9, 80)}, "exact_match", **_TWO)
    alone = analyse(store, whole.run_id, metrics=["length"])
    assert [metric.metric for metric in alone.metrics] == ["length"]
    assert alone.headline == whole.headline == "On exact_match: b is better than a."
    assert alone.methods == whole.methods
    with pytest.raises(SpecError, match="there is no metric 'lenght'; this run has exact_match, length"):
        analyse(store, whole.run_id, metrics=["lenght"])


async def test_a_metric_chosen_afterwards_has_no_better_chance_of_a_verdict(store: LocalStore) -> None:
    """By hand (Holm 1979, section 4): 80% of alpha for the declared metric, whichever one is looked at."""
    rng = np.random.default_rng(3)
    columns = {"a": ["1"] * 60, "b": ["1" * int(k) for k in rng.choice([1, 1, 1, 2], 60)]}
    columns["b"][:5] = ["0"] * 5
    whole = await analysed(store, columns, "exact_match", **_TWO)
    declared, other = (metric.comparisons[0].difference for metric in whole.metrics)
    scaled = sorted([(declared.p_value / 0.8, declared.p_value), (other.p_value / 0.2, other.p_value)])
    first, second = min(1.0, scaled[0][0]), min(1.0, max(scaled[0][0], scaled[1][1]))
    assert sorted([declared.p_adjusted, other.p_adjusted]) == pytest.approx(sorted([first, second]))
    later = analyse(store, whole.run_id, primary="length")
    assert later.metric("length").comparisons[0].difference.p_adjusted == other.p_adjusted
    assert "exact_match is the declared metric and has 80% of alpha" in later.methods
    result = RunResult(store, whole.run_id)
    asked = [result.compare(metric="length", **more) for more in ({}, {"alpha": 0.05}, {"margin": 0.5})]
    assert {float(frame["p_adjusted"].iloc[0]) for frame in asked} == {other.p_adjusted}


async def test_two_runs_borrow_no_margin_of_another_metric(store: LocalStore) -> None:
    columns = {"a": ["1"] * 40}
    options: dict[str, Any] = {**_TWO, "analysis": {"margin": 0.05}}
    runs = [(await analysed(store, columns, "exact_match", **options)).run_id for _ in range(2)]
    assert analyse_two(store, *runs).margin == 0.05
    assert analyse_two(store, *runs, metric="length").margin is None
    assert analyse_two(store, *runs, metric="length", margin=2.0).margin == 2.0


async def test_a_one_sided_question_does_not_hide_harm_on_a_guardrail(store: LocalStore) -> None:
    rng = np.random.default_rng(1)
    fine = rng.random(200) < 0.6
    columns = {"a": _bits(rng, 0.5, 200), "b": ["1" if ok else "no json {" for ok in fine]}
    section: dict[str, Any] = {"alternative": "greater", "guardrails": ["json_valid"]}
    analysis = await analysed(store, columns, "exact_match", evaluators=["exact_match", "json_valid"], analysis=section)
    assert analysis.metric().comparisons[0].difference.alternative == "greater"
    assert analysis.metric("json_valid").comparisons[0].label == "worse"
    assert "Guardrails: b worse on json_valid." in analysis.headline
    assert "Tests of exact_match are one-sided, as declared" in analysis.methods


async def test_weights_never_vanish_in_silence(store: LocalStore) -> None:
    """Ten items with most of the weight say the opposite of the ninety others."""
    heavy = [str(int(i < 10)) for i in range(100)]
    columns = {"a": heavy, "b": [str(1 - int(v)) for v in heavy], "c": ["1", "0"] * 50}
    weighted: dict[str, Any] = {"row": lambda i: {"w": 50 if i < 10 else 1}, "dataset": {"weight": "w"}}
    with pytest.raises(SpecError, match="'sequential' counts every item the same, and these items carry weights"):
        await analysed(store, columns, "exact_match", allocation={"method": "sequential"}, **weighted)
    whole = await analysed(store, columns, "exact_match", analysis={"margin": 0.05}, **weighted)
    assert whole.headline == "On exact_match: b and c are worse than a."
    assert whole.metric().tied == (), "the tied set counts every item the same, and would name b the best"
    assert insights(store, whole.run_id).choice.cheapest is None
    assert whole.metric().comparisons[0].difference.effect == {}


async def test_an_unfinished_run_says_that_it_leaves_weights_out(store: LocalStore) -> None:
    weighted: dict[str, Any] = {"row": lambda i: {"w": 1 + i % 3}, "dataset": {"weight": "w"}}
    analysis = await analysed(store, {"a": ["1"] * 40, "b": ["1", "0"] * 20}, "exact_match", **weighted)
    assert not any("carry weights" in warning for warning in analysis.warnings)
    manifest = store.manifest(analysis.run_id).model_copy(update={"status": "partial"})
    store.run_paths(analysis.run_id).manifest.write_text(manifest.model_dump_json())
    early = analyse(store, analysis.run_id)
    assert any("Items carry weights" in warning for warning in early.warnings)
    assert "so all intervals and tests are always valid" in early.methods
    assert any("Intervals and tests are always valid meanwhile" in warning for warning in early.warnings)


async def test_clusters_of_different_size_count_the_same_when_watched(store: LocalStore) -> None:
    rng = np.random.default_rng(2)
    columns = {"a": _bits(rng, 0.5, 120), "b": _bits(rng, 0.5, 120)}
    cases = {"uneven": lambda i: {"c": i if i < 60 else 1000 + i // 10}, "even": lambda i: {"c": i // 5}}
    for name, row in cases.items():
        analysis = await analysed(
            store, columns, "exact_match", row=row, dataset={"cluster": "c"}, allocation={"method": "sequential"}
        )
        told = any("count every cluster the same" in warning for warning in analysis.warnings)
        assert told == (name == "uneven")


async def test_a_frame_counts_items_as_items(store: LocalStore) -> None:
    rng = np.random.default_rng(4)
    columns = {"a": _bits(rng, 0.5, 60), "b": _bits(rng, 0.6, 60)}
    analysis = await analysed(store, columns, "exact_match", row=lambda i: {"c": str(i // 6)}, dataset={"cluster": "c"})
    assert analysis.metric().comparisons[0].difference.n == 10
    assert RunResult(store, analysis.run_id).compare()["n_items"].tolist() == [60]


async def test_who_may_be_the_best_is_a_statement_of_its_own(store: LocalStore) -> None:
    """One-sided and uncorrected, it may leave out a variant that is "not shown to differ" from the baseline."""
    rng = np.random.default_rng(0)
    columns = {"a": _bits(rng, 0.2, 90), "b": _bits(rng, 0.7, 90), "c": _bits(rng, 0.7, 90)}
    metric = (await analysed(store, columns, "exact_match")).metric()
    assert set(metric.tied) == {"b", "c"}
    assert tied_words(metric).startswith("With 95% confidence, by a test of its own, the best one is among ")
    alone = (await analysed(store, {**columns, "c": columns["a"]}, "exact_match")).metric()
    assert tied_words(alone) == "With 95% confidence, by a test of its own, b is the best."
    same = (await analysed(store, dict.fromkeys("abc", columns["a"]), "exact_match")).metric()
    assert same.tied == () or tied_words(same) == "Any of them may be the best one."


async def test_the_report_shows_one_sided_segments_and_a_part_metric(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("import json\n\ndef several(output):\n    return json.loads(output)\n")
    rng = np.random.default_rng(5)
    columns = {
        name: [f'{{"ok": {str(bool(v)).lower()}, "other": 0.5}}' for v in rng.random(60) < rate]
        for name, rate in {"a": 0.3, "b": 0.8}.items()
    }
    section: dict[str, Any] = {"alternative": "greater", "segments": ["kind"]}
    analysis = await analysed(
        store, columns, {"python": f"{tmp_path / 'own.py'}:several"}, analysis=section,
        row=lambda i: {"kind": "even" if i % 2 else "odd"}, dataset={"metadata": ["kind"]},
    )  # fmt: skip
    assert store.manifest(analysis.run_id).primary == "several"
    page = RunResult(store, analysis.run_id).report(tmp_path / "report.html").read_text()
    assert f"Where the variants differ on {analysis.primary}" in page
    table = page.partition("by segment</h2>")[2].partition("</table>")[0]
    assert "pts or more</td>" in table
    assert "inf" not in table
    assert analyse_two(store, analysis.run_id, analysis.run_id).primary == analysis.primary


async def test_a_number_that_happens_to_lie_between_0_and_1_is_not_read_as_points(
    store: LocalStore, tmp_path: Path
) -> None:
    """Seconds below one, less is better, by a function that declares no scale: no points of a pass rate."""
    (tmp_path / "own.py").write_text("def seconds(output):\n    return float(output)\n")
    rng = np.random.default_rng(6)
    columns = {name: [f"{v:.3f}" for v in rng.uniform(0.1, 0.9, 40)] for name in ("a", "b")}
    analysis = await analysed(store, columns, {"python": f"{tmp_path / 'own.py'}:seconds"})
    assert analysis.metric().kind == "continuous"
    (said,) = (text for text in insights(store, analysis.run_id).sentences if text.startswith("Read the Bayesian way"))
    assert "points" not in said


async def test_two_runs_say_what_plain_methods_do_not_allow_for(store: LocalStore) -> None:
    rng = np.random.default_rng(7)
    columns = {"a": _bits(rng, 0.6, 200), "b": _bits(rng, 0.9, 200)}
    whole = (await analysed(store, columns, "exact_match")).run_id
    early = (await analysed(store, columns, "exact_match", allocation={"method": "sequential"})).run_id
    assert not any("promise too much" in warning for warning in analyse_two(store, whole, whole).warnings)
    assert any(f"The allocation of {early} (sequential)" in text for text in analyse_two(store, whole, early).warnings)
    manifest = store.manifest(whole).model_copy(update={"status": "partial"})
    store.run_paths(whole).manifest.write_text(manifest.model_dump_json())
    assert any(
        f"The run {whole} is not finished (partial)" in text for text in analyse_two(store, whole, early).warnings
    )


async def test_scores_that_one_of_two_runs_lost_shake_its_headline(store: LocalStore) -> None:
    rng = np.random.default_rng(3)
    base = _bits(rng, 0.6, 300)
    first = (await analysed(store, {"a": base}, "exact_match")).run_id
    lossy: list[str | None] = [None if value == "0" else value for value in base]
    second = (await analysed(store, {"a": lossy}, "exact_match", analysis={"margin": 0.05})).run_id
    assert analyse_two(store, first, second).headline == (
        "On exact_match: a (after) is equivalent to a (before). "
        "Scores missing on one side could overturn this for a (after)."
    )
