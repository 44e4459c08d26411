"""Experiments: spec, plan, runner, journal, store, allocation and analysis."""

from bakeoff.experiments.analysis._analysis import analyse
from bakeoff.experiments.analysis._answer import (
    Analysis,
    Comparison,
    MetricAnalysis,
    Resources,
    VariantScore,
    show,
    show_labels,
    tied_words,
)
from bakeoff.experiments.analysis._cube import ItemInfo, ScoreCube, item_info, score_cubes
from bakeoff.experiments.analysis._escalated import Escalated, escalated_question, read_escalated
from bakeoff.experiments.analysis._segments import Segment
from bakeoff.experiments.analysis._two_runs import analyse_two
from bakeoff.experiments.insights._choice import Choice, Probability
from bakeoff.experiments.insights._duels import Duels, rank_preferences
from bakeoff.experiments.insights._insights import Insights, PassCurves, insights
from bakeoff.experiments.insights._judging import Preference, judge_biases, judge_pairs
from bakeoff.experiments.insights._juries import JuryAgreement, jury_agreements
from bakeoff.experiments.insights._tradeoffs import TRADE_AXES, TradeAxis, TradeOff, trade_axes, trade_off
from bakeoff.experiments.labels._calibration import (
    CalibratedDifference,
    CalibratedVariant,
    JudgeCalibration,
    calibrate_judge,
)
from bakeoff.experiments.labels._human_labels import HumanLabel, read_labels
from bakeoff.experiments.plan._plan import Plan, VariantForecast, plan_run
from bakeoff.experiments.promptfoo._promptfoo import PromptfooImport, import_promptfoo
from bakeoff.experiments.run._progress import Progress
from bakeoff.experiments.run._reopen import reopen_experiment
from bakeoff.experiments.run._rescore import rescore_run, score_missing
from bakeoff.experiments.run._runner import execute
from bakeoff.experiments.spec._data_notes import data_notes
from bakeoff.experiments.spec._gate_spec import EscalateSpec, GatePolicy, GateRule
from bakeoff.experiments.spec._load import Experiment, load_experiment
from bakeoff.experiments.spec._parse import parse_gate, parse_spec
from bakeoff.experiments.spec._schema import experiment_schema
from bakeoff.experiments.spec._spec import (
    AllocationSpec,
    AnalysisSpec,
    ExperimentSpec,
    GuardrailSpec,
    JournalSpec,
    MlflowSpec,
)
from bakeoff.experiments.store._control import read_status, send_control
from bakeoff.experiments.store._manifest import Manifest, MetricRecord, RunStatus, VariantInfo, write_atomically
from bakeoff.experiments.store._paths import RunLock, RunPaths, StorePaths, default_store
from bakeoff.experiments.store._store import LocalStore, Store, open_store

__all__ = [
    "TRADE_AXES",
    "AllocationSpec",
    "Analysis",
    "AnalysisSpec",
    "CalibratedDifference",
    "CalibratedVariant",
    "Choice",
    "Comparison",
    "Duels",
    "EscalateSpec",
    "Escalated",
    "Experiment",
    "ExperimentSpec",
    "GatePolicy",
    "GateRule",
    "GuardrailSpec",
    "HumanLabel",
    "Insights",
    "ItemInfo",
    "JournalSpec",
    "JudgeCalibration",
    "JuryAgreement",
    "LocalStore",
    "Manifest",
    "MetricAnalysis",
    "MetricRecord",
    "MlflowSpec",
    "PassCurves",
    "Plan",
    "Preference",
    "Probability",
    "Progress",
    "PromptfooImport",
    "Resources",
    "RunLock",
    "RunPaths",
    "RunStatus",
    "ScoreCube",
    "Segment",
    "Store",
    "StorePaths",
    "TradeAxis",
    "TradeOff",
    "VariantForecast",
    "VariantInfo",
    "VariantScore",
    "analyse",
    "analyse_two",
    "calibrate_judge",
    "data_notes",
    "default_store",
    "escalated_question",
    "execute",
    "experiment_schema",
    "import_promptfoo",
    "insights",
    "item_info",
    "judge_biases",
    "judge_pairs",
    "jury_agreements",
    "load_experiment",
    "open_store",
    "parse_gate",
    "parse_spec",
    "plan_run",
    "rank_preferences",
    "read_escalated",
    "read_labels",
    "read_status",
    "reopen_experiment",
    "rescore_run",
    "score_cubes",
    "score_missing",
    "send_control",
    "show",
    "show_labels",
    "tied_words",
    "trade_axes",
    "trade_off",
    "write_atomically",
]
