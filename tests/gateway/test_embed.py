"""Embeddings over HTTP: the fault server gives unit vectors from a hash of the text, recomputed here."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import random
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bakeoff.errors import BudgetExceeded, ProviderError
from bakeoff.gateway import BudgetSpec, Embeddings, Gateway, GatewaySpec, LimitsSpec, PriceSpec
from tests.by_path import module_at

faults = module_at("benchmarks/fault_server.py")
ENV = {"OPENAI_API_KEY": "sk-test-0123456789abcdef"}
MODEL = "openai/text-embedding-3-small"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with faults.serving(faults.Options()) as url:
        yield url


@pytest.fixture(scope="module")
def flaky() -> Iterator[str]:
    with faults.serving(faults.Options(p_500=0.3, p_malformed=0.2)) as url:
        yield url


def by_hand(text: str) -> list[float]:
    dice = random.Random(hashlib.sha256(text.encode()).digest())
    values = [dice.gauss(0, 1) for _ in range(64)]
    length = math.sqrt(sum(value * value for value in values))
    return [value / length for value in values]


def log_of(address: str) -> list[dict[str, Any]]:
    with urllib.request.urlopen(address.removesuffix("/v1") + "/__log") as answer:
        return [json.loads(line) for line in answer.read().splitlines() if line]


def embed(texts: list[str], address: str, *, cache: Path | None = None, **options: Any) -> Embeddings:
    budget = options.pop("budget", None)
    spec = options.pop("gateway", GatewaySpec())

    async def main() -> Embeddings:
        limits = LimitsSpec(attempts=10, retry_budget=1.0, max_wait_s=0.5)
        async with Gateway(gateway=spec, limits=limits, env=ENV, cache_path=cache, budget=budget, seed=1) as gateway:
            settings: dict[str, Any] = {"model": MODEL, "api_base": address, **options}
            return await gateway.embed(texts, **settings)

    return asyncio.run(main())


def test_vectors_come_in_the_order_of_the_texts_each_asked_once(address: str, tmp_path: Path) -> None:
    texts = [f"text {k} \u00e9\U0001f600" for k in range(150)]
    asked = [*texts, texts[3]]
    before = len(log_of(address))
    found = embed(asked, address, cache=tmp_path / "c.sqlite")
    assert np.allclose(found.vectors, [by_hand(text) for text in asked], atol=1e-6)
    assert len(log_of(address)) - before == 3  # 150 different texts in batches of 64
    assert found.usage.input_tokens == sum(math.ceil(len(text) / 4) for text in texts)
    # OpenAI's published price: 0.02 USD per million tokens.
    assert found.cost_usd == pytest.approx(found.usage.input_tokens * 0.02e-6)
    again = embed([*texts[:5], "new"], address, cache=tmp_path / "c.sqlite")
    assert len(log_of(address)) - before == 4
    assert again.n_cached == 5
    assert np.allclose(again.vectors[:5], found.vectors[:5])
    free = embed(texts[:5], address, cache=tmp_path / "c.sqlite")
    assert len(log_of(address)) - before == 4
    assert (free.cost_usd, free.usage.input_tokens) == (0, 0)


def test_what_vectors_took_is_the_same_from_the_cache(address: str, tmp_path: Path) -> None:
    first = embed(["How many days of leave?"], address, cache=tmp_path / "c.sqlite")
    again = embed(["How many days of leave?"], address, cache=tmp_path / "c.sqlite")
    assert first.paid_usage.input_tokens == first.usage.input_tokens == 6  # the server counts four characters a token
    assert (again.paid_usd, again.paid_usage, again.latency_ms) == (first.cost_usd, first.usage, first.latency_ms)
    assert first.latency_ms > 0
    # Texts of one call share what it took by their length; the shares add up.
    texts = ["a" * 40, "b" * 120]
    both = embed(texts, address, cache=tmp_path / "c.sqlite")
    parts = [embed([text], address, cache=tmp_path / "c.sqlite") for text in texts]
    assert [one.paid_usage.input_tokens for one in parts] == [10, 30]
    assert sum(one.paid_usd or 0.0 for one in parts) == pytest.approx(both.cost_usd)


def test_errors_that_pass_are_tried_again(flaky: str) -> None:
    texts = [f"t{k}" for k in range(300)]
    found = embed(texts, flaky)
    assert np.allclose(found.vectors, [by_hand(text) for text in texts], atol=1e-6)


def test_a_budget_is_never_overshot(address: str) -> None:
    prices = {"prices": {MODEL: PriceSpec(input_usd=1e6, output_usd=0.0)}}  # a dollar a token
    before = len(log_of(address))
    with pytest.raises(BudgetExceeded):
        embed(["word " * 100], address, budget=BudgetSpec(usd=50), gateway=GatewaySpec.model_validate(prices))
    assert len(log_of(address)) == before


def test_blank_texts_missing_keys_and_other_routes_are_told_before_any_call(address: str) -> None:
    with pytest.raises(ProviderError, match="text 2 of 2 is blank"):
        embed(["a", " "], address)
    with pytest.raises(ProviderError, match="direct route"):
        embed(["a"], address, model="cohere/embed-v4.0", gateway=GatewaySpec(route="direct"))
    with pytest.raises(ProviderError, match="ANOTHER_KEY is not set"):
        embed(["a"], address, api_key_env="ANOTHER_KEY")
    assert embed([], address).vectors.shape == (0, 0)


def test_litellm_gives_the_same_vectors(address: str) -> None:
    # In a process of its own: what LiteLLM imports would otherwise depend on the order of the tests.
    code = (
        "import asyncio, json, sys\n"
        "from bakeoff.gateway import Gateway, GatewaySpec\n"
        "async def main():\n"
        "    env = {'OPENAI_API_KEY': 'sk-test-0123456789abcdef'}\n"
        "    async with Gateway(gateway=GatewaySpec(route='litellm'), env=env) as gateway:\n"
        f"        return await gateway.embed(['a', 'b'], model={MODEL!r}, api_base={address!r})\n"
        "found = asyncio.run(main())\n"
        "print(json.dumps([found.vectors.tolist(), found.usage.input_tokens, found.cost_usd]))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    vectors, tokens, cost_usd = json.loads(printed)
    assert np.allclose(vectors, [by_hand("a"), by_hand("b")], atol=1e-6)
    assert tokens == 2
    assert cost_usd == pytest.approx(4e-8)


def test_the_offline_model_puts_like_texts_near() -> None:
    cat, cats, fire = embed(["the cat", "the cats", "fire drill"], "", model="sim/embedding", api_base=None).vectors

    def cosine(a: Any, b: Any) -> float:
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    assert cosine(cat, cats) > 0.6 > 0.3 > cosine(cat, fire)
