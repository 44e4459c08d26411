"""Two variants on the same items, pass or fail: tests and intervals for the difference of pass rates."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nan, sqrt
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import as_scores, check_alternative, check_confidence, check_count
from bakeoff.stats.core._dist import binom_cdf, binom_pmf, norm_sf, z_value
from bakeoff.stats.core._result import Alternative, Estimate, TestResult
from bakeoff.stats.core._wilson import wilson_interval
from bakeoff.stats.one._proportion import clopper_pearson

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = [
    "McNemarMethod",
    "PairedProportionMethod",
    "PairedTable",
    "mcnemar",
    "paired_odds_ratio",
    "paired_proportion_difference",
    "paired_table",
    "tango_z",
]

McNemarMethod = Literal["midp", "exact", "asymptotic", "continuity"]
"""Version of the McNemar test; see `mcnemar`."""

PairedProportionMethod = Literal["bonett_price", "tango", "newcombe"]
"""Interval for a paired difference of pass rates; see `paired_proportion_difference`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedTable:
    """The four cells of a paired comparison: how many items each side passed.

    Examples:
        >>> PairedTable(both=60, candidate_only=15, baseline_only=5, neither=20).n
        100
    """

    both: int
    candidate_only: int
    baseline_only: int
    neither: int

    def __post_init__(self) -> None:
        for name in ("both", "candidate_only", "baseline_only", "neither"):
            object.__setattr__(self, name, check_count(getattr(self, name), name))

    @property
    def n(self) -> int:
        """Items compared."""
        return self.both + self.candidate_only + self.baseline_only + self.neither

    @property
    def discordant(self) -> int:
        """Items where the two sides differ; only these carry evidence."""
        return self.candidate_only + self.baseline_only


def paired_table(candidate: ArrayLike, baseline: ArrayLike) -> PairedTable:
    """Count the four cells; items with a missing score on either side are left out.

    Args:
        candidate: Shape (items,), 0 or 1; `nan` marks a missing score.
        baseline: Same items in the same order.

    Returns:
        The table.

    Raises:
        StatsError: Shapes that differ, or scores other than 0 and 1.

    Examples:
        >>> t = paired_table([1, 1, 0, 1, float("nan")], [1, 0, 0, 1, 1])
        >>> t.both, t.candidate_only, t.baseline_only, t.neither
        (2, 1, 0, 1)
    """
    a, b = as_scores(candidate, "candidate"), as_scores(baseline, "baseline")
    if a.ndim != 1 or a.shape != b.shape:
        raise StatsError(
            f"candidate and baseline must hold the same items, one score each: {a.shape} against {b.shape}"
        )
    kept = ~(np.isnan(a) | np.isnan(b))
    a, b = a[kept], b[kept]
    if not (((a == 0) | (a == 1)).all() and ((b == 0) | (b == 1)).all()):
        raise StatsError("a paired table needs scores of 0 and 1; compare() handles other scores")
    both = int(a @ b)
    passed_a, passed_b = int(a.sum()), int(b.sum())
    return PairedTable(
        both=both,
        candidate_only=passed_a - both,
        baseline_only=passed_b - both,
        neither=a.size - passed_a - passed_b + both,
    )


def mcnemar(
    table: PairedTable, *, method: McNemarMethod = "midp", alternative: Alternative = "two-sided"
) -> TestResult:
    """Test whether two variants pass the same share of the same items.

    With b items only the candidate passed, c only the baseline, m = b + c, X ~ Bin(m, 1/2):

    - `midp` (default): the exact test minus half the probability of the observed table; close to the
      nominal level without exceeding it in practice (Fagerland, Lydersen & Laake 2013)
    - `exact`: min(1, 2 P(X <= min(b, c))); guaranteed, needlessly conservative
    - `asymptotic`: z = (b - c) / sqrt(m)
    - `continuity`: z = (|b - c| - 1) / sqrt(m); for comparison with other software

    Args:
        table: Counts of the pairs.
        method: Version of the test.
        alternative: `greater` means that the candidate passes more often.

    Returns:
        TestResult; `statistic` is z for the asymptotic versions and b otherwise. Without discordant
        items p is 1.

    Raises:
        StatsError: An unknown method or alternative.

    Examples:
        >>> t = PairedTable(both=59, candidate_only=16, baseline_only=6, neither=80)
        >>> round(mcnemar(t).p_value, 4), round(mcnemar(t, method="exact").p_value, 4)
        (0.0347, 0.0525)
    """
    alternative = check_alternative(alternative)
    if method not in get_args(McNemarMethod):
        raise StatsError(f"method must be one of {list(get_args(McNemarMethod))}, got {method!r}")
    b, m = table.candidate_only, table.discordant
    if m == 0:
        return TestResult(
            p_value=1.0 if table.n else nan,
            statistic=0.0 if table.n else nan,
            n=table.n,
            method=f"mcnemar_{method}",
            alternative=alternative,
            reason="both passed and failed the same items" if table.n else "no item has both scores",
        )
    if method in ("midp", "exact"):
        statistic, p = float(b), _mcnemar_exact(b, m, alternative, midp=method == "midp")
    else:
        statistic, p = _mcnemar_normal(b, m, alternative, continuity=method == "continuity")
    return TestResult(
        p_value=p,
        statistic=statistic,
        n=table.n,
        method=f"mcnemar_{method}",
        alternative=alternative,
        assumptions=("items are independent of each other", "one score for each item and variant"),
    )


def _mcnemar_exact(b: int, m: int, alternative: Alternative, *, midp: bool) -> float:
    """P-value from X ~ Bin(m, 1/2); symmetric, so P(X >= k) = P(X <= m - k)."""

    def lower_tail(k: int) -> float:
        tail = float(binom_cdf(k, m, 0.5))
        return tail - 0.5 * float(binom_pmf(k, m, 0.5)) if midp else tail

    if alternative == "less":
        return min(1.0, lower_tail(b))
    if alternative == "greater":
        return min(1.0, lower_tail(m - b))
    return min(1.0, 2 * lower_tail(min(b, m - b)))


def _mcnemar_normal(b: int, m: int, alternative: Alternative, *, continuity: bool) -> tuple[float, float]:
    excess = 2 * b - m
    if continuity:
        excess = max(abs(excess) - 1, 0) * (1 if excess >= 0 else -1)
    z = excess / sqrt(m)
    if alternative == "two-sided":
        return z, min(1.0, 2 * float(norm_sf(abs(z))))
    return z, float(norm_sf(z if alternative == "greater" else -z))


def paired_proportion_difference(
    table: PairedTable, *, method: PairedProportionMethod = "bonett_price", confidence: float = 0.95
) -> Estimate:
    """Estimate the difference of two pass rates on the same items.

    With b, c the discordant counts and d = (b - c)/n:

    - `bonett_price` (default): p12 = (b+1)/(n+2), p21 = (c+1)/(n+2);
      p12 - p21 -+ z sqrt((p12 + p21 - (p12 - p21)^2) / (n+2)) (Bonett & Price 2012)
    - `tango`: all differences that the score test does not reject (Tango 1998)
    - `newcombe`: Wilson limits of both rates, squared and added with the correlation phi
      (Newcombe 1998, method 10)

    Args:
        table: Counts of the pairs.
        method: The interval.
        confidence: Level of the interval.

    Returns:
        Estimate of (b - c)/n in [-1, 1]; without items everything is `nan` with a reason.

    Raises:
        StatsError: An unknown method or a confidence outside (0, 1).

    Examples:
        >>> t = PairedTable(both=43, candidate_only=0, baseline_only=1, neither=0)
        >>> e = paired_proportion_difference(t, method="tango")
        >>> round(e.estimate, 4), round(e.low, 3), round(e.high, 3)
        (-0.0227, -0.118, 0.059)
    """
    confidence = check_confidence(confidence)
    if method not in get_args(PairedProportionMethod):
        raise StatsError(f"method must be one of {list(get_args(PairedProportionMethod))}, got {method!r}")
    b, c, n = table.candidate_only, table.baseline_only, table.n
    if n == 0:
        return Estimate(
            estimate=nan, low=nan, high=nan, confidence=confidence, n=0, method=method, reason="no item has both scores"
        )
    z = z_value(confidence)
    low, high, se = _bonett_price(b, c, n, z)
    if method == "tango":
        low, high = _tango_limit(b, c, n, z), -_tango_limit(c, b, n, z)
    elif method == "newcombe":
        low, high = _newcombe(table, z)
    return Estimate(
        estimate=(b - c) / n,
        low=low,
        high=high,
        confidence=confidence,
        n=n,
        method=method,
        se=se,
        df=inf,
        assumptions=("items are independent of each other", "one score for each item and variant"),
    )


def _bonett_price(b: int, c: int, n: int, z: float) -> tuple[float, float, float]:
    p12, p21 = (b + 1) / (n + 2), (c + 1) / (n + 2)
    se = sqrt((p12 + p21 - (p12 - p21) ** 2) / (n + 2))
    centre = p12 - p21
    return max(centre - z * se, -1.0), min(centre + z * se, 1.0), se


def tango_z(b: int, c: int, n: int, delta: float) -> float:
    """Score statistic of H0: difference = delta, with the constrained estimate of P(baseline only)."""
    linear = -b - c + (2 * n - b + c) * delta
    constant = -c * delta * (1 - delta)
    q21 = (sqrt(max(linear * linear - 8 * n * constant, 0.0)) - linear) / (4 * n)
    variance = n * (2 * q21 + delta * (1 - delta))
    excess = b - c - n * delta
    if variance <= 0:
        return 0.0 if excess == 0 else inf if excess > 0 else -inf
    return excess / sqrt(variance)


def _tango_limit(b: int, c: int, n: int, z: float) -> float:
    """Lower limit: the smallest delta with score statistic at most z, by bisection."""
    inside = (b - c) / n
    outside = -1.0
    if tango_z(b, c, n, outside) <= z:
        return -1.0
    for _ in range(52):
        middle = 0.5 * (inside + outside)
        if tango_z(b, c, n, middle) > z:
            outside = middle
        else:
            inside = middle
    return 0.5 * (inside + outside)


def _newcombe(table: PairedTable, z: float) -> tuple[float, float]:
    n = table.n
    p1 = (table.both + table.candidate_only) / n
    p2 = (table.both + table.baseline_only) / n
    low1, high1 = wilson_interval(p1, n, z)
    low2, high2 = wilson_interval(p2, n, z)
    phi = _corrected_phi(table)
    down = (p1 - low1) ** 2 - 2 * phi * (p1 - low1) * (high2 - p2) + (high2 - p2) ** 2
    up = (high1 - p1) ** 2 - 2 * phi * (high1 - p1) * (p2 - low2) + (p2 - low2) ** 2
    return p1 - p2 - sqrt(max(down, 0.0)), p1 - p2 + sqrt(max(up, 0.0))


def _corrected_phi(table: PairedTable) -> float:
    """Correlation of the two sides, with the numerator moved n/2 towards zero when it is positive."""
    n = table.n
    passed1, passed2 = table.both + table.candidate_only, table.both + table.baseline_only
    margins = passed1 * (n - passed1) * passed2 * (n - passed2)
    if margins == 0:
        return 0.0
    cross = table.both * table.neither - table.candidate_only * table.baseline_only
    if cross > 0:
        cross = max(cross - n / 2, 0)
    return cross / sqrt(margins)


def paired_odds_ratio(table: PairedTable, *, confidence: float = 0.95) -> Estimate:
    """Estimate the conditional odds ratio b/c: how many items the candidate wins for each one it loses.

    The interval transforms the Clopper-Pearson limits of b/(b + c) by p/(1 - p).

    Args:
        table: Counts of the pairs.
        confidence: Level of the interval.

    Returns:
        Estimate in [0, inf]; `n` counts the discordant items. Without any: `nan` with a reason.

    Raises:
        StatsError: A confidence outside (0, 1).

    Examples:
        >>> e = paired_odds_ratio(PairedTable(both=59, candidate_only=16, baseline_only=6, neither=80))
        >>> round(e.estimate, 3), round(e.low, 3), round(e.high, 3)
        (2.667, 0.991, 8.321)
    """
    share = clopper_pearson(table.candidate_only, table.discordant, confidence=confidence)
    reason = None if table.discordant else "no item separates the two, so their odds cannot be compared"

    def odds(p: float) -> float:
        return p / (1 - p) if p < 1 else inf

    return Estimate(
        estimate=table.candidate_only / table.baseline_only if table.baseline_only else (inf if share.n else nan),
        low=odds(share.low) if share.n else nan,
        high=odds(share.high) if share.n else nan,
        confidence=share.confidence,
        n=share.n,
        method="conditional_odds_ratio",
        reason=reason,
    )
