"""pass@k, cost per success, Pareto fronts."""

from __future__ import annotations

import itertools
from math import comb, inf, isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats as scipy_stats
from scipy.optimize import brentq
from statsmodels.stats.proportion import proportion_confint

from bakeoff.errors import StatsError
from bakeoff.stats import (
    Objective,
    cheapest_within,
    cost_per_success,
    pareto_analysis,
    pareto_front,
    pass_at_k,
    pass_curve,
    pass_hat_k,
    pass_k_values,
    ratio_difference,
    ratio_of_means,
)

# ---------------------------------------------------------------- pass@k


def human_eval_estimator(n: int, c: int, k: int) -> float:
    # Chen et al. (2021), figure 3: the reference implementation printed in the paper.
    if n - c < k:
        return 1.0
    return float(1.0 - np.prod(1.0 - k / np.arange(n - c + 1, n + 1)))


@pytest.mark.parametrize(("n", "c", "k"), [(200, 3, 1), (200, 3, 10), (200, 3, 100), (10, 10, 3), (5, 0, 5), (7, 3, 5)])
def test_pass_at_k_matches_the_papers_code(n: int, c: int, k: int) -> None:
    scores = np.zeros((1, n))
    scores[0, :c] = 1
    assert pass_k_values(scores, k)[0] == pytest.approx(human_eval_estimator(n, c, k), abs=1e-12)


@pytest.mark.parametrize(("n", "c", "k"), [(8, 6, 1), (8, 6, 4), (8, 6, 8), (8, 8, 8), (5, 2, 3)])
def test_pass_hat_k_matches_tau_bench(n: int, c: int, k: int) -> None:
    # Yao et al. (2024), tau-bench, section 3: C(c, k) / C(n, k).
    scores = np.zeros((1, n))
    scores[0, :c] = 1
    assert pass_k_values(scores, k, rule="all")[0] == pytest.approx(comb(c, k) / comb(n, k), abs=1e-12)


def test_pass_k_is_hypergeometric() -> None:
    # scipy.stats.hypergeom: successes among k drawn without replacement from n with c good.
    n, c, k = 23, 9, 6
    scores = np.r_[np.ones(c), np.zeros(n - c)][None, :]
    assert pass_k_values(scores, k)[0] == pytest.approx(scipy_stats.hypergeom.sf(0, n, c, k))
    assert pass_k_values(scores, k, rule="all")[0] == pytest.approx(scipy_stats.hypergeom.pmf(k, n, c, k))


def test_one_attempt_is_wilson_on_items() -> None:
    # statsmodels Wilson with the t quantile replaced by z in the limit of many items.
    scores = np.r_[np.ones(700), np.zeros(300)][:, None]
    result = pass_at_k(scores, 1)
    low, high = proportion_confint(700, 1000, method="wilson")
    assert (result.low, result.high) == pytest.approx((low, high), abs=3e-4)


def test_too_few_attempts_is_missing_not_one() -> None:
    result = pass_at_k([[1, 1], [1, 0]], 3)
    assert isnan(result.estimate)
    assert result.reason == "no item has 3 attempts with a result"
    partly = pass_at_k([[1, 1, np.nan], [1, 0, 0], [0, 0, 0]], 3)
    assert partly.n == 2
    assert "1 of 3 items" in partly.warnings[0]


@pytest.mark.parametrize("scores", [np.ones((40, 4)), np.zeros((40, 4)), np.tile([1.0, 1.0, 0.0, 0.0], (40, 1))])
def test_no_spread_still_has_a_width(scores: np.ndarray) -> None:
    result = pass_at_k(scores, 1)
    assert result.high - result.low > 0.05


def test_degenerate_pass_k() -> None:
    assert isnan(pass_at_k(np.empty((0, 3)), 1).estimate)
    assert pass_at_k([[1, 0, 1]], 1).reason is not None
    assert isnan(pass_at_k([[1, 0, 1]], 1).low)
    assert isnan(pass_at_k([[1, 0], [1, 1]], 1, clusters=["a", "a"]).low)
    assert isnan(pass_at_k(np.full((3, 3), np.nan), 1).estimate)
    for bad in ([[0.5, 1]], [[2, 0]], [[inf, 0]]):
        with pytest.raises(StatsError):
            pass_at_k(bad, 1)
    with pytest.raises(StatsError, match="k must be"):
        pass_at_k([[1, 0]], 0)


def test_clusters_widen_the_interval() -> None:
    rng = np.random.default_rng(2)
    document = np.repeat(np.arange(30), 8)
    rate = rng.beta(1, 1, 30)[document]
    scores = rng.random((240, 4)) < rate[:, None]
    flat, clustered = pass_at_k(scores, 2), pass_at_k(scores, 2, clusters=document)
    assert clustered.estimate == pytest.approx(flat.estimate, abs=1e-12)
    assert clustered.high - clustered.low > 1.5 * (flat.high - flat.low)


binary = arrays(np.float64, st.tuples(st.integers(2, 8), st.integers(1, 6)), elements=st.sampled_from([0.0, 1.0]))


@given(binary)
def test_pass_curve_properties(scores: np.ndarray) -> None:
    up, down = pass_curve(scores), pass_curve(scores, rule="all")
    assert all(a.estimate <= b.estimate + 1e-12 for a, b in itertools.pairwise(up))
    assert all(a.estimate + 1e-12 >= b.estimate for a, b in itertools.pairwise(down))
    assert up[0].estimate == pytest.approx(down[0].estimate)
    for point in (*up, *down):
        assert 0 <= point.low <= point.estimate + 1e-12
        assert point.estimate - 1e-12 <= point.high <= 1
    # pass@k of failures is one minus pass^k, and item order does not matter.
    assert pass_at_k(1 - scores, 1).estimate == pytest.approx(1 - up[0].estimate)
    assert pass_hat_k(scores[::-1], 1).low == pytest.approx(down[0].low)


@pytest.mark.parametrize(("items", "repeats", "k"), [(20, 4, 1), (30, 8, 4)])
def test_pass_hat_k_covers_where_pooling_attempts_does_not(items: int, repeats: int, k: int) -> None:
    # Beta(2, 1) items: E[p^k] = 2/(k + 2). R = 600: 95% - 3 SE = 92.3%.
    rng = np.random.default_rng(15)
    truth = 2 / (k + 2)
    held = pooled = 0
    for _ in range(600):
        scores = rng.random((items, repeats)) < rng.beta(2, 1, (items, 1))
        result = pass_hat_k(scores, k)
        held += result.low <= truth <= result.high
        low, high = proportion_confint(result.estimate * items * repeats, items * repeats, method="wilson")
        pooled += low <= truth <= high
    assert held / 600 >= 0.923
    assert pooled / 600 < 0.85


# ---------------------------------------------------------------- ratios


def test_cost_per_success_covers() -> None:
    # Successes cost half a unit more: truth (1 + 0.5 p)/p. R = 600: 95% - 3 SE = 92.3%; mean of ratios is not it.
    rng = np.random.default_rng(16)
    held = 0
    for _ in range(600):
        won = rng.random(60) < 0.4
        result = cost_per_success(rng.gamma(2, 0.5, 60) * (1 + 0.5 * won), won)
        held += result.low <= 3.0 <= result.high
    assert held / 600 >= 0.923


def test_fieller_is_the_inverted_t_test() -> None:
    # Oracle: scipy.stats.ttest_1samp of a - r b, inverted for r with brentq (Fieller 1954).
    rng = np.random.default_rng(4)
    b = rng.gamma(4, 1, 30)
    a = 2 * b + rng.normal(0, 1.5, 30)
    result = ratio_of_means(a, b)

    def excess(r: float) -> float:
        return float(scipy_stats.ttest_1samp(a - r * b, 0).pvalue) - 0.05

    assert result.low == pytest.approx(brentq(excess, result.estimate - 5, result.estimate), abs=1e-8)
    assert result.high == pytest.approx(brentq(excess, result.estimate, result.estimate + 5), abs=1e-8)


def test_delta_method_matches_the_textbook_variance() -> None:
    # Deng, Knoblich & Lu (2018), equation 2, with numpy's covariance matrix.
    rng = np.random.default_rng(5)
    n = 400
    b = rng.poisson(5, n) + 1.0
    a = rng.binomial(b.astype(int), 0.3) * 1.0
    result = ratio_of_means(a, b, method="delta")
    cov = np.cov(a, b) / n
    r = a.mean() / b.mean()
    se = np.sqrt(cov[0, 0] - 2 * r * cov[0, 1] + r**2 * cov[1, 1]) / b.mean()
    assert result.se == pytest.approx(se)
    assert result.estimate == pytest.approx(r)


def test_repeated_units_as_clusters_do_not_narrow() -> None:
    rng = np.random.default_rng(6)
    a, b = rng.gamma(3, 1, 50), rng.gamma(3, 1, 50)
    once = ratio_of_means(a, b)
    thrice = ratio_of_means(np.tile(a, 3), np.tile(b, 3), clusters=np.tile(np.arange(50), 3))
    assert thrice.low == pytest.approx(once.low)
    assert thrice.high == pytest.approx(once.high)


def test_cost_per_success_without_success_has_a_lower_end() -> None:
    result = cost_per_success(np.full(50, 0.02), np.zeros(50))
    assert isnan(result.estimate)
    assert result.high == inf
    # Wilson upper limit for 0 of 50 (t quantile, 49 df).
    t = scipy_stats.t.ppf(0.975, 49)
    assert result.low == pytest.approx(0.02 / (t**2 / 50 / (1 + t**2 / 50)))


def test_cost_per_success_is_total_over_total_not_mean_of_ratios() -> None:
    assert cost_per_success([1, 1, 10, 10], [1, 1, 1, 0]).estimate == pytest.approx(22 / 3)


def test_ratio_degenerate() -> None:
    assert ratio_of_means([], []).reason is not None
    assert isnan(ratio_of_means([1.0], [2.0]).low)
    assert isnan(ratio_of_means([1, 2, 3], [0, 0, 0]).estimate)
    assert isnan(ratio_of_means([2, 2, 2], [1, 1, 1]).low)
    assert ratio_of_means([1, 2, 3, 4], [5, -5, 4, -3.9]).high == inf
    assert isnan(ratio_of_means([np.nan] * 3, [1, 2, 3]).estimate)
    with pytest.raises(StatsError):
        ratio_of_means([1, inf], [1, 2])
    with pytest.raises(StatsError):
        cost_per_success([-1, 2], [1, 0])
    with pytest.raises(StatsError):
        cost_per_success([1, 2], [1, 2])


def test_ratio_difference_with_constant_denominator_is_a_t_test() -> None:
    # With denominators of 1 the delta method is scipy's Welch and paired t test.
    rng = np.random.default_rng(7)
    a, b = rng.normal(1.3, 1, 40), rng.normal(1, 1, 40)
    one = np.ones(40)
    welch = ratio_difference((a, one), (b, one))
    assert welch.p_value == pytest.approx(scipy_stats.ttest_ind(a, b, equal_var=False).pvalue)
    paired = ratio_difference((a, one), (b, one), paired=True)
    assert paired.p_value == pytest.approx(scipy_stats.ttest_rel(a, b).pvalue)
    interval = scipy_stats.ttest_rel(a, b).confidence_interval()
    assert (paired.low, paired.high) == pytest.approx((interval.low, interval.high))
    greater = ratio_difference((a, one), (b, one), paired=True, alternative="greater")
    assert greater.p_value == pytest.approx(scipy_stats.ttest_rel(a, b, alternative="greater").pvalue)


@given(st.integers(0, 10_000))
@settings(max_examples=30)
def test_ratio_difference_is_antisymmetric(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = (rng.gamma(3, 1, (2, 12)) for _ in range(2))
    forward = ratio_difference(tuple(first), tuple(second), paired=True)
    backward = ratio_difference(tuple(second), tuple(first), paired=True)
    assert forward.estimate == pytest.approx(-backward.estimate)
    assert (forward.low, forward.high) == pytest.approx((-backward.high, -backward.low))
    assert forward.p_value == pytest.approx(backward.p_value)
    assert (forward.p_value < 0.05) == (forward.low > 0 or forward.high < 0)


# ---------------------------------------------------------------- Pareto


def front_by_loops(points: np.ndarray, goals: list[str]) -> list[bool]:
    sign = [1 if goal == "max" else -1 for goal in goals]
    rows = [[s * v for s, v in zip(sign, row, strict=True)] for row in points.tolist()]
    return [
        not any(
            all(o >= m for o, m in zip(other, mine, strict=True))
            and any(o > m for o, m in zip(other, mine, strict=True))
            for other in rows
        )
        for mine in rows
    ]


@given(arrays(np.float64, st.tuples(st.integers(1, 8), st.integers(1, 3)), elements=st.integers(0, 4).map(float)))
def test_front_matches_the_definition(points: np.ndarray) -> None:
    goals = ["max", "min", "max"][: points.shape[1]]
    front = pareto_front(points, goals)
    assert front.tolist() == front_by_loops(points, goals)
    assert front.any()
    assert pareto_front(points[::-1], goals).tolist() == front.tolist()[::-1]


def test_ties_are_all_kept_and_nan_is_never_on_the_front() -> None:
    assert pareto_front([[1, 1], [1, 1], [0, 2], [np.nan, 0]], ["max", "min"]).tolist() == [True, True, False, False]


def test_membership_probability_matches_a_plain_bootstrap() -> None:
    # Oracle: one resample at a time with numpy indexing, front by the definition above.
    rng = np.random.default_rng(8)
    quality, cost = (rng.random((3, 40)) < [[0.7], [0.65], [0.6]]) * 1.0, rng.gamma(4, [[1.0], [0.95], [0.9]], (3, 40))
    result = pareto_analysis(
        [Objective(name="q", values=quality, goal="max"), Objective(name="c", values=cost, goal="min")], resamples=4000
    )
    hits = np.zeros(3)
    for _ in range(3000):
        pick = rng.integers(0, 40, 40)
        points = np.column_stack([quality[:, pick].mean(axis=1), cost[:, pick].mean(axis=1)])
        hits += front_by_loops(points, ["max", "min"])
    assert result.probability == pytest.approx(hits / 3000, abs=0.04)
    assert 0 < result.probability.min() < result.probability.max() <= 1


def test_quantile_objective_matches_a_plain_bootstrap() -> None:
    # Oracle: numpy.quantile(method="inverted_cdf") of each resample; the p95 of one variant against a constant.
    rng = np.random.default_rng(9)
    latency = np.stack([rng.lognormal(0, 1, 60), np.full(60, 4.0)])
    result = pareto_analysis([Objective(name="p95", values=latency, goal="min", quantile=0.95)], resamples=4000)
    draws = latency[0][rng.integers(0, 60, (4000, 60))]
    beats = (np.quantile(draws, 0.95, axis=1, method="inverted_cdf") <= 4.0).mean()
    assert result.probability[0] == pytest.approx(beats, abs=0.04)


def test_pareto_missing_clusters_and_small() -> None:
    rng = np.random.default_rng(10)
    values = rng.random((3, 50))
    values[1, :10] = np.nan
    labels = np.repeat(np.arange(10), 5)
    result = pareto_analysis([Objective(name="q", values=values, goal="max")], clusters=labels, resamples=200)
    assert result.n == 10
    assert "10 of 150" in result.warnings[0]
    assert result.probability.sum() == pytest.approx(1)
    one = pareto_analysis([Objective(name="q", values=[[1.0], [2.0]], goal="max")])
    assert one.reason is not None
    assert np.isnan(one.probability).all()
    empty = pareto_analysis([Objective(name="q", values=[[np.nan] * 5, [1, 0, 1, 0, 1.0]], goal="max")], resamples=50)
    assert np.isnan(empty.probability[0])
    assert empty.probability[1] == 1
    with pytest.raises(StatsError):
        pareto_analysis([])
    with pytest.raises(StatsError):
        pareto_analysis([Objective(name="q", values=[[1.0, inf]], goal="max")])


def test_dominance_p_value_is_the_worst_objective() -> None:
    # Berger (1982): intersection-union. Oracle: paired z tests by hand.
    rng = np.random.default_rng(11)
    a, b = rng.normal(0.3, 1, 300), rng.normal(0, 1, 300)
    c, d = rng.normal(1.0, 1, 300), rng.normal(1.05, 1, 300)
    result = pareto_analysis(
        [Objective(name="x", values=[a, b], goal="max"), Objective(name="y", values=[c, d], goal="min")], resamples=4000
    )
    z = [(a - b).mean() / (a - b).std() * 300**0.5, (d - c).mean() / (d - c).std() * 300**0.5]
    assert result.dominance_p[0, 1] == pytest.approx(scipy_stats.norm.sf(min(z)), abs=0.02)


def share_of_bad_choices(qualifies: object) -> float:
    # Variant 1 is exactly the margin of 0.2 below the best, and cheapest by far.
    assert callable(qualifies)
    rng = np.random.default_rng(12)
    wrong = 0
    for _ in range(600):
        quality = rng.normal(0, 1, 150) + rng.normal(0, 1, (3, 150)) + np.array([[0.2], [0.0], [-1.0]])
        wrong += bool(qualifies(quality, rng))
    return wrong / 600


def test_cheapest_within_lets_a_bad_variant_through_at_most_alpha() -> None:
    cost = np.tile([[9.0], [1.0], [9.0]], 150)

    def ours(quality: np.ndarray, rng: np.random.Generator) -> bool:
        return "1" in cheapest_within(quality, cost, margin=0.2, resamples=300, rng=rng).qualified

    def not_significantly_worse(quality: np.ndarray, _: np.random.Generator) -> bool:
        return bool(scipy_stats.ttest_rel(quality[0], quality[1]).pvalue > 0.05)

    # R = 600: 5% + 3 SE = 7.7%; and not absurdly careful.
    assert 0.005 <= share_of_bad_choices(ours) <= 0.077
    assert share_of_bad_choices(not_significantly_worse) > 0.3


def test_cheapest_within_reports_when_nothing_qualifies() -> None:
    rng = np.random.default_rng(13)
    result = cheapest_within(rng.random((3, 12)) < 0.5, np.ones((3, 12)), margin=0.01)
    assert result.choice is None
    assert "items would decide it" in result.reason
    with pytest.raises(StatsError):
        cheapest_within([[1, 0]], [[1, 1]], margin=0)
    identical = cheapest_within(np.tile([1.0, 0.0], (2, 30)), [[1.0] * 60, [2.0] * 60], margin=0.1)
    assert identical.choice == "0"
    assert identical.warnings
    assert identical.gap[0].low < 0


def test_pareto_is_fast() -> None:
    from time import process_time

    rng = np.random.default_rng(14)
    objectives = [
        Objective(name="quality", values=rng.random((20, 10_000)) < 0.7, goal="max"),
        Objective(name="cost", values=rng.gamma(2, 1, (20, 10_000)), goal="min"),
    ]
    start = process_time()
    pareto_analysis(objectives, resamples=1000)
    assert process_time() - start < 2.0
