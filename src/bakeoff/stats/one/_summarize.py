"""The rule that picks the method: one variant, from the kind of score, n, repeats and clusters."""

from __future__ import annotations

from math import inf, nan
from typing import TYPE_CHECKING, Literal, cast, get_args

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import as_scores, check_confidence
from bakeoff.stats.core._dist import critical_value
from bakeoff.stats.core._result import Estimate, Kind
from bakeoff.stats.core._wilson import wilson_interval
from bakeoff.stats.one._clusters import few_clusters_warning
from bakeoff.stats.one._mean import clip_limits, logit_limits, no_interval_reason, skew_warning, t_limits
from bakeoff.stats.one._proportion import ProportionMethod, proportion
from bakeoff.stats.one._side import Side, make_side, resolve_kind

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["SummaryMethod", "summarize"]

SummaryMethod = Literal[
    "wilson",
    "clopper_pearson",
    "agresti_coull",
    "jeffreys",
    "t",
    "logit_t",
    "cr0",
    "cr1",
    "cr2",
    "cluster_means",
    "bootstrap_percentile",
    "bootstrap_bca",
    "bootstrap_t",
]
"""Interval for one variant; see `summarize`."""

_COUNTS = get_args(ProportionMethod)


def summarize(
    scores: ArrayLike,
    *,
    kind: Kind | None = None,
    clusters: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    confidence: float = 0.95,
    method: SummaryMethod | None = None,
    rng: np.random.Generator | int = 0,
) -> Estimate:
    """Estimate the mean score of one variant with the interval that suits the data.

    The rule, first match wins:

    | scores | interval |
    |---|---|
    | 0/1, one for each item | Wilson |
    | 0/1 with repeats, clusters or weights | Wilson with n_eff = p(1-p)/SE^2 and the t quantile |
    | in [0, 1], mean above 0.9 or below 0.1 | t on the logit scale |
    | anything else | t on item means |

    Repeats are averaged within an item: the item is the unit (Miller 2024). With clusters the
    standard error is CR2 with Satterthwaite degrees of freedom, with weights HC2; see
    `clustered_mean`.

    Args:
        scores: Shape (items,) or (items, repeats); `nan` marks a missing score.
        kind: Kind of score; inferred when left out.
        clusters: One label for each item, for items that belong together.
        weights: One weight for each item.
        confidence: Level of the interval.
        method: Overrides the rule.
        rng: Generator or seed, for the bootstrap methods only.

    Returns:
        Estimate; `reason` says why this method was chosen, or why there is no interval.

    Raises:
        StatsError: Scores, clusters, weights or options that do not fit together.

    Examples:
        >>> e = summarize([1, 1, 1, 0, 1, 1, 1, 1, 1, 1])
        >>> e.estimate, round(e.low, 3), round(e.high, 3), e.method
        (0.9, 0.596, 0.982, 'wilson')
        >>> e = summarize([1, 1, 1, 1], clusters=["a", "a", "b", "b"])
        >>> round(e.low, 3), e.high, e.n
        (0.342, 1.0, 2)
    """
    confidence = check_confidence(confidence)
    array = as_scores(scores)
    resolved = resolve_kind(kind, array)
    if method is not None and method not in get_args(SummaryMethod):
        raise StatsError(f"method must be one of {list(get_args(SummaryMethod))} or None, got {method!r}")
    side = make_side(array, resolved, clusters, weights, variance=method)
    if not side.values.size:
        return _result(side, nan, nan, confidence, method or "none", "no item has a score")
    if method is not None:
        return _overridden(side, method, confidence, rng)
    if side.kind == "binary":
        return _summarize_binary(side, confidence)
    if not side.fit.se > 0 and side.kind == "bounded" and side.fit.mean in (0.0, 1.0):
        return _pseudo_wilson(side, confidence)
    if side.kind == "bounded" and not 0.1 <= side.fit.mean <= 0.9:
        low, high = logit_limits(side.fit, confidence)
        return _result(side, low, high, confidence, _named(side, "logit_t"), "scores in [0, 1] with a mean near an end")
    low, high = t_limits(side.fit, confidence)
    return _result(side, low, high, confidence, _named(side, "t"), f"{side.kind} scores")


def _named(side: Side, form: str) -> str:
    """Name the method after the standard error where it is not the plain one."""
    base = "cr2" if side.codes is not None else "hc2" if side.weights is not None else ""
    if not base:
        return form
    return base if form == "t" else f"{form}_{base}"


def _plain(side: Side) -> bool:
    return side.kind == "binary" and not side.repeats and side.codes is None and side.weights is None


def _summarize_binary(side: Side, confidence: float) -> Estimate:
    if _plain(side):
        n = side.values.size
        base = proportion(int(side.values.sum()), n, confidence=confidence)
        return _result(
            side, base.low, base.high, confidence, "wilson", "pass/fail, one score for each item", se=base.se
        )
    return _pseudo_wilson(side, confidence)


def _pseudo_wilson(side: Side, confidence: float) -> Estimate:
    """Wilson with the effective number of trials; without spread, each unit counts as one trial."""
    fit = side.fit
    what = "clusters" if side.codes is not None else "weights" if side.weights is not None else "repeats"
    method = _named(side, "wilson_n_eff")
    if fit.one_decides:
        return _result(side, nan, nan, confidence, method, no_interval_reason(fit))
    if fit.se > 0 and 0 < fit.mean < 1:
        n_eff = min(fit.mean * (1 - fit.mean) / fit.se**2, float(side.n_scores))
        low, high = wilson_interval(fit.mean, n_eff, critical_value(confidence, fit.df))
        reason = f"pass/fail with {what}: Wilson with an effective {n_eff:.0f} trials"
        return _result(side, low, high, confidence, method, reason)
    if fit.n_units and fit.mean in (0.0, 1.0):
        low, high = wilson_interval(fit.mean, fit.worth, critical_value(confidence, inf))
        units = f"{fit.n_units} units"
        if fit.worth < fit.n_units - 0.05:
            units += f" of unequal weight, worth {fit.worth:.1f} equal ones"
        return _result(side, low, high, confidence, method, f"all scores equal: Wilson on {units}")
    return _result(side, nan, nan, confidence, method, no_interval_reason(fit))


def _overridden(side: Side, method: SummaryMethod, confidence: float, rng: np.random.Generator | int) -> Estimate:
    if method in _COUNTS:
        if not _plain(side):
            raise StatsError(
                f"method {method!r} needs one 0/1 score for each item, without clusters or weights; "
                "leave out `method` to have repeats and clusters handled"
            )
        base = proportion(
            int(side.values.sum()), side.values.size, method=cast("ProportionMethod", method), confidence=confidence
        )
        return _result(side, base.low, base.high, confidence, method, "asked for", se=base.se)
    if method.startswith("bootstrap_"):
        return _bootstrapped(side, method, confidence, rng)
    if method in ("cr0", "cr1", "cr2", "cluster_means") and side.codes is None:
        raise StatsError(f"method {method!r} needs `clusters`")
    if method == "logit_t" and side.kind == "continuous":
        raise StatsError("method 'logit_t' needs scores in [0, 1]")
    low, high = logit_limits(side.fit, confidence) if method == "logit_t" else t_limits(side.fit, confidence)
    return _result(side, low, high, confidence, method, "asked for")


def _bootstrapped(side: Side, method: str, confidence: float, rng: np.random.Generator | int) -> Estimate:
    from bakeoff.stats.one._bootstrap import BootstrapMethod, bootstrap_mean

    if side.weights is not None:
        raise StatsError(f"method {method!r} does not take weights; use the default")
    base = bootstrap_mean(
        side.values,
        clusters=side.codes,
        method=cast("BootstrapMethod", method.removeprefix("bootstrap_")),
        confidence=confidence,
        rng=rng,
    )
    return _result(side, base.low, base.high, confidence, method, base.reason or "asked for", warnings=base.warnings)


def _result(
    side: Side,
    low: float,
    high: float,
    confidence: float,
    method: str,
    reason: str | None,
    *,
    se: float | None = None,
    warnings: tuple[str, ...] = (),
) -> Estimate:
    fit = side.fit
    notes = [*warnings, *side.warnings]
    if side.codes is not None:
        notes.extend(few_clusters_warning(fit.n_units))
    if side.kind == "continuous" and method == "t":
        notes.extend(skew_warning(side.values))
    if side.n_missing:
        total = side.n_missing + side.values.size
        notes.append(f"{side.n_missing} of {total} items have no score and are left out")
    if np.isnan(low) and np.isnan(high):
        reason = no_interval_reason(fit) or reason
    if side.kind != "continuous":
        low, high = clip_limits(low, high, 0.0, 1.0)
    return Estimate(
        estimate=fit.mean,
        low=low,
        high=high,
        confidence=confidence,
        n=fit.n_units,
        method=method,
        se=fit.se if se is None else se,
        df=inf if method in _COUNTS else fit.df,
        reason=reason,
        assumptions=(
            "clusters are independent of each other"
            if side.codes is not None
            else "items are independent draws from the population of interest",
        ),
        warnings=tuple(notes),
    )
