"""Pure statistics: arrays or counts in, frozen results out.

No pandas, no I/O, no clock, no global random state. `import bakeoff.stats` needs numpy alone; a name is imported from
its shelf when it is first asked for, scipy and statsmodels when a function first needs them.
"""

# ruff: noqa: F403 - the stars tell type checkers and editors what `__getattr__` finds; each shelf has its `__all__`
from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bakeoff.stats.bandits import *
    from bakeoff.stats.bayes import *
    from bakeoff.stats.core import *
    from bakeoff.stats.drift import *
    from bakeoff.stats.factorial import *
    from bakeoff.stats.judges import *
    from bakeoff.stats.many import *
    from bakeoff.stats.one import *
    from bakeoff.stats.online import *
    from bakeoff.stats.planning import *
    from bakeoff.stats.ranking import *
    from bakeoff.stats.sequential import *
    from bakeoff.stats.tradeoffs import *
    from bakeoff.stats.two import *
    from bakeoff.stats.words import *

_SHELVES = {
    "bandits": """
        KLUCB LUCB UCB1 ArmContrasts ArmStats Bandit BanditPolicy BestArmSimulation Choice Elimination
        EpsilonGreedy HalvingRound Hyperband LinearBandit OffPolicyMethod OffPolicyValue PairedRace RaceConfig
        RaceGuarantee RaceResult RegretSimulation SequentialHalving Thompson TopTwoThompson Uniform adaptive_ipw
        adaptive_ipw_difference arm_inference bandit_differences bandit_test bernoulli_kl closed_e_rejections
        effective_sample_size halving_rounds hyperband_brackets lai_robbins_constant off_policy_value
        policy_from_dict policy_to_dict simulate_best_arm simulate_regret
    """,
    "bayes": """
        STOPPING_WARNING BayesComparison BestOfK bayes_paired_binary bayes_proportions bayes_scores
        prob_best_beta prob_best_normal prob_beta_greater shrinkage_sd
    """,
    "core": """
        Alternative Difference Estimate Kind TestResult Verdict encode_clusters
    """,
    "drift": """
        ChangePoint ChartKind ControlChart between_run_sd chart_threshold control_chart find_changepoint
        run_length simulate_run_lengths
    """,
    "factorial": """
        CellPlan Contrast FactorEffect FactorialMethod FactorialResult additivity_test contrast factorial_effects
        factorial_model fractional_factorial level_contrasts optimal_cells plan_cells
    """,
    "judges": """
        Agreement CorrectedDifference CorrectedMean CorrectionMethod ICCKind ICCResult JudgeAccuracy
        KappaWeights LabelsNeeded Level cohen_kappa corrected_difference corrected_mean fleiss_kappa gwet_ac
        intraclass_correlation judge_accuracy krippendorff_alpha labels_needed ppi_mean rogan_gladen
        stratified_rate
    """,
    "many": """
        BestMethod BestOfMany Correction Family FriedmanResult ManyComparisons NamedDifference Shrunken TiedSet
        adjust best_of_many chi_square_homogeneity cochran_q dunnett friedman holdout_split max_t shrink
        tied_set tukey
    """,
    "one": """
        BootstrapMethod ClusterVariance ProportionMethod SummaryMethod agresti_coull bootstrap bootstrap_mean
        bootstrap_means clopper_pearson clustered_mean design_effect infer_kind jeffreys mean_logit_t mean_t
        proportion quantile_difference quantile_interval summarize wilson
    """,
    "online": """
        AdjustedDifference GuardrailResult RatioDifference RatioMethod SrmResult adjusted_difference
        assign_variant cost_per_success guardrail hash_unit ratio_difference ratio_of_means relative_lift
        srm_e_value srm_test
    """,
    "planning": """
        ComparisonDesign DetectableDifference Goal Lever MarginMethod PairedBinaryTest PilotDesign
        PlanCorrection PlanCurve RepeatPlan SampleSize TypicalValues VarianceComponents design_from_pilot
        detectable_curve items_needed mcnemar_power mcnemar_power_always_valid noninferiority_power_paired
        optimal_repeats paired_mean_power plan_comparison plan_levers planned_power power_curve two_mean_power
        two_proportion_power typical_values variance_components
    """,
    "ranking": """
        Ranking RankingInterval bradley_terry elo_scale swap_consistency
    """,
    "sequential": """
        BetPrior ConfidenceSequence EBHResult GroupSequentialDesign GroupSequentialLook OrderCheck
        SequentialComparison SequentialConfig SequentialMethod SequentialResult Spending alpha_spent
        always_valid_p asymptotic_confidence_sequence beta_binomial_confidence_sequence beta_binomial_e_value
        betting_e_value betting_interval discordant_e_value e_bh empirical_bernstein_confidence_sequence
        group_sequential_crossing group_sequential_design group_sequential_interval group_sequential_look
        mixture_rho2 msprt normal_mixture_e_value order_check paired_binary_interval robbins_boundary
    """,
    "tradeoffs": """
        AnchorEstimate CheapestResult ItemAnalysis ItemModel Objective ParetoResult PassRule anchor_mean
        cheapest_within choose_anchors fit_item_model item_analysis pareto_analysis pareto_front pass_at_k
        pass_curve pass_hat_k pass_k_values predict_from_anchors
    """,
    "two": """
        EquivalenceGoal EquivalenceResult McNemarMethod PairedProportionMethod PairedTable TwoProportionMethod
        TwoProportionTest cliffs_delta cohen_d cohen_dav cohen_dz cohen_h compare decide
        equivalence_of_proportions hedges_g hodges_lehmann mcnemar odds_ratio one_sample_t paired_odds_ratio
        paired_proportion_difference paired_table permutation_test proportion_difference sign_flip
        smallest_detectable tost tost_paired_proportions tost_unpaired two_proportion_test vargha_delaney welch
        welch_test wilcoxon
    """,
    "words": """
        describe format_interval format_p format_value methods_paragraph
    """,
}
"""Where each public name lives: the names of every shelf's `__all__` (a test compares them)."""

_PLACES = {name: shelf for shelf, names in _SHELVES.items() for name in names.split()}
__all__ = list(_PLACES)

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Import a public name when it is first asked for: `import bakeoff.stats` alone stays light."""
        if name not in _PLACES:
            raise AttributeError(f"module 'bakeoff.stats' has no attribute {name!r}")
        value = getattr(import_module(f"bakeoff.stats.{_PLACES[name]}"), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        """List the public names for completion, imported or not."""
        return sorted({*globals(), *__all__})
