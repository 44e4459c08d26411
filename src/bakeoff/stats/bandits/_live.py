"""A live bandit: chooses arms, takes delayed rewards, logs propensities, and can be stored and resumed."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, nan
from typing import TYPE_CHECKING, Any

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.bandits._policies import (
    KLUCB,
    UCB1,
    ArmStats,
    BanditPolicy,
    EpsilonGreedy,
    Thompson,
    TopTwoThompson,
    policy_from_dict,
    policy_to_dict,
)
from bakeoff.stats.core._state import STATE_VERSION, reading_state

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Float = NDArray[np.float64]

__all__ = ["Bandit", "Choice"]

_PROPENSITY_DRAWS = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One decision of a bandit, to be logged with the event it led to."""

    arm: str
    propensity: float
    """Probability with which this arm was chosen now, for off-policy evaluation; nan when not asked for."""
    propensities: tuple[float, ...] = ()
    """The same for every arm, in order; empty when not asked for."""


class Bandit:
    """Choose between arms while learning which is best.

    Rewards may come late and in any order: a pending pull is neither a success nor a failure. A pull whose
    outcome never came (error, timeout) is cancelled, not scored as zero. `floor` keeps every arm at a minimum
    share so that honest inference stays possible; `discount` forgets old rewards when arms drift.

    Args:
        policy: How to choose, for instance `Thompson()`.
        arms: Names, at least two.
        seed: Seed of the choices.
        floor: Smallest probability of every arm, at most 1 / arms. 0.05-0.1 is usual online.
        discount: Factor on old rewards at each new one, in (0, 1]; 1 = never forget.
        per_cost: Choose by reward per cost (fractional KUBE): the index is divided by the arm's mean cost. For
            `Thompson`, `UCB1` and `KLUCB` with rewards of at least 0.
        budget: Cost at which choosing ends (`exhausted`); None = no limit.

    Raises:
        StatsError: Fewer than two arms, a name twice, a floor or discount out of range.

    References:
        Cost-aware index: Tran-Thanh, Chapman, Rogers and Jennings 2012, AAAI. Discounting: Raj and Kalyani 2017.

    Examples:
        >>> bandit = Bandit(Thompson(), arms=["terse", "friendly"], seed=7, floor=0.1)
        >>> for _ in range(200):
        ...     arm = bandit.select().arm
        ...     bandit.update(arm, 1.0 if arm == "friendly" else 0.0)
        >>> bandit.pulls["friendly"] > 120
        True
        >>> Bandit.from_state(bandit.to_state()).select() == bandit.select()
        True
    """

    def __init__(
        self,
        policy: BanditPolicy,
        *,
        arms: Sequence[str],
        seed: int,
        floor: float = 0.0,
        discount: float = 1.0,
        per_cost: bool = False,
        budget: float | None = None,
    ) -> None:
        names = tuple(arms)
        if len(names) < 2 or len(set(names)) != len(names):
            raise StatsError(f"arms must be at least two different names, got {list(names)!r}")
        if not 0 <= floor <= 1 / len(names):
            raise StatsError(f"floor must lie in [0, {1 / len(names):.3g}] for {len(names)} arms, got {floor!r}")
        if not 0 < discount <= 1:
            raise StatsError(f"discount must lie in (0, 1], got {discount!r}")
        if per_cost and not isinstance(policy, Thompson | UCB1 | KLUCB):
            raise StatsError(f"per_cost works with Thompson, UCB1 and KLUCB, got {policy!r}")
        if budget is not None and not budget > 0:
            raise StatsError(f"budget must be positive, got {budget!r}")
        self.policy = policy
        self.arms = names
        self.budget = budget
        self.floor, self.discount, self.per_cost = float(floor), float(discount), per_cost
        self._rng = np.random.default_rng(seed)
        self._sums = np.zeros((4, len(names)))  # rewards seen, their sum, their squares, pending
        self._costs = np.zeros((2, len(names)))  # costs seen, their sum
        self._pulls = np.zeros(len(names), dtype=np.int64)
        self._removed: set[str] = set()

    # ------------------------------------------------------------ choosing

    @property
    def stats(self) -> ArmStats:
        """What was observed per arm, in the order of `arms`."""
        return ArmStats(n=self._sums[0], total=self._sums[1], squares=self._sums[2], pending=self._sums[3])

    @property
    def pulls(self) -> dict[str, int]:
        """How often each arm was chosen, pending included."""
        return dict(zip(self.arms, self._pulls.tolist(), strict=True))

    @property
    def means(self) -> dict[str, float]:
        """Mean reward per arm. Biased downwards for rarely pulled arms: not for reporting (`arm_inference`)."""
        return dict(zip(self.arms, self.stats.mean.tolist(), strict=True))

    @property
    def spent(self) -> float:
        """Cost reported so far."""
        return float(self._costs[1].sum())

    @property
    def exhausted(self) -> bool:
        """Whether the budget is used up: by what was reported, plus pending pulls at their arm's mean cost."""
        if self.budget is None:
            return False
        seen, total = self._costs
        overall = self.spent / seen.sum() if seen.sum() > 0 else 0.0
        expected = np.where(seen > 0, total / np.maximum(seen, 1.0), overall)
        return self.spent + float(self._sums[3] @ expected) >= self.budget

    def _index(self, stats: ArmStats) -> Float:
        index = self.policy.index(stats, self._rng)
        if self.per_cost:
            seen, total = self._costs
            overall = total.sum() / seen.sum() if seen.sum() > 0 else 1.0
            cost = np.where(seen > 0, total / np.maximum(seen, 1.0), overall)
            # Costs below zero make no sense, and a free arm must not swallow the index.
            index = index / np.maximum(cost, 1e-9 * max(overall, 1e-9))
        if self._removed:
            gone = np.array([arm in self._removed for arm in self.arms])
            index = np.where(gone, -np.inf, index)
        return index

    def _argmax(self, index: Float) -> int:
        best = np.flatnonzero(index == index.max())
        return int(best[0]) if best.size == 1 else int(self._rng.choice(best))

    def select(self, *, propensity: bool = False) -> Choice:
        """Choose an arm now and count it as pending until `update` or `cancel`.

        Args:
            propensity: Also return the probability of the choice, which off-policy evaluation needs. Exact for
                greedy and bound-based policies, from 4,000 posterior draws for Thompson sampling.

        Returns:
            The choice.

        Raises:
            StatsError: Every arm was removed, or the budget is used up (`recommend` names the arm to keep).
        """
        if self.exhausted:
            raise StatsError(f"the budget of {self.budget!r} is used up ({self.spent:.6g} spent); take `recommend()`")
        live = [i for i, arm in enumerate(self.arms) if arm not in self._removed]
        if not live:
            raise StatsError("every arm was removed; there is nothing to choose from")
        chances = self._propensities(live) if propensity else None
        if self.floor > 0 and self._rng.random() < self.floor * len(live):
            chosen = int(self._rng.choice(live))
        elif chances is not None and isinstance(self.policy, Thompson | TopTwoThompson):
            free = 1 - self.floor * len(live)
            greedy = np.where(np.isin(np.arange(len(self.arms)), live), (chances - self.floor) / free, 0.0)
            chosen = int(self._rng.choice(len(self.arms), p=np.maximum(greedy, 0) / np.maximum(greedy, 0).sum()))
        else:
            chosen = self._argmax(self._index(self.stats))
        self._sums[3, chosen] += 1
        self._pulls[chosen] += 1
        if chances is None:
            return Choice(arm=self.arms[chosen], propensity=nan)
        return Choice(
            arm=self.arms[chosen], propensity=float(chances[chosen]), propensities=tuple(float(c) for c in chances)
        )

    def select_batch(self, size: int, *, propensity: bool = False) -> list[Choice]:
        """Choose `size` arms before any of their rewards is known.

        Examples:
            >>> bandit = Bandit(Thompson(), arms=["a", "b"], seed=1)
            >>> len(bandit.select_batch(5))
            5
        """
        return [self.select(propensity=propensity) for _ in range(size)]

    def _propensities(self, live: list[int]) -> Float:
        k = len(self.arms)
        if isinstance(self.policy, Thompson | TopTwoThompson):
            tiled = ArmStats(**{
                name: np.broadcast_to(getattr(self.stats, name), (_PROPENSITY_DRAWS, k))
                for name in ("n", "total", "squares", "pending")
            })  # fmt: skip
            share = np.bincount(self._index(tiled).argmax(axis=1), minlength=k) / _PROPENSITY_DRAWS
        else:
            share = self._greedy_share(live)
        out = (1 - self.floor * len(live)) * share
        out[live] += self.floor
        return np.asarray(out, dtype=np.float64)

    def _greedy_share(self, live: list[int]) -> Float:
        k = len(self.arms)
        uniform = np.isin(np.arange(k), live) / len(live)
        explore = 0.0
        policy: BanditPolicy = self.policy
        if isinstance(policy, EpsilonGreedy):
            explore = float(policy.rate(self.stats)[0])
            policy = EpsilonGreedy(epsilon=0.0)
        saved, self.policy = self.policy, policy
        index = self._index(self.stats)
        self.policy = saved
        best = (index == index.max()).astype(float)
        return explore * uniform + (1 - explore) * best / best.sum()

    # ------------------------------------------------------------ learning

    def _arm(self, arm: str) -> int:
        try:
            return self.arms.index(arm)
        except ValueError:
            raise StatsError(f"arm must be one of {list(self.arms)!r}, got {arm!r}") from None

    def update(self, arm: str, reward: float, *, cost: float | None = None) -> None:
        """Take in the reward of one earlier pull of `arm`, whenever it arrives.

        Args:
            arm: The arm that was pulled.
            reward: Its reward; in [0, 1] for Bernoulli Thompson, UCB1 and KL-UCB. nan cancels the pull.
            cost: What the pull cost (USD, seconds), for `per_cost`.

        Raises:
            StatsError: An unknown arm, an infinite reward, or a reward outside the policy's range.
        """
        i = self._arm(arm)
        if reward != reward:
            self.cancel(arm)
            return
        bounded = self._needs_unit()
        if not isfinite(reward) or (bounded and not 0 <= reward <= 1):
            raise StatsError(f"reward must be finite{' and lie in [0, 1]' if bounded else ''}, got {reward!r}")
        if cost is not None and not (isfinite(cost) and cost >= 0):
            raise StatsError(f"cost must be finite and at least 0, got {cost!r}")
        self._sums[:3] *= self.discount
        self._sums[:3, i] += (1.0, reward, reward * reward)
        self._sums[3, i] = max(self._sums[3, i] - 1, 0.0)
        if cost is not None:
            self._costs[:, i] += (1.0, cost)

    def _needs_unit(self) -> bool:
        policy = self.policy.base if isinstance(self.policy, TopTwoThompson) else self.policy
        return isinstance(policy, UCB1 | KLUCB) or (isinstance(policy, Thompson) and policy.reward == "bernoulli")

    def cancel(self, arm: str) -> None:
        """Forget one pending pull of `arm` whose outcome never came: missing, not a failure."""
        i = self._arm(arm)
        self._sums[3, i] = max(self._sums[3, i] - 1, 0.0)

    def remove(self, arm: str) -> None:
        """Stop choosing `arm` (a guardrail failed); what it taught stays on record."""
        self._arm(arm)
        self._removed.add(arm)

    def recommend(self) -> str:
        """Return the arm with the best mean so far, for exploitation after the budget ends.

        Raises:
            StatsError: No arm has a reward yet.
        """
        mean = np.where([arm in self._removed for arm in self.arms], nan, self.stats.mean)
        if np.isnan(mean).all():
            raise StatsError("no arm has a reward yet; there is nothing to recommend")
        return self.arms[int(np.nanargmax(mean))]

    # ------------------------------------------------------------ state

    def to_state(self) -> dict[str, Any]:
        """Return everything, the generator included, as a plain dict that JSON can hold."""
        return {
            "version": STATE_VERSION,
            "policy": policy_to_dict(self.policy),
            "arms": list(self.arms),
            "floor": self.floor,
            "discount": self.discount,
            "per_cost": self.per_cost,
            "budget": self.budget,
            "sums": self._sums.tolist(),
            "costs": self._costs.tolist(),
            "pulls": self._pulls.tolist(),
            "removed": sorted(self._removed),
            "rng": self._rng.bit_generator.state,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Bandit:
        """Return the bandit that `to_state` described; it continues with the same choices.

        Raises:
            StatsError: The state is of another version or damaged.
        """
        with reading_state(state, "a bandit"):
            bandit = cls(
                policy_from_dict(dict(state["policy"])),
                arms=state["arms"],
                seed=0,
                floor=state["floor"],
                discount=state["discount"],
                per_cost=bool(state["per_cost"]),
                budget=state["budget"],
            )
            k = len(bandit.arms)
            bandit._sums = np.asarray(state["sums"], dtype=np.float64).reshape(4, k)
            bandit._costs = np.asarray(state["costs"], dtype=np.float64).reshape(2, k)
            bandit._pulls = np.asarray(state["pulls"], dtype=np.int64).reshape(k)
            bandit._removed = {str(arm) for arm in state["removed"]}
            bandit._rng.bit_generator.state = state["rng"]
        return bandit
