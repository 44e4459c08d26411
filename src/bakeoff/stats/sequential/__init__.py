"""Always valid: comparisons that may be watched, confidence sequences, e-values, group-sequential designs."""

from bakeoff.stats.sequential._betting import betting_interval, paired_binary_interval
from bakeoff.stats.sequential._comparison import SequentialComparison, SequentialResult
from bakeoff.stats.sequential._confidence_sequence import (
    ConfidenceSequence,
    asymptotic_confidence_sequence,
    beta_binomial_confidence_sequence,
    beta_binomial_e_value,
    empirical_bernstein_confidence_sequence,
    mixture_rho2,
    msprt,
    robbins_boundary,
)
from bakeoff.stats.sequential._config import SequentialConfig, SequentialMethod
from bakeoff.stats.sequential._evalues import (
    BetPrior,
    EBHResult,
    always_valid_p,
    betting_e_value,
    discordant_e_value,
    e_bh,
    normal_mixture_e_value,
)
from bakeoff.stats.sequential._group_sequential import (
    GroupSequentialDesign,
    GroupSequentialLook,
    Spending,
    alpha_spent,
    group_sequential_crossing,
    group_sequential_design,
    group_sequential_interval,
    group_sequential_look,
)
from bakeoff.stats.sequential._order import OrderCheck, order_check

__all__ = [
    "BetPrior",
    "ConfidenceSequence",
    "EBHResult",
    "GroupSequentialDesign",
    "GroupSequentialLook",
    "OrderCheck",
    "SequentialComparison",
    "SequentialConfig",
    "SequentialMethod",
    "SequentialResult",
    "Spending",
    "alpha_spent",
    "always_valid_p",
    "asymptotic_confidence_sequence",
    "beta_binomial_confidence_sequence",
    "beta_binomial_e_value",
    "betting_e_value",
    "betting_interval",
    "discordant_e_value",
    "e_bh",
    "empirical_bernstein_confidence_sequence",
    "group_sequential_crossing",
    "group_sequential_design",
    "group_sequential_interval",
    "group_sequential_look",
    "mixture_rho2",
    "msprt",
    "normal_mixture_e_value",
    "order_check",
    "paired_binary_interval",
    "robbins_boundary",
]
