"""The fault server is an instrument: what it claims must hold before a chaos test can rely on it."""

from __future__ import annotations

import http.client
import json
import random
import socket
import urllib.parse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.by_path import module_at

if TYPE_CHECKING:
    pass


faults = module_at("benchmarks/fault_server.py")


def _connect(address: str) -> http.client.HTTPConnection:
    parts = urllib.parse.urlsplit(address)
    return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=5)


def _post(
    connection: http.client.HTTPConnection, body: dict[str, Any], path: str = "/v1/chat/completions"
) -> tuple[int, dict[str, str], bytes]:
    connection.request("POST", path, json.dumps(body), {"content-type": "application/json", "x-tag": "t1"})
    response = connection.getresponse()
    return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()


def _get(address: str, path: str) -> bytes:
    connection = _connect(address)
    connection.request("GET", path)
    body = connection.getresponse().read()
    connection.close()
    return body


def _chat(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "fault-small", "messages": [{"role": "user", "content": text}], **more}


def test_answers_what_the_prompt_says_and_counts_tokens(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    with faults.serving(faults.Options(log=str(log))) as address:
        connection = _connect(address)
        status, headers, body = _post(connection, _chat("What? ANSWER=forty two\nignored"))
        answer = json.loads(body)
        assert status == 200
        assert headers["content-type"] == "application/json"
        assert answer["choices"][0]["message"]["content"] == "forty two"
        assert answer["usage"] == {"prompt_tokens": 8, "completion_tokens": 3, "total_tokens": 11}
        _, _, body = _post(connection, _chat("abcdefgh", max_tokens=1))
        assert json.loads(body)["choices"][0] == {
            "index": 0,
            "message": {"role": "assistant", "content": "abcd"},
            "finish_reason": "length",
        }
        assert _post(connection, {"model": "m"})[0] == 400
        assert _post(connection, {}, "/v1/nowhere")[0] == 404
        connection.close()
        assert {m["id"] for m in json.loads(_get(address, "/v1/models"))["data"]} == {"fault-small", "fault-large"}
        lines = [json.loads(line) for line in _get(address, "/__log").splitlines()]
        stats = json.loads(_get(address, "/__stats"))
    assert [line["status"] for line in lines] == [200, 200]
    assert lines[0]["tag"] == "t1"
    assert (lines[0]["in"], lines[0]["out"]) == (8, 3)
    assert stats["answered"] == 2
    assert stats["billed_usd"] == pytest.approx((8 * 1 + 3 * 2 + 2 * 1 + 1 * 2) / 1e6)
    assert [json.loads(line) for line in log.read_text().splitlines()] == lines


def test_streams_the_same_answer_in_pieces() -> None:
    with faults.serving(faults.Options()) as address:
        connection = _connect(address)
        _, headers, body = _post(
            connection, _chat("ANSWER=one two three four", stream=True, stream_options={"include_usage": True})
        )
        connection.close()
    assert headers["content-type"] == "text/event-stream"
    events = [part.removeprefix(b"data: ") for part in body.split(b"\n\n") if part]
    assert events[-1] == b"[DONE]"
    chunks = [json.loads(event) for event in events[:-1]]
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in chunks if c["choices"]) == "one two three four"
    assert chunks[-1]["usage"]["completion_tokens"] == 5
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"


def test_embeddings_are_unit_vectors_of_the_text() -> None:
    with faults.serving(faults.Options()) as address:
        connection = _connect(address)
        body = {"model": "e", "input": ["a", "b", "a"], "dimensions": 8}
        vectors = [d["embedding"] for d in json.loads(_post(connection, body, "/v1/embeddings")[2])["data"]]
        connection.close()
    assert vectors[0] == vectors[2] != vectors[1]
    assert sum(x * x for x in vectors[0]) == pytest.approx(1)


def _fault_of(address: str, **more: Any) -> str:
    """Name the fault as a client sees it."""
    connection = _connect(address)
    try:
        status, headers, body = _post(connection, _chat("ANSWER=" + "x" * 400, **more))
    except TimeoutError:
        return "hang"
    except http.client.IncompleteRead:
        return "cut"
    except (ConnectionResetError, http.client.RemoteDisconnected):
        return "reset"
    finally:
        connection.close()
    if status != 200:
        assert (headers.get("retry-after") == "7") == (status == 429)
        return str(status)
    if headers["content-type"].startswith("text/html"):
        return "wrong_content_type"
    try:
        json.loads(body)
    except ValueError:
        return "malformed"
    return ""


@pytest.mark.parametrize("fault", ["429", "500", "503", "reset", "cut", "malformed", "wrong_content_type"])
def test_each_fault_looks_like_itself_to_a_client(fault: str) -> None:
    with faults.serving(faults.Options(**{f"p_{fault}": 1.0}, retry_after_s=7)) as address:
        assert _fault_of(address) == fault
        assert json.loads(_get(address, "/__stats"))["by_fault"] == {fault: 1}


def test_a_cut_stream_ends_without_done() -> None:
    with faults.serving(faults.Options(p_cut=1.0)) as address:
        assert _fault_of(address, stream=True) == "cut"


def test_a_hang_is_logged_and_never_answered() -> None:
    with faults.serving(faults.Options(p_hang=1.0)) as address:
        parts = urllib.parse.urlsplit(address)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=0.3)
        with pytest.raises(TimeoutError):
            _post(connection, _chat("x"))
        connection.close()
        assert json.loads(_get(address, "/__stats"))["by_fault"] == {"hang": 1}


def test_a_client_that_left_is_logged_and_billed() -> None:
    with faults.serving(faults.Options(latency_ms=200)) as address:
        parts = urllib.parse.urlsplit(address)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=0.05)
        with pytest.raises(TimeoutError):
            _post(connection, _chat("x"))
        connection.close()
        late = _connect(address)
        assert _post(late, _chat("y"))[0] == 200
        late.close()
        stats = json.loads(_get(address, "/__stats"))
    assert stats["by_status"] == {"499": 1, "200": 1}
    assert stats["answered"] == 1
    assert stats["input_tokens"] == 2


def test_shares_and_order_of_faults_follow_the_seed() -> None:
    options = faults.Options(p_429=0.1, p_500=0.03, p_hang=0.01, seed=5)
    first, second = faults.FaultServer(options), faults.FaultServer(options)
    drawn = [first.draw_fault() for _ in range(20_000)]
    assert drawn[:500] == [second.draw_fault() for _ in range(500)]
    counts = Counter(drawn)
    for name, share in (("429", 0.1), ("500", 0.03), ("hang", 0.01), ("", 0.86)):
        # Five standard errors of a binomial share.
        assert abs(counts[name] / 20_000 - share) < 5 * (share * (1 - share) / 20_000) ** 0.5


@pytest.mark.parametrize(
    ("kind", "mean_ms"), [("fixed", 40), ("exponential", 40), ("lognormal", 40 * 2.718281828**0.125)]
)
def test_latencies_have_the_declared_mean(kind: str, mean_ms: float) -> None:
    server = faults.FaultServer(faults.Options(latency_ms=40, latency=kind))
    draws = [server.draw_latency_s() * 1000 for _ in range(20_000)]
    assert sum(draws) / len(draws) == pytest.approx(mean_ms, rel=0.05)


def test_a_body_may_arrive_in_pieces_and_in_chunks() -> None:
    body = json.dumps(_chat("ANSWER=ok")).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
    plain = head + f"Content-Length: {len(body)}\r\n\r\n".encode() + body
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n" + f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
    with faults.serving(faults.Options()) as address:
        parts = urllib.parse.urlsplit(address)
        with socket.create_connection((parts.hostname, parts.port), timeout=5) as sock:
            for request in (plain, chunked):
                for at in range(0, len(request), 37):
                    sock.sendall(request[at : at + 37])
                received = b""
                while b'"total_tokens"' not in received:
                    received += sock.recv(65536)
                assert b'"content":"ok"' in received


def _slow_fullest(events: list[tuple[float, float]]) -> float:
    """Oracle: try every window that starts at an event."""
    return max((sum(a for u, a in events if t <= u < t + 60) for t, _ in events), default=0.0)


@given(st.lists(st.tuples(st.integers(0, 300).map(float), st.integers(1, 9).map(float)), max_size=40))
def test_fullest_window_agrees_with_trying_all(events: list[tuple[float, float]]) -> None:
    random.shuffle(events)
    assert faults.fullest_window(events) == _slow_fullest(events)
