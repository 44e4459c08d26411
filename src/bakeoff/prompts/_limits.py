"""How large a prompt, and the values it builds on the way, may become."""

from __future__ import annotations

from typing import Any

from jinja2.sandbox import SecurityError

__all__ = [
    "MAX_CHARS",
    "MAX_DEPTH",
    "MAX_SOURCE",
    "MAX_STEPS",
    "MAX_WORK",
    "LimitError",
    "check_size",
    "tree_size",
]

MAX_SOURCE = 2_000_000
"""Characters of one template."""
MAX_CHARS = 2_000_000
"""Characters of one rendered prompt: half a million tokens."""
MAX_STEPS = 200_000
"""Loop turns, calls and filters of one render."""
MAX_WORK = 50_000_000
"""Characters and entries of all intermediate values of one render."""
MAX_DEPTH = 60
"""Nested macro calls."""
_MAX_VALUE = 4_000_000
_CONTAINERS = (list, tuple, dict)


class LimitError(SecurityError):
    """A template does more than a prompt needs."""

    def __init__(self, message: str, lineno: int | None = None) -> None:
        super().__init__(message)
        self.lineno = lineno


def check_size(size: int) -> None:
    """Refuse a value of more than four million characters or entries."""
    if size > _MAX_VALUE:
        raise LimitError(f"builds a value of {size:,} characters or entries; the limit is {_MAX_VALUE:,}")


def tree_size(value: Any) -> int:
    """Return the number of characters and entries of a value as it would be printed, shared parts counted each time.

    Raises:
        LimitError: At the first entry beyond the limit.
    """
    if isinstance(value, str | bytes):
        check_size(len(value))
        return len(value) + 1
    if not isinstance(value, _CONTAINERS):
        return 1
    total, stack = 0, [value]
    while stack:
        here = stack.pop()
        entries = here.values() if isinstance(here, dict) else here
        total += len(here) + 1
        check_size(total)
        for entry in entries:
            if isinstance(entry, _CONTAINERS):
                stack.append(entry)
            elif isinstance(entry, str):
                total += len(entry)
    check_size(total)
    return total
