"""Reports: a finished analysis as tables, figures, files and words."""

from bakeoff.reports._bar import ProgressBar, amount_usd, duration
from bakeoff.reports._behind import effects_figure
from bakeoff.reports._export import EXPORT_FORMATS, export_run
from bakeoff.reports._figures import (
    cost_quality_figure,
    distribution_figure,
    forest_figure,
    leaderboard_figure,
    matrix_figure,
)
from bakeoff.reports._frames import comparison_frame, leaderboard_frame, trial_frame
from bakeoff.reports._html import write_report
from bakeoff.reports._result import RunResult
from bakeoff.reports._tradeoff import AXIS_WORDS, axis_value, tradeoff_figure

__all__ = [
    "AXIS_WORDS",
    "EXPORT_FORMATS",
    "ProgressBar",
    "RunResult",
    "amount_usd",
    "axis_value",
    "comparison_frame",
    "cost_quality_figure",
    "distribution_figure",
    "duration",
    "effects_figure",
    "export_run",
    "forest_figure",
    "leaderboard_figure",
    "leaderboard_frame",
    "matrix_figure",
    "tradeoff_figure",
    "trial_frame",
    "write_report",
]
