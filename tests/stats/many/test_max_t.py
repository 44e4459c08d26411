"""All comparisons of many variants at once: max-t, the tied set, the size of a family."""

from __future__ import annotations

import json
import math
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from tests.stats.reference.known import BLOOD

from bakeoff.errors import StatsError
from bakeoff.stats import (
    Family,
    adjust,
    clustered_mean,
    cochran_q,
    max_t,
    tied_set,
    tukey,
)


def paired_data(n: int, k: int, seed: int, shift: float = 0.0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    item = rng.normal(size=n)
    return {f"v{j}": item + rng.normal(size=n) + shift * j for j in range(k)}


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


def test_an_interval_that_two_units_cannot_give_says_why() -> None:
    """Flipping both of two units the same way leaves differences without spread: every critical value is infinite."""
    found = max_t({"base": [1.0, 2.0], "other": [0.6, 6.0]}, baseline="base").comparisons[0]
    assert np.isnan(found.low)
    assert found.p_value == 1.0
    assert found.reason is not None
    assert found.reason.startswith("no interval: with so few units")
