"""Before a run: curves of power and detectable difference, and what would help."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bakeoff.stats.core._checks import check_count
from bakeoff.stats.planning._design import ComparisonDesign, planned_power

if TYPE_CHECKING:
    from collections.abc import Iterable


from bakeoff.stats.planning._search import call_count, smallest_visible

__all__ = ["Lever", "PlanCurve", "detectable_curve", "plan_levers", "power_curve"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lever:
    """One change to a plan and what it buys."""

    change: str
    n_items: int
    repeats: int
    n_calls: int
    difference: float
    """Smallest difference that can then be seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanCurve:
    """Points of a curve to draw."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    x_label: str
    y_label: str


def power_curve(n_items: int, differences: Iterable[float], *, design: ComparisonDesign | None = None) -> PlanCurve:
    """Return the power of a run of `n_items` against the true difference.

    Args:
        n_items: Items.
        differences: True differences; where one is impossible the power is `nan`.
        design: What is planned.

    Examples:
        >>> from bakeoff.stats import power_curve
        >>> [round(power, 2) for power in power_curve(200, [0.0, 0.05, 0.1]).y]
        [0.05, 0.29, 0.82]
    """
    x = tuple(float(value) for value in differences)
    y = tuple(planned_power(n_items, value, design=design) for value in x)
    return PlanCurve(x=x, y=y, x_label="true difference", y_label="power")


def detectable_curve(n_items: Iterable[int], *, design: ComparisonDesign | None = None) -> PlanCurve:
    """Return the smallest difference that can be shown against the number of items.

    Args:
        n_items: Numbers of items.
        design: What is planned.

    Examples:
        >>> from bakeoff.stats import detectable_curve
        >>> [round(difference, 2) for difference in detectable_curve([50, 200, 800]).y]
        [0.19, 0.1, 0.05]
    """
    design = design or ComparisonDesign()
    sizes = tuple(check_count(n, "n_items") for n in n_items)
    y = tuple(smallest_visible(n, design)[0] for n in sizes)
    return PlanCurve(
        x=tuple(float(n) for n in sizes), y=y, x_label="items", y_label="smallest difference that can be seen"
    )


def plan_levers(n_items: int, *, design: ComparisonDesign | None = None) -> tuple[Lever, ...]:
    """Return what each change to the plan would buy, the cheapest in runs first.

    Args:
        n_items: Items planned.
        design: What is planned.

    Returns:
        The plan as it is, then: more items, more repeats, and a smaller family where there is one.

    Examples:
        >>> from bakeoff.stats import plan_levers
        >>> [lever.change for lever in plan_levers(100)]
        ['as planned', 'twice the items', '3 runs per item instead of 1', '4 times the items']
    """
    design = design or ComparisonDesign()
    n_items = check_count(n_items, "n_items")
    more = 3 if design.repeats == 1 else 2 * design.repeats
    options = [
        ("as planned", n_items, design),
        ("twice the items", 2 * n_items, design),
        (f"{more} runs per item instead of {design.repeats}", n_items, replace(design, repeats=more)),
        ("4 times the items", 4 * n_items, design),
    ]
    if design.n_metrics * design.n_segments > 1:
        options.append(("one primary metric, no segments", n_items, replace(design, n_metrics=1, n_segments=1)))
    if design.comparisons == "all" and design.n_variants > 2:
        options.append(("compare with the baseline only", n_items, replace(design, comparisons="baseline")))
    if design.n_tests > 1 and design.correction in ("holm", "bonferroni", "hochberg", "by"):
        options.append(("max-t correction", n_items, replace(design, correction="max-t")))
    levers = [
        Lever(
            change=change,
            n_items=n,
            repeats=plan.repeats,
            n_calls=call_count(n, plan),
            difference=smallest_visible(n, plan)[0],
        )
        for change, n, plan in options
    ]
    return (levers[0], *sorted(levers[1:], key=lambda lever: lever.n_calls))
