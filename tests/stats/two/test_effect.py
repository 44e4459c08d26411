from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import brentq
from statsmodels.stats.contingency_tables import Table2x2
from statsmodels.stats.meta_analysis import effectsize_smd
from statsmodels.stats.proportion import proportion_effectsize

from bakeoff.errors import StatsError
from bakeoff.stats import cliffs_delta, cohen_d, cohen_dav, cohen_dz, cohen_h, hedges_g, odds_ratio, vargha_delaney

DARWIN = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]


def normal_sample(seed=0, n1=18, n2=25):
    rng = np.random.default_rng(seed)
    return rng.normal(0.7, 1, n1), rng.normal(0, 1.2, n2)


def test_cohen_d_interval_inverts_the_noncentral_t():
    # Independent oracle: scipy.stats.nct, root found with brentq (Cumming & Finch 2001).
    a, b = normal_sample()
    t = stats.ttest_ind(a, b).statistic
    root = math.sqrt(18 * 25 / 43)
    e = cohen_d(a, b)
    assert e.estimate == pytest.approx(t / root)
    for end, q in ((e.low, 0.975), (e.high, 0.025)):
        expected = brentq(lambda nc, q=q: stats.nct.cdf(t, 41, nc) - q, -10, 15)
        assert end * root == pytest.approx(expected, abs=1e-6)


def test_hedges_g_against_statsmodels():
    a, b = normal_sample(1)
    expected = effectsize_smd(a.mean(), a.std(ddof=1), a.size, b.mean(), b.std(ddof=1), b.size)[0]
    assert hedges_g(a, b).estimate == pytest.approx(expected, rel=2e-4)  # statsmodels uses J ~ 1 - 3/(4 df - 1)


def test_hedges_correction_published():
    # Hedges (1981), J. Educ. Stat. 6:107-128, table of c(m): c(2) = 0.5642, c(10) = 0.9227, c(20) = 0.9619;
    # R 4.2.2: exp(lgamma(m / 2) - log(sqrt(m / 2)) - lgamma((m - 1) / 2)).
    for df, j in ((2, 0.5642), (10, 0.9227), (20, 0.9619)):
        a = np.arange(df / 2 + 1, dtype=float)
        d, g = cohen_d(a + 1, a), hedges_g(a + 1, a)
        assert g.estimate / d.estimate == pytest.approx(j, abs=5e-5)


def test_cohen_dz_is_t_over_root_n():
    e = cohen_dz(DARWIN)
    t = stats.ttest_1samp(DARWIN, 0).statistic
    assert e.estimate == pytest.approx(t / math.sqrt(15))
    expected = brentq(lambda nc: stats.nct.cdf(t, 14, nc) - 0.975, -5, 10) / math.sqrt(15)
    assert e.low == pytest.approx(expected, abs=1e-7)


def test_dz_interval_excludes_zero_exactly_when_t_rejects():
    for seed in range(30):
        x = np.random.default_rng(seed).normal(0.4, 1, 20)
        e = cohen_dz(x)
        assert (e.low > 0 or e.high < 0) == (stats.ttest_1samp(x, 0).pvalue < 0.05)


def test_dav_by_hand_and_coverage():
    a, b = np.array([5.0, 6.0, 8.0, 8.0]), np.array([3.0, 5.0, 5.0, 6.0])
    assert cohen_dav(a, b).estimate == pytest.approx(2 / math.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2))
    # Simulated coverage of the Bonett (2008) interval, true d_av = 0.5, correlation 0.6, n = 40.
    rng = np.random.default_rng(5)
    shared = rng.normal(size=(1000, 40)) * math.sqrt(0.6)
    x = 0.5 + shared + rng.normal(size=(1000, 40)) * math.sqrt(0.4)
    y = shared + rng.normal(size=(1000, 40)) * math.sqrt(0.4)
    hits = np.mean([e.low <= 0.5 <= e.high for e in (cohen_dav(i, j) for i, j in zip(x, y, strict=True))])
    assert hits == pytest.approx(0.95, abs=0.025)


def test_cohen_h_published():
    # Cohen (1988), section 6.2: phi(.65) - phi(.50) = 1.875 - 1.571; statsmodels proportion_effectsize.
    e = cohen_h(65, 100, baseline_successes=50, baseline_n=100)
    assert e.estimate == pytest.approx(0.304, abs=1e-3)
    assert e.estimate == pytest.approx(proportion_effectsize(0.65, 0.5))


def test_odds_ratio_published():
    # Physicians' Health Study, Agresti (2013), Categorical Data Analysis, section 2.2: 189/11034 against 104/11037,
    # odds ratio 1.832, Woolf interval (1.440, 2.331); R 4.2.2: exp(log(or) + c(-1, 1) * 1.96 * sqrt(sum(1 / table))).
    e = odds_ratio(189, 11034, baseline_successes=104, baseline_n=11037)
    assert e.estimate == pytest.approx(1.832, abs=5e-4)
    assert (e.low, e.high) == pytest.approx((1.440, 2.331), abs=0.01)


def test_odds_ratio_interval_is_woolf_plus_a_half():
    # Independent oracle: statsmodels Table2x2 on the table with 1/2 added to each cell.
    e = odds_ratio(12, 30, baseline_successes=5, baseline_n=28)
    expected = Table2x2(np.array([[12.5, 18.5], [5.5, 23.5]])).oddsratio_confint()
    assert (e.low, e.high) == pytest.approx(expected)


def test_cliffs_delta_published():
    # R package effsize, its own tests: cliff.delta(treatment, control, use.unbiased = F, use.normal = T) prints
    # -0.25 (-0.7265846, 0.3890062).
    treatment, control = [10, 10, 20, 20, 20, 30, 30, 30, 40, 50], [10, 20, 30, 40, 40, 50]
    e = cliffs_delta(treatment, control)
    assert e.estimate == pytest.approx(-0.25)
    assert (e.low, e.high) == pytest.approx((-0.7265846, 0.3890062), abs=5e-8)


@given(a=st.lists(st.integers(1, 5), min_size=2, max_size=12), b=st.lists(st.integers(1, 5), min_size=2, max_size=12))
def test_cliffs_delta_by_counting_pairs(a, b):
    expected = np.mean([np.sign(x - y) for x in a for y in b])
    e, mirrored, superiority = cliffs_delta(a, b), cliffs_delta(b, a), vargha_delaney(a, b)
    assert e.estimate == pytest.approx(expected)
    assert -1 <= e.low < e.high <= 1
    assert e.low - 1e-12 <= e.estimate <= e.high + 1e-12
    assert (mirrored.low, mirrored.high) == pytest.approx((-e.high, -e.low))
    mann_whitney = stats.mannwhitneyu(a, b).statistic / (len(a) * len(b))
    assert superiority.estimate == pytest.approx(mann_whitney)


@settings(max_examples=50)
@given(scale=st.floats(1e-6, 1e6), shift=st.floats(-100, 100), seed=st.integers(0, 99))
def test_standardised_effects_ignore_units(scale, shift, seed):
    a, b = normal_sample(seed)
    for function in (cohen_d, hedges_g, cliffs_delta):
        assert function(a * scale + shift, b * scale + shift).estimate == pytest.approx(
            function(a, b).estimate, rel=1e-3, abs=1e-3
        )


def test_degenerate():
    for e in (cohen_d([1.0], [2.0]), cohen_d([1.0, 1.0], [1.0, 1.0]), cohen_dz([0.3] * 5), cohen_dav([1.0], [2.0])):
        assert math.isnan(e.estimate)
        assert e.reason
    assert odds_ratio(0, 5, baseline_successes=0, baseline_n=5).reason
    assert odds_ratio(5, 5, baseline_successes=0, baseline_n=5).high == math.inf
    assert math.isnan(cohen_h(0, 0, baseline_successes=0, baseline_n=5).estimate)
    assert math.isnan(cliffs_delta([], [1.0]).estimate)
    apart = cliffs_delta([5.0] * 4, [1.0] * 4)
    assert apart.estimate == 1
    assert apart.low < 0.5
    for scale in (1e-200, 1e90):
        x, y = np.array([1.0, 2.0, 4.0]) * scale, np.array([1.0, 3.0, 2.0]) * scale
        for e in (cohen_d(x, y), cohen_dz(x - y), cohen_dav(x, y), hedges_g(x, y), cliffs_delta(x, y)):
            assert math.isnan(e.low) or e.low < e.high
    with pytest.raises(StatsError):
        cohen_dav([1.0, 2.0], [1.0])
