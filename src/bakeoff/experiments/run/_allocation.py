"""Which trial runs next: all of them, until the answer is clear, or fewer for the losers.

An allocation hands out rounds and looks at their scores in between. It decides from the scores alone, in an order
that depends on ids and seed alone, so a resumed run makes the same decisions again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from bakeoff.experiments.analysis._order import batches, dispatch_order, hold_out, item_keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from bakeoff.datasets import Item
    from bakeoff.evaluators import Score
    from bakeoff.experiments.run._resume import Resumed
    from bakeoff.experiments.spec._load import Experiment

__all__ = ["Allocation", "Observed", "Round", "Search", "open_allocation"]


class Observed:
    """Scores of the primary metric so far, by item and variant."""

    def __init__(self, metric: str, repeats: int) -> None:
        self.metric = metric
        self.repeats = repeats
        self._values: dict[tuple[int, str], dict[int, float]] = {}

    def note(self, index: int, variant: str, repeat: int, value: object) -> None:
        """Take in one score; what is no number is missing."""
        if isinstance(value, bool | int | float):
            self._values.setdefault((index, variant), {})[repeat] = float(value)

    def of(self, items: NDArray[np.int64], variant: str) -> NDArray[np.float64]:
        """Return scores of shape (items, repeats), `nan` where there is none."""
        import numpy as np

        found = np.full((len(items), self.repeats), np.nan)
        for row, index in enumerate(items.tolist()):
            for repeat, value in self._values.get((index, variant), {}).items():
                found[row, repeat] = value
        return found


@dataclass(slots=True)
class Round:
    """What runs before the next decision."""

    plan: Iterable[tuple[int, Item, Sequence[str]]]
    """Index of the item in the data set, the item, and the variants that answer it."""
    observed: Observed | None = None
    """Where scores are kept for a decision; a fixed allocation decides nothing and keeps none."""
    exhausted: bool = field(default=False)

    def observe(self, index: int, variant: str, repeat: int, scores: Sequence[Score]) -> None:
        """Tell the allocation what a trial scored."""
        if self.observed is None:
            return
        for score in scores:
            if score.name == self.observed.metric:
                self.observed.note(index, variant, repeat, score.value)


class Allocation(Protocol):
    """Decides in rounds."""

    def next_round(self) -> Round | None:
        """Return what runs next, or `None` when the question is answered or the items are used up."""
        ...

    def decide(self) -> list[dict[str, Any]]:
        """Look at what the round gave; return new decisions, for the journal."""
        ...


@dataclass(slots=True, kw_only=True)
class Search:
    """What every allocation that decides needs: the items in random order, in batches, and the scores so far."""

    experiment: Experiment
    observed: Observed
    ids: list[str]
    clusters: NDArray[np.int64] | None
    batches: list[NDArray[np.int64]]
    held_out: NDArray[np.int64]

    @property
    def n_items(self) -> int:
        """Items to search on."""
        return sum(len(batch) for batch in self.batches)

    def round(self, items: NDArray[np.int64], variants: Sequence[str]) -> Round:
        """Return a round in which every variant answers every item."""
        return Round(self._rows(items, {int(index): variants for index in items}), self.observed)

    def assign(self, wanted: dict[int, list[str]]) -> Round:
        """Return a round in which each item is answered by its own variants."""
        import numpy as np

        return Round(self._rows(np.array(sorted(wanted), dtype=np.int64), wanted), self.observed)

    def _rows(
        self, items: NDArray[np.int64], variants: dict[int, Sequence[str]] | dict[int, list[str]]
    ) -> Iterator[tuple[int, Item, Sequence[str]]]:
        found = self.experiment.dataset.get([self.ids[index] for index in items])
        for index, item in zip(items.tolist(), found, strict=True):
            yield index, item, variants[index]

    def clusters_of(self, items: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """Return the clusters of some items."""
        return None if self.clusters is None else self.clusters[items]


class _Fixed:
    """Every variant on every item, items in random order: stopped early, what is there is a fair sample."""

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment
        self._given = False

    def next_round(self) -> Round | None:
        if self._given:
            return None
        self._given = True
        return Round(self._rows())

    def _rows(self) -> Iterator[tuple[int, Item, Sequence[str]]]:
        dataset, variants = self._experiment.dataset, list(self._experiment.variants)
        place = {identity: index for index, identity in enumerate(item_keys(dataset.path)[0])}
        for item in dataset.shuffled(self._experiment.spec.seed):
            yield place[item.id], item, variants

    def decide(self) -> list[dict[str, Any]]:
        return []


def open_allocation(experiment: Experiment, resumed: Resumed) -> Allocation:
    """Return the allocation that the spec asks for, with what earlier sessions scored."""
    from bakeoff.experiments.run import _adaptive

    spec = experiment.spec
    if spec.allocation.method == "fixed":
        return _Fixed(experiment)
    observed = Observed(experiment.primary, spec.repeats)
    for trial in resumed.finished:
        observed.note(trial.index, trial.variant, trial.repeat, trial.value)
    ids, clusters = item_keys(experiment.dataset.path)
    order, held_out = hold_out(dispatch_order(ids, clusters, spec.seed), clusters, spec.allocation.confirm)
    size, first = spec.allocation.sizes(len(order))
    search = Search(
        experiment=experiment,
        observed=observed,
        ids=ids,
        clusters=clusters,
        batches=batches(order, clusters, size=size, first=first),
        held_out=held_out,
    )
    return _adaptive.open_search(search)
