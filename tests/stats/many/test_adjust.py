from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from statsmodels.stats.multitest import multipletests

from bakeoff.errors import StatsError
from bakeoff.stats import adjust

# Benjamini & Hochberg (1995), JRSS B 57:289-300, section 4.1: 15 hypotheses of a thrombolysis trial.
BH_1995 = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528,
           0.7590, 1.0]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "rejected"), [("bonferroni", 3), ("holm", 3), ("hochberg", 3), ("bh", 4), ("none", 9)]
)
def test_rejections_of_benjamini_and_hochberg(method, rejected):
    # The paper: Bonferroni and Hochberg reject 3, the new procedure 4 (of 9 below 0.05 unadjusted).
    assert int((adjust(BH_1995, method=method) <= 0.05).sum()) == rejected


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        # By hand from the definitions; for BY 1 + 1/2 + ... + 1/5 = 2.28333.
        ("holm", [0.05, 0.08, 0.09, 0.09, 0.09]),
        ("hochberg", [0.05, 0.05, 0.05, 0.05, 0.05]),
        ("bh", [0.05, 0.05, 0.05, 0.05, 0.05]),
        ("by", [0.1141667] * 5),
        ("bonferroni", [0.05, 0.10, 0.15, 0.20, 0.25]),
    ],
)
def test_against_r(method, expected):
    assert adjust([0.01, 0.02, 0.03, 0.04, 0.05], method=method) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("method", "name"),
    [
        ("holm", "holm"),
        ("hochberg", "simes-hochberg"),
        ("bh", "fdr_bh"),
        ("by", "fdr_by"),
        ("bonferroni", "bonferroni"),
    ],
)
def test_against_statsmodels(method, name):
    p = np.random.default_rng(7).random(40) ** 3
    assert adjust(p, method=method) == pytest.approx(multipletests(p, method=name)[1], abs=1e-12)


METHODS = st.sampled_from(["holm", "hochberg", "bh", "by", "bonferroni"])


@given(p=arrays(float, st.integers(1, 30), elements=st.floats(0, 1) | st.just(float("nan"))), method=METHODS)
def test_nan_does_not_count_and_nothing_shrinks(p, method):
    adjusted = adjust(p, method=method)
    counted = ~np.isnan(p)
    assert np.array_equal(np.isnan(adjusted), ~counted)
    assert (adjusted[counted] >= p[counted] - 1e-15).all()
    assert (adjusted[counted] <= 1).all()
    assert adjusted[counted] == pytest.approx(adjust(p[counted], method=method))


@given(p=arrays(float, st.integers(1, 20), elements=st.floats(0, 1)), method=METHODS, seed=st.integers(0, 99))
def test_order_does_not_matter(p, method, seed):
    order = np.random.default_rng(seed).permutation(p.size)
    assert adjust(p[order], method=method) == pytest.approx(adjust(p, method=method)[order])


def test_shape_is_kept_and_input_is_not_changed():
    p = np.array([[0.01, 0.2], [0.03, np.nan]])
    before = p.copy()
    assert adjust(p).shape == (2, 2)
    np.testing.assert_array_equal(p, before)
    assert adjust([]).size == 0


@pytest.mark.parametrize("call", [lambda: adjust([1.2]), lambda: adjust([-0.1]), lambda: adjust([0.1], method="fdr")])
def test_bad_input_is_explained(call):
    with pytest.raises(StatsError):
        call()


def closed_weighted_bonferroni(p: list[float], weights: list[float]) -> list[float]:
    """Marcus, Peritz & Gabriel (1976): the largest p of all intersections that contain a hypothesis, each tested by
    weighted Bonferroni. Independent of the step-down formula; it is what Holm's procedure is the shortcut of."""
    positions = range(len(p))
    sets = [s for size in range(1, len(p) + 1) for s in combinations(positions, size)]
    found = {s: min(1.0, *(p[i] * sum(weights[j] for j in s) / weights[i] for i in s)) for s in sets}
    return [max(value for s, value in found.items() if i in s) for i in positions]


@given(
    pairs=st.lists(st.tuples(st.floats(0, 1), st.floats(0.05, 20)), min_size=1, max_size=6),
)
def test_weighted_holm_is_the_closed_weighted_bonferroni_test(pairs):
    p, weights = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    assert adjust(p, weights=weights) == pytest.approx(closed_weighted_bonferroni(p, weights), rel=1e-9, abs=1e-12)


@given(p=st.lists(st.floats(0, 1), min_size=1, max_size=20), weight=st.floats(0.01, 100), method=METHODS)
def test_equal_weights_change_nothing(p, weight, method):
    if method == "hochberg":
        with pytest.raises(StatsError, match="hochberg"):
            adjust(p, method=method, weights=[weight] * len(p))
        return
    assert adjust(p, method=method, weights=[weight] * len(p)) == pytest.approx(adjust(p, method=method), rel=1e-9)


def test_weighted_bh_ranks_p_over_weight():
    # Genovese, Roeder & Wasserman (2006), Biometrika 93:509-524: Benjamini-Hochberg on p / w with mean weight 1.
    p, weights = np.array([0.02, 0.02, 0.3, 0.8]), np.array([2.5, 0.5, 0.5, 0.5])
    expected = multipletests(np.minimum(p / weights, 1), method="fdr_bh")[1]
    assert adjust(p, method="bh", weights=weights)[0] == pytest.approx(expected[0])


@pytest.mark.parametrize(("weights", "words"), [([1], "shape"), ([1, 0], "positive"), ([1, float("nan")], "positive")])
def test_wrong_weights_are_named(weights, words):
    with pytest.raises(StatsError, match=words):
        adjust([0.1, 0.2], weights=weights)
