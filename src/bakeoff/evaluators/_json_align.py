"""Take JSON data apart into leaves, and set the entries of unordered lists against their like."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from bakeoff.evaluators._text import as_text

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["align_lists", "flatten_json"]

_PLAIN_KEY = re.compile(r"[^.\[\]\"*]+")
_MOST_COMPARISONS = 20_000
_ABSENT = object()
"""Stands where an expected entry has nothing against it."""


def flatten_json(value: Any) -> dict[str, Any]:
    """Collect the leaves of JSON data by their paths; an empty list or object is a leaf of its own.

    Works on a stack, so that depth cannot overflow.

    Examples:
        >>> flatten_json({"a": [1, {"b.c": 2}]})
        {'$.a[0]': 1, '$.a[1]["b.c"]': 2}
    """
    leaves: dict[str, Any] = {}
    stack: list[tuple[str, Any]] = [("$", value)]
    while stack:
        here, node = stack.pop()
        if isinstance(node, dict) and node:
            stack += [(f"{here}{_step(key)}", child) for key, child in reversed(node.items())]
        elif isinstance(node, list) and node:
            stack += [(f"{here}[{index}]", child) for index, child in reversed(list(enumerate(node)))]
        elif node is not _ABSENT:
            leaves[here] = node
    return leaves


def _step(key: Any) -> str:
    plain = isinstance(key, str) and _PLAIN_KEY.fullmatch(key)
    return f".{key}" if plain else f"[{json.dumps(str(key), ensure_ascii=False)}]"


def align_lists(given: Any, wanted: Any, agree: Callable[[Any, Any], bool]) -> Any:
    """Bring the lists of `given` into the order of `wanted`: each expected entry gets the one most like it.

    After 20,000 comparisons the rest of the entries is taken in order of their text.

    Args:
        given: JSON data of an output.
        wanted: What was expected.
        agree: Tells whether two leaves are equal.

    Examples:
        >>> align_lists([3, 1], [1, 2, 3], lambda left, right: left == right)[2]
        3
    """
    left = [_MOST_COMPARISONS]
    try:
        return _aligned(given, wanted, agree, left)
    except RecursionError:
        return given


def _aligned(given: Any, wanted: Any, agree: Callable[[Any, Any], bool], left: list[int]) -> Any:
    if isinstance(given, dict) and isinstance(wanted, dict):
        return {key: _aligned(entry, wanted.get(key), agree, left) for key, entry in given.items()}
    if not (isinstance(given, list) and isinstance(wanted, list)) or not wanted:
        return given
    rest = sorted(given, key=as_text)
    chosen: list[Any] = [_ABSENT] * len(wanted)
    for least in (1.0, 0.0):  # what is equal first, so that nothing takes the place of its like
        for index in sorted(range(len(wanted)), key=lambda one: as_text(wanted[one])):
            if chosen[index] is _ABSENT and rest:
                best, entry = _most_like(rest, wanted[index], agree, left)
                if best is not None and entry[0] >= least:
                    rest.pop(best)
                    chosen[index] = entry[1]
    return chosen + rest


def _most_like(
    rest: list[Any], wanted: Any, agree: Callable[[Any, Any], bool], left: list[int]
) -> tuple[int | None, tuple[float, Any]]:
    """Find the entry most like the wanted one: where it stands, its likeness from 0 to 1, and the entry in order."""
    found: tuple[int | None, tuple[float, Any]] = (None, (-1.0, _ABSENT))
    for position, one in enumerate(rest):
        left[0] -= 1
        if left[0] < 0:
            return found if found[0] is not None else (0, (0.0, rest[0]))
        entry = _aligned(one, wanted, agree, left)
        likeness = _likeness(entry, wanted, agree)
        if likeness > found[1][0]:
            found = position, (likeness, entry)
        if likeness == 1.0:
            break
    return found


def _likeness(given: Any, wanted: Any, agree: Callable[[Any, Any], bool]) -> float:
    mine, other = flatten_json(given), flatten_json(wanted)
    same = sum(path in mine and agree(mine[path], leaf) for path, leaf in other.items())
    return same / max(len(mine.keys() | other.keys()), 1)
