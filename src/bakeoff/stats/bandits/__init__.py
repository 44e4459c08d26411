"""Bandits and racing: policies, best arm in a budget, races, regret, honest inference, off-policy value."""

from bakeoff.stats.bandits._contextual import LinearBandit
from bakeoff.stats.bandits._halving import (
    HalvingRound,
    Hyperband,
    SequentialHalving,
    halving_rounds,
    hyperband_brackets,
)
from bakeoff.stats.bandits._inference import (
    ArmContrasts,
    adaptive_ipw,
    adaptive_ipw_difference,
    arm_inference,
    bandit_differences,
    bandit_test,
)
from bakeoff.stats.bandits._live import Bandit, Choice
from bakeoff.stats.bandits._lucb import LUCB
from bakeoff.stats.bandits._off_policy import OffPolicyMethod, OffPolicyValue, effective_sample_size, off_policy_value
from bakeoff.stats.bandits._policies import (
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
from bakeoff.stats.bandits._race import Elimination, PairedRace, RaceResult, closed_e_rejections
from bakeoff.stats.bandits._race_config import RaceConfig, RaceGuarantee
from bakeoff.stats.bandits._simulation import (
    BestArmSimulation,
    RegretSimulation,
    lai_robbins_constant,
    simulate_best_arm,
    simulate_regret,
)

__all__ = [
    "KLUCB",
    "LUCB",
    "UCB1",
    "ArmContrasts",
    "ArmStats",
    "Bandit",
    "BanditPolicy",
    "BestArmSimulation",
    "Choice",
    "Elimination",
    "EpsilonGreedy",
    "HalvingRound",
    "Hyperband",
    "LinearBandit",
    "OffPolicyMethod",
    "OffPolicyValue",
    "PairedRace",
    "RaceConfig",
    "RaceGuarantee",
    "RaceResult",
    "RegretSimulation",
    "SequentialHalving",
    "Thompson",
    "TopTwoThompson",
    "Uniform",
    "adaptive_ipw",
    "adaptive_ipw_difference",
    "arm_inference",
    "bandit_differences",
    "bandit_test",
    "bernoulli_kl",
    "closed_e_rejections",
    "effective_sample_size",
    "halving_rounds",
    "hyperband_brackets",
    "lai_robbins_constant",
    "off_policy_value",
    "policy_from_dict",
    "policy_to_dict",
    "simulate_best_arm",
    "simulate_regret",
]
