"""Experiments: spec, plan, runner, journal, store, allocation and analysis."""

from bakeoff.experiments._analysis import analyse
from bakeoff.experiments._answer import Analysis, Comparison, MetricAnalysis, Resources, VariantScore, show, show_labels
from bakeoff.experiments._calibration import (
    CalibratedDifference,
    CalibratedVariant,
    JudgeCalibration,
    calibrate_judge,
)
from bakeoff.experiments._choice import Choice, Probability
from bakeoff.experiments._control import read_status, send_control
from bakeoff.experiments._cube import ItemInfo, ScoreCube, item_info, score_cubes
from bakeoff.experiments._data_notes import data_notes
from bakeoff.experiments._duels import Duels, Preference, judge_pairs, rank_preferences
from bakeoff.experiments._escalated import Escalated, escalated_question, read_escalated
from bakeoff.experiments._gate_spec import EscalateSpec, GatePolicy, GateRule
from bakeoff.experiments._human_labels import HumanLabel, read_labels
from bakeoff.experiments._insights import Insights, PassCurves, insights
from bakeoff.experiments._load import Experiment, load_experiment, parse_spec
from bakeoff.experiments._manifest import Manifest, MetricRecord, RunStatus, VariantInfo, write_atomically
from bakeoff.experiments._paths import RunLock, RunPaths, StorePaths, default_store
from bakeoff.experiments._plan import Plan, VariantForecast, plan_run
from bakeoff.experiments._progress import Progress
from bakeoff.experiments._promptfoo import PromptfooImport, import_promptfoo
from bakeoff.experiments._reopen import reopen_experiment
from bakeoff.experiments._rescore import rescore_run
from bakeoff.experiments._runner import execute
from bakeoff.experiments._schema import experiment_schema
from bakeoff.experiments._segments import Segment
from bakeoff.experiments._spec import (
    AllocationSpec,
    AnalysisSpec,
    ExperimentSpec,
    GuardrailSpec,
    JournalSpec,
    MlflowSpec,
)
from bakeoff.experiments._store import LocalStore, Store, open_store
from bakeoff.experiments._tradeoffs import TRADE_AXES, TradeAxis, TradeOff, trade_axes, trade_off
from bakeoff.experiments._two_runs import analyse_two

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
    "judge_pairs",
    "load_experiment",
    "open_store",
    "parse_spec",
    "plan_run",
    "rank_preferences",
    "read_escalated",
    "read_labels",
    "read_status",
    "reopen_experiment",
    "rescore_run",
    "score_cubes",
    "send_control",
    "show",
    "show_labels",
    "trade_axes",
    "trade_off",
    "write_atomically",
]
