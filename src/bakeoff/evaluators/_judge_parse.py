"""Read what a judge answered: JSON as asked for, or JSON that can be repaired, or a clear problem."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bakeoff.evaluators._text import find_json, preview

__all__ = ["UnreadableError", "read_answer", "read_choice", "read_flag", "read_scale", "read_text"]

_LONGEST = 100_000
_TRAILING_COMMA = re.compile(r",(\s*[}\]])")
_QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"', "‟": '"'})
_YES = frozenset({"true", "yes", "y", "pass", "passed", "1", "correct", "supported", "met"})
_NO = frozenset({"false", "no", "n", "fail", "failed", "0", "incorrect", "unsupported", "not supported", "not met"})


class UnreadableError(ValueError):
    """The judge did not answer in the form it was asked for; the message tells the judge what is wrong."""


def read_answer(text: str) -> dict[str, Any]:
    r"""Find the JSON object in a judge's answer.

    Prose and Markdown around it are ignored; trailing commas, typographic quotes around keys, Python literals and a
    missing end are repaired. Nothing is guessed: an answer without an object is unreadable.

    Raises:
        UnreadableError: There is none.

    Examples:
        >>> read_answer('Sure! ```json\n{"reason": "ok", "pass": True,}\n```')
        {'reason': 'ok', 'pass': True}
    """
    if not text.strip():
        raise UnreadableError("the answer was empty")
    text = text[:_LONGEST]
    for candidate in _candidates(text):
        try:
            found = find_json(candidate)
        except ValueError:
            continue
        if isinstance(found, list) and len(found) == 1:
            found = found[0]
        if isinstance(found, dict):
            return found
    raise UnreadableError("the answer held no JSON object")


def _candidates(text: str) -> list[str]:
    start = text.find("{")
    if start == -1:
        return [text]
    body = _TRAILING_COMMA.sub(r"\1", text[start:])
    python = re.sub(r"(?<=[:\s\[,])(True|False|None)(?=\s*[,}\]])", _as_json_literal, body)
    return [text, body, python, python.translate(_QUOTES), _closed(python)]


def _as_json_literal(found: re.Match[str]) -> str:
    return {"True": "true", "False": "false", "None": "null"}[found.group()]


def _closed(text: str) -> str:
    """Close what a cut-off answer left open; whatever was half written stays unreadable or missing."""
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
    return text + ('"' if quoted else "") + "".join(reversed(stack))


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
