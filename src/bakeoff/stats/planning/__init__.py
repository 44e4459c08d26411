"""Planning: power, sample size, smallest detectable difference, pilots, items against repeats."""

from bakeoff.stats.planning._curves import Lever, PlanCurve, detectable_curve, plan_levers, power_curve
from bakeoff.stats.planning._design import (
    ComparisonDesign,
    Goal,
    PlanCorrection,
    TypicalValues,
    planned_power,
    typical_values,
)
from bakeoff.stats.planning._pilot import PilotDesign, design_from_pilot
from bakeoff.stats.planning._plan import DetectableDifference, SampleSize, items_needed, plan_comparison
from bakeoff.stats.planning._power import (
    PairedBinaryTest,
    mcnemar_power,
    mcnemar_power_always_valid,
    paired_mean_power,
    two_mean_power,
    two_proportion_power,
)
from bakeoff.stats.planning._power_margin import MarginMethod, noninferiority_power_paired
from bakeoff.stats.planning._variance import RepeatPlan, VarianceComponents, optimal_repeats, variance_components

__all__ = [
    "ComparisonDesign",
    "DetectableDifference",
    "Goal",
    "Lever",
    "MarginMethod",
    "PairedBinaryTest",
    "PilotDesign",
    "PlanCorrection",
    "PlanCurve",
    "RepeatPlan",
    "SampleSize",
    "TypicalValues",
    "VarianceComponents",
    "design_from_pilot",
    "detectable_curve",
    "items_needed",
    "mcnemar_power",
    "mcnemar_power_always_valid",
    "noninferiority_power_paired",
    "optimal_repeats",
    "paired_mean_power",
    "plan_comparison",
    "plan_levers",
    "planned_power",
    "power_curve",
    "two_mean_power",
    "two_proportion_power",
    "typical_values",
    "variance_components",
]
