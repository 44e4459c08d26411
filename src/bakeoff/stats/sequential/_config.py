"""The question that a sequential comparison asks."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite
from typing import Literal, get_args

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import check_alpha, check_alternative, check_count
from bakeoff.stats.core._result import Alternative, Kind

__all__ = ["SequentialConfig", "SequentialMethod"]

SequentialMethod = Literal["auto", "e_process", "betting", "asymptotic"]
"""How evidence is kept: `auto` takes the e-process for pass/fail, betting for bounded, asymptotic for unbounded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SequentialConfig:
    """What a sequential comparison asks, fixed before the first score.

    Args:
        kind: Kind of score.
        alpha: Chance of a false "better" or "worse", over all looks together.
        alternative: `greater` spends everything on "the candidate is higher".
        margin: Largest difference that does not matter, on the scale of the score. Needed for "equivalent".
        planned_n: Items at which the comparison ends without an answer; also tunes the asymptotic interval.
        min_n: Items before the first decision; 30 for the asymptotic method, otherwise 1.
        score_range: Smallest and largest possible score of a bounded metric.
        repeats: Scores per item and variant; more than one makes the item mean the unit.
        clustered: Items come in clusters, and the cluster mean is the unit.
        higher_is_better: False for costs, latencies and error counts: "better" then means lower.
        stop_when_not_worse: Stop as soon as "not worse than the baseline by more than the margin" is shown.
        method: Overrides the choice of method.

    Raises:
        StatsError: A value out of range, or `planned_n` missing where it is needed.

    Examples:
        >>> SequentialConfig(kind="bounded", planned_n=500).resolved_method
        'betting'
    """

    kind: Kind = "binary"
    alpha: float = 0.05
    alternative: Alternative = "two-sided"
    margin: float | None = None
    planned_n: int | None = None
    min_n: int | None = None
    score_range: tuple[float, float] = (0.0, 1.0)
    repeats: int = 1
    clustered: bool = False
    higher_is_better: bool = True
    stop_when_not_worse: bool = False
    method: SequentialMethod = "auto"

    def __post_init__(self) -> None:
        check_alpha(self.alpha)
        check_alternative(self.alternative)
        check_count(self.repeats, "repeats", minimum=1)
        if self.kind not in get_args(Kind):
            raise StatsError(f"kind must be one of {list(get_args(Kind))}, got {self.kind!r}")
        if self.method not in get_args(SequentialMethod):
            raise StatsError(f"method must be one of {list(get_args(SequentialMethod))}, got {self.method!r}")
        if self.planned_n is not None:
            check_count(self.planned_n, "planned_n", minimum=2)
        if self.min_n is not None:
            check_count(self.min_n, "min_n", minimum=1)
        if self.margin is not None and not 0 < self.margin < inf:
            raise StatsError(f"margin must be positive, got {self.margin!r}")
        if self.stop_when_not_worse and self.margin is None:
            raise StatsError("stop_when_not_worse needs a margin: how much worse would still be acceptable?")
        low, high = self.score_range
        if not (isfinite(low) and isfinite(high) and low < high):
            raise StatsError(f"score_range must be two finite numbers, low < high, got {self.score_range!r}")
        self._check_method()

    def _check_method(self) -> None:
        method = self.resolved_method
        if method == "e_process" and (self.kind != "binary" or self.repeats > 1 or self.clustered):
            raise StatsError(
                "method 'e_process' needs one pass/fail score per item; "
                "with repeats, clusters or other scores use method 'betting'"
            )
        if method == "betting" and self.kind == "continuous":
            raise StatsError("method 'betting' needs bounded scores: give kind 'bounded' and score_range")
        if method == "asymptotic" and self.planned_n is None:
            raise StatsError("the asymptotic method needs planned_n: the number of items it is tuned to")

    @property
    def resolved_method(self) -> Literal["e_process", "betting", "asymptotic"]:
        """The method that `auto` stands for here."""
        if self.method != "auto":
            return self.method
        if self.kind == "continuous":
            return "asymptotic"
        return "e_process" if self.kind == "binary" and self.repeats == 1 and not self.clustered else "betting"

    @property
    def first_look(self) -> int:
        """Units needed before a decision."""
        if self.min_n is not None:
            return self.min_n
        return 30 if self.resolved_method == "asymptotic" else 1

    @property
    def reach(self) -> float:
        """Largest possible absolute difference: the width of the score range, inf when unbounded."""
        return inf if self.kind == "continuous" else self.score_range[1] - self.score_range[0]
