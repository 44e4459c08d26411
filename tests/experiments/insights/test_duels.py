"""Variants ranked by preference: judged pairs of a run, kept, and never paid twice."""

from __future__ import annotations

import json
import random
from math import exp, log, nan
from typing import Any

import pytest
from statsmodels.stats.proportion import proportion_confint

from bakeoff.errors import SpecError
from bakeoff.experiments import (
    LocalStore,
    Preference,
    execute,
    judge_biases,
    judge_pairs,
    load_experiment,
    rank_preferences,
)
from bakeoff.gateway import ModelRequest, ModelResponse, Usage


class Judge:
    """A scripted judge: prefers the answer that says `good`; between equals the one shown first, `lean` of the time."""

    def __init__(self, lean: float = 0.0, seed: int = 1) -> None:
        self.calls = 0
        self.lean = lean
        self.draw = random.Random(seed)
        self.broken = False

    async def complete(self, request: ModelRequest) -> ModelResponse:
        self.calls += 1
        if self.broken:
            return ModelResponse(text="I would rather not say.", model="judge", usage=Usage(), cost_usd=0.01)
        text = "\n".join(str(message["content"]) for message in request.messages)
        one, _, two = text.rpartition("response 2")
        first, second = "good" in one.rpartition("response 1")[2], "good" in two
        better = "1" if first > second else "2" if second > first else "1" if self.draw.random() < self.lean else "tie"
        answer = json.dumps({"reason": "because", "better": better})
        return ModelResponse(text=answer, model="judge", usage=Usage(input_tokens=9, output_tokens=9), cost_usd=0.01)


async def finished(store: LocalStore, n: int = 40) -> str:
    draw = random.Random(2)
    rows = [
        {
            "id": f"i{i}", "q": f"question {i}",
            "old": "good" if draw.random() < 0.4 else "bad",
            "new": "good" if draw.random() < 0.8 else "bad",
        }
        for i in range(n)
    ]  # fmt: skip
    content: dict[str, Any] = {
        "name": "duel", "dataset": {"rows": rows, "inputs": ["q"]},
        "targets": {"old": {"recorded": "old"}, "new": {"recorded": "new"}},
        "evaluators": [{"contains": {"any": ["good"]}}], "mlflow": False,
    }  # fmt: skip
    manifest = await execute(load_experiment(content, cache_dir=store.paths.datasets), store=store.paths)
    return manifest.run_id


async def test_the_better_variant_is_preferred_and_nothing_is_paid_twice(store: LocalStore) -> None:
    run_id = await finished(store)
    judge = Judge()
    looks, cost = await judge_pairs(store, run_id, {"model": "sim/judge"}, client=judge)
    assert (len(looks), judge.calls) == (80, 80)
    assert cost == pytest.approx(0.80)
    result = rank_preferences(run_id, looks, baseline="old", by="judge")
    assert result.ranking.variants[int(result.ranking.strength.argmax())] == "new"
    assert result.sentences[0].startswith("new is preferred to old: it wins ")
    assert result.consistency.estimate == 1.0
    again, cost = await judge_pairs(store, run_id, {"model": "sim/judge"}, client=judge)
    assert (again, cost, judge.calls) == (looks, 0.0, 80)
    other, _ = await judge_pairs(store, run_id, {"model": "sim/judge", "criterion": "shorter"}, client=judge)
    assert (len(other), judge.calls) == (80, 160), "another question is another judge"
    await judge_pairs(store, run_id, {"model": "sim/large"}, client=judge)
    assert judge.calls == 240, "another model too"
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False))["n_pairs"] == 80


async def test_failed_judgements_are_asked_again_and_a_torn_line_too(store: LocalStore) -> None:
    run_id = await finished(store, 10)
    judge = Judge()
    judge.broken = True
    looks, cost = await judge_pairs(store, run_id, {"model": "sim/judge"}, client=judge)
    assert all(look.outcome != look.outcome for look in looks)
    assert cost > 0
    with pytest.raises(SpecError, match="every judgement failed"):
        rank_preferences(run_id, looks, baseline="old", by="judge")
    judge.broken = False
    looks, _ = await judge_pairs(store, run_id, {"model": "sim/judge"}, client=judge)
    assert all(look.outcome == look.outcome for look in looks)
    path = store.run_paths(run_id).folder / "duels.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    before = judge.calls
    again, _ = await judge_pairs(store, run_id, {"model": "sim/judge"}, client=judge)
    assert judge.calls == before + 2
    assert again == looks


async def test_a_judge_that_leans_is_found_and_corrected(store: LocalStore) -> None:
    run_id = await finished(store, 120)
    looks, _ = await judge_pairs(store, run_id, {"model": "sim/judge", "ties": False}, client=Judge(lean=1.0))
    result = rank_preferences(run_id, looks, baseline="old", by="judge")
    assert result.ranking.order_effect is not None
    assert result.ranking.order_effect.low > 0
    assert any("leans to the answer shown first" in sentence for sentence in result.sentences)


def test_two_variants_without_ties_are_the_log_odds_of_winning() -> None:
    """Bradley & Terry (1952): with two variants the strength difference is the log-odds of a win, 30 of 40."""
    looks = [Preference(item_id=str(i), first="new", second="old", outcome=float(i < 30)) for i in range(40)]
    result = rank_preferences("r", looks, baseline="old", by="people")
    assert result.contrasts[0].estimate == pytest.approx(log(30 / 10), abs=1e-3)


async def test_a_run_that_cannot_be_ranked_says_so(store: LocalStore) -> None:
    content = {
        "name": "one", "dataset": {"rows": [{"id": "1", "q": "x", "a": "y"}], "inputs": ["q"]},
        "targets": {"a": {"recorded": "a"}}, "evaluators": ["json_valid"], "mlflow": False,
    }  # fmt: skip
    manifest = await execute(load_experiment(content, cache_dir=store.paths.datasets), store=store.paths)
    with pytest.raises(SpecError, match="nothing to rank"):
        await judge_pairs(store, manifest.run_id, {"model": "sim/judge"})


class Leaning:
    """A judge that takes the answer with more courtesies, whatever it says; where there are none, the first."""

    async def complete(self, request: ModelRequest) -> ModelResponse:
        one, _, two = str(request.messages[-1]["content"]).rpartition("response 2")
        better = "2" if "Thank you" in two and "Thank you" not in one else "1"
        answer = json.dumps({"reason": "polite", "better": better})
        return ModelResponse(text=answer, model="judge", usage=Usage(), cost_usd=0.0)


async def test_what_a_judge_leans_to_is_measured_on_copies(store: LocalStore) -> None:
    run_id = await finished(store)
    reports, _ = await judge_biases(store, run_id, {"model": "sim/judge"}, client=Leaning(), own=["new"])
    found = {report.kind: report for report in reports}
    assert set(found) == {"position", "length", "formatting", "self_preference"}
    assert found["length"].biased
    assert found["length"].share.estimate == 1.0
    fair, _ = await judge_biases(store, run_id, {"model": "sim/large"}, client=Judge())
    assert not any(report.biased for report in fair)
    with pytest.raises(SpecError, match="there is no variant 'mine'"):
        await judge_biases(store, run_id, {"model": "sim/judge"}, client=Judge(), own=["mine"])


def test_variants_that_only_tie_are_level() -> None:
    looks = [
        Preference(item_id=str(i), first=one, second=two, outcome=0.5 if "same" in (one, two) else float(one == "new"))
        for i in range(20)
        for one, two in (("new", "old"), ("old", "new"), ("same", "old"), ("old", "same"))
    ]
    result = rank_preferences("r", looks, baseline="old", by="people")
    assert "same and old came out level in every look at them." in result.sentences


@pytest.mark.parametrize("n", [5, 30, 200])
def test_all_wins_are_not_certain(n: int) -> None:
    """An interval for n wins of n items reaches at least as low as Wilson's (statsmodels), whose unit is the item."""
    looks = [
        Preference(item_id=str(i), first=a, second=b, outcome=float(a == "new"), longer=0.1 if a == "new" else -0.1)
        for i in range(n)
        for a, b in (("new", "old"), ("old", "new"))
    ]
    found = rank_preferences("r", looks, baseline="old", by="a judge")
    wins = 1 / (1 + exp(-found.contrasts[0].low))
    assert wins < proportion_confint(n, n, method="wilson")[0]
    assert (wins > 0.5) is (n >= 30)
    said = " ".join(found.sentences)
    assert "between equals" not in said  # nothing leans to a place
    assert "Longer" not in said  # length differs between the variants only: nobody can tell which it was
    assert found.length_bonus is None


def test_a_judge_that_sees_places_only_ranks_nobody() -> None:
    looks = [
        Preference(item_id=str(i), first=a, second=b, outcome=1.0)
        for i in range(40)
        for a, b in (("new", "old"), ("old", "new"))
    ]
    found = rank_preferences("r", looks, baseline="old", by="a judge")
    assert found.contrasts[0].estimate == pytest.approx(0, abs=1e-9)
    assert found.contrasts[0].low < -1 < 1 < found.contrasts[0].high
    assert "not shown to be preferred" in found.sentences[0]
    assert any("leans to the answer shown first" in sentence for sentence in found.sentences)


def test_looks_without_a_verdict_say_why() -> None:
    looks = [Preference(item_id=str(i), first="new", second="old", outcome=float(i % 2)) for i in range(8)]
    looks.append(Preference(item_id="9", first="new", second="old", outcome=nan, error="budget: it is used up"))
    found = rank_preferences("r", looks, baseline="old", by="a judge")
    assert (found.n_failed, found.failure) == (1, "budget: it is used up")
