"""Bayesian comparison: probability of being better or best, expected loss, practical equivalence."""

from bakeoff.stats.bayes._best import STOPPING_WARNING, BestOfK, prob_best_beta, prob_best_normal, prob_beta_greater
from bakeoff.stats.bayes._compare import (
    BayesComparison,
    bayes_paired_binary,
    bayes_proportions,
    bayes_scores,
    shrinkage_sd,
)

__all__ = [
    "STOPPING_WARNING",
    "BayesComparison",
    "BestOfK",
    "bayes_paired_binary",
    "bayes_proportions",
    "bayes_scores",
    "prob_best_beta",
    "prob_best_normal",
    "prob_beta_greater",
    "shrinkage_sd",
]
