"""The best of many: shrinking, holding out, intervals that allow for having been picked."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff.errors import StatsError
from bakeoff.stats import (
    best_of_many,
    holdout_split,
    shrink,
)

# Efron & Morris (1977), Scientific American 236(5): 18 batters after 45 at bats; shrinking factor 0.212
BATTING = [0.400, 0.378, 0.356, 0.333, 0.311, 0.311, 0.289, 0.267, 0.244, 0.244, 0.222, 0.222, 0.222, 0.222, 0.222]
BATTING += [0.200, 0.178, 0.156]


def test_shrink_baseball_of_efron_and_morris():
    se = math.sqrt(0.265 * 0.735 / 45)
    result = shrink(BATTING, [se] * 18)
    assert result.center == pytest.approx(0.265, abs=5e-4)
    y = np.array(BATTING)
    james_stein = 1 - 15 * se**2 / np.sum((y - y.mean()) ** 2)
    assert result.weight[0] == pytest.approx(james_stein, abs=1e-6)
    assert result.weight[0] == pytest.approx(0.212, abs=0.01)
    assert result.estimates[0] == pytest.approx(0.294, abs=2e-3)  # Clemente
    assert result.estimates[-1] == pytest.approx(0.242, abs=2e-3)  # Alvis


def test_shrink_bcg_between_variance_of_metafor():
    # R metafor 3.8.1: rma(yi, vi, data = escalc("RR", ..., data = dat.bcg), method = "PM")$tau2 = 0.3181
    y = [
        -0.8893,
        -1.5854,
        -1.3481,
        -1.4416,
        -0.2175,
        -0.7861,
        -1.6209,
        0.0120,
        -0.4694,
        -1.3713,
        -0.3394,
        0.4459,
        -0.0173,
    ]
    v = [0.3256, 0.1946, 0.4154, 0.0200, 0.0512, 0.0069, 0.2230, 0.0040, 0.0564, 0.0730, 0.0124, 0.5325, 0.0714]
    assert shrink(y, np.sqrt(v)).spread ** 2 == pytest.approx(0.3181, abs=1e-3)


def test_shrink_intervals_cover_on_average():
    rng = np.random.default_rng(12)
    hits = []
    for _ in range(300):
        truth = rng.normal(0.6, 0.05, 12)
        result = shrink(truth + rng.normal(0, 0.07, 12), [0.07] * 12)
        hits.append(np.mean((np.array(result.low) <= truth) & (truth <= np.array(result.high))))
    assert np.mean(hits) >= 0.94


def test_shrink_degenerate():
    few = shrink([0.1, 0.5], [0.1, 0.1])
    assert few.estimates == (0.1, 0.5)
    assert few.reason
    assert shrink([], []).reason
    equal = shrink([0.5] * 6, [0.1] * 6)
    assert equal.estimates == pytest.approx([0.5] * 6)
    for bad in (([1.0], [1.0, 2.0]), ([math.nan] * 4, [1.0] * 4), ([1.0] * 4, [0.0] * 4)):
        with pytest.raises(StatsError):
            shrink(*bad)


@settings(max_examples=50, deadline=None)
@given(
    n=st.integers(2, 200),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 99),
    size=st.integers(1, 5),
)
def test_holdout_split_is_a_partition_that_keeps_clusters(n, fraction, seed, size):
    codes = np.arange(n) // size
    if np.unique(codes).size < 2:
        with pytest.raises(StatsError, match="clusters"):
            holdout_split(n, fraction=fraction, clusters=codes, rng=seed)
        return
    select, confirm = holdout_split(n, fraction=fraction, clusters=codes, rng=seed)
    assert sorted([*select, *confirm]) == list(range(n))
    assert not set(codes[select]) & set(codes[confirm])
    assert len(select)
    assert len(confirm)
    again = holdout_split(n, fraction=fraction, clusters=codes, rng=seed)
    assert np.array_equal(select, again[0])


@pytest.mark.parametrize("method", ["simultaneous", "holdout", "shrinkage"])
def test_best_of_many(method):
    rng = np.random.default_rng(13)
    item = rng.random(80)
    data = {f"v{j}": (rng.random(80) < 0.3 + 0.5 * item).astype(float) for j in range(8)}
    best = best_of_many(data, method=method)
    assert best.name in data
    assert best.confidence == 0.95
    assert best.low < best.estimate < best.high
    assert best.name in best.sentence
    if method == "simultaneous":
        assert best.high - best.low > best.naive.high - best.naive.low
    if method == "shrinkage":
        assert best.estimate < best.naive.estimate
    lowest = best_of_many(data, method=method, higher_is_better=False)
    assert lowest.naive.estimate <= best.naive.estimate


def test_best_of_many_degenerate():
    assert math.isnan(best_of_many({"a": [math.nan], "b": [math.nan]}).low)
    assert math.isnan(best_of_many({"a": [1.0, 0.0], "b": [0.0, 1.0]}, method="shrinkage").low)
    assert best_of_many({"only": [1.0, 0.0, 1.0]}).n_variants == 1
    with pytest.raises(StatsError, match="method"):
        best_of_many({"a": [1.0]}, method="luck")
    with pytest.raises(StatsError, match="at least two"):
        best_of_many({"a": [1.0]}, method="holdout")
