"""Read what a judge answered: JSON as asked for, or JSON that can be repaired, or a clear problem."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

from bakeoff.evaluators._text import preview

__all__ = ["UnreadableError", "read_answer", "read_choice", "read_flag", "read_scale", "read_text"]

_LONGEST = 100_000
_LONGEST_PYTHON = 20_000
_MOST_OBJECTS = 50
_BRACKET = re.compile(r"[{\[]")
_TRAILING_COMMA = re.compile(r",(\s*[}\]])")
_QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"', "‟": '"'})
_YES = frozenset({"true", "yes", "y", "pass", "passed", "1", "correct", "supported", "met"})
_NO = frozenset({"false", "no", "n", "fail", "failed", "0", "incorrect", "unsupported", "not supported", "not met"})


class UnreadableError(ValueError):
    """The judge did not answer in the form it was asked for; the message tells the judge what is wrong."""


def read_answer(text: str, *, keys: Collection[str] = ()) -> dict[str, Any]:
    r"""Find the JSON object in a judge's answer.

    Prose and Markdown around it are ignored; trailing commas, line breaks within texts, typographic quotes around keys,
    Python's way of writing and a missing end are repaired, and so is one object around the wanted one. Nothing is
    guessed: an answer without an object is unreadable, and so are two objects that differ, and a list that was cut off.

    Args:
        text: The answer.
        keys: Keys of the wanted object; objects with none of them are passed over.

    Raises:
        UnreadableError: There is none, or there are several.

    Examples:
        >>> read_answer('Sure! ```json\n{"reason": "ok", "pass": True,}\n```')
        {'reason': 'ok', 'pass': True}
        >>> read_answer('As in {"a": 1}: {"pass": true}', keys=["pass"])
        {'pass': True}
    """
    if not text.strip():
        raise UnreadableError("the answer was empty")
    wanted = {key.casefold() for key in keys}
    for candidate in _candidates(text[:_LONGEST]):
        found = [one for one in map(partial(_wanted, keys=wanted), _objects(candidate)) if one is not None]
        if found and any(one != found[0] for one in found):
            raise UnreadableError("the answer held several JSON objects that differ")
        if found:
            return found[0]
    raise UnreadableError(
        "the answer held no JSON object" + (f" with {', '.join(keys)}" if "{" in text and keys else "")
    )


def _wanted(found: object, keys: Collection[str]) -> dict[str, Any] | None:
    """Give the object that has one of the keys: this one, the only one of a list, or the only value of this one."""
    if isinstance(found, list):
        found = found[0] if len(found) == 1 else None
    if not isinstance(found, dict):
        return None
    if not keys or any(str(key).strip().casefold().replace(" ", "_") in keys for key in found):
        return found
    inner = next(iter(found.values())) if len(found) == 1 else None
    return _wanted(inner, keys) if isinstance(inner, dict) else None


def _objects(text: str) -> list[Any]:
    """Read the JSON values that begin with a bracket, one after the other; those within another are part of it."""
    decoder = json.JSONDecoder(parse_constant=_no_constant, strict=False)
    found: list[Any] = []
    at = 0
    for _ in range(_MOST_OBJECTS):
        start = _BRACKET.search(text, at)
        if start is None:
            break
        try:
            value, at = decoder.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            at = start.end()
            if start.group() == "{" and text[at:].lstrip().startswith('"'):
                return []  # an object that does not end, or is broken: what is inside it, or before it, is no answer
            continue
        found.append(value)
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _candidates(text: str) -> list[str]:
    start = text.find("{")
    if start == -1:
        return []
    body = _TRAILING_COMMA.sub(r"\1", text[start:])
    python = re.sub(r"(?<=[:\s\[,])(True|False|None)(?=\s*[,}\]])", _as_json_literal, body)
    found = [text, body, python, python.translate(_QUOTES)]
    return [*found, *_python_dict(text[start:]), *_closed(python)]


def _python_dict(text: str) -> list[str]:
    """Rewrite a dict in Python's way of writing as JSON, where it is the whole text up to its end."""
    end = text.rfind("}") + 1
    if not text.startswith(("{'", "{\n")) or not 0 < end <= _LONGEST_PYTHON:
        return []
    try:
        return [json.dumps(ast.literal_eval(text[:end]))]
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return []


def _as_json_literal(found: re.Match[str]) -> str:
    return {"True": "true", "False": "false", "None": "null"}[found.group()]


def _closed(text: str) -> list[str]:
    """Close what a cut-off answer left open; whatever was half written stays unreadable or missing.

    A list that was cut off is not closed: nobody knows what else it would have held.
    """
    stack: list[str] = []
    quoted = escaped = False
    for char in text:
        if escaped:
            escaped = False
        elif quoted and char == "\\":
            escaped = True
        elif char == '"':
            quoted = not quoted
        elif not quoted and char in "{[":
            stack.append("}" if char == "{" else "]")
        elif not quoted and char in "}]" and stack:
            stack.pop()
    return [] if "]" in stack else [text + ('"' if quoted else "") + "".join(reversed(stack))]


def _value(answer: Mapping[str, Any], key: str) -> Any:
    for name, value in answer.items():
        if str(name).strip().casefold().replace(" ", "_") == key.casefold():
            return value
    raise UnreadableError(f"the key {key!r} was missing")


def read_text(answer: Mapping[str, Any], key: str) -> str:
    """Read a text; missing or of another type is empty."""
    try:
        value = _value(answer, key)
    except UnreadableError:
        return ""
    return value if isinstance(value, str) else "" if value is None else str(value)


def read_flag(answer: Mapping[str, Any], key: str) -> bool:
    """Read yes or no.

    Raises:
        UnreadableError: The key is missing, or its value is neither.
    """
    value = _value(answer, key)
    if isinstance(value, bool):
        return value
    word = str(value).strip().strip(".!\"'").casefold()
    if word in _YES or word in _NO:
        return word in _YES
    raise UnreadableError(f"{key!r} was {preview(value)}, neither true nor false")


def read_choice(answer: Mapping[str, Any], key: str, choices: Mapping[str, Any]) -> str:
    """Read one of several words.

    Raises:
        UnreadableError: The key is missing, or its value is none of them.
    """
    value = _value(answer, key)
    word = re.sub(r"[\s_-]+", "_", str(value).strip().strip(".!\"'()").casefold())
    for choice in choices:
        if word == re.sub(r"[\s_-]+", "_", choice.casefold()):
            return choice
    raise UnreadableError(f"{key!r} was {preview(value)}, none of {', '.join(choices)}")


def read_scale(answer: Mapping[str, Any], key: str, low: int, high: int) -> float:
    """Read a number on a scale; `4/5` is fine on a scale that ends at 5.

    Raises:
        UnreadableError: The key is missing, or its value is no number on this scale. A number beyond the scale is
            never clipped: the judge may have used another scale.
    """
    value = _value(answer, key)
    if isinstance(value, Mapping) and "score" in value:
        value = value["score"]
    if isinstance(value, str):
        found = re.fullmatch(rf"\s*([-+]?\d+(?:\.\d+)?)\s*(?:(?:/|out of)\s*{high})?\s*", value)
        value = float(found[1]) if found else value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UnreadableError(f"{key!r} was {preview(value)}, no number from {low} to {high}")
    if not low <= value <= high:
        raise UnreadableError(f"{key!r} was {value:g}, which is not on the scale from {low} to {high}")
    return float(value)
