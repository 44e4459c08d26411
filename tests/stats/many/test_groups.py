"""Tests of several groups against tables and other libraries: Dunnett, Tukey, Cochran, Friedman, Nemenyi."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from scipy import stats
from tests.stats.reference.known import BLOOD

from bakeoff.errors import StatsError
from bakeoff.stats import (
    cochran_q,
    dunnett,
    friedman,
    tukey,
)
from bakeoff.stats.core._mvt import max_t_cdf, studentized_range_cdf, studentized_range_ppf


def test_dunnett_blood_counts():
    result = dunnett(BLOOD, baseline="control")
    assert [one.p_adjusted for one in result.comparisons] == pytest.approx([0.62004941, 0.0058889], abs=2e-4)
    # Dunnett (1955): 95 % limits from 0.84 above to 4.42 for drug B (rounded to two digits)
    assert result.get("drug B").low == pytest.approx(0.84, abs=0.01)
    assert result.get("drug B").high == pytest.approx(4.42, abs=0.01)


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_dunnett_of_scipy(alternative):
    expected = stats.dunnett(
        *(BLOOD[name] for name in ("drug A", "drug B")), control=BLOOD["control"], alternative=alternative, rng=1
    )
    result = dunnett(BLOOD, baseline="control", alternative=alternative)
    assert [one.p_adjusted for one in result.comparisons] == pytest.approx(expected.pvalue.tolist(), abs=3e-4)
    limits = expected.confidence_interval()
    np.testing.assert_allclose([one.low for one in result.comparisons], limits.low, atol=5e-3)
    np.testing.assert_allclose([one.high for one in result.comparisons], limits.high, atol=5e-3)


# Dunnett (1964), two-sided 5 %, 10 df: 2.57, 2.76, 2.89; Dunnett (1955), one-sided 5 %, infinite df: 1.92, 2.06, 2.16
@pytest.mark.parametrize(
    ("k", "df", "two_sided", "point"),
    [
        (2, 10, True, 2.57),
        (3, 10, True, 2.76),
        (4, 10, True, 2.89),
        (2, math.inf, False, 1.92),
        (3, math.inf, False, 2.06),
        (4, math.inf, False, 2.16),
    ],
)
def test_dunnett_tables(k, df, two_sided, point):
    loadings = np.full(k, math.sqrt(0.5))
    assert max_t_cdf(point - 0.006, loadings, df=df, two_sided=two_sided) < 0.95
    assert max_t_cdf(point + 0.006, loadings, df=df, two_sided=two_sided) > 0.95


# Studentized range, upper 5 % points (Pearson & Hartley, Biometrika Tables, table 29; Harter 1960)
@pytest.mark.parametrize(
    ("k", "df", "point"),
    [(3, 10, 3.88), (4, 20, 3.96), (5, math.inf, 3.86), (10, math.inf, 4.47), (3, 2, 8.33), (2, 5, 3.64)],
)
def test_studentized_range_tables(k, df, point):
    assert studentized_range_ppf(0.95, k, df) == pytest.approx(point, abs=0.0051)


@pytest.mark.parametrize(("q", "k", "df"), [(2.5, 3, 7), (4.1, 6, 30), (5.0, 20, 100)])
def test_studentized_range_of_scipy(q, k, df):
    assert studentized_range_cdf(q, k, df) == pytest.approx(stats.studentized_range.cdf(q, k, df), abs=1e-8)


def test_tukey_of_sas():
    # SAS example quoted in scipy's documentation of tukey_hsd; R 4.2.2: TukeyHSD(aov(y ~ f)) gives the same
    groups = {
        "0": [24.5, 23.5, 26.4, 27.1, 29.9],
        "1": [28.4, 34.2, 29.5, 32.2, 30.1],
        "2": [26.1, 28.3, 24.3, 26.2, 27.8],
    }
    result = tukey(groups)
    first, second, third = result.get("1", "0"), result.get("2", "0"), result.get("2", "1")
    assert [first.p_adjusted, second.p_adjusted, third.p_adjusted] == pytest.approx([0.014, 0.980, 0.020], abs=6e-4)
    assert (first.low, first.high) == (pytest.approx(0.951, abs=6e-4), pytest.approx(8.249, abs=6e-4))
    assert (second.low, second.high) == (pytest.approx(-3.389, abs=6e-4), pytest.approx(3.909, abs=6e-4))
    assert (third.low, third.high) == (pytest.approx(-7.989, abs=6e-4), pytest.approx(-0.691, abs=6e-4))


def test_tukey_kramer_of_scipy():
    expected = stats.tukey_hsd(*BLOOD.values())
    result = tukey(BLOOD)
    for (i, a), (j, b) in combinations(enumerate(BLOOD), 2):
        assert result.get(b, a).p_adjusted == pytest.approx(expected.pvalue[i, j], abs=1e-8)


def test_groups_degenerate():
    flat = dunnett({"a": [1.0, 1.0], "b": [2.0, 2.0]}, baseline="a").comparisons[0]
    assert math.isnan(flat.p_adjusted)
    assert "vary" in flat.reason
    single = tukey({"a": [1.0], "b": [2.0]})
    assert "two items" in single.reason
    absent = dunnett({"a": [1.0, 2.0], "b": [math.nan], "c": [2.0, 4.0]}, baseline="a")
    assert math.isnan(absent.get("b").p_adjusted)
    assert absent.get("c").p_adjusted == pytest.approx(absent.get("c").p_value, abs=1e-8)


# --- Cochran and Friedman ------------------------------------------------------------------------


def test_cochran_q_of_statsmodels():
    from statsmodels.stats.contingency_tables import cochrans_q

    x = (np.random.default_rng(10).random((40, 4)) < [0.4, 0.5, 0.6, 0.7]).astype(float)
    expected = cochrans_q(x)
    result = cochran_q({f"v{j}": x[:, j] for j in range(4)})
    assert result.statistic == pytest.approx(float(expected.statistic))
    assert result.p_value == pytest.approx(float(expected.pvalue))


def test_cochran_q_of_two_variants_is_mcnemar():
    # McNemar (1947): (b - c)^2 / (b + c), here b = 10, c = 3
    a = np.r_[np.ones(10), np.zeros(3), np.ones(20)]
    b = np.r_[np.zeros(10), np.ones(3), np.ones(20)]
    assert cochran_q({"a": a, "b": b}).statistic == pytest.approx(49 / 13)


def test_cochran_q_degenerate():
    assert cochran_q({"a": [1.0, 0.0], "b": [1.0, 0.0]}).p_value == 1.0
    assert math.isnan(cochran_q({"a": [math.nan], "b": [1.0]}).p_value)
    with pytest.raises(StatsError, match="0 or 1"):
        cochran_q({"a": [0.5], "b": [1.0]})


# Demsar (2006), JMLR 7, table 6: AUC of four algorithms on 14 data sets. On "voting" the last two both print
# as .975 but are ranked 2 and 3, so the last is entered a hair lower.
DEMSAR = {
    "C4.5": [0.763, 0.599, 0.954, 0.628, 0.882, 0.936, 0.661, 0.583, 0.775, 1.0, 0.940, 0.619, 0.972, 0.957],
    "C4.5+m": [0.768, 0.591, 0.971, 0.661, 0.888, 0.931, 0.668, 0.583, 0.838, 1.0, 0.962, 0.666, 0.981, 0.978],
    "C4.5+cf": [0.771, 0.590, 0.968, 0.654, 0.886, 0.916, 0.609, 0.563, 0.866, 1.0, 0.965, 0.614, 0.975, 0.946],
    "C4.5+m+cf": [0.798, 0.569, 0.967, 0.657, 0.898, 0.931, 0.685, 0.625, 0.875, 1.0, 0.962, 0.669, 0.9749, 0.970],
}


def test_friedman_of_demsar():
    result = friedman(DEMSAR)
    # printed average ranks 3.143, 2.000, 2.893, 1.964; CD 1.25 at .05 and 1.12 at .10
    assert list(result.average_ranks.values()) == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=6e-4)
    assert result.critical_difference == pytest.approx(1.25, abs=0.005)
    assert friedman(DEMSAR, alpha=0.1).critical_difference == pytest.approx(1.12, abs=0.005)
    # tie-corrected as in R and scipy (10.23); Demsar prints the uncorrected 9.28
    expected = stats.friedmanchisquare(*DEMSAR.values())
    assert result.chi2 == pytest.approx(float(expected.statistic))
    assert result.chi2 == pytest.approx(10.23, abs=0.005)
    assert result.chi2_p_value == pytest.approx(float(expected.pvalue))
    n, k = 14, 4
    assert result.statistic == pytest.approx((n - 1) * result.chi2 / (n * (k - 1) - result.chi2))


# Demsar (2006), table 5a: q_.05 / sqrt(2) for 2 to 10 classifiers; R 4.2.2: qtukey(0.95, 2:10, Inf) / sqrt(2)
@pytest.mark.parametrize(
    ("k", "q"),
    [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (6, 2.850), (7, 2.949), (8, 3.031), (9, 3.102), (10, 3.164)],
)
def test_nemenyi_critical_values(k, q):
    assert studentized_range_ppf(0.95, k) / math.sqrt(2) == pytest.approx(q, abs=1.1e-3)


def test_friedman_degenerate():
    assert friedman({"a": [1.0, 2.0], "b": [1.0, 2.0]}).p_value == 1.0
    assert math.isnan(friedman({"a": [1.0], "b": [2.0]}).p_value)
    alike = friedman({"a": [1.0, 2.0, 3.0], "b": [2.0, 3.0, 4.0]})
    assert 0 < alike.p_value < 1
    assert "unbounded" in alike.reason
