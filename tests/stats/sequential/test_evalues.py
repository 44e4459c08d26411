"""E-values and confidence sequences against integrals, brute force and published constants."""

from __future__ import annotations

from math import exp, inf, isnan, log, pi, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from bakeoff.errors import StatsError
from bakeoff.stats import (
    always_valid_p,
    asymptotic_confidence_sequence,
    beta_binomial_confidence_sequence,
    beta_binomial_e_value,
    betting_e_value,
    betting_interval,
    closed_e_rejections,
    discordant_e_value,
    e_bh,
    empirical_bernstein_confidence_sequence,
    mixture_rho2,
    msprt,
    normal_mixture_e_value,
    order_check,
    paired_binary_interval,
    robbins_boundary,
    srm_e_value,
)

counts = st.integers(0, 60)
bounded = st.lists(st.floats(0, 1, allow_nan=False), min_size=1, max_size=40)


# ------------------------------------------------------------ discordant pairs


@pytest.mark.parametrize(("b", "c"), [(8, 0), (5, 3), (12, 30), (0, 0), (40, 38)])
def test_e_process_is_the_integral_it_stands_for(b: int, c: int) -> None:
    # oracle: scipy.integrate.quad over the uniform prior; two-sided and cut at 1/2
    def likelihood(t: float) -> float:
        return (2 * t) ** b * (2 * (1 - t)) ** c

    full = integrate.quad(likelihood, 0, 1, epsabs=0)[0]
    upper = 2 * integrate.quad(likelihood, 0.5, 1, epsabs=0)[0]
    lower = 2 * integrate.quad(likelihood, 0, 0.5, epsabs=0)[0]
    assert float(discordant_e_value(b, c)) == pytest.approx(full, rel=1e-8)
    assert float(discordant_e_value(b, c, alternative="greater")) == pytest.approx(upper, rel=1e-7)
    assert float(discordant_e_value(b, c, alternative="less")) == pytest.approx(lower, rel=1e-7)


@given(counts, counts)
def test_e_process_is_a_martingale_and_symmetric(b: int, c: int) -> None:
    now = float(discordant_e_value(b, c))
    assert now == pytest.approx((float(discordant_e_value(b + 1, c)) + float(discordant_e_value(b, c + 1))) / 2)
    assert now == pytest.approx(float(discordant_e_value(c, b)))
    assert float(discordant_e_value(b, c, alternative="greater")) == pytest.approx(
        float(discordant_e_value(c, b, alternative="less"))
    )


def test_huge_counts_do_not_overflow() -> None:
    assert np.isfinite(float(discordant_e_value(10_000_000, 0)))
    assert float(discordant_e_value(10_000_000, 10_000_000)) < 1


@pytest.mark.parametrize("bad", [(-1, 0), (0, -1), (inf, 0), (float("nan"), 0)])
def test_bad_counts_are_refused(bad: tuple[float, float]) -> None:
    with pytest.raises(StatsError):
        discordant_e_value(*bad)


@given(st.lists(st.floats(0, 1e6), max_size=30))
def test_always_valid_p_never_rises(values: list[float]) -> None:
    p = always_valid_p(values)
    assert p.shape == (len(values),)
    assert bool((np.diff(p) <= 0).all())
    assert bool(((p > 0) & (p <= 1)).all())


# ------------------------------------------------------------ betting


def brute_force_betting(x: list[float], m: float) -> float:
    """The definition of diversified Kelly betting, one product at a time."""
    bets = np.geomspace(0.004, 0.98, 24)
    up = np.mean([np.prod([1 + f * (v / m - 1) for v in x]) for f in bets])
    down = np.mean([np.prod([1 + f * ((1 - v) / (1 - m) - 1) for v in x]) for f in bets])
    return float((up + down) / 2)


@given(bounded, st.floats(0.05, 0.95))
def test_betting_is_its_definition(x: list[float], m: float) -> None:
    assert betting_e_value(x, m) == pytest.approx(brute_force_betting(x, m), rel=1e-8)


@given(bounded, st.floats(0.02, 0.98))
def test_betting_never_doubts_the_sample_mean(x: list[float], shift: float) -> None:
    mean = float(np.mean(x))
    if 0 < mean < 1:
        assert betting_e_value(x, mean) <= 1 + 1e-9
    interval = betting_interval(x)
    assert 0 <= interval.low <= mean + 1e-9
    assert mean - 1e-9 <= interval.high <= 1
    # p and interval come from one inversion
    assert (betting_e_value(x, shift) >= 20) == (shift < interval.low + 1e-9 or shift > interval.high - 1e-9)


@given(bounded, st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_betting_ignores_order_and_mirrors(x: list[float], random: object) -> None:
    shuffled = sorted(x)
    a, b = betting_interval(x), betting_interval(shuffled)
    assert (a.low, a.high) == pytest.approx((b.low, b.high), abs=1e-9)
    mirror = betting_interval([1 - v for v in x])
    assert (mirror.low, mirror.high) == pytest.approx((1 - a.high, 1 - a.low), abs=1e-9)


def test_betting_on_binary_differences_is_the_e_process() -> None:
    # (d + 1) / 2 with bets spread uniformly: the same martingale as the closed form
    d = [1.0] * 21 + [0.5] * 60 + [0.0] * 7
    assert betting_e_value(d, 0.5, prior="uniform") == pytest.approx(float(discordant_e_value(21, 7)), rel=1e-9)


@given(st.integers(0, 80), st.integers(0, 80), st.integers(0, 200))
def test_paired_interval_agrees_with_the_test(b: int, c: int, same: int) -> None:
    interval = paired_binary_interval(b, c, b + c + same)
    if b + c + same == 0:
        assert isnan(interval.low)
        return
    excludes = interval.low > 0 or interval.high < 0
    assert excludes == (float(discordant_e_value(b, c)) >= 20)
    assert -1 <= interval.low <= interval.estimate <= interval.high <= 1
    mirror = paired_binary_interval(c, b, b + c + same)
    assert (mirror.low, mirror.high) == pytest.approx((-interval.high, -interval.low), abs=1e-9)


@pytest.mark.parametrize("value", [0.0, 1.0, 0.5])
def test_equal_scores_keep_width(value: float) -> None:
    interval = betting_interval([value] * 10)
    assert interval.high - interval.low > 0.1


def test_betting_degenerate_input() -> None:
    assert isnan(betting_interval([]).low)
    assert betting_interval([]).reason == "no scores"
    assert isnan(betting_interval([float("nan")] * 3).low)
    assert betting_e_value([], 0.5) == 1
    for bad in ([1.5], [inf], [-0.1]):
        with pytest.raises(StatsError, match="outside bounds"):
            betting_interval(bad)
    with pytest.raises(StatsError, match="null_mean"):
        betting_e_value([0.5], 0.0)


def test_betting_beats_empirical_bernstein() -> None:
    # Waudby-Smith and Ramdas 2024, figures 2-3: betting is the tighter of the two
    x = np.random.default_rng(0).beta(10, 30, 500)
    eb = empirical_bernstein_confidence_sequence(x).last()
    bet = betting_interval(x)
    assert bet.high - bet.low < eb.high - eb.low
    assert eb.low < 0.25 < eb.high


def test_empirical_bernstein_is_its_definition() -> None:
    # oracle: Theorem 2 of Waudby-Smith and Ramdas 2024, written as a loop
    x, alpha = [0.2, 0.9, 0.4, 0.7, 0.1, 0.6], 0.05
    mean, s2, seen = 0.5, 0.25, []
    num = stake = penalty = 0.0
    square = 0.25
    for i, v in enumerate(x, start=1):
        bet = min(0.5, sqrt(2 * log(2 / alpha) / (s2 * i * log(1 + i))))
        penalty += 4 * (v - mean) ** 2 * (-log(1 - bet) - bet) / 4
        num, stake = num + bet * v, stake + bet
        seen.append(v)
        mean = (0.5 + sum(seen)) / (i + 1)
        square += (v - mean) ** 2
        s2 = square / (i + 1)
    sequence = empirical_bernstein_confidence_sequence(x, bounds=(0, 1))
    half = (log(2 / alpha) + penalty) / stake
    assert sequence.high[-1] == pytest.approx(min(1, num / stake + half))
    assert sequence.low[-1] == pytest.approx(max(0, num / stake - half))


# ------------------------------------------------------------ proportions and normal mixtures


@pytest.mark.parametrize(("s", "n", "p"), [(3, 10, 0.5), (0, 20, 0.1), (20, 20, 0.9), (37, 100, 0.25)])
def test_beta_binomial_is_the_integral(s: int, n: int, p: float) -> None:
    # oracle: scipy.stats.betabinom against scipy.stats.binom, the ratio of two probability mass functions
    assert float(beta_binomial_e_value(s, n, p)) == pytest.approx(
        stats.betabinom.pmf(s, n, 1, 1) / stats.binom.pmf(s, n, p), rel=1e-9
    )


@given(st.integers(0, 50), st.integers(0, 50))
def test_beta_binomial_interval_inverts_the_e_value(s: int, f: int) -> None:
    last = beta_binomial_confidence_sequence([s], [s + f]).last()
    assert 0 <= last.low <= last.high <= 1
    if s + f == 0:
        assert (last.low, last.high) == (0, 1)
        return
    for p in (0.05, 0.3, 0.5, 0.77):
        rejected = float(beta_binomial_e_value(s, s + f, p)) >= 20
        assert rejected == (p < last.low + 1e-12 or p > last.high - 1e-12)


def test_running_intersection_only_tightens() -> None:
    rng = np.random.default_rng(1)
    s = (rng.random(300) < 0.4).cumsum()
    run = beta_binomial_confidence_sequence(s, np.arange(1, 301)).running()
    assert bool((np.diff(run.low) >= 0).all())
    assert bool((np.diff(run.high) <= 0).all())


def test_running_intersection_says_when_looks_contradict() -> None:
    # sorted data: all passes first, then all failures
    s = np.minimum(np.arange(1, 2001), 200)
    run = beta_binomial_confidence_sequence(s, np.arange(1, 2001)).running()
    assert isnan(run.low[-1])
    assert "random order" in (run.reason or "")


@pytest.mark.parametrize(("total", "v", "rho2"), [(3.0, 10.0, 0.2), (-25.0, 100.0, 0.03), (0.0, 50.0, 1.0)])
def test_normal_mixture_is_the_integral(total: float, v: float, rho2: float) -> None:
    # oracle: scipy.integrate.quad of exp(t S - t^2 v / 2) over N(0, rho2)
    def f(t: float) -> float:
        return exp(t * total - t * t * v / 2 - t * t / (2 * rho2)) / sqrt(2 * pi * rho2)

    full, upper = integrate.quad(f, -inf, inf)[0], 2 * integrate.quad(f, 0, inf)[0]
    assert float(normal_mixture_e_value(total, v, rho2=rho2)) == pytest.approx(full, rel=1e-6)
    assert float(normal_mixture_e_value(total, v, rho2=rho2, alternative="greater")) == pytest.approx(upper, rel=1e-6)


def test_robbins_boundary_is_where_the_mixture_reaches_one_over_alpha() -> None:
    for v in (10.0, 100.0, 5000.0):
        u = float(robbins_boundary(v, alpha=0.05, v_opt=100.0))
        assert float(normal_mixture_e_value(u, v, rho2=mixture_rho2(100))) == pytest.approx(20, rel=1e-9)


def test_rho_is_the_published_approximation_of_the_best() -> None:
    # Howard et al. 2021, Proposition 3: within 0.1% of the numerically best width at v_opt
    best = min(float(robbins_boundary(100.0, v_opt=v)) for v in np.geomspace(20, 500, 400))
    assert float(robbins_boundary(100.0, v_opt=100.0)) == pytest.approx(best, rel=1e-3)


def test_asymptotic_sequence_formula_and_start() -> None:
    x = np.random.default_rng(2).normal(5, 2, 200)
    sequence = asymptotic_confidence_sequence(x, planned_n=200)
    n, rho2 = 150, mixture_rho2(200)
    sd = np.std(x[:n], ddof=1)
    half = sd * sqrt(2 * (n * rho2 + 1) / (n**2 * rho2) * log(sqrt(n * rho2 + 1) / 0.05))  # Waudby-Smith et al. 2024
    assert sequence.high[n - 1] - np.mean(x[:n]) == pytest.approx(half)
    assert isnan(sequence.low[28])
    assert not isnan(sequence.low[29])
    assert isnan(asymptotic_confidence_sequence([3.0] * 50, planned_n=50).last().low)
    assert asymptotic_confidence_sequence([], planned_n=50).last().reason == "no data"


def test_asymptotic_sequence_survives_a_large_offset() -> None:
    x = np.random.default_rng(3).normal(0, 1, 100)
    near, far = (asymptotic_confidence_sequence(x + shift, planned_n=100).last() for shift in (0.0, 1e9))
    assert far.high - far.low == pytest.approx(near.high - near.low, rel=1e-5)


def test_msprt_is_its_formula() -> None:
    # Johari et al. 2022, equation for normal data
    d, s2, n, t2 = 0.2, 1.5, 120, 0.05
    expected = sqrt(s2 / (s2 + n * t2)) * exp(n**2 * t2 * d**2 / (2 * s2 * (s2 + n * t2)))
    assert msprt(d, variance=s2, n=n, tau2=t2).statistic == pytest.approx(expected)
    assert isnan(msprt(0.0, variance=0.0, n=10, tau2=1.0).p_value)
    with pytest.raises(StatsError):
        msprt(0.1, variance=1.0, n=10, tau2=0.0)


# ------------------------------------------------------------ many hypotheses


@given(st.lists(st.floats(0, 1e4), min_size=1, max_size=8))
def test_closed_test_is_brute_force_over_all_sets(values: list[float]) -> None:
    e = np.array(values)
    got = closed_e_rejections(e, alpha=0.05)
    k = e.size
    means = {mask: np.mean([e[i] for i in range(k) if mask >> i & 1]) for mask in range(1, 2**k)}
    for i in range(k):
        smallest = min(mean for mask, mean in means.items() if mask >> i & 1)
        if abs(smallest - 20) > 1e-6:
            assert bool(got[i]) == (smallest >= 20)
        if e[i] >= k / 0.05 * (1 + 1e-9):
            assert got[i]  # never less than Bonferroni


@given(st.lists(st.floats(0, 1e4), min_size=1, max_size=12))
def test_e_bh_is_benjamini_hochberg_on_inverse_e_values(values: list[float]) -> None:
    # Wang and Ramdas 2022: e-BH is BH applied to 1/e. Oracle: scipy.stats.false_discovery_control
    p = [1.0 if v <= 1 else 1 / v for v in values]
    adjusted = stats.false_discovery_control(p, method="bh")
    if all(abs(q - 0.05) > 1e-9 for q in adjusted):
        assert e_bh(values).rejected == tuple(bool(q <= 0.05) for q in adjusted)


def test_e_bh_counts_missing_metrics_in_the_family() -> None:
    assert e_bh([45.0, float("nan")]).rejected == (True, False)
    assert e_bh([39.0, float("nan")]).rejected == (False, False)
    assert e_bh([]).n_rejected == 0


# ------------------------------------------------------------ order, SRM


def test_runs_match_statsmodels() -> None:
    from statsmodels.sandbox.stats.runs import runstest_1samp

    x = (np.random.default_rng(4).random(200) < 0.3).astype(float)
    out = order_check(x)
    z, _ = runstest_1samp(x, cutoff="mean", correction=False)
    # the statistic is the larger of the two tests; oracle: statsmodels runs test and scipy Spearman
    rho = stats.spearmanr(x, np.arange(200)).statistic
    assert out.correlation == pytest.approx(rho)
    n1 = x.sum()
    expected_runs = 1 + 2 * n1 * (200 - n1) / 200
    assert out.expected_runs == pytest.approx(expected_runs)
    assert out.statistic == pytest.approx(max(abs(rho) * sqrt(199), abs(z)), rel=0.01)


def test_order_check_finds_sorted_and_blocked_data() -> None:
    rng = np.random.default_rng(5)
    hard = rng.random(300)
    assert order_check(np.sort(hard)).shuffled is False
    assert order_check(np.repeat(rng.random(30) < 0.5, 10)).shuffled is False
    assert order_check(hard).shuffled is True
    false_alarms = np.mean([order_check(rng.random(60)).shuffled is False for _ in range(400)])
    assert false_alarms <= 0.02


def test_order_check_degenerate() -> None:
    assert order_check([1.0] * 50).shuffled is None
    assert order_check([]).shuffled is None
    assert order_check(np.full((30, 2), np.nan)).shuffled is None
    with pytest.raises(StatsError):
        order_check([inf] * 30)


@pytest.mark.parametrize(("counts_", "ratio"), [((10, 20), (1, 1)), ((30, 28, 45), (1, 1, 2)), ((0, 0), (1, 3))])
def test_srm_is_dirichlet_multinomial_over_multinomial(counts_: tuple[int, ...], ratio: tuple[int, ...]) -> None:
    # oracle: scipy.stats.dirichlet_multinomial and scipy.stats.multinomial
    share = np.array(ratio) / sum(ratio)
    n = sum(counts_)
    expected = exp(
        stats.dirichlet_multinomial.logpmf(counts_, 100 * share, n) - stats.multinomial.logpmf(counts_, n, share)
    )
    assert float(srm_e_value(counts_, ratio)) == pytest.approx(expected, rel=1e-8)


def test_srm_finds_the_published_mismatch() -> None:
    # Kohavi, Tang and Xu 2020: 821,588 against 815,482 in a 50/50 test, p = 1.8e-6
    assert float(srm_e_value([821_588, 815_482], [1, 1], concentration=10_000)) > 1000
    with pytest.raises(StatsError):
        srm_e_value([1, 2, 3], [1, 1])
    with pytest.raises(StatsError):
        srm_e_value([1, 2], [1, 0])
