"""How a simulated judge judges: by comparing what it is shown, with mistakes and a taste for the first place.

It reads the marked sections of Bakeoff's own judge prompts. Of a response beside an expected answer it can
tell how much of the answer is there. Of a response alone it cannot tell anything, so its quality is drawn from the
text: the same response is always as good. Then it errs with the chance that its skill says.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bakeoff.gateway._sim._luck import uniform
from bakeoff.gateway._sim._schema import resolve_schema, verdict_name

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["judgement", "sections_of"]

_SECTION = re.compile(r'<data (\w+) name="([^"]+)">\n(.*?)\n</data \1>', re.DOTALL)
_WORD = re.compile(r"\w+")
_EXPECTED = ("expected", "expert", "goal", "reference")
_GOOD = frozenset({"pass", "correct", "yes", "true", "good", "same", "equal", "complete", "achieved"})
_BAD = frozenset({"fail", "incorrect", "no", "false", "bad", "wrong", "disagree", "none", "missed"})
_MIDDLE = frozenset({"partial", "partly_correct", "partially_correct", "mixed", "subset"})
_FIRST_PLACE = 0.05
"""How much better the first of two responses looks: the position bias that real judges have."""
_CLOSE = 0.08


def sections_of(prompt: str) -> dict[str, str]:
    r"""Return the marked sections of a judge's prompt by their titles.

    Examples:
        >>> sections_of('<data ab name="response">\nParis\n</data ab>')
        {'response': 'Paris'}
    """
    return {title: text for _, title, text in _SECTION.findall(prompt)}


def _quality(response: str, expected: str | None, seed: int) -> float:
    """Return how good a response is, from 0 to 1."""
    if expected is None:
        return uniform(seed, "quality", response)
    wanted = _WORD.findall(expected.lower())
    said = _WORD.findall(response.lower())
    if not wanted or not said:
        return 0.0
    share = sum(word in set(said) for word in wanted) / len(wanted)
    return share if " ".join(wanted) in " ".join(said) else 0.8 * share


def judgement(prompt: str, schema: Mapping[str, Any], *, skill: float, about: object, seed: int) -> dict[str, Any]:
    r"""Return the values of the verdict's properties, or nothing when the prompt shows no response.

    Args:
        prompt: Text of all messages.
        schema: JSON Schema of the verdict.
        skill: Chance to judge rightly.
        about: What a mistake depends on.
        seed: The world.

    Examples:
        >>> shown = '<data a name="expected">\n18\n</data a><data a name="response">\nIt is 18.\n</data a>'
        >>> schema = {"properties": {"pass": {"type": "boolean"}}}
        >>> judgement(shown, schema, skill=1.0, about=1, seed=0), judgement(shown, schema, skill=0.0, about=1, seed=0)
        ({'pass': True}, {'pass': False})
    """
    shown = sections_of(prompt)
    expected = next((text for title, text in shown.items() if title.startswith(_EXPECTED)), None)
    mistaken = uniform(seed, "mistake", about) >= skill
    name = verdict_name(schema)
    wanted = resolve_schema((schema.get("properties") or {}).get(name) or {}, schema)
    if "response 1" in shown and "response 2" in shown:
        margin = _quality(shown["response 1"], expected, seed) - _quality(shown["response 2"], expected, seed)
        chosen = _preferred(wanted.get("enum") or [], (-margin if mistaken else margin) + _FIRST_PLACE)
        return {} if chosen is None else {name: chosen}
    response = shown.get("response", shown.get("conversation"))
    if response is None:
        return {}
    quality = _quality(response, expected, seed)
    value = _graded(wanted, 1 - quality if mistaken else quality)
    return {} if value is None else {name: value}


def _preferred(options: list[Any], margin: float) -> object:
    if abs(margin) < _CLOSE:
        ties = [option for option in options if str(option).lower() in {"tie", "neither", "equal", "same", "both"}]
        if ties:
            return ties[0]
    ending = "1" if margin >= 0 else "2"
    return next((option for option in options if str(option).endswith(ending)), None)


def _graded(schema: Mapping[str, Any], quality: float) -> object:
    kind, options = schema.get("type"), schema.get("enum")
    if isinstance(options, list) and options:
        if all(isinstance(option, (int, float)) for option in options):
            ordered = sorted(options)
            return ordered[min(int(quality * len(ordered)), len(ordered) - 1)]
        named = _MIDDLE if 0.35 <= quality < 0.65 else frozenset[str]()
        named = named if any(str(option).lower() in named for option in options) else _GOOD if quality >= 0.5 else _BAD
        return next((option for option in options if str(option).lower() in named), None)
    if kind == "boolean":
        return quality >= 0.5
    if kind in {"integer", "number"} and "minimum" in schema and "maximum" in schema:
        low, high = float(schema["minimum"]), float(schema["maximum"])
        value = low + quality * (high - low)
        return round(value) if kind == "integer" else round(value, 3)
    return None
