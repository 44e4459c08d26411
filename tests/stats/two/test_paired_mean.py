from __future__ import annotations

import math
import time
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bakeoff.errors import StatsError
from bakeoff.stats import PairedTable, hodges_lehmann, mcnemar, one_sample_t, sign_flip, wilcoxon

DARWIN = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
SLEEP = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
# Hollander & Wolfe (1973), 29f, Hamilton depression scale: R, ?wilcox.test.
DEPRESSION = np.array([1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30]) - np.array(
    [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]
)
# Demsar (2006), JMLR 7:1-30, table 2: AUC of C4.5+m minus C4.5 on 14 data sets.
DEMSAR = np.array(
    [0.768, 0.591, 0.971, 0.661, 0.888, 0.931, 0.668, 0.583, 0.838, 1.000, 0.962, 0.666, 0.981, 0.978]
) - np.array([0.763, 0.599, 0.954, 0.628, 0.882, 0.936, 0.661, 0.583, 0.775, 1.000, 0.940, 0.619, 0.972, 0.957])

small = st.lists(st.integers(-6, 6), min_size=1, max_size=9)


def test_fisher_sign_flip_of_darwin():
    # Fisher (1935), The Design of Experiments, section 21: 1726 of 32768 arrangements (863 in each tail).
    assert sign_flip(DARWIN).p_value == pytest.approx(1726 / 32768)
    assert sign_flip(DARWIN, alternative="greater").p_value == pytest.approx(863 / 32768)


def test_paired_t_published():
    assert one_sample_t(DARWIN).p_value == pytest.approx(
        0.0497, abs=5e-5
    )  # Fisher (1935), t = 2.148; R 4.2.2: t.test(darwin)
    assert one_sample_t(SLEEP).statistic == pytest.approx(4.0621, abs=5e-5)  # R 4.2.2: t.test(sleep2 - sleep1)
    assert one_sample_t(SLEEP).p_value == pytest.approx(0.002833, abs=5e-7)


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_t_against_scipy(alternative):
    x = np.random.default_rng(0).normal(0.3, 1, 31)
    expected = stats.ttest_1samp(x, 0, alternative=alternative)
    got = one_sample_t(x, alternative=alternative)
    assert (got.statistic, got.p_value) == pytest.approx((expected.statistic, expected.pvalue))


@settings(max_examples=40)
@given(values=small, alternative=st.sampled_from(["two-sided", "greater", "less"]))
def test_sign_flip_by_enumeration(values, alternative):
    x = np.array(values, dtype=float)
    sums = np.array([np.dot(signs, x) for signs in product((-1, 1), repeat=x.size)])
    s = x.sum()
    extreme = {"two-sided": np.abs(sums) >= abs(s), "greater": sums >= s, "less": sums <= s}[alternative]
    assert sign_flip(x, alternative=alternative).p_value == pytest.approx(extreme.mean())


@given(st.integers(0, 8), st.integers(0, 8), st.integers(0, 30), st.sampled_from(["two-sided", "greater", "less"]))
def test_mid_p_of_wins_and_losses_is_mcnemars(wins, losses, same, alternative):
    # Two ways to one number: flipping the signs of +1 and -1 is the binomial distribution of McNemar's test.
    d = [1.0] * wins + [-1.0] * losses + [0.0] * same
    table = PairedTable(both=same, candidate_only=wins, baseline_only=losses, neither=0)
    for mid_p, method in ((True, "midp"), (False, "exact")):
        expected = mcnemar(table, method=method, alternative=alternative).p_value
        if d and wins + losses:
            assert sign_flip(d, mid_p=mid_p, alternative=alternative).p_value == pytest.approx(expected)


def test_mid_p_of_drawn_patterns_approaches_the_enumeration():
    x = np.array([1.0, 1, 2, -1, 0, 1, 1, -2, 1, 1, 0, 1, 1, 2, 1, -1, 1, 1, 1, 1])  # 18 that differ
    patterns = np.array(np.meshgrid(*[[-1, 1]] * 9)).reshape(9, -1)
    left, right = x[x != 0][:9] @ patterns, x[x != 0][9:] @ patterns
    sums = np.abs(left[:, None] + right[None, :])
    exact = ((sums > abs(x.sum())).sum() + (sums == abs(x.sum())).sum() / 2) / sums.size
    assert sign_flip(x, mid_p=True, resamples=99_999).p_value == pytest.approx(exact, abs=0.001)


def test_random_sign_flips_approach_the_enumeration():
    x = np.random.default_rng(1).normal(0.4, 1, 18)
    sums = np.zeros(1)
    for value in x:
        sums = np.concatenate((sums + value, sums - value))
    exact = float(np.mean(np.abs(sums) >= abs(x.sum()) - 1e-12))
    p = sign_flip(x, resamples=99_999).p_value
    assert p == pytest.approx(exact, abs=4 * math.sqrt(exact / 99_999))


def test_random_sign_flips_never_give_zero():
    # (k + 1)/(B + 1): the observed pattern is one of the patterns (Phipson & Smyth 2010).
    assert sign_flip(np.ones(60)).p_value == pytest.approx(1 / 10_000)


def test_random_sign_flips_have_the_right_moments():
    x = np.random.default_rng(2).normal(0, 1, 501)
    from bakeoff.stats.two._paired_mean import _random_sums

    sums = _random_sums(x, 40_000, np.random.default_rng(3))
    scale = math.sqrt(float(x @ x))
    assert abs(sums.mean()) < 4 * scale / 200
    assert sums.std() == pytest.approx(scale, rel=0.015)


@settings(max_examples=40)
@given(values=small, zeros=st.sampled_from(["wilcox", "pratt"]), alternative=st.sampled_from(["two-sided", "greater"]))
def test_wilcoxon_by_enumeration(values, zeros, alternative):
    x = np.array(values, dtype=float)
    if zeros == "wilcox":
        x = x[x != 0]
    ranks = stats.rankdata(np.abs(x))[x != 0]
    x = x[x != 0]
    if not x.size:
        assert wilcoxon(values, zeros=zeros).p_value == 1
        return
    sums = np.array([np.dot(on, ranks) for on in product((0, 1), repeat=x.size)])
    w = ranks[x > 0].sum()
    upper, lower = (sums >= w - 1e-9).mean(), (sums <= w + 1e-9).mean()
    expected = upper if alternative == "greater" else min(1, 2 * min(upper, lower))
    got = wilcoxon(values, zeros=zeros, alternative=alternative)
    assert got.p_value == pytest.approx(expected)
    assert got.statistic == pytest.approx(w)


@pytest.mark.parametrize(
    ("values", "alternative", "statistic", "p"),
    [
        (DEPRESSION, "greater", 40, 0.01953),  # R 4.2.2: wilcox.test(x, y, paired = TRUE, alternative = "greater")
        (DEPRESSION, "two-sided", 40, 0.03906),
        (DARWIN, "two-sided", 96, 0.04126),  # R 4.2.2: wilcox.test(darwin), V = 96 without ties
    ],
)
def test_wilcoxon_published(values, alternative, statistic, p):
    got = wilcoxon(values, alternative=alternative)
    assert got.statistic == statistic
    assert got.p_value == pytest.approx(p, abs=5e-6)


def test_wilcoxon_with_ties_stays_exact():
    # Demsar's data have ties and zeros: common software falls back to a normal approximation, 0.0108;
    # exactRankTests 0.8.35: wilcox.exact(c45m, c45, paired = TRUE, exact = TRUE), 0.00732.
    assert wilcoxon(DEMSAR.round(3), zeros="wilcox").p_value == pytest.approx(0.0073, abs=5e-5)


@pytest.mark.parametrize("n", [12, 40])
def test_wilcoxon_against_scipy(n):
    x = np.random.default_rng(n).normal(0.3, 1, n)
    for alternative in ("two-sided", "greater", "less"):
        expected = stats.wilcoxon(x, alternative=alternative, method="exact").pvalue
        assert wilcoxon(x, alternative=alternative).p_value == pytest.approx(expected)


def test_large_wilcoxon_is_close_to_scipy_approximation():
    x = np.random.default_rng(9).normal(0.05, 1, 900).round(2)
    expected = stats.wilcoxon(x, method="approx", correction=False).pvalue
    assert wilcoxon(x).p_value == pytest.approx(expected, rel=1e-6)


def test_hodges_lehmann_published():
    # Hollander & Wolfe (1973), pages 29-33 and 35: depression scale, estimate -0.46; the 1 - 0.039 interval
    # runs from the 6th smallest to the 6th largest of the 45 averages; R 4.2.2: wilcox.test(x, y, paired = TRUE,
    # conf.int = TRUE) gives 0.46, 0.010 to 0.786.
    e = hodges_lehmann(DEPRESSION)
    assert e.estimate == pytest.approx(0.46, abs=1e-9)
    assert (e.low, e.high) == pytest.approx((0.010, 0.786), abs=1e-9)


@settings(max_examples=30)
@given(values=st.lists(st.integers(-50, 50), min_size=6, max_size=30))
def test_hodges_lehmann_is_the_median_of_pairwise_averages(values):
    x = np.array(values, dtype=float)
    averages = [(a + b) / 2 for i, a in enumerate(x) for b in x[i:]]
    e = hodges_lehmann(x)
    assert e.estimate == pytest.approx(np.median(averages))
    if not math.isnan(e.low):
        assert e.low <= e.estimate <= e.high


def test_hodges_lehmann_bisection_matches_the_full_list(monkeypatch):
    x = np.random.default_rng(3).normal(size=400)
    full = hodges_lehmann(x)
    monkeypatch.setattr("bakeoff.stats.two._wilcoxon.WALSH_AT_ONCE", 10)
    bisected = hodges_lehmann(x)
    assert (full.estimate, full.low, full.high) == pytest.approx((bisected.estimate, bisected.low, bisected.high))


@pytest.mark.parametrize("function", [one_sample_t, sign_flip, wilcoxon])
def test_degenerate(function):
    empty = function([])
    assert math.isnan(empty.p_value)
    assert empty.reason
    assert math.isnan(function([math.nan]).p_value)
    zeros = function([0.0, 0.0])
    assert zeros.reason
    with pytest.raises(StatsError):
        function([math.inf])
    with pytest.raises(StatsError):
        function([1.0], alternative="up")


def test_too_few_items_have_no_signed_rank_interval():
    e = hodges_lehmann([1.0, 2.0, 3.0])
    assert e.estimate == 2
    assert math.isnan(e.low)
    assert "too few" in (e.reason or "")


def test_sign_flip_speed():
    x = np.random.default_rng(1).normal(size=2000)
    sign_flip(x)
    best = min(_timed(lambda: sign_flip(x)) for _ in range(5))
    assert best < 0.05


def _timed(call):
    start = time.process_time()
    call()
    return time.process_time() - start
