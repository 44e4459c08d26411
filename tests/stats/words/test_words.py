from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff.stats import (
    compare,
    describe,
    format_interval,
    format_p,
    format_value,
    methods_paragraph,
    summarize,
)

A, B = [1] * 75 + [0] * 25, [1] * 60 + [0] * 40


def test_difference_reads_as_a_decision():
    text = describe(compare(A, B), name="terse", baseline="verbose", metric="accuracy")
    assert text == (
        "terse is better than verbose on accuracy: 75% against 60%, a difference of +15 points "
        "(95% interval +7 to +22; p < 0.0001, McNemar mid-p). Based on 100 items answered by both."
    )


def test_estimate_reads_with_its_interval():
    text = describe(summarize([1] * 18 + [0] * 2), name="terse", metric="accuracy", kind="binary")
    assert text == "terse: accuracy is 90% (95% interval 70 to 97%). Based on 20 items."


def test_inconclusive_says_what_would_decide():
    text = describe(compare(A[:30] + B[:10], B[:30] + A[:10]))
    assert text.startswith("No winner yet")
    rng = np.random.default_rng(0)
    text = describe(compare(rng.normal(0, 1, 60), rng.normal(0, 1, 60)))
    assert "would take about" in text


def test_clusters_missing_and_correction_are_told():
    g = np.arange(100) // 12
    a = [math.nan, *A[1:]]
    d = compare(a, B, clusters=g)
    text = describe(replace(d, p_adjusted=min(1.0, d.p_value * 5)))
    assert "99 items in 9 clusters" in text
    assert "Caution: 1 of 100 items are left out" in text
    assert "after correction" in text
    assert "Caution: only 9 clusters" in text


def test_not_estimable_is_said_plainly():
    assert "cannot be compared" in describe(compare([math.nan], [1.0]))
    assert "cannot be estimated" in describe(summarize([]))
    assert "equal" in describe(summarize([2.0, 2.0, 2.0]))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6), n=st.integers(0, 30), scale=st.floats(1e-6, 1e6), margin=st.floats(0.01, 2) | st.none()
)
def test_never_raises_nor_prints_raw_floats(seed, n, scale, margin):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(0, scale, n), rng.normal(0, scale, n)
    for text in (describe(compare(a, b, margin=margin)), describe(summarize(a))):
        assert "nan" not in text
        assert "inf" not in text.replace("infinity", "")
        assert "  " not in text
        assert text.endswith(".")


@pytest.mark.parametrize(
    ("value", "decimals", "kw", "text"),
    [
        (0.12345, 2, {}, "0.12"),
        (0.12345, 3, {"points": True}, "12.3"),
        (0.5, 2, {"signed": True}, "+0.50"),
        (-0.001, 2, {"signed": True}, "0.00"),
        (12345.6, 0, {}, "12,346"),
        (math.nan, 2, {}, "not estimable"),
        (-math.inf, 2, {}, "-infinity"),
    ],
)
def test_numbers(value, decimals, kw, text):
    assert format_value(value, decimals, **kw) == text


def test_interval_and_p():
    assert format_interval(-0.012, 0.034, 3, signed=True, points=True) == "-1.2 to +3.4"
    assert [format_p(p) for p in (0.049, 0.0123, 0.00049, 1.0, math.nan)] == [
        "p = 0.049",
        "p = 0.012",
        "p = 0.00049",
        "p = 1.00",
        "p not estimable",
    ]


def test_methods_paragraph_names_methods_and_family():
    rng = np.random.default_rng(1)
    results = [summarize(A), compare(A, B), compare(rng.normal(size=20), rng.normal(size=20))]
    text = methods_paragraph(results, correction="holm", family_size=12)
    for part in ("Wilson", "Bonett-Price", "sign-flip", "12 comparisons", "Holm", "90% interval", "same items"):
        assert part in text
    assert "46%" in methods_paragraph(results, family_size=12)  # 1 - 0.95^12
    assert "different items" in methods_paragraph([compare(A, B, paired=False)])
    assert methods_paragraph([])
