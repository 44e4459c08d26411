"""Plain words of a race."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bakeoff.stats.sequential._words import amount

if TYPE_CHECKING:
    from bakeoff.stats.bandits._race import Elimination, RaceResult
    from bakeoff.stats.bandits._race_config import RaceConfig

__all__ = ["race_words"]


def _dropped(out: Elimination, config: RaceConfig) -> str:
    pair = config.pair_config()
    by = amount(out.difference, pair, low=out.low, high=2 * out.difference - out.low, signed=False)
    least = amount(out.low, pair, low=out.low, high=2 * out.difference - out.low, signed=False)
    floor = f" (by at least {least})" if out.low > 0 else ""
    return f"{out.variant} was dropped after {out.n} items: {out.beaten_by} was better by {by}{floor}."


def race_words(result: RaceResult, config: RaceConfig) -> str:
    """Return the paragraph for people: who leads or won, who was dropped and why, what was saved."""
    sure = f"{100 * (1 - config.alpha):g}%"
    parts: list[str] = []
    if result.best is not None:
        parts.append(
            f"{result.best} is the best of {len(config.variants)} variants after {result.n} items ({sure} sure)."
        )
    elif len(result.survivors) == 1:
        parts.append(
            f"{result.leader} is the only variant left after {result.n} items; the race kept the best one with "
            f"{sure} probability, so confirm the winner on held-out items before reporting by how much it is better."
        )
    else:
        others = ", ".join(result.survivors[1:])
        parts.append(f"After {result.n} items {result.leader} leads; not told apart from it: {others}.")
    parts.extend(_dropped(out, config) for out in result.eliminated)
    if result.stop:
        parts.append(
            f"The race stopped because {result.reason}; it ran {result.spent_trials} of {result.full_trials} trials "
            f"({100 * result.saved_share:.0f}% saved)."
        )
    parts.extend(f"Caution: {warning}." for warning in result.warnings)
    return " ".join(parts)
