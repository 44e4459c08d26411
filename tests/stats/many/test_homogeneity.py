from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from bakeoff.errors import StatsError
from bakeoff.stats import chi_square_homogeneity


@given(st.lists(st.tuples(st.integers(1, 400), st.integers(1, 400)), min_size=2, max_size=6))
def test_agrees_with_scipy(rows: list[tuple[int, int]]) -> None:
    ours = chi_square_homogeneity(rows)
    theirs = scipy_stats.chi2_contingency(np.array(rows), correction=False)
    assert ours.statistic == pytest.approx(theirs.statistic, rel=1e-9, abs=1e-9)
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-7, abs=1e-12)


def test_empty_columns_are_not_estimable() -> None:
    result = chi_square_homogeneity([[0, 10], [0, 20]])
    assert np.isnan(result.p_value)
    assert result.reason == "fewer than two groups or outcomes occur"


def test_refuses_negative_counts() -> None:
    with pytest.raises(StatsError, match="at least 0"):
        chi_square_homogeneity([[1, -1], [2, 3]])
