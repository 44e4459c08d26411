from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bakeoff.errors import StatsError
from bakeoff.stats import quantile_difference, quantile_interval


@pytest.mark.parametrize(
    ("n", "low", "high"),
    # 95% intervals for a median, ranks by n: Conover (1999), table A3; Campbell & Gardner (1988), BMJ 296:1454-6;
    # R 4.2.2: c(qbinom(0.025, n, 0.5), n + 1 - qbinom(0.025, n, 0.5)).
    [(6, 1, 6), (10, 2, 9), (15, 4, 12), (20, 6, 15), (25, 8, 18), (30, 10, 21), (50, 18, 33), (100, 40, 61)],
)
def test_median_ranks_published(n, low, high):
    e = quantile_interval(np.arange(1, n + 1), 0.5)
    assert (e.low, e.high) == (low, high)


@settings(max_examples=60)
@given(n=st.integers(1, 400), q=st.sampled_from([0.05, 0.25, 0.5, 0.9, 0.95, 0.99]), level=st.sampled_from([0.8, 0.95]))
def test_level_holds_for_any_distribution(n, q, level):
    # Exact coverage from the binomial (scipy.stats.binom): P(low < quantile < high) = P(l <= Bin(n, q) <= u - 1).
    e = quantile_interval(np.arange(1, n + 1), q, confidence=level)
    lower = e.low if math.isfinite(e.low) else 0
    upper = e.high if math.isfinite(e.high) else n + 1
    covered = stats.binom.cdf(upper - 1, n, q) - stats.binom.cdf(lower - 1, n, q)
    assert covered >= level - 1e-9
    if math.isfinite(e.low):  # no tighter rank would do
        assert stats.binom.cdf(lower, n, q) > (1 - level) / 2
    if math.isfinite(e.high):
        assert stats.binom.sf(upper - 2, n, q) > (1 - level) / 2


def test_few_items_cannot_bound_a_tail():
    e = quantile_interval(np.arange(50.0), 0.95)
    assert e.high == math.inf
    assert "72" in (e.reason or "")  # 0.95^72 < 0.025
    assert math.isfinite(quantile_interval(np.arange(90.0), 0.95).high)


def test_difference_of_medians_covers():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        b = rng.lognormal(0, 0.6, 80)
        a = b * 1.5
        e = quantile_difference(a, b, 0.5, resamples=400, rng=rng)
        hits += e.low <= 0.5 <= e.high
    assert hits / 200 >= 0.90


def test_pairing_narrows_the_interval():
    rng = np.random.default_rng(1)
    b = rng.lognormal(0, 1, 300)
    a = b + 0.1 + rng.normal(0, 0.01, 300)
    paired, unpaired = (quantile_difference(a, b, 0.5, paired=p, resamples=500) for p in (True, False))
    assert paired.high - paired.low < 0.3 * (unpaired.high - unpaired.low)


def test_degenerate():
    assert quantile_interval([], 0.5).reason
    assert quantile_difference([1.0], [2.0], 0.5).reason
    assert math.isnan(quantile_difference([1.0] * 5, [1.0] * 5, 0.5).low)
    assert any("few" in note for note in quantile_difference([1.0, 2.0], [2.0, 5.0], 0.95).warnings)
    for call in (
        lambda: quantile_interval([1.0], 95),
        lambda: quantile_interval(["x"], 0.5),
        lambda: quantile_difference([1.0, 2.0], [1.0], 0.5),
    ):
        with pytest.raises(StatsError):
            call()
