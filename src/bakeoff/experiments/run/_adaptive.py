"""Allocations that decide between rounds: sequential, racing, bandit - each with an optional confirm step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import override

from bakeoff.errors import SpecError
from bakeoff.experiments.analysis._sequential import primary_info, primary_level, sequential_config
from bakeoff.stats import Bandit, PairedRace, RaceConfig, SequentialComparison, Thompson

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bakeoff.evaluators import MetricInfo
    from bakeoff.experiments.run._allocation import Allocation, Round, Search
    from bakeoff.stats import Kind

__all__ = ["open_search"]

_EXPLORE = 0.05
"""Least share of each variant in a bandit, so that what is learnt of the losers stays honest."""


def open_search(search: Search) -> Allocation:
    """Return the allocation that decides as the spec says."""
    method = search.experiment.spec.allocation.method
    if len(search.experiment.variants) < 2:
        raise SpecError(f"allocation {method!r} needs at least two variants to choose between")
    info = primary_info(search.experiment)
    if info.score_kind == "label":
        raise SpecError(f"allocation {method!r} needs a score, but the primary metric {info.name!r} is a label")
    if method == "sequential":
        return _Sequential(search, info)
    return _Racing(search, info) if method == "racing" else _Bandit(search, info)


class _Searching:
    """Batches, decisions and the confirm step, which all three share."""

    def __init__(self, search: Search, info: MetricInfo) -> None:
        self.search = search
        self.kind: Kind = info.score_kind if info.score_kind in ("binary", "bounded") else "continuous"
        self.higher_is_better = info.higher_is_better is not False
        self.spec = search.experiment.spec
        self.baseline = search.experiment.baseline
        self.alpha = self.spec.analysis.alpha * primary_level(search.experiment)
        self.variants = list(search.experiment.variants)
        self.at = 0
        self.confirming = False

    def active(self) -> list[str]:
        """Return the variants of the next round; none when the question is answered."""
        raise NotImplementedError

    def winner(self) -> str | None:
        """Return the variant to confirm on held-out items."""
        raise NotImplementedError

    def look(self, items: NDArray[np.int64]) -> list[dict[str, Any]]:
        """Take in the scores of a batch; return what was decided."""
        raise NotImplementedError

    def next_round(self) -> Round | None:
        active = self.active() if self.at < len(self.search.batches) else []
        if active:
            return self.search.round(self.search.batches[self.at], active)
        return self.confirm()

    def confirm(self) -> Round | None:
        if self.confirming or not len(self.search.held_out):
            return None
        winner = self.winner()
        if winner is None:
            return None
        self.confirming = True
        rival = self.baseline if winner != self.baseline else next(v for v in self.variants if v != winner)
        return self.search.round(self.search.held_out, [winner, rival])

    def decide(self) -> list[dict[str, Any]]:
        if self.confirming:
            return [{"kind": "confirmed", "variant": self.winner(), "items": len(self.search.held_out)}]
        decisions = self.look(self.search.batches[self.at])
        self.at += 1
        return decisions

    @property
    def seen(self) -> int:
        """Items dispatched, with the batch that is being looked at."""
        return sum(len(batch) for batch in self.search.batches[: self.at + 1])


class _Sequential(_Searching):
    """Each variant against the baseline until its question is answered; always valid, so looking is free."""

    def __init__(self, search: Search, info: MetricInfo) -> None:
        super().__init__(search, info)
        rivals = [variant for variant in self.variants if variant != self.baseline]
        config = sequential_config(
            kind=self.kind,
            alpha=self.alpha,
            comparisons=len(rivals),
            planned_n=search.n_items,
            repeats=self.spec.repeats,
            clustered=search.clusters is not None,
            alternative=self.spec.analysis.alternative,
            margin=self.spec.analysis.margin,
            higher_is_better=self.higher_is_better,
        )
        self.open = {variant: SequentialComparison(config) for variant in rivals}
        self.better: list[tuple[float, str]] = []

    @override
    def active(self) -> list[str]:
        return [self.baseline, *self.open] if self.open else []

    @override
    def look(self, items: NDArray[np.int64]) -> list[dict[str, Any]]:
        decisions: list[dict[str, Any]] = []
        for variant, comparison in list(self.open.items()):
            result = comparison.update(
                self.search.observed.of(items, variant),
                self.search.observed.of(items, self.baseline),
                clusters=self.search.clusters_of(items),
            )
            if result.decided and result.verdict is not None:
                del self.open[variant]
                word = result.verdict.word
                if word == "better":
                    self.better.append((abs(result.estimate), variant))
                decisions.append(
                    {"kind": "verdict", "variant": variant, "verdict": word, "items": self.seen, "p": result.p_value}
                )
        return decisions

    @override
    def winner(self) -> str | None:
        return max(self.better)[1] if self.better else None


class _Racing(_Searching):
    """All variants on the same items; a loser is dropped as soon as it is proven one."""

    def __init__(self, search: Search, info: MetricInfo) -> None:
        super().__init__(search, info)
        one_number = self.kind == "binary" and self.spec.repeats == 1 and search.clusters is None
        self.race = PairedRace(
            RaceConfig(
                variants=tuple(self.variants),
                kind="binary" if one_number else "bounded" if self.kind in ("binary", "bounded") else "continuous",
                alpha=self.alpha,
                planned_n=max(2, search.n_items),
                margin=self.spec.analysis.margin,
                repeats=self.spec.repeats,
                higher_is_better=self.higher_is_better,
            )
        )
        self.stopped = False
        self.leader: str | None = None

    @override
    def active(self) -> list[str]:
        return [] if self.stopped else list(self.race.survivors)

    @override
    def look(self, items: NDArray[np.int64]) -> list[dict[str, Any]]:
        before = set(self.race.survivors)
        result = self.race.update({name: self._units(items, name) for name in self.race.survivors})
        self.stopped, self.leader = result.stop, result.best or result.leader
        dropped = [out for out in result.eliminated if out.variant in before]
        decisions: list[dict[str, Any]] = [
            {"kind": "dropped", "variant": out.variant, "beaten_by": out.beaten_by, "items": self.seen}
            for out in dropped
        ]
        if result.stop:
            decisions.append({"kind": "race", "best": result.best, "items": self.seen, "words": result.words})
        return decisions

    def _units(self, items: NDArray[np.int64], variant: str) -> NDArray[np.float64]:
        """Return item scores; in clusters, the mean of each cluster stands for it."""
        scores = self.search.observed.of(items, variant)
        clusters = self.search.clusters_of(items)
        if clusters is None:
            return scores
        counted = (~np.isnan(scores)).sum(axis=1)
        means = np.divide(np.nansum(scores, axis=1), counted, out=np.full(len(items), np.nan), where=counted > 0)
        _, codes = np.unique(clusters, return_inverse=True)
        present = ~np.isnan(means)
        sizes = np.bincount(codes, present)
        totals = np.bincount(codes, np.where(present, means, 0.0))
        return np.divide(totals, sizes, out=np.full(len(sizes), np.nan), where=sizes > 0)

    @override
    def winner(self) -> str | None:
        return self.leader


class _Bandit(_Searching):
    """Thompson sampling: each batch goes mostly to the variants that may still be the best.

    Every variant takes the items in the same order, so any two can be compared on the items that both have. It ends
    when a variant has answered all items; comparisons are always valid, whatever the bandit did.
    """

    def __init__(self, search: Search, info: MetricInfo) -> None:
        super().__init__(search, info)
        self.bounded = self.kind in ("binary", "bounded")
        policy = Thompson(reward="bernoulli") if self.bounded else Thompson(reward="normal")
        self.bandit = Bandit(
            policy, arms=self.variants, seed=self.spec.seed, floor=min(_EXPLORE, 1 / len(self.variants))
        )
        self.order = np.concatenate(search.batches) if search.batches else np.array([], dtype=np.int64)
        self.next = dict.fromkeys(self.variants, 0)
        self.pulled: list[tuple[str, int]] = []
        self.rounds = 0

    @override
    def next_round(self) -> Round | None:
        if max(self.next.values()) >= len(self.order):
            return self.confirm()
        size = self.spec.allocation.sizes(len(self.order))[0]
        if self.rounds == 0:  # every variant gets a fair start
            arms = [variant for variant in self.variants for _ in range(max(2, size // len(self.variants)))]
        else:
            arms = [choice.arm for choice in self.bandit.select_batch(size)]
        wanted: dict[int, list[str]] = {}
        self.pulled = []
        for arm in arms:
            if self.next[arm] < len(self.order):
                index = int(self.order[self.next[arm]])
                self.next[arm] += 1
                self.pulled.append((arm, index))
                wanted.setdefault(index, []).append(arm)
            else:
                self.bandit.cancel(arm)
        return self.search.assign(wanted)

    @override
    def decide(self) -> list[dict[str, Any]]:
        if self.confirming:
            return super().decide()
        self.rounds += 1
        for arm, index in self.pulled:
            scores = self.search.observed.of(np.array([index]), arm)
            self.bandit.update(arm, self._reward(float(np.nanmean(scores)) if np.isfinite(scores).any() else np.nan))
        return [{"kind": "bandit", "pulls": dict(self.next), "leader": self.winner()}]

    def _reward(self, value: float) -> float:
        if self.higher_is_better:
            return value
        return 1 - value if self.bounded else -value

    @override
    def winner(self) -> str | None:
        means = self.bandit.means
        known = [name for name in self.variants if means[name] == means[name]]
        return max(known, key=lambda name: means[name]) if known else None
