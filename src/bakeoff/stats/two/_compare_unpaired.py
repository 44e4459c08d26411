"""Intervals and tests for two variants on different items, by name, and the rule that picks them."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nan, sqrt
from typing import TYPE_CHECKING, cast

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import as_scores
from bakeoff.stats.core._items import encode_clusters
from bakeoff.stats.core._mean_fit import MeanFit
from bakeoff.stats.core._result import Alternative, Estimate, TestResult
from bakeoff.stats.one._mean import t_limits, t_p_value
from bakeoff.stats.one._side import Side, make_side, resolve_kind
from bakeoff.stats.two._unpaired import (
    TwoProportionMethod,
    TwoProportionTest,
    proportion_difference,
    two_proportion_test,
    welch_fit,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = [
    "UNPAIRED_INTERVALS",
    "UNPAIRED_TESTS",
    "TwoSides",
    "choose_unpaired",
    "make_sides",
    "unpaired_effect",
    "unpaired_interval",
    "unpaired_test",
]

_BINARY_INTERVALS = ("newcombe", "agresti_caffo", "miettinen_nurminen")
_BINARY_TESTS = ("score", "fisher", "fisher_midp", "boschloo")
UNPAIRED_INTERVALS = (*_BINARY_INTERVALS, "welch", "cr2")
UNPAIRED_TESTS = (*_BINARY_TESTS, "welch", "cr2_t", "permutation")


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoSides:
    """Two variants on different items."""

    candidate: Side
    baseline: Side
    missing_bound: tuple[float, float] | None
    fit: MeanFit

    @property
    def simple_binary(self) -> bool:
        """Whether each item is one pass or fail, without clusters and weights."""
        sides = (self.candidate, self.baseline)
        return all(s.kind == "binary" and not s.repeats and s.codes is None and s.weights is None for s in sides)

    def counts(self) -> tuple[int, int, int, int]:
        """Successes and items of the candidate, then of the baseline."""
        a, b = self.candidate.values, self.baseline.values
        return int(a.sum()), a.size, int(b.sum()), b.size


def make_sides(
    candidate: ArrayLike,
    baseline: ArrayLike,
    kind: str | None,
    clusters: tuple[ArrayLike, ArrayLike] | ArrayLike | None,
    weights: tuple[ArrayLike, ArrayLike] | ArrayLike | None,
) -> TwoSides:
    """Reduce both variants to complete item means."""
    a, b = as_scores(candidate, "candidate"), as_scores(baseline, "baseline")
    resolved = resolve_kind(kind, a, b)
    codes = _two(clusters, "clusters")
    w = _two(weights, "weights")
    if codes is not None:
        both = encode_clusters(np.concatenate([np.asarray(codes[0]), np.asarray(codes[1])]), n=a.shape[0] + b.shape[0])
        codes = (both[: a.shape[0]], both[a.shape[0] :])
    first = make_side(a, resolved, None if codes is None else codes[0], None if w is None else w[0])
    second = make_side(b, resolved, None if codes is None else codes[1], None if w is None else w[1])
    missing = first.n_missing + second.n_missing
    bound = _missing_bound(first, second) if missing and resolved != "continuous" and w is None else None
    return TwoSides(candidate=first, baseline=second, missing_bound=bound, fit=_fit(first, second))


def _two(value: tuple[ArrayLike, ArrayLike] | ArrayLike | None, name: str) -> tuple[ArrayLike, ArrayLike] | None:
    if value is None:
        return None
    if isinstance(value, tuple) and len(value) == 2:
        return cast("tuple[ArrayLike, ArrayLike]", value)
    raise StatsError(f"with paired=False, {name} must be a tuple of two arrays: (candidate's, baseline's)")


def _missing_bound(a: Side, b: Side) -> tuple[float, float]:
    n1, n2 = a.values.size + a.n_missing, b.values.size + b.n_missing
    low1, low2 = float(a.values.sum()) / n1, float(b.values.sum()) / n2
    return low1 - low2 - b.n_missing / n2, low1 + a.n_missing / n1 - low2


def _fit(a: Side, b: Side) -> MeanFit:
    """Welch from each side's own fit; clusters seen on both sides are handled jointly (CR1)."""
    if a.codes is not None and b.codes is not None and np.intersect1d(a.codes, b.codes).size:
        return _joint_fit(a, b)
    return welch_fit(a.fit, b.fit)


def _joint_fit(a: Side, b: Side) -> MeanFit:
    codes = (cast("np.ndarray", a.codes), cast("np.ndarray", b.codes))
    size = 1 + max(int(codes[0].max()), int(codes[1].max()))
    influence = np.zeros(size)
    for side, code, sign in ((a, codes[0], 1.0), (b, codes[1], -1.0)):
        w = np.ones(side.values.size) if side.weights is None else side.weights
        influence += sign * np.bincount(code, w * (side.values - side.fit.mean), minlength=size) / w.sum()
    groups = np.unique(np.concatenate(codes)).size
    se = sqrt(float(influence @ influence) * groups / (groups - 1)) if groups > 1 else nan
    return MeanFit(mean=a.fit.mean - b.fit.mean, se=se, df=groups - 1.0, n_units=groups)


def choose_unpaired(sides: TwoSides) -> tuple[str, str, str]:
    """Choose interval and test, and say why."""
    if sides.simple_binary:
        test = "score"
        counts = sides.counts()
        if counts[1] and counts[3]:
            x1, n1, x2, n2 = counts
            test = two_proportion_test(x1, n1, baseline_successes=x2, baseline_n=n2).method
        return "newcombe", test, f"pass/fail on different items: Newcombe interval, {test} test"
    if sides.candidate.codes is not None:
        return "cr2", "cr2_t", "different items in clusters, so clusters are the unit: CR2 standard errors"
    return "welch", "welch", "scores on different items: Welch's t, variances not assumed equal"


def unpaired_interval(sides: TwoSides, name: str, confidence: float) -> Estimate:
    """Compute the named interval for the difference."""
    if name in _BINARY_INTERVALS:
        if not sides.simple_binary:
            raise StatsError(f"{name!r} needs one 0/1 score for each item, without clusters or weights")
        x1, n1, x2, n2 = sides.counts()
        method = cast("TwoProportionMethod", name)
        return proportion_difference(x1, n1, baseline_successes=x2, baseline_n=n2, method=method, confidence=confidence)
    if name not in UNPAIRED_INTERVALS:
        raise StatsError(f"interval must be one of {list(UNPAIRED_INTERVALS)} for unpaired items, got {name!r}")
    fit = sides.fit
    low, high = t_limits(fit, confidence)
    reason = None if fit.se > 0 and not fit.one_decides else _no_interval(sides)
    if not fit.se > 0 and not fit.one_decides and _constant_rates(sides):
        u1, u2 = sides.candidate.fit, sides.baseline.fit
        base = proportion_difference(
            round(u1.mean * u1.whole_worth),
            u1.whole_worth,
            baseline_successes=round(u2.mean * u2.whole_worth),
            baseline_n=u2.whole_worth,
            confidence=confidence,
        )
        low, high, reason = base.low, base.high, None
    return Estimate(
        estimate=fit.mean,
        low=low,
        high=high,
        confidence=confidence,
        n=fit.n_units,
        method=name,
        se=fit.se,
        df=fit.df,
        reason=reason,
    )


def _constant_rates(sides: TwoSides) -> bool:
    """Whether both sides scored only 0 or only 1 throughout."""
    fits = (sides.candidate.fit, sides.baseline.fit)
    return sides.candidate.kind != "continuous" and all(f.n_units and f.mean in (0.0, 1.0) for f in fits)


def _no_interval(sides: TwoSides) -> str:
    if sides.fit.one_decides:
        return "no interval: one item or cluster has nearly all the weight of its side, so the result is its result"
    if not (sides.candidate.values.size and sides.baseline.values.size):
        return "one side has no score"
    if min(sides.candidate.fit.n_units, sides.baseline.fit.n_units) < 2:
        return "no interval: each side needs at least two units (items or clusters)"
    return "no interval: all scores are equal on each side, so their spread cannot be estimated"


def unpaired_test(sides: TwoSides, name: str, alternative: Alternative, rng: np.random.Generator | int) -> TestResult:
    """Compute the named test of equal means."""
    if name in _BINARY_TESTS:
        if not sides.simple_binary:
            raise StatsError(f"{name!r} needs one 0/1 score for each item, without clusters or weights")
        x1, n1, x2, n2 = sides.counts()
        method = cast("TwoProportionTest", name)
        return two_proportion_test(x1, n1, baseline_successes=x2, baseline_n=n2, method=method, alternative=alternative)
    if name == "permutation":
        from bakeoff.stats.two._exact import permutation_test

        return permutation_test(sides.candidate.values, sides.baseline.values, alternative=alternative, rng=rng)
    if name not in UNPAIRED_TESTS:
        raise StatsError(f"test must be one of {list(UNPAIRED_TESTS)} for unpaired items, got {name!r}")
    fit = sides.fit
    if fit.one_decides:
        statistic, p, reason = nan, nan, _no_interval(sides)
    elif fit.se > 0:
        statistic = fit.mean / fit.se
        p, reason = t_p_value(statistic, fit.df, alternative), None
    else:
        statistic = nan
        p, reason = _no_spread_p(sides, alternative)
    return TestResult(
        p_value=p, statistic=statistic, df=fit.df, n=fit.n_units, method=name, alternative=alternative, reason=reason
    )


def _no_spread_p(sides: TwoSides, alternative: Alternative) -> tuple[float, str]:
    """Test two constant sides: as pass rates of their units if all scores are 0 or 1."""
    if sides.fit.mean == 0:
        return 1.0, "all scores are equal"
    if not _constant_rates(sides):
        return nan, _no_interval(sides)
    a, b = sides.candidate.fit, sides.baseline.fit
    tested = two_proportion_test(
        round(a.mean * a.whole_worth),
        a.whole_worth,
        baseline_successes=round(b.mean * b.whole_worth),
        baseline_n=b.whole_worth,
        method="fisher",
        alternative=alternative,
    )
    return tested.p_value, "no spread on either side: Fisher's test on the units"


def unpaired_effect(sides: TwoSides) -> dict[str, float]:
    """Compute the effect sizes that cost nothing extra."""
    a, b = sides.candidate.values, sides.baseline.values
    if not (a.size and b.size) or sides.candidate.weights is not None:
        return {}
    if sides.simple_binary:
        x1, n1, x2, n2 = sides.counts()
        over, under = x1 * (n2 - x2), x2 * (n1 - x1)
        return {
            "risk_difference": x1 / n1 - x2 / n2,
            "odds_ratio": over / under if under else inf if over else nan,
            "cohen_h": 2 * float(np.arcsin(np.sqrt(x1 / n1)) - np.arcsin(np.sqrt(x2 / n2))),
        }
    df = a.size + b.size - 2
    if df < 1:
        return {}
    pooled = sqrt((float(((a - a.mean()) ** 2).sum()) + float(((b - b.mean()) ** 2).sum())) / df)
    d = float(a.mean() - b.mean()) / pooled if pooled > 1e-12 * float(max(np.abs(a).max(), np.abs(b).max())) else nan
    return {"cohen_d": d, "hedges_g": d * (1 - 3 / (4 * df - 1))}
