"""The direct route against a server that misbehaves: hard limits, one attempt, honest classes, no leak."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff.errors import ProviderError
from bakeoff.gateway import GatewaySpec, LimitsSpec, ModelRequest, Secrets
from bakeoff.gateway._http import Call, HttpSession
from bakeoff.gateway._sse import EventDecoder
from bakeoff.gateway._transport import Transport, open_transport

KEY = "k-very-secret-123456"
ANSWER = {"choices": [{"message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}], "model": "m"}
CHUNK = b'data: {"choices":[{"delta":{"content":"o"}}]}\n\n'
END = b'data: {"choices":[{"delta":{"content":"k"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
Writer = asyncio.StreamWriter
Behaviour = Callable[[Writer], Awaitable[None]]


def whole(body: bytes, *extra: bytes) -> bytes:
    head = [b"HTTP/1.1 200 OK", b"Content-Type: application/json", b"Content-Length: %d" % len(body), *extra]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def piece(data: bytes) -> bytes:
    return b"%x\r\n" % len(data) + data + b"\r\n"


class RawServer:
    def __init__(self) -> None:
        self.behaviour: Behaviour = self.fine
        self.requests = 0
        self.heads: list[bytes] = []
        self.connections = 0
        self.url = ""

    async def fine(self, writer: Writer) -> None:
        writer.write(whole(json.dumps(ANSWER).encode()))

    async def serve(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
                self.requests += 1
                self.heads.append(head)
                await self.behaviour(writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def server() -> AsyncIterator[RawServer]:
    raw = RawServer()
    listening = await asyncio.start_server(raw.serve, "127.0.0.1", 0)
    raw.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    yield raw
    listening.close()


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    limits = LimitsSpec(timeout_s=0.6, connect_timeout_s=0.3, first_token_timeout_s=0.25)
    opened = open_transport(GatewaySpec(route="direct"), limits, env={"OPENAI_API_KEY": KEY})
    yield opened
    await opened.aclose()


def request(server: RawServer, *, stream: bool = False) -> ModelRequest:
    messages = [{"role": "user", "content": "hi"}]
    return ModelRequest(model="openai/m", messages=messages, api_base=server.url, stream=stream)


async def failure(transport: Transport, server: RawServer, *, stream: bool = False) -> ProviderError:
    before = server.requests
    with pytest.raises(ProviderError) as caught:
        await transport.send(request(server, stream=stream))
    assert server.requests == before + 1, "one attempt is one request"
    assert KEY not in str(caught.value)
    assert caught.value.retryable
    return caught.value


async def test_connections_are_kept(server: RawServer, transport: Transport) -> None:
    for _ in range(5):
        answer = await transport.send(request(server))
        assert (answer.text, answer.route, answer.usage.estimated) == ("ok", "direct", True)
    await asyncio.gather(*[transport.send(request(server)) for _ in range(8)])
    assert server.requests == 13
    assert server.connections <= 8


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("said", "text", "arguments"),
    [
        # The field `refusal` of OpenAI's chat completions; arguments as an object, as Ollama's own API has them.
        ({"content": None, "refusal": "I will not."}, "I will not.", []),
        (
            {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": {"id": 9}}}]},
            "",
            ['{"id": 9}'],
        ),
    ],
)
async def test_refusals_and_arguments_as_objects_are_read(
    said: dict[str, object], text: str, arguments: list[str], stream: bool, server: RawServer, transport: Transport
) -> None:
    async def answer(writer: Writer) -> None:
        if stream:
            event = json.dumps({"choices": [{"delta": said, "finish_reason": "stop"}]}).encode()
            writer.write(CHUNKED + piece(b"data: " + event + b"\n\ndata: [DONE]\n\n") + b"0\r\n\r\n")
        else:
            writer.write(whole(json.dumps({"choices": [{"message": said, "finish_reason": "stop"}]}).encode()))

    server.behaviour = answer
    got = await transport.send(request(server, stream=stream))
    assert got.text == text
    assert [call["function"]["arguments"] for call in got.tool_calls] == arguments


HALF_A_PAIR = b'{"choices":[{"message":{"content":"so \\ud83d far"},"finish_reason":"stop"}]}'


async def test_half_of_a_character_pair_does_not_lose_a_paid_answer(server: RawServer, transport: Transport) -> None:
    # RFC 8259, section 8.2: such a string is JSON, and Python's `json` writes it.
    async def answer(writer: Writer) -> None:
        writer.write(whole(HALF_A_PAIR))

    server.behaviour = answer
    got = await transport.send(request(server))
    assert got.text.startswith("so \ufffd")
    assert got.text.endswith(" far")


@pytest.mark.parametrize(
    "odd",
    [
        {"system_fingerprint": 7},
        {"usage": {"prompt_tokens": 2**64 - 1, "completion_tokens": 2**63}},
        {"usage": "many"},
        {"tool_calls": ["f"]},
        {"tool_calls": 5},
        {"tool_calls": [{"id": 3, "function": "f"}]},
        {"logprobs": {"content": "none"}},
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_fields_of_the_wrong_kind_cost_no_answer(
    odd: dict[str, object], stream: bool, server: RawServer, transport: Transport
) -> None:
    said: dict[str, object] = {"content": "ok", **{key: odd[key] for key in odd if key == "tool_calls"}}
    choice = {"delta" if stream else "message": said, "finish_reason": "stop"}
    choice |= {key: odd[key] for key in odd if key == "logprobs"}
    data = json.dumps({**odd, "choices": [choice]}).encode()

    async def answer(writer: Writer) -> None:
        writer.write(
            CHUNKED + piece(b"data: " + data + b"\n\ndata: [DONE]\n\n") + b"0\r\n\r\n" if stream else whole(data)
        )

    server.behaviour = answer
    got = await transport.send(request(server, stream=stream))
    assert got.text == "ok"
    assert got.fingerprint is None
    assert got.usage.input_tokens < 100
    assert all(isinstance(call["id"], str) for call in got.tool_calls)


async def test_a_hang_ends_at_the_limit(server: RawServer, transport: Transport) -> None:
    server.behaviour = lambda _: asyncio.sleep(30)
    started = time.perf_counter()
    error = await failure(transport, server)
    assert (error.kind, 0.5 < time.perf_counter() - started < 2) == ("timeout", True)
    assert "0.6 s" in str(error)


async def test_a_late_first_token_is_a_timeout_of_its_own(server: RawServer, transport: Transport) -> None:
    async def late(writer: Writer) -> None:
        writer.write(CHUNKED)
        await writer.drain()
        await asyncio.sleep(30)

    server.behaviour = late
    error = await failure(transport, server, stream=True)
    assert (error.kind, "first token within 0.25 s" in str(error)) == ("timeout", True)


async def test_a_slow_stream_after_its_first_token_has_the_whole_time(server: RawServer, transport: Transport) -> None:
    async def slow(writer: Writer) -> None:
        writer.write(CHUNKED + piece(CHUNK))
        await writer.drain()
        await asyncio.sleep(0.35)
        writer.write(piece(END) + b"0\r\n\r\n")

    server.behaviour = slow
    answer = await transport.send(request(server, stream=True))
    assert answer.text == "ok"
    assert answer.ttft_ms is not None
    assert answer.ttft_ms < 250 < answer.latency_ms


async def test_a_stream_that_hangs_in_the_middle_ends_at_the_limit(server: RawServer, transport: Transport) -> None:
    async def stuck(writer: Writer) -> None:
        writer.write(CHUNKED + piece(CHUNK))
        await writer.drain()
        await asyncio.sleep(30)

    server.behaviour = stuck
    assert (await failure(transport, server, stream=True)).kind == "timeout"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_reset_is_a_connection_error(stream: bool, server: RawServer, transport: Transport) -> None:
    async def reset(writer: Writer) -> None:
        writer.transport.abort()

    server.behaviour = reset
    assert (await failure(transport, server, stream=stream)).kind == "connection"


async def test_a_body_cut_in_the_middle_is_no_answer(server: RawServer, transport: Transport) -> None:
    async def cut(writer: Writer) -> None:
        body = whole(json.dumps(ANSWER).encode())
        writer.write(body[:-10])
        await writer.drain()
        writer.close()

    server.behaviour = cut
    assert (await failure(transport, server)).kind == "connection"


async def test_a_stream_closed_before_its_end_is_no_answer(server: RawServer, transport: Transport) -> None:
    async def cut(writer: Writer) -> None:
        writer.write(CHUNKED + piece(CHUNK) + b"0\r\n\r\n")

    server.behaviour = cut
    assert (await failure(transport, server, stream=True)).kind == "bad_response"


async def test_an_error_inside_a_stream_is_that_error(server: RawServer, transport: Transport) -> None:
    async def fail(writer: Writer) -> None:
        error = b'data: {"error":{"message":"overloaded","code":503}}\n\n'
        writer.write(CHUNKED + piece(CHUNK) + piece(error) + b"0\r\n\r\n")

    server.behaviour = fail
    error = await failure(transport, server, stream=True)
    assert (error.kind, error.status) == ("server", 503)


async def test_nobody_listens(transport: Transport) -> None:
    messages = [{"role": "user", "content": "hi"}]
    with pytest.raises(ProviderError, match=r"no connection at http://127\.0\.0\.1:9") as caught:
        await transport.send(ModelRequest(model="openai/m", messages=messages, api_base="http://127.0.0.1:9/v1"))
    assert (caught.value.kind, caught.value.retryable) == ("connection", True)


async def test_a_redirect_is_not_followed_with_the_key(server: RawServer, transport: Transport) -> None:
    async def move(writer: Writer) -> None:
        writer.write(b"HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:9/steal\r\nContent-Length: 0\r\n\r\n")

    server.behaviour = move
    error = await failure(transport, server)
    assert (error.kind, error.status) == ("bad_response", 307)
    assert "it points to http://127.0.0.1:9\n" in str(error)
    assert "set `api_base`" in str(error)


@pytest.mark.parametrize("route", ["direct", "litellm"])
async def test_a_header_is_filled_from_the_environment(route: str, server: RawServer) -> None:
    env = {"OPENAI_API_KEY": KEY, "SHOP_LOGIN": "tiger-and-lamb"}
    opened = open_transport(GatewaySpec.model_validate({"route": route}), LimitsSpec(), env=env)
    asked = replace(request(server), headers={"X-Login": "Basic ${SHOP_LOGIN}"})
    await opened.send(asked)
    assert b"x-login: basic tiger-and-lamb" in server.heads[-1].lower()
    with pytest.raises(ProviderError, match="a header needs NOT_THERE, which is not set") as caught:
        await opened.send(replace(asked, headers={"X-Login": "${NOT_THERE}"}))
    assert caught.value.kind == "auth"
    assert len(server.heads) == 1
    await opened.aclose()


async def test_a_web_page_instead_of_an_answer_says_where_to_look(server: RawServer, transport: Transport) -> None:
    async def page(writer: Writer) -> None:
        writer.write(whole(b"<html><body>Sign in</body></html>"))

    server.behaviour = page
    assert "fix: a web page came instead of an answer: check `api_base`" in str(await failure(transport, server))


@pytest.mark.parametrize("packed", [False, True])
async def test_an_endless_answer_does_not_fill_the_memory(packed: bool, server: RawServer) -> None:
    body = gzip.compress(b"a" * 30_000_000) if packed else b"a" * 2_000_000
    extra = b"Content-Encoding: gzip" if packed else b"X-Plain: 1"

    async def flood(writer: Writer) -> None:
        writer.write(whole(body, extra))

    server.behaviour = flood
    http = HttpSession(LimitsSpec(), secrets=Secrets({}), most_bytes=1_000_000)
    with pytest.raises(ProviderError, match="answered with more than 1,000,000 bytes, which begin with: 'aaa"):
        await http.post(Call("openai/m", server.url, {}, b"{}"))
    server.behaviour = server.fine
    assert b"choices" in await http.post(Call("openai/m", server.url, {}, b"{}"))
    await http.aclose()


async def test_a_cancelled_call_frees_its_connection(server: RawServer, transport: Transport) -> None:
    server.behaviour = lambda _: asyncio.sleep(30)
    task = asyncio.create_task(transport.send(request(server)))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    server.behaviour = server.fine
    assert (await transport.send(request(server))).text == "ok"


@pytest.mark.parametrize("name", ["api_key", "base_url", "mock_response", "num_retries", "stream"])
async def test_parameters_cannot_take_over_the_gateway(name: str, server: RawServer, transport: Transport) -> None:
    messages = [{"role": "user", "content": "hi"}]
    asked = ModelRequest(model="openai/m", messages=messages, params={name: "x"}, api_base=server.url)
    with pytest.raises(ProviderError, match=f"{name!r} cannot be a model parameter") as caught:
        await transport.send(asked)
    assert (caught.value.kind, caught.value.retryable, server.requests) == ("bad_request", False, 0)


EVENTS = st.lists(st.binary(min_size=1, max_size=12).map(lambda data: data.translate(None, b"\r\n")), max_size=6)


@settings(deadline=None)
@given(EVENTS, st.sampled_from([b"\n", b"\r\n", b"\r"]), st.lists(st.integers(0, 200), max_size=12))
def test_events_are_found_wherever_the_network_cuts(events: list[bytes], end: bytes, cuts: list[int]) -> None:
    stream = b"".join(b": ping" + end + b"event: x" + end + b"data: " + event + end + end for event in events)
    decoder, found, last = EventDecoder(), [], 0
    for cut in [*sorted(min(cut, len(stream)) for cut in cuts), len(stream)]:
        found += decoder.feed(stream[last:cut])
        last = cut
    assert [*found, *decoder.close()] == events


def test_an_event_of_several_lines_is_one() -> None:
    decoder = EventDecoder()
    assert decoder.feed(b"data: a\ndata:b\nid: 3\ndatabase: x\n\n") == [b"a\nb"]
    assert decoder.feed(b"data: unfinished") == []
    assert decoder.close() == [b"unfinished"]
