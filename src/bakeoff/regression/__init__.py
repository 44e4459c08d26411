"""Regression: baselines, gates, schedules, monitoring, and runs made elsewhere."""

from bakeoff.regression._baselines import (
    Baseline,
    find_baseline,
    get_baseline,
    list_baselines,
    read_baseline_file,
    set_baseline,
    unset_baseline,
    write_baseline_file,
)
from bakeoff.regression._calibrate import Calibration, Rates, calibrate, calibrate_gate, worsened
from bakeoff.regression._ci import annotations, junit_xml, write_outputs
from bakeoff.regression._cron import Cron, parse_cron
from bakeoff.regression._escalate import next_look
from bakeoff.regression._firing import run_firing
from bakeoff.regression._gate import check_gate, decide, decide_gate, gate_of, needs_baseline
from bakeoff.regression._import_files import mlflow_run
from bakeoff.regression._imports import IMPORT_FORMATS, ImportedRun, ImportedTrial, import_file, import_run, read_import
from bakeoff.regression._markdown import COMMENT_MARK, markdown_summary
from bakeoff.regression._monitor import ENOUGH_RUNS, Chart, Monitor, monitor
from bakeoff.regression._needs import Need
from bakeoff.regression._notify import (
    Channel,
    Event,
    Notice,
    deliver,
    load_channels,
    queue_notice,
    sign_payload,
    verify_signature,
)
from bakeoff.regression._observations import Alignment, MetricFacts, Observations, VariantFacts, align, observe
from bakeoff.regression._print_schedule import ScheduleFormat, print_schedule
from bakeoff.regression._result import EXIT_CODES, GateOutcome, GateResult, ItemChange, RuleResult
from bakeoff.regression._scheduler import Scheduler
from bakeoff.regression._schedules import (
    Firing,
    FiringState,
    Schedule,
    add_schedule,
    claim_due,
    finish_firing,
    get_schedule,
    list_firings,
    list_schedules,
    pause_schedule,
    release_firing,
    remove_schedule,
    renew_lease,
    request_run,
)

__all__ = [
    "COMMENT_MARK",
    "ENOUGH_RUNS",
    "EXIT_CODES",
    "IMPORT_FORMATS",
    "Alignment",
    "Baseline",
    "Calibration",
    "Channel",
    "Chart",
    "Cron",
    "Event",
    "Firing",
    "FiringState",
    "GateOutcome",
    "GateResult",
    "ImportedRun",
    "ImportedTrial",
    "ItemChange",
    "MetricFacts",
    "Monitor",
    "Need",
    "Notice",
    "Observations",
    "Rates",
    "RuleResult",
    "Schedule",
    "ScheduleFormat",
    "Scheduler",
    "VariantFacts",
    "add_schedule",
    "align",
    "annotations",
    "calibrate",
    "calibrate_gate",
    "check_gate",
    "claim_due",
    "decide",
    "decide_gate",
    "deliver",
    "find_baseline",
    "finish_firing",
    "gate_of",
    "get_baseline",
    "get_schedule",
    "import_file",
    "import_run",
    "junit_xml",
    "list_baselines",
    "list_firings",
    "list_schedules",
    "load_channels",
    "markdown_summary",
    "mlflow_run",
    "monitor",
    "needs_baseline",
    "next_look",
    "observe",
    "parse_cron",
    "pause_schedule",
    "print_schedule",
    "queue_notice",
    "read_baseline_file",
    "read_import",
    "release_firing",
    "remove_schedule",
    "renew_lease",
    "request_run",
    "run_firing",
    "set_baseline",
    "sign_payload",
    "unset_baseline",
    "verify_signature",
    "worsened",
    "write_baseline_file",
    "write_outputs",
]
