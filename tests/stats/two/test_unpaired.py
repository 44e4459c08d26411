from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import minimize_scalar
from statsmodels.stats.proportion import confint_proportions_2indep

from bakeoff.errors import StatsError
from bakeoff.stats import (
    equivalence_of_proportions,
    permutation_test,
    proportion_difference,
    two_proportion_test,
    welch,
    welch_test,
)

# Student's sleep data as two groups (R data set `sleep`).
DRUG_1 = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
DRUG_2 = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]


@pytest.mark.parametrize(
    ("x1", "n1", "x2", "n2", "low", "high"),
    [
        # Newcombe (1998), Statistics in Medicine 17:873-890, table II, method 10; R Epi 2.47 gives the same:
        # ci.pd(56, 48, 14, 32, method = "Nc").
        (56, 70, 48, 80, 0.0524, 0.3339),
        (9, 10, 3, 10, 0.1705, 0.8090),
        (6, 7, 2, 7, 0.0582, 0.8062),
        (5, 56, 0, 29, -0.0381, 0.1926),
        (0, 10, 0, 20, -0.1611, 0.2775),
        (0, 10, 0, 10, -0.2775, 0.2775),
        (10, 10, 0, 20, 0.6791, 1.0),
        (10, 10, 0, 10, 0.6075, 1.0),
    ],
)
def test_newcombe_published(x1, n1, x2, n2, low, high):
    e = proportion_difference(x1, n1, baseline_successes=x2, baseline_n=n2)
    assert (e.low, e.high) == pytest.approx((low, high), abs=5.1e-5)


@pytest.mark.parametrize(
    ("x1", "n1", "x2", "n2", "low", "high"),
    [
        # Newcombe (1998), table II, method 6 (Miettinen-Nurminen); confirmed by score_by_optimisation below.
        (56, 70, 48, 80, 0.0528, 0.3382),
        (9, 10, 3, 10, 0.1700, 0.8406),
        (5, 56, 0, 29, -0.0326, 0.1933),
    ],
)
def test_miettinen_nurminen_published(x1, n1, x2, n2, low, high):
    e = proportion_difference(x1, n1, baseline_successes=x2, baseline_n=n2, method="miettinen_nurminen")
    assert (e.low, e.high) == pytest.approx((low, high), abs=5.1e-5)


# Independent oracle: statsmodels 0.15.
@pytest.mark.parametrize(("method", "name"), [("newcombe", "newcomb"), ("agresti_caffo", "agresti-caffo")])
@pytest.mark.parametrize(("x1", "n1", "x2", "n2"), [(7, 34, 1, 34), (45, 90, 30, 80), (12, 15, 3, 40)])
def test_intervals_against_statsmodels(method, name, x1, n1, x2, n2):
    e = proportion_difference(x1, n1, baseline_successes=x2, baseline_n=n2, method=method)
    expected = confint_proportions_2indep(x1, n1, x2, n2, method=name, compare="diff")
    assert (e.low, e.high) == pytest.approx(expected, abs=1e-6)


def score_by_optimisation(x1, n1, x2, n2, delta, *, correction):
    """Score statistic with the restricted likelihood maximised numerically.

    statsmodels 0.15.0 is no oracle here: its constrained rates are not the maximum (checked by this function).
    """

    def minus_log_likelihood(p2):
        p1 = p2 + delta
        terms = ((x1, p1), (n1 - x1, 1 - p1), (x2, p2), (n2 - x2, 1 - p2))
        return -sum(k * math.log(max(p, 1e-300)) for k, p in terms if k)

    bounds = (max(0.0, -delta), min(1.0, 1 - delta))
    p2 = minimize_scalar(minus_log_likelihood, bounds=bounds, method="bounded", options={"xatol": 1e-13}).x
    p1, n = p2 + delta, n1 + n2
    variance = (p1 * (1 - p1) / n1 + p2 * (1 - p2) / n2) * (n / (n - 1) if correction else 1)
    return (x1 / n1 - x2 / n2 - delta) / math.sqrt(variance)


@pytest.mark.parametrize(("x1", "n1", "x2", "n2"), [(7, 34, 1, 34), (45, 90, 30, 80), (12, 15, 3, 40)])
def test_miettinen_nurminen_inverts_the_score_test(x1, n1, x2, n2):
    e = proportion_difference(x1, n1, baseline_successes=x2, baseline_n=n2, method="miettinen_nurminen")
    for end, z in ((e.low, 1.959964), (e.high, -1.959964)):
        assert score_by_optimisation(x1, n1, x2, n2, end, correction=True) == pytest.approx(z, abs=1e-4)


@pytest.mark.parametrize(("x1", "n1", "x2", "n2"), [(83, 90, 69, 76), (40, 100, 45, 100), (19, 20, 15, 25)])
def test_farrington_manning_statistic(x1, n1, x2, n2):
    r = equivalence_of_proportions(x1, n1, baseline_successes=x2, baseline_n=n2, margin=0.1, goal="not_worse")
    assert r.statistic == pytest.approx(score_by_optimisation(x1, n1, x2, n2, -0.1, correction=False), abs=1e-6)


counts = st.tuples(st.integers(0, 60), st.integers(1, 60), st.integers(0, 60), st.integers(1, 60)).map(
    lambda t: (min(t[0], t[1]), t[1], min(t[2], t[3]), t[3])
)


@settings(max_examples=60)
@given(c=counts, method=st.sampled_from(["newcombe", "agresti_caffo", "miettinen_nurminen"]))
def test_interval_is_possible_symmetric_and_never_certain(c, method):
    x1, n1, x2, n2 = c
    e = proportion_difference(x1, n1, baseline_successes=x2, baseline_n=n2, method=method)
    m = proportion_difference(x2, n2, baseline_successes=x1, baseline_n=n1, method=method)
    assert -1 <= e.low < e.high <= 1
    assert (m.low, m.high) == pytest.approx((-e.high, -e.low), abs=1e-9)
    if method != "agresti_caffo":  # its centre is shrunken towards zero
        assert e.low - 1e-9 <= e.estimate <= e.high + 1e-9


@settings(max_examples=60)
@given(c=counts)
def test_score_interval_and_score_test_agree(c):
    x1, n1, x2, n2 = c
    e = proportion_difference(x1, n1, baseline_successes=x2, baseline_n=n2, method="miettinen_nurminen")
    p = two_proportion_test(x1, n1, baseline_successes=x2, baseline_n=n2, method="score").p_value
    if 0 < x1 + x2 < n1 + n2 and abs(p - 0.05) > 1e-6:
        assert (e.low > 0 or e.high < 0) == (p < 0.05)


def test_fisher_lady_tasting_tea():
    # Fisher (1935), chapter 2; R 4.2.2: fisher.test(matrix(c(3, 1, 1, 3), 2)) 0.4857, alternative = "greater" 0.2429.
    assert two_proportion_test(3, 4, baseline_successes=1, baseline_n=4, method="fisher").p_value == pytest.approx(
        0.4857, abs=5e-5
    )
    greater = two_proportion_test(3, 4, baseline_successes=1, baseline_n=4, method="fisher", alternative="greater")
    assert greater.p_value == pytest.approx(0.2429, abs=5e-5)


def test_fisher_convictions():
    # Fisher (1962); R 4.2.2: fisher.test(matrix(c(2, 10, 15, 3), 2)) 0.0005367, alternative = "less" 0.0004652.
    kw = {"baseline_successes": 10, "baseline_n": 13, "method": "fisher"}
    assert two_proportion_test(2, 17, alternative="less", **kw).p_value == pytest.approx(0.0004652, abs=5e-8)
    assert two_proportion_test(2, 17, **kw).p_value == pytest.approx(0.0005367, abs=5e-8)


@settings(max_examples=25, deadline=None)
@given(c=counts, alternative=st.sampled_from(["two-sided", "greater", "less"]))
def test_fisher_against_scipy(c, alternative):
    x1, n1, x2, n2 = c
    if x1 + x2 in (0, n1 + n2):
        return
    expected = stats.fisher_exact([[x1, n1 - x1], [x2, n2 - x2]], alternative=alternative).pvalue
    got = two_proportion_test(
        x1, n1, baseline_successes=x2, baseline_n=n2, method="fisher", alternative=alternative
    ).p_value
    assert got == pytest.approx(expected, rel=1e-6)


def test_fisher_on_every_small_table():
    for x1 in range(10):
        for x2 in range(14):
            if 0 < x1 + x2 < 22:
                expected = stats.fisher_exact([[x1, 9 - x1], [x2, 13 - x2]]).pvalue
                got = two_proportion_test(x1, 9, baseline_successes=x2, baseline_n=13, method="fisher").p_value
                assert got == pytest.approx(expected, rel=1e-9), (x1, x2)


@pytest.mark.parametrize(("x1", "n1", "x2", "n2"), [(7, 12, 1, 13), (74, 117, 31, 63), (3, 10, 9, 11), (0, 8, 4, 9)])
@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_boschloo_against_scipy(x1, n1, x2, n2, alternative):
    expected = stats.boschloo_exact([[x1, x2], [n1 - x1, n2 - x2]], alternative=alternative, n=128).pvalue
    got = two_proportion_test(
        x1, n1, baseline_successes=x2, baseline_n=n2, method="boschloo", alternative=alternative
    ).p_value
    assert got == pytest.approx(expected, abs=2e-4)


@settings(max_examples=20, deadline=None)
@given(c=counts)
def test_boschloo_is_never_less_powerful_than_fisher(c):
    x1, n1, x2, n2 = c
    one_sided = {"baseline_successes": x2, "baseline_n": n2, "alternative": "greater"}
    boschloo = two_proportion_test(x1, n1, method="boschloo", **one_sided).p_value
    assert boschloo <= two_proportion_test(x1, n1, method="fisher", **one_sided).p_value + 1e-9


def test_score_test_is_the_n_minus_one_chi_square():
    # Campbell (2007), Statistics in Medicine 26:3661-3675: Pearson's chi-square times (N-1)/N.
    chi2 = stats.chi2_contingency([[56, 14], [48, 32]], correction=False).statistic
    got = two_proportion_test(56, 70, baseline_successes=48, baseline_n=80)
    assert got.method == "score"
    assert got.statistic**2 == pytest.approx(chi2 * 149 / 150)


def test_tiny_counts_go_to_fisher():
    assert two_proportion_test(1, 20, baseline_successes=0, baseline_n=20).method == "fisher"


def test_welch_published():
    # R 4.2.2: t.test(extra ~ group, data = sleep): t = -1.8608, df = 17.776, p = 0.07939.
    e, t = welch(DRUG_1, DRUG_2), welch_test(DRUG_1, DRUG_2)
    assert (e.low, e.high) == pytest.approx((-3.3654832, 0.2054832), abs=5e-8)
    assert (t.statistic, t.df, t.p_value) == pytest.approx((-1.8608, 17.776, 0.07939), abs=5e-4)


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_welch_against_scipy(alternative):
    rng = np.random.default_rng(1)
    a, b = rng.normal(0, 1, 20), rng.normal(0.5, 3, 33)
    expected = stats.ttest_ind(a, b, equal_var=False, alternative=alternative)
    got = welch_test(a, b, alternative=alternative)
    assert (got.statistic, got.p_value) == pytest.approx((expected.statistic, expected.pvalue))


@pytest.mark.parametrize("discrete", [True, False])
def test_permutation_is_close_to_welch_on_plenty_of_data(discrete):
    rng = np.random.default_rng(2)
    a, b = rng.normal(0.35, 1, 80), rng.normal(0, 1, 90)
    if discrete:
        a, b = a.round(), b.round()
    p, w = permutation_test(a, b).p_value, welch_test(a, b).p_value
    assert p == pytest.approx(w, abs=0.012)
    assert permutation_test(b, a, alternative="less").p_value == pytest.approx(
        permutation_test(a, b, alternative="greater").p_value, abs=0.01
    )


def test_permutation_by_enumeration():
    from itertools import combinations

    a, b = np.array([3.0, 5.0, 4.5, 6.0]), np.array([1.0, 2.5, 4.0, 2.0, 3.5])
    pooled = np.concatenate([a, b])

    def t(index):
        x, y = pooled[list(index)], np.delete(pooled, list(index))
        return (x.mean() - y.mean()) / math.sqrt(x.var(ddof=1) / x.size + y.var(ddof=1) / y.size)

    observed = abs(t(range(4)))
    exact = np.mean([abs(t(c)) >= observed - 1e-12 for c in combinations(range(9), 4)])
    assert permutation_test(a, b, resamples=49_999).p_value == pytest.approx(exact, abs=0.004)


def test_degenerate():
    assert math.isnan(proportion_difference(0, 0, baseline_successes=1, baseline_n=2).estimate)
    assert math.isnan(two_proportion_test(0, 0, baseline_successes=1, baseline_n=2).p_value)
    assert two_proportion_test(5, 5, baseline_successes=7, baseline_n=7).p_value == 1
    assert math.isnan(welch([1.0], [2.0, 3.0]).low)
    assert math.isnan(welch([1.0, 1.0], [1.0, 1.0]).low)
    assert welch([], [1.0]).reason
    assert math.isnan(permutation_test([1.0], [2.0]).p_value)
    assert permutation_test([1.0, 1.0], [1.0, 1.0]).p_value == 1


@pytest.mark.parametrize(
    "call",
    [
        lambda: proportion_difference(3, 2, baseline_successes=1, baseline_n=2),
        lambda: proportion_difference(1, 2, baseline_successes=1, baseline_n=2, method="wald"),
        lambda: two_proportion_test(1, 2, baseline_successes=1, baseline_n=2, method="barnard"),
        lambda: two_proportion_test(1, 2000, baseline_successes=1, baseline_n=2000, method="boschloo"),
        lambda: permutation_test([1.0, 2.0], [1.0, 3.0], resamples=3),
        lambda: welch([math.inf, 1.0], [1.0, 2.0]),
    ],
)
def test_bad_input_is_explained(call):
    with pytest.raises(StatsError):
        call()
