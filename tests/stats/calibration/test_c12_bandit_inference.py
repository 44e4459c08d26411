"""C12: tests after a bandit. The naive z-test must fail, the product's tests must hold or refuse."""

from __future__ import annotations

from functools import cache
from math import isnan

import numpy as np

from bakeoff.stats import Bandit, Thompson, adaptive_ipw_difference, bandit_differences, bandit_test, simulate_regret
from bakeoff.stats.core._dist import norm_sf


@cache
def thompson_counts() -> tuple[np.ndarray, np.ndarray]:
    simulation = simulate_regret(Thompson(), [0.5, 0.5], horizon=1000, runs=4000, rng=21)
    return simulation.pulls, simulation.totals


def naive_z() -> float:
    pulls, totals = thompson_counts()
    rate, pooled = totals / np.maximum(pulls, 1), totals.sum(axis=1) / pulls.sum(axis=1)
    se = np.sqrt(pooled * (1 - pooled) * (1 / np.maximum(pulls, 1)).sum(axis=1))
    return float((2 * norm_sf(np.abs(rate[:, 0] - rate[:, 1]) / se) <= 0.05).mean())


def always_valid() -> float:
    pulls, totals = thompson_counts()
    return float(bandit_differences(totals[:, 0], pulls[:, 0], totals[:, 1], pulls[:, 1]).significant.mean())


def less_played_bias() -> float:
    pulls, totals = thompson_counts()
    less = pulls.argmin(axis=1)
    rows = np.arange(less.size)
    return float((totals[rows, less] / np.maximum(pulls[rows, less], 1)).mean() - 0.5)


@cache
def weighted(runs: int = 1500, batches: int = 20, size: int = 50) -> float:
    """Batched Thompson with floor .1 on two equal arms, propensities logged, adaptively weighted test."""
    rng = np.random.default_rng(23)
    n, s = np.zeros((runs, 2)), np.zeros((runs, 2))
    arms, rewards, chance = [], [], []
    for _ in range(batches):
        draws = rng.beta(1 + s[:, None, :], 1 + (n - s)[:, None, :], (runs, 400, 2))
        share = 0.1 + 0.8 * (draws[..., 1] > draws[..., 0]).mean(axis=1)
        arm = (rng.random((runs, size)) < share[:, None]).astype(int)
        reward = (rng.random((runs, size)) < 0.5).astype(float)
        for a in (0, 1):
            n[:, a] += (arm == a).sum(axis=1)
            s[:, a] += (reward * (arm == a)).sum(axis=1)
        arms.append(arm)
        rewards.append(reward)
        chance.append(np.repeat(share[:, None], size, axis=1))
    a, r, e = (np.concatenate(part, axis=1) for part in (arms, rewards, chance))
    hits = 0
    for run in range(runs):
        out = adaptive_ipw_difference(a[run], r[run], np.stack([1 - e[run], e[run]], axis=1), candidate=1, baseline=0)
        hits += not out.low <= 0 <= out.high
    return hits / runs


@cache
def measure() -> list[dict[str, object]]:
    bad = naive_z()
    valid, ipw = always_valid(), weighted()
    name = "type I after Thompson on two equal arms"
    return [
        {"check": "C12", "property": name, "cell": "always valid, T=1,000",
         "measured": valid, "limit": "<= 5.5%", "known_bad": bad, "passed": valid <= 0.055},
        {"check": "C12", "property": name, "cell": "adaptive IPW, floor .1, T=1,000",
         "measured": ipw, "limit": "<= 5% + 3 SE (6.7%)", "known_bad": bad, "passed": ipw <= 0.067},
    ]  # fmt: skip


def test_adjusted_tests_hold_their_level() -> None:
    assert all(row["passed"] for row in measure()), measure()


def test_the_naive_z_test_does_not() -> None:
    assert naive_z() > 0.1  # reference 13.4%
    assert less_played_bias() < -0.03  # reference -4.6 points


def test_plain_z_is_refused_with_the_reason() -> None:
    bandit = Bandit(Thompson(), arms=["a", "b"], seed=0)
    arms = [bandit.arms.index(bandit.select().arm) for _ in range(20)]
    result = bandit_test(arms, [1.0, 0.0] * 10, candidate=1, baseline=0, method="z")
    assert isnan(result.p_value)
    assert "biased" in (result.reason or "")
