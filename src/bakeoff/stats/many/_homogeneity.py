"""Do several groups fail at the same rate?"""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._dist import chi2_sf
from bakeoff.stats.core._result import TestResult

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["chi_square_homogeneity"]


def chi_square_homogeneity(counts: ArrayLike) -> TestResult:
    """Test whether the rows of a table have the same distribution over its columns.

    Pearson's X^2 = sum (observed - expected)^2 / expected on (rows - 1)(columns - 1) degrees of freedom, with
    expected counts from the margins. Used to compare failure rates of variants.

    Args:
        counts: Shape (groups, outcomes), whole numbers of at least 0.

    Returns:
        Test result; `nan` with a reason when fewer than two groups or outcomes occur.

    Raises:
        StatsError: The table is not two-dimensional or holds a negative count.

    Examples:
        >>> round(chi_square_homogeneity([[10, 90], [30, 70]]).p_value, 5)
        0.00041
    """
    table = np.asarray(counts, dtype=np.float64)
    if table.ndim != 2 or not np.isfinite(table).all() or (table < 0).any():
        raise StatsError(f"counts must be a table of numbers of at least 0, got shape {table.shape}")
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    total = table.sum()
    if min(table.shape, default=0) < 2:
        reason = "fewer than two groups or outcomes occur"
        return TestResult(p_value=nan, n=int(total), method="chi_square_homogeneity", reason=reason)
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / total
    statistic = float(((table - expected) ** 2 / expected).sum())
    df = (table.shape[0] - 1) * (table.shape[1] - 1)
    warnings = ("some expected counts are below 5: the p-value is rough",) if (expected < 5).any() else ()
    return TestResult(
        p_value=float(chi2_sf(statistic, df)),
        statistic=statistic,
        df=df,
        n=int(total),
        method="chi_square_homogeneity",
        warnings=warnings,
    )
