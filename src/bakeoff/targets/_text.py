"""What a target is sent: templates in its bodies, query strings and arguments, and JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import orjson

from bakeoff.prompts import Prompt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["compile_text", "json_bytes"]


def compile_text(text: str, *, name: str) -> Callable[[Mapping[str, Any]], str]:
    """Return a function that fills inputs into a template, in the same sandbox as prompts.

    Raises:
        SpecError: The template is malformed.
    """
    if "{" not in text:
        return lambda _values: text
    prompt = Prompt(name=name, messages=[{"role": "user", "content": text}])

    def render(values: Mapping[str, Any]) -> str:
        return str(prompt.render(values)[0]["content"])

    return render


def json_bytes(value: Any) -> bytes:
    r"""Return a value as JSON on one line, whatever an item holds: huge integers, halves of characters, dates.

    Examples:
        >>> json_bytes({"n": 2**70, "text": "half \ud800"})
        b'{"n": 1180591620717411303424, "text": "half \\ud800"}'
    """
    try:
        return orjson.dumps(value, default=str)
    except orjson.JSONEncodeError:
        return json.dumps(value, default=str).encode()
