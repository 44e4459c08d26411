"""Compare two variants by the rule; the door to every pairwise method."""

from __future__ import annotations

from dataclasses import replace
from math import inf, nan
from typing import TYPE_CHECKING, cast

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import as_rng, check_alternative, check_confidence
from bakeoff.stats.core._result import Alternative, Difference, Estimate, Kind, TestResult
from bakeoff.stats.one._clusters import few_clusters_warning, uneven_warning
from bakeoff.stats.one._mean import clip_limits, skew_warning
from bakeoff.stats.two._compare_paired import choose_paired, paired_effect, paired_interval, paired_test
from bakeoff.stats.two._compare_unpaired import (
    choose_unpaired,
    make_sides,
    unpaired_effect,
    unpaired_interval,
    unpaired_test,
)
from bakeoff.stats.two._decide import check_margin, decide
from bakeoff.stats.two._paired_binary import mcnemar
from bakeoff.stats.two._pairs import make_pairs
from bakeoff.stats.words._format import format_interval

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import ArrayLike

    from bakeoff.stats.two._compare_unpaired import TwoSides
    from bakeoff.stats.two._pairs import Pairs

__all__ = ["compare"]


def compare(
    candidate: ArrayLike,
    baseline: ArrayLike,
    *,
    kind: Kind | None = None,
    paired: bool = True,
    clusters: ArrayLike | tuple[ArrayLike, ArrayLike] | None = None,
    weights: ArrayLike | tuple[ArrayLike, ArrayLike] | None = None,
    confidence: float = 0.95,
    alternative: Alternative = "two-sided",
    margin: float | None = None,
    higher_is_better: bool = True,
    interval: str | None = None,
    test: str | None = None,
    rng: np.random.Generator | int = 0,
) -> Difference:
    """Compare a candidate with a baseline: difference, interval, p-value, effect sizes, verdict.

    The rule, first match wins (docs/design/stats.md says why):

    | items | scores | interval | test |
    |---|---|---|---|
    | same | in clusters | CR2, Satterthwaite df | same |
    | same | with weights | HC2 | same |
    | same | 0/1, one each | Bonett-Price | McNemar mid-p |
    | same | repeats or numbers, n < 50 | t on item differences | sign flip (mid-p with many ties) |
    | same | repeats or numbers | t on item differences | paired t |
    | different | 0/1, one each | Newcombe | N-1 chi-square; Fisher for tiny counts |
    | different | in clusters | CR2 on each side | same |
    | different | anything else | Welch | Welch |

    Repeats are averaged within an item and never pooled. A pair with a missing side is left out and
    counted; for scores in [0, 1] `missing_bound` says what the missing scores could change.

    Args:
        candidate: Shape (items,) or (items, repeats); `nan` marks a missing score.
        baseline: Likewise; the same items in the same order when `paired`.
        kind: Kind of score; inferred when left out.
        paired: Whether both variants saw the same items.
        clusters: One label for each item; a tuple (candidate's, baseline's) when not paired.
        weights: One weight for each item; a tuple when not paired.
        confidence: Level of the interval; the verdict uses alpha = 1 - confidence.
        alternative: `greater` or `less` give a one-sided test and interval.
        margin: Largest difference that does not matter; allows the verdict `equivalent`.
        higher_is_better: False for costs, latencies and error counts.
        interval: Overrides the interval, for instance `tango` or `bootstrap_t`.
        test: Overrides the test, for instance `wilcoxon` or `boschloo`.
        rng: Generator or seed, used by permutation and bootstrap only.

    Returns:
        Difference (candidate minus baseline) with its verdict; `reason` names the choice of method.
        What cannot be estimated is `nan` with a reason.

    Raises:
        StatsError: Inputs that do not fit together, or an unknown method.

    Examples:
        >>> d = compare([1] * 75 + [0] * 25, [1] * 60 + [0] * 40)
        >>> round(d.estimate, 2), round(d.low, 3), round(d.high, 3), d.method
        (0.15, 0.073, 0.221, 'bonett_price')
        >>> d.test, d.verdict.word
        ('mcnemar_midp', 'better')
    """
    confidence, alternative = check_confidence(confidence), check_alternative(alternative)
    margin = check_margin(margin)
    if alternative != "two-sided" and confidence <= 0.5:
        raise StatsError(f"a one-sided interval needs a confidence above 0.5, got {confidence!r}")
    draw = as_rng(rng)
    if paired:
        if isinstance(clusters, tuple) and len(clusters) == 2 and hasattr(clusters[0], "__len__"):
            raise StatsError("a paired comparison takes one array of clusters, not a tuple of two")
        pairs = make_pairs(
            candidate, baseline, kind, cast("ArrayLike | None", clusters), cast("ArrayLike | None", weights)
        )
        result = _compare_paired(pairs, confidence, alternative, interval, test, draw)
    else:
        sides = make_sides(candidate, baseline, kind, clusters, weights)
        result = _compare_unpaired(sides, confidence, alternative, interval, test, draw)
    verdict = decide(result, alpha=1 - confidence, margin=margin, higher_is_better=higher_is_better)
    return replace(result, verdict=verdict)


def _compare_paired(
    pairs: Pairs,
    confidence: float,
    alternative: Alternative,
    interval: str | None,
    test: str | None,
    rng: np.random.Generator,
) -> Difference:
    default_interval, default_test, why = choose_paired(pairs)
    interval, test = interval or default_interval, test or default_test
    tested = paired_test(pairs, test, alternative, rng)
    estimate, inner = _intervals(lambda level: paired_interval(pairs, interval, level, rng), confidence, alternative)
    if interval == "bonett_price" and confidence > 0.5:
        # At a margin Bonett-Price errs up to 6.2% for 5% (exact, C18); Tango's score interval does not.
        ends = paired_interval(pairs, "tango", 2 * confidence - 1, rng)
        inner = (ends.low, ends.high)
    n_items = pairs.difference.size
    lacking = pairs.missing
    sides = (lacking.both + lacking.candidate_only, lacking.both + lacking.baseline_only)
    warnings = _missing_warning(sides, pairs.n_missing, n_items, pairs.missing_bound) + pairs.warnings
    if mcnemar(lacking).p_value < 0.01:
        warnings += ("one side lacks scores more often than the other: find out why before trusting the difference",)
    if interval == "t" and pairs.kind == "continuous":
        warnings += skew_warning(pairs.difference)
    if pairs.codes is not None:
        warnings += few_clusters_warning(pairs.fit.n_units)
    if pairs.codes is not None or pairs.weights is not None:
        warnings += uneven_warning(pairs.fit, clustered=pairs.codes is not None)
    if pairs.simple_binary and test in ("mcnemar_midp", "mcnemar_exact"):
        warnings += _too_few_discordant(pairs.table().discordant, test, 1 - confidence)
    return _difference(
        estimate,
        inner,
        tested,
        reason=_reason(estimate, tested, why, (interval, test) == (default_interval, default_test)),
        warnings=warnings + estimate.warnings,
        paired=True,
        means=(_mean(pairs.candidate, pairs.weights), _mean(pairs.baseline, pairs.weights)),
        n_items=n_items,
        n_missing=pairs.n_missing,
        missing=sides,
        missing_bound=pairs.missing_bound,
        kind=pairs.kind,
        effect=paired_effect(pairs),
    )


def _compare_unpaired(
    sides: TwoSides,
    confidence: float,
    alternative: Alternative,
    interval: str | None,
    test: str | None,
    rng: np.random.Generator,
) -> Difference:
    default_interval, default_test, why = choose_unpaired(sides)
    interval, test = interval or default_interval, test or default_test
    tested = unpaired_test(sides, test, alternative, rng)
    estimate, inner = _intervals(lambda level: unpaired_interval(sides, interval, level), confidence, alternative)
    a, b = sides.candidate, sides.baseline
    n_items, n_missing = a.values.size + b.values.size, a.n_missing + b.n_missing
    missing = (a.n_missing, b.n_missing)
    warnings = _missing_warning(missing, n_missing, n_items, sides.missing_bound)
    warnings += tuple(dict.fromkeys(a.warnings + b.warnings))
    if a.codes is not None:
        warnings += few_clusters_warning(min(a.fit.n_units, b.fit.n_units))
    return _difference(
        estimate,
        inner,
        tested,
        reason=_reason(estimate, tested, why, (interval, test) == (default_interval, default_test)),
        warnings=warnings,
        paired=False,
        means=(a.fit.mean, b.fit.mean),
        n_items=n_items,
        n_missing=n_missing,
        missing=missing,
        missing_bound=sides.missing_bound,
        kind=a.kind,
        effect=unpaired_effect(sides),
    )


def _intervals(
    compute: Callable[[float], Estimate], confidence: float, alternative: Alternative
) -> tuple[Estimate, tuple[float, float]]:
    """Compute the interval asked for and the one at level 2 * confidence - 1 for equivalence."""
    inner = compute(2 * confidence - 1) if confidence > 0.5 else None
    ends = (nan, nan) if inner is None else (inner.low, inner.high)
    if alternative == "two-sided" or inner is None:
        return compute(confidence), ends
    if inner.low != inner.low:
        return replace(inner, confidence=confidence), ends
    low = inner.low if alternative == "greater" else -inf
    high = inner.high if alternative == "less" else inf
    return replace(inner, low=low, high=high, confidence=confidence), ends


def _mean(values: np.ndarray, weights: np.ndarray | None) -> float:
    if not values.size:
        return nan
    return float(values.mean()) if weights is None else float(values @ weights / weights.sum())


def _reason(estimate: Estimate, tested: TestResult, why: str, default: bool) -> str:
    if estimate.reason:
        return estimate.reason
    parts = [why if default else f"asked for {estimate.method} and {tested.method} (the rule would say: {why})"]
    return "; ".join([*parts, tested.reason] if tested.reason else parts)


def _missing_warning(
    sides: tuple[int, int], n_missing: int, n_items: int, bound: tuple[float, float] | None
) -> tuple[str, ...]:
    if not n_missing:
        return ()
    text = (
        f"{n_missing} of {n_missing + n_items} items are left out because a score is missing "
        f"(candidate {sides[0]}, baseline {sides[1]})"
    )
    if bound is not None:
        span = format_interval(*bound, 3, signed=True, points=True)
        text += f"; depending on the missing scores the difference could be {span} points"
    return (text,)


def _too_few_discordant(m: int, test: str, alpha: float) -> tuple[str, ...]:
    smallest = 0.5**m if test == "mcnemar_midp" else 2 * 0.5**m
    if m == 0 or smallest <= alpha:
        return ()
    what = "1 item separates" if m == 1 else f"{m} items separate"
    return (f"only {what} the two: no result with so few can be significant at {alpha:.3g}",)


def _difference(
    estimate: Estimate,
    inner: tuple[float, float],
    tested: TestResult,
    *,
    reason: str,
    warnings: tuple[str, ...],
    paired: bool,
    means: tuple[float, float],
    n_items: int,
    n_missing: int,
    missing: tuple[int, int],
    missing_bound: tuple[float, float] | None,
    kind: Kind,
    effect: dict[str, float],
) -> Difference:
    low, high = estimate.low, estimate.high
    if kind != "continuous":
        low, high = clip_limits(low, high, -1.0, 1.0)
        inner = clip_limits(*inner, -1.0, 1.0)
    return Difference(
        estimate=estimate.estimate,
        low=low,
        high=high,
        confidence=estimate.confidence,
        n=estimate.n,
        method=estimate.method,
        se=estimate.se,
        df=estimate.df,
        reason=reason,
        assumptions=tuple(dict.fromkeys(estimate.assumptions + tested.assumptions)),
        warnings=tuple(dict.fromkeys(warnings)),
        p_value=tested.p_value,
        p_adjusted=tested.p_value,
        test=tested.method,
        direction=tested.direction,
        alternative=tested.alternative,
        paired=paired,
        candidate_mean=means[0],
        baseline_mean=means[1],
        n_items=n_items,
        n_missing=n_missing,
        n_missing_candidate=missing[0],
        n_missing_baseline=missing[1],
        missing_bound=missing_bound,
        kind=kind,
        inner_low=inner[0],
        inner_high=inner[1],
        effect=effect,
    )
