"""Checks that items bring: the rule of weights and thresholds, and what data must not be able to do."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from bakeoff.evaluators import EvaluatorContext, Score, load_evaluator, score_sync, score_trial
from bakeoff.evaluators.testing import ScriptedClient
from bakeoff.gateway import Gateway


def judged(checks: Any, output: str = "Paris", **options: Any) -> Score:
    context = EvaluatorContext(output=output, metadata={"checks": checks})
    (score,) = score_sync([load_evaluator({"item_checks": options})], context)
    return score


YES, NO, OPEN = {"contains": "Paris"}, {"contains": "Rome"}, "exact_match"  # OPEN: the item has no expected value


@pytest.mark.parametrize(
    ("checks", "value"),
    [
        ([YES], True),
        ([YES, NO], False),
        ([NO, OPEN], False),
        ([YES, OPEN], None),
        ({"checks": [YES, NO], "threshold": 0.5}, True),
        ({"checks": [YES, NO], "threshold": 0.51}, False),
        ({"checks": [{"contains": {"all": "Paris", "weight": 3}}, NO], "threshold": 0.75}, True),
        ({"checks": [YES, YES, OPEN], "threshold": 0.6}, True),
        ({"checks": [YES, NO, OPEN], "threshold": 0.6}, None),
        ({"checks": [NO, NO, OPEN], "threshold": 0.6}, False),
        ([{"all": [YES, {"regex": "^P"}]}], True),
        ([{"contains": {"all": "Rome", "not": True}}], True),
    ],
)
def test_weights_thresholds_and_open_answers(checks: Any, value: bool | None) -> None:
    assert judged(checks).value is value


def test_the_share_and_named_checks() -> None:
    checks = [{"contains": {"all": "Paris", "weight": 3, "name": "fact"}}, NO]
    assert judged(checks, value="share").value == 0.75
    assert judged(checks, only="fact").value is True
    missing = judged(checks, only="tone")
    assert missing.value is None
    assert "no check named 'tone'" in str(missing.error)


@pytest.mark.parametrize(
    ("checks", "message"),
    [
        ([{"python": "os:getcwd"}], "data may not run 'python'"),
        (["os:getcwd"], "data may not run 'os:getcwd'"),
        ([{"all": [{"any": [{"python": "os:getcwd"}]}]}], "data may not run 'python'"),
        ([{"turn_checks": {"check": {"python": "os:getcwd"}}}], "data may not run 'python'"),
        ([{"turn_checks": {"python": "os:getcwd"}}], "data may not run 'python'"),
        ([{"turn_checks": "os:getcwd"}], "data may not run 'os:getcwd'"),
        ([{"turn_checks": {"check": {"all": ["os:getcwd"]}}}], "data may not run 'os:getcwd'"),
        ([{"turn_checks": {"check": {"json_schema": {"file": "/etc/passwd"}}}}], "data may not set `file`"),
        (["moderation"], "data may not run 'moderation'"),
        ([{"autoevals": {"scorer": "os:getcwd"}}], "data may not run 'autoevals'"),
        ([{"mlflow": "os:getcwd"}], "data may not run 'mlflow'"),
        ([{"judge": {"question": "Is it?", "model": "x/y"}}], "data may not set `model`"),
        ([{"judge": {"question": "Is it?", "api_base": "http://203.0.113.9"}}], "data may not set `api_base`"),
        ([{"weighted": {"of": [{"judge": {"question": "?", "api_key_env": "HOME"}}]}}], "may not set `api_key_env`"),
        ([{"json_schema": {"file": "/etc/passwd"}}], "data may not set `file`"),
        ([{"judge": {"question": "Is it?"}}], "set `model` of item_checks"),
        ([{"contians": "x"}], "there is no evaluator 'contians'"),
        (["latency"], "no pass or fail; give it a `threshold`"),
        ([{"a": 1, "b": 2}], "a mapping with one key"),
        ([], "no list of checks"),
        ("contains", "no list of checks"),
        ({"checks": [YES], "threshold": 7}, "between 0 and 1"),
        ([YES] * 201, "at most 200"),
    ],
)
def test_data_cannot_choose_code_models_keys_or_files(checks: Any, message: str) -> None:
    score = judged(checks)
    assert score.value is None
    assert message in str(score.error)


def test_judges_take_the_model_of_the_experiment() -> None:
    client = ScriptedClient(['{"reason": "It is.", "pass": true}'])
    context = EvaluatorContext(
        output="Paris", metadata={"checks": [YES, {"judge": {"question": "Is it a city?"}}]}, client=client
    )
    evaluator = load_evaluator({"item_checks": {"model": "any/judge"}})
    (score,) = asyncio.run(score_trial([evaluator], context))
    assert score.value is True
    assert score.cost_usd == 0.01
    assert client.requests[0].model == "any/judge"


def test_no_way_round_leads_from_data_to_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even a kind that holds an evaluator under an option nobody thought of cannot load a function."""
    from bakeoff.evaluators import _item_checks

    monkeypatch.setattr(_item_checks, "_NESTED", {})
    _item_checks._built.cache_clear()
    score = judged([{"turn_checks": {"check": "os:getcwd"}}])
    _item_checks._built.cache_clear()
    assert "data may not run 'os:getcwd'" in str(score.error)


def test_moderation_runs_with_the_model_of_the_experiment_only() -> None:
    checks = [{"moderation": {"categories": ["violence"]}}]
    context = EvaluatorContext(output="I will stab you", metadata={"checks": checks})

    async def scored(check: dict[str, Any]) -> Score:
        async with Gateway() as client:
            return (await score_trial([load_evaluator({"item_checks": check})], replace(context, client=client)))[0]

    assert asyncio.run(scored({"moderation_model": "sim/moderation"})).value is False
    closed = asyncio.run(scored({"model": "sim/small"}))
    assert closed.value is None
    assert "unless `moderation_model` of item_checks is set" in str(closed.error)
    for chosen in ({"model": "x/y"}, "x/y"):
        named = [{"moderation": chosen}]
        score = judged(named, moderation_model="sim/moderation")
        assert score.value is None
        assert "data may not" in str(score.error)
