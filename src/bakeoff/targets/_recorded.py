"""Answers already collected as a target: nothing is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bakeoff.errors import TargetError
from bakeoff.targets._types import TargetResult

if TYPE_CHECKING:
    from bakeoff.datasets import Item

__all__ = ["RecordedTarget"]


class RecordedTarget:
    """Gives back the answer that stands in the item's row of the data set."""

    def __init__(self, path: str, *, repeats: int = 1) -> None:
        self._path = path
        self._repeats = repeats

    async def run(self, item: Item, *, repeat: int) -> TargetResult:
        """Look the answer up. With more than one repeat, the field holds a list with one answer for each."""
        if self._path not in item.recorded:
            message = f"item {item.id!r} has no recorded answer at {self._path!r}"
            raise TargetError(message, kind="not_found")
        answer = item.recorded[self._path]
        if self._repeats > 1:
            answers = answer if isinstance(answer, list) else [answer]
            answer = answers[repeat] if repeat < len(answers) else None
        if answer is None:
            message = f"item {item.id!r} has no answer at {self._path!r} for repeat {repeat + 1}"
            raise TargetError(message, kind="not_found")
        return TargetResult(output=answer, route="recorded")
