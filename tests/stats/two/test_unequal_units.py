"""No spread, and units of unequal weight: nothing is as sure as that many equal units would make it."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from scipy import optimize
from statsmodels.stats.proportion import proportion_confint

from bakeoff.stats import compare, pass_at_k, summarize


def _weights(n: int, share: float) -> np.ndarray:
    """One item with `share` of the weight, the others alike."""
    return np.r_[share * (n - 1) / (1 - share), np.ones(n - 1)]


@pytest.mark.parametrize(("n", "share"), [(100, 0.44), (30, 0.6), (50, 0.2)])
def test_scores_that_are_all_equal_are_worth_kish_effective_size(n: int, share: float) -> None:
    """Wilson of statsmodels at (sum w)^2 / sum w^2 (Kish 1965)."""
    weights = _weights(n, share)
    worth = weights.sum() ** 2 / (weights @ weights)
    expected = proportion_confint(worth, worth, method="wilson")
    found = summarize(np.ones(n), kind="binary", weights=weights)
    assert (found.low, found.high) == (pytest.approx(expected[0]), pytest.approx(1.0))
    assert found.reason is not None
    assert f"worth {worth:.1f} equal ones" in found.reason
    sizes = np.repeat(np.arange(4), [60, 10, 10, 10])
    worth = 90**2 / (60**2 + 3 * 10**2)
    expected = proportion_confint(worth, worth, method="wilson")
    assert summarize(np.ones(90), clusters=sizes).low == pytest.approx(expected[0])
    assert pass_at_k(np.ones((90, 2)), 1, clusters=sizes).low < 0.45


def test_units_of_equal_weight_are_worth_their_number() -> None:
    expected = proportion_confint(20, 20, method="wilson")[0]
    assert summarize(np.ones(20), weights=np.full(20, 7.0)).low == pytest.approx(expected)
    assert summarize(np.ones(60), clusters=np.repeat(np.arange(20), 3)).low == pytest.approx(expected)
    found = compare(np.ones(12), np.zeros(12), weights=np.full(12, 3.0))
    assert found.p_value == pytest.approx(2 * 0.5**12)


def test_how_often_the_interval_misses_when_one_heavy_item_passes_or_fails() -> None:
    """The light items always pass, the heavy one with chance q: the truth is missed only where q is small."""
    weights = _weights(100, 0.44)
    low = summarize(np.ones(100), weights=weights).low
    missed_up_to = 1 - (1 - low) / 0.44  # chance of "all pass" at the largest q that the interval excludes
    assert missed_up_to < 0.05, "counted as 100 units it would be 0.92"


def _largest_chance(shares: np.ndarray) -> float:
    """Find the largest chance that all differ one way under a weighted mean difference of zero, numerically."""
    best = 0.0
    for start in (np.full(shares.size, 0.5), np.where(shares < 0.3, 0.99, 0.3)):
        found = optimize.minimize(
            lambda p: -np.log(p).sum(),
            start,
            bounds=[(1e-6, 1)] * shares.size,
            constraints={"type": "eq", "fun": lambda p: shares @ p - 0.5},
            method="SLSQP",
        )
        best = max(best, float(np.exp(-found.fun)))
    return best


@pytest.mark.parametrize("shares", [[0.85] + [0.03] * 5, [0.5, 0.3, 0.15, 0.05], [0.2] * 5, [0.4, 0.4] + [0.05] * 4])
@pytest.mark.parametrize("alternative", ["two-sided", "greater"])
def test_a_heavy_unit_may_drag_the_light_ones_along(
    shares: list[float], alternative: Literal["two-sided", "greater"]
) -> None:
    n = len(shares)
    found = compare(np.ones(n), np.zeros(n), kind="binary", weights=np.array(shares), alternative=alternative)
    sides = 2 if alternative == "two-sided" else 1
    assert found.p_value == pytest.approx(min(1.0, sides * _largest_chance(np.array(shares))), rel=1e-3)
    assert found.test == "sign_test"


def test_nearly_all_the_weight_on_one_item_gives_no_interval_for_pass_rates_either() -> None:
    scores = np.r_[1.0, np.tile([1.0, 0.0], 30)]
    heavy = np.r_[1000.0, np.ones(60)]
    for values in (scores, np.ones(61)):
        found = summarize(values, kind="binary", weights=heavy)
        assert np.isnan(found.low)
        assert found.reason == "no interval: one item or cluster has nearly all the weight"
    assert pass_at_k(np.c_[scores, scores], 1, weights=heavy).reason == "one item or cluster has nearly all the weight"


def test_different_items_with_nearly_all_the_weight_on_one_give_no_verdict() -> None:
    rng = np.random.default_rng(0)
    heavy = np.r_[1e4, np.ones(39)]
    found = compare(rng.random(40), rng.random(40), paired=False, weights=(heavy, np.ones(40)))
    assert np.isnan(found.low)
    assert np.isnan(found.p_value)
    assert found.verdict is not None
    assert found.verdict.word == "inconclusive"


def test_effect_sizes_never_contradict_a_weighted_difference() -> None:
    base = np.zeros(40)
    candidate = np.r_[np.ones(4), -0.5 * np.ones(36)] + np.linspace(0, 0.1, 40)
    weights = np.r_[np.full(4, 50.0), np.ones(36)]
    found = compare(candidate, base, kind="continuous", weights=weights)
    assert found.estimate > 0 > float((candidate - base).mean())
    assert found.effect == {}


@pytest.mark.parametrize("alternative", ["greater", "less"])
def test_a_one_sided_interval_that_is_not_there_has_no_open_end(alternative: Literal["greater", "less"]) -> None:
    found = compare(np.full(20, 3.5), np.full(20, 1.25), kind="continuous", alternative=alternative)
    assert np.isnan(found.low)
    assert np.isnan(found.high)
