"""Small parts of the agent form: sections that stay as short as they can be written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["mapping", "misfits", "options_with", "put", "section", "whole"]

_SHAPES: dict[str, tuple[type, ...]] = {
    "system": (str,), "prompt": (str,), "model": (str, dict), "pattern": (str, dict), "memory": (str, dict),
    "context": (str, dict), "retrieval": (dict,), "tools": (dict, list), "conversation": (dict,), "limits": (dict,),
    "tiers": (list,), "route": (list,), "steps": (list, dict),
}  # fmt: skip
_WHOLE = (
    ("memory", "window", 10_000), ("context", "window", 100_000_000), ("retrieval", "top_k", 100),
    ("limits", "max_iterations", 200),
)  # fmt: skip


def misfits(agent: Mapping[str, Any]) -> list[str]:
    """Return the keys of an agent whose values the form cannot show, and so must not touch.

    Examples:
        >>> misfits({"model": "small", "memory": ["a"], "retrieval": {"top_k": "all"}})
        ['memory', 'retrieval.top_k']
    """
    found = [key for key, kinds in _SHAPES.items() if agent.get(key) is not None and not isinstance(agent[key], kinds)]
    for key in ("tiers", "route"):
        rows = agent.get(key)
        if isinstance(rows, list) and not all(isinstance(row, Mapping) for row in rows):
            found.append(key)
    tiers = agent.get("tiers")
    if isinstance(tiers, list) and any(
        isinstance(row, Mapping) and not isinstance(row.get("accept") or {}, Mapping) for row in tiers
    ):
        found.append("tiers.accept")
    for key, name, most in _WHOLE:
        value = mapping(agent.get(key)).get(name)
        if value is not None and not (isinstance(value, int) and 1 <= value <= most):
            found.append(f"{key}.{name}")
    return found


def put(section: dict[str, Any], key: str, value: object, *, default: object = None) -> None:
    """Set a key, or take it away where the value is empty or the default.

    Examples:
        >>> section = {"a": 1, "b": 2}
        >>> put(section, "a", None), put(section, "b", 3), put(section, "c", 7, default=7), section
        (None, None, None, {'b': 3})
    """
    if value in (None, "", [], {}) or value == default:
        section.pop(key, None)
    else:
        section[key] = value


def section(agent: dict[str, Any], key: str, short: str) -> dict[str, Any]:
    """Return a section that may be written as one word."""
    value = agent.get(key)
    return {short: value} if isinstance(value, str) else mapping(value)


def mapping(value: object) -> dict[str, Any]:
    """Return a section as a mapping; what is none (a mistake in the file, named beside the form) is left out.

    Examples:
        >>> mapping({"top_k": 3}), mapping("oops"), mapping(None)
        ({'top_k': 3}, {}, {})
    """
    return {str(key): entry for key, entry in value.items()} if isinstance(value, Mapping) else {}


def options_with(options: Sequence[str], value: object) -> tuple[list[str], int]:
    """Return what can be chosen and the place of what is chosen, which is offered too where the form knows it not.

    Examples:
        >>> options_with(["none", "window"], "window"), options_with(["none"], "widow")
        ((['none', 'window'], 1), (['widow', 'none'], 0))
    """
    known = list(options) if value in options else [str(value), *options]
    return known, known.index(str(value))


def whole(value: object, default: int, low: int, high: int) -> int:
    """Return a whole number within bounds, the default where there is none.

    Examples:
        >>> whole("7", 3, 1, 100), whole("many", 3, 1, 100), whole(-5, 3, 1, 100), whole(None, 3, 1, 100)
        (7, 3, 1, 3)
    """
    try:
        found = int(str(value)) if value else default
    except ValueError:
        found = default
    return min(max(found, low), high)
