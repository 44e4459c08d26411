"""Scores that are missing, where a mean or a comparison is taken."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bakeoff.stats import (
    compare,
    summarize,
)

rng0 = np.random.default_rng(0)
BINARY_A, BINARY_B = (rng0.random(120) < 0.7) * 1.0, (rng0.random(120) < 0.45) * 1.0
NUMBERS_A, NUMBERS_B = rng0.normal(1, 2, 80), rng0.normal(0.5, 2, 80)
DOCS = np.repeat(np.arange(24), 5)


class TestMissing:
    def test_bound_holds_whatever_the_missing_scores_were(self):
        rng = np.random.default_rng(6)
        a, b = (rng.random(40) < 0.6) * 1.0, (rng.random(40) < 0.5) * 1.0
        a_seen, b_seen = a.copy(), b.copy()
        a_seen[:4], b_seen[3:6] = math.nan, math.nan
        d = compare(a_seen, b_seen)
        assert (d.n_missing, d.n_items) == (6, 34)
        low, high = d.missing_bound
        assert low <= compare(a, b).estimate <= high
        worst = a_seen.copy(), b_seen.copy()
        worst[0][np.isnan(worst[0])], worst[1][np.isnan(worst[1])] = 0, 1
        assert compare(*worst).estimate == pytest.approx(low)
        assert any("6 of 40" in note for note in d.warnings)

    def test_no_bound_without_limits_or_without_missing(self):
        assert compare([1.0, 7.0, math.nan], [2.0, 3.0, 1.0]).missing_bound is None
        assert compare(BINARY_A, BINARY_B).missing_bound is None

    def test_all_missing(self):
        d = compare([math.nan] * 3, [1, 0, 1])
        assert math.isnan(d.estimate)
        assert d.verdict.word == "inconclusive"
        assert "Not estimable" in d.verdict.because
        assert d.n_missing == 3

    def test_missing_is_counted_by_variant_and_imbalance_is_named(self):
        a, b = BINARY_A.copy(), BINARY_B.copy()
        a[:20], b[18:22] = math.nan, math.nan
        d = compare(a, b)
        assert (d.n_missing, d.n_missing_candidate, d.n_missing_baseline) == (22, 20, 4)
        assert any("more often than the other" in note for note in d.warnings)
        a[:], b[:] = BINARY_A, BINARY_B
        a[:10], b[10:20] = math.nan, math.nan
        assert not any("more often" in note for note in compare(a, b).warnings)

    def test_identical_repeats_are_suspected_to_be_cached(self):
        copies = np.repeat(BINARY_A[:, None], 3, axis=1)
        assert any("cache" in note for note in summarize(copies).warnings)
        assert any("cache" in note for note in compare(copies, copies[::-1]).warnings)
        real = (np.random.default_rng(1).random((120, 3)) < 0.6) * 1.0
        assert not summarize(real).warnings
        assert not any("cache" in note for note in summarize(np.ones((120, 3))).warnings)

    def test_skewed_differences_warn(self):
        x = np.random.default_rng(2).lognormal(0, 1.5, 40)
        assert any("skewed" in note for note in compare(x, np.zeros(40)).warnings)
        assert not compare(NUMBERS_A, NUMBERS_B).warnings

    def test_a_missing_repeat_keeps_the_item(self):
        d = compare([[1, math.nan], [0, 1]], [[0, 0], [1, 1]])
        assert (d.n_items, d.n_missing) == (2, 0)
        assert d.candidate_mean == 0.75
