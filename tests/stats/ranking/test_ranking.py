"""Bradley-Terry with ties, order effect, covariates."""

from __future__ import annotations

from math import exp, isnan, log

import choix
import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize, minimize_scalar
from statsmodels.miscmodels.ordinal_model import OrderedModel
from tests.stats.reference.known import baseball

from bakeoff.errors import StatsError
from bakeoff.stats import bradley_terry, elo_scale, swap_consistency

# Agresti (2002), section 10.6; R BradleyTerry2 1.1.2:
# summary(BTm(...)) as in its vignette (Baltimore as reference): estimate, SE.
PLAIN = {"Boston": (1.1077, 0.3339), "Cleveland": (0.6839, 0.3319), "Detroit": (1.4364, 0.3396),
         "Milwaukee": (1.5814, 0.3433), "NewYork": (1.2476, 0.3359), "Toronto": (1.2945, 0.3367)}  # fmt: skip
HOME = {"Boston": (1.1438, 0.3378), "Cleveland": (0.7047, 0.3350), "Detroit": (1.4754, 0.3446),
        "Milwaukee": (1.6196, 0.3474), "NewYork": (1.2813, 0.3404), "Toronto": (1.3271, 0.3403)}  # fmt: skip


@pytest.mark.parametrize(("order", "published"), [(False, PLAIN), (True, HOME)])
def test_agresti_baseball(order: bool, published: dict[str, tuple[float, float]]) -> None:
    ranking = bradley_terry(*baseball(), order_effect=order)
    for team, (value, se) in published.items():
        contrast = ranking.contrast(team, "Baltimore")
        assert (contrast.estimate, contrast.se) == pytest.approx((value, se), abs=6e-5)
    assert ranking.strength.sum() == pytest.approx(0)
    if order:
        # BradleyTerry2 vignette: at.home 0.3023 (0.1309).
        assert ranking.order_effect is not None
        assert (ranking.order_effect.estimate, ranking.order_effect.se) == pytest.approx((0.3023, 0.1309), abs=6e-5)


def test_strengths_match_choix() -> None:
    # choix 0.4.1 opt_pairwise (maximum likelihood).
    first, second, outcome = baseball()
    teams = sorted(set(first))
    pairs = [
        (teams.index(a), teams.index(b)) if won else (teams.index(b), teams.index(a))
        for a, b, won in zip(first, second, outcome, strict=True)
    ]
    assert bradley_terry(first, second, outcome, order_effect=False).strength == pytest.approx(
        choix.opt_pairwise(len(teams), pairs), abs=1e-4
    )


def games(seed: int, n: int = 900, ties: float = 0.6) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    strength = np.array([0.6, 0.1, -0.2, -0.5])
    a = rng.integers(0, 4, n)
    b = (a + rng.integers(1, 4, n)) % 4
    eta = strength[a] - strength[b] + 0.3
    weights = np.column_stack([np.exp(eta / 2), np.full(n, ties), np.exp(-eta / 2)])
    cut = rng.random(n)[:, None] * weights.sum(axis=1, keepdims=True) > weights.cumsum(axis=1)
    return a, b, 1 - cut.sum(axis=1) / 2, rng.integers(0, n // 5, n)


def test_davidson_matches_direct_maximum_likelihood() -> None:
    # Davidson (1970), likelihood written out and maximised by scipy.optimize.minimize.
    a, b, outcome, _ = games(1)

    def loss(v: np.ndarray) -> float:
        s = np.r_[v[:3], -v[:3].sum()]
        eta = s[a] - s[b] + v[3]
        logits = np.column_stack([eta / 2, np.full(len(a), v[4]), -eta / 2])
        chosen = logits[np.arange(len(a)), np.rint(2 * (1 - outcome)).astype(int)]
        return -float((chosen - np.log(np.exp(logits).sum(axis=1))).sum())

    best = minimize(loss, np.zeros(5), method="BFGS")
    ranking = bradley_terry(a, b, outcome)
    assert ranking.strength[:3] == pytest.approx(best.x[:3], abs=1e-4)
    assert ranking.tie is not None
    assert ranking.tie.estimate == pytest.approx(best.x[4], abs=1e-4)
    assert ranking.log_likelihood == pytest.approx(-best.fun)
    assert ranking.tie.se == pytest.approx(np.sqrt(best.hess_inv[4, 4]), rel=0.1)


def test_rao_kupper_is_an_ordered_logit() -> None:
    # Rao & Kupper (1967) is a cumulative logit with symmetric cuts: statsmodels OrderedModel on doubled data
    # (each game from both sides, order effect switched off), whose cuts are then symmetric by construction.
    a, b, outcome, _ = games(2)
    design = np.zeros((len(a), 4))
    design[np.arange(len(a)), a] += 1
    design[np.arange(len(a)), b] -= 1
    x = design[:, :3] - design[:, 3:]
    y = np.rint(2 * outcome).astype(int)
    fit = OrderedModel(np.r_[y, 2 - y], np.r_[x, -x], distr="logit").fit(method="bfgs", disp=False, gtol=1e-8)
    ranking = bradley_terry(a, b, outcome, ties="rao_kupper", order_effect=False)
    assert ranking.strength[:3] == pytest.approx(fit.params[:3], abs=1e-4)
    assert ranking.tie is not None
    assert ranking.tie.estimate == pytest.approx(-fit.params[3], abs=1e-3)
    assert ranking.log_likelihood == pytest.approx(fit.llf / 2, abs=1e-3)
    kappa, d = exp(ranking.tie.estimate), ranking.contrast("0", "3").estimate
    win, lose = 1 / (1 + kappa * exp(-d)), 1 / (1 + kappa * exp(d))
    assert ranking.win_probability("0", "3").estimate == pytest.approx(win / (win + lose))


def test_sandwich_and_length_covariate_match_statsmodels() -> None:
    # statsmodels GLM binomial, cov_type="cluster" without small-sample correction, times G/(G-1).
    a, b, outcome, items = games(3, ties=1e-9)
    length = np.random.default_rng(4).normal(size=len(a))
    design = np.zeros((len(a), 4))
    design[np.arange(len(a)), a] += 1
    design[np.arange(len(a)), b] -= 1
    x = np.column_stack([design[:, 1:], np.ones(len(a)), length])
    fit = sm.GLM(outcome, x, family=sm.families.Binomial()).fit(
        cov_type="cluster", cov_kwds={"groups": items, "use_correction": False}, tol=1e-12
    )
    ranking = bradley_terry(a, b, outcome, items=items, covariates=length)
    groups = len(set(items.tolist()))
    assert ranking.df == groups - 1
    contrast = ranking.contrast("1", "0")
    assert contrast.estimate == pytest.approx(fit.params[0], abs=1e-7)
    assert contrast.se == pytest.approx(fit.bse[0] * np.sqrt(groups / (groups - 1)), rel=1e-5)
    assert ranking.coefficients[0].estimate == pytest.approx(fit.params[4], abs=1e-7)


def test_bootstrap_agrees_with_the_sandwich() -> None:
    a, b, outcome, items = games(5)
    sandwich = bradley_terry(a, b, outcome, items=items)
    bootstrap = bradley_terry(a, b, outcome, items=items, interval="bootstrap", resamples=400)
    assert bootstrap.strength == pytest.approx(sandwich.strength)
    assert bootstrap.high - bootstrap.low == pytest.approx(sandwich.high - sandwich.low, rel=0.2)


def test_copied_comparisons_of_one_item_add_no_certainty() -> None:
    a, b, outcome, items = games(6, n=300)
    once = bradley_terry(a, b, outcome, items=items)
    copied = bradley_terry(*(np.tile(v, 4) for v in (a, b, outcome)), items=np.tile(items, 4))
    naive = bradley_terry(*(np.tile(v, 4) for v in (a, b, outcome)))
    assert copied.contrast("0", "1").se == pytest.approx(once.contrast("0", "1").se, rel=1e-6)
    assert naive.contrast("0", "1").se < 0.6 * once.contrast("0", "1").se


def test_undefeated_variant_stays_finite() -> None:
    ranking = bradley_terry(list("aabbab") * 3, list("bcccca") * 3, [1, 1, 1, 0, 1, 0] * 3)
    assert ranking.variants[int(np.argmax(ranking.strength))] == "a"
    assert np.isfinite(ranking.high).all()
    assert np.abs(ranking.strength).max() < 8
    assert "infinite" in ranking.warnings[0]
    # The documented pseudo-games, written out: scipy.optimize.minimize_scalar.
    pair = bradley_terry(["a", "b"] * 5, ["b", "a"] * 5, [1, 0] * 5, order_effect=False)
    oracle = minimize_scalar(lambda d: 10 * np.log1p(exp(-d)) + np.log1p(exp(-d / 2)) + np.log1p(exp(d / 2)))
    assert pair.contrast("a", "b").estimate == pytest.approx(oracle.x, abs=1e-5)


def test_disconnected_and_degenerate() -> None:
    ranking = bradley_terry(["a", "b", "c", "d"], ["b", "a", "d", "c"], [1, 1, 0, 0])
    assert np.isnan(ranking.strength).all()
    assert "a, b | c, d" in str(ranking.reason)
    assert isnan(ranking.contrast("a", "c").estimate)
    assert bradley_terry([], [], []).reason is not None
    assert np.isnan(bradley_terry(["a"], ["b"], [np.nan]).strength).all()
    ties = bradley_terry(["a", "b", "a"] * 4, ["b", "a", "b"] * 4, [0.5] * 12)
    assert ties.strength == pytest.approx([0, 0], abs=1e-6)
    one_item = bradley_terry(["a", "b", "a"], ["b", "a", "b"], [1, 1, 0], items=[1, 1, 1])
    assert isnan(one_item.contrast("a", "b").low)
    with pytest.raises(StatsError, match="itself"):
        bradley_terry(["a"], ["a"], [1])
    with pytest.raises(StatsError, match="outcome"):
        bradley_terry(["a"], ["b"], [0.7])
    with pytest.raises(StatsError, match="not among"):
        bradley_terry(*baseball()).contrast("Boston", "Paris")


def test_few_items_are_warned_about() -> None:
    a, b, outcome, _ = games(8, n=60)
    ranking = bradley_terry(a, b, outcome, items=np.arange(60) % 6)
    assert "6 items" in ranking.warnings[0]


def test_one_order_only_is_warned_about() -> None:
    ranking = bradley_terry(["a"] * 10, ["b"] * 10, [1, 0] * 5)
    assert ranking.order_effect is None
    assert "one order only" in ranking.warnings[0]


@given(st.integers(0, 10_000), st.sampled_from(["davidson", "rao_kupper", "half"]))
@settings(max_examples=25, deadline=None)
def test_symmetry_order_and_names(seed: int, ties: str) -> None:
    a, b, outcome, items = games(seed, n=120)
    base = bradley_terry(a, b, outcome, ties=ties, items=items)
    swapped = bradley_terry(b[::-1], a[::-1], 1 - outcome[::-1], ties=ties, items=items[::-1])
    assert swapped.strength == pytest.approx(base.strength, abs=1e-6)
    assert swapped.order_effect is not None
    assert base.order_effect is not None
    assert swapped.order_effect.estimate == pytest.approx(-base.order_effect.estimate, abs=1e-6)
    renamed = bradley_terry(3 - a, 3 - b, outcome, ties=ties, items=items)
    assert renamed.strength[::-1] == pytest.approx(base.strength, abs=1e-6)
    better, worse = base.contrast("0", "1"), base.contrast("1", "0")
    assert better.estimate == pytest.approx(-worse.estimate)
    assert better.p_value == pytest.approx(worse.p_value)
    assert (better.p_value < 0.05) == (better.low > 0 or better.high < 0)
    order = np.argsort(-base.strength)
    assert all(base.rank_low[v] <= place + 1 <= base.rank_high[v] for place, v in enumerate(order))


def test_rank_intervals_hold_simultaneously() -> None:
    # All four equal: every rank interval must be 1-4 in 95% of runs (R = 200, minus 3 SE = 90.4%).
    rng = np.random.default_rng(7)
    good = 0
    for _ in range(200):
        a = rng.integers(0, 4, 200)
        b = (a + rng.integers(1, 4, 200)) % 4
        ranking = bradley_terry(a, b, rng.integers(0, 2, 200), rng=rng)
        good += bool((ranking.rank_low == 1).all() and (ranking.rank_high == 4).all())
    assert good / 200 >= 0.904


def test_elo_and_swap_consistency() -> None:
    # Elo (1978): 400 points are odds of ten to one.
    assert elo_scale([log(10), 0.0, -log(10)]).tolist() == pytest.approx([1400, 1000, 600])
    result = swap_consistency(["a", "b"] * 10, ["b", "a"] * 10, [1, 0] * 7 + [1, 1] * 3, items=np.repeat(range(10), 2))
    assert (result.estimate, result.n) == (0.7, 10)
    assert result.low < 0.7 < result.high
    assert isnan(swap_consistency(["a"], ["b"], [1], items=[1]).estimate)
    assert swap_consistency(["a", "b"], ["b", "a"], [0.5, 1], items=[1, 1]).estimate == 0
