"""Simulated models: deterministic, as good as they claim to be, as slow and as broken as they were asked to be."""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff.errors import ProviderError, SpecError
from bakeoff.gateway import GatewaySpec, LimitsSpec, ModelRequest
from bakeoff.gateway._sim import SIM_MODELS, SimParams, correct_probability, is_simulated, sim_price
from bakeoff.gateway._sim._schema import instance_of
from bakeoff.gateway._sim._skill import is_correct, wrong_answer
from bakeoff.gateway._transport import open_transport

FAST = {"latency_ms": 0}
LABELS = ["billing", "login", "shipping"]


def ask(
    model: str, text: str = "Which? Answer with only one of: billing, login, shipping", **changes: Any
) -> ModelRequest:
    knobs = {**FAST, **changes.pop("sim", {})}
    context = {"item_id": "7", "expected": "billing", "choices": LABELS, **changes.pop("context", {})}
    params = {"sim": knobs, **changes.pop("params", {})}
    messages = [{"role": "user", "content": text}]
    return ModelRequest(model=model, messages=messages, params=params, sim_context=context, **changes)


def transport(**limits: float) -> Any:
    return open_transport(GatewaySpec(), LimitsSpec(**limits), env={})


async def test_the_same_request_gives_the_same_answer() -> None:
    request = ask("sim/small", sim={"latency_ms": 5})
    first, second = [await transport().send(request) for _ in range(2)]
    assert replace(first, latency_ms=0) == replace(second, latency_ms=0)
    assert first.route == "sim"
    others = [await transport().send(replace(request, repeat=repeat)) for repeat in range(40)]
    assert len({other.text for other in others}) > 1
    cold = [await transport().send(ask("sim/small", params={"temperature": 0}, repeat=repeat)) for repeat in range(9)]
    assert len({one.text for one in cold}) == 1


async def test_plain_behaviours() -> None:
    send = transport().send
    assert (await send(ask("sim/echo", "say this"))).text == "say this"
    answers = {"7": ["a", "b"], "*": "other"}
    assert [(await send(ask("sim/canned", sim={"answers": answers}, repeat=n))).text for n in range(3)] == [
        "a",
        "b",
        "a",
    ]
    assert (await send(ask("sim/canned", sim={"answers": answers}, context={"item_id": "8"}))).text == "other"
    rules = [{"match": r"(\d+) plus (\d+)", "answer": r"\2 and \1"}, {"match": "hello", "answer": "hi"}]
    assert (await send(ask("sim/rules", "what is 2 plus 3?", sim={"rules": rules}))).text == "3 and 2"
    assert (await send(ask("sim/rules", "HELLO", sim={"rules": rules}))).text == "hi"
    assert (await send(ask("sim/rules", "bye", sim={"rules": rules}))).text == "I am not sure."


async def test_what_is_expected_may_be_several_or_nothing() -> None:
    send = transport().send
    sure = {"skill": 1.0}
    assert (await send(ask("sim/large", sim=sure, context={"expected": ["Bern", "Berne"]}))).text == "Bern"
    assert (await send(ask("sim/large", sim=sure, context={"expected": 18.0, "choices": []}))).text == "18"
    assert (await send(ask("sim/large", sim=sure, context={"expected": {"a": 1}, "choices": []}))).text == '{"a": 1}'
    assert (await send(ask("sim/large", "Sum it up", context={"expected": None}))).text == "In short: Sum it up"


@pytest.mark.parametrize("model", ["sim/small", "sim/medium", "sim/large"])
async def test_the_share_of_right_answers_is_the_published_probability(model: str) -> None:
    send = transport().send
    text = "Which? Answer with only one of: billing, login, shipping"
    expected, right, n = 0.0, 0, 2_000
    for item in range(n):
        difficulty = (item % 10) / 10
        request = ask(model, text, context={"item_id": str(item), "difficulty": difficulty})
        right += (await send(request)).text == "billing"
        expected += correct_probability(
            model, text, {"difficulty": difficulty, "choices": LABELS}, SimParams(), temperature=1.0
        )
    # Binomial with known mean: 4 standard errors.
    assert abs(right - expected) < 4 * math.sqrt(n / 4)


def test_tiers_and_prompts_are_ordered_as_documented() -> None:
    def chance(model: str, prompt: str, **context: Any) -> float:
        return correct_probability(model, prompt, {"difficulty": 0.5, **context}, SimParams())

    plain = "Classify the message."
    assert chance("sim/small", plain) < chance("sim/medium", plain) < chance("sim/large", plain)
    assert chance("sim/small", plain) < chance("sim/small", f"{plain} Think step by step.")
    assert chance("sim/small", plain) < chance("sim/small", f"{plain}\nExample: a\nExample: b\nExample: c")
    named = chance("sim/small", f"{plain} One of: billing, login, shipping", choices=LABELS)
    assert chance("sim/small", plain, choices=LABELS) < named
    assert chance("sim/small", plain) > chance("sim/small", plain + " word" * 3_000)
    assert chance("sim/small", plain) > correct_probability("sim/small", plain, {"difficulty": 0.9}, SimParams())


def test_variants_fail_on_the_same_items_as_far_as_asked() -> None:
    def agreement(correlation: float) -> float:
        knobs = SimParams(item_correlation=correlation)
        pairs = [(is_correct(0.5, item, "a", knobs), is_correct(0.5, item, "b", knobs)) for item in range(4_000)]
        return statistics.fmean(a == b for a, b in pairs)

    # Two standard normals with correlation r agree in sign with chance 1/2 + asin(r)/pi.
    for correlation in (0.0, 0.6, 0.9):
        assert agreement(correlation) == pytest.approx(0.5 + math.asin(correlation) / math.pi, abs=0.035)


@settings(deadline=None)
@given(
    st.one_of(st.sampled_from(LABELS), st.integers(-(10**6), 10**6), st.floats(-1e6, 1e6), st.booleans(), st.text()),
    st.sampled_from([(), tuple(LABELS)]),
    st.integers(),
)
def test_a_wrong_answer_is_wrong(expected: object, choices: tuple[str, ...], about: int) -> None:
    answer = wrong_answer(expected, choices, about, SimParams())
    assert answer.strip().lower() != str(expected).strip().lower()


async def test_an_unconstrained_prompt_gets_wrapped_answers() -> None:
    send = transport().send
    texts = Counter(
        [(await send(ask("sim/large", "Which team?", context={"item_id": str(n)}))).text.split()[0] for n in range(300)]
    )
    assert 40 < texts["I"] < 140
    steps = await send(ask("sim/large", "Which team? Think step by step."))
    assert "\nAnswer: " in steps.text


SCHEMA = {
    "type": "object",
    "properties": {
        "reason": {"type": "string"},
        "score": {"type": "integer", "minimum": 1, "maximum": 5},
        "verdict": {"enum": ["pass", "fail"]},
        "parts": {"type": "array", "items": {"$ref": "#/$defs/part"}, "minItems": 2},
    },
    "required": ["reason", "score", "verdict", "parts"],
    "additionalProperties": False,
    "$defs": {"part": {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}},
}


async def test_a_judge_answers_in_the_form_that_was_asked_for() -> None:
    send = transport().send
    form = {"type": "json_schema", "json_schema": {"name": "verdict", "schema": SCHEMA}}
    request = replace(ask("sim/judge", "Judge this.", params={"response_format": form}), sim_context={})
    found = Counter()
    for repeat in range(60):
        answer = json.loads((await send(replace(request, repeat=repeat))).text)
        jsonschema.validate(answer, SCHEMA)
        found[answer["verdict"]] += 1
    assert set(found) == {"pass", "fail"}
    told = ask("sim/judge", "Judge this.", params={"response_format": form}, sim={"skill": 1.0})
    told = replace(told, sim_context={"item_id": "1", "expected": "fail"})
    assert json.loads((await send(told)).text)["verdict"] == "fail"
    bare = replace(ask("sim/judge", params={"response_format": {"type": "json_object"}}), sim_context={})
    assert set(json.loads((await send(bare)).text)) == {"verdict", "score", "reason"}


def shown(**sections: str) -> str:
    parts = [f'<data 1a2b name="{title.replace("_", " ")}">\n{text}\n</data 1a2b>' for title, text in sections.items()]
    return "\n\n".join(parts)


async def judge(text: str, properties: dict[str, Any], *, structured: bool = True, **sim: Any) -> Any:
    schema = {"type": "object", "properties": {"reason": {"type": "string"}, **properties}}
    form = {"type": "json_schema", "json_schema": {"name": "j", "schema": schema}}
    if not structured:
        text = f"It must satisfy this JSON Schema:\n{json.dumps(schema)}\n{text}"
    request = ask("sim/judge", text, params={"response_format": form} if structured else {}, sim={"skill": 1.0, **sim})
    answer = json.loads((await transport().send(replace(request, sim_context={}))).text)
    return answer[next(iter(properties))]


@pytest.mark.parametrize("structured", [True, False])
async def test_a_judge_compares_what_it_is_shown(structured: bool) -> None:
    right, wrong = shown(expected="Bern", response="It is Bern."), shown(expected="Bern", response="Basel")
    boolean = {"pass": {"type": "boolean"}}
    assert await judge(right, boolean, structured=structured) is True
    assert await judge(wrong, boolean, structured=structured) is False
    assert await judge(right, boolean, structured=structured, skill=0.0) is False
    words = {"result": {"enum": ["correct", "partly_correct", "incorrect"]}}
    assert await judge(right, words, structured=structured) == "correct"
    assert await judge(wrong, words, structured=structured) == "incorrect"
    score = {"score": {"type": "integer", "minimum": 1, "maximum": 5}}
    assert await judge(right, score, structured=structured) == 5
    assert await judge(wrong, score, structured=structured) == 1
    better = {"better": {"enum": ["1", "2", "tie"]}}
    pair = {"response_1": "Basel", "response_2": "Bern"}
    assert await judge(shown(expected="Bern", **pair), better, structured=structured) == "2"


async def test_a_pairwise_judge_likes_the_first_place_a_little() -> None:
    better = {"better": {"enum": ["1", "2"]}}
    firsts = 0
    for number in range(200):
        texts = (f"answer {number}", f"reply {number}")
        one = await judge(shown(response_1=texts[0], response_2=texts[1]), better)
        other = await judge(shown(response_1=texts[1], response_2=texts[0]), better)
        firsts += (one == "1") + (other == "1")
    # Quality differences of two uniform draws lie within 0.05 of a tie with chance 0.0975: those go to the first twice.
    assert 205 < firsts < 240


SIMPLE = st.sampled_from(
    [{"type": "string"}, {"type": "boolean"}, {"type": "number", "minimum": 0, "maximum": 1}, {"enum": [1, "two"]}]
)
SCHEMAS = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(
        inner.map(lambda one: {"type": "array", "items": one}),
        st.dictionaries(st.text(min_size=1, max_size=5), inner, max_size=3).map(
            lambda properties: {"type": "object", "properties": properties, "required": list(properties)}
        ),
    ),
    max_leaves=6,
)


@settings(deadline=None)
@given(SCHEMAS.map(lambda one: {"type": "object", "properties": {"x": one}, "required": ["x"]}), st.integers())
def test_generated_json_satisfies_its_schema(schema: dict[str, Any], about: int) -> None:
    jsonschema.validate(json.loads(instance_of(schema, about=about)), schema)


async def test_tool_calls_follow_the_script() -> None:
    script = [[{"name": "search", "arguments": {"q": "x"}}], [{"name": "open", "arguments": {}}]]
    request = ask("sim/large", sim={"tool_calls": script, "skill": 1.0})
    send = transport().send
    first = await send(request)
    assert first.finish_reason == "tool_calls"
    assert first.tool_calls[0]["function"] == {"name": "search", "arguments": '{"q":"x"}'}
    turn = [{"role": "assistant", "tool_calls": list(first.tool_calls)}, {"role": "tool", "content": "found"}]
    second = await send(replace(request, messages=[*request.messages, *turn]))
    assert second.tool_calls[0]["function"]["name"] == "open"
    third = await send(replace(request, messages=[*request.messages, *turn, *turn]))
    assert (third.tool_calls, third.text) == ([], "billing")


async def test_failures_come_at_the_rate_asked_for_and_pass_on_a_retry() -> None:
    sender = transport()
    errors = {"rate_limit": 0.2, "server": 0.1, "connection": 0.1, "cut_stream": 0.1, "malformed": 0.1}
    kinds: Counter[str] = Counter()
    honest = 0
    for item in range(400):
        request = ask(
            "sim/small", sim={"errors": errors, "retry_after_s": 3}, context={"item_id": str(item)}, repeat=item
        )
        for _ in range(60):
            try:
                await sender.send(request)
            except ProviderError as error:
                kinds[error.kind] += 1
                honest += error.retryable and (error.retry_after_s == 3) == (error.kind == "rate_limit")
            else:
                break
        else:
            pytest.fail("never answered")
    # 0.6 of attempts fail, so 400 answers take about 600 failures, a third of them rate limits.
    assert kinds.total() == pytest.approx(600, rel=0.2)
    assert kinds["rate_limit"] / kinds.total() == pytest.approx(1 / 3, abs=0.07)
    assert set(kinds) == {"rate_limit", "server", "connection", "bad_response"}
    assert honest == kinds.total()


async def test_latency_has_the_median_and_the_spread_asked_for() -> None:
    knobs = {"latency_ms": 200, "latency_sigma": 0.5, "time_scale": 0, "ms_per_token": 0}
    sender = transport()
    times = [(await sender.send(ask("sim/echo", f"{n}", sim=knobs))).latency_ms for n in range(1_500)]
    logs = [math.log(one) for one in times]
    assert statistics.median(times) == pytest.approx(200, rel=0.08)
    assert statistics.stdev(logs) == pytest.approx(0.5, rel=0.08)
    streamed = await sender.send(ask("sim/large", sim={"latency_ms": 200, "time_scale": 0}, stream=True))
    assert streamed.ttft_ms is not None
    assert streamed.ttft_ms < streamed.latency_ms


async def test_tokens_and_prices_are_reported() -> None:
    answer = await transport().send(ask("sim/large", sim={"output_tokens": 50, "reasoning_tokens": 30}))
    assert (answer.usage.output_tokens, answer.usage.reasoning_tokens, answer.usage.estimated) == (80, 30, True)
    assert answer.cost_usd == pytest.approx((answer.usage.input_tokens * 5 + 80 * 20) / 1e6)
    own = {"input_usd": 1, "output_usd": 2}
    answer = await transport().send(ask("sim/large", sim={"price": own, "output_tokens": 10}))
    assert answer.cost_usd == pytest.approx((answer.usage.input_tokens + 20) / 1e6)
    cut = await transport().send(ask("sim/echo", "one two three four five six", params={"max_tokens": 2}))
    assert (cut.finish_reason, cut.usage.output_tokens) == ("length", 2)
    assert len(cut.text) < 20
    assert all(sim_price(model, {}).input_usd >= 0 for model in SIM_MODELS)


@pytest.mark.parametrize(
    ("model", "knobs", "said"),
    [
        ("sim/huge", {}, "'sim/huge' is not a simulated model"),
        ("sim/small", {"skil": 1}, "skil"),
        ("sim/small", {"skill": 2}, "less than or equal to 1"),
        ("sim/rules", {"rules": [{"match": "(", "answer": "x"}]}, "'(' is not a regular expression"),
        ("sim/small", {"errors": {"server": -1}}, "errors.server"),
    ],
)
async def test_a_wrong_knob_is_named(model: str, knobs: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError) as caught:
        await transport().send(ask(model, sim=knobs))
    assert said in str(caught.value)
    assert "fix:" in str(caught.value)


def test_only_simulated_models_are_simulated() -> None:
    assert [is_simulated(model) for model in ("sim/echo", "openai/sim", "simple/x")] == [True, False, False]


def test_no_simulated_call_imports_litellm() -> None:
    code = (
        "import asyncio, sys\n"
        "from bakeoff.gateway import GatewaySpec, LimitsSpec, ModelRequest\n"
        "from bakeoff.gateway._transport import open_transport\n"
        "request = ModelRequest(model='sim/small', messages=[{'role': 'user', 'content': 'hi'}],\n"
        "    params={'sim': {'latency_ms': 0}}, sim_context={'expected': 'x'})\n"
        "asyncio.run(open_transport(GatewaySpec(), LimitsSpec(), env={}).send(request))\n"
        "print([name for name in ('litellm', 'aiohttp', 'openai', 'scipy', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]", done.stderr
