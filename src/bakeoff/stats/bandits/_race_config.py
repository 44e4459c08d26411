"""The question that a race asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import check_count
from bakeoff.stats.sequential._config import SequentialConfig

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bakeoff.stats.core._result import Kind

    Float = NDArray[np.float64]


__all__ = ["RaceConfig", "RaceGuarantee"]

RaceGuarantee = Literal["every_elimination", "best_kept"]
"""What holds with probability 1 - alpha: no variant that is (tied for) best is dropped, or one given best is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RaceConfig:
    """What a race asks, fixed before the first score.

    Args:
        variants: Names, at least two, in a fixed order.
        kind: Kind of score; binary uses the e-process, bounded betting, continuous the asymptotic method.
        alpha: Error rate of the whole race.
        planned_n: Items at which the race ends whoever is left.
        min_n: Common items before anything is dropped.
        margin: Variants provably within this distance of each other need not be told apart.
        score_range: Smallest and largest possible score of a bounded metric.
        repeats: Scores per item and variant; the item mean is the unit.
        higher_is_better: False for costs, latencies and error counts: the lowest mean wins then.
        guarantee: `every_elimination`: with probability 1 - alpha nobody who is (tied for) best is dropped, so "the
            survivor is better than each dropped variant" may be reported. `best_kept`: only "the best one is still
            in the race" may; it drops sooner and leaves the claim to a confirm step.

    Raises:
        StatsError: Fewer than two variants, a name twice, or a value out of range.
    """

    variants: tuple[str, ...]
    kind: Kind = "binary"
    alpha: float = 0.05
    planned_n: int
    min_n: int = 20
    margin: float | None = None
    score_range: tuple[float, float] = (0.0, 1.0)
    repeats: int = 1
    higher_is_better: bool = True
    guarantee: RaceGuarantee = "every_elimination"

    def __post_init__(self) -> None:
        if len(self.variants) < 2 or len(set(self.variants)) != len(self.variants):
            raise StatsError(f"variants must be at least two different names, got {list(self.variants)!r}")
        if self.guarantee not in ("every_elimination", "best_kept"):
            raise StatsError(f"guarantee must be 'every_elimination' or 'best_kept', got {self.guarantee!r}")
        check_count(self.min_n, "min_n", minimum=2)
        self.pair_config()

    def pair_config(self, *, alpha: float | None = None, two_sided: bool = False) -> SequentialConfig:
        """Return the settings of one comparison inside the race."""
        return SequentialConfig(
            kind=self.kind,
            alpha=self.alpha if alpha is None else alpha,
            alternative="two-sided" if two_sided else "greater",
            planned_n=self.planned_n,
            min_n=self.min_n,
            score_range=self.score_range,
            repeats=self.repeats,
        )
