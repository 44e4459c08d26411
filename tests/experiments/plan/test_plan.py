from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bakeoff.errors import SpecError
from bakeoff.experiments import LocalStore, Plan, execute, load_experiment, plan_run
from tests.experiments.support import arithmetic


def plan(store: LocalStore, spec: dict[str, Any]) -> Plan:
    return plan_run(load_experiment(spec, cache_dir=store.paths.datasets, check_keys=False), store=store)


def test_counts_are_variants_times_items_times_repeats(store: LocalStore) -> None:
    forecast = plan(store, arithmetic(20, repeats=3))
    assert (forecast.n_variants, forecast.n_items, forecast.repeats) == (2, 20, 3)
    assert forecast.trials == forecast.calls == 120


def test_cost_follows_the_price_and_the_length(store: LocalStore) -> None:
    prices = {"openai/my-model": {"input_usd": 1.0, "output_usd": 10.0}}
    spec = arithmetic(100, models={"m": {"model": "openai/my-model", "max_tokens": 50}}, gateway={"prices": prices})
    forecast = plan(store, spec)
    expected = forecast.input_tokens * 1e-6 + forecast.output_tokens * 10e-6
    assert forecast.cost_usd == pytest.approx(expected, rel=1e-2)
    assert forecast.output_tokens == 200 * 50, "no more than max_tokens"
    by_name = {entry.variant: entry for entry in forecast.variants}
    assert by_name["steps"].input_tokens > by_name["plain"].input_tokens, "the longer prompt costs more"


def test_an_unknown_price_is_said_and_not_counted_as_free(store: LocalStore) -> None:
    forecast = plan(store, arithmetic(10, models={"m": "openai/never-heard-of-it"}))
    assert forecast.cost_usd != forecast.cost_usd, "nan"
    assert any("No price is known for openai/never-heard-of-it" in warning for warning in forecast.warnings)


def test_recorded_answers_call_nothing(store: LocalStore) -> None:
    rows = [{"id": str(i), "q": "x", "expected": "1", "a": "1", "b": "0"} for i in range(50)]
    spec = {
        "name": "r",
        "dataset": {"rows": rows, "inputs": ["q"]},
        "targets": {"a": {"recorded": "a"}, "b": {"recorded": "b"}},
        "evaluators": ["exact_match"],
    }
    forecast = plan(store, spec)
    assert (forecast.calls, forecast.cost_usd, forecast.minutes) == (0, 0, 0)


def test_a_budget_that_is_too_small_is_said_before(store: LocalStore) -> None:
    forecast = plan(store, arithmetic(100, budget={"calls": 50}))
    assert any("The budget will stop the run before its end: calls 200 of 50" in w for w in forecast.warnings)


def test_declared_rates_bound_the_time(store: LocalStore) -> None:
    forecast = plan(store, arithmetic(300, limits={"requests_per_minute": 60}))
    assert forecast.minutes == pytest.approx(10)


def test_more_items_show_smaller_differences(store: LocalStore) -> None:
    small, large = plan(store, arithmetic(40)), plan(store, arithmetic(400))
    assert 0 < large.detectable < small.detectable < 1
    assert "400 items" in large.sentence


def test_one_variant_has_nothing_to_detect(store: LocalStore) -> None:
    forecast = plan(store, arithmetic(40, prompts={"plain": "{{ question }}"}))
    assert forecast.detectable != forecast.detectable
    assert "nothing to compare" in forecast.sentence


def test_earlier_runs_of_a_model_are_the_best_guess(store: LocalStore) -> None:
    model = {"model": "sim/small", "params": {"sim": {"time_scale": 0, "latency_ms": 900, "output_tokens": 77}}}
    spec = arithmetic(20, models={"small": model})
    asyncio.run(execute(load_experiment(spec, cache_dir=store.paths.datasets), store=store.paths))
    forecast = plan(store, spec)
    assert forecast.output_tokens == 40 * 77
    assert {entry.basis for entry in forecast.variants} == {"earlier runs of this model"}


def test_an_earlier_run_says_how_much_answers_differ(store: LocalStore) -> None:
    """The spread of the plan is the discordance of the earlier run, less what its difference makes; here by hand."""
    spec = arithmetic(80)
    first = plan(store, spec)
    manifest = asyncio.run(execute(load_experiment(spec, cache_dir=store.paths.datasets), store=store.paths))
    rows = store.scores(manifest.run_id, ["variant", "item_id", "value"]).to_pylist()
    passed = {name: {r["item_id"]: r["value"] for r in rows if r["variant"] == name} for name in ("plain", "steps")}
    differ = sum(passed["plain"][item] != passed["steps"][item] for item in passed["plain"])
    later = plan(store, spec)
    assert (first.pilot, later.pilot) == ("", manifest.run_id)
    rates = {name: sum(found.values()) / 80 for name, found in passed.items()}
    gap, base = rates["steps"] - rates["plain"], (sum(passed["plain"].values()) + 1) / 82
    room = 1 - base if gap > 0 else base
    noise = ((differ + 1) / 82 - abs(gap)) / (1 - abs(gap) / room)
    assert f"disagree on {noise:.0%} of the items" in later.sentence
    assert plan_run(load_experiment(spec, check_keys=False), store=store, pilot=manifest.run_id) == later


def test_a_run_that_is_no_pilot_is_refused(store: LocalStore) -> None:
    manifest = asyncio.run(execute(load_experiment(arithmetic(5), cache_dir=store.paths.datasets), store=store.paths))
    with pytest.raises(SpecError, match="is no pilot for 'contains'"):
        plan_run(load_experiment(arithmetic(80), check_keys=False), store=store, pilot=manifest.run_id)
    assert not plan(store, arithmetic(80)).pilot, "too small to be taken unasked"


def test_more_metrics_and_early_looks_have_their_price(store: LocalStore) -> None:
    one = plan(store, arithmetic(200)).detectable
    several = plan(store, arithmetic(200, evaluators=["contains", "length", "json_valid"])).detectable
    each = plan(
        store,
        arithmetic(200, evaluators=["contains", "length", "json_valid"], analysis={"family": "metric"}),
    ).detectable
    sequential = plan(store, arithmetic(200, allocation="sequential"))
    assert one == each < several < sequential.detectable
    assert "then stops" in sequential.sentence
    bandit = plan(store, arithmetic(200, allocation="bandit"))
    assert bandit.detectable != bandit.detectable
    assert "no power is promised" in bandit.sentence


def test_a_gate_says_how_often_it_catches_a_loss(store: LocalStore) -> None:
    rule = {"metric": "contains", "no_worse_than": "baseline", "margin": 0.05}
    said, levers = plan(store, arithmetic(200, gate=[rule])).more
    assert levers.startswith("Smaller differences would show: ")
    assert "with twice the items (800 trials)" in levers
    assert said.startswith("Gate on contains: a true loss of 10 points (twice the margin) fails in ")
    larger, _ = plan(store, arithmetic(800, gate=[rule])).more
    caught = [int(text.partition("fails in ")[2].partition("%")[0]) for text in (said, larger)]
    assert caught[0] < caught[1]


def test_a_margin_says_how_often_equal_variants_are_called_so(store: LocalStore) -> None:
    said, _ = plan(store, arithmetic(400, analysis={"margin": 0.1})).more
    assert said.startswith("If nothing differs, a variant is called equivalent within 10 points in ")


def test_a_fraction_says_what_it_cannot_tell_apart(store: LocalStore) -> None:
    factors = {"prompt": ["plain", "steps"], "temperature": [0, 1], "top_p": [0.5, 1.0], "seed": [1, 2]}
    said = plan(store, arithmetic(40, factors=factors, max_cells=8)).more
    assert said[0].startswith("8 of 16 cells (resolution IV)")
    assert any("cannot be told apart from" in sentence for sentence in said)


def test_a_large_difference_in_the_pilot_is_not_taken_for_noise(store: LocalStore) -> None:
    """Every fail of the old became a pass of the new: all disagreement is difference, hardly any is noise."""
    rows = [
        {"id": str(i), "q": "x", "expected": "1", "old": str(int(i % 10 < 6)), "new": str(int(i % 10 < 9))}
        for i in range(100)
    ]
    spec = {
        "name": "gap", "dataset": {"rows": rows, "inputs": ["q"]}, "evaluators": ["exact_match"], "mlflow": False,
        "targets": {"old": {"recorded": "old"}, "new": {"recorded": "new"}},
    }  # fmt: skip
    asyncio.run(execute(load_experiment(spec, cache_dir=store.paths.datasets), store=store.paths))
    assert "equally good variants disagree on 4% of the items" in plan(store, spec).sentence


def test_weighted_items_are_planned_as_what_they_are_worth(store: LocalStore) -> None:
    """Kish (1965): (sum w)^2 / sum w^2; ten items of weight 50 beside 90 of weight 1 are worth about 14."""

    def weighted(weights: list[int]) -> dict[str, Any]:
        spec = arithmetic(len(weights))
        for row, weight in zip(spec["dataset"]["rows"], weights, strict=True):
            row["w"] = weight
        spec["dataset"]["weight"] = "w"
        return spec

    found = plan(store, weighted([50] * 10 + [1] * 90))
    worth = round((10 * 50 + 90) ** 2 / (10 * 50**2 + 90))
    assert worth == 14
    assert f"100 are worth about {worth} equal ones" in found.sentence
    assert found.detectable == pytest.approx(plan(store, arithmetic(worth)).detectable, nan_ok=True)
    assert "equal ones" not in plan(store, weighted([3] * 100)).sentence


def test_judging_is_in_the_forecast(store: LocalStore) -> None:
    """Three votes on each of two answers to five items at 10 and 100 USD a million tokens, reckoned by hand."""
    judge = {"model": "openai/judge", "samples": 3, "temperature": 1.0, "question": "Is it good?", "max_tokens": 50}
    pair = {"model": "openai/judge", "threshold": 0.5}
    spec = arithmetic(
        5,
        evaluators=[
            "contains",
            {"judge": {"name": "good", **judge}},
            {"all": [{"pairwise": pair}]},
        ],
        gateway={"prices": {"openai/judge": {"input_usd": 10, "output_usd": 100}}},
    )
    without = plan(store, {**spec, "evaluators": ["contains"]})
    whole = plan(store, spec)
    good, better = whole.judges
    assert (good.metric, good.model, good.calls, good.output_tokens) == ("good", "openai/judge", 30, 30 * 50)
    assert good.cost_usd == pytest.approx((10 * good.input_tokens + 100 * good.output_tokens) / 1e6, rel=0.01)
    assert better.calls == 2 * 10  # both orders
    assert whole.calls == without.calls + 50
    assert whole.cost_usd == pytest.approx(without.cost_usd + good.cost_usd + better.cost_usd)
    assert not any("not in the forecast" in warning for warning in whole.warnings)
    tight = plan(store, {**spec, "budget": {"usd": good.cost_usd / 2}})
    assert any("budget will stop the run" in warning for warning in tight.warnings)
