"""Both routes put the same on the wire and read the same out of the answer, for every provider we name.

The full LiteLLM client is the oracle; the direct route must not be told apart from it.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from bakeoff.errors import ProviderError
from bakeoff.gateway import GatewaySpec, LimitsSpec, ModelRequest
from bakeoff.gateway._transport import Transport, open_transport

pytestmark = [
    # Both inside LiteLLM.
    pytest.mark.filterwarnings("ignore:Accessing the 'model_.*' attribute on the instance is deprecated"),
    pytest.mark.filterwarnings("ignore:Items? .* on TypedDict class .* using the `ReadOnly` qualifier"),
]

KEY = "k-secret-0123456789"
ENV = {
    f"{name}_API_KEY": KEY
    for name in ("OPENAI", "AZURE", "ANTHROPIC", "GEMINI", "MISTRAL", "GROQ", "COHERE", "OPENROUTER", "HOSTED_VLLM")
}
PROVIDERS: dict[str, tuple[str, dict[str, Any]]] = {
    "openai/gpt-4o-mini": ("/v1", {}),
    "openai/gpt-5-mini": ("/v1", {"temperature": 1, "max_tokens": 30}),
    "azure/my-deployment": ("", {"api_version": "2024-10-21"}),
    "anthropic/claude-sonnet-4-5": ("", {}),
    "gemini/gemini-2.5-flash": ("", {}),
    "mistral/mistral-small-latest": ("/v1", {}),
    "groq/llama-3.3-70b-versatile": ("/openai/v1", {}),
    "cohere/command-r-plus": ("/v2/chat", {}),
    "openrouter/openai/gpt-4o-mini": ("/api/v1", {}),
    "openrouter/anthropic/claude-sonnet-4.5": ("/api/v1", {}),
    "ollama/llama3": ("", {}),
    "ollama_chat/llama3": ("", {}),
    "hosted_vllm/my-model": ("/v1", {}),
}
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tell the weather.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
    },
}
SYSTEM = {"role": "system", "content": "Be brief."}
USER = {"role": "user", "content": 'How is the weather in "Zürich"?\n'}
TALK = [SYSTEM, USER, {"role": "assistant", "content": "Wet."}, {"role": "user", "content": "And tomorrow?"}]
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Bern"}'}}
TOOL_TALK = [
    USER,
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
]
# Headers that belong to the HTTP library, and say nothing to the provider.
LIBRARY = {"accept", "accept-encoding", "connection", "content-length", "content-type", "host", "user-agent"}

# Before the call, both refuse what these models do not take.
ERRORS = ("auth", "not found", "rate limit", "server", "unavailable", "bad request", "context", "filter")
BROKEN = ("malformed", "html", "no choices")

# What cannot agree, and why.
NO_TOOLS = {"ollama/llama3"}
NO_STREAM = {"cohere/command-r-plus"}  # LiteLLM 1.106.2 cannot read Cohere's stream; see the test at the end


def request_for(model: str, base: str, *, messages: list[dict[str, Any]], stream: bool, **params: Any) -> ModelRequest:
    path, own = PROVIDERS[model]
    merged = {"max_tokens": 30, "temperature": 0.5, **params, **own}
    return ModelRequest(model=model, messages=messages, params=merged, api_base=base + path, stream=stream)


async def attempt(transport: Transport, request: ModelRequest) -> dict[str, Any]:
    """Return what a route made of one call, without what may differ (times, the route's name)."""
    try:
        answer = dataclasses.asdict(await transport.send(request))
    except ProviderError as error:
        kind = {"error": error.kind, "retryable": error.retryable, "retry_after_s": error.retry_after_s}
        return {**kind, "message": str(error)}
    timed = answer.pop("ttft_ms") is not None
    for name in ("latency_ms", "route"):
        del answer[name]
    for call in answer["tool_calls"]:
        if call["id"] not in {"call_1", "toolu_1"}:
            call["id"] = "made up"  # Gemini and Ollama send none; LiteLLM draws one
    return {**answer, "timed": timed}


def wire(seen: list[Any]) -> list[Any]:
    return [
        (
            one.method,
            one.path,
            {
                name.lower(): value
                for name, value in one.headers.items()
                if name.lower() not in LIBRARY and not name.lower().startswith("x-stainless")
            },
            one.body,
        )
        for one in seen
    ]


def differences(left: object, right: object, path: str = "") -> list[str]:
    if isinstance(left, dict) and isinstance(right, dict):
        names = sorted({*left, *right}, key=str)
        return [
            found
            for name in names
            for found in differences(left.get(name, "(absent)"), right.get(name, "(absent)"), f"{path}.{name}")
        ]
    return [] if left == right else [f"{path}: litellm {left!r} / direct {right!r}"]


async def compare(provider: Any, scenario: str, request: ModelRequest, routes: dict[str, Transport]) -> list[str]:
    provider.scenario = scenario
    results, wires = {}, {}
    for name, transport in routes.items():
        results[name] = await attempt(transport, request)
        wires[name] = wire(provider.take())
    where = f"{request.model} {scenario} stream={request.stream}"
    messages = {name: result.pop("message", None) for name, result in results.items()}
    if request.stream and "error" not in results["litellm"]:
        # LiteLLM's stream wrapper puts the requested name for the served one and drops what it has no place for.
        for name in ("model", "fingerprint", "reasoning"):
            if results["litellm"][name] in {None, request.model, request.model.partition("/")[2]}:
                results["direct"].pop(name, None)
                results["litellm"].pop(name)
    if not results["litellm"].get("rate_limit"):
        for result in results.values():
            result.pop("rate_limit", None)  # some of LiteLLM's handlers lose the headers
    found = differences(results["litellm"], results["direct"])
    if found and any(messages.values()):
        found = [f": {messages or results}"]
    refused = results["direct"].get("error") == "bad_request" and scenario not in ERRORS
    if len(wires["litellm"]) != len(wires["direct"]) or not (wires["direct"] or refused):
        found.append(f": {len(wires['litellm'])} calls / {len(wires['direct'])} calls {messages}")
    for left, right in zip(wires["litellm"], wires["direct"], strict=False):
        for part, one, other in zip(("method", "path", "headers", "body"), left, right, strict=True):
            found += differences(one, other, f".wire.{part}")
    return [f"{where}{one}" for one in found]


@pytest.fixture
async def routes(provider: Any) -> Any:
    provider.take()
    limits = LimitsSpec(timeout_s=5)
    opened = {name: open_transport(GatewaySpec(route=name), limits, env=ENV) for name in ("litellm", "direct")}
    yield opened
    for transport in opened.values():
        await transport.aclose()


@pytest.mark.parametrize("model", PROVIDERS)
async def test_the_same_call_and_the_same_answer(model: str, provider: Any, routes: Any) -> None:
    found = []
    for stream in (False,) if model in NO_STREAM else (False, True):
        for scenario in ("text", "length", "thinking", "inline thinking"):
            request = request_for(model, provider.base, messages=[SYSTEM, USER], stream=stream)
            found += await compare(provider, scenario, request, routes)
        request = request_for(model, provider.base, messages=TALK, stream=stream, stop=["END"], top_p=0.9)
        found += await compare(provider, "text", request, routes)
        if model in NO_TOOLS:
            continue
        request = request_for(model, provider.base, messages=[USER], stream=stream, tools=[TOOL])
        found += await compare(provider, "tools", request, routes)
        request = request_for(model, provider.base, messages=TOOL_TALK, stream=stream, tools=[TOOL])
        found += await compare(provider, "text", request, routes)
    assert not found, "\n".join(found)


SCHEMA = {
    "type": "object",
    "properties": {"verdict": {"type": "string", "enum": ["pass", "fail"]}, "reason": {"type": "string"}},
    "required": ["verdict", "reason"],
    "additionalProperties": False,
}
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.mark.parametrize("model", PROVIDERS)
async def test_structured_output_and_pictures(model: str, provider: Any, routes: Any) -> None:
    found = []
    forms = [
        {"type": "json_object"},
        {"type": "json_schema", "json_schema": {"name": "verdict", "strict": True, "schema": SCHEMA}},
    ]
    for form in forms:
        request = request_for(model, provider.base, messages=[SYSTEM, USER], stream=False, response_format=form)
        for scenario in ("text",) if model in NO_TOOLS else ("text", "tools"):
            found += await compare(provider, scenario, request, routes)
    picture = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": PIXEL}}]
    request = request_for(model, provider.base, messages=[{"role": "user", "content": picture}], stream=False)
    found += await compare(provider, "text", request, routes)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("model", PROVIDERS)
async def test_the_same_errors(model: str, provider: Any, routes: Any) -> None:
    found = []
    for stream in (False,) if model in NO_STREAM else (False, True):
        for scenario in (*ERRORS, *BROKEN):
            if stream and scenario in BROKEN:
                continue
            request = request_for(model, provider.base, messages=[SYSTEM, USER], stream=stream)
            found += await compare(provider, scenario, request, routes)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("model", PROVIDERS)
async def test_a_stream_that_is_cut_is_not_an_answer(model: str, provider: Any, routes: Any) -> None:
    provider.scenario = "cut"
    result = await attempt(routes["direct"], request_for(model, provider.base, messages=[USER], stream=True))
    assert result["error"] in {"bad_response", "connection"}
    assert result["retryable"]
    assert "a stream that ended" in result["message"]


@pytest.mark.parametrize("named", [True, False])
async def test_cohere_is_streamed_all_the_same(named: bool, provider: Any, routes: Any) -> None:
    provider.named_events = named
    for scenario, text, finish in (("text", 'Grüße, "world"', "stop"), ("length", 'Grüße, "world"', "length")):
        provider.scenario = scenario
        request = request_for("cohere/command-r-plus", provider.base, messages=[USER], stream=True)
        result = await attempt(routes["direct"], request)
        assert (result["text"], result["finish_reason"], result["timed"]) == (text, finish, True)
        assert (result["usage"]["input_tokens"], result["usage"]["output_tokens"]) == (31, 9)
        assert provider.take()[-1].body["stream"] is True
    provider.scenario = "tools"
    request = request_for("cohere/command-r-plus", provider.base, messages=[USER], stream=True, tools=[TOOL])
    result = await attempt(routes["direct"], request)
    function = {"name": "weather", "arguments": '{"city": "Z\\u00fcrich", "days": 2}'}
    assert result["tool_calls"] == [{"id": "call_1", "type": "function", "function": function}]
    # The full client asks for the whole answer instead, and gets it.
    result = await attempt(routes["litellm"], request)
    assert (result["finish_reason"], result["timed"]) == ("tool_calls", False)
