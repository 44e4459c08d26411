"""Many variants on the same items: joint sign flips, simultaneous intervals, and who ties with the best."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nan
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import as_rng, as_scores, check_alternative, check_confidence, check_count
from bakeoff.stats.core._items import item_means
from bakeoff.stats.core._result import Alternative, Difference
from bakeoff.stats.many._flips import SignFlips

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]

__all__ = ["ManyComparisons", "NamedDifference", "TiedSet", "max_t", "named_columns", "tied_set"]

_TIE = 1 - 1e-9
_LISTED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedDifference(Difference):
    """A difference between two named variants of a family."""

    candidate: str
    baseline: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ManyComparisons:
    """All comparisons of a family on one metric, corrected for one another.

    The intervals are simultaneous: all of them hold together with the stated confidence.
    """

    comparisons: tuple[NamedDifference, ...]
    method: str
    confidence: float
    critical: float
    """Critical value of the largest of the t-values, for the intervals."""
    n: int
    """Independent units: items, or clusters where there are any."""
    reason: str | None = None
    warnings: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """What was found, in one sentence: every difference that survives the correction."""
        known = [one for one in self.comparisons if one.p_adjusted == one.p_adjusted]
        total = f"{len(self.comparisons)} comparison{'' if len(self.comparisons) == 1 else 's'}"
        if not known:
            return f"None of the {total} can be tested: {self.reason or self.comparisons[0].reason}."
        found = sorted(
            (one for one in known if one.p_adjusted <= 1 - self.confidence), key=lambda one: -abs(one.estimate)
        )
        if not found:
            return f"None of the {total} shows a difference after correction ({self.method})."
        listed = [
            f"{one.candidate!r} against {one.baseline!r} {one.estimate:+.3g} ({one.low:+.3g} to {one.high:+.3g})"
            for one in found[:_LISTED]
        ]
        more = f"; and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
        verb = "shows" if len(found) == 1 else "show"
        return (
            f"{len(found)} of {total} {verb} a difference after correction ({self.method}): {'; '.join(listed)}{more}."
        )

    def get(self, candidate: str, baseline: str | None = None) -> NamedDifference:
        """Return the comparison of `candidate` (with `baseline`, when there are several).

        Args:
            candidate: Name of a variant.
            baseline: Name of the other variant.

        Raises:
            StatsError: There is no such comparison.
        """
        for one in self.comparisons:
            if one.candidate == candidate and baseline in (None, one.baseline):
                return one
        pairs = [f"{one.candidate} - {one.baseline}" for one in self.comparisons]
        raise StatsError(f"no comparison of {candidate!r} with {baseline!r}; there are {pairs}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TiedSet:
    """The variants that the data cannot tell from the best one."""

    best: str
    """Highest mean (lowest, when lower is better)."""
    tied: tuple[str, ...]
    """Not shown to be worse than the best, best mean first; holds the true best with the stated confidence."""
    p_values: dict[str, float]
    """For each variant: p-value of "no other variant is better"."""
    means: dict[str, float]
    confidence: float
    n: int
    method: str
    sentence: str
    reason: str | None = None


def max_t(
    scores: Mapping[str, ArrayLike],
    *,
    baseline: str | None = None,
    clusters: ArrayLike | None = None,
    confidence: float = 0.95,
    alternative: Alternative = "two-sided",
    resamples: int = 9_999,
    rng: np.random.Generator | int = 0,
) -> ManyComparisons:
    """Compare many variants on the same items by max-t sign-flip permutation (Westfall and Young, step-down).

    Under the null the sign of an item's differences is arbitrary, *jointly* for all variants: flipping it for
    the item as a whole keeps the correlation between comparisons, so that correlated variants cost less than
    with Holm. Adjusted p of the `j`-th largest t: share of flips whose largest t among the comparisons not yet
    rejected reaches it, made monotone. Simultaneous intervals: `d +- c se`, `c` the quantile of the largest
    |t| over flips of the centred differences (single step).

    Args:
        scores: Scores of each variant, shape (items,) or (items, repeats), all on the same items in the same
            order; `nan` where missing (left out of the comparisons concerned).
        baseline: Compare every other variant with this one; all pairs when `None`.
        clusters: One label for each item; whole clusters are flipped, with clustered standard errors.
        confidence: Level of the simultaneous intervals.
        alternative: `greater` means that the candidate is higher.
        resamples: Random flips; all flips are enumerated up to 15 units, and above 3,000 units the flips are
            replaced by their normal limit.
        rng: Seed or generator.

    Returns:
        Comparisons in the order of `scores`, each with raw and adjusted p and a simultaneous interval.

    Raises:
        StatsError: Fewer than two variants, different numbers of items, or an unknown baseline.

    Source: Westfall and Young (1993), algorithm 2.8; Romano and Wolf (2005), Econometrica 73, 1237-1282.

    Examples:
        >>> from bakeoff.stats import max_t
        >>> base = [0.2, 0.4, 0.3, 0.6, 0.1, 0.5, 0.4, 0.3]
        >>> better = [0.5, 0.6, 0.7, 0.8, 0.4, 0.6, 0.9, 0.5]
        >>> same = [0.3, 0.3, 0.3, 0.5, 0.2, 0.5, 0.5, 0.2]
        >>> result = max_t({"base": base, "better": better, "same": same}, baseline="base")
        >>> [round(one.p_adjusted, 4) for one in result.comparisons]
        [0.0078, 1.0]
    """
    names, means = named_columns(scores)
    confidence, alternative = check_confidence(confidence), check_alternative(alternative)
    resamples = check_count(resamples, "resamples", minimum=99)
    pairs = _pairs(names, baseline)
    flips = SignFlips(means, pairs, clusters, resamples, as_rng(rng))
    observed = flips.t
    side = {"two-sided": np.abs, "greater": np.positive, "less": np.negative}[alternative]
    order = np.argsort(-np.where(np.isnan(observed), -inf, side(observed)), kind="stable")
    hits_raw, hits_joint = np.zeros(len(pairs)), np.zeros(len(pairs))
    largest: list[Float] = []
    for raw, centred in flips.draw():
        value = np.where(np.isnan(raw), -inf, side(raw))
        hits_raw += (value >= _reach(side(observed))).sum(axis=0)
        joint = np.maximum.accumulate(value[:, order[::-1]], axis=1)[:, ::-1]
        hits_joint[order] += (joint >= _reach(side(observed)[order])).sum(axis=0)
        largest.append(np.max(np.where(np.isnan(centred), -inf, side(centred)), axis=1))
    extra = 0.0 if flips.exact else 1.0  # the data themselves count as one of the random flips
    total = flips.total + extra
    p_raw, p_joint = (np.minimum(1.0, (hits + extra) / total) for hits in (hits_raw, hits_joint))
    p_joint[order] = np.maximum.accumulate(p_joint[order])
    estimable = ~np.isnan(observed)
    critical = float(np.quantile(np.concatenate(largest), confidence, method="higher")) if estimable.any() else nan
    if not np.isfinite(critical):
        critical = nan
    method = "max_t_exact" if flips.exact else "max_t_normal" if flips.normal else "max_t"
    comparisons = tuple(
        _named(names, means, pair, flips, index, critical, confidence, alternative, method, p_raw, p_joint)
        for index, pair in enumerate(pairs)
    )
    return ManyComparisons(
        comparisons=comparisons,
        method=method,
        confidence=confidence,
        critical=critical,
        n=flips.units,
        reason=None if estimable.any() else "no comparison has two items whose differences vary",
        warnings=_few_units(flips),
    )


def tied_set(
    scores: Mapping[str, ArrayLike],
    *,
    higher_is_better: bool = True,
    clusters: ArrayLike | None = None,
    confidence: float = 0.95,
    resamples: int = 9_999,
    rng: np.random.Generator | int = 0,
) -> TiedSet:
    """Return the variants that are statistically indistinguishable from the best.

    A variant leaves the set when some other one is shown to be better, by a one-sided max-t permutation over
    all others at level `1 - confidence`. The true best is wrongly left out with at most that probability, and
    no further correction is needed (Hsu 1996, multiple comparisons with the best).

    Args:
        scores: Scores of each variant on the same items, as for `max_t`.
        higher_is_better: Direction of the metric.
        clusters: One label for each item.
        confidence: Probability that the true best is in the set.
        resamples: Random sign flips.
        rng: Seed or generator.

    Returns:
        The set; everything is in it where nothing can be estimated.

    Raises:
        StatsError: As for `max_t`.

    Examples:
        >>> from bakeoff.stats import tied_set
        >>> a = [1, 1, 0, 1, 1, 1, 1, 1, 0, 1, 1, 1]
        >>> b = [1, 1, 1, 1, 1, 0, 1, 1, 0, 1, 1, 1]
        >>> c = [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0]
        >>> tied_set({"a": a, "b": b, "c": c}).tied
        ('a', 'b')
    """
    names, means = named_columns(scores)
    confidence = check_confidence(confidence)
    resamples = check_count(resamples, "resamples", minimum=99)
    signed = means if higher_is_better else -means
    pairs = _pairs(names, None)
    flips = SignFlips(signed, pairs, clusters, resamples, as_rng(rng))
    # t[j, i] > 0 says that j is better than i; a pair (j, i) is stored once, as candidate j and baseline i
    rivals = [
        [(index, 1.0 if pair[1] == one else -1.0) for index, pair in enumerate(pairs) if one in pair]
        for one in range(len(names))
    ]
    observed = np.array([max(_or_low(sign * flips.t[index]) for index, sign in rival) for rival in rivals])
    hits = np.zeros(len(names))
    for raw, _ in flips.draw():
        for one, rival in enumerate(rivals):
            columns, sign = [index for index, _ in rival], np.array([sign for _, sign in rival])
            value = raw[:, columns] * sign
            hits[one] += (np.where(np.isnan(value), -inf, value).max(axis=1) >= _reach(observed[one])).sum()
    extra = 0.0 if flips.exact else 1.0
    p = np.minimum(1.0, (hits + extra) / (flips.total + extra))
    p[~np.isfinite(observed) & (observed < 0)] = nan
    with np.errstate(invalid="ignore"):
        average = _column_means(signed)
    rank = [int(one) for one in np.argsort(-np.where(np.isnan(average), -inf, average), kind="stable")]
    tied = tuple(names[one] for one in rank if not p[one] <= 1 - confidence)
    best = names[rank[0]]
    return TiedSet(
        best=best,
        tied=tied,
        p_values={name: float(p[one]) for one, name in enumerate(names)},
        means={name: float(average[one]) * (1 if higher_is_better else -1) for one, name in enumerate(names)},
        confidence=confidence,
        n=flips.units,
        method="max_t_best",
        sentence=_tied_sentence(best, tied, len(names)),
        reason=None if np.isfinite(flips.t).any() else "no two variants differ on two items or more",
    )


def named_columns(scores: Mapping[str, ArrayLike], *, minimum: int = 2) -> tuple[tuple[str, ...], Float]:
    """Return the names and the item means, shape (items, variants), of variants scored on the same items.

    Raises:
        StatsError: Fewer than `minimum` variants, or different numbers of items.
    """
    if len(scores) < minimum:
        raise StatsError(f"scores must hold at least {minimum} variants, got {list(scores)}")
    columns = {name: item_means(as_scores(values, f"scores[{name!r}]"))[0] for name, values in scores.items()}
    sizes = {name: column.size for name, column in columns.items()}
    if len(set(sizes.values())) > 1:
        raise StatsError(f"variants must be scored on the same items (nan where missing), got sizes {sizes}")
    return tuple(columns), np.stack(list(columns.values()), axis=1)


def _column_means(means: Float) -> Float:
    present = ~np.isnan(means)
    count = present.sum(axis=0)
    return np.where(count > 0, np.where(present, means, 0.0).sum(axis=0) / np.maximum(count, 1), nan)


def _reach(observed: Float | float) -> Float:
    """Return the bound that counts as reaching `observed`, a rounding error below it."""
    value = np.asarray(observed, dtype=np.float64)
    return np.where(np.isnan(value), inf, np.where(value > 0, value * _TIE, value / _TIE))


def _or_low(value: float) -> float:
    return -inf if value != value else value


def _pairs(names: tuple[str, ...], baseline: str | None) -> list[tuple[int, int]]:
    if baseline is None:
        return [(j, i) for i in range(len(names)) for j in range(i + 1, len(names))]
    if baseline not in names:
        raise StatsError(f"baseline {baseline!r} is not one of the variants {list(names)}")
    base = names.index(baseline)
    return [(j, base) for j in range(len(names)) if j != base]


def _named(
    names: tuple[str, ...],
    means: Float,
    pair: tuple[int, int],
    flips: SignFlips,
    index: int,
    critical: float,
    confidence: float,
    alternative: Alternative,
    method: str,
    p_raw: Float,
    p_joint: Float,
) -> NamedDifference:
    estimate, se = float(flips.mean[index]), float(flips.se[index])
    estimable = not np.isnan(flips.t[index])
    low, high = estimate - critical * se, estimate + critical * se
    if alternative == "greater":
        high = inf if low == low else nan
    elif alternative == "less":
        low = -inf if high == high else nan
    n_items = int(flips.n_items[index])
    both = ~np.isnan(means[:, pair[0]]) & ~np.isnan(means[:, pair[1]])
    reason = None
    if not estimable:
        reason = "fewer than two units have both scores" if flips.unit_counts[index] < 2 else "no item differs"
    elif se != se:
        reason = "every difference is the same: the spread cannot be estimated"
    elif critical != critical:
        reason = "no interval: with so few units some sign patterns leave no spread at all"
    return NamedDifference(
        candidate=names[pair[0]],
        baseline=names[pair[1]],
        estimate=estimate if n_items else nan,
        low=low,
        high=high,
        confidence=confidence,
        n=int(flips.unit_counts[index]),
        method=f"{method}_simultaneous",
        se=se,
        p_value=_p(p_raw[index], estimable, n_items),
        p_adjusted=_p(p_joint[index], estimable, n_items),
        test=method,
        alternative=alternative,
        candidate_mean=float(means[both, pair[0]].mean()) if n_items else nan,
        baseline_mean=float(means[both, pair[1]].mean()) if n_items else nan,
        n_items=n_items,
        n_missing=means.shape[0] - n_items,
        reason=reason,
        assumptions=("differences are symmetric about zero when there is no difference",),
    )


def _p(value: float, estimable: bool, n_items: int) -> float:
    if estimable:
        return float(value)
    return 1.0 if n_items >= 2 else nan


def _few_units(flips: SignFlips) -> tuple[str, ...]:
    smallest = 2.0 ** (1 - flips.units)
    if flips.units < 6:
        return (f"only {flips.units} units: no two-sided p-value can be below {smallest:.2g}",)
    return ()


def _tied_sentence(best: str, tied: tuple[str, ...], total: int) -> str:
    others = [name for name in tied if name != best]
    if not others:
        return f"{best!r} is the best of {total}: every other variant is shown to be worse."
    if len(tied) == total:
        return f"{best!r} has the best mean, but none of the {total} variants is shown to be worse than the best."
    listed = ", ".join(repr(name) for name in others)
    return f"{best!r} has the best mean; statistically indistinguishable from the best: {listed}."
