"""Judges through the real gateway against a scripted OpenAI-compatible server."""

from __future__ import annotations

import json
from typing import Any

from tests.openai_server import Script, serving

from bakeoff.evaluators import EvaluatorContext, Score, load_evaluator, score_trial
from bakeoff.gateway import BudgetSpec, Gateway, GatewaySpec, LimitsSpec


async def judged(script: Script, *, budget: BudgetSpec | None = None, **options: object) -> tuple[Score, list[Any]]:
    async with serving(script) as (address, calls):
        limits = LimitsSpec.model_validate({})
        gateway = GatewaySpec.model_validate({"route": "direct"})
        env = {"OPENAI_API_KEY": "sk-test-0123456789abcdef"}
        async with Gateway(gateway=gateway, limits=limits, budget=budget, env=env) as client:
            spec = {
                "judge": {"model": "openai/gpt-4o-mini", "question": "Is it polite?", "api_base": address, **options}
            }
            context = EvaluatorContext(output="Thank you!", inputs={"q": "Hi"}, client=client)
            return (await score_trial([load_evaluator(spec)], context))[0], calls


async def test_a_good_answer_is_scored_with_its_cost() -> None:
    score, calls = await judged(lambda *_: (200, '{"reason": "thanks", "pass": true}'))
    assert score.value is True, score
    assert score.reason == "thanks"
    assert score.cost_usd is not None
    assert score.cost_usd > 0
    assert calls[0]["response_format"]["type"] == "json_schema"
    assert calls[0]["temperature"] == 0
    assert calls[0]["messages"][0]["role"] == "system"


async def test_a_server_without_structured_output_is_asked_without() -> None:
    def script(body: dict[str, Any], _: int) -> tuple[int, str]:
        if "response_format" in body:
            return 400, "response_format of type json_schema is not supported"
        return 200, 'Well: {"reason": "thanks", "pass": true}'

    score, calls = await judged(script)
    assert score.value is True, score
    assert ["response_format" in call for call in calls] == [True, False]


async def test_a_broken_answer_is_corrected_by_the_next() -> None:
    def script(body: dict[str, Any], number: int) -> tuple[int, str]:
        return 200, "Yes, it is." if number == 1 else json.dumps({"reason": "ok", "pass": True})

    score, calls = await judged(script)
    assert score.value is True
    assert len(calls) == 2
    assert calls[1]["messages"][2] == {"role": "assistant", "content": "Yes, it is."}


async def test_a_refused_key_is_a_missing_score_that_does_not_show_the_key() -> None:
    score, _ = await judged(lambda *_: (401, "Incorrect API key provided: sk-test-0123456789abcdef"))
    assert score.value is None
    assert score.details["error_kind"] == "auth"
    assert score.details["retryable"] is False
    assert "0123456789abcdef" not in str(score)


async def test_judging_counts_against_the_budget() -> None:
    budget = BudgetSpec.model_validate({"calls": 1})
    score, calls = await judged(lambda *_: (200, "nonsense"), budget=budget)
    assert score.value is None
    assert score.details["error_kind"] == "budget", score
    assert len(calls) == 1
    assert score.cost_usd is not None  # the one call that was made is paid for
