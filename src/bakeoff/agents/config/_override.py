"""Factors that reach into an agent by dotted path."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from bakeoff.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["override"]

_SHORT = {"memory": "policy", "context": "policy", "output": "type", "chunk": "by", "store": "by", "pattern": "name"}
"""Sections that may be written as one word, and what the word stands for."""


def override(section: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a section with values put in at dotted paths; a whole section comes before what lies in it.

    Args:
        section: The `agent` section.
        changes: Value by path: `steps.draft.model`, `flow.1.max`. `None` takes a key away.

    Raises:
        SpecError: A path leads through a value that holds nothing, or to an entry that a list does not have.

    Examples:
        >>> override({"memory": "window", "steps": {"a": {"model": "x"}}}, {"memory.window": 3, "steps.a.model": "y"})
        {'memory': {'policy': 'window', 'window': 3}, 'steps': {'a': {'model': 'y'}}}
    """
    changed: dict[str, Any] = copy.deepcopy(dict(section))
    for path in sorted(changes, key=lambda one: (one.count("."), one)):
        _put(changed, path, copy.deepcopy(changes[path]))
    return changed


def _put(holder: dict[str, Any], path: str, value: Any) -> None:
    here: Any = holder
    parts = path.split(".")
    for depth, part in enumerate(parts[:-1]):
        here = _inner(here, part, ".".join(parts[: depth + 1]), path)
    last = parts[-1]
    if isinstance(here, list):
        here[_index(here, last, path)] = value
    elif value is None:
        here.pop(last, None)
    else:
        here[last] = value


def _inner(here: Any, part: str, so_far: str, path: str) -> Any:
    if isinstance(here, list):
        at: Any = _index(here, part, path)
        found = here[at]
    else:
        at = part
        found = here.get(part)
    if found is None or found is True:
        found = here[at] = dict[str, Any]()
    elif isinstance(found, str) and part in _SHORT:
        found = here[at] = {_SHORT[part]: found}
    if not isinstance(found, (dict, list)):
        raise SpecError(f"the factor 'agent.{path}' leads through 'agent.{so_far}', which is {found!r}")
    return found


def _index(here: list[Any], part: str, path: str) -> int:
    if part.isdecimal() and int(part) < len(here):
        return int(part)
    raise SpecError(f"the factor 'agent.{path}' asks for entry {part!r} of a list of {len(here)}")
