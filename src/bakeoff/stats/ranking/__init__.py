"""Rankings from pairwise preferences: Bradley-Terry with ties, order effect, covariates; swap consistency."""

from bakeoff.stats.ranking._bradley_terry import Ranking, RankingInterval, bradley_terry, elo_scale
from bakeoff.stats.ranking._swap import swap_consistency

__all__ = [
    "Ranking",
    "RankingInterval",
    "bradley_terry",
    "elo_scale",
    "swap_consistency",
]
