"""Recorded results of tools: an experiment on a tool with a state is repeatable."""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING, Any

import orjson

from bakeoff.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bakeoff.agents.tools._tool import ToolContext

__all__ = ["Recording"]


class Recording:
    """Results of one tool in a file of lines, `{"key", "result"}`.

    The key is tool, arguments, item, repeat, and how often the trial made the same call before. So all variants see
    the same world, and a second run sees it again, whatever the tool would say today.

    Raises:
        SpecError: The file cannot be read or written, or is something else.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._known: dict[str, str] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = path.read_bytes().splitlines() if path.exists() else []
        except OSError as error:
            raise SpecError(f"recorded results {str(path)!r} cannot be read: {error.strerror}") from None
        for number, line in enumerate(lines, start=1):
            try:
                entry = orjson.loads(line)
                self._known[entry["key"]] = entry["result"]
            except (orjson.JSONDecodeError, TypeError, KeyError):
                if number < len(lines):
                    message = f"recorded results {str(path)!r}: line {number} is not a recorded result"
                    raise SpecError(message) from None
                # A killed run may leave half a last line.
                path.write_bytes(b"".join(whole + b"\n" for whole in lines[:-1]))

    @staticmethod
    def key(tool: str, arguments: Mapping[str, Any], context: ToolContext, occurrence: int) -> str:
        """Return the identity of a call."""
        about = [tool, dict(arguments), context.item_id, context.repeat, occurrence]
        return hashlib.sha256(orjson.dumps(about, option=orjson.OPT_SORT_KEYS, default=str)).hexdigest()[:32]

    def __contains__(self, key: object) -> bool:
        return key in self._known

    def __getitem__(self, key: str) -> str:
        return self._known[key]

    def add(self, key: str, result: str) -> None:
        """Keep a result."""
        with self._lock:
            if key in self._known:
                return
            self._known[key] = result
            with self._path.open("ab") as file:
                file.write(orjson.dumps({"key": key, "result": result}, option=orjson.OPT_APPEND_NEWLINE))
