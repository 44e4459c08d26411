"""Finding the best variant within a budget: sequential halving, Hyperband, LUCB."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, log, log2
from typing import TYPE_CHECKING, Any

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import as_scores, check_count
from bakeoff.stats.core._items import item_means
from bakeoff.stats.core._state import STATE_VERSION, reading_state

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]


__all__ = ["HalvingRound", "Hyperband", "SequentialHalving", "halving_rounds", "hyperband_brackets"]


def halving_rounds(k: int, budget: int, *, eta: float = 2.0) -> list[tuple[int, int]]:
    """Return the rounds of sequential halving: variants in the round, new items for each of them.

    `ceil(log_eta k)` rounds, each spending an equal share of the budget on the survivors.

    Args:
        k: Variants at the start.
        budget: Trials in total.
        eta: Only 1 in eta survives a round.

    Returns:
        (variants, items) per round.

    Raises:
        StatsError: A budget below one trial per variant and round.

    References:
        Karnin, Koren and Somekh 2013, ICML.

    Examples:
        >>> halving_rounds(8, 1600)
        [(8, 66), (4, 133), (2, 266)]
    """
    check_count(k, "k", minimum=2)
    if not eta > 1:
        raise StatsError(f"eta must be above 1, got {eta!r}")
    rounds = max(1, ceil(log2(k) / log2(eta) - 1e-9))
    out: list[tuple[int, int]] = []
    alive = k
    for _ in range(rounds):
        items = check_count(budget, "budget", minimum=1) // (alive * rounds)
        if items < 1:
            raise StatsError(f"budget must be at least {k * rounds} trials for {k} variants, got {budget!r}")
        out.append((alive, items))
        alive = max(1, ceil(alive / eta))
        if alive == 1:
            break
    return out


@dataclass(frozen=True, slots=True, kw_only=True)
class HalvingRound:
    """What to run next."""

    variants: tuple[str, ...]
    items: int
    """New items, the same for every variant of the round."""
    round: int


class SequentialHalving:
    """Spend a fixed budget on finding the best variant: half of them leave after each round.

    Survivors meet the same new items, and earlier rounds stay in the means, so survivors are always compared on
    exactly the same items. Finds the best variant more often than an even split when variants differ by degrees;
    when all losers are equally bad it is no better. It makes no error-rate promise (`PairedRace` does): confirm the
    winner on held-out items.

    Args:
        variants: Names, at least two.
        budget: Trials in total.
        eta: Only 1 in eta survives a round.

    References:
        Karnin, Koren and Somekh 2013, ICML; reuse of samples: Jamieson and Talwalkar 2016, AISTATS.

    Examples:
        >>> halving = SequentialHalving(["a", "b", "c", "d"], budget=80)
        >>> step = halving.next_round()
        >>> step.items, len(step.variants)
        (10, 4)
        >>> halving.update({"a": [1] * 10, "b": [0] * 10, "c": [1] * 10, "d": [0] * 10})
        >>> halving.next_round().variants
        ('a', 'c')
    """

    def __init__(self, variants: Sequence[str], *, budget: int, eta: float = 2.0) -> None:
        names = tuple(variants)
        if len(names) < 2 or len(set(names)) != len(names):
            raise StatsError(f"variants must be at least two different names, got {list(names)!r}")
        self.variants, self.budget, self.eta = names, budget, eta
        self._rounds = halving_rounds(len(names), budget, eta=eta)
        self._round = 0
        self._alive = list(names)
        self._n = dict.fromkeys(names, 0)
        self._total = dict.fromkeys(names, 0.0)

    @property
    def survivors(self) -> tuple[str, ...]:
        """Variants still in, best mean first."""
        return tuple(sorted(self._alive, key=lambda name: -self.means[name]))

    @property
    def means(self) -> dict[str, float]:
        """Mean score per variant over all its items; 0 items count as -inf, so they sort last."""
        return {name: self._total[name] / n if (n := self._n[name]) else float("-inf") for name in self.variants}

    @property
    def best(self) -> str | None:
        """The winner when all rounds are done."""
        return self.survivors[0] if self._round >= len(self._rounds) else None

    def next_round(self) -> HalvingRound | None:
        """Return what to run next; None when the winner is known."""
        if self._round >= len(self._rounds):
            return None
        return HalvingRound(variants=tuple(self._alive), items=self._rounds[self._round][1], round=self._round + 1)

    def update(self, scores: Mapping[str, ArrayLike]) -> None:
        """Take in the scores of one round and drop the weaker part.

        Args:
            scores: For each variant of the round its scores on the common items, nan = missing (an item missing for
                one is left out for all, which keeps the comparison paired).

        Raises:
            StatsError: No round is open, a variant is absent, or unequal numbers of items.
        """
        if self._round >= len(self._rounds):
            raise StatsError("all rounds are done; the winner is in `best`")
        absent = [name for name in self._alive if name not in scores]
        if absent:
            raise StatsError(f"update needs scores of every variant of the round; missing {absent!r}")
        columns = [item_means(as_scores(scores[name], name))[0] for name in self._alive]
        if len({column.size for column in columns}) > 1:
            raise StatsError("every variant of a round must be scored on the same items, got different numbers")
        matrix = np.stack(columns, axis=1)
        complete = ~np.isnan(matrix).any(axis=1)
        for index, name in enumerate(self._alive):
            self._n[name] += int(complete.sum())
            self._total[name] += float(matrix[complete, index].sum())
        keep = max(1, ceil(len(self._alive) / self.eta))
        ranked = sorted(self._alive, key=lambda name: -self.means[name])
        self._alive = [name for name in self._alive if name in ranked[:keep]]
        self._round += 1

    def to_state(self) -> dict[str, Any]:
        """Return everything as a plain dict that JSON can hold."""
        return {
            "version": STATE_VERSION, "variants": list(self.variants), "budget": self.budget, "eta": self.eta,
            "round": self._round, "alive": list(self._alive), "n": dict(self._n), "total": dict(self._total),
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> SequentialHalving:
        """Return the object that `to_state` described."""
        with reading_state(state, "sequential halving"):
            halving = cls(state["variants"], budget=int(state["budget"]), eta=float(state["eta"]))
            halving._round, halving._alive = int(state["round"]), [str(name) for name in state["alive"]]
            halving._n = {name: int(state["n"][name]) for name in halving.variants}
            halving._total = {name: float(state["total"][name]) for name in halving.variants}
        return halving


def hyperband_brackets(max_items: int, *, eta: float = 3.0) -> list[list[tuple[int, int]]]:
    """Return the brackets of Hyperband: for each, rounds of (variants, cumulative items per variant).

    Args:
        max_items: Items of a full evaluation of one variant.
        eta: Only 1 in eta survives a round.

    Returns:
        Brackets from most variants on few items to few variants on all items.

    References:
        Li, Jamieson, DeSalvo, Rostamizadeh and Talwalkar 2018, JMLR 18.

    Examples:
        >>> hyperband_brackets(81)[0]
        [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)]
    """
    check_count(max_items, "max_items", minimum=1)
    if not eta > 1:
        raise StatsError(f"eta must be above 1, got {eta!r}")
    s_max = floor(log(max_items) / log(eta) + 1e-9)
    brackets: list[list[tuple[int, int]]] = []
    for s in range(s_max, -1, -1):
        n = ceil((s_max + 1) / (s + 1) * eta**s - 1e-9)
        brackets.append(
            [
                (max(1, floor(n * eta**-i + 1e-9)), max(1, min(max_items, round(max_items * eta ** (i - s)))))
                for i in range(s + 1)
            ]
        )
    return brackets


class Hyperband:
    """Search many variants when the number of items is the fidelity: several halvings of different boldness.

    Each bracket takes the next untried variants in the order given (shuffle them first) and halves them by eta;
    a variant already scored on some items is continued, not restarted.

    Args:
        variants: Candidate names, in random order.
        max_items: Items of a full evaluation.
        eta: Only 1 in eta survives a round.

    Examples:
        >>> search = Hyperband([f"p{i}" for i in range(20)], max_items=27)
        >>> step = search.next_round()
        >>> len(step.variants), step.items
        (20, 1)
    """

    def __init__(self, variants: Sequence[str], *, max_items: int, eta: float = 3.0) -> None:
        names = tuple(variants)
        if not names or len(set(names)) != len(names):
            raise StatsError(f"variants must be different names, got {list(names)!r}")
        self.variants, self.max_items, self.eta = names, max_items, eta
        self._brackets = hyperband_brackets(max_items, eta=eta)
        self._bracket, self._step, self._used = 0, 0, 0
        self._n = dict.fromkeys(names, 0)
        self._total = dict.fromkeys(names, 0.0)
        self._alive: list[str] = []
        self._open_bracket()

    def _open_bracket(self) -> None:
        if self._bracket >= len(self._brackets):
            self._alive = []
            return
        size = self._brackets[self._bracket][0][0]
        fresh = self.variants[self._used : self._used + size]
        self._used += len(fresh)
        # Out of untried variants: later brackets give the best so far a longer look.
        best = [name for name in self._ranked(self.variants) if name not in fresh]
        self._alive = [*fresh, *best[: max(0, min(size, len(self.variants)) - len(fresh))]]
        self._step = 0

    def _ranked(self, names: Sequence[str]) -> list[str]:
        return sorted(names, key=lambda name: -(self._total[name] / self._n[name] if self._n[name] else -1e300))

    @property
    def best(self) -> str | None:
        """The best of the variants seen on the most items, when the search is done."""
        if self._alive:
            return None
        most = max(self._n.values())
        return self._ranked([name for name in self.variants if self._n[name] == most])[0]

    def next_round(self) -> HalvingRound | None:
        """Return what to run next: new items up to the round's cumulative number; None when done.

        `items` is the target; a variant that has met `seen(name)` items needs the difference only.
        """
        if not self._alive:
            return None
        return HalvingRound(
            variants=tuple(self._alive),
            items=self._brackets[self._bracket][self._step][1],
            round=sum(len(b) for b in self._brackets[: self._bracket]) + self._step + 1,
        )

    def seen(self, variant: str) -> int:
        """Return how many scored items a variant has."""
        return self._n[variant]

    def update(self, scores: Mapping[str, ArrayLike]) -> None:
        """Take in the new scores of the round's variants (possibly none for one that already had enough)."""
        if not self._alive:
            raise StatsError("the search is done; the winner is in `best`")
        for name in self._alive:
            x = item_means(as_scores(scores.get(name, []), name))[0]
            x = x[~np.isnan(x)]
            self._n[name] += x.size
            self._total[name] += float(x.sum())
        bracket = self._brackets[self._bracket]
        keep = bracket[self._step + 1][0] if self._step + 1 < len(bracket) else 0
        self._alive = self._ranked(self._alive)[:keep]
        self._step += 1
        if not self._alive:
            self._bracket += 1
            self._open_bracket()

    def to_state(self) -> dict[str, Any]:
        """Return everything as a plain dict that JSON can hold."""
        return {
            "version": STATE_VERSION, "variants": list(self.variants), "max_items": self.max_items, "eta": self.eta,
            "bracket": self._bracket, "step": self._step, "used": self._used, "alive": list(self._alive),
            "n": dict(self._n), "total": dict(self._total),
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Hyperband:
        """Return the object that `to_state` described."""
        with reading_state(state, "Hyperband"):
            search = cls(state["variants"], max_items=int(state["max_items"]), eta=float(state["eta"]))
            search._bracket, search._step, search._used = (int(state[name]) for name in ("bracket", "step", "used"))
            search._alive = [str(name) for name in state["alive"]]
            search._n = {name: int(state["n"][name]) for name in search.variants}
            search._total = {name: float(state["total"][name]) for name in search.variants}
        return search
