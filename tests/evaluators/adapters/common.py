"""What the checks share: a trap for calls home, a judge that answers by script, and one way to score."""

from __future__ import annotations

import asyncio
import atexit
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bakeoff.errors import EvaluatorError
from bakeoff.evaluators import EvaluatorContext, Score, load_evaluator, score_trial
from bakeoff.gateway import BudgetSpec, Gateway, GatewaySpec, LimitsSpec, PriceSpec

KEY = "sk-test-0123456789abcdef"
MODEL = "openai/gpt-4o-mini"
EMBEDDER = "openai/text-embedding-3-small"
_LOCAL = ("127.0.0.1", "localhost", "::1", "0.0.0.0", "", None, b"127.0.0.1", b"localhost")
_tried: list[str] = []


def _watch(event: str, args: tuple[Any, ...]) -> None:
    if event == "socket.connect" or event == "socket.sendto":
        address = args[1]
        host = address[0] if isinstance(address, tuple) else None
    elif event == "socket.getaddrinfo" or event == "socket.gethostbyname":
        host = args[0]
    else:
        return
    if host not in _LOCAL:
        _tried.append(f"{event} {host!r}")
        raise OSError(f"trapped: {event} {host!r}")


def set_trap() -> None:
    """Refuse and write down every attempt of Python code to reach another machine. Call before any import."""
    sys.addaudithook(_watch)


def tried(wait_s: float = 1.0) -> list[str]:
    """Give the attempts so far, after background threads and exit handlers had their turn."""
    time.sleep(wait_s)
    atexit._run_exitfuncs()
    return list(_tried)


class Judge:
    """An OpenAI-compatible server; `reply` gives a text, or a dict that becomes the arguments of the forced tool."""

    def __init__(self, reply: Callable[[dict[str, Any]], Any] | Any = "ok", status: int = 200) -> None:
        self.reply = reply
        self.status = status
        self.asked: list[dict[str, Any]] = []
        self.keys: set[str] = set()

    async def _answer(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.asked.append(body)
        self.keys.add(request.headers.get("authorization", ""))
        if self.status != 200:
            return web.json_response({"error": {"message": f"no: {KEY}", "type": "x"}}, status=self.status)
        if request.path.endswith("/embeddings"):
            rows = [
                {"object": "embedding", "index": k, "embedding": _letters(text)} for k, text in enumerate(body["input"])
            ]
            return web.json_response({"data": rows, "model": body["model"], "usage": {"prompt_tokens": 7}})
        if request.path.endswith("/moderations"):
            hit = "stab" in body["input"]
            result = {"flagged": hit, "categories": {"violence": hit}, "category_scores": {"violence": 0.9 * hit}}
            return web.json_response({"id": "m", "model": body["model"], "results": [result]})
        said = self.reply(body) if callable(self.reply) else self.reply
        message: dict[str, Any] = {"role": "assistant", "content": said}
        if isinstance(said, dict):
            import json

            name = body["tools"][0]["function"]["name"]
            call = {"id": "c1", "type": "function", "function": {"name": name, "arguments": json.dumps(said)}}
            message = {"role": "assistant", "content": None, "tool_calls": [call]}
        usage = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        shared = {"id": "x", "object": "chat.completion", "created": 1, "model": "gpt-4o-mini-2024-07-18"}
        return web.json_response({**shared, "choices": [choice], "usage": usage})

    async def start(self) -> str:
        app = web.Application()
        app.router.add_post("/v1/{tail:.*}", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"

    async def stop(self) -> None:
        await self._runner.cleanup()


def _letters(text: str) -> list[float]:
    return [float(text.count(letter)) for letter in "abcdefghijklmnopqrstuvwxyz "]


def score(
    spec: dict[str, Any],
    *,
    judge: Judge | None = None,
    budget: BudgetSpec | None = None,
    cache: Path | None = None,
    times: int = 1,
    base_dir: Path | str = ".",
    **trial: Any,
) -> list[Score]:
    """Score one trial (or the same one several times at once) through a real gateway and a real server."""

    async def main() -> list[Score]:
        server = judge or Judge()
        address = await server.start()
        prices = {MODEL: PriceSpec(input_usd=1.0, output_usd=10.0)}  # a call of the server costs 0.002 USD
        try:
            async with Gateway(
                gateway=GatewaySpec(prices=prices),
                env={"OPENAI_API_KEY": KEY},
                limits=LimitsSpec(attempts=1),
                budget=budget,
                cache_path=cache,
            ) as client:
                ((kind, options),) = spec.items()
                if judge is not None:
                    options = {**options, "api_base": address}
                built = load_evaluator({kind: options}, base_dir=base_dir)
                again = load_evaluator(built.spec(), base_dir=base_dir)
                assert again == built
                context = EvaluatorContext(client=client, **trial)
                each = await asyncio.gather(*(score_trial([built], context) for _ in range(times)))
                return [one for scores in each for one in scores]
        finally:
            await server.stop()

    return asyncio.run(main())


def one(spec: dict[str, Any], **given: Any) -> Score:
    (found,) = score(spec, **given)
    return found


def refused(spec: Any, *words: str, base_dir: Path | str = ".") -> None:
    """The spec must be refused with a message that has all the words."""
    with pytest.raises(EvaluatorError) as caught:
        load_evaluator(spec, base_dir=base_dir)
    for word in words:
        assert word in str(caught.value), (word, str(caught.value))


def through_the_door(spec: dict[str, Any], reply: Any, **trial: Any) -> Score:
    """A scorer that asks a model must do so through the gateway: budget, cache, secrets and failures hold."""
    ((kind, options),) = spec.items()
    judge = Judge(reply)
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / "cache.sqlite"
        good = one({kind: {**options, "model": MODEL}}, judge=judge, cache=cache, **trial)
        assert good.value is not None, good
        calls = len(judge.asked)
        assert calls > 0
        assert {body["model"] for body in judge.asked} == {"gpt-4o-mini"}, judge.asked
        assert judge.keys == {f"Bearer {KEY}"}
        assert good.cost_usd is not None
        assert abs(good.cost_usd - 0.002 * calls) < 1e-9, (good.cost_usd, calls)
        assert good.details["calls"] == calls
        assert good.details["model"] == "gpt-4o-mini-2024-07-18"
        assert KEY not in repr(good)
        # A parameter of ours goes over that of the library, and null takes one away.
        params = {"temperature": None, "max_tokens": 77}
        changed = Judge(reply)
        one({kind: {**options, "model": MODEL, "params": params}}, judge=changed, **trial)
        assert all(body["max_tokens"] == 77 and "temperature" not in body for body in changed.asked), changed.asked
    # A budget that the first call would overshoot: no call, no score, the reason.
    poor = Judge(reply)
    broke = one({kind: {**options, "model": MODEL}}, judge=poor, budget=BudgetSpec(usd=1e-6), **trial)
    assert broke.value is None, broke
    assert broke.details["error_kind"] == "budget", broke
    assert not poor.asked
    # A provider that refuses: one call, no score, no secret.
    down = Judge(reply, status=500)
    failed = one({kind: {**options, "model": MODEL}}, judge=down, **trial)
    assert failed.value is None, failed
    assert (failed.details["error_kind"], failed.details["retryable"]) == ("server", True), failed
    assert len(down.asked) == 1, len(down.asked)
    assert KEY not in repr(failed)
    # Many at once share one set of limits and do not mix up their answers.
    many = score({kind: {**options, "model": MODEL}}, judge=Judge(reply), times=8, **trial)
    assert {found.value for found in many} == {good.value}
    return good


def cached_rerun(spec: dict[str, Any], reply: Any, **trial: Any) -> None:
    """A second run of the same experiment against the same server asks nothing."""

    async def main() -> None:
        judge = Judge(reply)
        address = await judge.start()
        with tempfile.TemporaryDirectory() as folder:
            values = []
            for _ in range(2):
                async with Gateway(env={"OPENAI_API_KEY": KEY}, cache_path=Path(folder) / "c.sqlite") as client:
                    ((kind, options),) = spec.items()
                    built = load_evaluator({kind: {**options, "model": MODEL, "api_base": address}})
                    values.append((await score_trial([built], EvaluatorContext(client=client, **trial)))[0].value)
                calls = len(judge.asked)
            assert values[0] is not None
            assert values[0] == values[1]
            assert len(judge.asked) == calls
        await judge.stop()
        first = calls
        assert first == len(judge.asked)

    asyncio.run(main())


def done() -> None:
    """End a check: nothing may have been tried, and the line that the test looks for."""
    assert tried() == [], _tried
    sys.stdout.write("ok\n")
