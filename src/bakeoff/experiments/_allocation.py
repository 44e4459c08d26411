"""Which trial runs next. `fixed` runs all of them; the others decide in rounds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bakeoff.datasets import Item
    from bakeoff.evaluators import Score
    from bakeoff.experiments._load import Experiment
    from bakeoff.experiments._resume import Resumed

__all__ = ["Allocation", "Round", "open_allocation"]


@dataclass(slots=True)
class Round:
    """Items and variants that run before the next decision."""

    items: Iterable[tuple[int, Item]]
    """Item with its index in the data set."""
    variants: Sequence[str]
    on_scores: Callable[[int, str, int, list[Score]], None] | None = None
    exhausted: bool = field(default=False)

    def observe(self, index: int, variant: str, repeat: int, scores: list[Score]) -> None:
        """Tell the allocation what a trial scored."""
        if self.on_scores is not None:
            self.on_scores(index, variant, repeat, scores)


class Allocation(Protocol):
    """Decides in rounds."""

    planned: Callable[[int], int] | None
    """Trials planned after all, given how many were done; `None` when the spec's number stands."""

    def next_round(self) -> Round | None:
        """Return what runs next, or `None` when the question is answered or the items are used up."""
        ...

    def decide(self) -> list[dict[str, Any]]:
        """Look at what the round gave; return the decisions, for the journal."""
        ...


class _Fixed:
    """Every variant on every item, in the order of the data set."""

    planned: Callable[[int], int] | None = None

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment
        self._given = False

    def next_round(self) -> Round | None:
        if self._given:
            return None
        self._given = True
        return Round(enumerate(self._experiment.dataset), list(self._experiment.variants))

    def decide(self) -> list[dict[str, Any]]:
        return []


def open_allocation(experiment: Experiment, resumed: Resumed) -> Allocation:
    """Return the allocation that the spec asks for."""
    return _Fixed(experiment)
