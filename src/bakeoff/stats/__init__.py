"""Pure statistics: arrays or counts in, frozen results out.

No pandas, no I/O, no clock, no global random state. `import bakeoff.stats` needs numpy alone;
scipy and statsmodels arrive when a function first needs them.
"""

from bakeoff.stats._pareto import (
    CheapestResult,
    Objective,
    ParetoResult,
    cheapest_within,
    pareto_analysis,
    pareto_front,
)
from bakeoff.stats._passk import PassRule, pass_at_k, pass_curve, pass_hat_k, pass_k_values
from bakeoff.stats._ratio import RatioDifference, RatioMethod, cost_per_success, ratio_difference, ratio_of_means
from bakeoff.stats._result import Alternative, Difference, Estimate, Kind, TestResult, Verdict

__all__ = [
    "Alternative",
    "CheapestResult",
    "Difference",
    "Estimate",
    "Kind",
    "Objective",
    "ParetoResult",
    "PassRule",
    "RatioDifference",
    "RatioMethod",
    "TestResult",
    "Verdict",
    "cheapest_within",
    "cost_per_success",
    "pareto_analysis",
    "pareto_front",
    "pass_at_k",
    "pass_curve",
    "pass_hat_k",
    "pass_k_values",
    "ratio_difference",
    "ratio_of_means",
]
