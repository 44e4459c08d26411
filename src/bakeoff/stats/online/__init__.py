"""Live traffic: sticky assignment, sample-ratio mismatch, covariate adjustment, ratio metrics, guardrails."""

from bakeoff.stats.online._assignment import assign_variant, hash_unit
from bakeoff.stats.online._covariates import AdjustedDifference, adjusted_difference
from bakeoff.stats.online._guardrail import GuardrailResult, guardrail
from bakeoff.stats.online._ratio import (
    RatioDifference,
    RatioMethod,
    cost_per_success,
    ratio_difference,
    ratio_of_means,
    relative_lift,
)
from bakeoff.stats.online._srm import SrmResult, srm_test
from bakeoff.stats.online._srm_sequential import srm_e_value

__all__ = [
    "AdjustedDifference",
    "GuardrailResult",
    "RatioDifference",
    "RatioMethod",
    "SrmResult",
    "adjusted_difference",
    "assign_variant",
    "cost_per_success",
    "guardrail",
    "hash_unit",
    "ratio_difference",
    "ratio_of_means",
    "relative_lift",
    "srm_e_value",
    "srm_test",
]
