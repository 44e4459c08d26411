"""Before a run: what can it see, how many items does it need, what would help."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, nan, sqrt
from typing import TYPE_CHECKING, Literal

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import check_count
from bakeoff.stats.core._dist import norm_ppf
from bakeoff.stats.planning._design import ComparisonDesign, Goal, PlanCorrection, planned_power
from bakeoff.stats.planning._words import amount_words, plan_assumptions, plan_sentence, plan_warnings

if TYPE_CHECKING:
    from bakeoff.stats.core._result import Alternative, Kind

from bakeoff.stats.planning._search import MAX_ITEMS, call_count, first_size_reaching, smallest_visible

__all__ = ["DetectableDifference", "SampleSize", "items_needed", "plan_comparison"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectableDifference:
    """What a run of a given size can see."""

    difference: float
    """Smallest difference (or margin) shown with the wanted power, as a positive number; `nan` when none is."""
    direction: Literal["either", "gain", "loss", "none"]
    """`loss` when the baseline leaves no room for a gain of that size, and the other way round."""
    n_items: int
    n_calls: int
    """Runs of a target: items x repeats x variants."""
    design: ComparisonDesign
    test: str
    """Identifier of the test that is planned for."""
    alpha_per_test: float
    """Level of each test after correction over the family."""
    se: float
    """Standard error of the difference to expect."""
    half_width: float
    """Half the width of the interval to expect, at the corrected level."""
    target: float | None = None
    target_power: float = nan
    """Power at `target`, when one was given."""
    sentence: str
    """What a product manager needs to know, in one sentence."""
    reason: str | None = None
    assumptions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSize:
    """How many items show a given difference."""

    n_items: int | None
    """Items (per variant, when not paired); `None` when no number of items can."""
    n_calls: int | None
    """Runs of a target: items x repeats x variants."""
    power: float
    """Power at `n_items`."""
    difference: float
    design: ComparisonDesign
    test: str
    sentence: str
    reason: str | None = None


def plan_comparison(
    n_items: int,
    *,
    kind: Kind = "binary",
    repeats: int = 1,
    baseline_rate: float = 0.7,
    discordance: float | None = None,
    sd: float | None = None,
    generation_share: float | None = None,
    paired: bool = True,
    n_variants: int = 2,
    comparisons: Literal["baseline", "all"] = "baseline",
    n_metrics: int = 1,
    primary_share: float | None = None,
    n_segments: int = 1,
    correction: PlanCorrection = "holm",
    alpha: float = 0.05,
    power: float = 0.8,
    alternative: Alternative = "two-sided",
    cluster_size: float = 1,
    icc: float = 0.0,
    looks: int | Literal["always"] = 1,
    goal: Goal = "difference",
    target: float | None = None,
    design: ComparisonDesign | None = None,
) -> DetectableDifference:
    """Return the smallest difference that a run of `n_items` can show, before anything is paid for.

    The power behind it is that of the test the comparison will run: exact enumeration of McNemar's mid-p
    test (Tango's interval for a margin) for paired pass/fail items, noncentral t on item means otherwise,
    `1 + (m - 1) icc` for clusters, the corrected level for a family, and O'Brien-Fleming or always-valid
    boundaries for looks. A few milliseconds: fit for a form that recomputes on every key.

    Args:
        n_items: Items (per variant, when not paired).
        kind: Kind of the score.
        repeats: Runs of each item under each variant.
        baseline_rate: Pass rate of the baseline, pass/fail scores only.
        discordance: Share of items on which two variants disagree at one run each; from `baseline_rate`
            and the typical correlation when `None`.
        sd: Standard deviation of an item's difference at one run each (unpaired: of one score); the
            typical value when `None`.
        generation_share: Part of that variance which repeats can remove; the typical value when `None`.
        paired: Whether both variants run on the same items.
        n_variants: Variants, the baseline included.
        comparisons: Each against the `baseline`, or `all` pairs.
        n_metrics: Metrics on which a verdict is given.
        primary_share: Part of `alpha` that the planned metric has among several; an equal part when `None`.
        n_segments: Segments in which a verdict is given.
        correction: Correction over the family of comparisons x metrics x segments.
        alpha: Level of the family (one-sided for a margin).
        power: Chance of seeing the difference that is asked for.
        alternative: Direction, for `goal="difference"`.
        cluster_size: Items that belong together, on average.
        icc: Correlation of differences inside such a cluster.
        looks: Planned looks, or `"always"`.
        goal: `difference`, or the margin that can be shown for `noninferiority` or `equivalence`.
        target: A difference of interest: its power is returned too.
        design: All of the above at once; the other arguments are then ignored.

    Returns:
        The difference with a plain sentence; `nan` with a `reason` when no difference can be shown.

    Raises:
        StatsError: An argument is out of its range.

    Examples:
        >>> from bakeoff.stats import plan_comparison
        >>> plan = plan_comparison(60, discordance=0.2)
        >>> plan.sentence
        'With 60 items you can only see differences of 15 points or more (80% power).'
        >>> plan_comparison(60, repeats=5).difference < plan.difference
        True
    """
    n_items = check_count(n_items, "n_items")
    design = design or ComparisonDesign(
        kind=kind,
        repeats=repeats,
        baseline_rate=baseline_rate,
        discordance=discordance,
        sd=sd,
        generation_share=generation_share,
        paired=paired,
        n_variants=n_variants,
        comparisons=comparisons,
        n_metrics=n_metrics,
        primary_share=primary_share,
        n_segments=n_segments,
        correction=correction,
        alpha=alpha,
        power=power,
        alternative=alternative,
        cluster_size=cluster_size,
        icc=icc,
        looks=looks,
        goal=goal,
    )
    difference, direction, reason = smallest_visible(n_items, design)
    per_item = design.variance() * (1 if design.paired else 2)
    se = sqrt(per_item * design.design_effect / n_items) if n_items else nan
    sides = 1 if design.one_sided else 2
    half_width = se * float(norm_ppf(1 - design.alpha_per_test / sides)) if n_items > 1 else nan
    return DetectableDifference(
        difference=difference,
        direction=direction,
        n_items=n_items,
        n_calls=call_count(n_items, design),
        design=design,
        test=design.test_for(n_items),
        alpha_per_test=design.alpha_per_test,
        se=se,
        half_width=half_width,
        target=target,
        target_power=nan if target is None else planned_power(n_items, target, design=design),
        sentence=plan_sentence(n_items, difference, direction, design, reason),
        reason=reason,
        assumptions=plan_assumptions(design),
        warnings=plan_warnings(n_items, difference, direction, design),
    )


def items_needed(difference: float, *, design: ComparisonDesign | None = None) -> SampleSize:
    """Return the smallest number of items that shows `difference` with the power of the design.

    Exact power goes up and down by a point from one `n` to the next; the number returned is the first from
    which on it stays above the target.

    Args:
        difference: True difference of interest, either sign (0.05 = five points); the margin for
            non-inferiority and equivalence.
        design: What is planned; the defaults of `ComparisonDesign` when not given.

    Returns:
        The number with a plain sentence; `None` with a `reason` when more than a million items would be needed.

    Raises:
        StatsError: The difference is 0, or impossible from this baseline.

    Examples:
        >>> from bakeoff.stats import ComparisonDesign, items_needed
        >>> items_needed(0.1, design=ComparisonDesign(discordance=0.2)).n_items
        152
    """
    design = design or ComparisonDesign()
    if not isfinite(difference) or difference == 0:
        raise StatsError(f"difference must be a number other than 0, got {difference!r}")
    sign = 1 if difference > 0 else -1
    if design.goal == "difference" and abs(difference) > design.room(sign):
        raise StatsError(
            f"a difference of {difference!r} is impossible: the baseline passes {design.baseline_rate:.0%}, "
            f"which leaves room for {design.room(sign):.0%}; ask for less, or set baseline_rate"
        )
    n = first_size_reaching(abs(difference) * sign, design)
    what = "a margin of" if design.goal != "difference" else "a difference of"
    amount = amount_words(abs(difference), design)
    if n is None:
        reason = f"more than {MAX_ITEMS:,} items would be needed"
        return SampleSize(
            n_items=None,
            n_calls=None,
            power=nan,
            difference=difference,
            design=design,
            test=design.test,
            sentence=f"No affordable number of items shows {what} {amount}: {reason}.",
            reason=reason,
        )
    calls = call_count(n, design)
    per = "" if design.paired else " per variant"
    sentence = f"To show {what} {amount} with {design.power:.0%} power you need {n:,} items{per} ({calls:,} runs)."
    return SampleSize(
        n_items=n,
        n_calls=calls,
        power=planned_power(n, difference, design=design),
        difference=difference,
        design=design,
        test=design.test_for(n),
        sentence=sentence,
    )
