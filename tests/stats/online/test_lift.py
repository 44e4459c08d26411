from __future__ import annotations

from math import isnan, nan

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import ttest_1samp, ttest_ind

from bakeoff.errors import StatsError
from bakeoff.stats import relative_lift

costs = st.lists(st.floats(0.5, 50), min_size=4, max_size=30)


def test_paired_limits_invert_the_t_test_of_scipy():
    # Oracle: scipy.stats.ttest_1samp of a - (1 + lift) b, solved for p = 0.05 (Fieller 1954).
    rng = np.random.default_rng(1)
    base = rng.lognormal(1, 0.5, 40)
    new = base * rng.lognormal(-0.1, 0.2, 40)
    lift = relative_lift(new, base)
    low, high = (
        brentq(lambda x: ttest_1samp(new - (1 + x) * base, 0).pvalue - 0.05, *ends)
        for ends in ((-0.9, lift.estimate - 1e-9), (lift.estimate + 1e-9, 2))
    )
    assert (lift.low, lift.high) == pytest.approx((low, high))
    assert lift.estimate == pytest.approx(new.mean() / base.mean() - 1)


def test_unpaired_limits_are_near_the_inverted_welch_test():
    # Oracle: scipy.stats.ttest_ind of a and (1 + lift) b, unequal variances; its df moves with the lift, ours is fixed.
    rng = np.random.default_rng(2)
    new, base = rng.normal(8, 2, 60), rng.normal(10, 2, 45)
    lift = relative_lift(new, base, paired=False)
    for end, side in ((lift.low, -1), (lift.high, 1)):
        p = ttest_ind(new, (1 + end) * base, equal_var=False).pvalue
        assert p == pytest.approx(0.05, abs=0.001), side


@pytest.mark.parametrize("paired", [True, False])
def test_coverage_on_skewed_costs(paired):
    # 2,000 runs: 95% less 3 SE is 93.5%. The known-bad interval, around the mean of the ratios, is biased upwards.
    rng = np.random.default_rng(3)
    hits = naive = 0
    for _ in range(2_000):
        shared = rng.lognormal(0, 0.5, 80)
        new, base = 0.9 * shared * rng.lognormal(0, 0.3, 80), shared * rng.lognormal(0, 0.3, 80)
        base = base if paired else rng.permutation(base)
        lift = relative_lift(new, base, paired=paired)
        hits += lift.low <= -0.1 <= lift.high
        ratios = new / base - 1
        naive += abs(ratios.mean() + 0.1) <= 1.99 * ratios.std(ddof=1) / np.sqrt(80)
    assert hits / 2_000 >= 0.935
    assert naive / 2_000 < 0.8


@given(costs, st.floats(0.1, 5), st.integers(0, 2**32 - 1), st.booleans())
def test_scaling_the_candidate_scales_the_ratio(base, factor, seed, paired):
    b = np.array(base)
    a = b * np.random.default_rng(seed).lognormal(0, 0.3, b.size)
    one, two = relative_lift(a, b, paired=paired), relative_lift(factor * a, b, paired=paired)
    assume(np.isfinite(one.low))
    for x, y in ((one.low, two.low), (one.estimate, two.estimate), (one.high, two.high)):
        assert (1 + x) * factor == pytest.approx(1 + y, rel=1e-6, abs=1e-9)


@given(costs, st.integers(0, 2**32 - 1))
def test_the_inverse_comparison_gives_the_inverse_ratio(base, seed):
    b = np.array(base)
    a = b * np.random.default_rng(seed).lognormal(0, 0.3, b.size)
    one, two = relative_lift(a, b), relative_lift(b, a)
    assume(np.isfinite(one.low) and np.isfinite(two.low) and one.low > -0.999)
    assert (1 + one.estimate) * (1 + two.estimate) == pytest.approx(1)
    assert (1 + one.low) * (1 + two.high) == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize(
    ("a", "b"),
    [([], []), ([1.0], [2.0]), ([nan, nan], [1.0, 2.0]), ([1.0, 2.0], [0.0, 0.0]), ([1.0, 2.0], [-3.0, -4.0])],
)
def test_what_cannot_be_estimated_has_a_reason(a, b, paired):
    lift = relative_lift(a, b, paired=paired)
    assert isnan(lift.low)
    assert lift.reason


def test_equal_values_are_no_certainty():
    lift = relative_lift([2.0] * 5, [4.0] * 5)
    assert isnan(lift.low)
    assert lift.reason


def test_wrong_arguments():
    with pytest.raises(StatsError, match="same items"):
        relative_lift([1.0, 2.0], [1.0])
    with pytest.raises(StatsError, match="clusters"):
        relative_lift([1.0, 2.0], [1.0, 2.0], paired=False, clusters=["a", "b"])
    with pytest.raises(StatsError, match="infinite"):
        relative_lift([1.0, float("inf")], [1.0, 2.0])
