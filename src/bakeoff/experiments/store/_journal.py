"""The journal: one JSON line for each event of a run. It is the truth until the run is sealed.

A line is handed to the operating system before the next trial starts, so a killed process loses nothing that was
answered. A line that a power cut tore is cut off when the journal is opened again.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal

from bakeoff.errors import StoreError
from bakeoff.experiments._json import dumps, loads

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Journal", "JournalReader", "read_journal", "repair_journal"]

_BLOCK = 1 << 16


class Journal:
    """Appends events to a file.

    Args:
        path: The file; created when absent, repaired when its last line is torn.
        sync: `every` line, each `second`, or `off`: when the file is pushed to the disk itself.
    """

    _torn = False
    """Whether the last line may lack its end."""

    def __init__(self, path: Path, *, sync: Literal["every", "second", "off"] = "second") -> None:
        self.path = path
        self._sync = sync
        if path.exists():
            repair_journal(path)
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        except OSError as error:
            raise StoreError(f"the journal {str(path)!r} cannot be written: {error.strerror}") from error

    def append(self, event: dict[str, Any]) -> None:
        """Write one event.

        Raises:
            StoreError: The line could not be written whole: the disk is full or the file is gone.
        """
        line = dumps(event) + b"\n"
        if self._torn:  # what a full disk left of the line before must not swallow this one
            line = b"\n" + line
        try:
            written = os.write(self._file, line)
            while written < len(line):
                written += os.write(self._file, line[written:])
            if self._sync == "every":
                os.fsync(self._file)
            self._torn = False
        except OSError as error:
            self._torn = True
            raise StoreError(
                f"the journal {str(self.path)!r} cannot be written: {error.strerror}; what was answered before "
                "is kept. Make room, then `bakeoff resume` the run"
            ) from error

    def sync(self) -> None:
        """Push the file to the disk; call about once a second, from a thread."""
        if self._sync != "off":
            os.fsync(self._file)

    def close(self) -> None:
        """Sync and close."""
        if self._file >= 0:
            self.sync()
            os.close(self._file)
            self._file = -1


def repair_journal(path: Path) -> int:
    """Cut off a torn last line; return how many bytes were cut."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        end = size
        while end > 0:
            start = max(0, end - _BLOCK)
            file.seek(start)
            position = file.read(end - start).rfind(b"\n")
            if position >= 0:
                end = start + position + 1
                break
            end = start
        if end != size:
            file.truncate(end)
    return size - end


class JournalReader:
    """Reads what was appended since the last look; several processes may read while one writes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = 0

    def poll(self) -> Iterator[dict[str, Any]]:
        """Yield the events that are new. A line still being written waits for the next look."""
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            return
        with file:
            file.seek(self.offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self.offset += len(line)
                try:
                    event = loads(line)
                except ValueError:
                    continue  # a line torn in the middle of the file by a full disk: its trial runs again
                if isinstance(event, dict):
                    yield event


def read_journal(path: Path) -> Iterator[dict[str, Any]]:
    """Yield every whole event of a journal."""
    return JournalReader(path).poll()
