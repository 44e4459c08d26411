from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.weightstats import ttost_ind, ttost_paired

from bakeoff.errors import StatsError
from bakeoff.stats import PairedTable, equivalence_of_proportions, tost, tost_paired_proportions, tost_unpaired


def test_tango_lens_study():
    # Tango (1998), Statistics in Medicine 17:891-908: non-inferiority of a disinfection, margin 0.1, z = 1.709.
    lens = PairedTable(both=43, candidate_only=0, baseline_only=1, neither=0)
    r = tost_paired_proportions(lens, 0.1, goal="not_worse")
    assert r.statistic == pytest.approx(1.709, abs=5e-4)
    assert r.passed


def test_tost_against_statsmodels():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.02, 0.3, 40), rng.normal(0, 0.3, 40)
    assert tost(a - b, 0.15).p_value == pytest.approx(ttost_paired(a, b, -0.15, 0.15)[0])
    expected = ttost_ind(a, b[:30], -0.15, 0.15, usevar="unequal")[0]
    assert tost_unpaired(a, b[:30], margin=0.15).p_value == pytest.approx(expected)


goals = st.sampled_from(["equivalent", "not_worse", "not_higher"])


def inside(r):
    ok = {"equivalent": (True, True), "not_worse": (True, False), "not_higher": (False, True)}[r.goal]
    return (not ok[0] or r.low > -r.margin) and (not ok[1] or r.high < r.margin)


@settings(max_examples=60)
@given(seed=st.integers(0, 10**6), goal=goals, margin=st.floats(0.01, 0.6), n=st.integers(3, 60))
def test_passes_exactly_when_the_interval_is_inside(seed, goal, margin, n):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(0, 0.5, n), rng.normal(0.1, 0.5, n)
    b, c, rest = rng.integers(0, 12, 3).tolist()
    table = PairedTable(both=rest + 1, candidate_only=b, baseline_only=c, neither=2)
    results = [
        tost(x, margin, goal=goal),
        tost_unpaired(x, y, margin=margin, goal=goal),
        tost_paired_proportions(table, margin, goal=goal),
        equivalence_of_proportions(b, b + 3, baseline_successes=c, baseline_n=c + 5, margin=margin, goal=goal),
    ]
    for r in results:
        if abs(r.p_value - r.alpha) > 1e-6:
            assert r.passed == inside(r)


def test_wider_margin_is_easier():
    x = np.random.default_rng(1).normal(0, 1, 30)
    p = [tost(x, m).p_value for m in (0.1, 0.2, 0.5, 1.0)]
    assert p == sorted(p, reverse=True)


def test_degenerate_never_passes():
    for r in (
        tost([], 0.1),
        tost([0.0], 0.1),
        tost([0.0, 0.0], 0.1),
        tost_unpaired([1.0], [1.0], margin=0.1),
        tost_paired_proportions(PairedTable(both=0, candidate_only=0, baseline_only=0, neither=0), 0.1),
        equivalence_of_proportions(0, 0, baseline_successes=1, baseline_n=2, margin=0.1),
    ):
        assert math.isnan(r.p_value)
        assert not r.passed
        assert r.reason


@pytest.mark.parametrize(
    "call",
    [
        lambda: tost([0.1, 0.2], 0),
        lambda: tost([0.1, 0.2], -0.1),
        lambda: tost([0.1, 0.2], math.nan),
        lambda: tost([0.1, 0.2], 0.1, alpha=0.5),
        lambda: tost([0.1, 0.2], 0.1, goal="same"),
        lambda: tost_paired_proportions(PairedTable(both=1, candidate_only=0, baseline_only=0, neither=0), 2.0),
    ],
)
def test_bad_input_is_explained(call):
    with pytest.raises(StatsError):
        call()
