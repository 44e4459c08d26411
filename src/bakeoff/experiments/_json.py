"""JSON that never fails on what a model may say: lone surrogates, huge integers, foreign objects."""

from __future__ import annotations

import json
import math
from typing import Any

import orjson

__all__ = ["dumps", "loads", "plain"]

_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
_MAX_DEPTH = 100


def dumps(value: object) -> bytes:
    """Serialise to one line of UTF-8 JSON.

    Lone surrogates become U+FFFD, integers beyond 64 bits and non-finite floats become text, and an object
    that is not JSON becomes its `str`. Data that is already plain takes the fast path unchanged.
    """
    try:
        return orjson.dumps(value, option=_OPTIONS)
    except (orjson.JSONEncodeError, TypeError, RecursionError):
        return orjson.dumps(plain(value))


def loads(data: bytes | str) -> Any:
    """Parse JSON; falls back to the tolerant parser of the standard library."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return json.loads(data)


def plain(value: Any, depth: int = 0) -> Any:
    """Return the value as plain JSON data (see `dumps`)."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    if isinstance(value, int):
        return int(value) if -(2**63) <= value < 2**64 else str(int(value))
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if depth > _MAX_DEPTH:
        return "..."
    if isinstance(value, dict):
        return {plain(str(key)): plain(entry, depth + 1) for key, entry in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(entry, depth + 1) for entry in value]
    if hasattr(value, "model_dump"):
        return plain(value.model_dump(mode="json"), depth + 1)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        return plain(value.item(), depth + 1)
    if hasattr(value, "tolist"):
        return plain(value.tolist(), depth + 1)
    return plain(str(value))
