"""What a cascade or a router gave up, or gained, against the best single choice."""

from __future__ import annotations

import math
from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ChoiceRegret", "choice_regret"]

_FOLDS = 5
_MIN_ITEMS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceRegret:
    """A variant that chooses among models by item, against the best one that does not."""

    best_fixed: str
    """Variant that is best on all items."""
    n_items: int
    """Items that all of them have a value for."""
    chosen: float
    """Mean value of the variant that chooses."""
    fixed: float
    """Mean value of the fixed variant that was best on other items."""
    regret: float
    """`fixed - chosen`: negative is a gain. `nan` when it cannot be told."""
    low: float
    high: float
    reason: str = ""
    """Why there is no regret."""

    @property
    def sentence(self) -> str:
        """What follows, in words."""
        if math.isnan(self.regret):
            return f"No regret can be told: {self.reason}."
        about = f"{self.regret:+.3g} ({self.low:+.3g} to {self.high:+.3g}) on {self.n_items:,} items"
        if self.low > 0:
            return f"It is worse than {self.best_fixed} for all: a regret of {about}."
        if self.high < 0:
            return f"It beats {self.best_fixed} for all: a regret of {about}."
        return f"It is not shown to differ from {self.best_fixed} for all: a regret of {about}."


def choice_regret(
    chosen: Mapping[str, float],
    fixed: Mapping[str, Mapping[str, float]],
    *,
    confidence: float = 0.95,
    seed: int = 0,
) -> ChoiceRegret:
    """Compare a variant that chooses by item with the best fixed one, on items that did not choose that one.

    Of five folds, each is compared with the variant that is best on the other four: the best of several on the same
    items would look better than it is. The interval is a t-interval of the paired differences; it takes items as
    independent, and folds as well, so it is slightly too short.

    Args:
        chosen: Value by item, higher is better. Items with `nan` are left out.
        fixed: The same for each variant that does not choose.
        confidence: Of the interval, between 0 and 1.
        seed: Of the folds.

    Examples:
        >>> items = [f"{n}" for n in range(40)]
        >>> small = {item: float(n % 2) for n, item in enumerate(items)}
        >>> large = {item: 0.75 for item in items}
        >>> both = {item: max(small[item], 0.75) for item in items}
        >>> found = choice_regret(both, {"small": small, "large": large})
        >>> found.best_fixed, round(found.regret, 3), found.high < 0
        ('large', -0.125, True)
    """
    names = list(fixed)
    everyone = [chosen, *fixed.values()]
    items = [item for item in chosen if all(math.isfinite(values.get(item, nan)) for values in everyone)]
    if not names or len(items) < _MIN_ITEMS:
        reason = (
            "no variant of the run does without choosing" if not names
            else f"{len(items)} items have a value for all variants, and it takes {_MIN_ITEMS}"
        )  # fmt: skip
        return ChoiceRegret(
            best_fixed="", n_items=len(items), chosen=nan, fixed=nan, regret=nan, low=nan, high=nan, reason=reason
        )
    mine = np.array([chosen[item] for item in items])
    theirs = np.array([[fixed[name][item] for item in items] for name in names])
    folds = np.random.default_rng(seed).permutation(len(items)) % _FOLDS
    best = np.zeros(len(items))
    for fold in range(_FOLDS):
        held = folds == fold
        best[held] = theirs[int(np.argmax(theirs[:, ~held].mean(axis=1)))][held]
    difference = best - mine
    regret = float(difference.mean())
    half = _quantile(confidence, len(items) - 1) * float(difference.std(ddof=1)) / math.sqrt(len(items))
    return ChoiceRegret(
        best_fixed=names[int(np.argmax(theirs.mean(axis=1)))], n_items=len(items), chosen=float(mine.mean()),
        fixed=float(best.mean()), regret=regret, low=regret - half, high=regret + half,
    )  # fmt: skip


def _quantile(confidence: float, df: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(df, 0.5 + confidence / 2))
