"""The declared family: how many comparisons share one error rate, counted and said in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import check_alpha, check_count

__all__ = ["Family"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """The comparisons on which verdicts are given: variants x metrics x segments.

    Everything that could have been reported as a winner counts, looked at or not.

    Examples:
        >>> from bakeoff.stats import Family
        >>> family = Family(n_variants=5, n_metrics=3)
        >>> family.size
        12
        >>> family.sentence
        '4 comparisons with the baseline x 3 metrics = 12 comparisons.'
    """

    n_variants: int
    """Variants, the baseline included."""
    n_metrics: int = 1
    n_segments: int = 1
    """Segments in which a verdict is given (1: everything together)."""
    comparisons: Literal["baseline", "all"] = "baseline"

    def __post_init__(self) -> None:
        check_count(self.n_variants, "n_variants", minimum=1)
        check_count(self.n_metrics, "n_metrics", minimum=1)
        check_count(self.n_segments, "n_segments", minimum=1)
        if self.comparisons not in ("baseline", "all"):
            raise StatsError(f"comparisons must be 'baseline' or 'all', got {self.comparisons!r}")

    @property
    def n_comparisons(self) -> int:
        """Comparisons of variants on one metric in one segment."""
        return self.n_variants - 1 if self.comparisons == "baseline" else self.n_variants * (self.n_variants - 1) // 2

    @property
    def size(self) -> int:
        """Number of comparisons in the family."""
        return self.n_comparisons * self.n_metrics * self.n_segments

    @property
    def sentence(self) -> str:
        """How the size came about."""
        each = "with the baseline" if self.comparisons == "baseline" else "of pairs"
        parts = [f"{_count(self.n_comparisons, 'comparison')} {each}"]
        parts += [
            _count(number, name)
            for number, name in ((self.n_metrics, "metric"), (self.n_segments, "segment"))
            if number > 1
        ]
        return f"{' x '.join(parts)} = {_count(self.size, 'comparison')}." if len(parts) > 1 else f"{parts[0]}."

    def false_winner_chance(self, alpha: float = 0.05) -> float:
        """Return the chance of at least one false winner without a correction, were all comparisons independent.

        Args:
            alpha: Level of each comparison.

        Examples:
            >>> round(Family(n_variants=21).false_winner_chance(), 2)
            0.64
        """
        return float(1 - (1 - check_alpha(alpha)) ** self.size)

    def warning(self, alpha: float = 0.05) -> str:
        """Return why a correction matters here, in one sentence.

        Args:
            alpha: Level of each comparison.
        """
        if self.size <= 1:
            return "One comparison: nothing to correct."
        return (
            f"{self.sentence} Uncorrected, about {self.size * check_alpha(alpha):.2g} of them would look significant "
            f"by luck alone, and the chance of a false winner is up to {self.false_winner_chance(alpha):.0%}."
        )


def _count(number: int, name: str) -> str:
    return f"{number:,} {name}{'' if number == 1 else 's'}"
