"""Assignment, sample-ratio mismatch, covariate adjustment, guardrails."""

from __future__ import annotations

import hashlib
from math import isnan, sqrt

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from bakeoff.errors import StatsError
from bakeoff.stats import (
    Estimate,
    adjusted_difference,
    assign_variant,
    compare,
    guardrail,
    hash_unit,
    srm_test,
)


def test_hash_is_sha256_and_uniform() -> None:
    # hashlib written out; scipy.stats.kstest for uniformity.
    digest = hashlib.sha256(b"5:exp-7:user-1").digest()
    assert hash_unit("user-1", salt="exp-7") == (int.from_bytes(digest[:8], "big") >> 11) / 2**53
    values = np.array([hash_unit(str(i), salt="s") for i in range(20_000)])
    assert scipy_stats.kstest(values, "uniform").pvalue > 0.001
    other = np.array([hash_unit(str(i), salt="t") for i in range(20_000)])
    assert abs(np.corrcoef(values, other)[0, 1]) < 0.03
    # "ab" + "c" and "a" + "bc" must not collide.
    assert hash_unit("c", salt="ab") != hash_unit("bc", salt="a")


def test_assignment_follows_the_weights() -> None:
    weights = {"a": 5.0, "b": 3.0, "c": 2.0, "off": 0.0}
    got = [assign_variant(str(i), weights, salt="exp") for i in range(20_000)]
    counts = [got.count(name) for name in weights]
    assert counts[3] == 0
    assert scipy_stats.chisquare(counts[:3], np.array([0.5, 0.3, 0.2]) * 20_000).pvalue > 0.001


@given(st.text(max_size=20), st.text(max_size=10), st.floats(0, 1), st.floats(0, 1))
def test_ramping_up_never_moves_a_unit(unit: str, salt: str, first: float, second: float) -> None:
    low, high = sorted((first, second))
    weights = {"a": 1.0, "b": 1.0}
    before, after = (assign_variant(unit, weights, salt=salt, exposure=e) for e in (low, high))
    assert before in (None, after)
    assert assign_variant(unit, weights, salt=salt, exposure=1.0) is not None


def test_exposure_is_independent_of_the_variant() -> None:
    got = [assign_variant(str(i), {"a": 1, "b": 1}, salt="e", exposure=0.1) for i in range(30_000)]
    took = [name for name in got if name]
    assert 0.09 < len(took) / 30_000 < 0.11
    assert 0.46 < took.count("a") / len(took) < 0.54


@pytest.mark.parametrize("weights", [{}, {"a": 0.0}, {"a": -1.0, "b": 2.0}, {"a": float("inf")}])
def test_bad_weights(weights: dict[str, float]) -> None:
    with pytest.raises(StatsError):
        assign_variant("u", weights, salt="s")


def test_srm_published_and_scipy() -> None:
    # Kohavi, Tang & Xu (2020), Trustworthy Online Controlled Experiments, ch. 21: 821,588 against 815,482, p = 1.8e-6;
    # R 4.2.2: chisq.test(c(821588, 815482)).
    result = srm_test([821_588, 815_482])
    assert result.p_value == pytest.approx(1.8e-6, rel=0.03)
    assert result.mismatch
    counts, plan = [480, 330, 190], np.array([0.5, 0.3, 0.2])
    oracle = scipy_stats.chisquare(counts, plan * 1000)
    mine = srm_test(counts, plan)
    assert (mine.statistic, mine.p_value) == pytest.approx((oracle.statistic, oracle.pvalue))


def test_srm_degenerate() -> None:
    assert srm_test([0, 0]).mismatch is None
    assert srm_test([10]).reason is not None
    assert srm_test([3, 2]).warnings
    for bad in ([-1, 2], [1.5, 2], [np.nan, 1]):
        with pytest.raises(StatsError):
            srm_test(bad)
    with pytest.raises(StatsError):
        srm_test([1, 2], [1, 0])


def arms(seed: int, n: int = 150, covariates: int = 2) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    x1, x0 = rng.normal(size=(n, covariates)), rng.normal(size=(n + 40, covariates))
    beta = np.array([1.0, -0.5, 0.3])[:covariates]
    return x1 @ beta * 1.3 + rng.normal(0.4, 1, n), x0 @ beta + rng.normal(0, 1.5, n + 40), x1, x0


def test_lin_matches_statsmodels_hc2() -> None:
    # Lin (2013): OLS of y on treatment, centred covariates and interactions; statsmodels OLS(cov_type="HC2").
    y1, y0, x1, x0 = arms(1)
    mine = adjusted_difference(y1, y0, candidate_covariates=x1, baseline_covariates=x0)
    z = np.vstack([x1, x0])
    z = z - z.mean(axis=0)
    treated = np.r_[np.ones(len(y1)), np.zeros(len(y0))]
    design = np.column_stack([np.ones(len(z)), treated, z, z * treated[:, None]])
    fit = sm.OLS(np.r_[y1, y0], design).fit(cov_type="HC2")
    assert mine.estimate == pytest.approx(fit.params[1])
    assert mine.se == pytest.approx(fit.bse[1])


def test_cuped_is_welch_on_adjusted_values() -> None:
    # Deng et al. (2013): theta = cov/var; then scipy's Welch test.
    y1, y0, x1, x0 = arms(2, covariates=1)
    mine = adjusted_difference(y1, y0, candidate_covariates=x1, baseline_covariates=x0, method="cuped")
    a, b = x1[:, 0], x0[:, 0]
    top = ((a - a.mean()) * y1).sum() + ((b - b.mean()) * y0).sum()
    theta = top / (((a - a.mean()) ** 2).sum() + ((b - b.mean()) ** 2).sum())
    oracle = scipy_stats.ttest_ind(y1 - theta * a, y0 - theta * b, equal_var=False)
    assert mine.p_value == pytest.approx(oracle.pvalue)
    interval = oracle.confidence_interval()
    assert (mine.low, mine.high) == pytest.approx((interval.low, interval.high))


def test_adjustment_handles_missing_and_useless_covariates() -> None:
    y1, y0, x1, x0 = arms(3, covariates=1)
    x1 = x1.copy()
    x1[:20] = np.nan
    y1 = y1.copy()
    y1[-5:] = np.nan
    result = adjusted_difference(y1, y0, candidate_covariates=x1, baseline_covariates=x0)
    assert result.n_missing == 5
    assert result.variance_ratio < 1
    constant = adjusted_difference(
        y0, y0[:100], candidate_covariates=np.ones(len(y0)), baseline_covariates=np.ones(100), method="cuped"
    )
    assert constant.p_value == pytest.approx(scipy_stats.ttest_ind(y0, y0[:100], equal_var=False).pvalue)
    assert "nothing was adjusted" in constant.warnings[0]
    tiny = adjusted_difference([1, 2], [3, 4], candidate_covariates=[1, 2], baseline_covariates=[1, 2])
    assert isnan(tiny.estimate)
    same = adjusted_difference(
        np.ones(9), np.ones(9), candidate_covariates=np.arange(9), baseline_covariates=np.arange(9)
    )
    assert isnan(same.low)
    with pytest.raises(StatsError):
        adjusted_difference([1, 2, 3], [1, 2], candidate_covariates=[1, 2], baseline_covariates=[1, 2])


@given(st.integers(0, 1000), st.sampled_from(["lin", "cuped"]))
def test_adjustment_is_antisymmetric_and_shift_invariant(seed: int, method: str) -> None:
    y1, y0, x1, x0 = arms(seed, n=20, covariates=1)
    a = adjusted_difference(y1, y0, candidate_covariates=x1, baseline_covariates=x0, method=method)
    b = adjusted_difference(y0, y1, candidate_covariates=5 - 2 * x0, baseline_covariates=5 - 2 * x1, method=method)
    assert a.estimate == pytest.approx(-b.estimate)
    assert (a.low, a.high) == pytest.approx((-b.high, -b.low))
    assert (a.p_value < 0.05) == (a.low > 0 or a.high < 0)
    up = adjusted_difference(
        y1, y0, candidate_covariates=x1, baseline_covariates=x0, method=method, alternative="greater"
    )
    assert (up.p_value < 0.05) == (up.low > 0)


def normal(estimate: float, se: float = 1.0) -> Estimate:
    return Estimate(estimate=estimate, low=estimate - 1.96 * se, high=estimate + 1.96 * se, n=100, method="z", se=se)


def test_guardrail_is_the_one_sided_non_inferiority_test() -> None:
    # scipy.stats.norm by hand.
    result = guardrail(normal(-0.5), margin=3)
    assert result.p_safe == pytest.approx(scipy_stats.norm.sf(2.5))
    assert result.worst == pytest.approx(-0.5 - scipy_stats.norm.ppf(0.95))
    assert result.status == "safe"
    assert guardrail(normal(0.5), margin=3, higher_is_better=False).p_safe == pytest.approx(result.p_safe)
    assert guardrail(normal(-6), margin=3).status == "harm"
    # Not significantly worse, and still not safe.
    assert guardrail(normal(-1.5), margin=2).status == "inconclusive"
    missing = Estimate(estimate=float("nan"), low=0, high=0, n=0, method="t", reason="no items")
    assert guardrail(missing, margin=1).reason == "not estimable: no items"
    with pytest.raises(StatsError):
        guardrail(normal(0), margin=0)


@given(st.floats(-5, 5), st.floats(0.1, 3), st.floats(0.1, 5))
def test_guardrail_mirror_and_bound_agree(estimate: float, se: float, margin: float) -> None:
    up, down = (
        guardrail(normal(estimate, se), margin=margin),
        guardrail(normal(-estimate, se), margin=margin, higher_is_better=False),
    )
    assert up.status == down.status
    assert up.worst == pytest.approx(-down.worst)
    if abs(up.worst + margin) > 1e-9:
        assert (up.status == "safe") == (up.worst > -margin)
    assert sqrt(up.p_safe) >= 0


def test_a_guardrail_is_not_safe_where_the_comparison_has_no_interval() -> None:
    """One item with nearly all the weight: its standard error is a number, and says nothing."""
    rng = np.random.default_rng(0)
    found = compare(rng.normal(0, 0.1, 60), rng.normal(0, 0.1, 60), kind="continuous", weights=np.r_[1e4, np.ones(59)])
    assert np.isnan(found.low)
    result = guardrail(found, margin=0.5)
    assert result.status == "inconclusive"
    assert "nearly all the weight" in result.reason
    assert "97.5%" in guardrail(compare(np.arange(9.0), np.zeros(9)), margin=0.5, alpha=0.025).reason
