"""The identity of a model call, and its answer as bytes."""

from __future__ import annotations

import hashlib
import json
import zlib
from typing import TYPE_CHECKING, Any

import orjson

from bakeoff.gateway._types import ModelResponse, Usage

if TYPE_CHECKING:
    from bakeoff.gateway._types import ModelRequest

__all__ = ["cache_key", "checksum", "decode_response", "encode_response"]

_SECRET_HEADERS = ("auth", "key", "token", "cookie", "secret")
_OPTIONS = orjson.OPT_SORT_KEYS
_VERSION = 1


def cache_key(request: ModelRequest) -> bytes | None:
    """Return the SHA-256 of everything that can change the answer, or `None` when it cannot be written as JSON.

    In the key: model, messages, parameters with tools, address, headers that are not secrets, streaming,
    repeat, prompt version, and the context of simulated models. Not in it: the API key, the purpose, the
    variant and `fresh`, so that the same call from another variant is the same call.

    Examples:
        >>> from bakeoff.gateway import ModelRequest
        >>> a = ModelRequest(model="m", messages=[{"role": "user", "content": "hi"}], params={"a": 1, "b": 2})
        >>> b = ModelRequest(model="m", messages=[{"content": "hi", "role": "user"}], params={"b": 2, "a": 1})
        >>> cache_key(a) == cache_key(b)
        True
        >>> c = ModelRequest(model="m", messages=a.messages, params=a.params, repeat=1)
        >>> cache_key(a) == cache_key(c)
        False
    """
    headers = request.headers
    if headers:
        headers = {
            name.lower(): value
            for name, value in headers.items()
            if not any(part in name.lower() for part in _SECRET_HEADERS)
        }
    parts: list[Any] = [
        _VERSION,
        request.model,
        request.messages,
        request.params,
        request.api_base,
        headers,
        request.stream,
        request.repeat,
        request.prompt_version,
        request.sim_context if request.model.startswith("sim/") else None,
    ]
    try:
        text = orjson.dumps(parts, option=_OPTIONS)
    except TypeError:
        # Lone surrogates, huge integers, keys that are not strings, mappings that are not dicts.
        try:
            text = b"json" + json.dumps(parts, sort_keys=True, default=_plain).encode()
        except (TypeError, ValueError, RecursionError):
            return None
    return hashlib.sha256(text).digest()


def _plain(value: object) -> object:
    """Give `json` a mapping as plain data."""
    keys = getattr(value, "keys", None)
    if keys is not None:
        return {str(key): value[key] for key in keys()}  # type: ignore[index]  # has keys: a mapping
    raise TypeError(f"not JSON: {type(value).__name__}")


def checksum(key: bytes, payload: bytes) -> int:
    """Return a checksum that ties a payload to its key."""
    return zlib.crc32(payload, zlib.crc32(key))


def encode_response(response: ModelResponse) -> bytes:
    """Write an answer as JSON, without the fields that describe this moment only.

    Raises:
        TypeError: It holds something that is not JSON.
    """
    usage = response.usage
    fields: dict[str, Any] = {
        "text": response.text,
        "model": response.model,
        "finish_reason": response.finish_reason,
        "tool_calls": list(response.tool_calls),
        "usage": [
            usage.input_tokens,
            usage.output_tokens,
            usage.cached_tokens,
            usage.reasoning_tokens,
            usage.audio_tokens,
            usage.estimated,
        ],
        "cost_usd": response.cost_usd,
        "latency_ms": response.latency_ms,
        "ttft_ms": response.ttft_ms,
        "attempts": response.attempts,
        "logprobs": None if response.logprobs is None else list(response.logprobs),
        "reasoning": response.reasoning,
        "fingerprint": response.fingerprint,
    }
    try:
        return orjson.dumps(fields)
    except TypeError:
        return json.dumps(fields, default=_plain).encode()


def decode_response(payload: bytes) -> ModelResponse:
    """Read what `encode_response` wrote, marked as cached.

    Raises:
        ValueError: It is not such a payload.
    """
    try:
        fields: dict[str, Any] = orjson.loads(payload)
    except orjson.JSONDecodeError:
        fields = json.loads(payload)  # a lone surrogate is JSON to Python only
    try:
        return ModelResponse(
            text=fields["text"],
            model=fields["model"],
            finish_reason=fields["finish_reason"],
            tool_calls=fields["tool_calls"],
            usage=_usage(fields["usage"]),
            cost_usd=fields["cost_usd"],
            latency_ms=fields["latency_ms"],
            ttft_ms=fields["ttft_ms"],
            attempts=fields["attempts"],
            route="cache",
            cached=True,
            logprobs=fields["logprobs"],
            reasoning=fields["reasoning"],
            fingerprint=fields["fingerprint"],
        )
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f"not a cached answer: {error!r}") from error


def _usage(numbers: list[Any]) -> Usage:
    return Usage(
        input_tokens=numbers[0],
        output_tokens=numbers[1],
        cached_tokens=numbers[2],
        reasoning_tokens=numbers[3],
        audio_tokens=numbers[4],
        estimated=numbers[5],
    )
