"""Templates in the strings of a target: bodies, query strings, arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bakeoff.prompts import Prompt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["compile_text"]


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
