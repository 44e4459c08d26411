"""The verdict agrees with the numbers it stands on, whatever the numbers are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bakeoff.stats import adjust, compare, decide

SCORES = {
    "binary": st.sampled_from([0.0, 1.0]),
    "bounded": st.floats(0, 1, width=16),
    "continuous": st.floats(-50, 50, width=16),
}
MARGINS = st.floats(0.001, 30)
ALPHAS = st.sampled_from([0.001, 0.01, 0.05, 0.1, 0.2])
OPPOSITE = {"better": "worse", "worse": "better"}


@st.composite
def two_variants(draw: st.DrawFn, max_items: int = 30) -> tuple[np.ndarray, np.ndarray]:
    kind = draw(st.sampled_from(sorted(SCORES)))
    n, repeats = draw(st.integers(2, max_items)), draw(st.sampled_from([1, 1, 3]))
    cell = st.one_of(SCORES[kind], SCORES[kind], SCORES[kind], st.just(float("nan")))
    sides = [np.array(draw(st.lists(cell, min_size=n * repeats, max_size=n * repeats))) for _ in range(2)]
    if draw(st.booleans()):
        sides[0] = np.where(np.isnan(sides[0]), np.nan, np.maximum(sides[0], sides[1]))  # a candidate that is better
    a, b = (side.reshape(n, repeats) if repeats > 1 else side for side in sides)
    return a, b


@settings(max_examples=150)
@given(two_variants(), st.booleans())
def test_swapping_the_variants_swaps_better_and_worse(pair, higher):
    a, b = pair
    one, two = (compare(x, y, higher_is_better=higher, margin=0.1).verdict for x, y in ((a, b), (b, a)))
    assert two.word == OPPOSITE.get(one.word, one.word)


@settings(max_examples=100)
@given(two_variants(), ALPHAS)
def test_the_direction_of_the_metric_swaps_better_and_worse(pair, alpha):
    d = compare(*pair)
    up, down = (decide(d, alpha=alpha, higher_is_better=higher).word for higher in (True, False))
    assert down == OPPOSITE.get(up, up)


@settings(max_examples=150)
@given(two_variants(), ALPHAS, st.none() | MARGINS)
def test_a_word_never_says_more_than_the_test_and_the_interval(pair, alpha, margin):
    d = compare(*pair, confidence=1 - alpha, margin=margin)
    word = d.verdict.word
    if word in OPPOSITE:
        assert d.p_adjusted <= alpha + 1e-12
        assert (d.estimate > 0) == (word == "better")
        assert not (d.high < 0 if word == "better" else d.low > 0)
    if word == "equivalent":
        assert margin is not None
        assert -margin < d.inner_low <= d.inner_high < margin
        assert abs(d.estimate) < margin
    if np.isnan(d.estimate) or np.isnan(d.p_value):
        assert word == "inconclusive"
        assert d.verdict.because.startswith("Not estimable")


@settings(max_examples=100)
@given(two_variants(), MARGINS, st.floats(1, 10))
def test_a_wider_margin_keeps_an_equivalence(pair, margin, factor):
    d = compare(*pair)
    if decide(d, margin=margin).word == "equivalent":
        assert decide(d, margin=margin * factor).word == "equivalent"


@settings(max_examples=100)
@given(two_variants(), ALPHAS, ALPHAS)
def test_a_looser_level_keeps_a_winner(pair, one, two):
    strict, loose = sorted((one, two))
    d = compare(*pair)
    if decide(d, alpha=strict).word in OPPOSITE:
        assert decide(d, alpha=loose).word == decide(d, alpha=strict).word


@settings(max_examples=60)
@given(
    st.lists(two_variants(max_items=10), min_size=1, max_size=5),
    st.sampled_from(["holm", "hochberg", "bonferroni", "bh", "by"]),
)
def test_a_correction_takes_winners_away_and_never_adds_or_turns_one(pairs, method):
    plain = [compare(*pair) for pair in pairs]
    adjusted = adjust([d.p_value for d in plain], method=method)
    for d, p in zip(plain, adjusted, strict=True):
        after = decide(replace(d, p_adjusted=float(p))).word
        assert after in {decide(d).word, "inconclusive"}
        if np.isfinite(p):
            assert (after in OPPOSITE) <= (p <= 0.05)


@settings(max_examples=40)
@given(st.lists(two_variants(max_items=10), min_size=2, max_size=5), MARGINS)
def test_equivalence_is_the_same_alone_and_in_a_family(pairs, margin):
    plain = [compare(*pair, margin=margin) for pair in pairs]
    adjusted = adjust([d.p_value for d in plain])
    for d, p in zip(plain, adjusted, strict=True):
        after = decide(replace(d, p_adjusted=float(p)), margin=margin).word
        assert (after == "equivalent") == (d.verdict.word == "equivalent")


@settings(max_examples=80)
@given(two_variants(), st.sampled_from(["sign_flip", "sign_flip_midp", "wilcoxon", "paired_t"]))
def test_no_test_makes_a_verdict_against_the_mean(pair, test):
    d = compare(*pair, test=test)
    if d.verdict.word in OPPOSITE:
        assert d.direction == np.sign(d.estimate)
        assert (d.verdict.word == "better") == (d.estimate > 0)


@pytest.mark.parametrize(("far", "mean"), [(-20.0, -0.9), (-10.0, 0.0)])
def test_ranks_against_the_mean_are_no_verdict(far, mean):
    # 30 of 33 items gain a point, three lose much: the signed ranks say higher, the mean says lower or nothing.
    d = compare(np.array([1.0] * 30 + [far] * 3), np.zeros(33), test="wilcoxon")
    assert d.estimate == pytest.approx(mean, abs=0.01)
    assert d.p_value < 0.001
    assert d.direction == 1
    assert d.verdict.word == "inconclusive"
    assert "in favour of higher scores, which the mean does not show" in d.verdict.because


def test_holm_over_several_comparisons_with_the_baseline():
    # Holm by hand: p = .01, .02, .03 become .03, .04, .04; one more comparison at .04 makes them .04, .06, .06, .06.
    rng = np.random.default_rng(3)
    base = (rng.random(200) < 0.5).astype(float)
    differences = [compare((rng.random(200) < rate).astype(float), base) for rate in (0.5, 0.6, 0.7)]
    few, many = adjust([0.01, 0.02, 0.03]), adjust([0.01, 0.02, 0.03, 0.04])
    kept = [
        decide(replace(d, estimate=0.1, direction=1, p_adjusted=p)).word for d, p in zip(differences, few, strict=True)
    ]
    lost = [
        decide(replace(d, estimate=0.1, direction=1, p_adjusted=p)).word
        for d, p in zip(differences, many, strict=False)
    ]
    assert kept == ["better"] * 3
    assert lost == ["better", "inconclusive", "inconclusive"]


@settings(max_examples=40)
@given(two_variants())
def test_the_sentence_names_the_rule(pair):
    d = compare(*pair, margin=0.05)
    assume(np.isfinite(d.p_value))
    because = d.verdict.because
    expected = {
        "better": "is at most 0.05",
        "worse": "is at most 0.05",
        "equivalent": "lies within the margin",
        "inconclusive": "is above 0.05",
    }[d.verdict.word]
    assert expected in because or "which the mean does not show" in because
