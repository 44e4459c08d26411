"""Intervals and tests for two variants on the same items, by name, and the rule that picks them."""

from __future__ import annotations

from dataclasses import replace
from math import inf, nan
from typing import TYPE_CHECKING, cast

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._mean_fit import ClusterVariance, MeanFit, fit_mean, unit_shares
from bakeoff.stats.core._result import Alternative, Estimate, TestResult
from bakeoff.stats.one._mean import t_limits, t_p_value
from bakeoff.stats.two._paired_binary import (
    McNemarMethod,
    PairedProportionMethod,
    PairedTable,
    mcnemar,
    paired_proportion_difference,
)
from bakeoff.stats.two._paired_mean import sign_flip

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bakeoff.stats.two._pairs import Pairs

    Float = NDArray[np.float64]

__all__ = ["PAIRED_INTERVALS", "PAIRED_TESTS", "choose_paired", "paired_effect", "paired_interval", "paired_test"]

PERMUTE_BELOW = 50
"""Below this many items the p-value comes from flipping signs."""
MANY_TIES = 0.2
"""From this share of items without a difference on, ties between sign patterns count half (mid-p)."""
FEW_FOR_MID_P = 10
"""Below this many items they count in full: with so few patterns half a tie would break the level."""

_BINARY_INTERVALS = ("bonett_price", "tango", "newcombe")
_MEAN_INTERVALS = ("t", "hc2", "cr0", "cr1", "cr2", "cluster_means")
_BOOTSTRAPS = ("bootstrap_percentile", "bootstrap_bca", "bootstrap_t")
PAIRED_INTERVALS = (*_BINARY_INTERVALS, *_MEAN_INTERVALS, *_BOOTSTRAPS)

_BINARY_TESTS = ("mcnemar_midp", "mcnemar_exact", "mcnemar_asymptotic", "mcnemar_continuity")
_MEAN_TESTS = ("paired_t", "hc2_t", "cr0_t", "cr1_t", "cr2_t", "cluster_means_t")
_FLIPS = ("sign_flip", "sign_flip_midp")
PAIRED_TESTS = (*_BINARY_TESTS, *_MEAN_TESTS, *_FLIPS, "wilcoxon")


def choose_paired(pairs: Pairs) -> tuple[str, str, str]:
    """Choose interval and test, and say why."""
    if pairs.codes is not None:
        return "cr2", "cr2_t", "items come in clusters, so clusters are the unit: CR2 with Satterthwaite df"
    if pairs.weights is not None:
        return "hc2", "hc2_t", "items carry weights: weighted mean with HC2 standard error"
    if pairs.simple_binary:
        return (
            "bonett_price",
            "mcnemar_midp",
            "pass/fail on the same items, one score each: Bonett-Price interval, McNemar mid-p test",
        )
    what = "repeats are averaged within the item" if pairs.repeats else "scores on the same items"
    if pairs.difference.size < PERMUTE_BELOW:
        return "t", *_choose_flip(pairs, f"{what}, fewer than {PERMUTE_BELOW} items: t interval, sign-flip permutation")
    return "t", "paired_t", f"{what}: t interval and paired t test on item-level differences"


def _choose_flip(pairs: Pairs, what: str) -> tuple[str, str]:
    # Zeros stay zeros whatever sign they get, so this choice cannot favour either variant.
    n = pairs.difference.size
    if n >= FEW_FOR_MID_P and np.count_nonzero(pairs.difference == 0) >= MANY_TIES * n:
        return "sign_flip_midp", f"{what} test with mid-p (many items tie)"
    return "sign_flip", f"{what} test"


def _refit(pairs: Pairs, variance: str) -> MeanFit:
    if variance in ("cr0", "cr1", "cr2", "cluster_means"):
        if pairs.codes is None:
            raise StatsError(f"{variance!r} needs `clusters`")
        if variance == "cr2":
            return pairs.fit
        chosen = cast("ClusterVariance", variance)
        return fit_mean(pairs.difference, pairs.codes, pairs.weights, chosen, scale=pairs.scale)
    if variance == "hc2":
        weights = np.ones(pairs.difference.size) if pairs.weights is None else pairs.weights
        return fit_mean(pairs.difference, None, weights, scale=pairs.scale)
    return fit_mean(pairs.difference, None, None, scale=pairs.scale)


def _need_simple_binary(pairs: Pairs, name: str) -> PairedTable:
    if not pairs.simple_binary:
        raise StatsError(f"{name!r} needs one 0/1 score for each item and variant; leave it out to have one chosen")
    return pairs.table()


def _unit_table(pairs: Pairs, fit: MeanFit) -> PairedTable | None:
    """Units that all differ by -1, 0 or 1, as a paired table; `None` for any other constant difference."""
    if pairs.kind == "continuous" or fit.mean not in (-1.0, 0.0, 1.0):
        return None
    units = fit.whole_worth
    won = units if fit.mean == 1 else 0
    lost = units if fit.mean == -1 else 0
    return PairedTable(both=units - won - lost, candidate_only=won, baseline_only=lost, neither=0)


def paired_interval(pairs: Pairs, name: str, confidence: float, rng: np.random.Generator | int) -> Estimate:
    """Compute the named interval for the mean difference."""
    if name in _BINARY_INTERVALS:
        method = cast("PairedProportionMethod", name)
        return paired_proportion_difference(_need_simple_binary(pairs, name), method=method, confidence=confidence)
    if name in _BOOTSTRAPS:
        from bakeoff.stats.one._bootstrap import BootstrapMethod, bootstrap_mean

        if pairs.weights is not None:
            raise StatsError(f"interval {name!r} does not take weights; use the default")
        return bootstrap_mean(
            pairs.difference,
            clusters=pairs.codes,
            method=cast("BootstrapMethod", name.removeprefix("bootstrap_")),
            confidence=confidence,
            rng=rng,
        )
    if name not in _MEAN_INTERVALS:
        raise StatsError(f"interval must be one of {list(PAIRED_INTERVALS)} for paired items, got {name!r}")
    fit = _refit(pairs, name)
    low, high = t_limits(fit, confidence)
    reason = None
    if fit.one_decides:
        reason = _no_spread(fit)
    elif not fit.se > 0:
        table = _unit_table(pairs, fit) if fit.n_units > 1 else None
        if table is not None:
            base = paired_proportion_difference(table, confidence=confidence)
            low, high = base.low, base.high
        else:
            reason = _no_spread(fit)
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


def _no_spread(fit: MeanFit) -> str:
    if fit.n_units == 0:
        return "no item has both scores"
    if fit.n_units == 1:
        return "no interval: a single unit (item or cluster) says nothing about the spread between units"
    if fit.one_decides:
        return "no interval: one item or cluster has nearly all the weight, so the result is its result"
    return "no interval: the difference is the same everywhere, so its spread cannot be estimated"


def paired_test(pairs: Pairs, name: str, alternative: Alternative, rng: np.random.Generator | int) -> TestResult:
    """Compute the named test of a mean difference of zero, and which way it points."""
    if name in _BINARY_TESTS:
        method, table = cast("McNemarMethod", name.removeprefix("mcnemar_")), _need_simple_binary(pairs, name)
        tested = mcnemar(table, method=method, alternative=alternative)
        return replace(tested, direction=_sign(table.candidate_only - table.baseline_only))
    if name in _FLIPS:
        tested = sign_flip(
            pairs.difference, alternative=alternative, mid_p=name == "sign_flip_midp", tail_bound=True, rng=rng
        )
        return replace(tested, direction=_sign(tested.statistic))
    if name == "wilcoxon":
        from bakeoff.stats.two._wilcoxon import wilcoxon

        return wilcoxon(pairs.difference, alternative=alternative)
    if name not in _MEAN_TESTS:
        raise StatsError(f"test must be one of {list(PAIRED_TESTS)} for paired items, got {name!r}")
    fit = _refit(pairs, name.removesuffix("_t"))
    if fit.se > 0 and not fit.one_decides:
        statistic = fit.mean / fit.se
        return TestResult(
            p_value=t_p_value(statistic, fit.df, alternative),
            statistic=statistic,
            df=fit.df,
            n=fit.n_units,
            method=name,
            direction=_sign(fit.mean),
            alternative=alternative,
        )
    p, reason = _no_spread_p(pairs, fit, alternative)
    method = name if fit.mean == 0 or p != p else "sign_test"
    return TestResult(
        p_value=p, n=fit.n_units, method=method, direction=_sign(fit.mean), alternative=alternative, reason=reason
    )


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


def _no_spread_p(pairs: Pairs, fit: MeanFit, alternative: Alternative) -> tuple[float, str]:
    """Test a difference that is the same everywhere by the sign test, which needs no spread."""
    if fit.n_units == 0 or fit.one_decides:
        return nan, _no_spread(fit)
    if fit.mean == 0:
        return 1.0, "no item separates the two"
    equal = fit.worth > fit.n_units - 1e-6
    shares = None if equal else unit_shares(pairs.difference.size, pairs.codes, pairs.weights)
    one_sided = 0.5**fit.n_units if shares is None else _all_one_way(shares)
    if alternative == "two-sided":
        p = min(1.0, 2 * one_sided)
    else:
        p = one_sided if (fit.mean > 0) == (alternative == "greater") else 1.0
    return p, "the difference is the same everywhere: sign test instead of t"


def _all_one_way(shares: Float) -> float:
    """Bound the chance that all units differ the same way although the weighted mean difference is zero.

    The largest product of chances p_i with sum s_i p_i = 1/2: p_i = min(1, c / s_i) by Lagrange, which is 0.5^n where
    all shares s_i are equal. One unit with 85% of the weight beside five light ones may well drag them all along.
    """
    ordered = np.sort(shares)
    below = np.concatenate(([0.0], np.cumsum(ordered)[:-1]))  # weight of the units whose chance is 1
    level = (0.5 - below) / (ordered.size - np.arange(ordered.size))
    level = level[level <= ordered][0]
    return float(np.exp(np.minimum(0.0, np.log(level) - np.log(ordered)).sum()))


def paired_effect(pairs: Pairs) -> dict[str, float]:
    """Compute the effect sizes that cost nothing extra."""
    if not pairs.difference.size:
        return {}
    if pairs.weights is not None:
        return {}  # these count every item the same, and could contradict the weighted difference
    mean = float(pairs.difference.mean())
    if pairs.simple_binary:
        table = pairs.table()
        p1, p2 = float(pairs.candidate.mean()), float(pairs.baseline.mean())
        won, lost = table.candidate_only, table.baseline_only
        return {
            "risk_difference": mean,
            "odds_ratio": won / lost if lost else inf if won else nan,
            "cohen_h": 2 * float(np.arcsin(np.sqrt(p1)) - np.arcsin(np.sqrt(p2))),
            "discordance": table.discordant / table.n,
        }
    if pairs.difference.size < 2:
        return {}
    spread = float(pairs.difference.std(ddof=1))
    average = float(np.sqrt((pairs.candidate.var(ddof=1) + pairs.baseline.var(ddof=1)) / 2))
    noise = 1e-12 * pairs.scale
    return {
        "cohen_dz": mean / spread if spread > noise else nan,
        "cohen_dav": mean / average if average > noise else nan,
    }
