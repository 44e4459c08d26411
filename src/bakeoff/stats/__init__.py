"""Pure statistics: arrays or counts in, frozen results out.

No pandas, no I/O, no clock, no global random state. `import bakeoff.stats` needs numpy alone;
scipy and statsmodels arrive when a function first needs them.
"""

from bakeoff.stats._alpha import Level, krippendorff_alpha
from bakeoff.stats._anchors import AnchorEstimate, anchor_mean, choose_anchors, predict_from_anchors
from bakeoff.stats._bandit import Bandit, Choice
from bakeoff.stats._bandit_inference import (
    ArmContrasts,
    adaptive_ipw,
    adaptive_ipw_difference,
    arm_inference,
    bandit_differences,
    bandit_test,
)
from bakeoff.stats._bandit_policies import (
    KLUCB,
    UCB1,
    ArmStats,
    BanditPolicy,
    EpsilonGreedy,
    Thompson,
    TopTwoThompson,
    Uniform,
    bernoulli_kl,
    policy_from_dict,
    policy_to_dict,
)
from bakeoff.stats._bandit_simulation import (
    BestArmSimulation,
    RegretSimulation,
    lai_robbins_constant,
    simulate_best_arm,
    simulate_regret,
)
from bakeoff.stats._bayes import BayesComparison, bayes_paired_binary, bayes_proportions, bayes_scores, shrinkage_sd
from bakeoff.stats._bayes_best import STOPPING_WARNING, BestOfK, prob_best_beta, prob_best_normal, prob_beta_greater
from bakeoff.stats._best import BestMethod, BestOfMany, Shrunken, best_of_many, holdout_split, shrink
from bakeoff.stats._best_arm import LUCB, HalvingRound, Hyperband, SequentialHalving, halving_rounds, hyperband_brackets
from bakeoff.stats._betting import betting_interval, paired_binary_interval
from bakeoff.stats._bootstrap import BootstrapMethod, bootstrap, bootstrap_mean, bootstrap_means
from bakeoff.stats._changepoint import ChangePoint, find_changepoint
from bakeoff.stats._clusters import ClusterVariance, clustered_mean, design_effect
from bakeoff.stats._compare import compare
from bakeoff.stats._confidence_sequence import (
    ConfidenceSequence,
    asymptotic_confidence_sequence,
    beta_binomial_confidence_sequence,
    beta_binomial_e_value,
    empirical_bernstein_confidence_sequence,
    mixture_rho2,
    msprt,
    robbins_boundary,
)
from bakeoff.stats._contextual import LinearBandit
from bakeoff.stats._corrected_difference import CorrectedDifference, corrected_difference
from bakeoff.stats._decide import decide, smallest_detectable
from bakeoff.stats._design import ComparisonDesign, Goal, PlanCorrection, TypicalValues, planned_power, typical_values
from bakeoff.stats._drift import ControlChart, between_run_sd, control_chart
from bakeoff.stats._effect import (
    cliffs_delta,
    cohen_d,
    cohen_dav,
    cohen_dz,
    cohen_h,
    hedges_g,
    odds_ratio,
    vargha_delaney,
)
from bakeoff.stats._equivalence import (
    EquivalenceGoal,
    EquivalenceResult,
    equivalence_of_proportions,
    tost,
    tost_paired_proportions,
    tost_unpaired,
)
from bakeoff.stats._evalues import (
    BetPrior,
    EBHResult,
    always_valid_p,
    betting_e_value,
    discordant_e_value,
    e_bh,
    normal_mixture_e_value,
)
from bakeoff.stats._exact import permutation_test
from bakeoff.stats._factorial import (
    Contrast,
    FactorEffect,
    FactorialResult,
    contrast,
    factorial_effects,
    level_contrasts,
)
from bakeoff.stats._factorial_model import FactorialMethod, factorial_model
from bakeoff.stats._family import Family
from bakeoff.stats._format import format_interval, format_p, format_value
from bakeoff.stats._fraction import CellPlan, fractional_factorial, optimal_cells, plan_cells
from bakeoff.stats._group_sequential import (
    GroupSequentialDesign,
    GroupSequentialLook,
    Spending,
    alpha_spent,
    group_sequential_crossing,
    group_sequential_design,
    group_sequential_interval,
    group_sequential_look,
)
from bakeoff.stats._groups import FriedmanResult, cochran_q, dunnett, friedman, tukey
from bakeoff.stats._homogeneity import chi_square_homogeneity
from bakeoff.stats._icc import ICCKind, ICCResult, intraclass_correlation
from bakeoff.stats._irt import ItemModel, fit_item_model
from bakeoff.stats._item_analysis import ItemAnalysis, item_analysis
from bakeoff.stats._items import encode_clusters
from bakeoff.stats._judges import CorrectedMean, JudgeAccuracy, judge_accuracy, rogan_gladen, stratified_rate
from bakeoff.stats._kappa import Agreement, KappaWeights, cohen_kappa, fleiss_kappa, gwet_ac
from bakeoff.stats._labels_needed import LabelsNeeded, labels_needed
from bakeoff.stats._many import ManyComparisons, NamedDifference, TiedSet, max_t, tied_set
from bakeoff.stats._mean import mean_logit_t, mean_t
from bakeoff.stats._multiplicity import Correction, adjust
from bakeoff.stats._off_policy import OffPolicyMethod, OffPolicyValue, effective_sample_size, off_policy_value
from bakeoff.stats._online import (
    AdjustedDifference,
    GuardrailResult,
    SrmResult,
    adjusted_difference,
    assign_variant,
    guardrail,
    hash_unit,
    srm_test,
)
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
    PairedBinaryTest,
    mcnemar_power,
    mcnemar_power_always_valid,
    paired_mean_power,
    two_mean_power,
    two_proportion_power,
)
from bakeoff.stats._power_margin import MarginMethod, noninferiority_power_paired
from bakeoff.stats._ppi import CorrectionMethod, corrected_mean, ppi_mean
from bakeoff.stats._proportion import ProportionMethod, agresti_coull, clopper_pearson, jeffreys, proportion, wilson
from bakeoff.stats._quantiles import quantile_difference, quantile_interval
from bakeoff.stats._race import Elimination, PairedRace, RaceConfig, RaceGuarantee, RaceResult, closed_e_rejections
from bakeoff.stats._ranking import Ranking, RankingInterval, bradley_terry, elo_scale
from bakeoff.stats._ratio import RatioDifference, RatioMethod, cost_per_success, ratio_difference, ratio_of_means
from bakeoff.stats._result import Alternative, Difference, Estimate, Kind, TestResult, Verdict
from bakeoff.stats._rule import SummaryMethod, summarize
from bakeoff.stats._run_length import ChartKind, chart_threshold, run_length, simulate_run_lengths
from bakeoff.stats._sequential import SequentialComparison, SequentialResult
from bakeoff.stats._sequential_config import SequentialConfig, SequentialMethod
from bakeoff.stats._srm_sequential import srm_e_value
from bakeoff.stats._swap import swap_consistency
from bakeoff.stats._unpaired import (
    TwoProportionMethod,
    TwoProportionTest,
    proportion_difference,
    two_proportion_test,
    welch,
    welch_test,
)
from bakeoff.stats._variance import RepeatPlan, VarianceComponents, optimal_repeats, variance_components
from bakeoff.stats._wilcoxon import hodges_lehmann, wilcoxon
from bakeoff.stats._words import describe, methods_paragraph

__all__ = [
    "KLUCB",
    "LUCB",
    "STOPPING_WARNING",
    "UCB1",
    "AdjustedDifference",
    "Agreement",
    "Alternative",
    "AnchorEstimate",
    "ArmContrasts",
    "ArmStats",
    "Bandit",
    "BanditPolicy",
    "BayesComparison",
    "BestArmSimulation",
    "BestMethod",
    "BestOfK",
    "BestOfMany",
    "BetPrior",
    "BootstrapMethod",
    "CellPlan",
    "ChangePoint",
    "ChartKind",
    "CheapestResult",
    "Choice",
    "ClusterVariance",
    "ComparisonDesign",
    "ConfidenceSequence",
    "Contrast",
    "ControlChart",
    "CorrectedDifference",
    "CorrectedMean",
    "Correction",
    "CorrectionMethod",
    "DetectableDifference",
    "Difference",
    "EBHResult",
    "Elimination",
    "EpsilonGreedy",
    "EquivalenceGoal",
    "EquivalenceResult",
    "Estimate",
    "FactorEffect",
    "FactorialMethod",
    "FactorialResult",
    "Family",
    "FriedmanResult",
    "Goal",
    "GroupSequentialDesign",
    "GroupSequentialLook",
    "GuardrailResult",
    "HalvingRound",
    "Hyperband",
    "ICCKind",
    "ICCResult",
    "ItemAnalysis",
    "ItemModel",
    "JudgeAccuracy",
    "KappaWeights",
    "Kind",
    "LabelsNeeded",
    "Level",
    "Lever",
    "LinearBandit",
    "ManyComparisons",
    "MarginMethod",
    "McNemarMethod",
    "NamedDifference",
    "Objective",
    "OffPolicyMethod",
    "OffPolicyValue",
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
    "Ranking",
    "RankingInterval",
    "RatioDifference",
    "RatioMethod",
    "RegretSimulation",
    "RepeatPlan",
    "SampleSize",
    "SequentialComparison",
    "SequentialConfig",
    "SequentialHalving",
    "SequentialMethod",
    "SequentialResult",
    "Shrunken",
    "Spending",
    "SrmResult",
    "SummaryMethod",
    "TestResult",
    "Thompson",
    "TiedSet",
    "TopTwoThompson",
    "TwoProportionMethod",
    "TwoProportionTest",
    "TypicalValues",
    "Uniform",
    "VarianceComponents",
    "Verdict",
    "adaptive_ipw",
    "adaptive_ipw_difference",
    "adjust",
    "adjusted_difference",
    "agresti_coull",
    "alpha_spent",
    "always_valid_p",
    "anchor_mean",
    "arm_inference",
    "assign_variant",
    "asymptotic_confidence_sequence",
    "bandit_differences",
    "bandit_test",
    "bayes_paired_binary",
    "bayes_proportions",
    "bayes_scores",
    "bernoulli_kl",
    "best_of_many",
    "beta_binomial_confidence_sequence",
    "beta_binomial_e_value",
    "betting_e_value",
    "betting_interval",
    "between_run_sd",
    "bootstrap",
    "bootstrap_mean",
    "bootstrap_means",
    "bradley_terry",
    "chart_threshold",
    "cheapest_within",
    "chi_square_homogeneity",
    "choose_anchors",
    "cliffs_delta",
    "clopper_pearson",
    "closed_e_rejections",
    "clustered_mean",
    "cochran_q",
    "cohen_d",
    "cohen_dav",
    "cohen_dz",
    "cohen_h",
    "cohen_kappa",
    "compare",
    "contrast",
    "control_chart",
    "corrected_difference",
    "corrected_mean",
    "cost_per_success",
    "decide",
    "describe",
    "design_effect",
    "design_from_pilot",
    "detectable_curve",
    "discordant_e_value",
    "dunnett",
    "e_bh",
    "effective_sample_size",
    "elo_scale",
    "empirical_bernstein_confidence_sequence",
    "encode_clusters",
    "equivalence_of_proportions",
    "factorial_effects",
    "factorial_model",
    "find_changepoint",
    "fit_item_model",
    "fleiss_kappa",
    "format_interval",
    "format_p",
    "format_value",
    "fractional_factorial",
    "friedman",
    "group_sequential_crossing",
    "group_sequential_design",
    "group_sequential_interval",
    "group_sequential_look",
    "guardrail",
    "gwet_ac",
    "halving_rounds",
    "hash_unit",
    "hedges_g",
    "hodges_lehmann",
    "holdout_split",
    "hyperband_brackets",
    "infer_kind",
    "intraclass_correlation",
    "item_analysis",
    "items_needed",
    "jeffreys",
    "judge_accuracy",
    "krippendorff_alpha",
    "labels_needed",
    "lai_robbins_constant",
    "level_contrasts",
    "max_t",
    "mcnemar",
    "mcnemar_power",
    "mcnemar_power_always_valid",
    "mean_logit_t",
    "mean_t",
    "methods_paragraph",
    "mixture_rho2",
    "msprt",
    "noninferiority_power_paired",
    "normal_mixture_e_value",
    "odds_ratio",
    "off_policy_value",
    "one_sample_t",
    "optimal_cells",
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
    "permutation_test",
    "plan_cells",
    "plan_comparison",
    "plan_levers",
    "planned_power",
    "policy_from_dict",
    "policy_to_dict",
    "power_curve",
    "ppi_mean",
    "predict_from_anchors",
    "prob_best_beta",
    "prob_best_normal",
    "prob_beta_greater",
    "proportion",
    "proportion_difference",
    "quantile_difference",
    "quantile_interval",
    "ratio_difference",
    "ratio_of_means",
    "robbins_boundary",
    "rogan_gladen",
    "run_length",
    "shrink",
    "shrinkage_sd",
    "sign_flip",
    "simulate_best_arm",
    "simulate_regret",
    "simulate_run_lengths",
    "smallest_detectable",
    "srm_e_value",
    "srm_test",
    "stratified_rate",
    "summarize",
    "swap_consistency",
    "tied_set",
    "tost",
    "tost_paired_proportions",
    "tost_unpaired",
    "tukey",
    "two_mean_power",
    "two_proportion_power",
    "two_proportion_test",
    "typical_values",
    "vargha_delaney",
    "variance_components",
    "welch",
    "welch_test",
    "wilcoxon",
    "wilson",
]
