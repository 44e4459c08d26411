"""A small OpenAI-compatible server for the bridges: calls the first tool once, then answers with what it said."""

from __future__ import annotations

from typing import Any

from aiohttp import web


async def complete(request: web.Request) -> web.Response:
    body: dict[str, Any] = await request.json()
    last = body["messages"][-1]
    message: dict[str, Any] = {"role": "assistant", "content": f"It says: {last['content']}"}
    if body.get("tools") and last["role"] != "tool":
        name = body["tools"][0]["function"]["name"]
        call = {"id": "call_1", "type": "function", "function": {"name": name, "arguments": '{"service": "mail"}'}}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if "tool_calls" in message else "stop"}
    usage = {"prompt_tokens": 11, "completion_tokens": 4, "total_tokens": 15}
    return web.json_response(
        {
            "id": "x",
            "object": "chat.completion",
            "created": 1,
            "model": body["model"],
            "choices": [choice],
            "usage": usage,
        }
    )


async def start() -> tuple[web.AppRunner, str]:
    """Start the server; return what stops it, and its address."""
    app = web.Application()
    app.router.add_post("/v1/chat/completions", complete)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
