"""An item: one piece of work that every variant gets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Item"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One item of a data set. All values are plain JSON data."""

    id: str
    inputs: Mapping[str, Any]
    """What the target sees, by name."""
    expected: Any = None
    """The right answer, where there is one."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """For segments and filters; never shown to the target."""
    cluster: str | None = None
    """Items that belong together: one document, one user."""
    weight: float | None = None
    recorded: Mapping[str, Any] = field(default_factory=dict)
    """Answers already collected, by dotted path in the source row (targets of kind `recorded`)."""
