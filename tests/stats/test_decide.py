"""From an interval and a margin to a verdict."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from bakeoff.errors import StatsError
from bakeoff.stats import (
    adjust,
    compare,
    decide,
    smallest_detectable,
)

rng0 = np.random.default_rng(0)
BINARY_A, BINARY_B = (rng0.random(120) < 0.7) * 1.0, (rng0.random(120) < 0.45) * 1.0
NUMBERS_A, NUMBERS_B = rng0.normal(1, 2, 80), rng0.normal(0.5, 2, 80)
DOCS = np.repeat(np.arange(24), 5)


class TestDecide:
    def test_words(self):
        better = compare(BINARY_A, BINARY_B)
        assert better.verdict.word == "better"
        assert compare(BINARY_A, BINARY_B, higher_is_better=False).verdict.word == "worse"
        assert compare(BINARY_B, BINARY_A).verdict.word == "worse"
        unclear = compare(BINARY_A[:20], BINARY_B[:20])
        assert unclear.verdict.word == "inconclusive"
        assert "items" in unclear.verdict.because

    def test_equivalent_exactly_when_the_90_percent_interval_is_inside(self):
        rng = np.random.default_rng(7)
        x = rng.normal(0, 0.2, 200)
        d = compare(x, np.zeros(200))
        ninety = compare(x, np.zeros(200), confidence=0.9)
        edge = max(abs(ninety.low), abs(ninety.high))
        assert compare(x, np.zeros(200), margin=edge * 1.01).verdict.word == "equivalent"
        assert compare(x, np.zeros(200), margin=edge * 0.99).verdict.word != "equivalent"
        assert (d.inner_low, d.inner_high) == pytest.approx((ninety.low, ninety.high))
        # decide() with another alpha than the interval was made for rescales it, exactly for t intervals.
        eighty = compare(x, np.zeros(200), confidence=0.8)
        edge = max(abs(eighty.low), abs(eighty.high))
        assert decide(d, alpha=0.1, margin=edge * 1.001).word == "equivalent"
        assert decide(d, alpha=0.1, margin=edge * 0.999).word != "equivalent"

    def test_detectable_but_negligible_is_equivalent_and_says_so(self):
        x = np.random.default_rng(8).normal(0.01, 0.02, 400)
        verdict = compare(x, np.zeros(400), margin=0.05).verdict
        assert verdict.word == "equivalent"
        assert "detectable" in verdict.because

    def test_correction_decides(self):
        ds = [compare(BINARY_A, BINARY_B), compare(BINARY_B, BINARY_A)]
        weak = compare(BINARY_A[:60], BINARY_B[:60])
        assert weak.p_value == pytest.approx(weak.p_adjusted)
        corrected = replace(weak, p_adjusted=min(1.0, 30 * weak.p_value))
        assert decide(corrected).word == "inconclusive"
        p = adjust([d.p_value for d in ds])
        assert decide(replace(ds[0], p_adjusted=float(p[0]))).word == "better"
        assert "after correction" in decide(replace(ds[0], p_adjusted=float(p[0]))).because

    def test_never_better_more_often_than_the_test(self):
        rng = np.random.default_rng(9)
        for _ in range(200):
            a, b = (rng.random(60) < 0.5) * 1.0, (rng.random(60) < 0.5) * 1.0
            d = compare(a, b)
            assert (d.verdict.word in ("better", "worse")) == (d.p_value <= 1 - d.confidence)

    def test_borderline_is_named(self):
        # b = 12, c = 4 of 100: mid-p 0.049, Bonett-Price just includes zero.
        a, b = [1] * 12 + [0] * 4 + [1] * 84, [0] * 12 + [1] * 4 + [1] * 84
        verdict = compare(a, b).verdict
        assert verdict.word == "better"
        assert "Borderline" in verdict.because

    def test_smallest_detectable_difference_has_the_stated_power(self):
        rng = np.random.default_rng(10)
        d = compare(rng.normal(0, 1, 60), np.zeros(60))
        mde = smallest_detectable(d)
        true = mde * 1 / (d.se * math.sqrt(60))  # on the scale of the true sd
        x = rng.normal(true, 1, (4000, 60))
        t = x.mean(axis=1) / (x.std(axis=1, ddof=1) / math.sqrt(60))
        assert np.mean(np.abs(t) > stats.t.ppf(0.975, 59)) == pytest.approx(0.8, abs=0.03)

    def test_too_few_discordant_items_are_named(self):
        d = compare([1, 1, 1, 0, 0], [0, 0, 1, 0, 0])
        assert any("no result with so few" in note for note in d.warnings)

    @pytest.mark.parametrize("kw", [{"alpha": 0}, {"margin": 0}, {"margin": math.nan}, {"margin": True}])
    def test_bad_input_is_explained(self, kw):
        with pytest.raises(StatsError):
            decide(compare(BINARY_A, BINARY_B), **kw)
