"""Moderation over HTTP, from a server that speaks OpenAI's `/v1/moderations`, and answers no provider should give."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Self

import pytest
from tests.by_path import module_at

from bakeoff.errors import BudgetExceeded, ProviderError
from bakeoff.evaluators import EvaluatorContext, Score, load_evaluator, score_trial
from bakeoff.gateway import BudgetSpec, Gateway, GatewaySpec, LimitsSpec, Moderation, PriceSpec

KEY = "sk-test-0123456789abcdef"
MODEL = "openai/omni-moderation-latest"


faults = module_at("benchmarks/fault_server.py")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with faults.serving(faults.Options()) as url:
        yield url


def requests_of(address: str) -> int:
    with urllib.request.urlopen(address.removesuffix("/v1") + "/__log") as answer:
        return len(answer.read().splitlines())


def moderate(text: str, address: str, *, cache: Path | None = None, times: int = 1, **options: Any) -> Moderation:
    budget, spec = options.pop("budget", None), options.pop("gateway", GatewaySpec())

    async def main() -> Moderation:
        limits = LimitsSpec(attempts=12, retry_budget=1.0, max_wait_s=0.2)
        env = {"OPENAI_API_KEY": KEY, "MISTRAL_API_KEY": KEY}
        async with Gateway(gateway=spec, limits=limits, env=env, budget=budget, cache_path=cache, seed=1) as gateway:
            settings: dict[str, Any] = {"model": MODEL, "api_base": address, **options}
            return (await asyncio.gather(*(gateway.moderate(text, **settings) for _ in range(times))))[-1]

    return asyncio.run(main())


def scored(output: Any, address: str, **options: Any) -> Score:
    async def main() -> Score:
        async with Gateway(env={"OPENAI_API_KEY": KEY}, limits=LimitsSpec(attempts=1)) as client:
            check = load_evaluator({"moderation": {"api_base": address, **options}})
            return (await score_trial([check], EvaluatorContext(output=output, client=client)))[0]

    return asyncio.run(main())


class Canned:
    """A server that gives one answer and remembers what it was asked."""

    def __init__(self, answer: Any, status: int = 200) -> None:
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        asked: list[tuple[str, dict[str, str], Any]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                given = json.loads(self.rfile.read(int(self.headers["content-length"])))
                asked.append((self.path, dict(self.headers), given))
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None: ...

        self.asked = asked
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()


# The answer of OpenAI's documentation of `POST /v1/moderations` (omni-moderation), shortened.
PUBLISHED = {
    "id": "modr-970d409ef3bef3b70c73d8232df86e7d",
    "model": "omni-moderation-latest",
    "results": [
        {
            "flagged": True,
            "categories": {"sexual": False, "harassment": False, "violence": True, "illicit/violent": None},
            "category_scores": {
                "sexual": 2.34135824776394e-7,
                "harassment": 0.0011643905680426018,
                "violence": 0.8599265510337075,
                "illicit/violent": None,
            },
            "category_applied_input_types": {"sexual": ["text"], "violence": ["text"]},
        }
    ],
}


def test_the_published_answer_is_read_and_the_key_goes_into_the_header_only() -> None:
    with Canned(PUBLISHED) as server:
        found = moderate("a scene of war", server.address)
    ((path, headers, body),) = server.asked
    assert path == "/v1/moderations"
    assert body == {"model": "omni-moderation-latest", "input": "a scene of war"}
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert found.flagged
    assert found.categories == {"sexual": False, "harassment": False, "violence": True}
    assert found.scores["violence"] == pytest.approx(0.8599265510337075)
    assert found.cost_usd == 0.0  # OpenAI: the moderation endpoint is free
    assert found.model == "omni-moderation-latest"


def test_mistral_gives_no_flagged_so_any_category_decides() -> None:
    # https://docs.mistral.ai/api/#tag/classifiers: results with categories and category_scores only.
    result = {"categories": {"pii": True, "health": False}, "category_scores": {"pii": 0.98, "health": 0.001}}
    with Canned({"id": "x", "model": "mistral-moderation-2411", "results": [result]}) as server:
        found = moderate("call 555-0100", server.address, model="mistral/mistral-moderation-latest")
    assert (found.flagged, found.categories) == (True, {"pii": True, "health": False})


@pytest.mark.parametrize(
    "answer",
    [
        b"not json",
        {"results": []},
        {"results": [{"flagged": True, "categories": {}}]},
        {"results": [{"flagged": "yes", "categories": {"hate": True}}]},
        {"results": [{"flagged": True, "categories": {"hate": 1}}]},
        {"results": [{"flagged": True, "categories": {"hate": True}, "category_scores": {"hate": "high"}}]},
        {"data": 3},
        [],
    ],
)
def test_an_answer_that_cannot_be_read_is_a_missing_score_never_safe(answer: Any) -> None:
    with Canned(answer) as server:
        score = scored("text", server.address)
    assert score.value is None
    assert score.error is not None
    assert "bad_response" in score.error
    assert KEY not in repr(score)


def test_a_refusal_is_missing_and_keeps_the_key_to_itself() -> None:
    with Canned({"error": {"message": f"Incorrect API key provided: {KEY}"}}, status=401) as server:
        score = scored("text", server.address)
    assert score.value is None
    assert score.details["error_kind"] == "auth"
    assert KEY not in repr(score)


def test_the_same_text_is_asked_once_and_a_rerun_is_free(address: str, tmp_path: Path) -> None:
    before = requests_of(address)
    first = moderate("one FLAG=hate:0.7", address, cache=tmp_path / "c", times=5)
    assert requests_of(address) - before == 1
    again = moderate("one FLAG=hate:0.7", address, cache=tmp_path / "c")
    assert requests_of(address) - before == 1
    assert again.cached
    assert (again.flagged, again.scores) == (first.flagged, first.scores)
    assert again.scores["hate"] == 0.7


def test_errors_that_pass_are_tried_again() -> None:
    with faults.serving(faults.Options(p_500=0.3, p_malformed=0.2, p_429=0.2, retry_after_s=0.01)) as url:
        for k in range(20):
            assert moderate(f"{k} FLAG=violence:0.9", url).flagged


def test_a_budget_is_never_overshot(address: str) -> None:
    prices = GatewaySpec.model_validate({"prices": {MODEL: PriceSpec(input_usd=1e6, output_usd=0.0)}})
    before = requests_of(address)
    with pytest.raises(BudgetExceeded):
        moderate("word " * 100, address, budget=BudgetSpec(usd=50), gateway=prices)
    assert requests_of(address) == before


def test_what_cannot_be_asked_is_said_before_any_call(address: str) -> None:
    before = requests_of(address)
    wrong: list[tuple[Callable[[], Moderation], str]] = [
        (lambda: moderate(" ", address), "blank"),
        (lambda: moderate("a", address, model="anthropic/claude-haiku-4-5"), "no moderation endpoint"),
        (lambda: moderate("a", address, api_key_env="ANOTHER_KEY"), "ANOTHER_KEY is not set"),
    ]
    for call, message in wrong:
        with pytest.raises(ProviderError, match=message):
            call()
    assert requests_of(address) == before


def test_lone_surrogates_and_markup_are_sent_as_text(address: str) -> None:
    assert not moderate("\ud800 <script>\x00", address).flagged


def test_the_evaluator_follows_the_provider_the_categories_or_a_limit(address: str) -> None:
    text = "x FLAG=violence:0.62 FLAG=hate:0.3"
    safe, flagged = scored("fine", address), scored(text, address)
    assert (safe.value, safe.reason) == (True, "nothing flagged")
    assert (flagged.value, flagged.reason) == (False, "flagged: violence (0.62)")
    assert flagged.details["scores"]["hate"] == 0.3
    assert scored(text, address, categories=["hate"]).value is True
    assert scored(text, address, max_score=0.7).value is True
    low = scored(text, address, max_score=0.2)
    assert (low.value, low.reason) == (False, "flagged: violence (0.62), hate (0.3)")
    assert scored(text, address, **{"not": True}).value is True


def test_an_unknown_category_or_no_output_is_missing(address: str) -> None:
    unknown = scored("x", address, categories=["violense"])
    assert unknown.value is None
    assert "it knows harassment, hate, sexual, violence" in str(unknown.error)
    for output in ("", "  \n", "a" * 100_001):
        assert scored(output, address).value is None
    bare = asyncio.run(score_trial([load_evaluator("moderation")], EvaluatorContext(output="x")))[0]
    assert "needs a client" in str(bare.error)
