"""A control chart as a picture: the metric from run to run, and how close CUSUM and EWMA are to their alarm."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.app._text import h

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from bakeoff.regression import Chart

__all__ = ["alarm_shares", "control_figure", "normal_level"]

_BLUE, _ORANGE, _RED, _GREY = "#0072B2", "#E69F00", "#D55E00", "#7A8296"


def normal_level(chart: Chart) -> float:
    """Return the mean score of the runs that say what is normal; `nan` when none has one."""
    kept = [level for level in chart.levels[: chart.reference_runs] if isfinite(level)]
    return float(np.mean(kept)) if kept else float("nan")


def alarm_shares(chart: Chart) -> tuple[list[float], list[float]]:
    """Return CUSUM and EWMA of each run as shares of their alarm limits: beyond 1 or -1 is an alarm."""
    cusum = [value / chart.cusum_limit if chart.cusum_limit > 0 else float("nan") for value in chart.cusum]
    ewma = [
        value / limit if limit > 0 else float("nan") for value, limit in zip(chart.ewma, chart.ewma_limits, strict=True)
    ]
    return cusum, ewma


def control_figure(chart: Chart, *, mode: str, percent: bool) -> go.Figure:
    """Draw one metric of one variant over its runs, with the control charts that decide below it.

    Args:
        chart: From `bakeoff.regression.monitor`.
        mode: `dark` or `light`.
        percent: The metric is a pass rate, shown in percent.
    """
    from plotly.subplots import make_subplots

    scale = 100.0 if percent else 1.0
    labels = [f"{t[5:16].replace('T', ' ')}<br>{h(run[-4:])}" for t, run in zip(chart.times, chart.runs, strict=True)]
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.07, row_heights=[0.6, 0.4])
    _levels(figure, chart, labels, scale)
    _shares(figure, chart, labels)
    _changepoint(figure, chart)
    ink = "#e8eaf0" if mode == "dark" else "#1f2430"
    grid = "rgba(128, 134, 150, 0.22)"
    figure.update_layout(
        paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)", height=470, font={"color": ink, "size": 14},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0}, hovermode="x unified",
    )  # fmt: skip
    figure.update_xaxes(type="category", gridcolor=grid, automargin=True, nticks=12)
    figure.update_xaxes(title="Run", row=2)
    unit = " (% passed)" if percent else ""
    figure.update_yaxes(title=f"{h(chart.metric, 40)}{unit}", row=1, gridcolor=grid, zeroline=False, automargin=True)
    figure.update_yaxes(
        title="Share of limit", row=2, gridcolor=grid, zeroline=False, automargin=True, tickformat=".0%"
    )
    return figure


def _levels(figure: go.Figure, chart: Chart, labels: list[str], scale: float) -> None:
    import plotly.graph_objects as go

    noise = [1.96 * scale * float(np.hypot(se, max(chart.between_sd, 0.0))) for se in chart.se]
    noise = [value if isfinite(value) else 0.0 for value in noise]
    alarms = chart.alarms
    figure.add_trace(
        go.Scatter(
            x=labels, y=[scale * level for level in chart.levels], mode="lines+markers", name="run",
            line={"color": _BLUE, "width": 2},
            marker={"size": [11 if a else 8 for a in alarms], "color": [_RED if a else _BLUE for a in alarms],
                    "symbol": ["diamond" if a else "circle" for a in alarms]},
            error_y={"type": "data", "array": noise, "thickness": 1.4, "width": 4, "color": _BLUE},
            hovertemplate="%{y:.4g}<extra>run</extra>",
        ), row=1, col=1,
    )  # fmt: skip
    normal = normal_level(chart)
    if isfinite(normal):
        figure.add_trace(
            go.Scatter(
                x=labels, y=[scale * normal] * len(labels), mode="lines", name="normal", hoverinfo="skip",
                line={"color": _GREY, "width": 1.5, "dash": "dash"},
            ), row=1, col=1,
        )  # fmt: skip


def _shares(figure: go.Figure, chart: Chart, labels: list[str]) -> None:
    import plotly.graph_objects as go

    cusum, ewma = alarm_shares(chart)
    for name, values, colour, dash in (("CUSUM", cusum, _GREY, "solid"), ("EWMA", ewma, _ORANGE, "dot")):
        figure.add_trace(
            go.Scatter(
                x=labels, y=values, mode="lines+markers", name=name, marker={"size": 5},
                line={"color": colour, "width": 2, "dash": dash}, hovertemplate="%{y:.0%} of its limit<extra>" + name
                + "</extra>",
            ), row=2, col=1,
        )  # fmt: skip
    for limit in (-1, 1):
        figure.add_hline(y=limit, row=2, col=1, line={"color": _RED, "width": 1.5, "dash": "dash"})


def _changepoint(figure: go.Figure, chart: Chart) -> None:
    """Shade the runs among which the change began, with 95% confidence."""
    if chart.changed_between is None or not chart.alarm:
        return
    low, high = (chart.runs.index(run) for run in chart.changed_between)
    figure.add_vrect(x0=low - 0.5, x1=high + 0.5, fillcolor=_RED, opacity=0.12, line_width=0, row="all", col=1)
