from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from bakeoff.errors import StatsError
from bakeoff.stats import (
    bootstrap_means,
    clustered_mean,
    compare,
    encode_clusters,
    infer_kind,
    summarize,
    wilson,
)

rng0 = np.random.default_rng(0)
BINARY_A, BINARY_B = (rng0.random(120) < 0.7) * 1.0, (rng0.random(120) < 0.45) * 1.0
NUMBERS_A, NUMBERS_B = rng0.normal(1, 2, 80), rng0.normal(0.5, 2, 80)
DOCS = np.repeat(np.arange(24), 5)


class TestSummarize:
    def test_binary_is_wilson(self):
        e = summarize(BINARY_A)
        w = wilson(int(BINARY_A.sum()), 120)
        assert (e.low, e.high, e.method, e.n) == (w.low, w.high, "wilson", 120)

    def test_repeats_use_an_effective_number_of_trials(self):
        p = np.random.default_rng(1).beta(1, 1, 60)
        x = (np.random.default_rng(2).random((60, 10)) < p[:, None]) * 1.0
        e = summarize(x)
        means = x.mean(axis=1)
        se2 = means.var(ddof=1) / 60
        n_eff = means.mean() * (1 - means.mean()) / se2
        q = stats.t.ppf(0.975, 59)
        # Wilson's quadratic |p - pi| <= q sqrt(pi (1 - pi) / n_eff) holds with equality at both ends.
        for end in (e.low, e.high):
            assert abs(means.mean() - end) == pytest.approx(q * math.sqrt(end * (1 - end) / n_eff))
        pooled = wilson(int(x.sum()), 600)
        assert e.high - e.low > 1.5 * (pooled.high - pooled.low)

    def test_clusters_widen(self):
        x = np.repeat((np.random.default_rng(3).random(24) < 0.6) * 1.0, 5)
        e, plain = summarize(x, clusters=DOCS), summarize(x)
        assert e.n == 24
        assert e.high - e.low > 1.8 * (plain.high - plain.low)

    def test_bounded_near_an_end_uses_logit(self):
        x = np.random.default_rng(4).beta(30, 1, 25)
        assert summarize(x).method == "logit_t"
        assert summarize(x).high < 1
        assert summarize(np.random.default_rng(4).beta(5, 5, 25)).method == "t"
        assert summarize(x, clusters=np.arange(25) // 2).method == "logit_t_cr2"

    def test_cluster_standard_error_is_cr2(self):
        g = DOCS[:80]
        e, c = summarize(NUMBERS_A, clusters=g), clustered_mean(NUMBERS_A, g)
        assert (e.low, e.high, e.df) == (c.low, c.high, c.df)

    def test_equal_weights_change_nothing(self):
        e, w = summarize(NUMBERS_A), summarize(NUMBERS_A, weights=np.full(80, 3.0))
        assert (e.low, e.high) == pytest.approx((w.low, w.high))

    @pytest.mark.parametrize("scores", [[1.0] * 9, [[1.0, 1.0]] * 9, [0.0] * 9])
    @pytest.mark.parametrize("kind", ["binary", "bounded"])
    def test_all_pass_is_no_certainty(self, scores, kind):
        e = summarize(scores, kind=kind)
        assert e.high - e.low > 0.2
        assert 0 <= e.low < e.high <= 1

    @settings(max_examples=80)
    @given(x=arrays(float, st.integers(2, 6), elements=st.floats(0, 1)), clustered=st.booleans())
    def test_interval_stays_in_the_possible_range(self, x, clustered):
        e = summarize(x, kind="bounded", clusters=np.arange(x.size) // 2 if clustered else None)
        if not math.isnan(e.low):
            assert 0 <= e.low < e.high <= 1

    def test_missing_is_left_out_and_counted(self):
        e = summarize([1, 0, math.nan, 1])
        assert e.n == 3
        assert any("1 of 4" in note for note in e.warnings)

    @pytest.mark.parametrize(
        "method",
        [
            "wilson",
            "clopper_pearson",
            "agresti_coull",
            "jeffreys",
            "t",
            "bootstrap_percentile",
            "bootstrap_bca",
            "bootstrap_t",
        ],
    )
    def test_override(self, method):
        e = summarize(BINARY_A, method=method)
        assert e.method == method
        assert e.low < e.estimate < e.high

    @pytest.mark.parametrize("method", ["cr0", "cr1", "cr2", "cluster_means", "bootstrap_t"])
    def test_cluster_override(self, method):
        e = summarize(BINARY_A, clusters=DOCS, method=method)
        assert e.n == 24
        assert e.low < e.high

    @pytest.mark.parametrize(
        "call",
        [
            lambda: summarize([0.5, 2.0], kind="bounded"),
            lambda: summarize([0.5, 1.0], kind="binary"),
            lambda: summarize([0.5, 1.0], kind="ordinal"),
            lambda: summarize([1, 0], method="wald"),
            lambda: summarize([[1, 0], [1, 1]], method="wilson"),
            lambda: summarize([1, 0], method="cr2"),
            lambda: summarize([1.0, 5.0], method="logit_t"),
            lambda: summarize([1.0, 5.0], weights=[1, 2], method="bootstrap_t"),
            lambda: summarize([1.0, math.inf]),
            lambda: summarize("abc"),
            lambda: summarize([[[1.0]]]),
            lambda: summarize([1.0, 2.0], confidence=95),
        ],
    )
    def test_bad_input_is_explained(self, call):
        with pytest.raises(StatsError):
            call()


class TestCompareChoice:
    @pytest.mark.parametrize(
        ("arguments", "interval", "test"),
        [
            ((BINARY_A, BINARY_B, {}), "bonett_price", "mcnemar_midp"),
            ((BINARY_A, BINARY_B, {"clusters": DOCS}), "cr2", "cr2_t"),
            ((BINARY_A, BINARY_B, {"weights": np.arange(1.0, 121)}), "hc2", "hc2_t"),
            ((BINARY_A.reshape(60, 2), BINARY_B.reshape(60, 2), {}), "t", "paired_t"),
            ((BINARY_A.reshape(24, 5), BINARY_B.reshape(24, 5), {}), "t", "sign_flip_midp"),
            ((NUMBERS_A, NUMBERS_B, {}), "t", "paired_t"),
            ((NUMBERS_A[:40], NUMBERS_B[:40], {}), "t", "sign_flip"),
            ((NUMBERS_A[:12], NUMBERS_B[:12], {}), "t", "sign_flip_exact"),
            ((BINARY_A, BINARY_B[:70], {"paired": False}), "newcombe", "score"),
            (([1] + [0] * 20, [0] * 20, {"paired": False}), "newcombe", "fisher"),
            ((NUMBERS_A, NUMBERS_B[:30], {"paired": False}), "welch", "welch"),
            ((BINARY_A, BINARY_B, {"paired": False, "clusters": (DOCS, DOCS + 100)}), "cr2", "cr2_t"),
        ],
    )
    def test_documented_table(self, arguments, interval, test):
        a, b, kw = arguments
        d = compare(a, b, **kw)
        assert (d.method, d.test) == (interval, test)
        assert d.reason
        assert d.low < d.estimate < d.high

    @pytest.mark.parametrize(
        "interval", ["tango", "newcombe", "t", "bootstrap_percentile", "bootstrap_bca", "bootstrap_t"]
    )
    def test_interval_override(self, interval):
        d = compare(BINARY_A, BINARY_B, interval=interval)
        assert d.method == interval
        assert "asked for" in (d.reason or "")
        assert d.low == pytest.approx(compare(BINARY_A, BINARY_B).low, abs=0.02)

    @pytest.mark.parametrize("test", ["mcnemar_exact", "mcnemar_asymptotic", "paired_t", "sign_flip", "wilcoxon"])
    def test_test_override(self, test):
        d = compare(BINARY_A, BINARY_B, test=test)
        assert d.test.startswith(test)
        assert d.p_value == pytest.approx(compare(BINARY_A, BINARY_B).p_value, abs=0.02)

    @pytest.mark.parametrize("test", ["fisher", "fisher_midp", "boschloo", "permutation", "welch"])
    def test_unpaired_test_override(self, test):
        d = compare(BINARY_A, BINARY_B, paired=False, test=test)
        assert d.p_value == pytest.approx(compare(BINARY_A, BINARY_B, paired=False).p_value, abs=0.03)

    def test_repeats_are_never_pooled(self):
        rng = np.random.default_rng(5)
        shift = rng.normal(size=(30, 1))
        a, b = shift + 0.01 * rng.normal(size=(30, 20)), np.zeros((30, 20))
        d, single = compare(a, b), compare(a.mean(axis=1), b.mean(axis=1))
        assert (d.low, d.high, d.p_value) == pytest.approx((single.low, single.high, single.p_value))

    def test_shared_clusters_of_unpaired_items_are_joint(self):
        # Influence-function oracle: statsmodels OLS(y ~ variant) clustered on the shared label, G/(G-1) only.
        import statsmodels.api as sm

        y = np.concatenate([NUMBERS_A, NUMBERS_B])
        g = np.concatenate([DOCS[:80], DOCS[:80]])
        x = np.column_stack([np.ones(160), np.repeat([1.0, 0.0], 80)])
        raw = sm.OLS(y, x).fit(cov_type="cluster", cov_kwds={"groups": g, "use_correction": False}).bse[1]
        d = compare(NUMBERS_A, NUMBERS_B, paired=False, clusters=(DOCS[:80], DOCS[:80]))
        assert d.se == pytest.approx(raw * math.sqrt(16 / 15))

    @pytest.mark.parametrize(
        "call",
        [
            lambda: compare([1, 0], [1]),
            lambda: compare([1, 0], [1, 0], interval="wald"),
            lambda: compare([1, 0], [1, 0], test="z"),
            lambda: compare([1.0, 3.0], [2.0, 0.0], interval="tango"),
            lambda: compare([1, 0], [1, 0], interval="cr2"),
            lambda: compare([1, 0], [1, 0], clusters=([0, 1], [0, 1])),
            lambda: compare([1, 0], [1, 0], paired=False, clusters=[0, 1]),
            lambda: compare([1.0, 5.0], [2.0, 3.0], paired=False, test="fisher"),
            lambda: compare([1, 0], [1, 0], paired=False, interval="tango"),
            lambda: compare([1, 0], [1, 0], margin=-1),
            lambda: compare([1, 0], [1, 0], confidence=0.4, alternative="greater"),
            lambda: compare([1, 0], [1, 0], alternative="higher"),
            lambda: compare([1, math.inf], [1, 0]),
            lambda: compare([1, 2.0], [1, 0], weights=[1, 2], interval="bootstrap_t"),
        ],
    )
    def test_bad_input_is_explained(self, call):
        with pytest.raises(StatsError):
            call()


values = st.floats(-1e6, 1e6) | st.just(math.nan) | st.sampled_from([0.0, 1.0])
binary = st.sampled_from([0.0, 1.0, math.nan])
pairs_of_scores = st.integers(0, 14).flatmap(
    lambda n: st.sampled_from([values, binary]).flatmap(
        lambda elements: st.tuples(arrays(float, n, elements=elements), arrays(float, n, elements=elements))
    )
)


def numbers(d):
    return (d.estimate, d.low, d.high, d.p_value)


class TestCompareProperties:
    @settings(max_examples=150, deadline=None)
    @given(scores=pairs_of_scores, paired=st.booleans(), clustered=st.booleans())
    def test_any_input_gives_an_honest_result(self, scores, paired, clustered):
        a, b = scores
        g = np.arange(a.size) // 3
        clusters = None if not clustered else g if paired else (g, g + 50)
        d = compare(a, b, paired=paired, clusters=clusters)
        assert math.isnan(d.p_value) or 0 <= d.p_value <= 1
        assert d.low != d.high, "an interval of zero width claims certainty"
        if math.isnan(d.low) or math.isnan(d.p_value):
            assert d.reason
        else:
            assert d.low < d.high
            assert d.low - 1e-9 * abs(d.low) <= d.estimate <= d.high + 1e-9 * abs(d.high) or d.method == "bonett_price"
        if d.kind != "continuous":
            assert math.isnan(d.low) or (d.low >= -1 and d.high <= 1)
        assert d.verdict is not None

    @settings(max_examples=80, deadline=None)
    @given(scores=pairs_of_scores, paired=st.booleans(), clustered=st.booleans())
    def test_swapping_the_sides_mirrors_everything(self, scores, paired, clustered):
        a, b = scores
        g = np.arange(a.size) // 3
        clusters = None if not clustered else g if paired else (g, g)
        one, other = (compare(x, y, paired=paired, clusters=clusters) for x, y in ((a, b), (b, a)))
        assert numbers(other) == pytest.approx(
            (-one.estimate, -one.high, -one.low, one.p_value), nan_ok=True, rel=1e-6, abs=1e-9
        )
        words = {"better": "worse", "worse": "better"}
        assert other.verdict.word == words.get(one.verdict.word, one.verdict.word)

    @settings(max_examples=60, deadline=None)
    @given(scores=pairs_of_scores, seed=st.integers(0, 1000), clustered=st.booleans())
    def test_order_of_items_does_not_matter(self, scores, seed, clustered):
        a, b = scores
        order = np.random.default_rng(seed).permutation(a.size)
        g = np.array([f"doc{k // 3}" for k in range(a.size)])
        one = compare(a, b, clusters=g if clustered else None)
        other = compare(a[order], b[order], clusters=g[order] if clustered else None)
        assert numbers(other) == pytest.approx(numbers(one), nan_ok=True, rel=1e-6, abs=1e-9)

    @settings(max_examples=40, deadline=None)
    @given(seed=st.integers(0, 10**6), n=st.integers(50, 90), shift=st.floats(-1, 1))
    def test_t_interval_and_t_test_agree(self, seed, n, shift):
        x = np.random.default_rng(seed).normal(shift, 1.5, n)
        for d in (compare(x, np.zeros(n)), compare(x, np.zeros(n), clusters=np.arange(n) // 3)):
            if abs(d.p_value - 0.05) > 1e-9:
                assert (d.low > 0 or d.high < 0) == (d.p_value < 0.05)

    def test_one_sided(self):
        two = compare(NUMBERS_A, NUMBERS_B, confidence=0.9)
        up, down = (compare(NUMBERS_A, NUMBERS_B, alternative=word) for word in ("greater", "less"))
        assert (up.low, up.high) == (pytest.approx(two.low), math.inf)
        assert (down.low, down.high) == (-math.inf, pytest.approx(two.high))
        assert up.p_value + down.p_value == pytest.approx(1)

    def test_huge_numbers_and_tiny_spread(self):
        base = np.arange(60) * 1e9
        d = compare(base + 0.1, base)
        assert math.isnan(d.low)
        assert d.p_value < 1e-10
        big = compare(np.arange(60.0) * 1e90, np.arange(60.0)[::-1] * 1e90)
        assert big.low < 0 < big.high


@given(x=arrays(float, st.integers(0, 8), elements=st.floats(-2, 2) | st.sampled_from([0.0, 1.0, math.nan])))
def test_infer_kind(x):
    present = x[~np.isnan(x)]
    if not present.size or present.min() < 0 or present.max() > 1:
        expected = "continuous"
    else:
        expected = "binary" if set(present.tolist()) <= {0.0, 1.0} else "bounded"
    assert infer_kind(x) == expected


def test_speed_of_ten_thousand_items():
    rng = np.random.default_rng(11)
    a, b, g = (rng.random(10_000) < 0.6) * 1.0, (rng.random(10_000) < 0.6) * 1.0, rng.integers(0, 2000, 10_000)
    for call in (
        lambda: summarize(a, clusters=g),
        lambda: compare(a, b),
        lambda: compare(a, b, clusters=g),
        lambda: compare(a * 0.5, b * 0.7),
    ):
        call()
        times = []
        for _ in range(5):
            start = time.process_time()
            call()
            times.append(time.process_time() - start)
        assert min(times) < 0.005


@pytest.mark.parametrize(
    "call",
    [
        lambda: compare([1e120, 1.0], [0.0, 1.0]),
        lambda: compare([1, 0], [1, 0], rng="x"),
        lambda: compare([1, 0], [1, 0], rng=-1),
        lambda: compare([1, 0], [1, 0], confidence="0.95"),
        lambda: compare([1, 0], [1, 0], margin="0.02"),
        lambda: compare([1, 0], [1, 0], clusters={"a": 1}),
        lambda: compare(5, 3),
        lambda: summarize([[1, 2], [3]]),
    ],
)
def test_wrong_types_never_give_a_foreign_error(call):
    with pytest.raises(StatsError):
        call()


@pytest.mark.parametrize("scale", [1e-320, 1e-200, 1e-90, 1e90])
def test_tiny_and_large_numbers(scale):
    x, y = np.array([1.0, 2.0, 4.0, 3.0, 9.0]) * scale, np.array([2.0, 2.0, 3.0, 5.0, 4.0]) * scale
    for method in (None, "bootstrap_bca", "bootstrap_t"):
        e = summarize(x, kind="continuous", method=method)
        assert math.isnan(e.low) or e.low < e.high
    for kw in ({}, {"paired": False}, {"clusters": [0, 0, 1, 1, 2]}, {"test": "wilcoxon"}):
        d = compare(x, y, kind="continuous", **kw)
        assert math.isnan(d.low) or d.low < d.high


def test_constant_sides_with_shared_clusters_still_give_a_p():
    d = compare([1, 1, 1, 1], [0, 0, 0, 0], paired=False, clusters=(list("abcd"), list("abcd")))
    assert d.p_value == pytest.approx(2 / 70)  # Fisher on 4 of 4 against 0 of 4
    assert d.low < 1


def test_speed_of_a_whole_experiment():
    # 20 variants x 5 metrics x 10,000 items in 2,000 documents: intervals, all comparisons, 10,000 resamples.
    rng = np.random.default_rng(12)
    scores = rng.random((20, 5, 10_000))
    scores[:, :3] = scores[:, :3] < 0.6
    labels = np.array([f"doc-{k}" for k in rng.integers(0, 2000, 10_000)])
    compare(scores[0, 0], scores[1, 0])
    start = time.process_time()
    codes = encode_clusters(labels)
    for metric in range(5):
        for variant in range(20):
            summarize(scores[variant, metric], clusters=codes)
            for other in range(variant):
                compare(scores[variant, metric], scores[other, metric], clusters=codes)
    bootstrap_means(scores.reshape(100, 10_000).T, clusters=codes)
    assert time.process_time() - start < 2
