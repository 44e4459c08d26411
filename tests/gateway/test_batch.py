"""The batch door of the gateway against a local server; what a whole run makes of it is tested with the experiments."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp.test_utils import TestServer

from bakeoff.errors import BudgetExceeded, ProviderError
from bakeoff.gateway import BudgetSpec, Gateway, LimitsSpec, ModelRequest, price_of
from bakeoff.gateway._batch_wire import RawAnswer
from bakeoff.gateway._config import GatewaySpec
from tests.experiments.batch_server import BatchServer, completion

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KEY = "sk-test-secret-key-1234567890"
ENV = {"OPENAI_API_KEY": KEY, "ANTHROPIC_API_KEY": KEY}


@pytest.fixture
async def server() -> AsyncIterator[BatchServer]:
    batches = BatchServer()
    async with TestServer(batches.app()) as running:
        batches.url = str(running.make_url("")).rstrip("/")
        yield batches


def ask(server: BatchServer, question: str = "1+2", model: str = "openai/gpt-4o-mini", **params: Any) -> ModelRequest:
    base = server.url if model.startswith("anthropic/") else f"{server.url}/v1"
    name = "ANTHROPIC_API_KEY" if model.startswith("anthropic/") else "OPENAI_API_KEY"
    return ModelRequest(
        model=model,
        messages=[{"role": "user", "content": question}],
        params={"max_tokens": 100, **params},
        api_base=base,
        api_key_env=name,
        variant="a",
    )


def ok(body: Any) -> RawAnswer:
    return RawAnswer(status=200, body=json.dumps(body).encode())


async def at_once(_: float) -> bool:
    return True


@pytest.mark.parametrize("model", ["openai/gpt-4o-mini", "openai/gpt-5-mini", "anthropic/claude-haiku-4-5"])
async def test_from_request_to_answer(server: BatchServer, model: str) -> None:
    async with Gateway(env=ENV) as gateway:
        batches = gateway.batches()
        lines = [await batches.line(f"{n}-0-0", ask(server, f"{n}+1", model)) for n in range(3)]
        assert len({line.group for line in lines}) == 1
        batches.hold(lines)
        batch_id, file = await batches.create(lines, pause=at_once)
        assert (batch_id, bool(file)) == ("batch_1", not model.startswith("anthropic"))
        wire = batches.wire_of(lines[0])
        seen = []
        while not (state := await wire.poll(batch_id)).ended:
            seen.append(state.status)
        assert len(seen) == 2
        answers = await batches.answers(wire, state)
        responses = [await batches.read(line, answers[line.custom_id]) for line in lines]
        await batches.aclose()
        assert [response.text for response in responses] == ["1", "2", "3"]
        price = price_of(model, GatewaySpec())
        assert price is not None
        for response in responses:
            assert response.route == "batch"
            assert response.cost_usd == pytest.approx(price.cost(response.usage) / 2)
            assert (response.usage.input_tokens, response.usage.output_tokens) == (1000, 500)
        spent = gateway.snapshot().spent
        assert spent.usd == pytest.approx(sum(response.cost_usd or 0 for response in responses))
        assert (spent.calls, spent.tokens, spent.unconfirmed_usd) == (3, 4500, 0)


async def test_the_request_is_the_one_of_the_live_route(server: BatchServer) -> None:
    async with Gateway(env=ENV) as gateway:
        batches = gateway.batches()
        line = json.loads((await batches.line("7-1-0", ask(server, temperature=0.3, stop=["x"]))).body)
        assert line == {
            "custom_id": "7-1-0",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {
                "model": "gpt-4o-mini",
                "messages": [{"role": "user", "content": "1+2"}],
                "max_tokens": 100,
                "temperature": 0.3,
                "stop": ["x"],
            },
        }
        row = json.loads((await batches.line("7-1-0", ask(server, model="anthropic/claude-haiku-4-5"))).body)
        assert row["custom_id"] == "7-1-0"
        assert (row["params"]["model"], row["params"]["max_tokens"]) == ("claude-haiku-4-5", 100)


async def test_each_kind_of_failure(server: BatchServer) -> None:
    async with Gateway(env=ENV, budget=BudgetSpec(usd=1.0)) as gateway:
        batches = gateway.batches()
        said = {"error": {"message": f"Incorrect API key {KEY}", "code": "invalid_api_key"}}
        for answer, kind, unconfirmed in (
            (RawAnswer(status=401, body=json.dumps(said).encode()), "auth", False),
            (RawAnswer(status=0, body=b"expired", kind="timeout"), "timeout", False),
            (RawAnswer(status=200, body=b'{"nothing": "useful"}'), "bad_response", True),
        ):
            line = await batches.line("0-0-0", ask(server))
            batches.hold([line])
            before = gateway.snapshot().spent.unconfirmed_usd
            with pytest.raises(ProviderError) as caught:
                await batches.read(line, answer)
            assert caught.value.kind == kind
            assert KEY not in str(caught.value)
            assert (gateway.snapshot().spent.unconfirmed_usd > before) == unconfirmed, "only an answer may be billed"


async def test_a_bill_that_comes_along_is_not_halved(server: BatchServer) -> None:
    async with Gateway(env=ENV) as gateway:
        batches = gateway.batches()
        line = await batches.line("0-0-0", ask(server))
        batches.hold([line])
        body = completion({"model": "gpt-4o-mini", "messages": [{"content": "1+2"}]})
        body["usage"]["cost"] = 0.5
        assert (await batches.read(line, ok(body))).cost_usd == 0.5


async def test_many_answers_are_read_at_the_same_time(server: BatchServer) -> None:
    async with Gateway(env=ENV) as gateway:
        batches = gateway.batches()
        model = "anthropic/claude-haiku-4-5"
        lines = [await batches.line(f"{n}-0-0", ask(server, f"{n}+0", model)) for n in range(20)]
        batches.hold(lines)
        batch_id, _ = await batches.create(lines, pause=at_once)
        wire = batches.wire_of(lines[0])
        while not (state := await wire.poll(batch_id)).ended:
            pass
        answers = await batches.answers(wire, state)
        found = await asyncio.gather(*(batches.read(line, answers[line.custom_id]) for line in lines))
        await batches.aclose()
        assert [one.text for one in found] == [str(n) for n in range(20)]


async def test_the_budget_takes_all_of_a_batch_or_nothing(server: BatchServer) -> None:
    limits = [BudgetSpec(usd=0.00018), BudgetSpec(tokens=800), BudgetSpec(calls=5), BudgetSpec(per_variant_usd=0.00018)]
    for budget in limits:
        async with Gateway(env=ENV, budget=budget) as gateway:
            batches = gateway.batches()
            lines = [await batches.line(f"{n}-0-0", ask(server)) for n in range(6)]
            # 100 output tokens at 0.30 USD per million (half of 0.60), and a little for the input.
            priced = budget.usd or budget.per_variant_usd
            assert not priced or lines[0].reservation.usd == pytest.approx(
                0.5 * (100 * 0.60 + 41 * 0.15) / 1e6, rel=0.1
            )
            with pytest.raises(BudgetExceeded, match="6 calls may need up to"):
                batches.hold(lines)
            batches.hold(lines[:5])  # nothing was left reserved
            batches.hold(lines[5:], force=True)


async def test_no_price_no_batch_under_a_budget(server: BatchServer) -> None:
    async with Gateway(env=ENV, budget=BudgetSpec(usd=1.0)) as gateway:
        request = ModelRequest(
            model="openai/unheard-of",
            messages=[{"role": "user", "content": "x"}],
            api_base="https://example.invalid/v1",
        )
        with pytest.raises(ProviderError, match="no known price") as caught:
            await gateway.batches().line("0-0-0", request)
        assert caught.value.kind == "budget"


async def test_only_a_refusal_is_tried_again(server: BatchServer) -> None:
    async with Gateway(env=ENV, limits=LimitsSpec(attempts=3), budget=BudgetSpec(calls=3)) as gateway:
        batches = gateway.batches()
        server.refuse = 5
        lines = [await batches.line("0-0-0", ask(server))]
        batches.hold(lines)
        with pytest.raises(ProviderError) as caught:
            await batches.create(lines, pause=at_once)
        assert (caught.value.kind, server.refuse, server.uploads) == ("rate_limit", 2, 1)
        assert KEY not in str(caught.value)
        lines = [await batches.line(f"{n}-0-0", ask(server)) for n in range(3)]
        batches.hold(lines)  # the budget was given back
        await batches.aclose()


async def test_results_are_never_fetched_from_elsewhere(server: BatchServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Gateway(env=ENV) as gateway:
        batches = gateway.batches()
        lines = [await batches.line("0-0-0", ask(server, model="anthropic/claude-haiku-4-5"))]
        batches.hold(lines)
        batch_id, _ = await batches.create(lines, pause=at_once)
        wire = batches.wire_of(lines[0])
        original = type(wire._http).get  # type: ignore[attr-defined]

        async def elsewhere(self: Any, url: str) -> bytes:
            body = json.loads(await original(self, url))
            return json.dumps({**body, "results_url": "https://evil.example/steal"}).encode()

        with monkeypatch.context() as patch:
            patch.setattr(type(wire._http), "get", elsewhere)  # type: ignore[attr-defined]
            while not (state := await wire.poll(batch_id)).ended:
                pass
        assert state.files == (f"{server.url}/v1/messages/batches/{batch_id}/results",)
        assert set(await batches.answers(wire, state)) == {"0-0-0"}
        await batches.aclose()
