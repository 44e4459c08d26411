"""Off-policy values and inference after a bandit."""

from __future__ import annotations

from math import isnan, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff.errors import StatsError
from bakeoff.stats import (
    adaptive_ipw,
    adaptive_ipw_difference,
    arm_inference,
    bandit_differences,
    bandit_test,
    beta_binomial_confidence_sequence,
    beta_binomial_e_value,
    effective_sample_size,
    off_policy_value,
)


def logs(n: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    logged = np.tile([0.5, 0.3, 0.2], (n, 1))
    actions = np.array([rng.choice(3, p=row) for row in logged])
    rewards = (rng.random(n) < np.array([0.2, 0.5, 0.8])[actions]).astype(float)
    return actions, rewards, logged, np.tile([0.2, 0.3, 0.5], (n, 1))


def test_estimators_are_their_definitions() -> None:
    a, r, mu, pi = logs()
    rows = np.arange(a.size)
    w = pi[rows, a] / mu[rows, a]
    q = np.tile([0.25, 0.5, 0.7], (a.size, 1))
    ips = off_policy_value(a, r, logged=mu, target=pi, method="ips")
    snips = off_policy_value(a, r, logged=mu, target=pi, method="snips")
    dr = off_policy_value(a, r, logged=mu, target=pi, method="dr", predicted=q)
    assert ips.estimate == pytest.approx(np.mean(w * r))
    assert ips.se == pytest.approx(np.std(w * r, ddof=1) / sqrt(a.size))
    assert snips.estimate == pytest.approx((w * r).sum() / w.sum())
    assert dr.estimate == pytest.approx(((pi * q).sum(axis=1) + w * (r - q[rows, a])).mean())
    assert ips.ess == pytest.approx(w.sum() ** 2 / (w**2).sum())
    assert {v.low < 0.59 < v.high for v in (ips, snips, dr)} == {True}


def test_clustered_error_matches_statsmodels() -> None:
    # oracle: statsmodels OLS of w r on a constant with cluster-robust covariance (G / (G - 1) only)
    import statsmodels.api as sm

    a, r, mu, pi = logs(seed=1)
    rows, users = np.arange(a.size), np.arange(a.size) // 5
    y = pi[rows, a] / mu[rows, a] * r
    fit = sm.OLS(y, np.ones_like(y)).fit(cov_type="cluster", cov_kwds={"groups": users})
    value = off_policy_value(a, r, logged=mu, target=pi, method="ips", clusters=users)
    assert value.se == pytest.approx(float(fit.bse[0]), rel=0.002)
    assert value.df == 79


def test_the_logging_policy_itself_is_the_mean() -> None:
    a, r, mu, _ = logs()
    for method in ("ips", "snips"):
        value = off_policy_value(a, r, logged=mu, target=mu, method=method)  # type: ignore[arg-type] # parametrised
        assert value.estimate == pytest.approx(r.mean())
        assert value.ess == pytest.approx(a.size)


def test_missing_support_is_refused() -> None:
    a, r, _, _ = logs()
    a = np.minimum(a, 1)
    mu = np.tile([0.5, 0.5, 0.0], (a.size, 1))
    value = off_policy_value(a, r, logged=mu, target=np.tile([0.2, 0.2, 0.6], (a.size, 1)))
    assert isnan(value.estimate)
    assert isnan(value.low)
    assert value.unsupported == pytest.approx(0.6)
    assert "never tries" in (value.reason or "").replace("\n", " ")


def test_small_effective_samples_are_refused() -> None:
    a, r, mu, pi = logs(40)
    value = off_policy_value(a, r, logged=mu, target=pi)
    assert isnan(value.estimate)
    assert "worth only" in (value.reason or "")
    assert isnan(off_policy_value([], [], logged=np.zeros((0, 2)), target=np.zeros((0, 2))).estimate)


def test_clipping_warns_and_missing_rewards_are_left_out() -> None:
    a, r, mu, pi = logs()
    r[:20] = np.nan
    value = off_policy_value(a, r, logged=mu, target=pi, clip=1.2)
    assert value.n == 380
    assert value.max_weight == 1.2
    assert value.warnings


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"logged": [[0.5, 0.6]] * 2}, "sum to 1"),
        ({"logged": [[1.0, 0.0]] * 2}, "logged is 0"),
        ({"target": [0.5, 0.5]}, "shape"),
        ({"actions": [0, 2]}, "actions"),
        ({"rewards": [1.0, float("inf")]}, "infinite"),
        ({"method": "dr"}, "predicted"),
        ({"method": "magic"}, "method"),
        ({"clip": 0.0}, "clip"),
    ],
)
def test_bad_logs_are_refused(change: dict[str, object], word: str) -> None:
    base: dict[str, object] = {
        "actions": [0, 1], "rewards": [1.0, 0.0], "logged": [[0.5, 0.5]] * 2, "target": [[0.5, 0.5]] * 2
    }  # fmt: skip
    arguments = {**base, **change}
    actions, rewards = arguments.pop("actions"), arguments.pop("rewards")
    with pytest.raises(StatsError, match=word):
        off_policy_value(actions, rewards, **arguments)  # type: ignore[arg-type] # wrong on purpose


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=50))
def test_effective_sample_size_bounds(w: list[float]) -> None:
    ess = effective_sample_size(w)
    assert 1 - 1e-9 <= ess <= len(w) + 1e-9
    assert effective_sample_size([3 * v for v in w]) == pytest.approx(ess)


# ------------------------------------------------------------ after a bandit


def test_adaptive_ipw_with_even_propensities_is_the_augmented_mean() -> None:
    rng = np.random.default_rng(2)
    arms = rng.integers(2, size=4000)
    rewards = (rng.random(4000) < 0.3 + 0.2 * arms).astype(float)
    out = adaptive_ipw(arms, rewards, np.full((4000, 2), 0.5))
    for j in (0, 1):
        # with constant propensities the estimate is the arm's mean up to the early predictions
        assert out[j].estimate == pytest.approx(rewards[arms == j].mean(), abs=0.01)
        assert out[j].se == pytest.approx(rewards[arms == j].std() / sqrt((arms == j).sum()), rel=0.1)
    difference = adaptive_ipw_difference(arms, rewards, np.full((4000, 2), 0.5), candidate=1, baseline=0)
    assert difference.low < 0.2 < difference.high
    assert (
        bandit_test(
            arms, rewards, candidate=1, baseline=0, propensities=np.full((4000, 2), 0.5), method="adaptive_ipw"
        ).p_value
        < 1e-6
    )


def brute_force_limits(s1: int, n1: int, s0: int, n0: int) -> tuple[float, float]:
    """Smallest and largest difference on a grid that some unrejected pair of rates has."""
    p = np.linspace(0.0005, 0.9995, 1000)
    with np.errstate(over="ignore"):
        joint = np.outer(beta_binomial_e_value(s1, n1, p), beta_binomial_e_value(s0, n0, p))
    kept = joint < 20
    difference = p[:, None] - p[None, :]
    return float(difference[kept].min()), float(difference[kept].max())


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40), st.integers(0, 40))
@settings(max_examples=20, deadline=None)
def test_bandit_differences_are_brute_force_over_all_pairs(s1: int, f1: int, s0: int, f0: int) -> None:
    out = bandit_differences(s1, s1 + f1, s0, s0 + f0)
    low, high = brute_force_limits(s1, s1 + f1, s0, s0 + f0)
    assert (float(out.low[0]), float(out.high[0])) == pytest.approx((low, high), abs=0.004)
    mirror = bandit_differences(s0, s0 + f0, s1, s1 + f1)
    assert float(mirror.low[0]) == pytest.approx(-float(out.high[0]), abs=1e-6)


def test_joint_interval_is_tighter_than_two_separate_ones() -> None:
    out = bandit_differences(120, 200, 80, 200)
    one, two = (beta_binomial_confidence_sequence([s], [200], confidence=0.975).last() for s in (120, 80))
    assert out.low[0] > one.low - two.high
    assert out.high[0] < one.high - two.low


def test_p_value_and_interval_agree() -> None:
    arms = np.repeat([0, 1], [300, 100])
    rewards = np.concatenate([np.tile([1.0, 1.0, 0.0], 100), np.tile([1.0, 0.0, 0.0, 0.0], 25)])
    p = bandit_test(arms, rewards, candidate=0, baseline=1).p_value
    for level in (p * 1.05, p * 0.95):
        out = bandit_differences(200, 300, 25, 100, confidence=1 - level)
        assert bool(out.significant[0]) == (level > p)
    assert bandit_test([0, 1], [1.0, 1.0], candidate=0, baseline=1).p_value == pytest.approx(1, abs=1e-2)


def test_arm_inference_is_simultaneous() -> None:
    rewards = {"a": [1.0, 0.0] * 50, "b": [0.5] * 3, "c": []}
    out = arm_inference(rewards)
    alone = arm_inference({"a": rewards["a"]})
    assert out["a"].low < alone["a"].low
    assert isnan(out["c"].low)
    assert out["b"].high - out["b"].low > 0.5


def test_bad_bandit_logs_are_refused() -> None:
    for call in (
        lambda: adaptive_ipw([0, 1], [1.0, 0.0], [[1.0, 0.0], [0.5, 0.5]]),
        lambda: adaptive_ipw([0, 3], [1.0, 0.0], [[0.5, 0.5]] * 2),
        lambda: bandit_test([0], [1.0, 0.0], candidate=0, baseline=1),
        lambda: bandit_test([0, 1], [0.5, 0.0], candidate=0, baseline=1),
        lambda: bandit_test([0, 1], [1.0, 0.0], candidate=0, baseline=1, method="adaptive_ipw"),
        lambda: bandit_differences(5, 4, 1, 2),
        lambda: arm_inference({}),
    ):
        with pytest.raises(StatsError):
            call()
    short = adaptive_ipw([0, 1], [1.0, 0.0], [[0.5, 0.5]] * 2)
    assert isnan(short[0].estimate)
