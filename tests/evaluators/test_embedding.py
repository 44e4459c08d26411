"""Cosines over HTTP against vectors computed here, and everything that can be wrong with the texts."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import math
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bakeoff.evaluators import EvaluatorContext, Score, load_evaluator, score_trial
from bakeoff.evaluators.testing import ScriptedClient
from bakeoff.gateway import BudgetSpec, Gateway


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    path = Path(__file__).parents[2] / "benchmarks" / "fault_server.py"
    spec = importlib.util.spec_from_file_location("bakeoff_fault_server", path)
    assert spec is not None
    assert spec.loader is not None
    faults = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = faults
    spec.loader.exec_module(faults)
    with faults.serving(faults.Options()) as url:
        yield url


def vector(text: str) -> list[float]:
    """The server's vector: 64 normal draws, by the hash of the text."""
    dice = random.Random(hashlib.sha256(text.encode()).digest())
    return [dice.gauss(0, 1) for _ in range(64)]


def cosine(a: str, b: str) -> float:
    x, y = vector(a), vector(b)
    return sum(p * q for p, q in zip(x, y, strict=True)) / math.sqrt(sum(p * p for p in x) * sum(q * q for q in y))


def scored(output: Any, expected: Any, address: str = "", *, budget: BudgetSpec | None = None, **options: Any) -> Score:
    async def main() -> Score:
        env = {"OPENAI_API_KEY": "sk-test-0123456789abcdef"}
        async with Gateway(env=env, budget=budget) as client:
            spec = {"model": "openai/text-embedding-3-small", "api_base": address or None, **options}
            context = EvaluatorContext(output=output, expected=expected, client=client)
            return (await score_trial([load_evaluator({"embedding_similarity": spec})], context))[0]

    return asyncio.run(main())


def test_the_value_is_the_cosine_and_the_nearest_reference_counts(address: str) -> None:
    references = [f"reference {k}" for k in range(8)]
    best = max(cosine("an answer", reference) for reference in references)
    assert best > 0
    score = scored("an answer", references, address)
    assert score.value == pytest.approx(best, abs=1e-6)
    assert score.cost_usd is not None
    assert score.cost_usd > 0
    against = next(text for text in references if cosine("an answer", text) < 0)
    assert scored("an answer", against, address).value == 0.0
    assert scored("same", "same", address, threshold=0.99).value is True
    assert scored('{"a": "same"}', {"b": "same"}, address, output_path="a", expected_path="b").value == pytest.approx(1)


@pytest.mark.parametrize(
    ("output", "expected", "message"),
    [
        ("  ", "x", "the output is blank"),
        ("x", "", "an expected text is blank"),
        ("x", [], "empty list"),
        ("x", None, "no `expected`"),
        (None, "x", "no output"),
        ("x" * 100_001, "x", "at most 100,000"),
    ],
)
def test_what_cannot_be_embedded_is_missing(output: Any, expected: Any, message: str) -> None:
    score = scored(output, expected, model="sim/embedding")
    assert score.value is None
    assert message in str(score.error)


def test_a_failed_call_and_a_client_without_embeddings_are_missing(address: str) -> None:
    refused = scored("x", "y", address, budget=BudgetSpec(usd=1e-12))
    assert refused.value is None
    assert "embedding call failed" in str(refused.error)
    context = EvaluatorContext(output="x", expected="y", client=ScriptedClient(["z"]))
    judge = load_evaluator({"embedding_similarity": {"model": "sim/embedding"}})
    (score,) = asyncio.run(score_trial([judge], context))
    assert "a client that embeds texts" in str(score.error)


def test_hostile_text_does_no_harm() -> None:
    for text in ("\ud800", "\x00\x1b[31m", "\U0001f600", "!!!", "a" * 100_000):
        assert scored(text, text, model="sim/embedding").value == pytest.approx(1.0)
