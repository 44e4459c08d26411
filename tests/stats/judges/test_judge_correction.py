"""Judge accuracy, corrected means and differences, labels still needed."""

from __future__ import annotations

from math import isnan, sqrt

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from statsmodels.stats.proportion import proportion_confint

from bakeoff.errors import StatsError
from bakeoff.stats import (
    corrected_difference,
    corrected_mean,
    judge_accuracy,
    labels_needed,
    ppi_mean,
    rogan_gladen,
    stratified_rate,
)

NA = np.nan


def judged(pass_pass: int, pass_fail: int, fail_pass: int, fail_fail: int, extra_pass: int, extra_fail: int):
    """Judge and human columns: (judge, human) counts of the labelled items, then unlabelled ones."""
    judge = [1] * (pass_pass + pass_fail) + [0] * (fail_pass + fail_fail) + [1] * extra_pass + [0] * extra_fail
    human = [1] * pass_pass + [0] * pass_fail + [1] * fail_pass + [0] * fail_fail
    return np.array(judge, float), np.array(human + [NA] * (extra_pass + extra_fail), float)


def test_judge_accuracy_matches_statsmodels_wilson() -> None:
    # statsmodels proportion_confint(method="wilson").
    result = judge_accuracy(*judged(45, 8, 5, 42, 10, 10))
    assert (result.sensitivity.estimate, result.specificity.estimate) == (45 / 50, 42 / 50)
    for part, hits, n in (
        (result.sensitivity, 45, 50), (result.specificity, 42, 50), (result.precision, 45, 53),
        (result.negative_precision, 42, 47), (result.accuracy, 87, 100),
    ):  # fmt: skip
        assert (part.low, part.high) == pytest.approx(proportion_confint(hits, n, method="wilson"))
    assert result.bias == pytest.approx(0.03)
    assert result.n == 100


def test_stratified_rate_is_mover_of_three_wilson_intervals() -> None:
    # Oracle: statsmodels Wilson limits combined by Zou & Donner (2008), written out.
    judge, human = judged(30, 10, 2, 8, 120, 30)
    result = stratified_rate(judge, human)
    w, t1, t0 = 160 / 200, 30 / 40, 2 / 10
    (l1, u1), (l0, u0), (lw, uw) = (
        proportion_confint(c, n, method="wilson") for c, n in ((30, 40), (2, 10), (160, 200))
    )
    p = w * t1 + (1 - w) * t0
    low = p - sqrt((w * (t1 - l1)) ** 2 + ((1 - w) * (t0 - l0)) ** 2 + ((w - lw) * (t1 - t0)) ** 2)
    high = p + sqrt((w * (u1 - t1)) ** 2 + ((1 - w) * (u0 - t0)) ** 2 + ((uw - w) * (t1 - t0)) ** 2)
    assert (result.estimate, result.low, result.high) == pytest.approx((p, low, high))
    assert result.judge_mean == pytest.approx(0.8)
    assert result.labels_mean == pytest.approx(32 / 50)


def test_empty_stratum_is_admitted_not_hidden() -> None:
    judge, human = judged(18, 2, 0, 0, 60, 20)
    result = stratified_rate(judge, human)
    assert result.high - result.low > 0.15
    assert "no label among the items that the judge fails" in result.warnings[0]


def test_sampling_probabilities_undo_labelling_the_disputed() -> None:
    # Failures are labelled five times as often as passes. Oracle: the simulated truth.
    rng = np.random.default_rng(1)
    hits = plain = 0
    for _ in range(300):
        truth = (rng.random(1500) < 0.8) * 1.0
        judge = np.where(rng.random(1500) < 0.85, truth, 1 - truth)
        chance = np.where(truth == 1, 0.05, 0.25)  # depends on the truth, so post-stratifying alone is not enough
        human = np.where(rng.random(1500) < chance, truth, NA)
        good = stratified_rate(judge, human, label_probability=chance)
        naive = stratified_rate(judge, human)
        hits += good.low <= 0.8 <= good.high
        plain += naive.low <= 0.8 <= naive.high
    assert hits / 300 > 0.91
    assert plain / 300 < 0.2


def test_rogan_gladen_point_and_interval() -> None:
    # Rogan & Gladen (1978) point; Lang & Reiczigel (2014), formulas 1-5, written out with numpy.
    result = rogan_gladen(
        [1] * 310 + [0] * 690, calibration_judge=[1] * 90 + [0] * 10 + [1] * 20 + [0] * 180,
        calibration_human=[1] * 100 + [0] * 200,
    )  # fmt: skip
    assert result.estimate == pytest.approx((0.31 + 0.9 - 1) / (0.9 + 0.9 - 1))
    z = scipy_stats.norm.ppf(0.975)
    n, ns, nc = 1000 + z**2, 102, 202
    q, se, sp = (310 + z**2 / 2) / n, 91 / ns, 181 / nc
    p = (q + sp - 1) / (se + sp - 1)
    shift = 2 * z**2 * (p * se * (1 - se) / ns - (1 - p) * sp * (1 - sp) / nc)
    spread = q * (1 - q) / n + p**2 * se * (1 - se) / ns + (1 - p) ** 2 * sp * (1 - sp) / nc
    half = z * sqrt(spread) / (se + sp - 1)
    assert (result.low, result.high) == pytest.approx((p + shift - half, p + shift + half))


def test_rogan_gladen_survives_label_shift() -> None:
    # Lee et al. (2026): calibration at 50% passes, test at 85%; coverage R = 1,000, >= 93%.
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(1000):
        y = np.r_[np.ones(100), np.zeros(100)]
        f = np.where(rng.random(200) < np.where(y == 1, 0.9, 0.2), 1.0, 0.0)
        truth = rng.random(600) < 0.85
        test = np.where(rng.random(600) < np.where(truth, 0.9, 0.2), 1.0, 0.0)
        r = rogan_gladen(test, calibration_judge=f, calibration_human=y)
        hits += r.low <= 0.85 <= r.high
    assert hits / 1000 >= 0.93


def test_rogan_gladen_refuses_a_useless_judge() -> None:
    result = rogan_gladen([1, 0] * 50, calibration_judge=[1, 0] * 20, calibration_human=[1, 1, 0, 0] * 10)
    assert isnan(result.estimate)
    assert "no better" in str(result.reason)
    assert isnan(rogan_gladen([1, 0], calibration_judge=[1, 1], calibration_human=[1, 1]).estimate)


def test_ppi_with_full_weight_is_the_classic_estimator() -> None:
    # Angelopoulos et al. (2023), Science: mean f(unlabelled) + mean(y - f)(labelled), variances added.
    rng = np.random.default_rng(3)
    truth = rng.normal(size=400)
    judge = truth + rng.normal(0.4, 0.5, 400)
    human = np.where(np.arange(400) < 150, truth, NA)
    result = ppi_mean(judge, human, judge_weight=1.0)
    r = (truth - judge)[:150]
    assert result.estimate == pytest.approx(judge[150:].mean() + r.mean())
    assert result.se == pytest.approx(sqrt(judge[150:].var(ddof=1) / 250 + r.var(ddof=1) / 150))


def test_ppi_weight_minimises_the_variance() -> None:
    # The tuned lambda of PPI++ against a grid search over fixed lambdas.
    rng = np.random.default_rng(4)
    truth = rng.normal(size=2000)
    judge = 0.5 * truth + rng.normal(0, 0.7, 2000)
    human = np.where(np.arange(2000) < 400, truth, NA)
    tuned = ppi_mean(judge, human)
    grid = np.linspace(0, 1, 101)
    best = grid[int(np.argmin([ppi_mean(judge, human, judge_weight=lam).se for lam in grid]))]
    assert tuned.judge_weight == pytest.approx(best, abs=0.03)
    assert tuned.width_ratio < 1


def test_labels_only_is_a_t_interval() -> None:
    # scipy.stats.t.interval.
    y = np.random.default_rng(5).normal(size=30)
    result = corrected_mean(np.zeros(60), np.r_[y, np.full(30, NA)], method="labels_only")
    assert (result.low, result.high) == pytest.approx(
        scipy_stats.t.interval(0.95, 29, y.mean(), scipy_stats.sem(y)), abs=1e-9
    )


def test_useless_or_perfect_judges_fall_back() -> None:
    rng = np.random.default_rng(6)
    y = rng.normal(size=300)
    human = np.where(np.arange(300) < 60, y, NA)
    useless = ppi_mean(rng.normal(size=300) - 0.3 * y, human)
    assert useless.method == "labels_only"
    assert "too low to help" in str(useless.reason)
    assert ppi_mean(y, human).width_ratio < 0.6
    perfect = ppi_mean(y, human, judge_weight=1.0)
    assert perfect.method == "labels_only"
    assert "agrees exactly" in str(perfect.reason)
    assert perfect.high > perfect.low
    constant = ppi_mean(np.ones(300), human)
    assert constant.method == "labels_only"


def test_ppi_clusters_cover() -> None:
    # 40 documents of 10 items, ICC about .5; 95% - 3 SE at R = 600 = 92.3%; without clusters the coverage is far off.
    rng = np.random.default_rng(7)
    document = np.repeat(np.arange(40), 10)
    hits = plain = 0
    for _ in range(600):
        truth = rng.normal(size=40)[document] + rng.normal(size=400)
        judge = truth + rng.normal(size=40)[document] * 0.7 + 0.3
        human = np.where(rng.random(400) < 0.4, truth, NA)
        a, b = ppi_mean(judge, human, clusters=document), ppi_mean(judge, human)
        hits += a.low <= 0 <= a.high
        plain += b.low <= 0 <= b.high
    assert hits / 600 >= 0.923
    assert plain / 600 < 0.88


def test_corrected_mean_chooses_and_refuses() -> None:
    judge, human = judged(30, 10, 2, 8, 120, 30)
    assert corrected_mean(judge, human).method.startswith("stratified")
    assert corrected_mean(judge, human, clusters=np.arange(200) // 4).method == "ppi++"
    assert corrected_mean(judge * 3, human * 3).method == "ppi++"
    assert corrected_mean(judge, human, method="rogan_gladen").method.startswith("rogan")
    with pytest.raises(StatsError):
        corrected_mean(judge, human, method="stratified", clusters=np.arange(200))
    with pytest.raises(StatsError):
        corrected_mean(judge, human, method="magic")


@pytest.mark.parametrize("function", [stratified_rate, ppi_mean, corrected_mean])
def test_degenerate_labels(function) -> None:
    nothing = function([1.0, 0.0, 1.0], [NA, NA, NA])
    assert isnan(nothing.estimate)
    assert nothing.reason is not None
    assert isnan(function([], []).estimate)
    assert isnan(function([NA, NA], [1.0, 0.0]).estimate)
    one = function([1.0, 0.0, 1.0], [1.0, NA, NA])
    assert isnan(one.low) or one.high - one.low > 0.5
    with pytest.raises(StatsError):
        function([1.0, 2.0], [1.0])
    with pytest.raises(StatsError):
        function([1.0, np.inf], [1.0, 1.0])


counts = st.tuples(*[st.integers(0, 30)] * 4, st.integers(0, 100), st.integers(0, 100))


@given(counts, st.integers(0, 1000))
def test_stratified_rate_properties(cells: tuple[int, ...], seed: int) -> None:
    judge, human = judged(*cells)
    assume(sum(cells[:4]) > 0)
    result = stratified_rate(judge, human)
    assert 0 <= result.low <= result.estimate <= result.high <= 1
    assert result.high - result.low > 0
    order = np.random.default_rng(seed).permutation(len(judge))
    again = stratified_rate(judge[order], human[order])
    assert (again.low, again.high) == pytest.approx((result.low, result.high))
    mirrored = stratified_rate(1 - judge, 1 - human)
    assert (mirrored.low, mirrored.high) == pytest.approx((1 - result.high, 1 - result.low))
    # Calling pass "fail" in the judge only relabels the strata.
    relabelled = stratified_rate(1 - judge, human)
    assert (relabelled.low, relabelled.high) == pytest.approx((result.low, result.high))


# ---------------------------------------------------------------- differences


def simulate(rng: np.random.Generator, labels: int, n: int, rate: float, gain: float, lenience: tuple[float, float]):
    u, v = rng.random(n), rng.random(n)
    y0 = (u < rate) * 1.0
    y1 = np.where(rng.random(n) < 0.7, u < rate + gain, v < rate + gain) * 1.0
    f1, f0 = (np.where(rng.random(n) < keep, y, 1.0) for keep, y in zip(lenience, (y1, y0), strict=True))
    on = np.arange(n) < labels
    return f1, f0, np.where(on, y1, NA), np.where(on, y0, NA)


@pytest.mark.parametrize(("labels", "rate", "gain"), [(50, 0.7, 0.0), (100, 0.7, 0.05), (200, 0.9, 0.03)])
def test_corrected_difference_covers_where_the_judge_alone_does_not(labels: int, rate: float, gain: float) -> None:
    # R = 500: 95% - 3 SE = 92.1%. The judge is more lenient with the candidate.
    rng = np.random.default_rng(8)
    hits = judge_only = 0
    for _ in range(500):
        data = simulate(rng, labels, 10 * labels, rate, gain, (0.6, 0.8))
        r = corrected_difference(*data)
        hits += r.low <= gain <= r.high
        d = data[0] - data[1]
        judge_only += abs(d.mean() - gain) < 1.96 * d.std() / sqrt(len(d))
    assert hits / 500 >= 0.921
    assert judge_only / 500 < 0.8


def test_corrected_difference_graded_and_separate_labels_cover() -> None:
    rng = np.random.default_rng(9)
    paired = apart = 0
    for _ in range(500):
        item = rng.normal(size=800)
        y1, y0 = item + rng.normal(0.2, 0.5, 800), item + rng.normal(0, 0.5, 800)
        f1, f0 = y1 + rng.normal(0.5, 0.4, 800), y0 + rng.normal(0.1, 0.4, 800)
        on = np.arange(800) < 120
        r = corrected_difference(f1, f0, np.where(on, y1, NA), np.where(on, y0, NA))
        paired += r.low <= 0.2 <= r.high
        far = np.arange(800) >= 680
        s = corrected_difference(f1, f0, np.where(on, y1, NA), np.where(far, y0, NA))
        assert s.method == "separate_ppi"
        apart += s.low <= 0.2 <= s.high
    assert paired / 500 >= 0.921
    assert apart / 500 >= 0.921


@given(st.integers(0, 10_000), st.booleans())
@settings(max_examples=40)
def test_corrected_difference_symmetry_and_agreement(seed: int, graded: bool) -> None:
    data = simulate(np.random.default_rng(seed), 40, 160, 0.6, 0.15, (0.7, 0.9))
    if graded:
        data = tuple(2.5 * column for column in data)
    forward = corrected_difference(*data)
    backward = corrected_difference(data[1], data[0], data[3], data[2])
    assert forward.estimate == pytest.approx(-backward.estimate)
    assert (forward.low, forward.high) == pytest.approx((-backward.high, -backward.low), nan_ok=True)
    assert forward.p_value == pytest.approx(backward.p_value, nan_ok=True, abs=1e-9)
    assert (forward.p_value < 0.05) == (forward.low > 0 or forward.high < 0)
    up = corrected_difference(*data, alternative="greater")
    down = corrected_difference(*data, alternative="less")
    if not isnan(up.p_value):
        assert up.p_value + down.p_value == pytest.approx(1, abs=1e-6)
        assert (up.p_value < 0.05) == (up.low > 0)


def test_corrected_difference_counts_the_sampling_of_items() -> None:
    # A perfect judge and a label on every item: what is left is the sampling of the items. R = 500: >= 92.1%.
    rng = np.random.default_rng(12)
    hits = 0
    for _ in range(500):
        u = rng.random(150)
        y0 = (u < 0.6) * 1.0
        y1 = np.where(rng.random(150) < 0.5, y0, rng.random(150) < 0.7)
        r = corrected_difference(y1, y0, y1, y0)
        hits += r.low <= 0.05 <= r.high
    assert hits / 500 >= 0.921


def test_bias_interaction_is_tested() -> None:
    rng = np.random.default_rng(10)
    same = [
        corrected_difference(*simulate(rng, 150, 600, 0.6, 0.0, (0.7, 0.7))).bias_p_value < 0.05 for _ in range(300)
    ]
    differs = corrected_difference(*simulate(rng, 200, 600, 0.5, 0.0, (0.4, 0.95)))
    assert np.mean(same) <= 0.088  # 5% + 3 SE
    assert differs.bias_p_value < 0.01
    assert "do not read its difference uncorrected" in differs.warnings[-1]


def test_corrected_difference_degenerate() -> None:
    empty = np.full(10, NA)
    assert isnan(corrected_difference(np.ones(10), np.zeros(10), empty, empty).estimate)
    assert isnan(corrected_difference([], [], [], []).estimate)
    y = np.r_[1.0, np.full(9, NA)]
    result = corrected_difference(np.ones(10), np.ones(10), y, y)
    assert result.reason is not None
    agree = corrected_difference(
        np.ones(40), np.zeros(40), np.r_[np.ones(20), empty, empty], np.r_[np.zeros(20), empty, empty]
    )
    assert agree.estimate == 1
    assert agree.low < 0.9
    with pytest.raises(StatsError):
        corrected_difference([1.0], [1.0, 0.0], [1.0], [1.0])


# ---------------------------------------------------------------- labels needed


def test_labels_needed_is_met_by_the_interval_it_plans() -> None:
    # Oracle: the interval itself, on data with exactly the planned number of labels.
    judge, human = judged(36, 4, 1, 9, 1560, 390)
    plan = labels_needed(judge, human, half_width=0.05)
    assert plan.n_labels is not None
    scale = plan.n_labels / 50
    cells = [round(c * scale) for c in (36, 4, 1, 9)]
    again = stratified_rate(*judged(*cells, 1600 - cells[0] - cells[1], 400 - cells[2] - cells[3]))
    assert (again.high - again.low) / 2 == pytest.approx(0.05, abs=0.004)
    assert plan.additional == plan.n_labels - 50


def test_labels_needed_graded() -> None:
    rng = np.random.default_rng(11)
    truth = rng.normal(size=5000)
    judge = truth + rng.normal(0, 0.5, 5000)
    plan = labels_needed(judge, np.where(np.arange(5000) < 100, truth, NA), half_width=0.06)
    assert plan.n_labels is not None
    done = ppi_mean(judge, np.where(np.arange(5000) < plan.n_labels, truth, NA))
    assert (done.high - done.low) / 2 == pytest.approx(0.06, rel=0.15)


@given(st.floats(0.02, 0.2), st.floats(0.02, 0.2))
@settings(max_examples=30)
def test_labels_needed_is_monotone(first: float, second: float) -> None:
    judge, human = judged(36, 4, 1, 9, 4000, 900)
    wide, narrow = (labels_needed(judge, human, half_width=h) for h in (max(first, second), min(first, second)))
    assert (wide.n_labels or 0) <= (narrow.n_labels or 10**9)


def test_labels_needed_says_when_items_are_missing() -> None:
    judge, human = judged(10, 4, 1, 5, 20, 10)
    plan = labels_needed(judge, human, half_width=0.01)
    assert plan.n_labels is None
    assert "items are needed" in str(plan.reason)
    assert labels_needed([1.0, 0.0], [NA, NA], half_width=0.1).n_labels is None
    with pytest.raises(StatsError):
        labels_needed(judge, human, half_width=0)


def test_labels_needed_does_not_believe_a_spotless_pilot() -> None:
    # Expected half-width with half a success and half a failure added to each stratum; statsmodels Wilson limits.
    judge, human = judged(15, 0, 0, 5, 1485, 495)
    plan = labels_needed(judge, human, half_width=0.05)
    w, t1, t0 = 0.75, 15.5 / 16, 0.5 / 6
    (l1, u1), (l0, u0), (lw, uw) = (
        proportion_confint(p * n, n, method="wilson") for p, n in ((t1, 15), (t0, 5), (w, 2000))
    )
    low = sqrt((w * (t1 - l1)) ** 2 + ((1 - w) * (t0 - l0)) ** 2 + ((w - lw) * (t1 - t0)) ** 2)
    high = sqrt((w * (u1 - t1)) ** 2 + ((1 - w) * (u0 - t0)) ** 2 + ((uw - w) * (t1 - t0)) ** 2)
    assert plan.half_width_now == pytest.approx((low + high) / 2)
