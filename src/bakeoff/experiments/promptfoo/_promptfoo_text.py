"""What promptfoo does to texts before a model sees them: references, `env`, prefixes, printed values."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakeoff.errors import BakeoffError
from bakeoff.evaluators import redact_secrets
from bakeoff.experiments.promptfoo._promptfoo_files import BARE, NotCarriedError, jinja, printed
from bakeoff.prompts import load_prompt

if TYPE_CHECKING:
    from collections.abc import Callable

    from bakeoff.experiments.promptfoo._promptfoo_files import Notes

__all__ = ["AROUND", "add_around", "print_as_javascript", "resolved"]

AROUND = ("prefix", "suffix")
"""Options of a test that stand around its prompt; rows carry them until `add_around` takes them out."""
_ENV = re.compile(r"\{\{-?\s*env\.(\w+)\s*-?\}\}")
_SECRET = re.compile(r"(?i)key|token|secret|passw|credential|auth")
_DEPTH = 60
_MOST_PARTS = 2_000_000


def resolved(data: dict[str, Any], notes: Notes) -> dict[str, Any]:
    """Put in what `$ref: '#/...'` names, and for `{{ env.X }}` what `env` says, unless it may be a secret."""
    given = data.get("env")
    env = {str(key): printed(value) for key, value in given.items()} if isinstance(given, dict) else {}
    plain = {key: text for key, text in env.items() if not _SECRET.search(key) and redact_secrets(text) == text}
    used: set[str] = set()
    parts = itertools.count(1)

    def fill_in(found: re.Match[str]) -> str:
        used.update({found[1]} & set(plain))
        return plain.get(found[1], found[0])

    def walk(value: Any, depth: int) -> Any:
        if depth > _DEPTH or next(parts) > _MOST_PARTS:
            raise NotCarriedError("what its `$ref` and anchors name is nested or repeated beyond all measure")
        if isinstance(value, dict):
            there, target = _target(data, value.get("$ref"))
            if there and not (isinstance(target, dict) and "$ref" in target):
                return walk(target, depth + 1)
            return {key: walk(entry, depth + 1) for key, entry in value.items()}
        if isinstance(value, list):
            return [walk(entry, depth + 1) for entry in value]
        return _ENV.sub(fill_in, value) if isinstance(value, str) and "{{" in value else value

    whole = {key: entry if key == "env" else walk(entry, 0) for key, entry in data.items()}
    if given is not None and set(env) - used:
        notes.lose("`env`")
    return whole


def _target(data: Any, reference: Any) -> tuple[bool, Any]:
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return False, None
    here = data
    for part in reference[2:].split("/"):
        if isinstance(here, dict) and part in here:
            here = here[part]
        elif isinstance(here, list) and part.isdecimal() and int(part) < len(here):
            here = here[int(part)]
        else:
            return False, None
    return True, here


def add_around(prompts: dict[str, Any], rows: list[dict[str, Any]], notes: Notes) -> None:
    """Put `prefix` and `suffix` of the tests around the prompts: as text where all tests agree, else as variables."""
    for key in AROUND:
        pairs = [row.pop(key) for row in rows]  # (template, filled in)
        templates = {template for template, _ in pairs}
        if templates == {""}:
            continue
        part = jinja(next(iter(templates)))
        if len(templates) > 1:
            part = f"{{{{ prompt_{key} }}}}"
            for row, (_, text) in zip(rows, pairs, strict=True):
                row["inputs"][f"prompt_{key}"] = text
        for name, prompt in prompts.items():
            if isinstance(prompt, str):
                prompts[name] = part + prompt if key == "prefix" else prompt + part
            else:
                notes.lose(f"options: `{key}` of tests, for the chat {name!r}")


def print_as_javascript(prompts: dict[str, Any], rows: list[dict[str, Any]], notes: Notes) -> None:
    """Write values that JavaScript prints in another way (`true`, `1,2`) as it prints them, where that is safe."""
    odd = {name for row in rows for name, value in row["inputs"].items() if isinstance(value, (bool, list, dict))}
    if not odd:
        return
    shown = {name for prompt in prompts.values() for text in _texts(prompt) for name in BARE.findall(text)} & odd
    otherwise = {name for prompt in prompts.values() for name in _used_otherwise(prompt)}
    for name in sorted(shown):
        values = [row["inputs"].get(name) for row in rows if name in row["inputs"]]
        if name not in otherwise:
            for row in rows:
                if name in row["inputs"]:
                    row["inputs"][name] = printed(row["inputs"][name])
        elif all(isinstance(value, bool | int | float) for value in values):
            _replace(prompts, lambda text, name=name: BARE.sub(
                lambda found: f"{{{{ {name} | string | lower }}}}" if found[1] == name else found[0], text
            ))  # fmt: skip
        elif all(isinstance(value, list) and not _nests(value) for value in values):
            _replace(prompts, lambda text, name=name: BARE.sub(
                lambda found: f"{{{{ {name} | join(',') }}}}" if found[1] == name else found[0], text
            ))  # fmt: skip
        else:
            notes.change(
                f"variable {name!r} is a list or mapping that a prompt prints: as Python writes it, not JavaScript"
            )
    for name in sorted(odd):
        if any(
            re.search(rf"\b{re.escape(name)}\b[^}}]*\|\s*tojson", text)
            for prompt in prompts.values()
            for text in _texts(prompt)
        ):
            notes.change(
                f"variable {name!r} is dumped as JSON with spaces after commas and colons, which promptfoo leaves out"
            )


def _nests(value: list[Any]) -> bool:
    return any(isinstance(entry, (list, dict, bool, float)) or entry is None for entry in value)


def _texts(prompt: Any) -> list[str]:
    if isinstance(prompt, str):
        return [prompt]
    return [text for text in _strings(prompt.get("messages")) if "{" in text]


def _strings(value: Any) -> list[str]:
    if isinstance(value, (dict, list)):
        return [text for entry in (value.values() if isinstance(value, dict) else value) for text in _strings(entry)]
    return [value] if isinstance(value, str) else []


def _used_otherwise(prompt: Any) -> frozenset[str]:
    found: frozenset[str] = frozenset()
    for text in _texts(prompt):
        try:
            found |= load_prompt("p", BARE.sub("", text) or " ", base_dir=Path()).variables
        except BakeoffError:
            continue
    return found


def _replace(prompts: dict[str, Any], change: Callable[[str], str]) -> None:
    for name, prompt in prompts.items():
        if isinstance(prompt, str):
            prompts[name] = change(prompt)
        else:
            prompts[name] = {**prompt, "messages": [_changed(message, change) for message in prompt["messages"]]}


def _changed(message: dict[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    content = message.get("content")
    return {**message, "content": change(content)} if isinstance(content, str) else message
