"""Guardrails: is a metric shown not to be harmed by more than a margin?"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isnan, nan
from typing import TYPE_CHECKING, Literal

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import check_alpha
from bakeoff.stats.core._dist import norm_sf, one_sided_critical_value, t_sf
from bakeoff.stats.core._result import Difference
from bakeoff.stats.two._decide import inner_interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bakeoff.stats.core._result import Estimate

    Float = NDArray[np.float64]


__all__ = ["GuardrailResult", "guardrail"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardrailResult:
    """Whether a variant is shown not to harm a metric by more than a margin."""

    status: Literal["safe", "harm", "inconclusive"]
    """`safe`: non-inferior; `harm`: worse by more than the margin; else `inconclusive`."""
    p_safe: float
    """One-sided p-value against "worse by the margin or more"."""
    p_harm: float
    """One-sided p-value against "worse by the margin at most"."""
    margin: float
    worst: float
    """One-sided confidence bound on the side that would be harm."""
    reason: str


def guardrail(
    difference: Estimate, *, margin: float, higher_is_better: bool = True, alpha: float = 0.05
) -> GuardrailResult:
    """Say whether a difference shows that a guardrail metric is not harmed by more than a margin.

    Non-inferiority from the estimate and its standard error: `safe` when the one-sided confidence bound at level
    `alpha` stays within the margin, `harm` when even the opposite bound lies beyond it. "Not significantly worse" is
    never read as safe.

    A result of `compare` has the bounds of its own 1 - 2 alpha interval (Tango's for pass/fail items), which
    know more than a standard error; anything else has t bounds.

    Args:
        difference: Candidate minus baseline with its `se` (and `df`), from any comparison.
        margin: Largest harm that is tolerable, above 0, on the scale of the metric.
        higher_is_better: False for cost, latency, error rate.
        alpha: One-sided level.

    Returns:
        The status with both one-sided p-values.

    Raises:
        StatsError: If the margin is not positive.

    Examples:
        >>> from bakeoff.stats import Estimate
        >>> latency_ms = Estimate(estimate=4.0, low=-6.0, high=14.0, n=400, method="t", se=5.0)
        >>> guardrail(latency_ms, margin=25.0, higher_is_better=False).status
        'safe'
    """
    alpha = check_alpha(alpha)
    if not 0 < margin < inf:
        raise StatsError(f"margin must be a positive number on the scale of the metric, got {margin!r}")
    if isinstance(difference, Difference):
        low, high = inner_interval(difference, alpha)
        if not isnan(low) and not isnan(high):
            return _from_bounds(difference, low, high, margin, alpha, higher_is_better=higher_is_better)
    no_interval = isinstance(difference, Difference) and isnan(difference.low) and isnan(difference.high)
    value = difference.estimate if higher_is_better else -difference.estimate
    se, df = difference.se, difference.df
    if isnan(value) or isnan(se) or se <= 0 or no_interval:
        why = difference.reason or "the difference has no standard error"
        return GuardrailResult(
            status="inconclusive", p_safe=nan, p_harm=nan, margin=margin, worst=nan, reason=f"not estimable: {why}"
        )
    t = (value + margin) / se
    infinite = isnan(df) or df == inf
    p_safe = float(norm_sf(t) if infinite else t_sf(t, df))
    p_harm = float(norm_sf(-t) if infinite else t_sf(-t, df))
    bound = value - one_sided_critical_value(1 - alpha, inf if infinite else df) * se
    worst = bound if higher_is_better else -bound
    return _result(p_safe, p_harm, margin, worst, alpha, safe=p_safe <= alpha, harm=p_harm <= alpha)


def _from_bounds(
    difference: Difference, low: float, high: float, margin: float, alpha: float, *, higher_is_better: bool
) -> GuardrailResult:
    """Read the two bounds; the p-values are those at which the bounds, their arms rescaled, reach the margin."""
    value = difference.estimate if higher_is_better else -difference.estimate
    down, up = (low, high) if higher_is_better else (-high, -low)
    df = difference.df if difference.df == difference.df else inf
    critical = one_sided_critical_value(1 - alpha, df)

    def beyond(arm: float, distance: float) -> float:
        if arm <= 0:
            return 0.0 if distance > 0 else 1.0
        t = distance * critical / arm
        return float(norm_sf(t) if df == inf else t_sf(t, df))

    worst = down if higher_is_better else -down
    p_safe, p_harm = beyond(value - down, value + margin), beyond(up - value, -margin - value)
    return _result(p_safe, p_harm, margin, worst, alpha, safe=down > -margin, harm=up < -margin)


def _result(
    p_safe: float, p_harm: float, margin: float, worst: float, alpha: float, *, safe: bool, harm: bool
) -> GuardrailResult:
    status: Literal["safe", "harm", "inconclusive"] = "inconclusive"
    if safe:
        status, text = "safe", f"harm beyond {margin:g} is ruled out"
    elif harm:
        status, text = "harm", f"harm is beyond {margin:g}"
    else:
        text = f"harm beyond {margin:g} is neither shown nor ruled out"
    reason = f"{text} (bound {worst:+.3g} at one-sided confidence {100 * (1 - alpha):g}%)"
    return GuardrailResult(status=status, p_safe=p_safe, p_harm=p_harm, margin=margin, worst=worst, reason=reason)
