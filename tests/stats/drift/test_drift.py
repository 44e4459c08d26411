"""Control charts, run lengths, change points."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import lfilter
from statsmodels.stats.meta_analysis import combine_effects

from bakeoff.errors import StatsError
from bakeoff.stats import (
    between_run_sd,
    chart_threshold,
    control_chart,
    find_changepoint,
    run_length,
    simulate_run_lengths,
)

# Montgomery, Introduction to Statistical Quality Control (7th ed.), example 9.1: mu0 = 10, sigma = 1, k = 0.5, h = 5.
MONTGOMERY = [
    9.45, 7.99, 9.29, 11.66, 12.16, 10.18, 8.04, 11.46, 9.20, 10.34, 9.03, 11.47, 10.51, 9.40, 10.08,
    9.37, 10.62, 10.31, 8.52, 10.84, 10.90, 9.33, 12.29, 11.50, 10.60, 11.08, 10.38, 11.62, 11.31, 10.52,
]  # fmt: skip

# Annual flow of the Nile at Aswan 1871-1970 (Cobb 1978; R datasets::Nile).
NILE = [
    1120, 1160, 963, 1210, 1160, 1160, 813, 1230, 1370, 1140, 995, 935, 1110, 994, 1020, 960, 1180, 799, 958, 1140,
    1100, 1210, 1150, 1250, 1260, 1220, 1030, 1100, 774, 840, 874, 694, 940, 833, 701, 916, 692, 1020, 1050, 969,
    831, 726, 456, 824, 702, 1120, 1100, 832, 764, 821, 768, 845, 864, 862, 698, 845, 744, 796, 1040, 759,
    781, 865, 845, 944, 984, 897, 822, 1010, 771, 676, 649, 846, 812, 742, 801, 1040, 860, 874, 848, 890,
    744, 749, 838, 1050, 918, 986, 797, 923, 975, 815, 1020, 906, 901, 1170, 912, 746, 919, 718, 714, 740,
]  # fmt: skip


@pytest.mark.parametrize(
    ("h", "shift", "arl"),
    [
        # Montgomery, table 9.3 (also NIST/SEMATECH e-Handbook 6.3.2.3.1), k = 0.5;
        # R spc 0.6.7: xcusum.arl(0.5, h, shift, sided = "two").
        (4, 0, 168), (4, 0.25, 74.2), (4, 0.5, 26.6), (4, 0.75, 13.3), (4, 1, 8.38), (4, 1.5, 4.75), (4, 2, 3.34),
        (4, 3, 2.19), (5, 0, 465), (5, 0.25, 139), (5, 0.5, 38.0), (5, 0.75, 17.0), (5, 1, 10.4), (5, 1.5, 5.75),
        (5, 2, 4.01), (5, 3, 2.57),
    ],
)  # fmt: skip
def test_cusum_run_lengths(h: float, shift: float, arl: float) -> None:
    assert run_length("cusum", limit=h, shift=shift) == pytest.approx(arl, rel=0.006)


@pytest.mark.parametrize(
    ("lam", "limit", "shift", "arl"),
    [
        # Lucas & Saccucci (1990), table 3; Montgomery, table 9.11;
        # R spc 0.6.7: xewma.arl(lam, limit, shift, sided = "two").
        (0.40, 3.054, 0, 500), (0.25, 2.998, 0, 500), (0.20, 2.962, 0, 500), (0.10, 2.814, 0, 500),
        (0.05, 2.615, 0, 500),
        (0.40, 3.054, 1, 14.3), (0.25, 2.998, 1, 11.1), (0.20, 2.962, 1, 10.5), (0.10, 2.814, 1, 10.3),
        (0.05, 2.615, 1, 11.4), (0.10, 2.814, 0.5, 31.3), (0.10, 2.814, 2, 4.36),
    ],
)  # fmt: skip
def test_ewma_run_lengths(lam: float, limit: float, shift: float, arl: float) -> None:
    assert run_length("ewma", lam=lam, limit=limit, shift=shift) == pytest.approx(arl, rel=0.008)


def test_shewhart_run_lengths() -> None:
    # Montgomery, section 5.3: 370 in control, 43.9 after one sigma.
    assert run_length("shewhart") == pytest.approx(370.4, abs=0.05)
    assert run_length("shewhart", shift=1) == pytest.approx(43.9, abs=0.05)


def test_montgomery_cusum_example() -> None:
    chart = control_chart(MONTGOMERY, centre=10, sigma=1)
    # Montgomery, table 9.2: first signal at period 29 with C+ = 5.28; period 30 5.30.
    assert chart.first_alarm == 28
    assert chart.statistic[28:] == pytest.approx([5.28, 5.30], abs=0.005)
    assert not control_chart(MONTGOMERY, kind="shewhart", centre=10, sigma=1).alarm.any()
    # The EWMA recursion as a filter: scipy.signal.lfilter.
    ewma = control_chart(MONTGOMERY, kind="ewma", centre=10, sigma=1, lam=0.1, limit=2.7)
    assert ewma.statistic == pytest.approx(lfilter([0.1], [1, -0.9], np.array(MONTGOMERY) - 10))
    assert ewma.first_alarm == 28


@pytest.mark.parametrize("kind", ["cusum", "ewma", "shewhart"])
def test_threshold_inverts_run_length(kind: str) -> None:
    limit = chart_threshold(200, kind=kind)
    assert run_length(kind, limit=limit) == pytest.approx(200, rel=1e-3)
    family = chart_threshold(200, kind=kind, metrics=50)
    assert run_length(kind, limit=family) == pytest.approx(10_000, rel=1e-3)


def test_simulated_run_lengths() -> None:
    # Geometric law of the Shewhart chart; and the Markov chain for EWMA.
    shewhart = simulate_run_lengths("shewhart", shift=2, runs=4000)
    assert shewhart.mean() == pytest.approx(run_length("shewhart", shift=2), rel=0.06)
    assert shewhart.std() == pytest.approx(shewhart.mean(), rel=0.15)
    ewma = simulate_run_lengths("ewma", shift=1, lam=0.1, limit=2.814, runs=4000)
    assert ewma.mean() == pytest.approx(10.3, rel=0.04)


def test_short_baseline_and_autocorrelation_ruin_the_false_alarm_rate() -> None:
    # The pitfalls that control_chart warns about, shown.
    known = run_length("cusum")
    short = simulate_run_lengths("cusum", baseline_runs=10, runs=1000, longest=2000)
    related = simulate_run_lengths("cusum", autocorrelation=0.5, runs=1000, longest=2000)
    assert np.median(short) < 0.45 * known
    assert related.mean() < 0.15 * known


def test_within_run_error_is_counted() -> None:
    # Two runs with the same value: the one from few items (large standard error) does not alarm.
    values = np.r_[np.tile([0.79, 0.81], 10), 0.90, 0.90]
    se = np.r_[np.full(20, 0.01), 0.01, 0.1]
    chart = control_chart(values, kind="shewhart", se=se)
    assert chart.alarm[20]
    assert not chart.alarm[21]
    assert chart.within_sd == pytest.approx(np.sqrt(np.mean(se**2)))


@pytest.mark.parametrize("m", [5, 10, 20])
def test_widened_limits_keep_the_false_alarm_rate_per_run(m: int) -> None:
    # A new run against an estimated baseline: 0.27% with widening, several times that without. R = 20,000, 3 SE.
    rng = np.random.default_rng(m)
    counts = dict.fromkeys((True, False), 0)
    for _ in range(2000):
        runs = rng.normal(size=m + 10)
        for widen in counts:
            counts[widen] += int(control_chart(runs, kind="shewhart", baseline_runs=m, widen=widen).alarm[m:].sum())
    assert counts[True] / 20_000 < 0.0027 + 0.0035
    if m <= 10:
        assert counts[False] > 2.5 * counts[True]


def test_between_run_sd_is_dersimonian_laird() -> None:
    # statsmodels combine_effects(method_re="dl").tau2.
    rng = np.random.default_rng(1)
    se = rng.uniform(0.01, 0.05, 25)
    values = 0.8 + rng.normal(0, 0.03, 25) + rng.normal(0, se)
    assert between_run_sd(values, se) ** 2 == pytest.approx(combine_effects(values, se**2, method_re="dl").tau2)
    assert between_run_sd([0.8, 0.8, 0.8], [0.1, 0.1, 0.1]) == 0
    assert isnan(between_run_sd([0.8], [0.1]))
    with pytest.raises(StatsError):
        between_run_sd([0.8, 0.9], [0.0, 0.1])


def test_chart_missing_and_degenerate() -> None:
    holes = np.array(MONTGOMERY)
    holes[5] = np.nan
    without = control_chart(np.delete(holes, 5), centre=10, sigma=1)
    with_hole = control_chart(holes, centre=10, sigma=1)
    assert np.delete(with_hole.statistic, 5) == pytest.approx(without.statistic)
    for values in ([], [1.0], [1.0] * 30, [np.nan] * 5):
        chart = control_chart(values)
        assert not chart.alarm.any()
        assert chart.reason is not None
    assert "runs only" in control_chart(MONTGOMERY[:12]).warnings[0]
    for bad in ({"kind": "pareto"}, {"limit": 0}, {"lam": 2}, {"k": -1}, {"baseline_runs": 1}, {"sigma": -1}):
        with pytest.raises(StatsError):
            control_chart(MONTGOMERY, **bad)
    with pytest.raises(StatsError):
        control_chart([1.0, np.inf])
    with pytest.raises(StatsError):
        chart_threshold(1)


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=30), st.sampled_from(["cusum", "ewma", "shewhart"]))
def test_charts_are_mirror_symmetric(values: list[float], kind: str) -> None:
    up = control_chart(values, kind=kind, centre=0, sigma=1, limit=1.5)
    down = control_chart([-v for v in values], kind=kind, centre=0, sigma=1, limit=1.5)
    assert up.alarm.tolist() == down.alarm.tolist()
    moved = control_chart([5 + 2 * v for v in values], kind=kind, centre=5, sigma=2, limit=1.5)
    assert moved.standardized == pytest.approx(up.standardized, abs=1e-9)


def test_nile_changed_in_1898() -> None:
    # Cobb (1978); R strucchange 1.5.3, confint(breakpoints(Nile ~ 1), breaks = 1):
    # break after 1898, 95% interval 1895-1902; segment means
    # 1097.75 and 849.97.
    result = find_changepoint(NILE)
    assert result.index is not None
    assert 1871 + result.index - 1 == 1898
    assert (result.before, result.after) == pytest.approx((1097.75, 849.97), abs=0.01)
    assert result.low is not None
    assert result.high is not None
    assert 1895 <= 1870 + result.low <= 1898 <= 1870 + result.high <= 1902
    assert result.p_value < 0.001
    assert result.probability.sum() == pytest.approx(1)


def test_changepoint_level_and_coverage() -> None:
    # R = 300: level <= 5% + 3 SE = 8.8%; interval >= 95% - 3 SE = 91.2%.
    rng = np.random.default_rng(2)
    false = np.mean([find_changepoint(rng.normal(size=30), permutations=199).index is not None for _ in range(300)])
    assert false <= 0.088
    held = found = 0
    for _ in range(300):
        result = find_changepoint(np.r_[rng.normal(size=18), rng.normal(2, 1, 14)], permutations=199)
        if result.low is not None and result.high is not None:
            found += 1
            held += result.low <= 18 <= result.high
    assert found > 280
    assert held / found >= 0.912


def test_changepoint_is_the_best_weighted_split() -> None:
    # Oracle: numpy.average and the weighted sum of squares of every split, one at a time.
    rng = np.random.default_rng(5)
    values = np.r_[rng.normal(0, 1, 10), rng.normal(1, 1, 10)]
    values[3] += 8  # an outlier from a run that measured little
    se = np.ones(20)
    se[3] = 20.0
    w = 1 / se**2

    def within(part: slice) -> float:
        return float(w[part] @ (values[part] - np.average(values[part], weights=w[part])) ** 2)

    losses = {t: within(slice(0, t)) + within(slice(t, 20)) for t in range(2, 19)}
    result = find_changepoint(values, se=se)
    assert result.candidate == min(losses, key=losses.__getitem__)
    assert result.before == pytest.approx(np.average(values[: result.candidate], weights=w[: result.candidate]))
    assert find_changepoint(values).candidate != result.candidate


def test_changepoint_weights_missing_and_degenerate() -> None:
    values = np.array(NILE, float)
    values[[3, 50]] = np.nan
    result = find_changepoint(values, se=np.full(100, 120.0))
    assert result.index == 28
    assert result.n == 98
    assert result.probability[3] == 0
    for bad in ([], [1.0, 2.0], [3.0] * 20, [np.nan] * 9):
        flat = find_changepoint(bad)
        assert flat.index is None
        assert flat.reason is not None
    with pytest.raises(StatsError):
        find_changepoint(NILE, se=np.zeros(100))
