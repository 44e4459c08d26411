"""LUCB: sample the two variants that are hardest to tell apart until they are not."""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING, Any

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.bandits._policies import bernoulli_kl
from bakeoff.stats.core._checks import check_alpha
from bakeoff.stats.core._state import STATE_VERSION, reading_state

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Float = NDArray[np.float64]


__all__ = ["LUCB"]


class LUCB:
    """Find the best arm with a stated confidence: sample the leader and its strongest challenger until they part.

    Bounds `{q : n kl(mean, q) <= b + ln b}`, `b = ln(405.5 k t^1.1 / delta)` (KL-LUCB). The chance of
    naming an arm that is worse than the best by more than epsilon is at most delta.

    Args:
        arms: Names, at least two.
        delta: Error probability.
        epsilon: Difference that does not matter.

    References:
        Kalyanakrishnan, Tewari, Auer and Stone 2012, ICML; Kaufmann and Kalyanakrishnan 2013, COLT
        (exploration rate `ln(k1 k t^a / delta)`, a = 1.1, k1 = 405.5).

    Examples:
        >>> lucb = LUCB(["a", "b"], delta=0.05)
        >>> rewards = {"a": 1.0, "b": 0.0}
        >>> while lucb.best is None:
        ...     for arm in lucb.select():
        ...         lucb.update(arm, rewards[arm])
        >>> lucb.best
        'a'
    """

    def __init__(self, arms: Sequence[str], *, delta: float = 0.05, epsilon: float = 0.0) -> None:
        names = tuple(arms)
        if len(names) < 2 or len(set(names)) != len(names):
            raise StatsError(f"arms must be at least two different names, got {list(names)!r}")
        if not epsilon >= 0:
            raise StatsError(f"epsilon must be at least 0, got {epsilon!r}")
        self.arms, self.delta, self.epsilon = names, check_alpha(delta), float(epsilon)
        self._n, self._total = np.zeros(len(names)), np.zeros(len(names))
        self._t = 0
        self._known: tuple[int, tuple[int, int, float]] | None = None

    def _bounds(self) -> tuple[Float, Float]:
        t = max(self._t, 1)
        budget = log(405.5 * len(self.arms) * t**1.1 / self.delta)
        mean = self._total / np.maximum(self._n, 1)
        level = (budget + log(max(budget, 1.0))) / np.maximum(self._n, 1e-12)

        inside = np.stack([mean, mean])
        outside = np.stack([np.zeros_like(mean), np.ones_like(mean)])
        for _ in range(32):
            middle = 0.5 * (inside + outside)
            ok = bernoulli_kl(mean, middle) <= level
            inside, outside = np.where(ok, middle, inside), np.where(ok, outside, middle)
        return np.where(self._n > 0, outside[0], 0.0), np.where(self._n > 0, outside[1], 1.0)

    def _duel(self) -> tuple[int, int, float]:
        """Leader, strongest challenger, and how far their bounds still overlap."""
        if self._known is not None and self._known[0] == self._t:
            return self._known[1]
        low, high = self._bounds()
        leader = int(np.argmax(self._total / np.maximum(self._n, 1)))
        rivals = np.where(np.arange(len(self.arms)) == leader, -np.inf, high)
        challenger = int(np.argmax(rivals))
        duel = leader, challenger, float(high[challenger] - low[leader])
        self._known = (self._t, duel)
        return duel

    @property
    def best(self) -> str | None:
        """The best arm once leader and challenger have parted; None before."""
        if bool((self._n < 1).any()):
            return None
        leader, _, gap = self._duel()
        return self.arms[leader] if gap <= self.epsilon else None

    def select(self) -> tuple[str, ...]:
        """Return the arms to sample now: every untried arm first, then leader and challenger."""
        untried = tuple(arm for arm, n in zip(self.arms, self._n, strict=True) if n < 1)
        if untried:
            return untried
        leader, challenger, _ = self._duel()
        return self.arms[leader], self.arms[challenger]

    def update(self, arm: str, reward: float) -> None:
        """Take in one reward in [0, 1]; nan (no outcome) is ignored.

        Raises:
            StatsError: An unknown arm or a reward outside [0, 1].
        """
        if arm not in self.arms:
            raise StatsError(f"arm must be one of {list(self.arms)!r}, got {arm!r}")
        if reward != reward:
            return
        if not 0 <= reward <= 1:
            raise StatsError(f"reward must lie in [0, 1], got {reward!r}")
        i = self.arms.index(arm)
        self._n[i] += 1
        self._total[i] += reward
        self._t += 1

    def to_state(self) -> dict[str, Any]:
        """Return everything as a plain dict that JSON can hold."""
        return {
            "version": STATE_VERSION, "arms": list(self.arms), "delta": self.delta, "epsilon": self.epsilon,
            "n": self._n.tolist(), "total": self._total.tolist(), "t": self._t,
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> LUCB:
        """Return the object that `to_state` described."""
        with reading_state(state, "LUCB"):
            lucb = cls(state["arms"], delta=float(state["delta"]), epsilon=float(state["epsilon"]))
            lucb._n = np.asarray(state["n"], dtype=np.float64).reshape(len(lucb.arms))
            lucb._total = np.asarray(state["total"], dtype=np.float64).reshape(len(lucb.arms))
            lucb._t = int(state["t"])
        return lucb
