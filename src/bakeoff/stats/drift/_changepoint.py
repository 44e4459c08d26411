"""When a metric changed: one shift of the mean in a series of runs, with an interval for the run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import nan
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import as_rng, as_vector, check_alpha, check_confidence, check_count

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]

__all__ = ["ChangePoint", "find_changepoint"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePoint:
    """The most likely run of a change, with a set of runs that hold it with the given confidence."""

    index: int | None
    """First run after the change; `None` when no change is shown."""
    low: int | None
    high: int | None
    """Ends of the interval for `index`."""
    candidate: int | None
    """Best split whether or not it is significant."""
    p_value: float
    """Permutation test of "no change anywhere"."""
    before: float
    after: float
    """Means on both sides of `candidate`."""
    probability: NDArray[np.float64]
    """Posterior of "the first run after the change is t", given that there is one; shape (runs,)."""
    confidence: float
    n: int
    reason: str | None = None
    warnings: tuple[str, ...] = ()


def find_changepoint(
    values: ArrayLike,
    *,
    se: ArrayLike | None = None,
    min_runs: int = 2,
    alpha: float = 0.05,
    confidence: float = 0.95,
    permutations: int = 2000,
    rng: np.random.Generator | int = 0,
) -> ChangePoint:
    """Find the run at which the mean of a series shifted, test it, and bound where it was.

    For each split the within-segment sum of squares (weighted by `1/se^2` when given). Test: the largest gain over
    all splits against random orders of the runs. Interval: highest-probability runs of the posterior
    `p(t) ~ (W1 W2)^(-1/2) SS(t)^(-(n-2)/2)`, flat in the two means and in log variance (Smith 1975).

    Args:
        values: Result per run in order; `nan` for a failed run.
        se: Standard error of each run.
        min_runs: Smallest number of runs on each side.
        alpha: Level at which a change counts as shown.
        confidence: Probability of the interval of runs.
        permutations: Random orders.
        rng: Generator or seed.

    Returns:
        The change with its interval; no index and a reason when none is shown.

    Raises:
        StatsError: If lengths differ or a standard error is not positive.

    Examples:
        >>> runs = [0.81, 0.79, 0.80, 0.82, 0.80, 0.78, 0.74, 0.73, 0.75, 0.72, 0.74]
        >>> result = find_changepoint(runs)
        >>> result.index, result.p_value < 0.01
        (6, True)
    """
    alpha, confidence = check_alpha(alpha), check_confidence(confidence)
    min_runs = check_count(min_runs, "min_runs", minimum=1)
    permutations = check_count(permutations, "permutations", minimum=19)
    x = as_vector(values, "values")
    error = np.ones(len(x)) if se is None else as_vector(se, "se", length=len(x))
    present = np.flatnonzero(~np.isnan(x) & ~np.isnan(error))
    if (error[present] <= 0).any():
        raise StatsError("se must be positive for every run")
    y, w = x[present], 1 / error[present] ** 2
    n = len(y)
    result = ChangePoint(
        index=None, low=None, high=None, candidate=None, p_value=nan, before=nan, after=nan,
        probability=np.zeros(len(x)), confidence=confidence, n=n,
    )  # fmt: skip
    if n < max(2 * min_runs, 4):
        return replace(result, reason=f"needs at least {max(2 * min_runs, 4)} runs with a result, got {n}")
    if np.ptp(y) <= 1e-12 * max(1.0, float(np.abs(y).max())):
        return replace(result, reason="all runs are equal: no change to find")
    w = w / w.mean()
    splits = np.arange(min_runs, n - min_runs + 1)
    total = float(w @ (y - (w @ y) / w.sum()) ** 2)
    gain = _gains(y[None, :], w[None, :], splits)[0]
    best = int(splits[int(np.argmax(gain))])
    order = as_rng(rng).permuted(np.tile(np.arange(n), (permutations, 1)), axis=1)
    largest = _gains(y[order], w[order], splits).max(axis=1)
    p = float((1 + (largest >= gain.max() * (1 - 1e-12)).sum()) / (permutations + 1))
    left = np.cumsum(w)[splits - 1]
    within = np.maximum(total - gain, 1e-12 * total)
    log_p = -0.5 * np.log(left * (w.sum() - left)) - (n - 2) / 2 * np.log(within)
    weight = np.exp(log_p - log_p.max())
    weight /= weight.sum()
    probability = np.zeros(len(x))
    probability[present[np.minimum(splits, n - 1)]] = weight
    ranked = np.argsort(-weight, kind="stable")
    size = int(np.searchsorted(np.cumsum(weight[ranked]), confidence)) + 1
    held = present[splits[ranked[:size]]]
    result = replace(
        result,
        candidate=int(present[best]),
        p_value=p,
        before=float(np.average(y[:best], weights=w[:best])),
        after=float(np.average(y[best:], weights=w[best:])),
        probability=probability,
    )
    if p > alpha:
        return replace(result, reason=f"no change is shown (p = {p:.3g})")
    return replace(result, index=int(present[best]), low=int(held.min()), high=int(held.max()))


def _gains(y: Float, w: Float, splits: NDArray[np.intp]) -> Float:
    """Return the drop of the weighted sum of squares by a split, shape (series, splits)."""
    centred = y - (w * y).sum(axis=1, keepdims=True) / w.sum(axis=1, keepdims=True)
    left_w = np.cumsum(w, axis=1)[:, splits - 1]
    left = np.cumsum(w * centred, axis=1)[:, splits - 1]
    right_w = w.sum(axis=1, keepdims=True) - left_w
    return left**2 * (1 / left_w + 1 / right_w)
