"""Over time: control charts, run lengths, changepoints."""

from bakeoff.stats.drift._changepoint import ChangePoint, find_changepoint
from bakeoff.stats.drift._charts import ControlChart, between_run_sd, control_chart
from bakeoff.stats.drift._run_length import ChartKind, chart_threshold, run_length, simulate_run_lengths

__all__ = [
    "ChangePoint",
    "ChartKind",
    "ControlChart",
    "between_run_sd",
    "chart_threshold",
    "control_chart",
    "find_changepoint",
    "run_length",
    "simulate_run_lengths",
]
