"""Result types that every statistical function shares."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import nan
from typing import Literal

__all__ = ["Alternative", "Difference", "Estimate", "Kind", "TestResult", "Verdict"]

Alternative = Literal["two-sided", "greater", "less"]
"""Direction of the alternative hypothesis: `greater` means the candidate is higher than the baseline."""

Kind = Literal["binary", "bounded", "continuous"]
"""Kind of a score: pass/fail (0 or 1), a number in [0, 1], any number."""

VerdictWord = Literal["better", "worse", "equivalent", "inconclusive"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number with its uncertainty. `nan` with a `reason` where it cannot be estimated."""

    estimate: float
    low: float
    """Lower end of the interval; `-inf` for a one-sided upper bound, `nan` if not estimable."""
    high: float
    confidence: float = 0.95
    n: int
    """Independent units that the estimate rests on: items, or clusters where there are any."""
    method: str
    """Identifier of the method, for instance `wilson`, `t`, `cr2`."""
    se: float = nan
    df: float = nan
    reason: str | None = None
    """Why the estimate or its interval is `nan`, or why this method was chosen."""
    assumptions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TestResult:
    """A p-value with what it rests on."""

    __test__ = False  # not a pytest class

    p_value: float
    """In [0, 1]; `nan` if not estimable."""
    statistic: float = nan
    df: float = nan
    n: int
    method: str
    direction: int | None = None
    """Which way the evidence points: 1 up, -1 down, 0 neither; `None` if not recorded."""
    alternative: Alternative = "two-sided"
    reason: str | None = None
    assumptions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The decision in one word, with the rule that made it."""

    word: VerdictWord
    because: str
    """One sentence: the rule, the numbers, and what would decide it when inconclusive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference(Estimate):
    """Candidate minus baseline: estimate, interval and test.

    `estimate`, `low`, `high` are on the scale of the score (0.05 = five points of a pass rate).
    """

    p_value: float
    p_adjusted: float = nan
    """After correction over the declared family; equals `p_value` in a family of one."""
    test: str
    """Identifier of the test behind `p_value`, for instance `mcnemar_midp`."""
    direction: int | None = None
    """Which way the test points: 1 candidate higher, -1 lower. A test of ranks can contradict the mean difference."""
    alternative: Alternative = "two-sided"
    paired: bool = True
    candidate_mean: float = nan
    baseline_mean: float = nan
    n_items: int = 0
    """Items compared; `n` counts clusters where there are any."""
    n_missing: int = 0
    """Items left out because one side has no score."""
    n_missing_candidate: int = 0
    """Items that the candidate has no score for; with `n_missing_baseline`, missingness by variant."""
    n_missing_baseline: int = 0
    missing_bound: tuple[float, float] | None = None
    """The estimate if every missing score had gone against, or in favour of, the candidate; `None`
    when nothing is missing or the scores have no bounds."""
    kind: Kind = "continuous"
    inner_low: float = nan
    """Lower end of the interval at level 2 * confidence - 1, which decides equivalence (TOST); of pass/fail pairs
    Tango's, which keeps its error at a margin."""
    inner_high: float = nan
    effect: dict[str, float] = field(default_factory=dict)
    """Effect sizes by name: `risk_difference`, `odds_ratio`, `cohen_dz`, ..."""
    verdict: Verdict | None = None
