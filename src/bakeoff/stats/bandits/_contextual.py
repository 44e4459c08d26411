"""Contextual bandits: which arm for this task, from features of the task."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.bandits._live import Choice
from bakeoff.stats.core._state import STATE_VERSION, reading_state

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]

__all__ = ["LinearBandit"]

_DRAWS = 2000


class LinearBandit:
    """Route each task to an arm by a ridge regression of reward on features, one per arm.

    `linucb` adds `width * sqrt(x' A^-1 x)` to the prediction; `thompson` draws the coefficients from
    `N(A^-1 b, width^2 A^-1)`. Rewards may come late: nothing is learnt from a pending choice.

    Args:
        arms: Names, at least two.
        features: Length of the feature vector. Add a constant 1 yourself for an intercept.
        seed: Seed of the choices.
        method: `linucb` or `thompson`.
        width: Exploration: multiple of the standard error, positive.
        ridge: Regularisation, positive; without it the first predictions are undefined.
        floor: Smallest probability of every arm, at most 1 / arms.

    Raises:
        StatsError: A setting out of range.

    References:
        Li, Chu, Langford and Schapire 2010, WWW (LinUCB, disjoint); Agrawal and Goyal 2013, ICML.

    Examples:
        >>> bandit = LinearBandit(["small", "large"], features=2, seed=3)
        >>> for step in range(200):
        ...     hard = float(step % 2)
        ...     choice = bandit.select([1.0, hard])
        ...     bandit.update(choice.arm, [1.0, hard], reward=1.0 if (choice.arm == "large") == bool(hard) else 0.0)
        >>> bandit.select([1.0, 1.0]).arm, bandit.select([1.0, 0.0]).arm
        ('large', 'small')
    """

    def __init__(
        self,
        arms: Sequence[str],
        *,
        features: int,
        seed: int,
        method: Literal["linucb", "thompson"] = "linucb",
        width: float = 1.0,
        ridge: float = 1.0,
        floor: float = 0.0,
    ) -> None:
        names = tuple(arms)
        if len(names) < 2 or len(set(names)) != len(names):
            raise StatsError(f"arms must be at least two different names, got {list(names)!r}")
        if method not in ("linucb", "thompson"):
            raise StatsError(f"method must be 'linucb' or 'thompson', got {method!r}")
        if features < 1 or not (width > 0 and ridge > 0):
            raise StatsError("features must be at least 1, width and ridge positive")
        if not 0 <= floor <= 1 / len(names):
            raise StatsError(f"floor must lie in [0, {1 / len(names):.3g}] for {len(names)} arms, got {floor!r}")
        self.arms, self.features = names, features
        self.method: Literal["linucb", "thompson"] = method
        self.width, self.ridge, self.floor = float(width), float(ridge), float(floor)
        self._rng = np.random.default_rng(seed)
        self._gram = np.stack([np.eye(self.features) * self.ridge for _ in names])
        self._moment = np.zeros((len(names), self.features))

    def _vector(self, context: ArrayLike) -> Float:
        x = np.asarray(context, dtype=np.float64).ravel()
        if x.size != self.features or not np.isfinite(x).all():
            raise StatsError(f"context must hold {self.features} finite numbers, got shape {np.shape(context)}")
        return x

    def predict(self, context: ArrayLike) -> dict[str, float]:
        """Return the expected reward of every arm for one task."""
        x = self._vector(context)
        coefficients = np.linalg.solve(self._gram, self._moment[..., None])[..., 0]
        return dict(zip(self.arms, (coefficients @ x).tolist(), strict=True))

    def _index(self, x: Float, draws: int) -> Float:
        inverse = np.linalg.inv(self._gram)
        mean = np.einsum("kij,kj,i->k", inverse, self._moment, x)
        error = np.sqrt(np.maximum(np.einsum("i,kij,j->k", x, inverse, x), 0.0))
        if self.method == "linucb":
            return (mean + self.width * error)[None, :]
        return mean + self.width * error * self._rng.standard_normal((draws, len(self.arms)))

    def select(self, context: ArrayLike, *, propensity: bool = False) -> Choice:
        """Choose an arm for one task.

        Args:
            context: Features, shape (features,).
            propensity: Also return the probability of the choice (from 2,000 draws for `thompson`).

        Returns:
            The choice, to be logged with the event.
        """
        x, k = self._vector(context), len(self.arms)
        shares: Float | None = None
        if propensity:
            index = self._index(x, _DRAWS)
            top = (index == index.max(axis=1, keepdims=True)).astype(np.float64)
            shares = (top / top.sum(axis=1, keepdims=True)).mean(axis=0)
        if self._rng.random() < self.floor * k:
            chosen = int(self._rng.integers(k))
        elif shares is not None:
            chosen = int(self._rng.choice(k, p=shares / shares.sum()))
        else:
            row = self._index(x, 1)[0]
            chosen = int(self._rng.choice(np.flatnonzero(row == row.max())))
        if shares is None:
            return Choice(arm=self.arms[chosen], propensity=float("nan"))
        mixed = self.floor + (1 - self.floor * k) * shares
        return Choice(
            arm=self.arms[chosen], propensity=float(mixed[chosen]), propensities=tuple(float(p) for p in mixed)
        )

    def update(self, arm: str, context: ArrayLike, *, reward: float) -> None:
        """Take in one reward, whenever it arrives; nan (no outcome) is ignored.

        Raises:
            StatsError: An unknown arm, a context of another length, an infinite reward.
        """
        x = self._vector(context)
        if arm not in self.arms:
            raise StatsError(f"arm must be one of {list(self.arms)!r}, got {arm!r}")
        if reward != reward:
            return
        if not isfinite(reward):
            raise StatsError(f"reward must be finite, got {reward!r}")
        i = self.arms.index(arm)
        self._gram[i] += np.outer(x, x)
        self._moment[i] += reward * x

    def to_state(self) -> dict[str, Any]:
        """Return everything, the generator included, as a plain dict that JSON can hold."""
        return {
            "version": STATE_VERSION, "arms": list(self.arms), "features": self.features, "method": self.method,
            "width": self.width, "ridge": self.ridge, "floor": self.floor, "gram": self._gram.tolist(),
            "moment": self._moment.tolist(), "rng": self._rng.bit_generator.state,
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> LinearBandit:
        """Return the bandit that `to_state` described; it continues with the same choices.

        Raises:
            StatsError: The state is damaged.
        """
        with reading_state(state, "a linear bandit"):
            bandit = cls(
                state["arms"], features=int(state["features"]), seed=0, method=state["method"],
                width=float(state["width"]), ridge=float(state["ridge"]), floor=float(state["floor"]),
            )  # fmt: skip
            k, d = len(bandit.arms), bandit.features
            bandit._gram = np.asarray(state["gram"], dtype=np.float64).reshape(k, d, d)
            bandit._moment = np.asarray(state["moment"], dtype=np.float64).reshape(k, d)
            bandit._rng.bit_generator.state = state["rng"]
        return bandit
