"""Sample-ratio mismatch: did traffic arrive in the planned shares?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import nan
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import as_vector, check_alpha
from bakeoff.stats.core._dist import chi2_sf
from bakeoff.stats.core._result import TestResult

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]


__all__ = ["SrmResult", "srm_test"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SrmResult(TestResult):
    """Chi-square test of the traffic split against its plan."""

    mismatch: bool | None = None
    """Whether the split is wrong at `alpha`; `None` if not estimable. Verdicts must wait when it is."""
    alpha: float = 0.001
    shares: tuple[float, ...] = ()
    """Observed shares, in the order of the counts."""
    planned: tuple[float, ...] = ()


def srm_test(counts: ArrayLike, planned: ArrayLike | None = None, *, alpha: float = 0.001) -> SrmResult:
    """Test whether traffic was split as planned (sample-ratio mismatch).

    Pearson chi-square over variants (Fabijan et al. 2019). One look only: for a test that may be read at any time use
    the sequential one. Count randomised units, not requests. A mismatch means the assignment or the logging is broken
    and no comparison can be trusted.

    Args:
        counts: Units per variant.
        planned: Planned shares, any positive scale; equal when not given.
        alpha: Alarm level, small since every experiment is tested.

    Returns:
        The test with observed and planned shares.

    Raises:
        StatsError: If a count is negative or not whole, or a planned share is not positive.

    Examples:
        >>> result = srm_test([821_588, 815_482])
        >>> f"{result.p_value:.1e}", result.mismatch
        ('1.8e-06', True)
    """
    alpha = check_alpha(alpha)
    observed = as_vector(counts, "counts")
    if np.isnan(observed).any() or (observed < 0).any() or (observed != np.floor(observed)).any():
        raise StatsError(f"counts must be whole numbers of at least 0, got {observed.tolist()!r}")
    plan = np.ones(len(observed)) if planned is None else as_vector(planned, "planned", length=len(observed))
    if not (plan > 0).all():
        raise StatsError(f"planned shares must be positive, got {plan.tolist()!r}")
    total, plan = float(observed.sum()), plan / plan.sum()
    result = SrmResult(p_value=nan, n=int(total), method="srm_chi2", alpha=alpha, planned=tuple(plan.tolist()))
    if len(observed) < 2 or total == 0:
        return replace(result, reason="needs at least two variants and one unit")
    expected = total * plan
    statistic = float(((observed - expected) ** 2 / expected).sum())
    p = float(chi2_sf(statistic, len(observed) - 1))
    few = ("fewer than 5 units expected in a variant: the chi-square is rough",) * bool((expected < 5).any())
    return replace(
        result,
        p_value=p,
        statistic=statistic,
        df=float(len(observed) - 1),
        mismatch=p < alpha,
        shares=tuple((observed / total).tolist()),
        warnings=few,
    )
