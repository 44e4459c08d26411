"""Where the noise comes from (items, generation, judge) and what to buy more of."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, inf, isfinite, nan, sqrt
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.errors import StatsError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]

__all__ = ["RepeatPlan", "VarianceComponents", "optimal_repeats", "variance_components"]

_MANY_VALUES = 10
_MAX_REPEATS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class VarianceComponents:
    """Variance of a score split by where it comes from.

    The three variances are unbiased and may come out slightly negative; `shares` clips them.
    """

    items: float
    """Between items: only more items reduce it."""
    generation: float
    """Between runs of the same item; `nan` without repeats."""
    judge: float
    """Between judgements of the same answer; `nan` without repeated judgements, then part of `generation`."""
    n_items: int
    repeats: float
    """Runs per item, on average."""
    judgements: float
    """Judgements per run, on average."""
    mean: float
    se: float
    """Standard error of the mean, from the spread of the item means."""
    identical: float
    """Share of repeated items (or answers) whose scores are all exactly equal."""
    duplicated: bool
    """Whether the repeats look like copies of one answer (a cache) instead of samples."""
    advice: str
    """`more items`, `more repeats`, `more judge calls` or `no repeats yet`, with the reason, in one sentence."""
    reason: str | None = None
    warnings: tuple[str, ...] = ()

    @property
    def shares(self) -> dict[str, float]:
        """Part of the squared standard error of the mean that each source causes; sums to 1."""
        parts = {
            "items": self.items,
            "generation": self.generation / self.repeats if self.repeats else nan,
            "judge": self.judge / (self.repeats * self.judgements) if self.repeats else nan,
        }
        known = {name: max(0.0, value) for name, value in parts.items() if value == value}
        total = sum(known.values())
        return {name: value / total if total > 0 else nan for name, value in known.items()}

    @property
    def icc(self) -> float:
        """Correlation of two runs of the same item, `items / (items + generation + judge)`."""
        noise = sum(value for value in (self.generation, self.judge) if value == value)
        total = self.items + noise
        return self.items / total if total > 0 and self.generation == self.generation else nan


def variance_components(scores: ArrayLike) -> VarianceComponents:
    """Split the variance of a score into items, generation and judge.

    With `y[i, k, j]` the `j`-th judgement of the `k`-th run of item `i`: the variance within a run is the
    judge's; the variance between runs, less what the judge adds to a run's mean, is generation; the variance
    between item means, less what both add, is items. Unbiased, also when counts differ or scores are missing
    (unweighted means; equals the ANOVA estimators when balanced: Searle, Casella and McCulloch 1992, ch. 3).

    Args:
        scores: Shape (items, repeats) or (items, repeats, judgements); `nan` where missing.

    Returns:
        The components with one sentence of advice; `nan` with a `reason` where they cannot be told apart.

    Raises:
        StatsError: Another shape, or an infinite score.

    Examples:
        >>> from bakeoff.stats import variance_components
        >>> split = variance_components([[1, 1, 0], [0, 0, 0], [1, 1, 1], [1, 0, 1]])
        >>> round(split.items, 3), round(split.generation, 3)
        (0.12, 0.167)
    """
    y = _as_cube(scores)
    y = y[~np.isnan(y).all(axis=(1, 2))]
    n = y.shape[0]
    if n == 0:
        return _not_estimable("no item has a score")
    judge_count = (~np.isnan(y)).sum(axis=2).astype(np.float64)  # (items, repeats)
    ran = judge_count > 0
    run_count = ran.sum(axis=1).astype(np.float64)
    run_mean = _mean(y, judge_count)
    item_mean = _mean(run_mean, run_count)
    judge = _pooled(y, run_mean, judge_count)
    inverse = np.where(ran, 1 / np.maximum(judge_count, 1), 0.0)  # variance of a run's mean due to the judge
    known_judge = 0.0 if judge != judge else judge
    between_runs = _pooled(run_mean, item_mean, run_count)
    weights = np.maximum(run_count - 1, 0.0)
    mean_inverse = inverse.sum(axis=1) / run_count
    generation = nan
    if weights.sum() > 0:
        generation = between_runs - known_judge * float((weights * mean_inverse).sum() / weights.sum())
    items, se = nan, nan
    if n > 1:
        spread = float(item_mean.var(ddof=1))
        se = sqrt(spread / n)
        if generation == generation:
            noise = generation / run_count + known_judge * inverse.sum(axis=1) / run_count**2
            items = spread - float(noise.mean())
    identical = _identical(y, run_mean, judge_count, run_count)
    duplicated = _looks_copied(y, generation, known_judge, identical, int((run_count > 1).sum()))
    result = VarianceComponents(
        items=items,
        generation=generation,
        judge=judge,
        n_items=n,
        repeats=float(run_count.mean()),
        judgements=float(judge_count.sum() / run_count.sum()),
        mean=float(item_mean.mean()),
        se=se,
        identical=identical,
        duplicated=duplicated,
        advice="",
        reason=_why_not(n, generation),
        warnings=(_COPIES,) if duplicated else (),
    )
    return _with_advice(result)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatPlan:
    """How many repeats of how many items a budget buys best."""

    repeats: int
    judgements: int
    n_items: int
    """Items that the budget pays for at these repeats; 0 when it pays for none."""
    exact_repeats: float
    """The optimum before rounding, at these `judgements`."""
    se: float
    """Standard error to expect; `nan` when the budget pays for fewer than two items."""
    sentence: str


def optimal_repeats(
    *,
    item_variance: float,
    generation_variance: float,
    judge_variance: float = 0.0,
    cost_item: float,
    cost_call: float,
    cost_judge: float = 0.0,
    budget: float,
) -> RepeatPlan:
    """Return the repeats per item that give the smallest standard error for a budget.

    For cost `n (cost_item + K (cost_call + J cost_judge))` and variance
    `(items + generation / K + judge / (K J)) / n` the product of the two is smallest near `K* =
    sqrt(generation / items * cost_item / cost_call)` (Cochran 1977, section 10.6); whole numbers up to 100 are
    all tried. If items are free, one run each is always best.

    Args:
        item_variance: Between items.
        generation_variance: Between runs of an item.
        judge_variance: Between judgements of a run.
        cost_item: Cost of one more item (writing, labelling), in any unit of money.
        cost_call: Cost of one run of the target.
        cost_judge: Cost of one judgement.
        budget: Money there is.

    Returns:
        The plan; at least one repeat, at most 100.

    Raises:
        StatsError: A negative variance or cost, or nothing that costs anything.

    Examples:
        >>> from bakeoff.stats import optimal_repeats
        >>> plan = optimal_repeats(
        ...     item_variance=0.1, generation_variance=0.1, cost_item=4.0, cost_call=1.0, budget=600
        ... )
        >>> plan.repeats, plan.n_items
        (2, 100)
    """
    named = {
        "item_variance": item_variance,
        "generation_variance": generation_variance,
        "judge_variance": judge_variance,
        "cost_item": cost_item,
        "cost_call": cost_call,
        "cost_judge": cost_judge,
        "budget": budget,
    }
    for name, value in named.items():
        if not (isfinite(value) and value >= 0):
            raise StatsError(f"{name} must be a number of at least 0, got {value!r}")
    if cost_item + cost_call + cost_judge == 0:
        raise StatsError("cost_item, cost_call and cost_judge are all 0: nothing limits the number of items")

    k = np.arange(1.0, _MAX_REPEATS + 1)[:, None]
    j = np.arange(1.0, _MAX_REPEATS + 1 if judge_variance > 0 else 2.0)[None, :]
    price = cost_item + k * (cost_call + j * cost_judge)
    variance = item_variance + generation_variance / k + judge_variance / (k * j)
    best = int(np.argmin(price * variance))  # the first: fewest runs among equals
    row, column = divmod(best, j.size)
    repeats, judgements = row + 1, column + 1
    noise, run = generation_variance + judge_variance / judgements, cost_call + judgements * cost_judge
    exact = 1.0 if noise * cost_item == 0 else inf
    if item_variance * run > 0:
        exact = max(1.0, sqrt(noise / item_variance * cost_item / run))
    n = floor(budget / float(price[row, column]) + 1e-9)
    se = sqrt(float(variance[row, column]) / n) if n > 1 else nan
    runs = "1 run" if repeats == 1 else f"{repeats} runs"
    votes = "" if judgements == 1 else f", each judged {judgements} times"
    return RepeatPlan(
        repeats=repeats,
        judgements=judgements,
        n_items=n,
        exact_repeats=exact,
        se=se,
        sentence=f"The budget is best spent on {n:,} items with {runs} each{votes}.",
    )


def _as_cube(scores: ArrayLike) -> Float:
    try:
        y = np.asarray(scores, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise StatsError(f"scores must be numbers of shape (items, repeats[, judgements]): {error}") from error
    if y.ndim not in (2, 3):
        raise StatsError(f"scores must have shape (items, repeats) or (items, repeats, judgements), got {y.shape}")
    if np.isinf(y).any():
        raise StatsError("scores holds an infinite value; a missing score is nan")
    return y[:, :, None] if y.ndim == 2 else y


def _mean(values: Float, count: Float) -> Float:
    total = np.nansum(values, axis=-1)
    return np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)


def _pooled(values: Float, means: Float, count: Float) -> float:
    """Return the variance within cells, pooled; `nan` where no cell has two values."""
    df = float(np.maximum(count - 1, 0).sum())
    if df == 0:
        return nan
    return float(np.nansum((values - means[..., None]) ** 2)) / df


def _identical(y: Float, run_mean: Float, judge_count: Float, run_count: Float) -> float:
    repeated = run_count > 1
    values = run_mean
    if not repeated.any():
        repeated, values = judge_count.reshape(-1) > 1, y.reshape(-1, y.shape[2])
    if not repeated.any():
        return nan
    chosen = values[repeated]
    return float((np.nanmax(chosen, axis=1) == np.nanmin(chosen, axis=1)).mean())


def _looks_copied(y: Float, generation: float, judge: float, identical: float, repeated: int) -> bool:
    """Tell copies from agreement: no noise at all, or too many exact ties among scores with many values."""
    if repeated < 2 or generation != generation:
        return False
    if identical == 1.0 and judge == 0.0:
        return True
    distinct = np.unique(y[~np.isnan(y)]).size
    return identical > 0.5 and distinct > _MANY_VALUES


_COPIES = (
    "the repeats of an item are exactly equal: either the answers come from a cache, or the target gives "
    "the same answer every time; generation noise is not measured and more repeats add nothing"
)


def _why_not(n: int, generation: float) -> str | None:
    if generation != generation:
        return "no item was run twice: items and generation cannot be told apart"
    return "one item: its variance cannot be estimated" if n == 1 else None


def _not_estimable(reason: str) -> VarianceComponents:
    return VarianceComponents(
        items=nan,
        generation=nan,
        judge=nan,
        n_items=0,
        repeats=nan,
        judgements=nan,
        mean=nan,
        se=nan,
        identical=nan,
        duplicated=False,
        advice=f"Nothing to advise: {reason}.",
        reason=reason,
    )


def _with_advice(split: VarianceComponents) -> VarianceComponents:
    from dataclasses import replace

    if split.reason is not None:
        text = f"No repeats yet: {split.reason}; run some items two or three times to learn what repeats would buy."
        return replace(split, advice=text if split.n_items > 1 else f"More items: {split.reason}.")
    if split.duplicated:
        return replace(split, advice="More items: the repeats are copies and carry no information.")
    shares = split.shares
    if not all(value == value for value in shares.values()):
        return replace(split, advice="More items: every score is the same so far.")
    share, name = max((value, name) for name, value in shares.items())
    basis = f"{share:.0%} of the uncertainty of the mean"
    text = {
        "items": f"More items: {basis} comes from which items were drawn, and repeats cannot reduce it.",
        "generation": f"More repeats, or as many new items: {basis} comes from the target answering differently "
        "each time.",
        "judge": f"More judge calls per answer, or a steadier judge: {basis} comes from the judge.",
    }[name]
    return replace(split, advice=text)
