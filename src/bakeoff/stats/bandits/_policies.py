"""Bandit policies as values: each says how attractive every arm looks, given what was observed.

A policy holds settings only. `Bandit` drives one live; `simulate_regret` drives thousands of runs at once: the
same `index` function serves both, over arrays of shape (..., arms).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import numpy as np

from bakeoff.errors import StatsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float = NDArray[np.float64]

__all__ = [
    "KLUCB",
    "UCB1",
    "ArmStats",
    "BanditPolicy",
    "EpsilonGreedy",
    "Thompson",
    "TopTwoThompson",
    "Uniform",
    "bernoulli_kl",
    "policy_from_dict",
    "policy_to_dict",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmStats:
    """What was observed per arm; arrays of shape (..., arms). Pending pulls are in `pending`, never in `n`."""

    n: Float
    """Observed rewards (discounted when the bandit discounts)."""
    total: Float
    """Their sum."""
    squares: Float
    """Sum of their squares."""
    pending: Float
    """Pulls whose reward has not come back."""

    @property
    def mean(self) -> Float:
        """Mean reward; nan for an arm without any."""
        return np.where(self.n > 0, self.total / np.where(self.n > 0, self.n, 1.0), np.nan)


@runtime_checkable
class BanditPolicy(Protocol):
    """Says how attractive each arm is; the bandit pulls the most attractive one."""

    def index(self, stats: ArmStats, rng: np.random.Generator) -> Float:
        """Return attractiveness, shape (..., arms); may draw from `rng`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Uniform:
    """Pull every arm equally often: no learning, full inference.

    Examples:
        >>> stats = ArmStats(n=np.zeros(2), total=np.zeros(2), squares=np.zeros(2), pending=np.zeros(2))
        >>> Uniform().index(stats, np.random.default_rng(0)).shape
        (2,)
    """

    def index(self, stats: ArmStats, rng: np.random.Generator) -> Float:
        """Return fewer pulls first, ties at random (the bandit breaks them)."""
        del rng
        return -(stats.n + stats.pending)


@dataclass(frozen=True, slots=True, kw_only=True)
class Thompson:
    """Thompson sampling: pull an arm as often as it is believed to be the best.

    Bernoulli rewards in [0, 1] with a Beta posterior, or normal rewards with a Normal-Gamma posterior (unknown
    mean and variance, so draws follow Student t).

    Args:
        reward: Kind of reward.
        prior: Beta (successes, failures) for Bernoulli.
        prior_mean: Expected reward, for normal.
        prior_sd: Expected standard deviation, for normal.
        prior_weight: Observations that the prior mean counts for, for normal.

    References:
        Thompson 1933, Biometrika 25; Agrawal and Goyal 2012, COLT.
    """

    reward: Literal["bernoulli", "normal"] = "bernoulli"
    prior: tuple[float, float] = (1.0, 1.0)
    prior_mean: float = 0.5
    prior_sd: float = 0.5
    prior_weight: float = 1.0

    def __post_init__(self) -> None:
        if self.reward not in ("bernoulli", "normal"):
            raise StatsError(f"reward must be 'bernoulli' or 'normal', got {self.reward!r}")
        if not (min(self.prior) > 0 and self.prior_sd > 0 and self.prior_weight > 0):
            raise StatsError("prior, prior_sd and prior_weight must be positive")

    def posterior_beta(self, stats: ArmStats) -> tuple[Float, Float]:
        """Return the Beta parameters of every arm."""
        failures = np.maximum(stats.n - stats.total, 0.0)
        return self.prior[0] + np.maximum(stats.total, 0.0), self.prior[1] + failures

    def posterior_normal(self, stats: ArmStats) -> tuple[Float, Float, Float]:
        """Return location, scale and degrees of freedom of every arm's mean."""
        mean = np.where(stats.n > 0, stats.total / np.maximum(stats.n, 1e-300), self.prior_mean)
        spread = np.maximum(stats.squares - stats.n * mean**2, 0.0)
        weight = self.prior_weight + stats.n
        location = (self.prior_weight * self.prior_mean + stats.total) / weight
        shape = 1.0 + stats.n / 2
        rate = (
            self.prior_sd**2 + spread / 2 + self.prior_weight * stats.n * (mean - self.prior_mean) ** 2 / (2 * weight)
        )
        return location, np.sqrt(rate / (shape * weight)), 2 * shape

    def index(self, stats: ArmStats, rng: np.random.Generator) -> Float:
        """Return one posterior draw per arm."""
        if self.reward == "bernoulli":
            a, b = self.posterior_beta(stats)
            return np.asarray(rng.beta(a, b), dtype=np.float64)
        location, scale, df = self.posterior_normal(stats)
        return np.asarray(location + scale * rng.standard_t(df), dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class TopTwoThompson:
    """Top-two Thompson sampling: find the best arm rather than earn from it.

    With probability `leader_share` pull the Thompson draw's best arm, otherwise redraw until another arm is best
    and pull that.

    Args:
        base: The posterior to draw from.
        leader_share: Probability of pulling the leader; 1/2 is the safe choice.

    References:
        Russo 2020, Operations Research 68.
    """

    base: Thompson = Thompson()
    leader_share: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.leader_share <= 1:
            raise StatsError(f"leader_share must lie in (0, 1], got {self.leader_share!r}")

    def index(self, stats: ArmStats, rng: np.random.Generator) -> Float:
        """Return 1 for the arm to pull, 0 elsewhere."""
        draws = self.base.index(stats, rng)
        k = draws.shape[-1]
        flat = draws.reshape(-1, k)
        leader = flat.argmax(axis=1)
        chosen = leader.copy()
        open_rows = np.flatnonzero(rng.random(flat.shape[0]) >= self.leader_share) if k > 1 else np.empty(0, dtype=int)
        shaped = {name: getattr(stats, name).reshape(-1, k) for name in ("n", "total", "squares", "pending")}
        for _ in range(30):
            if open_rows.size == 0:
                break
            again = self.base.index(ArmStats(**{name: value[open_rows] for name, value in shaped.items()}), rng)
            best = again.argmax(axis=1)
            other = best != leader[open_rows]
            chosen[open_rows[other]] = best[other]
            again[np.arange(open_rows.size), leader[open_rows]] = -np.inf
            # A leader that never loses: the runner-up of the last draw stands in for the redraws.
            chosen[open_rows[~other]] = again.argmax(axis=1)[~other]
            open_rows = open_rows[~other]
        out = np.zeros_like(flat)
        out[np.arange(flat.shape[0]), chosen] = 1.0
        return out.reshape(draws.shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class UCB1:
    """Upper confidence bound: `mean + sqrt(c ln t / n)` for rewards in [0, 1].

    Args:
        exploration: c; 2 is the published constant.

    References:
        Auer, Cesa-Bianchi and Fischer 2002, Machine Learning 47.
    """

    exploration: float = 2.0

    def __post_init__(self) -> None:
        if not self.exploration > 0:
            raise StatsError(f"exploration must be positive, got {self.exploration!r}")

    def index(self, stats: ArmStats, rng: np.random.Generator) -> Float:
        """Return the bounds; pending pulls shrink the bonus, so a batch spreads over arms."""
        del rng
        n = stats.n + stats.pending
        t = np.maximum(n.sum(axis=-1, keepdims=True), 1.0)
        bonus = np.sqrt(self.exploration * np.log(t) / np.maximum(n, 1e-12))
        return np.where(n < 1, np.inf, np.nan_to_num(stats.mean, nan=0.5) + bonus)


def bernoulli_kl(p: Float, q: Float) -> Float:
    """Return the Kullback-Leibler divergence of Bernoulli(p) from Bernoulli(q), elementwise.

    Examples:
        >>> round(float(bernoulli_kl(np.array(0.5), np.array(0.25))), 4)
        0.1438
    """
    p, q = np.clip(p, 0.0, 1.0), np.clip(q, 1e-12, 1 - 1e-12)
    with np.errstate(divide="ignore", invalid="ignore"):
        first = np.where(p > 0, p * np.log(p / q), 0.0)
        second = np.where(p < 1, (1 - p) * np.log((1 - p) / (1 - q)), 0.0)
    return np.asarray(first + second, dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class KLUCB:
    """KL-UCB: `max{q : n kl(mean, q) <= ln t}`, tight for pass rates near 0 or 1. Rewards in [0, 1].

    References:
        Garivier and Cappe 2011, COLT.
    """

    def index(self, stats: ArmStats, rng: np.random.Generator) -> Float:
        """Return the bounds; pending pulls count in n."""
        del rng
        n = stats.n + stats.pending
        t = np.maximum(n.sum(axis=-1, keepdims=True), 1.0)
        mean = np.clip(np.nan_to_num(stats.mean, nan=0.5), 0.0, 1.0)
        budget = np.log(t) / np.maximum(n, 1e-12)
        low, high = mean.copy(), np.ones_like(mean)
        for _ in range(24):
            middle = 0.5 * (low + high)
            inside = bernoulli_kl(mean, middle) <= budget
            low, high = np.where(inside, middle, low), np.where(inside, high, middle)
        return np.where(n < 1, np.inf, low)


@dataclass(frozen=True, slots=True, kw_only=True)
class EpsilonGreedy:
    """Pull the best mean, and a random arm with probability epsilon.

    Args:
        epsilon: Share of random pulls, in [0, 1]. 0 is greedy and can lock in on a bad arm forever.
        decay: Divides epsilon by `1 + decay * t`; 0 keeps it.
    """

    epsilon: float = 0.1
    decay: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.epsilon <= 1 or not self.decay >= 0:
            raise StatsError(
                f"epsilon must lie in [0, 1] and decay be at least 0, got {self.epsilon!r} and {self.decay!r}"
            )

    def rate(self, stats: ArmStats) -> Float:
        """Return the share of random pulls now, shape (..., 1)."""
        t = (stats.n + stats.pending).sum(axis=-1, keepdims=True)
        return np.asarray(self.epsilon / (1 + self.decay * t), dtype=np.float64)

    def index(self, stats: ArmStats, rng: np.random.Generator) -> Float:
        """Return means, or random numbers in the rows that explore."""
        explore = rng.random((*stats.n.shape[:-1], 1)) < self.rate(stats)
        untried = (stats.n + stats.pending) < 1
        greedy = np.where(untried, np.inf, np.nan_to_num(stats.mean, nan=-1e300))
        return np.where(explore, rng.random(stats.n.shape), greedy)


_POLICIES: dict[str, type[Uniform | Thompson | TopTwoThompson | UCB1 | KLUCB | EpsilonGreedy]] = {
    "uniform": Uniform,
    "thompson": Thompson,
    "top_two_thompson": TopTwoThompson,
    "ucb1": UCB1,
    "kl_ucb": KLUCB,
    "epsilon_greedy": EpsilonGreedy,
}


def policy_to_dict(policy: BanditPolicy) -> dict[str, object]:
    """Return a built-in policy as a plain dict with its name under `policy`.

    Examples:
        >>> policy_to_dict(EpsilonGreedy(epsilon=0.2))
        {'policy': 'epsilon_greedy', 'epsilon': 0.2, 'decay': 0.0}
    """
    for name, kind in _POLICIES.items():
        if type(policy) is kind:
            fields = {key: getattr(policy, key) for key in kind.__dataclass_fields__}
            plain = {k: policy_to_dict(v) if isinstance(v, Thompson) else v for k, v in fields.items()}
            return {"policy": name, **{k: list(v) if isinstance(v, tuple) else v for k, v in plain.items()}}
    raise StatsError(f"only built-in policies can be stored, got {policy!r}")


def policy_from_dict(state: dict[str, object]) -> BanditPolicy:
    """Return the policy that `policy_to_dict` described, or the one of a spec (`{"policy": "thompson"}`).

    Raises:
        StatsError: An unknown policy or setting.

    Examples:
        >>> policy_from_dict({"policy": "ucb1", "exploration": 1.0})
        UCB1(exploration=1.0)
    """
    name = state.get("policy")
    kind = _POLICIES.get(str(name))
    if kind is None:
        raise StatsError(f"policy must be one of {sorted(_POLICIES)}, got {name!r}")
    settings: dict[str, object] = {}
    for key, value in state.items():
        if key == "policy":
            continue
        if key not in kind.__dataclass_fields__:
            raise StatsError(f"policy {name!r} has no setting {key!r}; it has {sorted(kind.__dataclass_fields__)}")
        settings[key] = (
            policy_from_dict(value) if isinstance(value, dict)
            else tuple(value) if isinstance(value, list)
            else value
        )  # fmt: skip
    build: type = kind
    policy: BanditPolicy = build(**settings)
    return policy
