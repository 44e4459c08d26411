from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bakeoff.errors import StatsError
from bakeoff.stats import bootstrap, bootstrap_mean, bootstrap_means

# Efron & Tibshirani (1993), An Introduction to the Bootstrap, table 2.1: survival of 7 treated mice, in days.
MICE = [94.0, 197.0, 16.0, 38.0, 99.0, 141.0, 23.0]


def test_standard_error_of_the_mice():
    # Efron & Tibshirani (1993), chapter 2 and 6: the ideal bootstrap standard error is 23.36 (plug-in sd / sqrt(7)).
    assert bootstrap_mean(MICE, resamples=100_000).se == pytest.approx(23.36, rel=0.01)


def test_binary_percentiles_are_binomial_quantiles():
    # The resampled sum of 30 passes in 50 items is Bin(50, 0.6): its quantiles are known exactly.
    x = [1] * 30 + [0] * 20
    e = bootstrap_mean(x, resamples=200_000, confidence=0.9)
    assert (e.low, e.high) == (stats.binom.ppf(0.05, 50, 0.6) / 50, stats.binom.ppf(0.95, 50, 0.6) / 50)


@pytest.mark.parametrize("method", ["percentile", "BCa"])
def test_against_scipy(method):
    x = np.random.default_rng(0).lognormal(0, 1, 40)
    expected = stats.bootstrap((x,), np.mean, method=method, n_resamples=50_000, rng=np.random.default_rng(1))
    e = bootstrap_mean(x, method=method.lower(), resamples=50_000)
    low, high = expected.confidence_interval
    width = high - low
    assert (e.low, e.high) == pytest.approx((low, high), abs=0.02 * width)


def test_bootstrap_t_against_a_loop():
    x = np.random.default_rng(2).exponential(size=15)
    rng = np.random.default_rng(3)
    t = []
    for _ in range(20_000):
        y = rng.choice(x, x.size)
        spread = y.std(ddof=1)
        t.append((y.mean() - x.mean()) / (spread / math.sqrt(x.size)) if spread else math.nan)
    se = x.std(ddof=1) / math.sqrt(x.size)
    low, high = x.mean() - np.nanquantile(t, 0.975) * se, x.mean() - np.nanquantile(t, 0.025) * se
    e = bootstrap_mean(x, method="t", resamples=50_000)
    assert (e.low, e.high) == pytest.approx((low, high), abs=0.05 * (high - low))


@pytest.mark.parametrize("method", ["percentile", "bca", "t"])
def test_discrete_and_general_paths_agree(method, monkeypatch):
    x = np.random.default_rng(4).choice([-1.0, 0.0, 1.0], size=60, p=[0.1, 0.6, 0.3])
    g = np.random.default_rng(5).integers(0, 20, 60)
    for clusters in (None, g):
        fast = bootstrap_mean(x, clusters=clusters, method=method, resamples=60_000)
        with monkeypatch.context() as patch:
            patch.setattr("bakeoff.stats.one._bootstrap.FEW_VALUES", 0)
            slow = bootstrap_mean(x, clusters=clusters, method=method, resamples=60_000)
        assert (fast.low, fast.high, fast.se) == pytest.approx((slow.low, slow.high, slow.se), abs=0.018)


def test_cluster_bootstrap_sees_the_clusters():
    rng = np.random.default_rng(6)
    y = np.repeat(rng.normal(size=60), 5) + 0.1 * rng.normal(size=300)
    g = np.repeat(np.arange(60), 5)
    naive, clustered = bootstrap_mean(y), bootstrap_mean(y, clusters=g)
    assert clustered.se / naive.se == pytest.approx(math.sqrt(5), rel=0.06)
    assert clustered.n == 60


def test_joint_resamples_keep_pairs_together():
    rng = np.random.default_rng(7)
    a = rng.normal(size=200)
    means = bootstrap_means(np.column_stack([a, a + 1, rng.normal(size=200)]), resamples=3000)
    assert means[:, 1] - means[:, 0] == pytest.approx(np.ones(3000))
    assert means[:, 0].std() == pytest.approx(a.std() / math.sqrt(200), rel=0.06)
    g = np.array(["x", "y"] * 100)
    assert len(np.unique(bootstrap_means(a[:, None], clusters=g, resamples=500).round(12))) == 3


def test_general_statistic_against_scipy():
    x = np.random.default_rng(8).exponential(size=60)

    def trimmed(rows, axis=-1):
        return np.sort(rows, axis=-1)[..., 6:-6].mean(axis=-1)

    for method in ("percentile", "bca"):
        e = bootstrap(x, trimmed, method=method)
        name = "BCa" if method == "bca" else method
        low, high = stats.bootstrap(
            (x,), trimmed, method=name, axis=-1, vectorized=True, rng=np.random.default_rng(1)
        ).confidence_interval
        assert (e.low, e.high) == pytest.approx((low, high), abs=0.05 * (high - low))


@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(st.floats(-1e6, 1e6) | st.just(math.nan), max_size=12),
    method=st.sampled_from(["percentile", "bca", "t"]),
    seed=st.integers(0, 5),
)
def test_seeded_and_inside_the_data(values, method, seed):
    one = bootstrap_mean(values, method=method, resamples=300, rng=seed)
    two = bootstrap_mean(values, method=method, resamples=300, rng=seed)
    assert (one.low, one.high) == pytest.approx((two.low, two.high), nan_ok=True)
    assert one.low != one.high
    if math.isnan(one.low):
        assert one.reason
    elif method != "t":
        present = [v for v in values if not math.isnan(v)]
        slack = 1e-9 * max(abs(v) for v in present)
        assert min(present) - slack <= one.low < one.high <= max(present) + slack


@pytest.mark.parametrize("values", [[], [math.nan], [2.0], [0.1] * 9])
@pytest.mark.parametrize("method", ["percentile", "bca", "t"])
def test_degenerate(values, method):
    e = bootstrap_mean(values, method=method)
    assert math.isnan(e.low)
    assert e.reason


@pytest.mark.parametrize(
    "call",
    [
        lambda: bootstrap_mean([1.0, 2.0], method="basic"),
        lambda: bootstrap_mean([1.0, 2.0], resamples=10),
        lambda: bootstrap_means([1.0, 2.0]),
        lambda: bootstrap_means([[1.0], [math.nan]]),
        lambda: bootstrap([1.0, 2.0], np.mean),
        lambda: bootstrap([1.0, 2.0], lambda x: x.mean(axis=-1), method="t"),
    ],
)
def test_bad_input_is_explained(call):
    with pytest.raises(StatsError):
        call()


def test_speed():
    continuous = np.random.default_rng(1).normal(size=2000)
    discrete = np.sign(continuous.round(0))

    def best(x):
        times = []
        for _ in range(5):
            start = time.process_time()
            bootstrap_mean(x, resamples=10_000)
            times.append(time.process_time() - start)
        return min(times)

    assert best(continuous) < 0.1
    assert best(discrete) < 0.005
