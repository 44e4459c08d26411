from __future__ import annotations

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
