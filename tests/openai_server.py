"""A server on this machine that speaks OpenAI's chat protocol, and says what a test tells it to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

Script = Callable[[dict[str, Any], int], tuple[int, str]]
"""From the body of a call and its number to a status and the text of the answer."""


@asynccontextmanager
async def serving(script: Script, *, tokens: tuple[int, int] = (100, 20)) -> AsyncIterator[tuple[str, list[Any]]]:
    """Serve; give the address and the list of bodies as they come.

    `tokens` are those in and out that each answer is said to have taken.
    """
    calls: list[dict[str, Any]] = []

    async def answer(request: web.Request) -> web.Response:
        body = await request.json()
        calls.append(body)
        status, text = script(body, len(calls))
        if status != 200:
            return web.json_response({"error": {"message": text, "type": "x", "code": None}}, status=status)
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        usage = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)}
        about = {"id": "1", "object": "chat.completion", "created": 1, "model": "gpt-4o-mini"}
        return web.json_response({**about, "choices": [choice], "usage": usage})

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        yield f"http://127.0.0.1:{port}/v1", calls
    finally:
        await runner.cleanup()
