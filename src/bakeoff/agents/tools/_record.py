"""Recorded results of tools: an experiment on a tool with a state is repeatable."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import threading
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import orjson

from bakeoff.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from bakeoff.agents.tools._tool import ToolContext

__all__ = ["Recording"]

_BUSY: WeakValueDictionary[tuple[str, str, int], asyncio.Lock] = WeakValueDictionary()
"""Calls that are being made: each variant has a recording of its own, and they share the file."""


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
        self._seen = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            data = path.read_bytes() if path.exists() else b""
            lines = data.splitlines(keepends=True)
            for number, line in enumerate(lines, start=1):
                if self._take(line):
                    continue
                if number < len(lines):
                    message = f"recorded results {str(path)!r}: line {number} is not a recorded result"
                    raise SpecError(message) from None
                os.truncate(path, len(data) - len(line))  # a killed run may leave half a last line
                lines.pop()
            if lines and not lines[-1].endswith(b"\n"):
                path.write_bytes(b"".join(lines) + b"\n")
        except OSError as error:
            raise SpecError(f"recorded results {str(path)!r} cannot be read: {error.strerror}") from None

    def _take(self, line: bytes) -> bool:
        try:
            entry = orjson.loads(line)
            self._known.setdefault(entry["key"], entry["result"])
        except (orjson.JSONDecodeError, TypeError, KeyError):
            return False
        self._seen += len(line)
        return True

    def _catch_up(self) -> None:
        """Take in what other variants, and other processes, have recorded since."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._seen)
                fresh = file.read()
        except OSError:
            return
        for line in fresh.splitlines(keepends=True):
            if not line.endswith(b"\n") or not self._take(line):
                return

    @contextlib.asynccontextmanager
    async def alone(self, key: str) -> AsyncIterator[None]:
        """Let one trial at a time make a call: whoever comes second finds what the first was told."""
        name = (str(self._path), key, id(asyncio.get_running_loop()))
        lock = _BUSY.setdefault(name, asyncio.Lock())
        async with lock:
            yield

    @staticmethod
    def key(tool: str, arguments: Mapping[str, Any], context: ToolContext, occurrence: int) -> str:
        """Return the identity of a call."""
        about = [tool, dict(arguments), context.item_id, context.repeat, occurrence]
        return hashlib.sha256(orjson.dumps(about, option=orjson.OPT_SORT_KEYS, default=str)).hexdigest()[:32]

    def __contains__(self, key: object) -> bool:
        if key not in self._known:
            with self._lock:
                self._catch_up()
        return key in self._known

    def __getitem__(self, key: str) -> str:
        return self._known[key]

    def add(self, key: str, result: str) -> str:
        """Keep a result; return what is kept, which is the first when there was one before."""
        with self._lock:
            self._catch_up()
            if key not in self._known:
                line = orjson.dumps({"key": key, "result": result}, option=orjson.OPT_APPEND_NEWLINE)
                with self._path.open("ab") as file:
                    file.write(line)
                self._catch_up()
            return self._known.setdefault(key, result)
