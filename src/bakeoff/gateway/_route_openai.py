"""One call to an OpenAI-compatible endpoint, answer read without any library's objects."""

from __future__ import annotations

import json
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import orjson

from bakeoff.gateway._answer import Draft, StreamDraft, UnreadableError, read_completion
from bakeoff.gateway._errors import bad_response, from_status
from bakeoff.gateway._sse import EventDecoder

if TYPE_CHECKING:
    from bakeoff.gateway._errors import Secrets
    from bakeoff.gateway._http import Call, HttpSession

__all__ = ["call_openai"]

_START = 4_096
"""Bytes of a stream that are kept, to quote what came instead of events."""


async def call_openai(call: Call, http: HttpSession, *, secrets: Secrets, stream: bool) -> tuple[Draft, float | None]:
    """Post and read the answer.

    Returns:
        The answer, and the moment of the first token on the performance counter (when streaming).

    Raises:
        ProviderError: The call failed.
    """
    if stream:
        return await _streamed(call, http, secrets)
    body = await http.post(call)
    data = _parse(body, call, secrets)
    _raise_for_error(data, call, secrets)
    try:
        return read_completion(data), None
    except UnreadableError as error:
        start = body[:400].decode("utf-8", "replace")
        raise bad_response(call.model, str(error), start, secrets, status=call.status) from None


async def _streamed(call: Call, http: HttpSession, secrets: Secrets) -> tuple[Draft, float | None]:
    decoder, draft = EventDecoder(), StreamDraft()
    first: float | None = None
    whole = bytearray()
    async with aclosing(http.stream(call)) as pieces:
        async for piece in pieces:
            if len(whole) < _START and first is None:
                whole += piece
            for event in decoder.feed(piece):
                if _take(event, draft, call, secrets) and first is None:
                    first = time.perf_counter()
    for event in decoder.close():
        _take(event, draft, call, secrets)
    if not draft.complete:
        said = draft.draft().text or whole[:400].decode("utf-8", "replace")
        raise bad_response(call.model, "a stream that ended before its end", said, secrets, status=call.status)
    return draft.draft(), first


def _take(event: bytes, draft: StreamDraft, call: Call, secrets: Secrets) -> bool:
    if event == b"[DONE]":
        return False
    data = _parse(event, call, secrets)
    _raise_for_error(data, call, secrets)
    return draft.add(data) if isinstance(data, dict) else False


def _parse(body: bytes, call: Call, secrets: Secrets) -> Any:
    try:
        return _loads(body)
    except (ValueError, RecursionError):
        start = body[:400].decode("utf-8", "replace")
        raise bad_response(call.model, "a body that is not JSON", start, secrets, status=call.status) from None


def _loads(body: bytes) -> Any:
    """Parse JSON; half of a character pair, which Python's own servers send, becomes U+FFFD, `NaN` null.

    Raises:
        ValueError: It is not JSON.
        RecursionError: It is nested too deeply.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        plain = json.dumps(json.loads(body, parse_constant=lambda _: None), ensure_ascii=False)
        return orjson.loads(plain.encode("utf-8", "surrogatepass").decode("utf-8", "replace"))


def _raise_for_error(data: Any, call: Call, secrets: Secrets) -> None:
    """Raise for an error that arrives with status 200, as OpenRouter and others send it."""
    error = data.get("error") if isinstance(data, dict) else None
    if not error or (isinstance(error, dict) and not (error.get("message") or error.get("code"))):
        return
    code = error.get("code") if isinstance(error, dict) else None
    status = code if isinstance(code, int) and 400 <= code < 600 else 500
    said = orjson.dumps({"error": error}).decode()
    raise from_status(status, said, model=call.model, headers=call.lower_headers(), secrets=secrets)
