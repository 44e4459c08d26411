"""Costs against LiteLLM's own `completion_cost`, which is the oracle for every figure here."""

from __future__ import annotations

import random
from typing import Any

import pytest

from bakeoff.gateway import GatewaySpec, PriceSpec, Usage
from bakeoff.gateway._litellm import load_litellm
from bakeoff.gateway._pricing import mode_of, price_map_version, price_of

MODELS = [
    "openai/gpt-4o-mini",
    "openai/gpt-4o",
    "openai/gpt-5-mini",
    "openai/gpt-5",
    "openai/o3",
    "openai/gpt-4o-audio-preview-2024-12-17",
    "anthropic/claude-sonnet-4-5",
    "anthropic/claude-opus-4-5",
    "anthropic/claude-haiku-4-5",
    "gemini/gemini-2.5-flash",
    "gemini/gemini-2.5-pro",
    "gemini/gemini-3.5-flash",
    "mistral/mistral-small-latest",
    "mistral/mistral-large-latest",
    "groq/openai/gpt-oss-120b",
    "xai/grok-4.3",
    "azure/gpt-4o-mini",
    "azure/gpt-5",
    "deepseek/deepseek-chat",
    "azure/gpt-audio",
    "dashscope/qwen-flash",
    "dashscope/qwen-plus",
]


def oracle(model: str, **tokens: int) -> float:
    litellm: Any = load_litellm()
    details = litellm.types.utils.PromptTokensDetailsWrapper(
        cached_tokens=tokens["cached"], audio_tokens=tokens["audio_in"], cache_creation_tokens=tokens["cache_write"]
    )
    spoken = litellm.types.utils.CompletionTokensDetailsWrapper(
        reasoning_tokens=tokens["reasoning"], audio_tokens=tokens["audio_out"]
    )
    usage = litellm.Usage(
        prompt_tokens=tokens["input"],
        completion_tokens=tokens["output"],
        total_tokens=tokens["input"] + tokens["output"],
        prompt_tokens_details=details,
        completion_tokens_details=spoken,
    )
    provider, _, name = model.partition("/")
    response = litellm.ModelResponse(model=name, usage=usage)
    return litellm.completion_cost(response, model=name, custom_llm_provider=provider)


@pytest.mark.parametrize("model", MODELS)
def test_costs_are_those_of_litellm(model: str) -> None:
    price = price_of(model, GatewaySpec())
    assert price is not None
    draw = random.Random(model)
    for size in (1, 1_000, 10_000, 127_999, 128_001, 200_000, 200_001, 256_000, 272_000, 272_001, 900_000):
        input_tokens = size
        cached = draw.choice([0, input_tokens // 3])
        output = draw.randrange(0, 5_000)
        reasoning = draw.choice([0, output // 2])
        expected = oracle(
            model,
            input=input_tokens,
            output=output,
            cached=cached,
            reasoning=reasoning,
            audio_in=0,
            audio_out=0,
            cache_write=0,
        )
        usage = Usage(input_tokens=input_tokens, output_tokens=output, cached_tokens=cached, reasoning_tokens=reasoning)
        assert price.cost(usage) == pytest.approx(expected, rel=1e-9, abs=1e-12), (size, cached, reasoning)


def test_audio_is_priced_by_direction() -> None:
    model = "openai/gpt-4o-audio-preview-2024-12-17"
    price = price_of(model, GatewaySpec())
    assert price is not None
    expected = oracle(model, input=900, output=400, cached=0, reasoning=0, audio_in=500, audio_out=300, cache_write=0)
    usage = Usage(input_tokens=900, output_tokens=400, audio_tokens=800)
    assert price.cost(usage, audio_output_tokens=300) == pytest.approx(expected, rel=1e-9)
    assert price.cost(usage, audio_output_tokens=300) > price.cost(Usage(input_tokens=900, output_tokens=400))


def test_writing_to_the_prompt_cache_costs_extra() -> None:
    model = "anthropic/claude-sonnet-4-5"
    price = price_of(model, GatewaySpec())
    assert price is not None
    expected = oracle(
        model, input=5_000, output=100, cached=1_000, reasoning=0, audio_in=0, audio_out=0, cache_write=2_000
    )
    usage = Usage(input_tokens=5_000, output_tokens=100, cached_tokens=1_000)
    assert price.cost(usage, cache_write_tokens=2_000) == pytest.approx(expected, rel=1e-9)


def test_an_upper_bound_is_never_below_the_cost() -> None:
    draw = random.Random(5)
    for model in MODELS:
        price = price_of(model, GatewaySpec())
        assert price is not None
        for _ in range(40):
            input_tokens, output_tokens = draw.randrange(300_000), draw.randrange(9_000)
            usage = Usage(
                input_tokens=input_tokens,
                output_tokens=output_tokens,
                cached_tokens=draw.randrange(input_tokens + 1),
                reasoning_tokens=draw.randrange(output_tokens + 1),
            )
            bound = price.upper_bound(input_tokens=input_tokens, output_tokens=output_tokens)
            assert price.cost(usage) <= bound * (1 + 1e-9)


def test_a_price_in_the_spec_comes_first() -> None:
    spec = PriceSpec(input_usd=2, output_usd=8, cached_input_usd=0.5)
    gateway = GatewaySpec(prices={"openai/gpt-4o-mini": spec, "openai/mine": spec})
    usage = Usage(input_tokens=1_000_000, output_tokens=250_000, cached_tokens=400_000)
    for model in gateway.prices:
        price = price_of(model, gateway)
        assert price is not None
        assert price.source == "spec"
        assert price.cost(usage) == pytest.approx(0.6 * 2 + 0.4 * 0.5 + 0.25 * 8)


def test_what_nobody_prices_is_unknown_and_what_is_local_is_free() -> None:
    gateway = GatewaySpec()
    assert price_of("openai/my-model", gateway) is None
    assert price_of("nobody/knows", gateway) is None
    local = price_of("openai/my-model", gateway, api_base="http://localhost:8000/v1")
    assert local is not None
    assert local.source == "local"
    assert local.cost(Usage(input_tokens=10**6)) == 0.0
    # The same weights at another provider are another price, or none.
    assert price_of("nobody/gpt-4o-mini", gateway) is None


def test_a_service_tier_has_its_own_price() -> None:
    usage = Usage(input_tokens=1_000_000)
    standard = price_of("openai/gpt-4o-mini", GatewaySpec())
    priority = price_of("openai/gpt-4o-mini", GatewaySpec(), params={"service_tier": "priority"})
    assert standard is not None
    assert priority is not None
    assert priority.cost(usage) > standard.cost(usage)


def test_the_version_names_the_map() -> None:
    price = price_of("openai/gpt-4o-mini", GatewaySpec())
    assert price is not None
    assert price.map_version == price_map_version()
    assert price.max_output_tokens == 16_384
    assert mode_of("openai/gpt-5-pro") == "responses"
