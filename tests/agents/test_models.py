"""Tiers, routes, fallbacks, per-step models, and the shape of results."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bakeoff.agents import resolve_agent
from bakeoff.datasets import Item
from bakeoff.errors import BudgetExceeded, ProviderError, SpecError
from bakeoff.experiments import load_experiment, plan_run
from bakeoff.gateway import Gateway, ModelRequest, ModelResponse
from bakeoff.targets import ModelSpec
from tests.agents.support import Script, down, run, spans

MODELS = {name: ModelSpec(model=f"x/{name}") for name in ("small", "medium", "large")}


def tiers(accept: dict[str, Any], *names: str) -> dict[str, Any]:
    return {"tiers": [{"model": name, "accept": accept} for name in names]}


def by_model(answers: dict[str, str]) -> Script:
    return Script(lambda request: answers[request.model])


async def test_agreement_decides_whether_the_cheap_tier_answers() -> None:
    section = tiers({"by": "consistency", "threshold": 0.6, "samples": 3}, "small", "large")
    sure = by_model({"x/small": "Answer: 4", "x/large": "Answer: 5"})
    result = await run(section, sure, models=MODELS)
    assert result.output == "4"
    (step,) = spans(result, "step")
    assert (step["tier"], step["tier_model"], step["tiers"][0]["confidence"]) == (0, "x/small", 1.0)
    assert len(sure.requests) == 3
    different = iter("123456")
    unsure = Script(lambda r: f"Answer: {next(different)}" if r.model == "x/small" else "Answer: 9")
    result = await run(section, unsure, models=MODELS)
    (step,) = spans(result, "step")
    assert (step["tier"], step["tier_model"]) == (1, "x/large")
    assert step["tiers"][0]["why"] == "33% of 3 samples agree"
    assert result.output == "Answer: 9"
    assert result.cost_usd == 0.5 * 4


async def test_log_probabilities_decide() -> None:
    def model(request: ModelRequest) -> ModelResponse:
        assert (request.model == "x/large") or request.params["logprobs"] is True
        logprob = -0.01 if request.model == "x/medium" else -1.0
        return ModelResponse(text=request.model, model=request.model, cost_usd=0.0, logprobs=[{"logprob": logprob}])

    result = await run(tiers({"by": "logprob", "threshold": 0.9}, "small", "medium", "large"), Script(model),
                       models=MODELS)  # fmt: skip
    assert result.output == "x/medium"
    silent = Script(lambda r: ModelResponse(text="?", model=r.model))
    result = await run(tiers({"by": "logprob", "threshold": 0.1}, "small", "large"), silent, models=MODELS)
    assert spans(result, "step")[0]["tiers"][0]["why"] == "no log-probabilities"
    assert result.cost_usd is None  # one call had no known price: the sum is not known


async def test_a_stated_confidence_decides_and_is_not_part_of_the_answer() -> None:
    client = by_model({"x/small": "four\nConfidence: 0.9", "x/large": "five"})
    result = await run(tiers({"by": "stated", "threshold": 0.8}, "small", "large"), client, models=MODELS)
    assert result.output == "four"
    assert "Confidence:" in client.said(0)


async def test_an_evaluator_or_a_judge_decides() -> None:
    section = tiers({"by": "validator", "evaluator": {"regex": {"pattern": "^[0-9]+$"}}}, "small", "large")
    assert (await run(section, by_model({"x/small": "many", "x/large": "12"}), models=MODELS)).output == "12"
    assert (await run(section, by_model({"x/small": "11", "x/large": "12"}), models=MODELS)).output == "11"
    section = tiers({"by": "judge", "model": "medium", "threshold": 0.5}, "small", "large")
    client = by_model({"x/small": "11", "x/large": "12", "x/medium": "0.2"})
    assert (await run(section, client, models=MODELS)).output == "12"


async def test_a_router_chooses_by_the_request() -> None:
    section = {"route": [{"when": "question | length > 20", "model": "large"}, {"model": "small"}]}
    result = await run(section, by_model({"x/small": "s", "x/large": "l"}), models=MODELS)
    assert result.output == "s"
    assert spans(result, "step")[0]["routed_to"] == "x/small"
    with pytest.raises(SpecError, match="may choose no model"):
        resolve_agent({"route": [{"when": "true", "model": "small"}]}, name="a", models=MODELS)


async def test_the_next_model_answers_when_one_fails() -> None:
    def model(request: ModelRequest) -> Any:
        return down() if request.model != "x/large" else "ok"

    section = {"model": "small", "fallback": ["medium", "large"]}
    result = await run(section, Script(model), models=MODELS)
    assert result.output == "ok"
    assert spans(result, "model")[0]["failed"] == ["x/small: server", "x/medium: server"]
    with pytest.raises(ProviderError, match="no answer"):
        await run({"model": "small", "fallback": ["medium"]}, Script(lambda _: down()), models=MODELS)


async def test_a_spent_budget_is_not_a_reason_to_ask_another_model() -> None:
    client = Script(lambda _: BudgetExceeded("spent"))
    with pytest.raises(BudgetExceeded):
        await run({"model": "small", "fallback": ["large"]}, client, models=MODELS)
    assert len(client.requests) == 1


async def test_each_step_has_its_model_its_key_and_its_parameters() -> None:
    client = Script(["draft", "final"])
    section = {
        "params": {"temperature": 0.1},
        "steps": {
            "draft": {"model": {"model": "small", "api_key_env": "MY_KEY"}, "prompt": "{{ question }}"},
            "polish": {"model": "large", "prompt": "Polish: {{ draft }}", "params": {"temperature": 0.9}},
        },
    }
    result = await run(section, client, models=MODELS)
    assert [request.model for request in client.requests] == ["x/small", "x/large"]
    assert [request.api_key_env for request in client.requests] == ["MY_KEY", None]
    assert [request.params["temperature"] for request in client.requests] == [0.1, 0.9]
    assert {request.purpose for request in client.requests} == {"agent"}
    assert client.said() == "Polish: draft"
    assert result.latency_ms == 200.0
    assert result.attempts == 2


async def test_usage_cost_and_spans_add_up_on_the_real_gateway() -> None:
    knobs = {"params": {"sim": {"time_scale": 0}}}
    section = {
        "model": {"model": "sim/small", **knobs},
        "steps": {
            "one": {"prompt": "{{ question }}"},
            "two": {"prompt": "{{ one }}", "pattern": {"name": "self_consistency", "k": 3}},
        },
    }
    async with Gateway() as gateway:
        result = await run(section, gateway)
        spent = gateway.snapshot().spent_usd
    calls = spans(result, "model")
    assert len(calls) == 4
    assert result.cost_usd == pytest.approx(spent)
    assert result.cost_usd == pytest.approx(sum(span["cost"] for span in calls))
    assert result.usage.output_tokens == sum(span["tokens"][1] for span in calls)
    root = result.trace[0]
    assert (root["kind"], root["calls"], root["outcome"]) == ("agent", 4, "answered")
    by_id = {span["id"]: span for span in result.trace}
    for span in result.trace[1:]:
        parent = by_id[span["parent"]]
        assert parent["start_ms"] <= span["start_ms"] <= span["end_ms"] <= parent["end_ms"] + 1e-6


async def test_the_forecast_of_calls_is_what_a_run_makes_where_nothing_is_left_to_chance() -> None:
    section = {
        "steps": {
            "a": {"prompt": "{{ question }}", "model": "small", "pattern": {"name": "self_consistency", "k": 4}},
            "b": {"prompt": "{{ question }}", "model": "small", "pattern": "step_back"},
            "c": {"prompt": "{{ b }}", "model": "large"},
        },
        "flow": [{"parallel": ["a", "b"]}, {"loop": ["c"], "until": "false", "max": 3}],
    }
    agent = resolve_agent(section, name="a", models=MODELS)
    item = Item(id="i", inputs={"question": "2+2?"})
    client = Script(lambda _: "Answer: x")
    await agent.open(client, variant="v").run(item, repeat=0)
    expected = {model.model: count for model, count, _ in agent.forecast(item)}
    assert expected == {"x/small": 6.0, "x/large": 3.0}
    assert Counter(request.model for request in client.requests) == expected


def test_a_plan_of_agents_counts_their_calls_and_costs(tmp_path: Path) -> None:
    spec = {
        "name": "p",
        "dataset": {"rows": [{"id": str(n), "question": "2+2?", "expected": "4"} for n in range(10)]},
        "targets": {"t": {"agent": {"model": "openai/gpt-4o-mini"}}},
        "factors": {"agent.pattern": ["zero_shot", {"name": "self_consistency", "k": 5}]},
        "evaluators": ["contains"],
    }
    plan = plan_run(load_experiment(spec, base_dir=tmp_path, check_keys=False))
    one, five = plan.variants
    assert (one.calls, five.calls) == (10, 50)
    assert 0 < one.cost_usd < five.cost_usd == pytest.approx(5 * one.cost_usd)
    assert one.model == "openai/gpt-4o-mini"


async def test_no_two_calls_of_a_trial_are_one_sample() -> None:
    """Loops, retries, tiers and votes ask the same words again and again: each time it must be another sample."""
    accept = {"by": "consistency", "samples": 20, "threshold": 1.0}
    tier = {"model": "small", "accept": accept, "pattern": {"name": "self_consistency", "k": 3}}
    section = {
        "steps": {
            "a": {"prompt": "{{ question }}", "tiers": [tier, tier, {"model": "small"}], "output": "number",
                  "retries": 5},
            "b": {"prompt": "{{ question }}", "model": "small", "pattern": {"name": "tree_of_thought", "breadth": 4}},
        },
        "flow": [{"loop": ["a", "b"], "until": "false", "max": 12}],
    }  # fmt: skip
    seen: list[tuple[str, int]] = []
    for repeat in range(2):
        client = Script(lambda request: "words" if request.repeat % 3 else f"number {request.repeat % 7}")
        await run(section, client, models=MODELS, repeat=repeat)
        seen += [(f"{r.messages}{r.params}", r.repeat) for r in client.requests]
    by_words: dict[str, list[int]] = {}
    for words, repeat in seen:
        by_words.setdefault(words, []).append(repeat)
    crowded = {words[:80]: Counter(many).most_common(1)[0] for words, many in by_words.items()}
    assert {count for _, count in crowded.values()} == {1}, crowded
