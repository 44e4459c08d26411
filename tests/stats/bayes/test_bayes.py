"""Bayesian comparisons against integrals and closed forms."""

from __future__ import annotations

from math import isnan, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from bakeoff.errors import StatsError
from bakeoff.stats import (
    STOPPING_WARNING,
    bayes_paired_binary,
    bayes_proportions,
    bayes_scores,
    prob_best_beta,
    prob_best_normal,
    prob_beta_greater,
    shrinkage_sd,
)


@pytest.mark.parametrize(
    "shape", [(2, 1, 1, 1), (61, 41, 51, 51), (3, 9, 14, 2), (200, 800, 180, 820), (0.5, 0.5, 2.5, 7.5), (1.5, 4, 3, 3)]
)
def test_p_better_is_the_integral(shape: tuple[float, float, float, float]) -> None:
    # oracle: scipy.integrate.quad of scipy.stats.beta density times distribution function
    a, b, c, d = shape
    x, y = stats.beta(a, b), stats.beta(c, d)
    points = [x.ppf(0.001), x.mean(), x.ppf(0.999)]
    expected = integrate.quad(lambda v: x.pdf(v) * y.cdf(v), 0, 1, points=points, limit=400)[0]
    assert prob_beta_greater(*shape) == pytest.approx(expected, abs=2e-6)


def test_p_better_exact_values() -> None:
    # by hand: P(X > Y), X ~ Beta(2, 1), Y uniform = E[X] = 2/3; P(max of two uniforms > max of three) = 2/5
    assert prob_beta_greater(2, 1, 1, 1) == pytest.approx(2 / 3)
    assert prob_beta_greater(2, 1, 3, 1) == pytest.approx(2 / 5)
    assert prob_beta_greater(1, 3, 1, 1) == pytest.approx(1 / 4)


@given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 300), st.integers(0, 300))
def test_p_better_of_both_sides_sums_to_one(a: int, b: int, c: int, d: int) -> None:
    one = prob_beta_greater(1 + a, 1 + b, 1 + c, 1 + d)
    assert one + prob_beta_greater(1 + c, 1 + d, 1 + a, 1 + b) == pytest.approx(1, abs=1e-8)
    assert prob_beta_greater(2 + a, 1 + b, 1 + c, 1 + d) >= one - 1e-9  # one more success cannot hurt


@pytest.mark.parametrize(
    ("s1", "n1", "s0", "n0"), [(60, 100, 50, 100), (3, 5, 4, 5), (0, 0, 0, 0), (990, 1000, 970, 1000)]
)
def test_losses_limits_and_rope_match_simulation(s1: int, n1: int, s0: int, n0: int) -> None:
    # oracle: 2,000,000 posterior draws (standard error of a probability below .0004)
    rng = np.random.default_rng(1)
    d = rng.beta(1 + s1, 1 + n1 - s1, 2_000_000) - rng.beta(1 + s0, 1 + n0 - s0, 2_000_000)
    out = bayes_proportions(s1, n1, s0, n0, rope=(-0.02, 0.02))
    assert out.p_better == pytest.approx((d > 0).mean(), abs=0.002)
    assert out.loss_if_candidate == pytest.approx(np.maximum(-d, 0).mean(), abs=5e-4)
    assert out.loss_if_baseline == pytest.approx(np.maximum(d, 0).mean(), abs=5e-4)
    assert out.p_rope == pytest.approx(((d > -0.02) & (d < 0.02)).mean(), abs=0.002)
    assert (out.low, out.high) == pytest.approx(np.quantile(d, [0.025, 0.975]), abs=0.002)
    assert out.estimate == pytest.approx(d.mean(), abs=0.001)
    assert out.warnings == (STOPPING_WARNING,)


def test_best_of_k_matches_simulation_and_sums_to_one() -> None:
    s, n = [50, 55, 60, 58], [100, 100, 100, 90]
    rng = np.random.default_rng(2)
    draws = rng.beta(1 + np.array(s), 1 + np.array(n) - np.array(s), (1_000_000, 4))
    out = prob_best_beta(s, n, names=["a", "b", "c", "d"])
    assert sum(out.p_best.values()) == pytest.approx(1)
    simulated = np.bincount(draws.argmax(axis=1), minlength=4) / 1_000_000
    assert list(out.p_best.values()) == pytest.approx(simulated, abs=0.002)
    losses = (draws.max(axis=1)[:, None] - draws).mean(axis=0)
    assert list(out.expected_loss.values()) == pytest.approx(losses, abs=5e-4)


def test_best_of_two_is_the_pairwise_probability() -> None:
    out = prob_best_beta([60, 50], [100, 100])
    assert out.p_best["0"] == pytest.approx(bayes_proportions(60, 100, 50, 100).p_better, abs=1e-6)
    normal = prob_best_normal([1.0, 0.4], [0.3, 0.5])
    z = 0.6 / sqrt(0.09 + 0.25)
    assert normal.p_best["0"] == pytest.approx(stats.norm.cdf(z), abs=1e-8)  # closed form for two normals
    loss = sqrt(0.34) * (stats.norm.pdf(z) - z * stats.norm.sf(z))
    assert normal.expected_loss["0"] == pytest.approx(loss, abs=1e-8)


def test_best_of_k_with_extreme_counts() -> None:
    out = prob_best_beta([0, 1_000_000, 5], [10, 1_000_001, 5])
    assert sum(out.p_best.values()) == pytest.approx(1)
    assert all(0 <= p <= 1 for p in out.p_best.values())
    assert prob_best_beta([0, 0], [0, 0]).p_best == {"0": pytest.approx(0.5), "1": pytest.approx(0.5)}


def test_paired_posterior() -> None:
    out = bayes_paired_binary(60, 15, 5, 20, rope=(-0.02, 0.02))
    # oracle: scipy.stats.beta for the sign, moments of the Dirichlet for the mean
    assert out.p_better == pytest.approx(stats.beta.sf(0.5, 15.5, 5.5))
    assert out.estimate == pytest.approx(10 / 102)
    variance = (15.5 + 5.5) / 102 / 103 - (10 / 102) ** 2 / 103
    assert (out.high - out.low) / 2 == pytest.approx(1.96 * sqrt(variance), rel=0.03)
    assert out.mc_error < 0.003
    # pairing matters: two independent betas see far less
    assert out.p_better > bayes_proportions(75, 100, 65, 100).p_better + 0.03


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
@settings(max_examples=25, deadline=None)
def test_paired_posterior_mirrors(b: int, c: int, same: int) -> None:
    one, two = bayes_paired_binary(same, b, c, 3, draws=1000), bayes_paired_binary(same, c, b, 3, draws=1000)
    assert one.p_better == pytest.approx(1 - two.p_better)
    assert one.estimate == pytest.approx(-two.estimate)
    assert -1 <= one.low <= one.high <= 1


def test_normal_posterior_shrinks() -> None:
    d = np.random.default_rng(3).normal(0.1, 0.5, 100)
    m, se = d.mean(), d.std(ddof=1) / 10
    wide, narrow = bayes_scores(d, prior_sd=100.0), bayes_scores(d, prior_sd=0.01)
    assert wide.estimate == pytest.approx(m, rel=1e-3)
    assert wide.p_better == pytest.approx(stats.norm.cdf(m / se), abs=1e-4)
    assert abs(narrow.estimate) < abs(m) / 10
    # conjugate normal, Gelman et al. 2013, section 2.5
    tau = 0.05
    out = bayes_scores(d, prior_sd=tau, rope=(-0.02, 0.02))
    post = stats.norm((m / se**2) / (1 / tau**2 + 1 / se**2), sqrt(1 / (1 / tau**2 + 1 / se**2)))
    assert (out.estimate, out.low, out.high) == pytest.approx((post.mean(), *post.interval(0.95)))
    assert out.p_rope == pytest.approx(post.cdf(0.02) - post.cdf(-0.02))
    assert out.loss_if_baseline == pytest.approx(post.expect(lambda x: max(x, 0.0)), abs=1e-5)


def test_shrinkage_prior_is_learnt() -> None:
    rng = np.random.default_rng(4)
    se = np.full(4000, 0.05)
    assert shrinkage_sd(rng.normal(0, 0.1, 4000) + rng.normal(0, se), se) == pytest.approx(0.1, rel=0.05)
    # equal standard errors: the maximum has the closed form sqrt(mean d^2 - se^2)
    d = rng.normal(0, 0.1, 50)
    assert shrinkage_sd(d, np.full(50, 0.05)) == pytest.approx(sqrt((d**2).mean() - 0.05**2), rel=1e-6)
    assert isnan(shrinkage_sd([0.1], [0.1]))


def test_degenerate_and_wrong_input() -> None:
    assert isnan(bayes_scores([], prior_sd=1).p_better)
    assert bayes_scores([0.5, 0.5], prior_sd=1).reason is not None
    assert bayes_scores([0.5, float("nan")], prior_sd=1).n == 1
    for call in (
        lambda: bayes_proportions(5, 4, 1, 2),
        lambda: bayes_proportions(1, 4, 1, 2, prior=(0, 1)),
        lambda: bayes_paired_binary(1, -1, 0, 0),
        lambda: bayes_paired_binary(1, 1, 0, 0, rope=(1, -1)),
        lambda: bayes_scores([1.0, float("inf")], prior_sd=1),
        lambda: bayes_scores([1.0, 2.0], prior_sd=0),
        lambda: prob_best_beta([1], [2]),
        lambda: prob_best_beta([1, 2], [2, 3], names=["a", "a"]),
        lambda: prob_best_normal([0.0, 1.0], [1.0, 0.0]),
        lambda: shrinkage_sd([0.1], [0.0]),
    ):
        with pytest.raises(StatsError):
            call()
