"""Pure statistics: arrays or counts in, frozen results out.

No pandas, no I/O, no clock, no global random state. `import bakeoff.stats` needs numpy alone;
scipy and statsmodels arrive when a function first needs them.
"""

from bakeoff.stats._alpha import Level, krippendorff_alpha
from bakeoff.stats._clusters import ClusterVariance, clustered_mean, design_effect
from bakeoff.stats._compare import compare
from bakeoff.stats._confidence_sequence import (
    ConfidenceSequence,
    asymptotic_confidence_sequence,
    beta_binomial_confidence_sequence,
    beta_binomial_e_value,
    betting_interval,
    empirical_bernstein_confidence_sequence,
    mixture_rho2,
    msprt,
    paired_binary_interval,
    robbins_boundary,
)
from bakeoff.stats._corrected_difference import CorrectedDifference, corrected_difference
from bakeoff.stats._decide import decide, smallest_detectable
from bakeoff.stats._design import ComparisonDesign, Goal, PlanCorrection, TypicalValues, planned_power, typical_values
from bakeoff.stats._evalues import (
    BetPrior,
    EBHResult,
    always_valid_p,
    betting_e_value,
    discordant_e_value,
    e_bh,
    normal_mixture_e_value,
)
from bakeoff.stats._icc import ICCKind, ICCResult, intraclass_correlation
from bakeoff.stats._items import encode_clusters
from bakeoff.stats._judges import CorrectedMean, JudgeAccuracy, judge_accuracy, rogan_gladen, stratified_rate
from bakeoff.stats._kappa import Agreement, KappaWeights, cohen_kappa, fleiss_kappa, gwet_ac
from bakeoff.stats._labels_needed import LabelsNeeded, labels_needed
from bakeoff.stats._mean import mean_logit_t, mean_t
from bakeoff.stats._multiplicity import Correction, adjust
from bakeoff.stats._order import OrderCheck, order_check
from bakeoff.stats._paired_binary import (
    McNemarMethod,
    PairedProportionMethod,
    PairedTable,
    mcnemar,
    paired_odds_ratio,
    paired_proportion_difference,
    paired_table,
)
from bakeoff.stats._paired_mean import one_sample_t, sign_flip
from bakeoff.stats._pairs import infer_kind
from bakeoff.stats._pareto import (
    CheapestResult,
    Objective,
    ParetoResult,
    cheapest_within,
    pareto_analysis,
    pareto_front,
)
from bakeoff.stats._passk import PassRule, pass_at_k, pass_curve, pass_hat_k, pass_k_values
from bakeoff.stats._pilot import PilotDesign, design_from_pilot
from bakeoff.stats._plan import (
    DetectableDifference,
    Lever,
    PlanCurve,
    SampleSize,
    detectable_curve,
    items_needed,
    plan_comparison,
    plan_levers,
    power_curve,
)
from bakeoff.stats._power import (
    MarginMethod,
    PairedBinaryTest,
    mcnemar_power,
    mcnemar_power_always_valid,
    noninferiority_power_paired,
    paired_mean_power,
    two_mean_power,
    two_proportion_power,
)
from bakeoff.stats._ppi import CorrectionMethod, corrected_mean, ppi_mean
from bakeoff.stats._proportion import ProportionMethod, agresti_coull, clopper_pearson, jeffreys, proportion, wilson
from bakeoff.stats._race import Elimination, PairedRace, RaceConfig, RaceGuarantee, RaceResult, closed_e_rejections
from bakeoff.stats._ratio import RatioDifference, RatioMethod, cost_per_success, ratio_difference, ratio_of_means
from bakeoff.stats._result import Alternative, Difference, Estimate, Kind, TestResult, Verdict
from bakeoff.stats._rule import SummaryMethod, summarize
from bakeoff.stats._sequential import SequentialComparison, SequentialConfig, SequentialMethod, SequentialResult
from bakeoff.stats._unpaired import (
    TwoProportionMethod,
    TwoProportionTest,
    proportion_difference,
    two_proportion_test,
    welch,
    welch_test,
)
from bakeoff.stats._variance import RepeatPlan, VarianceComponents, optimal_repeats, variance_components

__all__ = [
    "Agreement",
    "Alternative",
    "BetPrior",
    "CheapestResult",
    "ClusterVariance",
    "ComparisonDesign",
    "ConfidenceSequence",
    "CorrectedDifference",
    "CorrectedMean",
    "Correction",
    "CorrectionMethod",
    "DetectableDifference",
    "Difference",
    "EBHResult",
    "Elimination",
    "Estimate",
    "Goal",
    "ICCKind",
    "ICCResult",
    "JudgeAccuracy",
    "KappaWeights",
    "Kind",
    "LabelsNeeded",
    "Level",
    "Lever",
    "MarginMethod",
    "McNemarMethod",
    "Objective",
    "OrderCheck",
    "PairedBinaryTest",
    "PairedProportionMethod",
    "PairedRace",
    "PairedTable",
    "ParetoResult",
    "PassRule",
    "PilotDesign",
    "PlanCorrection",
    "PlanCurve",
    "ProportionMethod",
    "RaceConfig",
    "RaceGuarantee",
    "RaceResult",
    "RatioDifference",
    "RatioMethod",
    "RepeatPlan",
    "SampleSize",
    "SequentialComparison",
    "SequentialConfig",
    "SequentialMethod",
    "SequentialResult",
    "SummaryMethod",
    "TestResult",
    "TwoProportionMethod",
    "TwoProportionTest",
    "TypicalValues",
    "VarianceComponents",
    "Verdict",
    "adjust",
    "agresti_coull",
    "always_valid_p",
    "asymptotic_confidence_sequence",
    "beta_binomial_confidence_sequence",
    "beta_binomial_e_value",
    "betting_e_value",
    "betting_interval",
    "cheapest_within",
    "clopper_pearson",
    "closed_e_rejections",
    "clustered_mean",
    "cohen_kappa",
    "compare",
    "corrected_difference",
    "corrected_mean",
    "cost_per_success",
    "decide",
    "design_effect",
    "design_from_pilot",
    "detectable_curve",
    "discordant_e_value",
    "e_bh",
    "empirical_bernstein_confidence_sequence",
    "encode_clusters",
    "fleiss_kappa",
    "gwet_ac",
    "infer_kind",
    "intraclass_correlation",
    "items_needed",
    "jeffreys",
    "judge_accuracy",
    "krippendorff_alpha",
    "labels_needed",
    "mcnemar",
    "mcnemar_power",
    "mcnemar_power_always_valid",
    "mean_logit_t",
    "mean_t",
    "mixture_rho2",
    "msprt",
    "noninferiority_power_paired",
    "normal_mixture_e_value",
    "one_sample_t",
    "optimal_repeats",
    "order_check",
    "paired_binary_interval",
    "paired_mean_power",
    "paired_odds_ratio",
    "paired_proportion_difference",
    "paired_table",
    "pareto_analysis",
    "pareto_front",
    "pass_at_k",
    "pass_curve",
    "pass_hat_k",
    "pass_k_values",
    "plan_comparison",
    "plan_levers",
    "planned_power",
    "power_curve",
    "ppi_mean",
    "proportion",
    "proportion_difference",
    "ratio_difference",
    "ratio_of_means",
    "robbins_boundary",
    "rogan_gladen",
    "sign_flip",
    "smallest_detectable",
    "stratified_rate",
    "summarize",
    "two_mean_power",
    "two_proportion_power",
    "two_proportion_test",
    "typical_values",
    "variance_components",
    "welch",
    "welch_test",
    "wilson",
]
