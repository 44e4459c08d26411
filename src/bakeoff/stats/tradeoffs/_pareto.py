"""Trade-offs of quality, cost and latency: Pareto fronts and the cheapest good enough variant, with uncertainty."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING, Literal

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import as_matrix, as_rng, check_alpha, check_count, check_unit
from bakeoff.stats.core._dist import norm_sf
from bakeoff.stats.core._items import as_codes
from bakeoff.stats.core._result import Estimate
from bakeoff.stats.tradeoffs._joint import joint_bootstrap, summary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]
    Bool = NDArray[np.bool_]

__all__ = ["CheapestResult", "Objective", "ParetoResult", "cheapest_within", "pareto_analysis", "pareto_front"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """One thing to trade off: its values per variant and item, and which way is good."""

    name: str
    values: ArrayLike
    """Shape (variants, items); `nan` is missing. Average repeats of an item first."""
    goal: Literal["max", "min"]
    quantile: float | None = None
    """Summarise by this quantile (0.95 for latency p95) instead of the mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParetoResult:
    """A Pareto front and how sure each membership is."""

    variants: tuple[str, ...]
    objectives: tuple[str, ...]
    values: NDArray[np.float64]
    """Summaries of shape (variants, objectives)."""
    on_front: NDArray[np.bool_]
    """Whether no other variant is at least as good everywhere and better somewhere; ties are all kept."""
    probability: NDArray[np.float64]
    """Share of resamples in which the variant is on the front, shape (variants,)."""
    dominance_p: NDArray[np.float64]
    """`dominance_p[i, j]`: p-value of "i is better than j in every objective" (intersection-union)."""
    n: int
    resamples: int
    method: str = "joint_item_bootstrap"
    reason: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CheapestResult:
    """The cheapest variant shown to be within a margin of the best, or the reason why none is."""

    choice: str | None
    """Name of the chosen variant; `None` when no variant is shown to be within the margin."""
    qualified: tuple[str, ...]
    """Every variant shown to be within the margin of the best, cheapest first."""
    best: str
    """Variant with the highest observed quality."""
    gap: tuple[Estimate, ...]
    """Per variant: quality minus that of the best of the others, with its simultaneous lower limit."""
    saving: Estimate
    """Mean cost of the observed best minus that of the choice, per item; `nan` when there is no choice."""
    margin: float
    alpha: float
    reason: str
    warnings: tuple[str, ...] = ()


def pareto_front(values: ArrayLike, goals: Sequence[Literal["max", "min"]]) -> Bool:
    """Say which points no other point dominates.

    A point is dominated when another is at least as good in every objective and better in one. Exact ties keep both.

    Args:
        values: Shape (..., points, objectives); leading axes are independent problems. A point with a `nan` is never
            on the front and dominates nothing.
        goals: `max` or `min` for each objective.

    Returns:
        Booleans of shape (..., points).

    Raises:
        StatsError: If the number of goals and objectives differ, or a goal is unknown.

    Examples:
        >>> pareto_front([[0.9, 5.0], [0.8, 1.0], [0.7, 2.0]], ["max", "min"])
        array([ True,  True, False])
    """
    points = np.asarray(values, dtype=np.float64)
    if points.ndim < 2 or points.shape[-1] != len(goals):
        raise StatsError(
            f"values must have shape (..., points, objectives), {len(goals)} goals given, got {points.shape}"
        )
    if set(goals) - {"max", "min"}:
        raise StatsError(f"each goal must be 'max' or 'min', got {list(goals)!r}")
    sign = np.array([1.0 if goal == "max" else -1.0 for goal in goals])
    points = points * sign
    at_least = np.ones((*points.shape[:-1], points.shape[-2]), dtype=bool)
    better = np.zeros_like(at_least)
    for m in range(points.shape[-1]):
        mine, other = points[..., :, None, m], points[..., None, :, m]
        at_least &= other >= mine
        better |= other > mine
    dominated = (at_least & better).any(axis=-1)
    return np.asarray(~dominated & ~np.isnan(points).any(axis=-1), dtype=np.bool_)


def pareto_analysis(
    objectives: Sequence[Objective],
    *,
    variants: Sequence[str] | None = None,
    clusters: ArrayLike | None = None,
    resamples: int = 2000,
    rng: np.random.Generator | int = 0,
) -> ParetoResult:
    """Find the Pareto front over several objectives and the probability that each variant belongs to it.

    Items (or clusters) are resampled jointly over variants and objectives, so the pairing is kept. `dominance_p` is an
    intersection-union test: the largest of the one-sided p-values of the objectives, each a z test whose standard
    error comes from the same resamples (Berger 1982).

    Args:
        objectives: One or more objectives over the same variants and items.
        variants: Names; `0`, `1`, ... when not given.
        clusters: Label of the group of each item.
        resamples: Bootstrap resamples.
        rng: Generator or seed.

    Returns:
        The front with membership probabilities; `nan` probabilities with a reason for fewer than two items.

    Raises:
        StatsError: If shapes differ, a value is infinite, or a goal is unknown.

    Examples:
        >>> quality = Objective(name="quality", values=[[1, 1, 1, 0], [1, 1, 0, 0], [0, 1, 0, 0]], goal="max")
        >>> cost = Objective(name="cost_usd", values=[[5, 5, 6, 5], [1, 1, 2, 1], [2, 2, 2, 3]], goal="min")
        >>> result = pareto_analysis([quality, cost], variants=["large", "small", "odd"])
        >>> [name for name, front in zip(result.variants, result.on_front) if front]
        ['large', 'small']
    """
    arrays, names = _objective_arrays(objectives, variants)
    resamples = check_count(resamples, "resamples", minimum=1)
    count, items = arrays[0].shape
    codes, units = as_codes(clusters, items)
    values = np.stack([summary(array, o.quantile) for array, o in zip(arrays, objectives, strict=True)], axis=-1)
    goals = [o.goal for o in objectives]
    front = pareto_front(values, goals)
    warnings = tuple(
        f"{int(np.isnan(array).sum())} of {array.size} values of {o.name} are missing and left out"
        for o, array in zip(objectives, arrays, strict=True)
        if np.isnan(array).any()
    )
    probability = np.full(count, nan)
    dominance = np.full((count, count), nan)
    reason = None
    if units < 2:
        reason = "fewer than two items or clusters: memberships cannot be judged"
    else:
        draws = joint_bootstrap(arrays, [o.quantile for o in objectives], codes, units, resamples, as_rng(rng))
        probability = pareto_front(draws, goals).mean(axis=0)
        probability[np.isnan(values).any(axis=1)] = nan
        dominance = _dominance_p(values, draws, goals)
    return ParetoResult(
        variants=names,
        objectives=tuple(o.name for o in objectives),
        values=values,
        on_front=front,
        probability=probability,
        dominance_p=dominance,
        n=units,
        resamples=resamples,
        reason=reason,
        warnings=warnings,
    )


def cheapest_within(
    quality: ArrayLike,
    cost: ArrayLike,
    *,
    margin: float,
    variants: Sequence[str] | None = None,
    clusters: ArrayLike | None = None,
    alpha: float = 0.05,
    resamples: int = 2000,
    rng: np.random.Generator | int = 0,
) -> CheapestResult:
    """Choose the cheapest variant that is shown to be not worse than the best by more than a margin.

    A variant qualifies when its quality minus that of *every* other variant is above `-margin` at simultaneous level
    `alpha` (multiple comparisons with the best, Hsu 1981; here with bootstrap-t critical values per possible best
    variant). Whatever the true best is, the chance that any variant worse than it by `margin` or more qualifies is at
    most alpha. "Cheapest" is by observed mean cost; the saving against the observed best has an interval.

    Args:
        quality: Shape (variants, items), higher is better; `nan` is missing.
        cost: Shape (variants, items), at least 0; `nan` is missing.
        margin: Largest loss of quality that does not matter, above 0, on the scale of the score.
        variants: Names; `0`, `1`, ... when not given.
        clusters: Label of the group of each item.
        alpha: Chance of letting through a variant that is worse by the margin.
        resamples: Bootstrap resamples.
        rng: Generator or seed.

    Returns:
        The choice, every qualified variant and the reason.

    Raises:
        StatsError: If shapes differ, the margin is not positive, or a value is infinite.

    Examples:
        >>> rng = np.random.default_rng(1)
        >>> right = rng.random((3, 600)) < np.array([[0.80], [0.80], [0.50]])
        >>> result = cheapest_within(right, np.tile([[9.0], [1.0], [0.5]], 600), margin=0.1,
        ...                          variants=["large", "small", "tiny"])
        >>> result.choice, result.qualified
        ('small', ('small', 'large'))
    """
    alpha = check_alpha(alpha)
    if not margin > 0:
        raise StatsError(f"margin must be above 0 (for instance 0.02 for two points), got {margin!r}")
    goals = [Objective(name="quality", values=quality, goal="max"), Objective(name="cost", values=cost, goal="min")]
    arrays, names = _objective_arrays(goals, variants)
    count, items = arrays[0].shape
    codes, units = as_codes(clusters, items)
    value = np.stack([summary(array, None) for array in arrays])
    if np.isnan(value).any():
        lost = [names[i] for i in np.flatnonzero(np.isnan(value).any(axis=0))]
        raise StatsError(f"no quality or no cost at all for {lost!r}; leave these variants out")
    best = int(np.argmax(value[0]))
    if units < 2 or count < 2:
        gaps = tuple(_gap(nan, nan, 1 - alpha, units, "fewer than two items or variants") for _ in names)
        empty = _gap(nan, nan, 1 - alpha, units, "fewer than two items or variants")
        return CheapestResult(
            choice=None, qualified=(), best=names[best], gap=gaps, saving=empty, margin=margin, alpha=alpha,
            reason="fewer than two items or variants: nothing can be compared",
        )  # fmt: skip
    resamples = check_count(resamples, "resamples", minimum=100)
    draws = joint_bootstrap(arrays, [None, None], codes, units, resamples, as_rng(rng))
    spread = float(np.nanmax(arrays[0]) - np.nanmin(arrays[0])) or 1.0
    lower, warnings = _simultaneous_lower(value[0], draws[:, :, 0], alpha, units, spread)
    others = np.where(np.eye(count, dtype=bool), -np.inf, value[0][None, :]).max(axis=1)
    floor = np.where(np.eye(count, dtype=bool), np.inf, lower).min(axis=1)
    gaps = tuple(_gap(value[0][v] - others[v], floor[v], 1 - alpha, units, None) for v in range(count))
    order = np.argsort(value[1], kind="stable")
    qualified = [int(v) for v in order if floor[v] > -margin]
    choice = qualified[0] if qualified else None
    if choice is None:
        needed = _items_needed(value[0][best] - others[best], floor[best], margin, units)
        why = f"no variant is shown to be within {margin:g} of the best with {units} items; {needed}"
        saving = _gap(nan, nan, 1 - alpha, units, "no variant qualified")
    else:
        count = len(qualified)
        which = "the only variant" if count == 1 else f"the cheapest of {count} variants"
        why = (
            f"{names[choice]} is {which} shown to be within {margin:g} of the best "
            f"(lower limit {floor[choice]:+.3g} at simultaneous confidence {1 - alpha:.0%})"
        )
        saving = _saving(value[1], draws[:, :, 1], best, choice, alpha, units)
    return CheapestResult(
        choice=None if choice is None else names[choice],
        qualified=tuple(names[v] for v in qualified),
        best=names[best],
        gap=gaps,
        saving=saving,
        margin=margin,
        alpha=alpha,
        reason=why,
        warnings=warnings,
    )


def _objective_arrays(
    objectives: Sequence[Objective], variants: Sequence[str] | None
) -> tuple[list[Float], tuple[str, ...]]:
    if not objectives:
        raise StatsError("objectives is empty; give at least one")
    arrays: list[Float] = []
    for objective in objectives:
        array = as_matrix(objective.values, objective.name, "variants, items")
        if array.shape[0] == 0:
            raise StatsError(f"{objective.name} has no variants: its shape is {array.shape}")
        if objective.quantile is not None:
            check_unit(objective.quantile, f"quantile of {objective.name}")
        if arrays and array.shape != arrays[0].shape:
            raise StatsError(f"{objective.name} has shape {array.shape}, {objectives[0].name} {arrays[0].shape}")
        arrays.append(array)
    names = tuple(str(v) for v in (variants if variants is not None else range(arrays[0].shape[0])))
    if len(names) != arrays[0].shape[0]:
        raise StatsError(f"{len(names)} names for {arrays[0].shape[0]} variants")
    return arrays, names


def _dominance_p(values: Float, draws: Float, goals: Sequence[str]) -> Float:
    worst = np.zeros((values.shape[0], values.shape[0]))
    for m, goal in enumerate(goals):
        sign = 1.0 if goal == "max" else -1.0
        difference = sign * (values[:, None, m] - values[None, :, m])
        se = _difference_sd(draws[:, :, m])
        varies = se > 1e-15
        tail = norm_sf(difference / np.where(varies, se, 1.0))
        p = np.where(varies, tail, np.where(difference > 0, 0.0, 1.0))
        worst = np.maximum(worst, np.where(np.isnan(difference) | np.isnan(se), nan, p))
    np.fill_diagonal(worst, nan)
    return worst


def _difference_sd(draws: Float) -> Float:
    """Return the standard deviation over resamples of every pairwise difference, shape (variants, variants)."""
    if len(draws) < 2:
        return np.full((draws.shape[1], draws.shape[1]), nan)
    deviation = draws - draws.mean(axis=0)
    covariance = deviation.T @ deviation / (len(draws) - 1)
    variance = np.diag(covariance)
    return np.sqrt(np.maximum(variance[:, None] + variance[None, :] - 2 * covariance, 0.0))


def _simultaneous_lower(
    quality: Float, draws: Float, alpha: float, units: int, score_range: float
) -> tuple[Float, tuple[str, ...]]:
    """Return lower limits of `quality[v] - quality[j]`; column j holds simultaneously over v."""
    se = _difference_sd(draws) * np.sqrt(units / (units - 1))
    observed = quality[:, None] - quality[None, :]
    lower = np.full_like(se, np.inf)
    for j in range(len(quality)):
        spread = se[:, j]
        use = spread > 1e-15
        use[j] = False
        if use.any():
            deviation = (draws[:, use] - draws[:, [j]] - observed[use, j]) / spread[use]
            critical = float(np.quantile(deviation.max(axis=1), 1 - alpha))
            lower[use, j] = observed[use, j] - critical * spread[use]
    same = (se <= 1e-15) & ~np.eye(len(quality), dtype=bool)
    # No item separates the pair: a bound in the manner of "three over n" instead of a certainty.
    lower[same] = observed[same] + score_range * np.log(alpha) / units
    text = "some variants differ by the same amount on every item; a bound of range * ln(1/alpha)/n stands in"
    return lower, (text,) * bool(same.any())


def _gap(estimate: float, low: float, confidence: float, n: int, reason: str | None) -> Estimate:
    return Estimate(
        estimate=estimate, low=low, high=nan if np.isnan(low) else np.inf, confidence=confidence, n=n,
        method="mcb_bootstrap_t", reason=reason,
    )  # fmt: skip


def _saving(cost: Float, draws: Float, best: int, choice: int, alpha: float, units: int) -> Estimate:
    difference = draws[:, best] - draws[:, choice]
    low, high = (float(x) for x in np.quantile(difference, [alpha / 2, 1 - alpha / 2]))
    return Estimate(
        estimate=float(cost[best] - cost[choice]), low=low, high=high, confidence=1 - alpha, n=units,
        method="paired_bootstrap_percentile", se=float(difference.std(ddof=1)) if len(difference) > 1 else nan,
        reason="the choice is the observed best" if best == choice else None,
    )  # fmt: skip


def _items_needed(gap: float, floor: float, margin: float, units: int) -> str:
    half = gap - floor
    if half <= 0 or gap + margin <= 0:
        return "add items or widen the margin"
    items = int(np.ceil(units * (half / (gap + margin)) ** 2))
    return f"about {items} items would decide it if the scores stay as they are"
