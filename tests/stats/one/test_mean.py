from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from bakeoff.errors import StatsError
from bakeoff.stats import mean_logit_t, mean_t

# Darwin (1876), cross- and self-fertilised maize, differences in eighths of an inch (Fisher 1935).
DARWIN = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
# Student (1908), extra hours of sleep, second drug minus first (R data set `sleep`).
SLEEP = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [
        ([d / 8 for d in DARWIN], 0.003899165, 5.229434),  # R 4.2.2: t.test(darwin / 8)
        (SLEEP, 0.7001142, 2.4598858),  # R 4.2.2: t.test(extra[11:20] - extra[1:10]) on sleep
    ],
)
def test_against_r(values, low, high):
    e = mean_t(values)
    assert (e.low, e.high) == pytest.approx((low, high), abs=2e-6)


def test_against_scipy():
    x = np.random.default_rng(3).normal(2, 5, size=37)
    low, high = stats.ttest_1samp(x, 0).confidence_interval(0.9)
    e = mean_t(x, confidence=0.9)
    assert (e.low, e.high) == pytest.approx((low, high), abs=1e-12)
    assert e.se == pytest.approx(stats.sem(x))


def test_repeats_are_averaged_within_the_item():
    x = np.random.default_rng(4).normal(size=(12, 5))
    x[0, 3:] = np.nan
    assert mean_t(x).high == pytest.approx(mean_t(np.nanmean(x, axis=1)).high)


def test_repeating_the_same_answers_adds_no_information():
    x = np.random.default_rng(5).normal(size=12)
    one, ten = mean_t(x), mean_t(np.repeat(x[:, None], 10, axis=1))
    assert (one.low, one.high, one.n) == pytest.approx((ten.low, ten.high, ten.n))


def test_logit_t_by_hand():
    # m = 0.9, sd = 0.1 (n-1), n = 3: logit(0.9) = 2.1972, se = 0.057735, t(2) = 4.302653
    x = [0.8, 0.9, 1.0]
    half = 4.302653 * 0.0577350 / 0.09
    e = mean_logit_t(x)
    assert e.low == pytest.approx(1 / (1 + math.exp(-(2.197225 - half))), abs=1e-6)
    assert e.high == pytest.approx(1 / (1 + math.exp(-(2.197225 + half))), abs=1e-6)


@pytest.mark.parametrize("values", [[], [math.nan], [3.0], [2.0, 2.0, 2.0], [0.1] * 10, [1e90]])
def test_degenerate_is_nan_with_a_reason(values):
    e = mean_t(values)
    assert math.isnan(e.low)
    assert math.isnan(e.high)
    assert e.reason


@pytest.mark.parametrize("values", [[math.inf], ["a"], [[[1.0]]], [None, "x"]])
def test_bad_input_is_explained(values):
    with pytest.raises(StatsError):
        mean_t(values)


def test_logit_t_refuses_scores_outside_the_unit():
    with pytest.raises(StatsError, match=r"\[0, 1\]"):
        mean_logit_t([0.5, 1.5])


def test_skewed_scores_warn():
    x = np.random.default_rng(6).lognormal(0, 1.5, size=30)
    assert any("skewed" in note for note in mean_t(x).warnings)
    assert not mean_t(np.random.default_rng(6).normal(size=30)).warnings
