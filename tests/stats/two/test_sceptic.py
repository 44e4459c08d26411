"""What small, huge and coarse numbers can and cannot show."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats as scipy_stats

from bakeoff.stats import ComparisonDesign, adjust, compare, decide, describe, plan_comparison, planned_power, sign_flip


def _share_of_patterns(values: np.ndarray) -> float:
    """Enumerate all sign patterns: the exact two-sided p-value."""
    half = values.size // 2
    left = np.array(list(product((1, -1), repeat=half))) @ values[:half]
    right = np.array(list(product((1, -1), repeat=values.size - half))) @ values[half:]
    sums = np.abs(left[:, None] + right)
    return float((sums >= abs(values.sum()) - 1e-9).mean())


@pytest.mark.parametrize("shift", [2.0, 3.0, 4.0])
@pytest.mark.parametrize("alternative", ["two-sided", "greater"])
def test_the_tail_bound_lies_between_the_exact_p_and_the_drawn_one(shift: float, alternative: str) -> None:
    values = np.random.default_rng(3).normal(shift, 1, 20)
    exact = _share_of_patterns(values) / (1 if alternative == "two-sided" else 2)
    bounded = sign_flip(values, alternative=alternative, tail_bound=True).p_value  # type: ignore[arg-type]
    drawn = sign_flip(values, alternative=alternative).p_value  # type: ignore[arg-type]
    assert drawn == 1e-4, "none of the 9,999 patterns is as extreme"
    assert exact <= bounded < min(drawn, 12 * exact)


def test_a_clear_winner_survives_the_correction_over_forty_variants() -> None:
    """9,999 random patterns give no p below 1e-4, and 780 pairs ask for 6e-5: nothing could ever be shown."""
    rng = np.random.default_rng(1)
    base = rng.normal(size=30)
    clear = compare(base + 3 + rng.normal(0, 0.5, 30), base, kind="continuous").p_value
    assert adjust([clear, *rng.random(779)], method="holm")[0] < 0.001


def test_five_items_are_not_said_to_show_anything() -> None:
    """All five one way has p = 2 / 2^5 = 0.0625 (the sign-flip test is exact)."""
    found = compare([1, 2, 3, 4.5, 5.1], [0.1, 0.5, 1.9, 2, 2.4], kind="continuous")
    assert found.p_value == 0.0625
    assert found.verdict is not None
    assert "5 items cannot show any difference" in found.verdict.because
    assert "80% power" not in found.verdict.because
    design = ComparisonDesign(kind="continuous")
    assert planned_power(5, 100.0, design=design) == 0
    assert planned_power(6, 100.0, design=design) > 0.99
    assert "no difference can be shown" in plan_comparison(5, kind="continuous").sentence


def test_what_could_be_shown_is_at_the_corrected_level() -> None:
    rng = np.random.default_rng(2)
    found = compare(rng.normal(size=100), rng.normal(size=100), kind="continuous")
    words = decide(found, level=0.001).because
    t = scipy_stats.t(99)
    expected = (t.ppf(1 - 0.001 / 2) + scipy_stats.norm.ppf(0.8)) * found.se
    assert f"about {expected:.3g} (80% power)" in words


def test_an_interval_that_excludes_zero_beside_an_open_verdict_is_explained() -> None:
    from dataclasses import replace

    rng = np.random.default_rng(4)
    found = compare(rng.normal(0.3, 1, 80), np.zeros(80), kind="continuous")
    assert found.low > 0
    verdict = decide(replace(found, p_adjusted=0.3), level=0.005)
    assert verdict.word == "inconclusive"
    assert "The interval is that of this comparison alone" in verdict.because


def test_large_scores_keep_their_small_differences() -> None:
    """Times in milliseconds since 1970: differences of a few tenths are measured, not rounded away."""
    rng = np.random.default_rng(5)
    base = 1.7e12 + rng.integers(0, 1000, 60)
    other = base + rng.choice([-0.5, 0.25, 0.5], 60)
    found = compare(other, base, kind="continuous")
    expected = scipy_stats.ttest_rel(other, base)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-6)
    assert found.low == pytest.approx(expected.confidence_interval().low, rel=1e-4)


def test_large_weighted_scores_keep_their_small_differences() -> None:
    rng = np.random.default_rng(5)
    base = 1e12 + rng.integers(0, 1000, 60)
    other = base + rng.choice([-0.5, 0.5], 60)
    weights = np.tile([1.0, 2.0], 30)
    far = compare(other, base, kind="continuous", weights=weights)
    near = compare(other - 1e12, base - 1e12, kind="continuous", weights=weights)
    assert far.p_value == pytest.approx(near.p_value)
    assert far.test == "hc2_t"


def test_the_same_difference_everywhere_is_tested_by_the_test_that_is_named() -> None:
    found = compare([4.0] * 20, [3.0] * 20, kind="continuous")
    assert found.p_value == pytest.approx(2 * 0.5**20) == scipy_stats.binomtest(20, 20).pvalue
    constant = compare([4.0] * 60, [3.0] * 60, kind="continuous")
    assert constant.test == "sign_test"
    assert "paired t" not in describe(constant)


def test_tiny_scores_are_written_with_their_size() -> None:
    rng = np.random.default_rng(6)
    base = rng.gamma(4, 5e-9, 80)
    text = describe(compare(base * 1.5, base, kind="continuous", higher_is_better=False))
    assert "0.000000" not in text
    assert "e-0" in text


def test_a_one_sided_interval_says_which_side_is_open_and_what_was_not_tested() -> None:
    rng = np.random.default_rng(8)
    base = rng.random(100) < 0.8
    found = compare(base & (rng.random(100) < 0.8), base, kind="binary", alternative="greater")
    text = describe(found)
    assert "or more" in text
    assert "infinity" not in text
    assert "Only a higher score was tested for, as declared" in text


@pytest.mark.parametrize(("share", "clustered"), [(0.95, True), (0.99, False), (0.8, True), (0.8, False)])
def test_one_heavy_unit_gives_no_false_certainty(share: float, clustered: bool) -> None:
    """No effect anywhere: without the guard 8 to 18% are called different when one unit has nearly all the weight."""
    rng = np.random.default_rng(9)
    singles = 20
    heavy = round(share / (1 - share) * singles) if clustered else 1
    n = heavy + singles
    unit = np.r_[np.zeros(heavy, dtype=int), np.arange(1, singles + 1)]
    weights = None if clustered else np.r_[share / (1 - share) * singles, np.ones(singles)]
    rejected = 0
    for _ in range(400):
        of_unit = rng.choice([-1.0, 1.0], singles + 1) if not clustered else rng.normal(0, 0.5, singles + 1)
        gaps = of_unit[unit] + (rng.normal(0, 1, n) if clustered else 0.0)
        found = compare(gaps, np.zeros(n), kind="continuous", clusters=unit if clustered else None, weights=weights)
        rejected += bool(found.p_value <= 0.05)
    assert rejected / 400 <= 0.08, "5% and two and a half standard errors"
