"""Racing: many variants on common items, losers dropped as soon as they are provably behind."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.bandits._race_words import race_words
from bakeoff.stats.core._checks import as_scores
from bakeoff.stats.core._items import item_means
from bakeoff.stats.core._state import STATE_VERSION, reading_state
from bakeoff.stats.sequential._evalues import exp_capped
from bakeoff.stats.sequential._evidence import sequential_evidence, sequential_limits, validated_scores
from bakeoff.stats.sequential._order import order_check

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]

from bakeoff.stats.bandits._race_config import RaceConfig, RaceGuarantee

__all__ = ["Elimination", "PairedRace", "RaceResult", "closed_e_rejections"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Elimination:
    """One variant dropped, with the evidence at that moment."""

    variant: str
    beaten_by: str
    n: int
    """Common items of the two variants."""
    look: int
    difference: float
    """How much better the winner is, on the scale of the score; positive."""
    low: float
    """Lower bound of the difference over all pairs and looks (Bonferroni over pairs, so it may be cruder than
    the closed test that dropped the variant; never below 0, which that test excluded)."""
    e_value: float
    """Evidence that the winner beats the dropped variant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RaceResult:
    """Where a race stands, valid whenever it is read."""

    survivors: tuple[str, ...]
    """Variants still in the race, best mean first."""
    eliminated: tuple[Elimination, ...]
    """In the order they were dropped."""
    leader: str
    best: str | None
    """The proven best variant, when one is left; None otherwise."""
    stop: bool
    reason: str
    """Why the race stopped, or that it goes on."""
    n: int
    """Items seen by the survivors."""
    look: int
    means: dict[str, float]
    """Mean per variant over the items it saw; nan without any. Means of dropped variants cover fewer items."""
    n_scored: dict[str, int]
    spent_trials: int
    """Variant-items dispatched."""
    full_trials: int
    """Variant-items of a fixed design with `planned_n` items."""
    margins: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    """How much better the leader is than each other survivor: estimate, low, high, over all pairs and looks."""
    alpha: float = 0.05
    guarantee: RaceGuarantee = "every_elimination"
    warnings: tuple[str, ...] = ()
    words: str = ""

    @property
    def saved_share(self) -> float:
        """Share of the fixed design's trials that the race did not need, in [0, 1]; 0 while it runs."""
        return max(0.0, 1 - self.spent_trials / self.full_trials) if self.stop and self.full_trials else 0.0


def closed_e_rejections(e_values: ArrayLike, *, alpha: float) -> NDArray[np.bool_]:
    """Return which hypotheses a closed e-test rejects with the family-wise error at most alpha.

    A hypothesis is rejected when every set of hypotheses that holds it has a mean e-value of at least
    1 / alpha. Valid under any dependence; never rejects less than Bonferroni.

    Args:
        e_values: Shape (K,).
        alpha: Family-wise error rate.

    Returns:
        Shape (K,), True where rejected.

    References:
        Vovk and Wang 2021, Annals of Statistics 49, algorithm 1.

    Examples:
        >>> closed_e_rejections([90.0, 0.2, 30.0, 0.1], alpha=0.05).tolist()
        [True, False, False, False]
    """
    e = np.asarray(e_values, dtype=np.float64)
    order = np.argsort(e)
    sums = np.concatenate([[0.0], np.cumsum(e[order])])
    rejected = np.zeros(e.size, dtype=bool)
    for place, index in enumerate(order):  # the worst sets holding it add the smallest of the others
        others = np.arange(place + 1)
        worst = (e[index] + sums[others]) / (others + 1)
        rejected[index] = bool(worst.min() >= (1 - 1e-12) / alpha)
    return rejected


class PairedRace:
    """Race k variants over common items and drop the losers, with one error rate for the whole race.

    Every batch runs the surviving variants on the same items. After each, every ordered pair is compared
    by a one-sided e-process over their common items; a variant's case is its strongest opponent's
    e-value over k - 1, and a closed e-test over the k variants decides who goes. Looking after every
    batch costs nothing: with probability 1 - alpha no variant that is (tied for) best is ever dropped.

    Args:
        config: The question, fixed before the first score.

    Examples:
        >>> race = PairedRace(RaceConfig(variants=("a", "b", "c"), planned_n=400))
        >>> good, poor = [1.0] * 40, [1.0, 0.0] * 20
        >>> result = race.update({"a": good, "b": poor, "c": poor})
        >>> result.best, [out.variant for out in result.eliminated]
        ('a', ['b', 'c'])
        >>> PairedRace.from_state(race.to_state()).result() == result
        True
    """

    def __init__(self, config: RaceConfig) -> None:
        self._config = config
        k = len(config.variants)
        self._scores: list[list[float | None]] = [[] for _ in range(k)]
        self._eliminated: list[Elimination] = []
        self._look = 0
        self._spent = 0

    @property
    def config(self) -> RaceConfig:
        """The question, as it was fixed."""
        return self._config

    @property
    def survivors(self) -> tuple[str, ...]:
        """Variants to run on the next batch, in the order of the configuration."""
        gone = {out.variant for out in self._eliminated}
        return tuple(name for name in self._config.variants if name not in gone)

    @property
    def n(self) -> int:
        """Items dispatched so far."""
        return max(len(column) for column in self._scores)

    def update(self, scores: Mapping[str, ArrayLike]) -> RaceResult:
        """Take in one batch of common items and return where the race stands.

        Args:
            scores: For every survivor the scores of the same items in the same order: (items,) or
                (items, repeats), nan = missing. Late results of dropped variants are ignored.

        Returns:
            The standing after this batch.

        Raises:
            StatsError: A survivor is absent, an unknown name, unequal lengths, or scores out of range. The
                race is unchanged then.
        """
        names = self._config.variants
        unknown = sorted(set(scores) - set(names))
        absent = [name for name in self.survivors if name not in scores]
        if unknown or absent:
            raise StatsError(
                f"update needs scores of every survivor {list(self.survivors)!r}"
                + (f"; missing {absent!r}" if absent else "")
                + (f"; unknown {unknown!r}" if unknown else "")
            )
        pair = self._config.pair_config()
        batch = {
            name: item_means(validated_scores(as_scores(scores[name], name), name, pair))[0] for name in self.survivors
        }
        sizes = {name: values.size for name, values in batch.items()}
        if len(set(sizes.values())) > 1:
            raise StatsError(f"every variant must be scored on the same items, got different numbers: {sizes!r}")
        size = next(iter(sizes.values()))
        for column, name in zip(self._scores, names, strict=True):
            if name in batch:
                column.extend(None if value != value else value for value in batch[name].tolist())
        self._spent += size * len(batch)
        self._look += 1
        self._drop_losers()
        return self.result()

    # ------------------------------------------------------------ evidence

    def _matrix(self) -> Float:
        """Scores (items, variants), nan where missing or not run; signed so that higher is better."""
        matrix = np.full((self.n, len(self._scores)), nan)
        for index, column in enumerate(self._scores):
            matrix[: len(column), index] = np.asarray(column, dtype=np.float64)
        return matrix if self._config.higher_is_better else -matrix

    def _log_wins(self, matrix: Float) -> Float:
        """Log e-values (k, k): entry (i, j) is the evidence that i beats j."""
        k = matrix.shape[1]
        pair = self._config.pair_config()
        wins = np.full((k, k), -np.inf)
        for i in range(k):
            for j in range(k):
                if i != j:
                    d = matrix[:, i] - matrix[:, j]
                    d = d[~np.isnan(d)]
                    wins[i, j] = sequential_evidence(d, pair) if d.size >= self._config.min_n else 0.0
        return wins

    def _drop_losers(self) -> None:
        matrix = self._matrix()
        k = matrix.shape[1]
        wins = self._log_wins(matrix)
        case = exp_capped(wins.max(axis=0)) / (k - 1)
        if self._config.guarantee == "best_kept":
            rejected = case >= 1 / self._config.alpha
        else:
            rejected = closed_e_rejections(case, alpha=self._config.alpha)
        names, alive = self._config.variants, set(self.survivors)
        gone = [j for j in range(k) if rejected[j] and names[j] in alive]
        if len(gone) == len(alive):  # cannot be the truth: keep the one with the weakest case against it
            gone.remove(min(gone, key=lambda j: float(wins[:, j].max())))
        for j in sorted(gone, key=lambda j: -float(wins[:, j].max())):
            winner = int(np.argmax(wins[:, j]))
            self._eliminated.append(self._record(matrix, winner, j, float(wins[winner, j])))

    def _record(self, matrix: Float, winner: int, loser: int, log_e: float) -> Elimination:
        config, k = self._config, matrix.shape[1]
        d = matrix[:, winner] - matrix[:, loser]
        d = d[~np.isnan(d)]
        pairs = k - 1 if config.guarantee == "best_kept" else k * (k - 1)
        low, _ = sequential_limits(d, config.pair_config(alpha=config.alpha / pairs))
        return Elimination(
            variant=config.variants[loser],
            beaten_by=config.variants[winner],
            n=d.size,
            look=self._look,
            difference=float(d.mean()),
            low=max(low, 0.0),
            e_value=float(exp_capped(log_e)),
        )

    # ------------------------------------------------------------ standing

    def _margins(self, matrix: Float, order: list[int]) -> dict[str, tuple[float, float, float]]:
        names, k = self._config.variants, matrix.shape[1]
        pair = self._config.pair_config(alpha=self._config.alpha / (k * (k - 1) / 2), two_sided=True)
        margins: dict[str, tuple[float, float, float]] = {}
        for j in order[1:]:
            d = matrix[:, order[0]] - matrix[:, j]
            d = d[~np.isnan(d)]
            low, high = sequential_limits(d, pair) if d.size >= self._config.min_n else (nan, nan)
            margins[names[j]] = (float(d.mean()) if d.size else nan, low, high)
        return margins

    def result(self) -> RaceResult:
        """Return where the race stands after the batches so far."""
        config, names = self._config, self._config.variants
        matrix = self._matrix()
        counts = (~np.isnan(matrix)).sum(axis=0)
        sums = np.where(np.isnan(matrix), 0.0, matrix).sum(axis=0)
        means = np.where(counts > 0, sums / np.maximum(counts, 1), nan)
        alive = [names.index(name) for name in self.survivors]
        order = sorted(alive, key=lambda j: (np.isnan(means[j]), -means[j] if counts[j] else 0.0, j))
        margins = self._margins(matrix, order)
        tied = (
            config.margin is not None
            and len(order) > 1
            and all(-config.margin < low and high < config.margin for _, low, high in margins.values())
        )
        exhausted = self.n >= config.planned_n
        single = len(alive) == 1
        reason = (
            "one variant is left" if single
            else "the survivors are within the margin of the leader" if tied
            else f"the {config.planned_n} planned items are used up" if exhausted
            else "the race goes on"
        )  # fmt: skip
        warnings = self._warnings(matrix, order)
        proven = single and config.guarantee == "every_elimination"
        result = RaceResult(
            survivors=tuple(names[j] for j in order),
            eliminated=tuple(self._eliminated),
            leader=names[order[0]],
            best=names[order[0]] if proven else None,
            stop=single or tied or exhausted,
            reason=reason,
            n=self.n,
            look=self._look,
            means={name: float(means[j] if config.higher_is_better else -means[j]) for j, name in enumerate(names)},
            n_scored={name: int(counts[j]) for j, name in enumerate(names)},
            spent_trials=self._spent,
            full_trials=config.planned_n * len(names),
            margins=margins,
            alpha=config.alpha,
            guarantee=config.guarantee,
            warnings=warnings,
        )
        return replace(result, words=race_words(result, config))

    def _warnings(self, matrix: Float, order: list[int]) -> tuple[str, ...]:
        found = list(order_check(matrix[:, order[0]]).warnings) if self.n else []
        missing = [self._config.variants[j] for j in order if np.isnan(matrix[:, j]).any()]
        if missing:
            found.append(f"scores are missing for {', '.join(missing)}; pairs use the items both have")
        return tuple(found)

    # ------------------------------------------------------------ state

    def to_state(self) -> dict[str, Any]:
        """Return everything as a plain dict that JSON can hold; `from_state` continues from it."""
        settings: dict[str, Any] = asdict(self._config)
        settings |= {"variants": list(self._config.variants), "score_range": list(self._config.score_range)}
        return {
            "version": STATE_VERSION,
            "config": settings,
            "scores": [list(column) for column in self._scores],
            "eliminated": [asdict(out) for out in self._eliminated],
            "look": self._look,
            "spent": self._spent,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> PairedRace:
        """Return the race that `to_state` described.

        Raises:
            StatsError: The state is of another version or damaged.
        """
        with reading_state(state, "a race"):
            known = {f.name for f in fields(RaceConfig)}
            settings = {name: value for name, value in state["config"].items() if name in known}
            settings["variants"] = tuple(settings["variants"])
            settings["score_range"] = tuple(settings["score_range"])
            race = cls(RaceConfig(**settings))
            race._scores = [[None if v is None else float(v) for v in column] for column in state["scores"]]
            if len(race._scores) != len(race._config.variants):
                raise StatsError("state of a race is damaged: scores and variants differ in number")
            race._eliminated = [Elimination(**out) for out in state["eliminated"]]
            race._look = int(state["look"])
            race._spent = int(state["spent"])
        return race
