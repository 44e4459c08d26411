"""Simulate bandits before trusting one with traffic: regret and best-arm identification, many runs at once."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Literal

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.bandits._halving import halving_rounds
from bakeoff.stats.bandits._policies import ArmStats, BanditPolicy, bernoulli_kl
from bakeoff.stats.core._checks import as_rng, check_count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Float = NDArray[np.float64]

__all__ = ["BestArmSimulation", "RegretSimulation", "lai_robbins_constant", "simulate_best_arm", "simulate_regret"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RegretSimulation:
    """Regret of a policy over simulated runs."""

    times: tuple[int, ...]
    regret: tuple[float, ...]
    """Mean cumulative regret at each time."""
    regret_se: tuple[float, ...]
    best_share: float
    """Share of pulls that went to a best arm by the end."""
    pulls: Float
    """Pulls per run and arm, shape (runs, arms)."""
    totals: Float
    """Summed reward per run and arm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BestArmSimulation:
    """How often the best arm was found within a budget."""

    correct: float
    se: float
    runs: int


def lai_robbins_constant(means: Sequence[float]) -> float:
    """Return `C = sum (best - mean) / kl(mean, best)`: regret grows at least like C ln T, asymptotically.

    At realistic T real policies lie far below C ln T; compare growth, never the level.

    References:
        Lai and Robbins 1985, Advances in Applied Mathematics 6.

    Examples:
        >>> round(lai_robbins_constant([0.5, 0.45, 0.4, 0.3]), 1)
        17.4
    """
    m = _means(means)
    worse = m[m < m.max()]
    return float(((m.max() - worse) / bernoulli_kl(worse, np.full_like(worse, m.max()))).sum())


def _means(means: Sequence[float]) -> Float:
    m = np.asarray(means, dtype=np.float64)
    if m.ndim != 1 or m.size < 2 or not bool(((m >= 0) & (m <= 1)).all()):
        raise StatsError(f"means must be at least two numbers in [0, 1], got {list(means)!r}")
    return m


def simulate_regret(
    policy: BanditPolicy,
    means: Sequence[float],
    *,
    horizon: int,
    runs: int = 200,
    rng: np.random.Generator | int = 0,
    checkpoints: Sequence[int] = (),
    batch: int = 1,
    delay: int = 0,
) -> RegretSimulation:
    """Simulate a policy on Bernoulli arms, all runs at once.

    Args:
        policy: For instance `Thompson()`.
        means: Pass rates of the arms.
        horizon: Pulls per run.
        runs: Simulated runs.
        rng: Seed or generator.
        checkpoints: Times at which regret is reported; the horizon always is.
        batch: Pulls between two updates; rewards of a batch arrive together.
        delay: Whole batches by which rewards arrive late.

    Returns:
        Mean regret with its Monte Carlo error, and who was pulled.

    Raises:
        StatsError: Numbers out of range.

    Examples:
        >>> from bakeoff.stats import Thompson
        >>> result = simulate_regret(Thompson(), [0.9, 0.1], horizon=200, runs=20, rng=1)
        >>> result.regret[-1] < 20
        True
    """
    m = _means(means)
    for value, name in ((horizon, "horizon"), (runs, "runs"), (batch, "batch")):
        check_count(value, name, minimum=1)
    check_count(delay, "delay")
    generator = as_rng(rng)
    k, rows = m.size, np.arange(runs)
    n, total, pending = np.zeros((runs, k)), np.zeros((runs, k)), np.zeros((runs, k))
    regret = np.zeros(runs)
    waiting: list[tuple[Float, Float]] = []
    times = sorted({*(int(c) for c in checkpoints if 0 < c <= horizon), horizon})
    found: list[tuple[float, float]] = []
    new_n, new_total = np.zeros((runs, k)), np.zeros((runs, k))
    for t in range(1, horizon + 1):
        stats = ArmStats(n=n, total=total, squares=total, pending=pending)
        index = policy.index(stats, generator)
        index = index + 1e-9 * generator.random(index.shape) if t <= 4 * k else index  # early ties at random
        arm = index.argmax(axis=1)
        reward = (generator.random(runs) < m[arm]).astype(np.float64)
        regret += m.max() - m[arm]
        if batch == 1 and delay == 0:
            n[rows, arm] += 1
            total[rows, arm] += reward
        else:
            pending[rows, arm] += 1
            new_n[rows, arm] += 1
            new_total[rows, arm] += reward
            if t % batch == 0:
                waiting.append((new_n, new_total))
                new_n, new_total = np.zeros((runs, k)), np.zeros((runs, k))
                if len(waiting) > delay:
                    seen_n, seen_total = waiting.pop(0)
                    n, total, pending = n + seen_n, total + seen_total, pending - seen_n
        if t in times:
            found.append((float(regret.mean()), float(regret.std(ddof=1) / sqrt(runs)) if runs > 1 else float("nan")))
    everything = n + pending
    return RegretSimulation(
        times=tuple(times),
        regret=tuple(value for value, _ in found),
        regret_se=tuple(error for _, error in found),
        best_share=float(everything[:, m == m.max()].sum() / everything.sum()),
        pulls=n,
        totals=total,
    )


def simulate_best_arm(
    method: Literal["uniform", "sequential_halving"] | BanditPolicy,
    means: Sequence[float],
    *,
    budget: int,
    runs: int = 1000,
    rng: np.random.Generator | int = 0,
    reuse: bool = True,
) -> BestArmSimulation:
    """Simulate how often a method finds the best arm with a fixed number of pulls.

    Args:
        method: `uniform`, `sequential_halving`, or a policy (its best observed mean wins).
        means: Pass rates of the arms.
        budget: Pulls in total.
        runs: Simulated runs.
        rng: Seed or generator.
        reuse: Keep earlier rounds' samples in sequential halving (dropping them wastes a third of the gain).

    Returns:
        Share of runs that named a best arm.

    Raises:
        StatsError: A budget too small to pull every arm once.

    Examples:
        >>> simulate_best_arm("sequential_halving", [0.9, 0.1, 0.1, 0.1], budget=200, runs=200).correct > 0.95
        True
    """
    m = _means(means)
    generator = as_rng(rng)
    if check_count(budget, "budget", minimum=1) < m.size:
        raise StatsError(f"budget must allow one pull of each of {m.size} arms, got {budget!r}")
    if method == "uniform":
        share = budget // m.size
        scores = generator.binomial(share, m, size=(runs, m.size)) / share
    elif method == "sequential_halving":
        scores = _simulate_halving(m, budget, runs, generator, reuse)
    elif isinstance(method, str):
        raise StatsError(f"method must be 'uniform', 'sequential_halving' or a policy, got {method!r}")
    else:
        simulation = simulate_regret(method, means, horizon=budget, runs=runs, rng=generator)
        scores = (simulation.totals + 1) / (simulation.pulls + 2)
    noise = 1e-9 * generator.random(scores.shape)
    correct = float((m[(scores + noise).argmax(axis=1)] == m.max()).mean())
    return BestArmSimulation(correct=correct, se=sqrt(correct * (1 - correct) / runs), runs=runs)


def _simulate_halving(m: Float, budget: int, runs: int, rng: np.random.Generator, reuse: bool) -> Float:
    n, total = np.zeros((runs, m.size)), np.zeros((runs, m.size))
    alive = np.ones((runs, m.size), dtype=bool)
    scores = np.zeros((runs, m.size))
    for keep_from, pulls in halving_rounds(m.size, budget):
        new = np.where(alive, rng.binomial(pulls, m, size=alive.shape), 0)
        if not reuse:
            n[:], total[:] = 0.0, 0.0
        n, total = n + pulls * alive, total + new
        scores = np.where(alive, total / np.maximum(n, 1) + 1e-9 * rng.random(alive.shape), -1.0)
        keep = (keep_from + 1) // 2
        threshold = np.sort(scores, axis=1)[:, -keep][:, None]
        alive = scores >= threshold
    return np.where(alive, scores, -1.0)
