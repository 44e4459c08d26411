from __future__ import annotations

import math

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff.errors import StatsError
from bakeoff.stats import clustered_mean, design_effect, encode_clusters, mean_t


def sample(seed=0, groups=14, n=90):
    rng = np.random.default_rng(seed)
    g = np.sort(np.concatenate([np.arange(groups), rng.integers(0, groups, n - groups)]))
    return rng.normal(size=groups)[g] + rng.normal(size=n), g


# Independent oracle: statsmodels 0.15 OLS(y ~ 1, cov_type="cluster").
@pytest.mark.parametrize(("variance", "correct"), [("cr0", False), ("cr1", True)])
def test_cr0_and_cr1_against_statsmodels(variance, correct):
    y, g = sample()
    fit = sm.OLS(y, np.ones(y.size)).fit(cov_type="cluster", cov_kwds={"groups": g, "use_correction": correct})
    e = clustered_mean(y, g, variance=variance)
    assert e.se == pytest.approx(fit.bse[0], rel=1e-10)
    assert e.estimate == pytest.approx(fit.params[0])


def test_weighted_cr0_against_statsmodels_wls():
    y, g = sample(1)
    w = np.random.default_rng(2).uniform(0.5, 3, y.size)
    fit = sm.WLS(y, np.ones(y.size), weights=w).fit(cov_type="cluster", cov_kwds={"groups": g, "use_correction": False})
    e = clustered_mean(y, g, weights=w, variance="cr0")
    assert (e.estimate, e.se) == pytest.approx((fit.params[0], fit.bse[0]), rel=1e-10)


def bell_mccaffrey(y, g):
    """CR2 and its Satterthwaite df from the matrix definitions (Bell & McCaffrey 2002; Pustejovsky & Tipton 2018)."""
    n = y.size
    x = np.ones((n, 1))
    hat = x @ np.linalg.inv(x.T @ x) @ x.T
    residual_maker = np.eye(n) - hat
    e = residual_maker @ y
    variance, columns = 0.0, []
    for label in np.unique(g):
        rows = g == label
        block = residual_maker[np.ix_(rows, rows)]
        values, vectors = np.linalg.eigh(block)
        root = vectors @ np.diag([0 if v < 1e-10 else v**-0.5 for v in values]) @ vectors.T
        weights = root @ np.ones(rows.sum()) / n
        variance += float(weights @ e[rows]) ** 2
        columns.append(residual_maker[:, rows] @ weights)
    p = np.array(columns)
    products = p @ p.T
    return math.sqrt(variance), np.trace(products) ** 2 / np.sum(products**2)


@pytest.mark.parametrize("seed", range(4))
def test_cr2_against_its_definition(seed):
    y, g = sample(seed, groups=6 + seed, n=40)
    se, df = bell_mccaffrey(y, g)
    e = clustered_mean(y, g)
    assert (e.se, e.df) == pytest.approx((se, df), rel=1e-9)


def test_clusters_of_one_item_are_no_clusters():
    y, _ = sample(5)
    plain, clustered = mean_t(y), clustered_mean(y, np.arange(y.size))
    assert (plain.low, plain.high, plain.df) == pytest.approx((clustered.low, clustered.high, clustered.df))


def test_equal_clusters_agree_with_t_on_cluster_means():
    rng = np.random.default_rng(6)
    y = rng.normal(size=(8, 5))
    e = clustered_mean(y.ravel(), np.repeat(np.arange(8), 5))
    means = mean_t(y.mean(axis=1))
    assert (e.low, e.high, e.df) == pytest.approx((means.low, means.high, means.df))
    assert clustered_mean(y.ravel(), np.repeat(np.arange(8), 5), variance="cluster_means").low == pytest.approx(
        means.low
    )


def test_copying_every_item_adds_no_information():
    y, g = sample(7)
    one, two = clustered_mean(y, g), clustered_mean(np.tile(y, 2), np.tile(g, 2))
    assert (one.low, one.high) == pytest.approx((two.low, two.high))


@settings(max_examples=50)
@given(seed=st.integers(0, 10**6), variance=st.sampled_from(["cr0", "cr1", "cr2", "cluster_means"]))
def test_labels_and_order_do_not_matter(seed, variance):
    rng = np.random.default_rng(seed)
    y, g = sample(seed, groups=5, n=20)
    names = np.array([f"doc-{k}" for k in rng.permutation(5)])
    order = rng.permutation(20)
    one = clustered_mean(y, g, variance=variance)
    two = clustered_mean(y[order], names[g][order], variance=variance)
    assert (one.estimate, one.low, one.high, one.df) == pytest.approx((two.estimate, two.low, two.high, two.df))


def test_one_cluster_is_not_estimable_and_few_clusters_warn():
    e = clustered_mean([1.0, 2.0, 3.0], ["a", "a", "a"])
    assert e.estimate == 2
    assert math.isnan(e.se)
    assert math.isnan(e.low)
    assert "two clusters" in (e.reason or "")
    assert any("only 3 clusters" in note for note in clustered_mean([1.0, 2.0, 4.0], [0, 1, 2]).warnings)


def test_missing_scores_leave_their_cluster():
    e = clustered_mean([1.0, np.nan, 3.0, np.nan], ["a", "a", "b", "c"])
    assert e.n == 2


def test_design_effect_of_perfect_clusters_is_about_their_size():
    y = np.repeat(np.random.default_rng(8).normal(size=200), 4)
    assert design_effect(y, np.repeat(np.arange(200), 4)) == pytest.approx(4, rel=0.02)


@pytest.mark.parametrize("labels", [["b", "a", "b"], [7, -2, 7], [1e9, 2.0, 1e9], [True, False, True], [2, 3, 2]])
def test_any_label_is_a_label(labels):
    codes = encode_clusters(np.array(labels))
    assert len(set(codes.tolist())) == len(set(labels))


@pytest.mark.parametrize(
    "call",
    [
        lambda: clustered_mean([1.0, 2.0], ["a"]),
        lambda: clustered_mean([1.0, 2.0], ["a", None]),
        lambda: clustered_mean([1.0, 2.0], [1.0, math.nan]),
        lambda: clustered_mean([1.0, 2.0], [[0], [1]]),
        lambda: clustered_mean([1.0, 2.0], [0, 1], weights=[1, -1]),
        lambda: clustered_mean([1.0, 2.0], [0, 1], weights=[0, 0]),
        lambda: clustered_mean([1.0, 2.0], [0, 1], weights=["a", "b"]),
        lambda: clustered_mean([1.0, 2.0], [0, 1], variance="cr9"),
    ],
)
def test_bad_input_is_explained(call):
    with pytest.raises(StatsError):
        call()
