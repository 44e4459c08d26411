"""A server that answers like ten providers do, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

TEXT = 'Grüße, "world"'
ARGUMENTS = {"city": "Zürich", "days": 2}
RATE_LIMIT = {"x-ratelimit-remaining-requests": "41", "x-ratelimit-reset-requests": "1.5s"}


@dataclass
class Seen:
    method: str
    path: str
    headers: dict[str, str]
    body: Any


def _openai_body(scenario: str) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": TEXT}
    finish = "stop"
    if scenario == "tools":
        finish = "tool_calls"
        function = {"name": "weather", "arguments": json.dumps(ARGUMENTS)}
        message = {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "call_1", "type": "function", "function": function}],
        }
    elif scenario == "length":
        finish = "length"
    elif scenario == "thinking":
        message = {"role": "assistant", "content": TEXT, "reasoning_content": "Let me see."}
    elif scenario == "inline thinking":
        message = {"role": "assistant", "content": f"<think>Let me see.</think>{TEXT}"}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "served-model-1",
        "system_fingerprint": "fp_77",
        "service_tier": "default",
        "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}],
        "usage": {
            "prompt_tokens": 31,
            "completion_tokens": 9,
            "total_tokens": 40,
            "prompt_tokens_details": {"cached_tokens": 16, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 4, "audio_tokens": 0},
        },
    }


def _openai_chunks(scenario: str) -> list[dict[str, Any]]:
    whole = _openai_body(scenario)
    base = {**{key: whole[key] for key in ("id", "created", "model", "system_fingerprint")}, "service_tier": "default"}
    base["object"] = "chat.completion.chunk"

    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}]}

    chunks = [chunk({"role": "assistant", "content": ""})]
    if scenario == "tools":
        head = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}
        chunks.append(chunk({"tool_calls": [head]}))
        text = json.dumps(ARGUMENTS)
        pieces = [{"index": 0, "function": {"arguments": piece}} for piece in (text[:7], text[7:])]
        chunks += [chunk({"tool_calls": [piece]}) for piece in pieces]
    else:
        if scenario == "thinking":
            chunks.append(chunk({"reasoning_content": "Let me see."}))
        chunks += [chunk({"content": piece}) for piece in (TEXT[:4], TEXT[4:9], TEXT[9:])]
    if scenario == "cut":
        return chunks
    chunks.append(chunk({}, whole["choices"][0]["finish_reason"]))
    chunks.append({**base, "choices": [], "usage": whole["usage"]})
    return chunks


def _anthropic_body(scenario: str) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "text", "text": TEXT}]
    stop = "end_turn"
    if scenario == "tools":
        content = [{"type": "tool_use", "id": "toolu_1", "name": "weather", "input": ARGUMENTS}]
        stop = "tool_use"
    elif scenario == "length":
        stop = "max_tokens"
    usage = {"input_tokens": 15, "cache_read_input_tokens": 16, "cache_creation_input_tokens": 0, "output_tokens": 9}
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "served-model-1",
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": usage,
    }


def _anthropic_events(scenario: str) -> list[dict[str, Any]]:
    whole = _anthropic_body(scenario)
    start = {**whole, "content": [], "stop_reason": None, "usage": {**whole["usage"], "output_tokens": 1}}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": start}]
    if scenario == "tools":
        block = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}
        events.append({"type": "content_block_start", "index": 0, "content_block": block})
        text = json.dumps(ARGUMENTS)
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in (text[:7], text[7:])]
    else:
        events.append({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
        deltas = [{"type": "text_delta", "text": piece} for piece in (TEXT[:4], TEXT[4:])]
    events += [{"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas]
    if scenario == "cut":
        return events
    events.append({"type": "content_block_stop", "index": 0})
    stop = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    events.append({"type": "message_delta", "delta": stop, "usage": {"output_tokens": 9}})
    return [*events, {"type": "message_stop"}]


def _gemini_body(scenario: str, text: str = TEXT, *, last: bool = True) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"text": text}]
    if scenario == "tools":
        parts = [{"functionCall": {"name": "weather", "args": ARGUMENTS}}]
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
    if last:
        candidate["finishReason"] = "MAX_TOKENS" if scenario == "length" else "STOP"
    usage = {
        "promptTokenCount": 31,
        "candidatesTokenCount": 5,
        "thoughtsTokenCount": 4,
        "totalTokenCount": 40,
        "cachedContentTokenCount": 16,
    }
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "served-model-1", "responseId": "r1"}


def _gemini_chunks(scenario: str) -> list[dict[str, Any]]:
    if scenario == "tools":
        return [_gemini_body(scenario)]
    return [_gemini_body(scenario, TEXT[:4], last=False), _gemini_body(scenario, TEXT[4:], last=scenario != "cut")]


def _cohere_body(scenario: str) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": [{"type": "text", "text": TEXT}]}
    finish = "COMPLETE"
    if scenario == "tools":
        function = {"name": "weather", "arguments": json.dumps(ARGUMENTS)}
        message = {
            "role": "assistant",
            "tool_plan": "I look it up.",
            "tool_calls": [{"id": "call_1", "type": "function", "function": function}],
        }
        finish = "TOOL_CALL"
    elif scenario == "length":
        finish = "MAX_TOKENS"
    tokens = {"input_tokens": 31, "output_tokens": 9}
    return {
        "id": "c1",
        "finish_reason": finish,
        "message": message,
        "usage": {"billed_units": tokens, "tokens": tokens},
    }


def _cohere_events(scenario: str) -> list[dict[str, Any]]:
    whole = _cohere_body(scenario)
    start = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    events: list[dict[str, Any]] = [{"type": "message-start", "id": "c1", "delta": {"message": start}}]
    if scenario == "tools":
        call = whole["message"]["tool_calls"][0]
        head = {**call, "function": {"name": "weather", "arguments": ""}}
        events.append({"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls": head}}})
        text = call["function"]["arguments"]
        for piece in (text[:7], text[7:]):
            delta = {"message": {"tool_calls": {"function": {"arguments": piece}}}}
            events.append({"type": "tool-call-delta", "index": 0, "delta": delta})
        events.append({"type": "tool-call-end", "index": 0})
    else:
        empty = {"message": {"content": {"type": "text", "text": ""}}}
        events.append({"type": "content-start", "index": 0, "delta": empty})
        deltas = [{"message": {"content": {"text": piece}}} for piece in (TEXT[:4], TEXT[4:])]
        events += [{"type": "content-delta", "index": 0, "delta": delta} for delta in deltas]
        events.append({"type": "content-end", "index": 0})
    if scenario == "cut":
        return events
    end = {"finish_reason": whole["finish_reason"], "usage": whole["usage"]}
    return [*events, {"type": "message-end", "delta": end}]


def _ollama_body(scenario: str, path: str, text: str = TEXT, *, done: bool = True) -> dict[str, Any]:
    body: dict[str, Any] = {"model": "served-model-1", "created_at": "2024-01-01T00:00:00Z", "done": done}
    if path == "/api/chat":
        body["message"] = {"role": "assistant", "content": text}
        if scenario == "tools":
            call = {"function": {"name": "weather", "arguments": ARGUMENTS}}
            body["message"] = {"role": "assistant", "content": "", "tool_calls": [call]}
    else:
        body["response"] = text
    if done:
        body |= {"done_reason": "length" if scenario == "length" else "stop"}
        body |= {"prompt_eval_count": 31, "eval_count": 9, "total_duration": 5, "load_duration": 1}
    return body


ERRORS: dict[str, tuple[int, dict[str, Any] | str]] = {
    "auth": (
        401,
        {"message": "Incorrect API key provided", "type": "invalid_request_error", "code": "invalid_api_key"},
    ),
    "not found": (
        404,
        {"message": "The model `m` does not exist", "type": "not_found_error", "code": "model_not_found"},
    ),
    "rate limit": (429, {"message": "Rate limit reached", "type": "rate_limit_error", "code": "rate_limit_exceeded"}),
    "server": (500, {"message": "The server had an error", "type": "server_error", "code": None}),
    "unavailable": (503, {"message": "Overloaded, try again", "type": "overloaded_error", "code": None}),
    "bad request": (400, {"message": "Unknown parameter: 'colour'", "type": "invalid_request_error", "code": None}),
    "context": (
        400,
        {
            "message": "This model's maximum context length is 128 tokens. However, you sent 900 tokens.",
            "type": "invalid_request_error",
            "code": "context_length_exceeded",
        },
    ),
    "filter": (
        400,
        {
            "message": "The response was filtered due to the prompt triggering our content management policy.",
            "type": "invalid_request_error",
            "code": "content_filter",
        },
    ),
    "malformed": (200, '{"id": "cut in the mid'),
    "html": (200, "<html><body>Welcome to our proxy</body></html>"),
    "no choices": (200, {}),
}


@dataclass
class ProviderServer:
    base: str = ""
    scenario: str = "text"
    named_events: bool = False
    seen: list[Seen] = field(default_factory=list)

    def take(self) -> list[Seen]:
        seen, self.seen = self.seen, []
        return seen

    async def handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        if request.path == "/api/show":
            return web.json_response({"template": "{{ .Prompt }}", "model_info": {}, "details": {}})
        body = json.loads(raw) if raw else None
        self.seen.append(Seen(request.method, request.path_qs, dict(request.headers), body))
        if self.scenario in ERRORS:
            return self._error(request)
        if self.scenario == "hang":
            await asyncio.sleep(30)
        streams = "stream" in request.path or (isinstance(body, dict) and body.get("stream") is True)
        return await self._stream(request) if streams else web.json_response(self._body(request), headers=RATE_LIMIT)

    def _error(self, request: web.Request) -> web.Response:
        status, said = ERRORS[self.scenario]
        headers = {"Retry-After": "7"} if status in {429, 503} else {}
        if isinstance(said, str):
            kind = "text/html" if said.startswith("<") else "application/json"
            return web.Response(text=said, status=status, headers=headers, content_type=kind)
        if not said:
            return web.json_response({"hello": "world"}, status=status)
        if "generateContent" in request.path or "GenerateContent" in request.path:
            said = {"code": status, "message": said["message"], "status": "INVALID_ARGUMENT"}
        if request.path == "/v1/messages":
            said = {"type": said["type"], "message": said["message"]}
            return web.json_response({"type": "error", "error": said}, status=status, headers=headers)
        if request.path.startswith("/v2/chat"):
            return web.json_response({"message": said["message"]}, status=status, headers=headers)
        if request.path.startswith("/api/") and "/v1" not in request.path:
            return web.json_response({"error": said["message"]}, status=status, headers=headers)
        return web.json_response({"error": said}, status=status, headers=headers)

    def _body(self, request: web.Request) -> dict[str, Any]:
        path = request.path
        if path == "/v1/messages":
            return _anthropic_body(self.scenario)
        if "enerateContent" in path:
            return _gemini_body(self.scenario)
        if path.startswith("/v2/chat"):
            return _cohere_body(self.scenario)
        if path in {"/api/chat", "/api/generate"}:
            return _ollama_body(self.scenario, path)
        return _openai_body(self.scenario)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        path, scenario = request.path, self.scenario
        lines: list[str]
        if path in {"/api/chat", "/api/generate"}:
            texts = [""] if scenario == "tools" else [TEXT[:4], TEXT[4:]]
            bodies = [_ollama_body(scenario, path, text, done=False) for text in texts]
            if scenario != "cut":
                end = _ollama_body("length" if scenario == "length" else "text", path, "", done=True)
                bodies.append(end)
            lines = [json.dumps(body) + "\n" for body in bodies]
        elif path == "/v1/messages":
            events = _anthropic_events(scenario)
            lines = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events]
        elif path.startswith("/v2/chat"):
            named = self.named_events
            lines = [
                (f"event: {event['type']}\n" if named else "") + f"data: {json.dumps(event)}\n\n"
                for event in _cohere_events(scenario)
            ]
            if scenario != "cut":
                lines.append("data: [DONE]\n\n")
        elif "enerateContent" in path:
            lines = [f"data: {json.dumps(chunk)}\r\n\r\n" for chunk in _gemini_chunks(scenario)]
        else:
            lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in _openai_chunks(scenario)]
            if scenario != "cut":
                lines.append("data: [DONE]\n\n")
        kind = "application/x-ndjson" if path.startswith("/api/") and "/v1" not in path else "text/event-stream"
        response = web.StreamResponse(headers={"Content-Type": kind, **RATE_LIMIT})
        await response.prepare(request)
        for line in lines:
            await response.write(line.encode())
        await response.write_eof()
        return response


async def _serve(server: ProviderServer, started: threading.Event, stopped: asyncio.Event) -> None:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", server.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    started.set()
    await stopped.wait()
    await runner.cleanup()


@pytest.fixture(scope="module")
def provider() -> Iterator[ProviderServer]:
    # In a thread of its own: LiteLLM's client asks an Ollama server about its models with blocking calls.
    server, started, stopped = ProviderServer(), threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(_serve(server, started, stopped),), daemon=True)
    thread.start()
    assert started.wait(10)
    yield server
    loop.call_soon_threadsafe(stopped.set)
    thread.join(10)
    loop.close()
