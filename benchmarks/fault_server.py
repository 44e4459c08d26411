"""A fast OpenAI-compatible server that misbehaves on purpose and writes down everything.

    python benchmarks/fault_server.py --port 8399 --latency-ms 50 --p-429 0.1 --p-500 0.03 --log requests.jsonl

It prints its address when it listens. It enforces no limits: whoever tests a client reads from the log
what the client did, by the server's clock.

Answers are deterministic. The text after `ANSWER=` in the last message (up to a line's end) is the
answer; without it, the first 200 characters of the last message. Tokens are characters / 4, rounded up.

Paths: `/v1/chat/completions` (also streaming), `/v1/embeddings` (unit vectors from a hash of the text),
`/v1/moderations` (`FLAG=violence:0.9` in the text is its score; flagged from 0.5),
`/v1/models`, `/__stats` (counts, the fullest 60-second windows, answers given twice, the bill),
`/__log` (the log as JSON lines) and `/__reset`. Any prefix before `/v1` is accepted.

One draw per request decides its fault: 429 with Retry-After, 500, 503, hang (no answer ever), reset
(RST instead of an answer), cut (half of the answer, then the connection closes), malformed (half of the
JSON with a correct length), wrong content type (an HTML page with status 200).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import math
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["FaultServer", "Options", "fullest_window", "serving"]

_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 429: "Too Many Requests", 500: "Server Error", 503: "Down"}
_FAULTS = ("429", "500", "503", "hang", "reset", "cut", "malformed", "wrong_content_type")
_FLUSH_S = 0.2
_SAID = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What goes wrong, how often (shares of requests, 0 to 1), and how long answers take."""

    host: str = "127.0.0.1"
    port: int = 0
    latency_ms: float = 0.0
    latency: Literal["fixed", "exponential", "lognormal"] = "fixed"
    """`latency_ms` is the value, the mean, or the median."""
    latency_sigma: float = 0.5
    """Of the lognormal."""
    p_429: float = 0.0
    p_500: float = 0.0
    p_503: float = 0.0
    p_hang: float = 0.0
    p_reset: float = 0.0
    p_cut: float = 0.0
    p_malformed: float = 0.0
    p_wrong_content_type: float = 0.0
    retry_after_s: float = 1.0
    output_tokens: int = 0
    """Pad answers to this many tokens; 0 leaves them as they are."""
    input_usd: float = 1.0
    """Per million tokens, for the bill in `/__stats`."""
    output_usd: float = 2.0
    seed: int = 0
    log: str = ""
    """File for one JSON line per request."""


class FaultServer:
    """The server; one event loop, one process.

    Each log line: `t` (arrival, Unix time), `done` (when the last byte was handed to the system), `id`
    (hash of the body), `said` (start of the answer), `tag` (the `x-tag` header), `model`, `status` (0 for
    none, 499 when the client had gone), `fault`, `in` and `out` (tokens; a refused request has no output).
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.rng = random.Random(options.seed)
        self.connections = 0
        self.most_in_flight = 0
        self.in_flight = 0
        self._server: asyncio.Server | None = None
        self._file: BinaryIO | None = None
        self._buffer: list[bytes] = []
        self._records: list[dict[str, Any]] = []
        self._shares = [getattr(options, f"p_{name}") for name in _FAULTS]

    async def start(self) -> str:
        """Listen, and return the address of the API (ending in `/v1`)."""
        loop = asyncio.get_running_loop()
        if self.options.log:
            self._file = Path(self.options.log).open("ab")  # noqa: ASYNC230, SIM115 - once, closed in stop
        self._server = await loop.create_server(
            lambda: _Connection(self), self.options.host, self.options.port, backlog=1024
        )
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"http://{host}:{port}/v1"

    async def stop(self) -> None:
        """Close the listener and the log."""
        if self._server is not None:
            self._server.close()
        self.flush()
        if self._file is not None:
            self._file.close()
            self._file = None

    def draw_fault(self) -> str:
        """Return the fault of the next request, or an empty string."""
        point = self.rng.random()
        for name, share in zip(_FAULTS, self._shares, strict=True):
            point -= share
            if point < 0:
                return name
        return ""

    def draw_latency_s(self) -> float:
        """Return how long the next answer takes."""
        options = self.options
        if options.latency_ms <= 0:
            return 0.0
        seconds = options.latency_ms / 1000
        if options.latency == "exponential":
            return self.rng.expovariate(1 / seconds)
        if options.latency == "lognormal":
            return seconds * self.rng.lognormvariate(0, options.latency_sigma)
        return seconds

    def record(self, line: dict[str, Any]) -> None:
        """Write down one request."""
        self._records.append(line)
        if self._file is not None:
            self._buffer.append(orjson.dumps(line))
            if len(self._buffer) == 1:
                asyncio.get_running_loop().call_later(_FLUSH_S, self.flush)

    def flush(self) -> None:
        """Write the log to its file."""
        if self._file is not None and self._buffer:
            self._file.write(b"\n".join(self._buffer) + b"\n")
            self._file.flush()
        self._buffer.clear()

    def reset(self) -> None:
        """Forget what happened so far (the log file keeps it)."""
        self._records.clear()
        self.most_in_flight = self.in_flight

    def log_lines(self) -> bytes:
        """Return the log as JSON lines."""
        return b"".join(orjson.dumps(line) + b"\n" for line in self._records)

    def stats(self) -> dict[str, Any]:
        """Summarise the log."""
        records = self._records
        answered = Counter(line["id"] for line in records if line["status"] == 200 and not line["fault"])
        billed = [line for line in records if line["status"] in (200, 499)]
        options = self.options
        return {
            "requests": len(records),
            "by_status": dict(Counter(str(line["status"]) for line in records)),
            "by_fault": dict(Counter(line["fault"] for line in records if line["fault"])),
            "answered": sum(answered.values()),
            "answered_ids": len(answered),
            "answered_more_than_once": sum(count > 1 for count in answered.values()),
            "input_tokens": sum(line["in"] for line in billed),
            "output_tokens": sum(line["out"] for line in billed),
            "billed_usd": sum(
                (line["in"] * options.input_usd + line["out"] * options.output_usd) / 1e6 for line in billed
            ),
            "fullest_60s_requests": fullest_window([(line["t"], 1) for line in records]),
            "fullest_60s_tokens": fullest_window([(line["t"], line["in"] + line["out"]) for line in records]),
            "most_in_flight": self.most_in_flight,
            "connections": self.connections,
        }


def fullest_window(events: list[tuple[float, float]], *, window_s: float = 60.0) -> float:
    """Return the largest total in any window of `window_s` seconds, end excluded.

    Args:
        events: (time, amount) in any order.
        window_s: Length of the window.
    """
    events = sorted(events)
    best = total = 0.0
    first = 0
    for at, amount in events:
        total += amount
        while events[first][0] <= at - window_s:
            total -= events[first][1]
            first += 1
        best = max(best, total)
    return best


class _Connection(asyncio.Protocol):
    """HTTP/1.1 by hand, without pipelining: a parser and a router in one."""

    def __init__(self, server: FaultServer) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._data = b""
        self._open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._open = True
        self._server.connections += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self._open = False

    def data_received(self, data: bytes) -> None:
        self._data = self._data + data if self._data else data
        while self._open and (request := self._take_request()) is not None:
            self._route(*request)

    def _take_request(self) -> tuple[str, str, bytes, bytes] | None:
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = self._data[:end]
        lowered = head.lower()
        if b"transfer-encoding: chunked" in lowered:
            taken = _take_chunks(self._data, end + 4)
            if taken is None:
                return None
            body, rest = taken
        else:
            length = int(_header(head, lowered, b"content-length") or 0)
            if len(self._data) < end + 4 + length:
                if b"expect: 100-continue" in lowered and len(self._data) == end + 4:
                    self._write(b"HTTP/1.1 100 Continue\r\n\r\n")
                return None
            body, rest = self._data[end + 4 : end + 4 + length], end + 4 + length
        self._data = self._data[rest:]
        method, path, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
        return method, path, head, body

    def _route(self, method: str, path: str, head: bytes, body: bytes) -> None:
        path = path.partition("?")[0]
        if method == "POST" and path.endswith("/chat/completions"):
            self._model_call(head, body, _chat)
        elif method == "POST" and path.endswith("/embeddings"):
            self._model_call(head, body, _embed)
        elif method == "POST" and path.endswith("/moderations"):
            self._model_call(head, body, _moderate)
        elif path.endswith("/models"):
            models = [{"id": name, "object": "model"} for name in ("fault-small", "fault-large")]
            self._send(200, orjson.dumps({"object": "list", "data": models}))
        elif path == "/__stats":
            self._send(200, orjson.dumps(self._server.stats()))
        elif path == "/__log":
            self._server.flush()
            self._send(200, self._server.log_lines(), content_type="application/x-ndjson")
        elif path == "/__reset":
            self._server.reset()
            self._send(200, b"{}")
        else:
            self._send(404, _error_body(f"no such path: {method} {path}", "not_found"))

    def _model_call(self, head: bytes, body: bytes, answer: Callable[[dict[str, Any], Options], _Answer]) -> None:
        server = self._server
        arrived = time.time()
        try:
            request = orjson.loads(body)
            reply = answer(request, server.options)
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, ValueError) as error:
            self._send(400, _error_body(f"bad request: {error!r}", "invalid_request_error"))
            return
        line = {
            "t": arrived,
            "done": arrived,
            "id": hashlib.blake2b(body, digest_size=8).hexdigest(),
            "said": reply.said,
            "tag": (_header(head, head.lower(), b"x-tag") or b"").decode("latin-1"),
            "model": str(request.get("model", "")),
            "status": 0,
            "fault": server.draw_fault(),
            "in": reply.input_tokens,
            "out": reply.output_tokens,
        }
        server.in_flight += 1
        server.most_in_flight = max(server.most_in_flight, server.in_flight)
        latency = server.draw_latency_s()
        if line["fault"] == "hang":
            server.in_flight -= 1
            server.record(line)
        elif latency > 0:
            asyncio.get_running_loop().call_later(latency, self._finish, line, reply)
        else:
            self._finish(line, reply)

    def _finish(self, line: dict[str, Any], reply: _Answer) -> None:
        server = self._server
        server.in_flight -= 1
        fault = line["fault"]
        if not self._open:
            line["status"] = 499
        elif fault in ("429", "500", "503"):
            status = line["status"] = int(fault)
            extra = f"retry-after: {server.options.retry_after_s:g}\r\n".encode() if status == 429 else b""
            line["out"] = 0
            kind = "rate_limit_exceeded" if status == 429 else "server_error"
            self._send(status, _error_body(f"injected {status}", kind), extra=extra)
        elif fault == "reset":
            self._reset()
        else:
            line["status"] = 200
            self._answer(fault, reply)
        line["done"] = time.time()
        server.record(line)

    def _answer(self, fault: str, reply: _Answer) -> None:
        body, kind = reply.body, reply.content_type
        if fault == "malformed":
            self._send(200, body[: len(body) // 2], content_type=kind)
        elif fault == "wrong_content_type":
            self._send(200, b"<html><body>Gateway login</body></html>", content_type="text/html")
        elif fault == "cut":
            self._write(_head(200, len(body), kind, b"") + body[: len(body) // 2])
            if self._transport is not None:
                self._transport.close()
        else:
            self._send(200, body, content_type=kind)

    def _send(self, status: int, body: bytes, *, content_type: str = "application/json", extra: bytes = b"") -> None:
        self._write(_head(status, len(body), content_type, extra) + body)

    def _write(self, data: bytes) -> None:
        if self._transport is not None and self._open:
            self._transport.write(data)

    def _reset(self) -> None:
        if self._transport is None:
            return
        sock: socket.socket | None = self._transport.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()


class _Answer:
    __slots__ = ("body", "content_type", "input_tokens", "output_tokens", "said")

    def __init__(
        self,
        body: bytes,
        input_tokens: int,
        output_tokens: int,
        content_type: str = "application/json",
        *,
        said: str = "",
    ) -> None:
        self.body = body
        self.input_tokens = input_tokens
        self.output_tokens = output_tokens
        self.content_type = content_type
        self.said = said[:_SAID]


def _chat(request: dict[str, Any], options: Options) -> _Answer:
    prompts = [_text_of(message) for message in request["messages"]]
    text = _answer_text(prompts[-1] if prompts else "", options)
    most = request.get("max_completion_tokens") or request.get("max_tokens")
    finish = "stop"
    if most is not None and _tokens(text) > int(most):
        text, finish = text[: int(most) * 4], "length"
    used = {"prompt_tokens": sum(map(_tokens, prompts)), "completion_tokens": _tokens(text)}
    usage = {**used, "total_tokens": sum(used.values())}
    shared = {"id": "chatcmpl-fault", "created": 1, "model": request.get("model", "fault-small")}
    if request.get("stream"):
        asked = (request.get("stream_options") or {}).get("include_usage", False)
        body = _stream(shared, text, finish, usage if asked else None)
        return _Answer(body, used["prompt_tokens"], used["completion_tokens"], "text/event-stream", said=text)
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
    body = orjson.dumps({**shared, "object": "chat.completion", "choices": [choice], "usage": usage})
    return _Answer(body, used["prompt_tokens"], used["completion_tokens"], said=text)


def _stream(shared: dict[str, Any], text: str, finish: str, usage: dict[str, int] | None) -> bytes:
    def chunk(delta: dict[str, str], reason: str | None) -> dict[str, Any]:
        return {
            **shared,
            "object": "chat.completion.chunk",
            "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
        }

    size = max(math.ceil(len(text) / 8), 1)
    chunks = [chunk({"role": "assistant", "content": ""}, None)]
    chunks += [chunk({"content": text[at : at + size]}, None) for at in range(0, len(text), size)]
    chunks.append(chunk({}, finish))
    if usage is not None:
        chunks.append({**shared, "object": "chat.completion.chunk", "choices": [], "usage": usage})
    return b"".join(b"data: " + orjson.dumps(part) + b"\n\n" for part in chunks) + b"data: [DONE]\n\n"


def _embed(request: dict[str, Any], options: Options) -> _Answer:
    del options
    texts = request["input"] if isinstance(request["input"], list) else [request["input"]]
    size = int(request.get("dimensions") or 64)
    data = [
        {"object": "embedding", "index": index, "embedding": _vector(str(text), size)}
        for index, text in enumerate(texts)
    ]
    tokens = sum(_tokens(str(text)) for text in texts)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    body = {"object": "list", "data": data, "model": request.get("model", "fault-small"), "usage": usage}
    return _Answer(orjson.dumps(body), tokens, 0)


def _moderate(request: dict[str, Any], options: Options) -> _Answer:
    del options
    text = str(request["input"])
    scores = dict.fromkeys(("harassment", "hate", "sexual", "violence"), 0.001)
    scores |= {name: float(score) for name, score in re.findall(r"FLAG=([a-z/]+):([\d.]+)", text)}
    hits = {name: score >= 0.5 for name, score in scores.items()}
    result = {"flagged": any(hits.values()), "categories": hits, "category_scores": scores}
    body = {"id": "modr-fault", "model": request.get("model", "fault-small"), "results": [result]}
    return _Answer(orjson.dumps(body), _tokens(text), 0)


def _vector(text: str, size: int) -> list[float]:
    rng = random.Random(hashlib.sha256(text.encode("utf-8", "replace")).digest())
    values = [rng.gauss(0, 1) for _ in range(size)]
    length = math.sqrt(sum(value * value for value in values)) or 1.0
    return [value / length for value in values]


def _answer_text(prompt: str, options: Options) -> str:
    _, mark, rest = prompt.partition("ANSWER=")
    text = rest.split("\n", 1)[0].strip() if mark else prompt[:200]
    missing = options.output_tokens * 4 - len(text)
    return text + (" pad" * math.ceil(missing / 4))[: max(missing, 0)] if missing > 0 else text


def _text_of(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content if isinstance(part, dict))


def _tokens(text: str) -> int:
    return -(-len(text) // 4)


def _error_body(message: str, kind: str) -> bytes:
    return orjson.dumps({"error": {"message": message, "type": kind, "param": None, "code": kind}})


def _head(status: int, length: int, content_type: str, extra: bytes) -> bytes:
    return (
        (
            f"HTTP/1.1 {status} {_REASONS.get(status, 'Unknown')}\r\ncontent-type: {content_type}\r\n"
            f"content-length: {length}\r\n"
        ).encode("latin-1")
        + extra
        + b"\r\n"
    )


def _header(head: bytes, lowered: bytes, name: bytes) -> bytes | None:
    at = lowered.find(b"\r\n" + name + b":")
    if at < 0:
        return None
    start = at + len(name) + 3
    end = head.find(b"\r\n", start)
    return head[start : end if end >= 0 else len(head)].strip()


def _take_chunks(data: bytes, at: int) -> tuple[bytes, int] | None:
    """Return a chunked body and where it ends, or `None` when more must arrive."""
    parts: list[bytes] = []
    while True:
        end = data.find(b"\r\n", at)
        if end < 0:
            return None
        size = int(data[at:end].split(b";")[0] or b"0", 16)
        if len(data) < end + 2 + size + 2:
            return None
        if size == 0:
            return b"".join(parts), end + 4
        parts.append(data[end + 2 : end + 2 + size])
        at = end + 2 + size + 2


@contextlib.contextmanager
def serving(options: Options) -> Iterator[str]:
    """Run the server as its own process; gives the address of the API (ending in `/v1`)."""
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in asdict(options).items()]
    process = subprocess.Popen([sys.executable, __file__, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        if not address:
            raise RuntimeError(f"the fault server did not start; exit code {process.wait()}")
        yield address
    finally:
        process.terminate()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


async def _serve(options: Options) -> None:
    server = FaultServer(options)
    address = await server.start()
    print(address, flush=True)
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await stopped.wait()
    await server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for field in fields(Options):
        kind = {"int": int, "float": float}.get(str(field.type), str)
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=kind, default=field.default)
    asyncio.run(_serve(Options(**vars(parser.parse_args()))))


if __name__ == "__main__":
    main()
