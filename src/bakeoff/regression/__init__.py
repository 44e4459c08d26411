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
from bakeoff.regression._escalate import next_look
from bakeoff.regression._gate import check_gate, decide, decide_gate, gate_of, needs_baseline
from bakeoff.regression._markdown import COMMENT_MARK, markdown_summary
from bakeoff.regression._needs import Need
from bakeoff.regression._observations import Alignment, MetricFacts, Observations, VariantFacts, align, observe
from bakeoff.regression._result import EXIT_CODES, GateOutcome, GateResult, ItemChange, RuleResult

__all__ = [
    "COMMENT_MARK",
    "EXIT_CODES",
    "Alignment",
    "Baseline",
    "Calibration",
    "GateOutcome",
    "GateResult",
    "ItemChange",
    "MetricFacts",
    "Need",
    "Observations",
    "Rates",
    "RuleResult",
    "VariantFacts",
    "align",
    "annotations",
    "calibrate",
    "calibrate_gate",
    "check_gate",
    "decide",
    "decide_gate",
    "find_baseline",
    "gate_of",
    "get_baseline",
    "junit_xml",
    "list_baselines",
    "markdown_summary",
    "needs_baseline",
    "next_look",
    "observe",
    "read_baseline_file",
    "set_baseline",
    "unset_baseline",
    "worsened",
    "write_baseline_file",
    "write_outputs",
]
