"""Many variants: max-t, tied set, family, Dunnett, Tukey, Cochran, Friedman, best of many."""

from __future__ import annotations

import json
import math
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bakeoff.errors import StatsError
from bakeoff.stats import (
    Family,
    adjust,
    best_of_many,
    clustered_mean,
    cochran_q,
    dunnett,
    friedman,
    holdout_split,
    max_t,
    shrink,
    tied_set,
    tukey,
)
from bakeoff.stats.core._mvt import max_t_cdf, studentized_range_cdf, studentized_range_ppf


def paired_data(n: int, k: int, seed: int, shift: float = 0.0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    item = rng.normal(size=n)
    return {f"v{j}": item + rng.normal(size=n) + shift * j for j in range(k)}


# --- max-t ---------------------------------------------------------------------------------------


def test_darwin_maize_exact_sign_flip():
    # Fisher (1935), section 21: Darwin's 15 pairs of maize, 1726 of 32768 sign patterns are as extreme
    eighths = np.array([49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48], dtype=float)
    result = max_t({"self": np.zeros(15), "cross": eighths}, baseline="self")
    assert result.method == "max_t_exact"
    assert result.comparisons[0].p_value == pytest.approx(1726 / 32768)
    assert result.comparisons[0].p_adjusted == pytest.approx(1726 / 32768)


def test_step_down_against_westfall_young_by_hand():
    """All sign patterns of 8 items, one after the other, with the step-down of Westfall and Young (1993)."""
    data = paired_data(8, 4, seed=1, shift=0.6)
    names = list(data)[1:]
    d = np.stack([data[name] - data["v0"] for name in names], axis=1)

    def t(x: np.ndarray) -> np.ndarray:
        return np.abs(stats.ttest_1samp(x, 0.0).statistic)

    observed = t(d)
    flipped = np.array([t(d * np.array(signs)[:, None]) for signs in product((1, -1), repeat=8)])
    order = np.argsort(-observed)
    expected, running = np.empty(3), 0.0
    for rank, j in enumerate(order):
        left = order[rank:]
        p = np.mean(flipped[:, left].max(axis=1) >= observed[j] * (1 - 1e-9))
        running = max(running, p)
        expected[j] = running
    got = max_t(data, baseline="v0")
    assert [one.p_adjusted for one in got.comparisons] == pytest.approx(expected)


def test_random_flips_agree_with_the_exact_ones():
    data = paired_data(15, 3, seed=2, shift=0.4)
    exact = max_t(data)
    wide = {name: np.concatenate([values, [math.nan]]) for name, values in data.items()}
    assert max_t(wide).method == "max_t_exact"  # a missing item is no unit
    codes = np.arange(15)
    assert [one.p_adjusted for one in max_t(data, clusters=codes).comparisons] == [
        one.p_adjusted for one in exact.comparisons
    ]


def test_normal_limit_agrees_with_flips():
    data = paired_data(2_990, 4, seed=3)
    flips = max_t(data, baseline="v0")
    more = {name: np.concatenate([values, values[:20]]) for name, values in data.items()}
    normal = max_t(more, baseline="v0")
    assert (flips.method, normal.method) == ("max_t", "max_t_normal")
    assert normal.critical == pytest.approx(flips.critical, abs=0.08)  # 3 standard errors


def test_critical_value_is_dunnetts_for_a_shared_baseline():
    # independent equal-variance variants: correlation 1/2, Dunnett (1964) two-sided 5 % point for 5 variants: 2.51
    rng = np.random.default_rng(4)
    data = {f"v{j}": rng.normal(size=2_000) for j in range(6)}
    assert max_t(data, baseline="v0").critical == pytest.approx(2.51, abs=0.05)


def test_max_t_beats_holm_when_variants_are_correlated():
    rng = np.random.default_rng(5)
    base, common = rng.normal(size=60), rng.normal(size=60)
    data = {"base": base} | {f"v{j}": common + 0.3 * rng.normal(size=60) + 0.35 for j in range(8)}
    result = max_t(data, baseline="base")
    holm = adjust([one.p_value for one in result.comparisons])
    assert np.mean([one.p_adjusted for one in result.comparisons]) < 0.6 * holm.mean()


def test_intervals_cover_together():
    rng = np.random.default_rng(6)
    runs, misses = 300, 0
    for run in range(runs):
        item = rng.normal(size=30)
        data = {f"v{j}": item + rng.normal(size=30) for j in range(5)}
        result = max_t(data, resamples=499, rng=run)
        misses += any(not one.low <= 0 <= one.high for one in result.comparisons)
    assert misses / runs <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


def test_standard_errors_are_the_usual_ones():
    data = paired_data(40, 2, seed=14)
    codes = np.arange(40) // 4
    d = data["v1"] - data["v0"]
    plain, clustered = (max_t(data, clusters=groups).comparisons[0] for groups in (None, codes))
    assert plain.se == pytest.approx(d.std(ddof=1) / math.sqrt(40))
    assert clustered.se == pytest.approx(clustered_mean(d, codes, variance="cr1").se)
    result = max_t(data)
    assert plain.high - plain.estimate == pytest.approx(result.critical * plain.se)


def test_clusters_are_flipped_as_a_whole():
    rng = np.random.default_rng(7)
    codes = np.repeat(np.arange(12), 10)
    shift = rng.normal(0, 1, 12)[codes]
    data = {"base": rng.normal(0, 0.1, 120), "new": rng.normal(0, 0.1, 120) + shift + 0.25}
    plain, clustered = max_t(data), max_t(data, clusters=codes)
    assert plain.comparisons[0].p_value < 0.02 < clustered.comparisons[0].p_value
    # one value per cluster gives the same p as flipping clusters of equal size
    means = {name: values.reshape(12, 10).mean(axis=1) for name, values in data.items()}
    assert clustered.comparisons[0].p_value == pytest.approx(max_t(means).comparisons[0].p_value)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 14), st.integers(2, 4), st.integers(0, 1000), st.booleans())
def test_max_t_properties(n, k, seed, binary):
    data = paired_data(n, k, seed, shift=0.3)
    if binary:
        data = {name: (values > 0).astype(float) for name, values in data.items()}
    result = max_t(data)
    raw = np.array([one.p_value for one in result.comparisons])
    adjusted = np.array([one.p_adjusted for one in result.comparisons])
    assert np.all((raw > 0) & (raw <= 1))
    assert np.all(adjusted >= raw - 1e-12)
    order = np.random.default_rng(seed).permutation(n)
    shuffled = max_t({name: values[order] for name, values in data.items()})
    assert [one.p_adjusted for one in shuffled.comparisons] == pytest.approx(adjusted.tolist())
    mirrored = max_t(dict(reversed(data.items())))
    for one in result.comparisons:
        other = mirrored.get(one.baseline, one.candidate)
        assert other.estimate == pytest.approx(-one.estimate)
        assert other.p_adjusted == pytest.approx(one.p_adjusted)
        if one.low == one.low:
            assert (other.low, other.high) == (pytest.approx(-one.high), pytest.approx(-one.low))
    scaled = max_t({name: 7 * values - 3 for name, values in data.items()})
    assert [one.p_adjusted for one in scaled.comparisons] == pytest.approx(adjusted.tolist())


def test_max_t_degenerate():
    same = max_t({"a": [1.0, 0.0, 1.0], "b": [1.0, 0.0, 1.0]})
    assert same.comparisons[0].p_value == 1.0
    assert math.isnan(same.comparisons[0].low)
    assert same.comparisons[0].reason == "no item differs"
    constant = max_t({"a": [0.0] * 8, "b": [1.0] * 8}).comparisons[0]
    assert constant.p_value == pytest.approx(2 / 256)
    assert math.isnan(constant.low)
    assert constant.reason is not None
    for empty in ([], [math.nan, math.nan], [1.0]):
        one = max_t({"a": empty, "b": empty}).comparisons[0]
        assert math.isnan(one.p_value)
        assert math.isnan(one.low)
        assert one.reason
    with pytest.raises(StatsError, match="baseline"):
        max_t({"a": [1.0], "b": [1.0]}, baseline="c")
    with pytest.raises(StatsError, match="same items"):
        max_t({"a": [1.0], "b": [1.0, 0.0]})
    with pytest.raises(StatsError, match="at least 2"):
        max_t({"a": [1.0]})
    with pytest.raises(StatsError, match="no comparison"):
        same.get("z")


def test_what_was_found_in_words():
    base = [0.2, 0.4, 0.3, 0.6, 0.1, 0.5, 0.4, 0.3]
    data = {
        "base": base,
        "up": [0.5, 0.6, 0.7, 0.8, 0.4, 0.6, 0.9, 0.5],
        "same": [0.3, 0.3, 0.3, 0.5, 0.2, 0.5, 0.5, 0.2],
    }
    text = max_t(data, baseline="base").sentence
    assert text == (
        "1 of 2 comparisons shows a difference after correction (max_t_exact): "
        "'up' against 'base' +0.275 (+0.147 to +0.403)."
    )
    quiet = max_t({"base": base, "same": data["same"]}).sentence
    assert quiet == "None of the 1 comparison shows a difference after correction (max_t_exact)."
    assert "can be tested" in max_t({"a": [math.nan], "b": [1.0]}).sentence
    assert "(tukey)" in tukey(BLOOD).sentence


def test_one_sided_max_t():
    data = paired_data(12, 3, seed=8, shift=0.5)
    up = max_t(data, baseline="v0", alternative="greater")
    down = max_t(data, baseline="v0", alternative="less")
    assert all(one.high == math.inf for one in up.comparisons)
    assert all(one.low == -math.inf for one in down.comparisons)
    assert all(a.p_value + b.p_value >= 1 for a, b in zip(up.comparisons, down.comparisons, strict=True))


# --- tied set ------------------------------------------------------------------------------------


def test_tied_set_holds_the_true_best():
    rng = np.random.default_rng(9)
    runs, kept, sizes = 300, 0, []
    for run in range(runs):
        item = rng.normal(size=40)
        data = {f"v{j}": item + rng.normal(size=40) + (0.15 if j == 3 else 0.0) for j in range(6)}
        found = tied_set(data, resamples=299, rng=run)
        kept += "v3" in found.tied
        sizes.append(len(found.tied))
    assert kept / runs >= 0.95 - 3 * math.sqrt(0.05 * 0.95 / runs)
    assert np.mean(sizes) < 6


def test_tied_set_direction_and_words():
    data = {"fast": [1.0, 1.1, 0.9, 1.0, 1.2, 1.0, 0.8, 1.1], "slow": [3.0, 3.3, 2.9, 3.1, 3.0, 3.2, 2.8, 3.0]}
    low = tied_set(data, higher_is_better=False)
    assert (low.best, low.tied) == ("fast", ("fast",))
    assert low.means["fast"] == pytest.approx(1.0125)
    assert tied_set(data).best == "slow"
    assert "none of the 2 variants" in tied_set({"a": [1.0, 0.0], "b": [0.0, 1.0]}).sentence
    unknown = tied_set({"a": [math.nan], "b": [math.nan]})
    assert unknown.tied == ("a", "b")
    assert unknown.reason


def gsm8k() -> dict[str, np.ndarray]:
    path = Path(__file__).parents[3] / "../shared/data/gsm8k_model_solutions.jsonl"
    if not path.exists():
        pytest.skip("needs the recorded GSM8K answers beside the repository")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    names = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
    return {name: np.array([float(row[name]["is_correct"]) for row in rows]) for name in names}


def test_gsm8k_six_comparisons():
    # McNemar by statsmodels with Holm finds the same differences
    from statsmodels.stats.contingency_tables import mcnemar

    data = gsm8k()
    result = max_t(data)
    p = []
    for one in result.comparisons:
        a, b = data[one.candidate], data[one.baseline]
        table = [[((a == x) & (b == y)).sum() for y in (1, 0)] for x in (1, 0)]
        p.append(float(mcnemar(table, exact=True).pvalue))
        assert one.estimate == pytest.approx(a.mean() - b.mean())
        assert one.low < one.estimate < one.high
    holm = adjust(p)
    assert [one.p_adjusted <= 0.05 for one in result.comparisons] == (holm <= 0.05).tolist()
    assert tied_set(data).tied == ("175b_verification",)
    assert cochran_q(data).p_value < 1e-10


# --- family --------------------------------------------------------------------------------------


def test_family_counts():
    assert Family(n_variants=5, n_metrics=3, n_segments=2).size == 24
    assert Family(n_variants=5, comparisons="all").size == 10
    # 1 - .95^20 = .64, the textbook chance of a false positive in 20 tests
    assert Family(n_variants=21).false_winner_chance() == pytest.approx(1 - 0.95**20)
    assert Family(n_variants=4, n_metrics=2).sentence == "3 comparisons with the baseline x 2 metrics = 6 comparisons."
    assert Family(n_variants=2).warning() == "One comparison: nothing to correct."
    assert "64%" in Family(n_variants=21).warning()
    with pytest.raises(StatsError):
        Family(n_variants=0)


# --- Dunnett and Tukey ---------------------------------------------------------------------------

# Dunnett (1955), table 3: blood counts; R multcomp 1.4-22: summary(glht(aov(y ~ g), mcp(g = "Dunnett")))
BLOOD = {
    "control": [7.40, 8.50, 7.20, 8.24, 9.84, 8.32],
    "drug A": [9.76, 8.80, 7.68, 9.36],
    "drug B": [12.80, 9.68, 12.16, 9.20, 10.55],
}


def test_dunnett_blood_counts():
    result = dunnett(BLOOD, baseline="control")
    assert [one.p_adjusted for one in result.comparisons] == pytest.approx([0.62004941, 0.0058889], abs=2e-4)
    # Dunnett (1955): 95 % limits from 0.84 above to 4.42 for drug B (rounded to two digits)
    assert result.get("drug B").low == pytest.approx(0.84, abs=0.01)
    assert result.get("drug B").high == pytest.approx(4.42, abs=0.01)


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_dunnett_of_scipy(alternative):
    expected = stats.dunnett(
        *(BLOOD[name] for name in ("drug A", "drug B")), control=BLOOD["control"], alternative=alternative, rng=1
    )
    result = dunnett(BLOOD, baseline="control", alternative=alternative)
    assert [one.p_adjusted for one in result.comparisons] == pytest.approx(expected.pvalue.tolist(), abs=3e-4)
    limits = expected.confidence_interval()
    np.testing.assert_allclose([one.low for one in result.comparisons], limits.low, atol=5e-3)
    np.testing.assert_allclose([one.high for one in result.comparisons], limits.high, atol=5e-3)


# Dunnett (1964), two-sided 5 %, 10 df: 2.57, 2.76, 2.89; Dunnett (1955), one-sided 5 %, infinite df: 1.92, 2.06, 2.16
@pytest.mark.parametrize(
    ("k", "df", "two_sided", "point"),
    [
        (2, 10, True, 2.57),
        (3, 10, True, 2.76),
        (4, 10, True, 2.89),
        (2, math.inf, False, 1.92),
        (3, math.inf, False, 2.06),
        (4, math.inf, False, 2.16),
    ],
)
def test_dunnett_tables(k, df, two_sided, point):
    loadings = np.full(k, math.sqrt(0.5))
    assert max_t_cdf(point - 0.006, loadings, df=df, two_sided=two_sided) < 0.95
    assert max_t_cdf(point + 0.006, loadings, df=df, two_sided=two_sided) > 0.95


# Studentized range, upper 5 % points (Pearson & Hartley, Biometrika Tables, table 29; Harter 1960)
@pytest.mark.parametrize(
    ("k", "df", "point"),
    [(3, 10, 3.88), (4, 20, 3.96), (5, math.inf, 3.86), (10, math.inf, 4.47), (3, 2, 8.33), (2, 5, 3.64)],
)
def test_studentized_range_tables(k, df, point):
    assert studentized_range_ppf(0.95, k, df) == pytest.approx(point, abs=0.0051)


@pytest.mark.parametrize(("q", "k", "df"), [(2.5, 3, 7), (4.1, 6, 30), (5.0, 20, 100)])
def test_studentized_range_of_scipy(q, k, df):
    assert studentized_range_cdf(q, k, df) == pytest.approx(stats.studentized_range.cdf(q, k, df), abs=1e-8)


def test_tukey_of_sas():
    # SAS example quoted in scipy's documentation of tukey_hsd; R 4.2.2: TukeyHSD(aov(y ~ f)) gives the same
    groups = {
        "0": [24.5, 23.5, 26.4, 27.1, 29.9],
        "1": [28.4, 34.2, 29.5, 32.2, 30.1],
        "2": [26.1, 28.3, 24.3, 26.2, 27.8],
    }
    result = tukey(groups)
    first, second, third = result.get("1", "0"), result.get("2", "0"), result.get("2", "1")
    assert [first.p_adjusted, second.p_adjusted, third.p_adjusted] == pytest.approx([0.014, 0.980, 0.020], abs=6e-4)
    assert (first.low, first.high) == (pytest.approx(0.951, abs=6e-4), pytest.approx(8.249, abs=6e-4))
    assert (second.low, second.high) == (pytest.approx(-3.389, abs=6e-4), pytest.approx(3.909, abs=6e-4))
    assert (third.low, third.high) == (pytest.approx(-7.989, abs=6e-4), pytest.approx(-0.691, abs=6e-4))


def test_tukey_kramer_of_scipy():
    expected = stats.tukey_hsd(*BLOOD.values())
    result = tukey(BLOOD)
    for (i, a), (j, b) in combinations(enumerate(BLOOD), 2):
        assert result.get(b, a).p_adjusted == pytest.approx(expected.pvalue[i, j], abs=1e-8)


def test_groups_degenerate():
    flat = dunnett({"a": [1.0, 1.0], "b": [2.0, 2.0]}, baseline="a").comparisons[0]
    assert math.isnan(flat.p_adjusted)
    assert "vary" in flat.reason
    single = tukey({"a": [1.0], "b": [2.0]})
    assert "two items" in single.reason
    absent = dunnett({"a": [1.0, 2.0], "b": [math.nan], "c": [2.0, 4.0]}, baseline="a")
    assert math.isnan(absent.get("b").p_adjusted)
    assert absent.get("c").p_adjusted == pytest.approx(absent.get("c").p_value, abs=1e-8)


# --- Cochran and Friedman ------------------------------------------------------------------------


def test_cochran_q_of_statsmodels():
    from statsmodels.stats.contingency_tables import cochrans_q

    x = (np.random.default_rng(10).random((40, 4)) < [0.4, 0.5, 0.6, 0.7]).astype(float)
    expected = cochrans_q(x)
    result = cochran_q({f"v{j}": x[:, j] for j in range(4)})
    assert result.statistic == pytest.approx(float(expected.statistic))
    assert result.p_value == pytest.approx(float(expected.pvalue))


def test_cochran_q_of_two_variants_is_mcnemar():
    # McNemar (1947): (b - c)^2 / (b + c), here b = 10, c = 3
    a = np.r_[np.ones(10), np.zeros(3), np.ones(20)]
    b = np.r_[np.zeros(10), np.ones(3), np.ones(20)]
    assert cochran_q({"a": a, "b": b}).statistic == pytest.approx(49 / 13)


def test_cochran_q_degenerate():
    assert cochran_q({"a": [1.0, 0.0], "b": [1.0, 0.0]}).p_value == 1.0
    assert math.isnan(cochran_q({"a": [math.nan], "b": [1.0]}).p_value)
    with pytest.raises(StatsError, match="0 or 1"):
        cochran_q({"a": [0.5], "b": [1.0]})


# Demsar (2006), JMLR 7, table 6: AUC of four algorithms on 14 data sets. On "voting" the last two both print
# as .975 but are ranked 2 and 3, so the last is entered a hair lower.
DEMSAR = {
    "C4.5": [0.763, 0.599, 0.954, 0.628, 0.882, 0.936, 0.661, 0.583, 0.775, 1.0, 0.940, 0.619, 0.972, 0.957],
    "C4.5+m": [0.768, 0.591, 0.971, 0.661, 0.888, 0.931, 0.668, 0.583, 0.838, 1.0, 0.962, 0.666, 0.981, 0.978],
    "C4.5+cf": [0.771, 0.590, 0.968, 0.654, 0.886, 0.916, 0.609, 0.563, 0.866, 1.0, 0.965, 0.614, 0.975, 0.946],
    "C4.5+m+cf": [0.798, 0.569, 0.967, 0.657, 0.898, 0.931, 0.685, 0.625, 0.875, 1.0, 0.962, 0.669, 0.9749, 0.970],
}


def test_friedman_of_demsar():
    result = friedman(DEMSAR)
    # printed average ranks 3.143, 2.000, 2.893, 1.964; CD 1.25 at .05 and 1.12 at .10
    assert list(result.average_ranks.values()) == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=6e-4)
    assert result.critical_difference == pytest.approx(1.25, abs=0.005)
    assert friedman(DEMSAR, alpha=0.1).critical_difference == pytest.approx(1.12, abs=0.005)
    # tie-corrected as in R and scipy (10.23); Demsar prints the uncorrected 9.28
    expected = stats.friedmanchisquare(*DEMSAR.values())
    assert result.chi2 == pytest.approx(float(expected.statistic))
    assert result.chi2 == pytest.approx(10.23, abs=0.005)
    assert result.chi2_p_value == pytest.approx(float(expected.pvalue))
    n, k = 14, 4
    assert result.statistic == pytest.approx((n - 1) * result.chi2 / (n * (k - 1) - result.chi2))


# Demsar (2006), table 5a: q_.05 / sqrt(2) for 2 to 10 classifiers; R 4.2.2: qtukey(0.95, 2:10, Inf) / sqrt(2)
@pytest.mark.parametrize(
    ("k", "q"),
    [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (6, 2.850), (7, 2.949), (8, 3.031), (9, 3.102), (10, 3.164)],
)
def test_nemenyi_critical_values(k, q):
    assert studentized_range_ppf(0.95, k) / math.sqrt(2) == pytest.approx(q, abs=1.1e-3)


def test_friedman_degenerate():
    assert friedman({"a": [1.0, 2.0], "b": [1.0, 2.0]}).p_value == 1.0
    assert math.isnan(friedman({"a": [1.0], "b": [2.0]}).p_value)
    alike = friedman({"a": [1.0, 2.0, 3.0], "b": [2.0, 3.0, 4.0]})
    assert 0 < alike.p_value < 1
    assert "unbounded" in alike.reason


# --- best of many --------------------------------------------------------------------------------

# Efron & Morris (1977), Scientific American 236(5): 18 batters after 45 at bats; shrinking factor 0.212
BATTING = [0.400, 0.378, 0.356, 0.333, 0.311, 0.311, 0.289, 0.267, 0.244, 0.244, 0.222, 0.222, 0.222, 0.222, 0.222]
BATTING += [0.200, 0.178, 0.156]


def test_shrink_baseball_of_efron_and_morris():
    se = math.sqrt(0.265 * 0.735 / 45)
    result = shrink(BATTING, [se] * 18)
    assert result.center == pytest.approx(0.265, abs=5e-4)
    y = np.array(BATTING)
    james_stein = 1 - 15 * se**2 / np.sum((y - y.mean()) ** 2)
    assert result.weight[0] == pytest.approx(james_stein, abs=1e-6)
    assert result.weight[0] == pytest.approx(0.212, abs=0.01)
    assert result.estimates[0] == pytest.approx(0.294, abs=2e-3)  # Clemente
    assert result.estimates[-1] == pytest.approx(0.242, abs=2e-3)  # Alvis


def test_shrink_bcg_between_variance_of_metafor():
    # R metafor 3.8.1: rma(yi, vi, data = escalc("RR", ..., data = dat.bcg), method = "PM")$tau2 = 0.3181
    y = [
        -0.8893,
        -1.5854,
        -1.3481,
        -1.4416,
        -0.2175,
        -0.7861,
        -1.6209,
        0.0120,
        -0.4694,
        -1.3713,
        -0.3394,
        0.4459,
        -0.0173,
    ]
    v = [0.3256, 0.1946, 0.4154, 0.0200, 0.0512, 0.0069, 0.2230, 0.0040, 0.0564, 0.0730, 0.0124, 0.5325, 0.0714]
    assert shrink(y, np.sqrt(v)).spread ** 2 == pytest.approx(0.3181, abs=1e-3)


def test_shrink_intervals_cover_on_average():
    rng = np.random.default_rng(12)
    hits = []
    for _ in range(300):
        truth = rng.normal(0.6, 0.05, 12)
        result = shrink(truth + rng.normal(0, 0.07, 12), [0.07] * 12)
        hits.append(np.mean((np.array(result.low) <= truth) & (truth <= np.array(result.high))))
    assert np.mean(hits) >= 0.94


def test_shrink_degenerate():
    few = shrink([0.1, 0.5], [0.1, 0.1])
    assert few.estimates == (0.1, 0.5)
    assert few.reason
    assert shrink([], []).reason
    equal = shrink([0.5] * 6, [0.1] * 6)
    assert equal.estimates == pytest.approx([0.5] * 6)
    for bad in (([1.0], [1.0, 2.0]), ([math.nan] * 4, [1.0] * 4), ([1.0] * 4, [0.0] * 4)):
        with pytest.raises(StatsError):
            shrink(*bad)


@settings(max_examples=50, deadline=None)
@given(
    n=st.integers(2, 200),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 99),
    size=st.integers(1, 5),
)
def test_holdout_split_is_a_partition_that_keeps_clusters(n, fraction, seed, size):
    codes = np.arange(n) // size
    if np.unique(codes).size < 2:
        with pytest.raises(StatsError, match="clusters"):
            holdout_split(n, fraction=fraction, clusters=codes, rng=seed)
        return
    select, confirm = holdout_split(n, fraction=fraction, clusters=codes, rng=seed)
    assert sorted([*select, *confirm]) == list(range(n))
    assert not set(codes[select]) & set(codes[confirm])
    assert len(select)
    assert len(confirm)
    again = holdout_split(n, fraction=fraction, clusters=codes, rng=seed)
    assert np.array_equal(select, again[0])


@pytest.mark.parametrize("method", ["simultaneous", "holdout", "shrinkage"])
def test_best_of_many(method):
    rng = np.random.default_rng(13)
    item = rng.random(80)
    data = {f"v{j}": (rng.random(80) < 0.3 + 0.5 * item).astype(float) for j in range(8)}
    best = best_of_many(data, method=method)
    assert best.name in data
    assert best.confidence == 0.95
    assert best.low < best.estimate < best.high
    assert best.name in best.sentence
    if method == "simultaneous":
        assert best.high - best.low > best.naive.high - best.naive.low
    if method == "shrinkage":
        assert best.estimate < best.naive.estimate
    lowest = best_of_many(data, method=method, higher_is_better=False)
    assert lowest.naive.estimate <= best.naive.estimate


def test_best_of_many_degenerate():
    assert math.isnan(best_of_many({"a": [math.nan], "b": [math.nan]}).low)
    assert math.isnan(best_of_many({"a": [1.0, 0.0], "b": [0.0, 1.0]}, method="shrinkage").low)
    assert best_of_many({"only": [1.0, 0.0, 1.0]}).n_variants == 1
    with pytest.raises(StatsError, match="method"):
        best_of_many({"a": [1.0]}, method="luck")
    with pytest.raises(StatsError, match="at least two"):
        best_of_many({"a": [1.0]}, method="holdout")
