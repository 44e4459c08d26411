"""Judges: agreement (kappa, alpha, AC1, ICC) and means corrected with a few human labels."""

from bakeoff.stats.judges._corrected_difference import CorrectedDifference, corrected_difference
from bakeoff.stats.judges._icc import ICCKind, ICCResult, intraclass_correlation
from bakeoff.stats.judges._kappa import Agreement, KappaWeights, cohen_kappa, fleiss_kappa, gwet_ac
from bakeoff.stats.judges._krippendorff import Level, krippendorff_alpha
from bakeoff.stats.judges._labels_needed import LabelsNeeded, labels_needed
from bakeoff.stats.judges._ppi import CorrectionMethod, corrected_mean, ppi_mean
from bakeoff.stats.judges._rates import CorrectedMean, JudgeAccuracy, judge_accuracy, rogan_gladen, stratified_rate

__all__ = [
    "Agreement",
    "CorrectedDifference",
    "CorrectedMean",
    "CorrectionMethod",
    "ICCKind",
    "ICCResult",
    "JudgeAccuracy",
    "KappaWeights",
    "LabelsNeeded",
    "Level",
    "cohen_kappa",
    "corrected_difference",
    "corrected_mean",
    "fleiss_kappa",
    "gwet_ac",
    "intraclass_correlation",
    "judge_accuracy",
    "krippendorff_alpha",
    "labels_needed",
    "ppi_mean",
    "rogan_gladen",
    "stratified_rate",
]
