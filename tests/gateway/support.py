"""A scripted transport, and short ways to say what a test needs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from bakeoff.errors import ProviderError
from bakeoff.gateway import Gateway, ModelRequest, ModelResponse, PriceSpec, Usage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable


__all__ = ["MODEL", "PRICES", "Scripted", "answer", "answering", "ask", "failing", "gateway", "refused", "server_error"]

MODEL = "openai/m"
PRICES = {MODEL: PriceSpec(input_usd=1.0, output_usd=2.0)}


class Scripted:
    """A transport that does what a function of (request, number of the attempt) says."""

    def __init__(self, script: Callable[[ModelRequest, int], Awaitable[ModelResponse]]) -> None:
        self.script = script
        self.requests: list[ModelRequest] = []
        self.times: list[float] = []
        self.in_flight = self.most_in_flight = 0
        self.closed = False

    async def send(self, request: ModelRequest) -> ModelResponse:
        self.requests.append(request)
        self.times.append(asyncio.get_running_loop().time())
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return await self.script(request, len(self.requests))
        finally:
            self.in_flight -= 1

    def prewarm(self, models: Iterable[str]) -> None: ...

    async def aclose(self) -> None:
        self.closed = True


def answer(request: ModelRequest, **more: Any) -> ModelResponse:
    usage = more.pop("usage", Usage(input_tokens=10, output_tokens=5))
    return ModelResponse(
        text=f"re: {request.messages[-1]['content']}",
        model=request.model,
        usage=usage,
        cost_usd=more.pop("cost_usd", 20e-6),
        **more,
    )


def answering(seconds: float = 0.1, **more: Any) -> Scripted:
    async def script(request: ModelRequest, number: int) -> ModelResponse:
        await asyncio.sleep(seconds)
        return answer(request, **more)

    return Scripted(script)


def failing(times: int, error: Callable[[], ProviderError]) -> Scripted:
    """Fail the first so many attempts, then answer."""

    async def script(request: ModelRequest, number: int) -> ModelResponse:
        await asyncio.sleep(0.01)
        if number <= times:
            raise error()
        return answer(request)

    return Scripted(script)


def ask(text: str = "hi", **more: Any) -> ModelRequest:
    return ModelRequest(
        model=more.pop("model", MODEL),
        messages=[{"role": "user", "content": text}],
        params=more.pop("params", {"max_tokens": 100}),
        **more,
    )


def gateway(transport: Any, **more: Any) -> Gateway:
    if "clock" not in more:
        more["clock"] = asyncio.get_running_loop().time
    return Gateway(transport=transport, env=more.pop("env", {}), seed=1, **more)


def server_error() -> ProviderError:
    return ProviderError("broken", kind="server", retryable=True, status=500)


def refused(after: float | None = None) -> ProviderError:
    return ProviderError("too many", kind="rate_limit", retryable=True, retry_after_s=after, status=429)
