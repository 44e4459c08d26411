"""Bandit policies, live bandits, best-arm search, contextual routing."""

from __future__ import annotations

import json
from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from bakeoff.errors import StatsError
from bakeoff.stats import (
    KLUCB,
    LUCB,
    UCB1,
    ArmStats,
    Bandit,
    BanditPolicy,
    EpsilonGreedy,
    Hyperband,
    LinearBandit,
    SequentialHalving,
    Thompson,
    TopTwoThompson,
    Uniform,
    halving_rounds,
    hyperband_brackets,
    lai_robbins_constant,
    policy_from_dict,
    policy_to_dict,
    simulate_best_arm,
    simulate_regret,
)

POLICIES: list[BanditPolicy] = [
    Uniform(),
    Thompson(),
    Thompson(reward="normal"),
    TopTwoThompson(),
    UCB1(),
    KLUCB(),
    EpsilonGreedy(decay=0.01),
]


def arm_stats(n: list[float], total: list[float], pending: list[float] | None = None) -> ArmStats:
    return ArmStats(
        n=np.array(n), total=np.array(total), squares=np.array(total), pending=np.array(pending or [0.0] * len(n))
    )


# ------------------------------------------------------------ policies


def test_ucb1_formula() -> None:
    # Auer, Cesa-Bianchi and Fischer 2002, figure 1
    index = UCB1().index(arm_stats([10, 40], [7, 20]), np.random.default_rng(0))
    assert index == pytest.approx([0.7 + np.sqrt(2 * log(50) / 10), 0.5 + np.sqrt(2 * log(50) / 40)])


@given(st.integers(1, 200), st.data())
@settings(max_examples=40)
def test_kl_ucb_is_the_root_that_brentq_finds(n: int, data: st.DataObject) -> None:
    s = data.draw(st.integers(0, n))
    index = KLUCB().index(arm_stats([n, 50], [s, 25]), np.random.default_rng(0))[0]
    p, budget = s / n, log(n + 50) / n

    def gap(q: float) -> float:
        terms = (p * log(p / q) if p > 0 else 0.0) + ((1 - p) * log((1 - p) / (1 - q)) if p < 1 else 0.0)
        return terms - budget

    if p == 1:
        assert index == pytest.approx(1)
        return
    # oracle: scipy.optimize.brentq on Garivier and Cappe 2011, equation 1
    high = 1 - 1e-13
    expected = optimize.brentq(gap, max(p, 1e-13), high) if gap(high) > 0 else 1.0
    assert index == pytest.approx(expected, abs=1e-5)


def test_thompson_draws_follow_the_posterior() -> None:
    rng = np.random.default_rng(1)
    tiled = ArmStats(
        **{
            k: np.tile(v, (20_000, 1))
            for k, v in (("n", [30.0, 5]), ("total", [12.0, 4]), ("squares", [12.0, 4]), ("pending", [0.0, 3]))
        }
    )
    draws = Thompson().index(tiled, rng)
    # oracle: scipy.stats Kolmogorov-Smirnov against the Beta posterior; pending pulls change nothing
    assert stats.kstest(draws[:, 0], stats.beta(13, 19).cdf).pvalue > 0.001
    assert stats.kstest(draws[:, 1], stats.beta(5, 2).cdf).pvalue > 0.001


def test_normal_thompson_is_normal_gamma() -> None:
    # oracle: Murphy 2007, "Conjugate Bayesian analysis of the Gaussian distribution", section 3, by sequential updating
    policy, x = Thompson(reward="normal", prior_mean=1.0, prior_sd=2.0, prior_weight=3.0), [0.3, 2.0, 1.1, 0.9]
    m, k, a, b = 1.0, 3.0, 1.0, 4.0
    for v in x:
        a, b = a + 0.5, b + k * (v - m) ** 2 / (2 * (k + 1))
        m, k = (k * m + v) / (k + 1), k + 1
    observed = ArmStats(
        n=np.array([4.0]), total=np.array([sum(x)]), squares=np.array([sum(v * v for v in x)]), pending=np.zeros(1)
    )
    location, scale, df = policy.posterior_normal(observed)
    assert (location[0], scale[0], df[0]) == pytest.approx((m, np.sqrt(b / (a * k)), 2 * a))


def test_top_two_plays_the_leader_half_of_the_time() -> None:
    rng = np.random.default_rng(2)
    one = {"n": [100.0, 100, 100], "total": [80.0, 50, 30], "squares": [80.0, 50, 30], "pending": [0.0, 0, 0]}
    tiled = ArmStats(**{k: np.tile(v, (4000, 1)) for k, v in one.items()})
    share = TopTwoThompson().index(tiled, rng).mean(axis=0)
    assert share[0] == pytest.approx(0.5, abs=0.03)
    assert share[1] > 0.45  # the runner-up gets the rest


@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: type(p).__name__)
def test_policies_survive_json(policy: BanditPolicy) -> None:
    assert policy_from_dict(json.loads(json.dumps(policy_to_dict(policy)))) == policy


def test_unknown_policies_are_refused() -> None:
    for bad in ({}, {"policy": "magic"}, {"policy": "ucb1", "speed": 3}):
        with pytest.raises(StatsError, match="policy"):
            policy_from_dict(bad)  # type: ignore[arg-type] # wrong on purpose
    for call in (
        lambda: Thompson(prior=(0, 1)),
        lambda: EpsilonGreedy(epsilon=2),
        lambda: UCB1(exploration=0),
        lambda: TopTwoThompson(leader_share=0),
    ):
        with pytest.raises(StatsError):
            call()


# ------------------------------------------------------------ live bandit


@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: type(p).__name__)
def test_state_survives_json_and_choices_go_on(policy: BanditPolicy) -> None:
    bandit = Bandit(policy, arms=["a", "b", "c"], seed=5, floor=0.05, discount=0.99)
    for step in range(30):
        bandit.update(bandit.select().arm, float(step % 2), cost=0.1)
    bandit.select_batch(4)
    copy = Bandit.from_state(json.loads(json.dumps(bandit.to_state())))
    assert [copy.select().arm for _ in range(50)] == [bandit.select().arm for _ in range(50)]


def test_pending_pulls_are_not_failures() -> None:
    bandit = Bandit(Thompson(), arms=["a", "b"], seed=1)
    before = bandit.stats.n.copy(), bandit.stats.total.copy()
    bandit.select_batch(500)
    assert bandit.stats.n.tolist() == before[0].tolist()
    assert bandit.stats.total.tolist() == before[1].tolist()
    assert bandit.stats.pending.sum() == 500
    # nothing was learnt, so the two arms still share the traffic
    assert 200 < bandit.pulls["a"] < 300


@pytest.mark.parametrize("policy", [UCB1(), KLUCB()], ids=["ucb1", "kl_ucb"])
def test_a_batch_spreads_over_arms(policy: BanditPolicy) -> None:
    bandit = Bandit(policy, arms=["a", "b", "c"], seed=1)
    for arm, reward in (("a", 0.6), ("b", 0.5), ("c", 0.5)):
        bandit.update(arm, reward)
    pulls = [choice.arm for choice in bandit.select_batch(30)]
    assert min(pulls.count(arm) for arm in "abc") >= 8


def test_cancelled_and_missing_outcomes_leave_no_trace() -> None:
    bandit = Bandit(UCB1(), arms=["a", "b"], seed=1)
    bandit.update(bandit.select().arm, float("nan"))
    bandit.cancel(bandit.select().arm)
    assert bandit.stats.pending.sum() == 0
    assert bandit.stats.n.sum() == 0
    with pytest.raises(StatsError, match="no arm has a reward"):
        bandit.recommend()


def test_floor_keeps_every_arm_alive() -> None:
    bandit = Bandit(Thompson(), arms=["good", "bad"], seed=3, floor=0.1)
    for _ in range(2000):
        arm = bandit.select().arm
        bandit.update(arm, 1.0 if arm == "good" else 0.0)
    assert bandit.pulls["bad"] / 2000 == pytest.approx(0.1, abs=0.03)


def test_discounting_follows_a_change() -> None:
    shares = {}
    for discount in (1.0, 0.98):
        bandit = Bandit(Thompson(), arms=["a", "b"], seed=4, discount=discount)
        for step in range(1500):
            arm = bandit.select().arm
            good = "a" if step < 1000 else "b"
            bandit.update(arm, float(np.random.default_rng(step).random() < (0.8 if arm == good else 0.3)))
            if step == 1099:
                before = bandit.pulls["b"]
        shares[discount] = (bandit.pulls["b"] - before) / 400
    assert shares[0.98] > 0.7
    assert shares[0.98] > shares[1.0] + 0.2


def test_cost_aware_choice_prefers_reward_per_cost() -> None:
    bandit = Bandit(Thompson(), arms=["cheap", "dear"], seed=5, per_cost=True)
    rng = np.random.default_rng(6)
    for _ in range(1500):
        arm = bandit.select().arm
        rate, cost = (0.5, 1.0) if arm == "cheap" else (0.6, 2.0)
        bandit.update(arm, float(rng.random() < rate), cost=cost)
    assert bandit.pulls["cheap"] > 1200
    free = Bandit(UCB1(), arms=["a", "b"], seed=5, per_cost=True)
    for _ in range(20):
        free.update(free.select().arm, 1.0, cost=0.0)  # all costs zero: no division by zero
    assert sum(free.pulls.values()) == 20


def test_the_budget_ends_the_choosing() -> None:
    bandit = Bandit(UCB1(), arms=["a", "b"], seed=5, per_cost=True, budget=1.0)
    pulls = 0
    while not bandit.exhausted:
        bandit.update(bandit.select().arm, 1.0, cost=0.1)
        pulls += 1
        bandit = Bandit.from_state(json.loads(json.dumps(bandit.to_state())))
    assert pulls == 10
    with pytest.raises(StatsError, match="used up"):
        bandit.select()
    # pending pulls are expected to cost what their arm costs
    waiting = Bandit(UCB1(), arms=["a", "b"], seed=5, budget=1.0)
    for arm in ("a", "b"):
        waiting.update(arm, 1.0, cost=0.2)
    waiting.select_batch(3)
    assert waiting.exhausted
    with pytest.raises(StatsError, match="per_cost"):
        Bandit(Uniform(), arms=["a", "b"], seed=1, per_cost=True)


def test_rewards_of_any_size_where_the_policy_allows_them() -> None:
    for policy in (Uniform(), EpsilonGreedy(), Thompson(reward="normal")):
        bandit = Bandit(policy, arms=["a", "b"], seed=1)
        bandit.update(bandit.select().arm, -250.0)


def test_logged_propensities_are_the_real_frequencies() -> None:
    # one fixed state, many seeds: how often an arm is chosen must be what select() said
    for policy in (Thompson(), EpsilonGreedy(epsilon=0.3), UCB1()):
        frequency, said = np.zeros(2), np.zeros(2)
        for seed in range(400):
            bandit = Bandit(policy, arms=["a", "b"], seed=seed, floor=0.1)
            for arm, reward in (("a", 1.0), ("a", 0.0), ("b", 1.0), ("b", 1.0)):
                bandit.update(arm, reward)
            choice = bandit.select(propensity=True)
            frequency[bandit.arms.index(choice.arm)] += 1 / 400
            said += np.array(choice.propensities) / 400
            assert sum(choice.propensities) == pytest.approx(1)
            assert min(choice.propensities) >= 0.1 - 1e-12
        assert frequency == pytest.approx(said, abs=0.08)


def test_removed_arms_are_never_chosen() -> None:
    bandit = Bandit(Thompson(), arms=["a", "b", "c"], seed=1, floor=0.2)
    bandit.remove("b")
    choices = [bandit.select(propensity=True) for _ in range(40)]
    assert {choice.arm for choice in choices} <= {"a", "c"}
    assert all(choice.propensities[1] == 0 for choice in choices)
    bandit.remove("a")
    bandit.remove("c")
    with pytest.raises(StatsError, match="removed"):
        bandit.select()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"arms": ["a"]}, "arms"),
        ({"arms": ["a", "a"]}, "arms"),
        ({"floor": 0.6}, "floor"),
        ({"discount": 0.0}, "discount"),
    ],
)
def test_bad_bandits_are_refused(change: dict[str, object], word: str) -> None:
    settings_: dict[str, object] = {"arms": ["a", "b"], "seed": 1, **change}
    with pytest.raises(StatsError, match=word):
        Bandit(Thompson(), **settings_)  # type: ignore[arg-type] # wrong on purpose


@pytest.mark.parametrize("reward", [float("inf"), -0.1, 1.5])
def test_bad_rewards_are_refused(reward: float) -> None:
    bandit = Bandit(Thompson(), arms=["a", "b"], seed=1)
    with pytest.raises(StatsError, match="reward"):
        bandit.update("a", reward)
    with pytest.raises(StatsError, match="arm"):
        bandit.update("z", 1.0)
    with pytest.raises(StatsError, match="damaged"):
        Bandit.from_state({"version": 1})


# ------------------------------------------------------------ simulation


def test_uniform_regret_is_exact() -> None:
    out = simulate_regret(Uniform(), [0.9, 0.5, 0.4], horizon=300, runs=5, rng=0)
    assert out.regret[-1] == pytest.approx(100 * (0.4 + 0.5))


def test_delay_and_batches_cost_little_and_lose_nothing() -> None:
    plain = simulate_regret(Thompson(), [0.7, 0.5], horizon=600, runs=200, rng=1)
    late = simulate_regret(Thompson(), [0.7, 0.5], horizon=600, runs=200, rng=1, batch=20, delay=2)
    assert plain.regret[-1] < late.regret[-1] < 4 * plain.regret[-1]
    assert late.regret[-1] < 0.5 * 600 * 0.1  # far below the even split


def test_simulation_is_reproducible() -> None:
    one, two = (simulate_regret(TopTwoThompson(), [0.6, 0.5, 0.5], horizon=100, runs=10, rng=9) for _ in range(2))
    assert one.regret == two.regret


def test_lai_robbins_constant_by_hand() -> None:
    # kl(.4, .5) = .4 ln .8 + .6 ln 1.2 = .02014; gap .1
    assert lai_robbins_constant([0.5, 0.4]) == pytest.approx(0.1 / (0.4 * log(0.8) + 0.6 * log(1.2)))
    with pytest.raises(StatsError):
        simulate_regret(Thompson(), [0.5, 1.2], horizon=5)
    with pytest.raises(StatsError):
        simulate_best_arm("uniform", [0.5] * 5, budget=3)


# ------------------------------------------------------------ best arm


def test_halving_rounds_by_hand() -> None:
    # Karnin et al. 2013, algorithm 2: floor(B / (|S| ceil(log2 n)))
    assert halving_rounds(16, 1600) == [(16, 25), (8, 50), (4, 100), (2, 200)]
    assert halving_rounds(5, 300) == [(5, 20), (3, 33), (2, 50)]
    with pytest.raises(StatsError, match="budget"):
        halving_rounds(16, 40)


@given(st.integers(2, 60), st.integers(0, 5000))
def test_halving_never_overspends(k: int, extra: int) -> None:
    budget = k * 7 + extra
    assert sum(alive * items for alive, items in halving_rounds(k, budget)) <= budget


def test_sequential_halving_keeps_the_best_on_common_items() -> None:
    rng = np.random.default_rng(3)
    names = [f"v{i}" for i in range(8)]
    halving = SequentialHalving(names, budget=2400)
    spent = 0
    while (step := halving.next_round()) is not None:
        difficulty = rng.random(step.items)
        halving.update({v: (difficulty < 0.9 - 0.1 * int(v[1])).astype(float) for v in step.variants})
        spent += step.items * len(step.variants)
        halving = SequentialHalving.from_state(json.loads(json.dumps(halving.to_state())))
    assert halving.best == "v0"
    assert spent <= 2400
    with pytest.raises(StatsError, match="done"):
        halving.update({})


def test_sequential_halving_keeps_earlier_rounds() -> None:
    halving = SequentialHalving(["a", "b", "c", "d"], budget=80)
    first = {"a": [1.0] * 9 + [0.0], "b": [1.0] * 8 + [0.0] * 2, "c": [0.0] * 10, "d": [0.0] * 10}
    halving.update(first)
    halving.update({"a": [1.0, 0.0] * 10, "b": [1.0, 0.0] * 10})
    assert halving.means["a"] == pytest.approx(19 / 30)
    assert halving.means["b"] == pytest.approx(18 / 30)
    assert halving.best == "a"


def test_sequential_halving_leaves_missing_items_out_for_all() -> None:
    halving = SequentialHalving(["a", "b"], budget=8)
    halving.update({"a": [1.0, np.nan, 0.0, 0.0], "b": [0.0, 1.0, np.nan, 1.0]})
    assert halving.means == {"a": 0.5, "b": 0.5}
    with pytest.raises(StatsError, match="missing"):
        SequentialHalving(["a", "b"], budget=8).update({"a": [1.0]})


def test_hyperband_table() -> None:
    # Li et al. 2018 (JMLR 18), table 1: R = 81, eta = 3
    assert hyperband_brackets(81) == [
        [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
        [(34, 3), (11, 9), (3, 27), (1, 81)],
        [(15, 9), (5, 27), (1, 81)],
        [(8, 27), (2, 81)],
        [(5, 81)],
    ]


def test_hyperband_finds_a_good_variant() -> None:
    rng = np.random.default_rng(4)
    quality = {f"p{i}": q for i, q in enumerate(rng.permutation(np.linspace(0.1, 0.9, 30)))}
    search = Hyperband(list(quality), max_items=81)
    rounds = 0
    while (step := search.next_round()) is not None:
        search.update(
            {v: (rng.random(max(step.items - search.seen(v), 0)) < quality[v]).astype(float) for v in step.variants}
        )
        search = Hyperband.from_state(json.loads(json.dumps(search.to_state())))
        rounds += 1
        assert rounds < 50
    assert search.best is not None
    assert quality[search.best] > 0.75


def test_lucb_stops_with_the_best_arm() -> None:
    rng, right, spent = np.random.default_rng(5), 0, []
    rates = {"a": 0.9, "b": 0.5, "c": 0.45}
    for _ in range(10):
        lucb = LUCB(list(rates), delta=0.1)
        while lucb.best is None:
            for arm in lucb.select():
                lucb.update(arm, float(rng.random() < rates[arm]))
        lucb = LUCB.from_state(json.loads(json.dumps(lucb.to_state())))
        right += lucb.best == "a"
        spent.append(lucb.to_state()["t"])
    assert right >= 9
    assert np.median(spent) < 600
    with pytest.raises(StatsError):
        lucb.update("a", 2.0)


# ------------------------------------------------------------ contextual


def test_linucb_is_ridge_plus_width() -> None:
    # oracle: ridge regression written out with numpy (Li et al. 2010, algorithm 1)
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(40, 3)), rng.normal(size=40)
    bandit = LinearBandit(["a", "b"], features=3, seed=0, width=1.5, ridge=0.7)
    for row, reward in zip(x, y, strict=True):
        bandit.update("a", row, reward=float(reward))
    new = np.array([0.2, -1.0, 0.5])
    beta = np.linalg.solve(x.T @ x + 0.7 * np.eye(3), x.T @ y)
    assert bandit.predict(new)["a"] == pytest.approx(float(beta @ new))
    assert bandit.predict(new)["b"] == 0
    # the untried arm has the wider bonus: 1.5 |x| / sqrt(.7)
    assert bandit.select(new).arm == "b"


@pytest.mark.parametrize("method", ["linucb", "thompson"])
def test_contextual_routing_learns_and_resumes(method: str) -> None:
    rng = np.random.default_rng(7)
    bandit = LinearBandit(["small", "large"], features=2, seed=8, method=method, floor=0.05, width=0.5)  # type: ignore[arg-type] # parametrised
    right = 0
    for step in range(800):
        hard = float(rng.random() < 0.5)
        choice = bandit.select([1.0, hard])
        rate = {"small": 0.9 - 0.7 * hard, "large": 0.6}[choice.arm]
        bandit.update(choice.arm, [1.0, hard], reward=float(rng.random() < rate))
        if step >= 400:
            right += (choice.arm == "large") == bool(hard)
    assert right / 400 > 0.8
    copy = LinearBandit.from_state(json.loads(json.dumps(bandit.to_state())))
    one, two = (b.select([1.0, 1.0], propensity=True) for b in (bandit, copy))
    assert one == two
    assert sum(one.propensities) == pytest.approx(1)
    assert min(one.propensities) >= 0.05 - 1e-9


def test_contextual_bad_input() -> None:
    bandit = LinearBandit(["a", "b"], features=2, seed=0)
    for call in (
        lambda: bandit.select([1.0]),
        lambda: bandit.update("c", [1.0, 1.0], reward=1.0),
        lambda: bandit.update("a", [1.0, float("nan")], reward=1.0),
        lambda: LinearBandit(["a"], features=2, seed=0),
        lambda: LinearBandit(["a", "b"], features=2, seed=0, ridge=0),
    ):
        with pytest.raises(StatsError):
            call()
    bandit.update("a", [1.0, 1.0], reward=float("nan"))
    assert bandit.predict([1.0, 1.0]) == {"a": 0.0, "b": 0.0}
