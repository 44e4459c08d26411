from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from bakeoff.errors import StatsError
from bakeoff.stats import agresti_coull, clopper_pearson, jeffreys, proportion, wilson


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        # Newcombe (1998), Statistics in Medicine 17:857-872, table I, method 3 (Wilson, no correction);
        # R 4.2.2 gives the same: prop.test(81, 263, correct = FALSE).
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_published(successes, n, low, high):
    e = wilson(successes, n)
    assert e.low == pytest.approx(low, abs=5e-5)
    assert e.high == pytest.approx(high, abs=5e-5)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        # Newcombe (1998), table I, method 5 (Clopper-Pearson); R 4.2.2: binom.test(81, 263).
        (81, 263, 0.2527, 0.3676),
        (15, 148, 0.0578, 0.1617),
        (0, 20, 0.0, 0.1684),
        (1, 29, 0.0009, 0.1776),
        # R 4.2.2: binom.test(682, 925), Conover's (1971) Mendelian example.
        (682, 925, 0.7076683, 0.7654066),
    ],
)
def test_clopper_pearson_published(successes, n, low, high):
    e = clopper_pearson(successes, n)
    assert e.low == pytest.approx(low, abs=5e-5)
    assert e.high == pytest.approx(high, abs=5e-5)


# Independent oracle: statsmodels 0.15 proportion_confint.
@pytest.mark.parametrize(
    ("function", "name"),
    [(wilson, "wilson"), (clopper_pearson, "beta"), (agresti_coull, "agresti_coull"), (jeffreys, "jeffreys")],
)
@pytest.mark.parametrize(("successes", "n"), [(3, 10), (17, 20), (50, 100), (990, 1000), (1, 7)])
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_against_statsmodels(function, name, successes, n, confidence):
    e = function(successes, n, confidence=confidence)
    low, high = proportion_confint(successes, n, alpha=1 - confidence, method=name)
    assert (e.low, e.high) == pytest.approx((low, high), abs=1e-10)
    assert e.estimate == successes / n


@given(
    n=st.integers(1, 10**9),
    share=st.floats(0, 1),
    method=st.sampled_from(["wilson", "clopper_pearson", "agresti_coull", "jeffreys"]),
)
def test_interval_is_inside_the_unit_and_never_certain(n, share, method):
    successes = round(share * n)
    e = proportion(successes, n, method=method)
    assert 0 <= e.low < e.high <= 1
    if method != "agresti_coull":  # its centre is shrunken, so it may miss an estimate of exactly 0 or 1
        assert e.low <= e.estimate <= e.high
    mirror = proportion(n - successes, n, method=method)
    assert (mirror.low, mirror.high) == pytest.approx((1 - e.high, 1 - e.low), abs=1e-9)


@given(n=st.integers(2, 500), data=st.data())
def test_limits_rise_with_successes_and_widen_with_confidence(n, data):
    x = data.draw(st.integers(0, n - 1))
    for method in ("wilson", "clopper_pearson", "jeffreys"):
        fewer, more = (proportion(k, n, method=method) for k in (x, x + 1))
        assert fewer.low <= more.low
        assert fewer.high <= more.high
        wide = proportion(x, n, method=method, confidence=0.99)
        assert wide.low <= fewer.low
        assert wide.high >= fewer.high


def test_no_items_is_not_estimable():
    e = proportion(0, 0)
    assert math.isnan(e.estimate)
    assert math.isnan(e.low)
    assert e.reason


@pytest.mark.parametrize(
    "call",
    [
        lambda: proportion(5, 3),
        lambda: proportion(-1, 3),
        lambda: proportion(1, -3),
        lambda: proportion(float("nan"), 3),
        lambda: proportion(1, float("inf")),
        lambda: proportion(1, 3, confidence=1.0),
        lambda: proportion(1, 3, method="wald"),
        lambda: proportion("x", 3),
    ],
)
def test_bad_input_is_explained(call):
    with pytest.raises(StatsError):
        call()
