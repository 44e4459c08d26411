"""Equivalence and non-inferiority: is the difference small enough not to matter?"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING, Literal, get_args

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import check_alpha
from bakeoff.stats.core._dist import norm_sf
from bakeoff.stats.core._items import present_means
from bakeoff.stats.core._mean_fit import MeanFit, fit_mean
from bakeoff.stats.core._result import TestResult
from bakeoff.stats.one._mean import t_limits, t_p_value
from bakeoff.stats.two._decide import check_margin
from bakeoff.stats.two._paired_binary import PairedTable, paired_proportion_difference, tango_z
from bakeoff.stats.two._unpaired import check_two_counts, score_interval, score_z, welch_fit

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = [
    "EquivalenceGoal",
    "EquivalenceResult",
    "equivalence_of_proportions",
    "tost",
    "tost_paired_proportions",
    "tost_unpaired",
]

EquivalenceGoal = Literal["equivalent", "not_worse", "not_higher"]
"""`equivalent`: within the margin on both sides; `not_worse`: not lower by the margin or more;
`not_higher`: not higher by the margin or more (costs, latencies)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EquivalenceResult(TestResult):
    """Outcome of an equivalence or non-inferiority test.

    `p_value` tests the null hypothesis that the difference is at least as large as the margin: a small
    p shows that it is smaller.
    """

    goal: EquivalenceGoal
    margin: float
    alpha: float
    estimate: float
    """Candidate minus baseline."""
    low: float
    """Lower end of the (1 - 2 alpha) interval; inside the margin exactly when the test passes for t
    and score methods."""
    high: float
    passed: bool
    """Whether p is at most alpha."""


def _check(margin: float, alpha: float, goal: str) -> tuple[float, float]:
    checked = check_margin(margin)
    if checked is None:
        raise StatsError("margin must be a positive number on the scale of the score, got None")
    if goal not in get_args(EquivalenceGoal):
        raise StatsError(f"goal must be one of {list(get_args(EquivalenceGoal))}, got {goal!r}")
    alpha = check_alpha(alpha)
    if alpha >= 0.5:
        raise StatsError(f"alpha must be below 0.5 for an equivalence test, got {alpha!r}")
    return checked, alpha


def _combine(p_lower: float, p_upper: float, goal: EquivalenceGoal) -> float:
    """Pick the p-values that the goal needs: against the lower margin, the upper one, or both."""
    if goal == "not_worse":
        return p_lower
    if goal == "not_higher":
        return p_upper
    return nan if p_lower != p_lower else max(p_lower, p_upper)


def _from_fit(fit: MeanFit, margin: float, alpha: float, goal: EquivalenceGoal, method: str) -> EquivalenceResult:
    usable = fit.se > 0
    p, low, high, reason = nan, nan, nan, None
    if usable:
        p_lower = t_p_value((fit.mean + margin) / fit.se, fit.df, "greater")
        p_upper = t_p_value((fit.mean - margin) / fit.se, fit.df, "less")
        p = _combine(p_lower, p_upper, goal)
        low, high = t_limits(fit, 1 - 2 * alpha)
    else:
        reason = "not estimable: it needs at least two items (on each side) and some spread"
    return EquivalenceResult(
        p_value=p,
        df=fit.df,
        n=fit.n_units,
        method=method,
        reason=reason,
        assumptions=("the margin was declared before looking at the data",),
        goal=goal,
        margin=margin,
        alpha=alpha,
        estimate=fit.mean,
        low=low,
        high=high,
        passed=p <= alpha,
    )


def tost(
    differences: ArrayLike, margin: float, *, alpha: float = 0.05, goal: EquivalenceGoal = "equivalent"
) -> EquivalenceResult:
    """Test equivalence of two variants on the same items by two one-sided t tests (Schuirmann 1987).

    Equivalent at alpha exactly when the (1 - 2 alpha) t interval of the mean difference lies within
    -margin to +margin; p is the larger of the two one-sided p-values.

    Args:
        differences: Candidate minus baseline, one for each item; `nan` is left out.
        margin: Largest difference that does not matter, on the scale of the score.
        alpha: Level of each one-sided test.
        goal: `equivalent`, or one side of it.

    Returns:
        EquivalenceResult; without spread p is `nan` with a reason and `passed` is False.

    Raises:
        StatsError: A margin that is not positive, or alpha outside (0, 0.5).

    Examples:
        >>> r = tost([0.01, -0.02, 0.0, 0.03, -0.01, 0.0, 0.01, -0.02], 0.05)
        >>> r.passed, r.p_value < 0.001
        (True, True)
    """
    margin, alpha = _check(margin, alpha, goal)
    return _from_fit(fit_mean(present_means(differences, "differences")), margin, alpha, goal, "tost_paired_t")


def tost_unpaired(
    candidate: ArrayLike,
    baseline: ArrayLike,
    *,
    margin: float,
    alpha: float = 0.05,
    goal: EquivalenceGoal = "equivalent",
) -> EquivalenceResult:
    """Test equivalence of two means from independent items by two one-sided Welch tests.

    Args:
        candidate: Shape (items,) or (items, repeats); `nan` is left out.
        baseline: Likewise.
        margin: Largest difference that does not matter, on the scale of the score.
        alpha: Level of each one-sided test.
        goal: `equivalent`, or one side of it.

    Returns:
        EquivalenceResult.

    Raises:
        StatsError: Arguments out of range.

    Examples:
        >>> r = tost_unpaired([4.0, 4.1, 3.9, 4.0, 4.1], [4.0, 4.0, 3.9, 4.1, 4.0], margin=0.5)
        >>> r.passed
        True
    """
    margin, alpha = _check(margin, alpha, goal)
    fit = welch_fit(fit_mean(present_means(candidate, "candidate")), fit_mean(present_means(baseline, "baseline")))
    return _from_fit(fit, margin, alpha, goal, "tost_welch")


def tost_paired_proportions(
    table: PairedTable, margin: float, *, alpha: float = 0.05, goal: EquivalenceGoal = "equivalent"
) -> EquivalenceResult:
    """Test equivalence or non-inferiority of two pass rates on the same items by Tango's score test.

    z = (b - c + n margin) / sqrt(n (2 q + margin-constrained variance)) against the lower margin, and
    likewise the upper (Tango 1998). Passes exactly when Tango's (1 - 2 alpha) interval lies within the
    margin on the sides that the goal asks for.

    Args:
        table: Counts of the pairs.
        margin: Largest difference of pass rates that does not matter, for instance 0.02.
        alpha: Level of each one-sided test.
        goal: `equivalent`, or one side of it.

    Returns:
        EquivalenceResult; `statistic` is z against the lower margin.

    Raises:
        StatsError: A margin that is not in (0, 1), or alpha outside (0, 0.5).

    Examples:
        >>> lens = PairedTable(both=43, candidate_only=0, baseline_only=1, neither=0)
        >>> r = tost_paired_proportions(lens, 0.1, goal="not_worse")
        >>> round(r.statistic, 3), round(r.p_value, 4)
        (1.709, 0.0438)
    """
    margin, alpha = _check(margin, alpha, goal)
    if margin >= 1:
        raise StatsError(f"margin of a pass rate must be below 1 (0.02 = 2 points), got {margin!r}")
    n, b, c = table.n, table.candidate_only, table.baseline_only
    interval = paired_proportion_difference(table, method="tango", confidence=1 - 2 * alpha)
    z_lower = tango_z(b, c, n, -margin) if n else nan
    z_upper = tango_z(b, c, n, margin) if n else nan
    p = _combine(float(norm_sf(z_lower)), float(norm_sf(-z_upper)), goal)
    return EquivalenceResult(
        p_value=p,
        statistic=z_upper if goal == "not_higher" else z_lower,
        n=n,
        method="tango",
        reason=interval.reason,
        assumptions=("items are independent of each other", "the margin was declared before looking at the data"),
        goal=goal,
        margin=margin,
        alpha=alpha,
        estimate=interval.estimate,
        low=interval.low,
        high=interval.high,
        passed=p <= alpha,
    )


def equivalence_of_proportions(
    candidate_successes: int,
    candidate_n: int,
    *,
    baseline_successes: int,
    baseline_n: int,
    margin: float,
    alpha: float = 0.05,
    goal: EquivalenceGoal = "equivalent",
) -> EquivalenceResult:
    """Test equivalence or non-inferiority of two pass rates from independent items.

    The score test with rates constrained to differ by the margin (Farrington & Manning 1990).

    Args:
        candidate_successes: Items the candidate passed.
        candidate_n: Items the candidate was scored on.
        baseline_successes: Items the baseline passed.
        baseline_n: Items the baseline was scored on.
        margin: Largest difference of pass rates that does not matter.
        alpha: Level of each one-sided test.
        goal: `equivalent`, or one side of it.

    Returns:
        EquivalenceResult; an empty side gives `nan` with a reason.

    Raises:
        StatsError: Arguments out of range.

    Examples:
        >>> r = equivalence_of_proportions(
        ...     83, 90, baseline_successes=69, baseline_n=76, margin=0.1, goal="not_worse"
        ... )
        >>> r.passed
        True
    """
    margin, alpha = _check(margin, alpha, goal)
    if margin >= 1:
        raise StatsError(f"margin of a pass rate must be below 1 (0.02 = 2 points), got {margin!r}")
    x1, n1, x2, n2 = check_two_counts(candidate_successes, candidate_n, baseline_successes, baseline_n)
    p = z_lower = z_upper = estimate = low = high = nan
    if n1 and n2:
        z_lower = score_z(x1, n1, x2, n2, -margin, correction=False)
        z_upper = score_z(x1, n1, x2, n2, margin, correction=False)
        p = _combine(float(norm_sf(z_lower)), float(norm_sf(-z_upper)), goal)
        estimate = x1 / n1 - x2 / n2
        low, high = score_interval(x1, n1, x2, n2, 1 - 2 * alpha, correction=False)
    return EquivalenceResult(
        p_value=p,
        statistic=z_upper if goal == "not_higher" else z_lower,
        n=n1 + n2,
        method="farrington_manning",
        reason=None if n1 and n2 else "one side has no score",
        assumptions=("all items are independent of each other", "the margin was declared before looking at the data"),
        goal=goal,
        margin=margin,
        alpha=alpha,
        estimate=estimate,
        low=low,
        high=high,
        passed=p <= alpha,
    )
