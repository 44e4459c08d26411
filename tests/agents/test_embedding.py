"""Retrieval with a model's embeddings: through the gateway, once, on the right account, and the same from the cache."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import bakeoff
from bakeoff.agents import call_tool, open_retriever, resolve_agent, trial_spans
from bakeoff.agents.config._spec import RetrievalSpec
from bakeoff.agents.tools._tool import ToolContext
from bakeoff.datasets import Item
from bakeoff.errors import BudgetExceeded, ProviderError, SpecError, TargetError
from bakeoff.experiments import LocalStore, load_experiment, plan_run
from bakeoff.gateway import BudgetSpec, Embeddings, Gateway, GatewaySpec, LimitsSpec, PriceSpec
from bakeoff.targets import ModelSpec, TargetResult
from tests.agents.support import Script, calling, run
from tests.gateway.test_embed import ENV, MODEL, by_hand, faults, log_of

TEXTS = {"a": "Leave is 25 days.", "b": "The canteen opens at noon.", "c": "Badges are worn at all times."}


@pytest.fixture
def address() -> Iterator[str]:
    with faults.serving(faults.Options()) as url:
        yield url


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    rows = [json.dumps({"id": name, "text": text}) for name, text in TEXTS.items()]
    (tmp_path / "corpus.jsonl").write_text("\n".join(rows))
    return tmp_path


def section(address: str, **retrieval: Any) -> dict[str, Any]:
    found = {"corpus": "corpus.jsonl", "method": "vector", "top_k": 2, **retrieval}
    return {
        "retrieval": {"embedding": {"model": MODEL, "api_base": address}, **found},
        "steps": {"find": {"retrieve": {"query": "{{ question }}"}}},
    }


def ask(
    questions: Sequence[str], address: str, base_dir: Path, *, cache: Path | None = None, **options: Any
) -> list[TargetResult]:
    """Run one agent on several questions at the same time, through one gateway."""

    async def main() -> list[TargetResult]:
        limits = LimitsSpec(attempts=2, max_wait_s=0.2)
        async with Gateway(limits=limits, env=ENV, cache_path=cache, seed=1, **options) as gateway:
            agent = resolve_agent(section(address), name="a", base_dir=base_dir)
            target = agent.open(gateway, variant="v")
            items = [Item(id=str(n), inputs={"question": one}) for n, one in enumerate(questions)]
            return await asyncio.gather(*(target.run(item, repeat=0) for item in items))

    return asyncio.run(main())


def test_what_is_found_is_what_the_vectors_of_the_server_say(address: str, corpus: Path) -> None:
    questions = [f"question {n}" for n in range(6)]
    results = ask(questions, address, corpus)
    for question, result in zip(questions, results, strict=True):
        cosines = {name: float(np.dot(by_hand(question), by_hand(text))) for name, text in TEXTS.items()}
        wanted = sorted(cosines, key=lambda name: -cosines[name])[:2]
        assert [one["id"] for one in result.output] == wanted
        assert [one["score"] for one in result.output] == pytest.approx([cosines[name] for name in wanted], abs=1e-6)
    # One call for the corpus, whatever happens at the same time, and one for each question.
    assert len(log_of(address)) == 1 + len(questions)


def test_a_trial_pays_for_its_query_and_not_for_the_corpus(address: str, corpus: Path, tmp_path: Path) -> None:
    question = "How many days of leave?"
    (first,) = ask([question], address, corpus, cache=tmp_path / "c.sqlite")
    tokens = math.ceil(len(question) / 4)  # as the server counts
    assert first.usage.input_tokens == tokens
    assert first.cost_usd == pytest.approx(tokens * 0.02e-6)  # OpenAI's published price
    assert first.latency_ms > 0
    span = next(one for one in trial_spans(first.trace) if one.name == "embed")
    assert (span.kind, span.model, span.input_tokens) == ("retrieval", "text-embedding-3-small", tokens)
    made = len(log_of(address))
    (again,) = ask([question], address, corpus, cache=tmp_path / "c.sqlite")
    assert len(log_of(address)) == made
    assert (again.usage, again.cost_usd) == (first.usage, first.cost_usd)
    assert again.output == first.output
    assert next(one for one in trial_spans(again.trace) if one.name == "embed").duration_ms == span.duration_ms


def test_a_provider_that_is_down_is_missing_and_the_next_trial_tries_again(corpus: Path) -> None:
    async def main() -> None:
        fails = True

        class Client:
            async def embed(self, texts: Sequence[str], **about: Any) -> Embeddings:
                await asyncio.sleep(0)
                if fails:
                    raise ProviderError("down", kind="server", retryable=True)
                return Embeddings(vectors=np.array([by_hand(text) for text in texts]), model=MODEL, paid_usd=0.0)

        agent = resolve_agent(section("http://127.0.0.1:1/v1"), name="a", base_dir=corpus)
        target = agent.open(Client(), variant="v")  # type: ignore[arg-type]
        item = Item(id="1", inputs={"question": "leave"})
        failed = await asyncio.gather(*(target.run(item, repeat=n) for n in range(5)), return_exceptions=True)
        assert [str(one) for one in failed] == ["down"] * 5
        assert all(isinstance(one, ProviderError) for one in failed)
        fails = False
        assert len((await target.run(item, repeat=0)).output) == 2

    asyncio.run(main())


def test_the_first_trial_may_be_cancelled_without_harm_to_the_others(corpus: Path) -> None:
    calls: list[int] = []

    class Client:
        async def embed(self, texts: Sequence[str], **about: Any) -> Embeddings:
            calls.append(len(texts))
            await asyncio.sleep(0.05)
            return Embeddings(vectors=np.array([by_hand(text) for text in texts]), model=MODEL)

    async def main() -> None:
        spec = RetrievalSpec(corpus="corpus.jsonl", method="hybrid", embedding=MODEL)
        retriever = open_retriever(spec, base_dir=corpus, embedding=ModelSpec(model=MODEL))
        client = Client()
        first = asyncio.create_task(retriever.prepare(client))
        second = asyncio.create_task(retriever.find("leave", client=client))
        await asyncio.sleep(0.01)
        first.cancel()
        assert {one.passage.document for one in await second} == {"a", "b", "c"}
        assert calls == [1, 3] or calls == [3, 1]
        await retriever.find("noon", client=Client())  # another run has vectors of its own
        assert sorted(calls) == [1, 1, 3, 3]

    asyncio.run(main())


def test_a_search_tool_embeds_on_the_account_of_the_trial_and_fails_with_the_provider(corpus: Path) -> None:
    class Client(Script):
        async def embed(self, texts: Sequence[str], **about: Any) -> Embeddings:
            if texts == ["forbidden"]:
                raise BudgetExceeded("no money left")
            vectors = np.array([by_hand(text) for text in texts])
            return Embeddings(vectors=vectors, model=MODEL, paid_usd=0.25, latency_ms=40.0)

    agent = {
        "model": "m/m", "prompt": "{{ question }}", "tools": {"look": {"retrieve": True}},
        "retrieval": {"corpus": "corpus.jsonl", "method": "vector", "embedding": MODEL},
    }  # fmt: skip
    result = asyncio.run(run(agent, Client([calling(("look", {"query": "leave"})), "done"]), base_dir=corpus))
    assert result.output == "done"
    assert result.cost_usd == 0.5 + 0.25 + 0.5  # two calls of the script, and the query
    assert result.latency_ms == pytest.approx(100 + 40 + 100, abs=20)
    with pytest.raises(BudgetExceeded, match="no money left"):
        asyncio.run(run(agent, Client([calling(("look", {"query": "forbidden"})), "done"]), base_dir=corpus))


async def test_a_tool_that_raises_anything_else_is_an_outcome() -> None:
    async def boom(arguments: object, context: object) -> None:
        raise RuntimeError("boom")

    tool: Any = SimpleNamespace(recording=None, timeout_s=1, max_chars=100, run=boom, name="t")
    assert (await call_tool(tool, "t", "{}", ToolContext(item_id="1", inputs={}))).kind == "raised"


def test_a_hard_budget_holds_for_embeddings(address: str, corpus: Path) -> None:
    prices = GatewaySpec.model_validate({"prices": {MODEL: PriceSpec(input_usd=1e6, output_usd=0.0)}})
    with pytest.raises(BudgetExceeded):
        ask(["leave"], address, corpus, gateway=prices, budget=BudgetSpec(usd=5))
    assert log_of(address) == []


def test_what_cannot_be_is_said_before_anything_is_called(corpus: Path) -> None:
    with pytest.raises(SpecError, match=r"retrieval\.embedding: takes no headers or parameters"):
        resolve_agent(
            {"retrieval": {"corpus": "corpus.jsonl", "embedding": {"model": MODEL, "temperature": 1}},
             "steps": {"s": {"retrieve": True}}}, name="a", base_dir=corpus,
        )  # fmt: skip
    with pytest.raises(SpecError, match=r"retrieval\.embedding: there is no model 'smal'"):
        resolve_agent(
            {"retrieval": {"corpus": "corpus.jsonl", "embedding": "smal"}, "steps": {"s": {"retrieve": True}}},
            name="a", base_dir=corpus, models={"small": ModelSpec(model="sim/small")},
        )  # fmt: skip
    with pytest.raises(TargetError, match="needs a gateway that embeds"):
        asyncio.run(run(section("http://127.0.0.1:1"), Script([]), base_dir=corpus))
    retriever = open_retriever(
        RetrievalSpec(corpus="corpus.jsonl", method="vector"), base_dir=corpus, embedding=ModelSpec(model=MODEL)
    )
    with pytest.raises(SpecError, match=r"await retriever\.find"):
        retriever.search("leave")


def test_embedding_is_a_factor_of_an_experiment(store: LocalStore) -> None:
    rows = [
        {"id": "1", "question": "How much goodwill in crowns may I give without asking?", "expected": ["S20"]},
        {"id": "2", "question": "Who are we?", "expected": ["S01"]},
    ]
    spec = {
        "name": "embeddings", "dataset": {"rows": rows, "expected": "expected"},
        "targets": {"search": {"agent": {
            "retrieval": {"corpus": "bundled:handbook-qa", "method": "vector", "top_k": 26},
            "steps": {"find": {"retrieve": {"query": "{{ question }}"}}},
        }}},
        "factors": {"agent.retrieval.embedding": ["sim/embedding", None]},
        "evaluators": ["recall_at_k", "mrr"],
        "mlflow": False,
    }  # fmt: skip
    frame = bakeoff.run(spec, store=store.paths.root).to_frame()
    assert len(frame) == 4
    assert not frame[["recall_at_k", "mrr"]].isna().any(axis=None)
    # All sections are asked for, so a model's vectors find them all.
    by = frame.groupby("variant")["recall_at_k"].mean()
    assert by[[name for name in by.index if "sim" in name]].iloc[0] == 1.0


def test_the_plan_counts_the_calls_that_embed(
    address: str, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"id": str(n), "question": f"question {n}", "expected": ["a"]} for n in range(6)]
    spec = {
        "name": "embeds", "dataset": {"rows": rows, "expected": "expected"},
        "targets": {"search": {"agent": section(address)}},
        "factors": {"agent.retrieval.top_k": [1, 2]},
        "evaluators": ["recall_at_k"], "mlflow": False, "gateway": {"cache": False},
    }  # fmt: skip
    plan = plan_run(load_experiment(spec, base_dir=corpus, env=ENV))
    assert plan.calls == 13, "the corpus once for both variants, and each question of each"
    assert [one.calls for one in plan.variants] == [6, 6]
    tokens = sum(math.ceil(len(text) / 4) for text in TEXTS.values()) + 12 * math.ceil(len("question 1") / 4)
    assert plan.input_tokens == pytest.approx(tokens, rel=0.5), "the tokens of the server, give or take the estimate"
    assert plan.cost_usd == pytest.approx(plan.input_tokens * 0.02e-6)  # OpenAI's published price
    assert any(line.startswith(f"Embedding 3 passages with {MODEL}: 1 call, ") for line in plan.more)
    (corpus / "spec.yaml").write_text(json.dumps(spec))
    monkeypatch.setenv("OPENAI_API_KEY", ENV["OPENAI_API_KEY"])
    bakeoff.run(corpus / "spec.yaml", store=tmp_path / "store")
    assert len(log_of(address)) == plan.calls
