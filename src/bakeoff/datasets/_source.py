"""Where rows come from: one stream of rows for every kind of source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Row", "Source"]


class Row(NamedTuple):
    """One row as it stands in the source."""

    number: int
    """1-based, without the header and blank lines."""
    data: dict[str, Any]
    line: int | None = None
    """1-based line of a text file."""

    def where(self, label: str) -> str:
        """Return the place for a message."""
        return f"{label}, line {self.line}" if self.line is not None else f"{label}, row {self.number}"


@dataclass(frozen=True, slots=True)
class Source:
    """A stream of rows with a name."""

    name: str
    """Short, for the data set."""
    label: str
    """For messages: the file as it was given, or what stands for it."""
    rows: Iterable[Row]
