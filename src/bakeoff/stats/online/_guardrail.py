"""Guardrails: is a metric shown not to be harmed by more than a margin?"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isnan, nan
from typing import TYPE_CHECKING, Literal

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import check_alpha
from bakeoff.stats.core._dist import norm_sf, one_sided_critical_value, t_sf

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
    value = difference.estimate if higher_is_better else -difference.estimate
    se, df = difference.se, difference.df
    if isnan(value) or isnan(se) or se <= 0:
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
    status: Literal["safe", "harm", "inconclusive"] = "inconclusive"
    if p_safe <= alpha:
        status, text = "safe", f"harm beyond {margin:g} is ruled out"
    elif p_harm <= alpha:
        status, text = "harm", f"harm is beyond {margin:g}"
    else:
        text = f"harm beyond {margin:g} is neither shown nor ruled out"
    reason = f"{text} (bound {worst:+.3g} at one-sided confidence {1 - alpha:.0%})"
    return GuardrailResult(status=status, p_safe=p_safe, p_harm=p_harm, margin=margin, worst=worst, reason=reason)
