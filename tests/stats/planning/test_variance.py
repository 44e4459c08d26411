"""Variance components and repeats: textbook data, simulation, brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bakeoff.errors import StatsError
from bakeoff.stats import optimal_repeats, variance_components


def test_looms_of_montgomery():
    # Montgomery (2013), Design and Analysis of Experiments, example 3.10: sigma_tau^2 = 6.96, sigma^2 = 1.90;
    # R lme4 1.1.31: VarCorr(lmer(y ~ 1 + (1 | loom))) 6.958, 1.896
    split = variance_components([[98, 97, 99, 96], [91, 90, 93, 92], [96, 95, 97, 95], [95, 96, 99, 98]])
    assert split.items == pytest.approx(6.96, abs=0.005)
    assert split.generation == pytest.approx(1.90, abs=0.005)
    assert split.icc == pytest.approx(6.96 / 8.86, abs=0.002)
    assert math.isnan(split.judge)


def test_purity_of_montgomery():
    # Montgomery (2013), example 14.1 (batches within suppliers): error 2.64, batches 1.71, suppliers
    # (7.53 - 7.77) / 12 = -0.02 before truncation at 0; R 4.2.2: anova(lm(y ~ supplier + batch)) 7.528, 7.769, 2.639
    data = [
        [[1, -1, 0], [-2, -3, -4], [-2, 0, 1], [1, 4, 0]],
        [[1, -2, -3], [0, 4, 2], [-1, 0, -2], [0, 3, 2]],
        [[2, 4, 0], [-2, 0, 2], [1, -1, 2], [3, 2, 1]],
    ]
    split = variance_components(data)
    assert split.judge == pytest.approx(2.64, abs=0.005)
    assert split.generation == pytest.approx(1.71, abs=0.005)
    assert split.items == pytest.approx(-0.02, abs=0.005)
    assert split.shares["items"] == 0.0


def test_balanced_data_match_reml():
    # statsmodels MixedLM, REML with a random intercept, equals ANOVA on balanced data
    from statsmodels.regression.mixed_linear_model import MixedLM

    rng = np.random.default_rng(0)
    y = rng.normal(0, 2, 30)[:, None] + rng.normal(0, 1, (30, 4))
    fit = MixedLM(y.ravel(), np.ones(120), groups=np.repeat(np.arange(30), 4)).fit(reml=True)
    split = variance_components(y)
    assert split.generation == pytest.approx(float(fit.scale), rel=1e-4)
    assert split.items == pytest.approx(float(fit.cov_re[0, 0]), rel=1e-3)


def test_unbiased_with_missing_scores():
    rng = np.random.default_rng(1)
    estimates = []
    for _ in range(300):
        y = rng.normal(0, 1, (25, 1, 1)) + rng.normal(0, 0.7, (25, 4, 1)) + rng.normal(0, 0.5, (25, 4, 3))
        y[rng.random(y.shape) < 0.3] = math.nan
        split = variance_components(y)
        estimates.append((split.items, split.generation, split.judge))
    mean, error = np.mean(estimates, axis=0), np.std(estimates, axis=0) / math.sqrt(300)
    assert np.all(np.abs(mean - [1.0, 0.49, 0.25]) < 4 * error)


def test_binary_generation_variance():
    # Miller (2024): sigma^2 = mean of K / (K - 1) p_i (1 - p_i)
    y = np.array([[1, 1, 0], [0, 0, 1], [1, 1, 1]], dtype=float)
    p = y.mean(axis=1)
    assert variance_components(y).generation == pytest.approx(np.mean(1.5 * p * (1 - p)))


def test_advice_follows_the_largest_share():
    rng = np.random.default_rng(2)

    def advice(items: float, generation: float, judge: float) -> str:
        y = rng.normal(0, items, (200, 1, 1)) + rng.normal(0, generation, (200, 3, 1))
        return variance_components(y + rng.normal(0, judge, (200, 3, 4))).advice

    assert advice(2.0, 0.3, 0.3).startswith("More items")
    assert advice(0.2, 2.0, 0.3).startswith("More repeats")
    assert advice(0.1, 0.1, 3.0).startswith("More judge calls")


def test_copies_are_caught():
    rng = np.random.default_rng(3)
    answer = rng.random((20, 1))
    cached = variance_components(np.repeat(answer, 5, axis=1))
    assert cached.duplicated
    assert cached.identical == 1.0
    assert "cache" in cached.warnings[0]
    assert cached.advice.startswith("More items: the repeats are copies")
    # half of the answers cached, many distinct values
    mixed = np.repeat(answer, 5, axis=1)
    mixed[:8] += rng.normal(0, 0.1, (8, 5))
    assert variance_components(mixed).duplicated
    # pass/fail verdicts that agree on most items are no copies
    easy = np.ones((20, 5))
    easy[:3, 0] = 0
    assert not variance_components(easy).duplicated
    assert not variance_components(rng.random((20, 5))).duplicated


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        (np.zeros((0, 3)), "no item"),
        (np.full((4, 3), math.nan), "no item"),
        (np.array([[1.0], [0.0]]), "run twice"),
        (np.array([[1.0, 0.0, 1.0]]), "one item"),
    ],
)
def test_not_estimable_is_nan_with_a_reason(scores, words):
    split = variance_components(scores)
    assert math.isnan(split.items)
    assert words in split.reason
    assert split.advice


def test_wrong_input():
    for bad in ([1.0, 2.0], [[math.inf, 1.0]], [["a", "b"]]):
        with pytest.raises(StatsError):
            variance_components(bad)


@settings(max_examples=60, deadline=None)
@given(
    arrays(
        np.float64, st.tuples(st.integers(1, 6), st.integers(1, 4)), elements=st.sampled_from([0.0, 0.5, 1.0, math.nan])
    )
)
def test_any_scores_give_numbers_or_a_reason(y):
    split = variance_components(y)
    assert split.advice
    if split.reason is None:
        assert math.isfinite(split.items)
        assert split.generation >= 0
    shuffled = variance_components(y[::-1, ::-1])
    np.testing.assert_allclose([split.items, split.generation], [shuffled.items, shuffled.generation], atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    items=st.floats(0.01, 2),
    generation=st.floats(0.0, 2),
    judge=st.floats(0.0, 2),
    cost_item=st.floats(0.0, 20),
    cost_judge=st.floats(0.05, 5),
)
def test_optimal_repeats_beat_every_other_choice(items, generation, judge, cost_item, cost_judge):
    plan = optimal_repeats(
        item_variance=items,
        generation_variance=generation,
        judge_variance=judge,
        cost_item=cost_item,
        cost_call=1.0,
        cost_judge=cost_judge,
        budget=1e9,
    )

    def loss(k: int, j: int) -> float:
        return (cost_item + k * (1 + j * cost_judge)) * (items + generation / k + judge / (k * j))

    grid = min(loss(k, j) for k in range(1, 101) for j in (1, 2, 3, 4, 6, 8, 12, 20, 40, 100))
    assert loss(plan.repeats, plan.judgements) <= grid * (1 + 1e-12)


def test_cochran_rule():
    # Cochran (1977), section 10.6: K* = sqrt(S2^2 / Su^2 * c1 / c2); here sqrt(0.9 / 0.1 * 4) = 6
    plan = optimal_repeats(item_variance=0.1, generation_variance=0.9, cost_item=4, cost_call=1, budget=1000)
    assert plan.exact_repeats == pytest.approx(6.0)
    assert plan.repeats == 6
    assert plan.n_items == 100
    assert plan.se == pytest.approx(math.sqrt(0.25 / 100))


def test_free_items_mean_one_run_each():
    # Miller (2024): if items are free, K = 1 is always optimal
    plan = optimal_repeats(item_variance=0.01, generation_variance=5, cost_item=0, cost_call=1, budget=100)
    assert (plan.repeats, plan.n_items) == (1, 100)


def test_repeats_are_capped_and_budgets_may_be_too_small():
    plan = optimal_repeats(item_variance=0, generation_variance=1, cost_item=1, cost_call=1, budget=1)
    assert plan.repeats == 100
    assert plan.n_items == 0
    assert math.isnan(plan.se)
    with pytest.raises(StatsError, match="all 0"):
        optimal_repeats(item_variance=1, generation_variance=1, cost_item=0, cost_call=0, budget=1)
    with pytest.raises(StatsError, match="budget"):
        optimal_repeats(item_variance=1, generation_variance=1, cost_item=1, cost_call=1, budget=-1)
