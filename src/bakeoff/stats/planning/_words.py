"""The words of a plan: amounts, one sentence, what was assumed, what looks wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bakeoff.stats.planning._design import typical_values

if TYPE_CHECKING:
    from bakeoff.stats.planning._design import ComparisonDesign

__all__ = ["amount_words", "plan_assumptions", "plan_sentence", "plan_warnings"]


def amount_words(value: float, design: ComparisonDesign) -> str:
    """Return a difference in the unit that readers use: points for pass rates."""
    if design.kind == "binary":
        points = 100 * value
        text = f"{points:.0f}" if points >= 9.95 else f"{points:.1f}".removesuffix(".0")
        if points < 0.1:
            text = f"{points:.2g}"
        return f"{text} point" if text == "1" else f"{text} points"
    text = f"{value:.2g}" if value < 10 else f"{value:,.0f}"
    if design.kind == "continuous" and design.sd is None:
        return f"{text} standard deviations"
    return text


def plan_sentence(n: int, difference: float, direction: str, design: ComparisonDesign, reason: str | None) -> str:
    """Say what a run of `n` items can see, in one sentence."""
    per = "" if design.paired else " per variant"
    items = f"{n:,} item{'' if n == 1 else 's'}{per}"
    if difference != difference:
        return f"With {items} no difference can be shown: {reason}."
    amount, power = amount_words(difference, design), f"{design.power:.0%} power"
    family = f", {design.n_tests} comparisons corrected" if design.n_tests > 1 and design.correction != "none" else ""
    if design.goal == "noninferiority":
        return f'With {items} you can show "not worse" only for a margin of {amount} or more ({power}{family}).'
    if design.goal == "equivalence":
        return f'With {items} you can show "the same" only within a margin of {amount} or more ({power}{family}).'
    word = {"either": "differences", "gain": "gains", "loss": "losses"}[direction]
    return f"With {items} you can only see {word} of {amount} or more ({power}{family})."


def plan_assumptions(design: ComparisonDesign) -> tuple[str, ...]:
    """Return what the plan takes for granted, with its source."""
    typical = typical_values(design.kind)
    notes: list[str] = []
    if design.kind == "binary":
        notes.append(f"the baseline passes {design.baseline_rate:.0%}")
        if design.paired:
            basis = f" (typical: {typical.source})" if design.discordance is None else ""
            who = "the variants disagree" if design.discordance_of == "variants" else "equally good variants disagree"
            notes.append(f"{who} on {design.expected_discordance:.0%} of the items{basis}")
    elif design.sd is None:
        notes.append(f"standard deviation {typical.sd:g} ({typical.source})")
    else:
        notes.append(f"standard deviation {design.sd:g}")
    if design.repeats > 1:
        share = typical.generation_share if design.generation_share is None else design.generation_share
        notes.append(f"{share:.0%} of the variance is generation, averaged over {design.repeats} runs")
    if design.clustered:
        notes.append(f"clusters of {design.cluster_size:.3g} items, ICC {design.icc:.2g}")
    if design.looks != 1:
        looks = "always valid" if design.looks == "always" else f"{design.looks} looks, O'Brien-Fleming"
        notes.append(f"{looks}: power accurate to about two points")
    return tuple(notes)


def plan_warnings(n: int, difference: float, direction: str, design: ComparisonDesign) -> tuple[str, ...]:
    """Return what in the plan cannot be, or is shaky."""
    notes: list[str] = []
    if design.alternative == "two-sided" and design.goal == "difference" and difference == difference:
        if direction == "loss":
            notes.append(
                f"a gain of that size is impossible: the baseline passes {design.baseline_rate:.0%}; "
                "harder items would leave room for one"
            )
        elif direction == "gain":
            notes.append(f"a loss of that size is impossible: the baseline passes {design.baseline_rate:.0%}")
    rate = design.baseline_rate
    if design.kind == "binary" and design.paired and design.expected_discordance > 2 * min(rate, 1 - rate) + 1e-9:
        notes.append(
            f"two variants that both pass {rate:.0%} cannot disagree on {design.expected_discordance:.0%} of the items"
        )
    if design.clustered and 2 <= n / design.cluster_size < 10:
        notes.append(f"only {n / design.cluster_size:.0f} clusters: below 10 the test is approximate")
    return tuple(notes)
