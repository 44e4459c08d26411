"""Power of the tests that are run: independent enumeration, other software, published tables."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bakeoff.errors import StatsError
from bakeoff.stats import (
    mcnemar_power,
    mcnemar_power_always_valid,
    noninferiority_power_paired,
    paired_mean_power,
    two_mean_power,
    two_proportion_power,
)


def brute_force_mcnemar(n: int, p10: float, p01: float, alpha: float, test: str) -> float:
    """Trinomial enumeration with scipy's distributions, one table at a time."""
    total = 0.0
    for b in range(n + 1):
        for c in range(n + 1 - b):
            m, k = b + c, min(b, c)
            if m == 0:
                continue
            exact = min(1.0, 2 * stats.binom.cdf(k, m, 0.5))
            p = {
                "mcnemar_exact": exact,
                "mcnemar_midp": 1.0 if b == c else exact - stats.binom.pmf(k, m, 0.5),
                "mcnemar_asymptotic": stats.chi2.sf((b - c) ** 2 / m, 1),
            }[test]
            if p <= alpha:
                total += stats.multinomial.pmf([b, c, n - m], n, [p10, p01, 1 - p10 - p01])
    return total


@pytest.mark.parametrize("test", ["mcnemar_midp", "mcnemar_exact", "mcnemar_asymptotic"])
@pytest.mark.parametrize(("n", "p10", "p01"), [(12, 0.4, 0.1), (25, 0.3, 0.05)])
def test_mcnemar_power_is_the_sum_over_every_table(test, n, p10, p01):
    expected = brute_force_mcnemar(n, p10, p01, 0.05, test)
    assert mcnemar_power(n, p10=p10, p01=p01, test=test) == pytest.approx(expected, abs=1e-10)


# Exact size of McNemar's tests at n = 100, discordance 0.2: Fagerland, Lydersen & Laake (2013) style enumeration,
# values of the project's reference table: exact 2.9 %, mid-p 4.6 %, asymptotic 5.2 %.
@pytest.mark.parametrize(
    ("test", "percent"), [("mcnemar_exact", 2.9), ("mcnemar_midp", 4.6), ("mcnemar_asymptotic", 5.2)]
)
def test_exact_size_of_mcnemar(test, percent):
    assert 100 * mcnemar_power(100, p10=0.1, p01=0.1, test=test) == pytest.approx(percent, abs=0.06)


def test_one_sided_power_adds_up_to_two_sided_at_half_the_level():
    both = mcnemar_power(80, p10=0.2, p01=0.1, alpha=0.1)
    up = mcnemar_power(80, p10=0.2, p01=0.1, alpha=0.05, alternative="greater")
    down = mcnemar_power(80, p10=0.2, p01=0.1, alpha=0.05, alternative="less")
    assert up + down == pytest.approx(both, abs=1e-12)


def test_far_tails_after_a_large_family():
    # one-sample brute force in the far tail: with m discordant items, all in one direction, p = 2^-m
    assert mcnemar_power(30, p10=1.0, p01=0.0, alpha=2.0**-29) == 1.0
    assert mcnemar_power(29, p10=1.0, p01=0.0, alpha=2.0**-29.5) == 0.0


def test_large_n_agrees_with_the_normal_formula():
    # Connor (1987): z_b = (d sqrt(n) - z_a sqrt(s)) / sqrt(s - d^2)
    n, s, d = 40_000, 0.2, 0.006
    expected = stats.norm.cdf((d * np.sqrt(n) - 1.959964 * np.sqrt(s)) / np.sqrt(s - d * d))
    assert mcnemar_power(n, p10=(s + d) / 2, p01=(s - d) / 2) == pytest.approx(expected, abs=0.005)


def test_the_formula_continues_the_enumeration():
    for d in (0.0, 0.004, 0.006):
        exact = mcnemar_power(50_000, p10=(0.2 + d) / 2, p01=(0.2 - d) / 2)
        formula = mcnemar_power(50_001, p10=(0.2 + d) / 2, p01=(0.2 - d) / 2)
        assert formula == pytest.approx(exact, abs=2e-3)
    assert mcnemar_power(200_000, p10=0.5, p01=0.0) == 1.0


def test_always_valid_power_against_simulation():
    rng = np.random.default_rng(3)
    runs, n = 4_000, 150
    draw = rng.random((runs, n))
    wins, losses = np.cumsum(draw < 0.2, axis=1), np.cumsum((draw >= 0.2) & (draw < 0.25), axis=1)
    from scipy.special import betaln

    log_e = (wins + losses) * np.log(2) + betaln(1 + wins, 1 + losses)
    hit = (log_e >= np.log(20)).any(axis=1).mean()
    assert mcnemar_power_always_valid(n, p10=0.2, p01=0.05) == pytest.approx(hit, abs=0.025)


def test_always_valid_median_stop_of_the_reference_simulation():
    # calibration C7c: median stop at 160 items for p10 = .15, p01 = .05; at least 99 % by 1,000
    assert mcnemar_power_always_valid(160, p10=0.15, p01=0.05) == pytest.approx(0.5, abs=0.06)
    assert mcnemar_power_always_valid(1000, p10=0.15, p01=0.05) > 0.99


def test_always_valid_holds_its_level_under_the_null():
    assert mcnemar_power_always_valid(600, p10=0.15, p01=0.15) <= 0.05


# R 4.2.2: power.t.test(n = 20, delta = 1) gives 0.8689528; power.t.test(power = .90, delta = 1) needs 22.02 per group
@pytest.mark.parametrize(("n", "power"), [(20, 0.8689528), (22, 0.8997), (23, 0.9125)])
def test_two_mean_power_of_r(n, power):
    got = two_mean_power(n, n, difference=1.0, sd_candidate=1.0, sd_baseline=1.0)
    assert got == pytest.approx(power, abs=3e-4)


# Cohen (1988), table 2.3.5 and G*Power 3.1: d = 0.5, alpha .05, power .80 needs 34 pairs and 64 per group;
# d = 0.2 needs 199 pairs, d = 0.8 needs 15 pairs and 26 per group; R 4.2.2: power.t.test(delta = 0.5, power = 0.8)
# needs 63.77 per group, with type = "paired" 33.37 pairs.
@pytest.mark.parametrize(("d", "pairs"), [(0.2, 199), (0.5, 34), (0.8, 15)])
def test_paired_sample_sizes_of_gpower(d, pairs):
    assert paired_mean_power(pairs, difference=d, sd=1.0) >= 0.8 > paired_mean_power(pairs - 1, difference=d, sd=1.0)


@pytest.mark.parametrize(("d", "per_group"), [(0.5, 64), (0.8, 26), (0.2, 394)])
def test_unpaired_sample_sizes_of_cohen(d, per_group):
    def power(n: int) -> float:
        return two_mean_power(n, n, difference=d, sd_candidate=1.0, sd_baseline=1.0)

    assert power(per_group) >= 0.8 > power(per_group - 1)


@pytest.mark.parametrize("alternative", ["two-sided", "greater"])
@pytest.mark.parametrize(("n", "d"), [(5, 0.9), (30, 0.4), (200, -0.15), (1500, 0.08)])
def test_paired_mean_power_of_statsmodels(n, d, alternative):
    from statsmodels.stats.power import TTestPower

    words = {"two-sided": "two-sided", "greater": "larger"}
    expected = TTestPower().power(d, n, 0.05, alternative=words[alternative])
    got = paired_mean_power(n, difference=d, sd=1.0, alternative=alternative)
    assert got == pytest.approx(float(expected), abs=1e-6)


def test_power_far_from_the_null_is_one_not_nan():
    for n in (20, 60, 200, 1500):
        assert paired_mean_power(n, difference=1.0, sd=0.1) == pytest.approx(1.0)


def test_two_proportion_power_is_the_sum_over_every_table():
    na, nb, pa, pb = 14, 11, 0.7, 0.3
    total = 0.0
    for a in range(na + 1):
        for b in range(nb + 1):
            pooled = (a + b) / (na + nb)
            se = np.sqrt(pooled * (1 - pooled) * (1 / na + 1 / nb))
            if se > 0 and abs(a / na - b / nb) / se >= 1.959964:
                total += stats.binom.pmf(a, na, pa) * stats.binom.pmf(b, nb, pb)
    assert two_proportion_power(na, nb, p_candidate=pa, p_baseline=pb) == pytest.approx(total, abs=1e-9)


def test_two_proportion_power_of_r():
    # R 4.2.2: power.prop.test(n = 500, p1 = .50, p2 = .60) -> 0.8896 (normal formula, as here beyond 315 a side)
    expected = stats.norm.cdf(
        (np.sqrt(500) * 0.1 - 1.959964 * np.sqrt(2 * 0.55 * 0.45)) / np.sqrt(0.5 * 0.5 + 0.6 * 0.4)
    )
    assert expected == pytest.approx(0.8896, abs=5e-5)
    assert two_proportion_power(500, 500, p_candidate=0.6, p_baseline=0.5) == pytest.approx(expected, abs=1e-6)


def test_noninferiority_power_against_simulation_of_the_interval():
    rng = np.random.default_rng(5)
    n, runs = 150, 20_000
    counts = rng.multinomial(n, [0.08, 0.06, 0.86], size=runs)
    b, c = counts[:, 0], counts[:, 1]
    p12, p21 = (b + 1) / (n + 2), (c + 1) / (n + 2)  # Bonett & Price (2012), 90 % interval
    half = 1.6448536 * np.sqrt((p12 + p21 - (p12 - p21) ** 2) / (n + 2))
    shown = (p12 - p21 - half > -0.05).mean()
    same = ((p12 - p21 - half > -0.05) & (p12 - p21 + half < 0.05)).mean()
    assert noninferiority_power_paired(n, p10=0.08, p01=0.06, margin=0.05) == pytest.approx(shown, abs=0.012)
    got = noninferiority_power_paired(n, p10=0.08, p01=0.06, margin=0.05, equivalence=True)
    assert got == pytest.approx(same, abs=0.012)


def test_noninferiority_formula_continues_the_enumeration():
    # just below and above the size at which the normal formula takes over (about 1,000 items)
    small = noninferiority_power_paired(900, p10=0.12, p01=0.12, margin=0.04)
    large = noninferiority_power_paired(1300, p10=0.12, p01=0.12, margin=0.04 * np.sqrt(900 / 1300))
    assert large == pytest.approx(small, abs=0.01)


def test_tango_size_at_the_margin():
    # Tango (1998) controls the level at the margin: true difference -0.1, margin 0.1
    size = noninferiority_power_paired(200, p10=0.05, p01=0.15, margin=0.1, alpha=0.025, method="tango")
    assert 0.015 <= size <= 0.03


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(2, 300),
    p10=st.floats(0.0, 0.5),
    p01=st.floats(0.0, 0.5),
    alpha=st.floats(0.001, 0.2),
)
def test_mcnemar_power_is_a_probability_symmetric_and_grows_with_alpha(n, p10, p01, alpha):
    power = mcnemar_power(n, p10=p10, p01=p01, alpha=alpha)
    assert 0.0 <= power <= 1.0
    assert power == pytest.approx(mcnemar_power(n, p10=p01, p01=p10, alpha=alpha), abs=1e-9)
    assert mcnemar_power(n, p10=p10, p01=p01, alpha=min(0.5, alpha * 1.5)) >= power - 1e-12
    exact = mcnemar_power(n, p10=p10, p01=p01, alpha=alpha, test="mcnemar_exact")
    assert exact <= power + 1e-12


@pytest.mark.parametrize(
    "call",
    [
        lambda: mcnemar_power(10, p10=0.8, p01=0.8),
        lambda: mcnemar_power(-1, p10=0.1, p01=0.1),
        lambda: mcnemar_power(10, p10=0.1, p01=0.1, test="wald"),
        lambda: mcnemar_power(10, p10=float("nan"), p01=0.1),
        lambda: paired_mean_power(10, difference=1.0, sd=0.0),
        lambda: two_mean_power(10, 10, difference=1.0, sd_candidate=-1.0, sd_baseline=1.0),
        lambda: noninferiority_power_paired(10, p10=0.1, p01=0.1, margin=0.0),
        lambda: noninferiority_power_paired(10, p10=0.1, p01=0.1, margin=0.1, method="wald"),
    ],
)
def test_wrong_arguments_are_named(call):
    with pytest.raises(StatsError):
        call()


def test_degenerate_sizes():
    assert mcnemar_power(0, p10=0.1, p01=0.1) == 0.0
    assert mcnemar_power(50, p10=0.0, p01=0.0) == 0.0
    assert np.isnan(paired_mean_power(1, difference=1.0, sd=1.0))
    assert np.isnan(two_mean_power(1, 5, difference=1.0, sd_candidate=1.0, sd_baseline=1.0))
    assert np.isnan(two_proportion_power(0, 5, p_candidate=0.5, p_baseline=0.5))
    assert noninferiority_power_paired(0, p10=0.1, p01=0.1, margin=0.1) == 0.0


@pytest.mark.parametrize("method", ["bonett_price", "tango"])
@pytest.mark.parametrize("n", [100, 400, 1000, 10_000])
def test_a_loss_of_the_whole_margin_passes_as_often_as_alpha_says(n: int, method: str) -> None:
    """By definition of a one-sided test at 5%: where the truth lies on the boundary, power is the level."""
    power = noninferiority_power_paired(n, p10=0.2, p01=0.23, margin=0.03, method=method)  # type: ignore[arg-type]
    assert power == pytest.approx(0.05, abs=0.005)
