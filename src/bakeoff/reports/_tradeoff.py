"""The Pareto front as a figure: quality upwards, what it takes to the right."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Literal

from bakeoff.reports._figures import PALETTE, Mode, dress, error_bars, safe, scale_of, unit_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import plotly.graph_objects as go

    from bakeoff.experiments import MetricAnalysis, TradeOff

__all__ = ["AXIS_WORDS", "axis_value", "tradeoff_figure"]

AXIS_WORDS: dict[str, tuple[str, str, float]] = {
    "cost": ("Cost", "USD per 1,000 trials", 1000.0),
    "latency_p50": ("Latency, median", "ms", 1.0),
    "latency_p95": ("Latency, 95th percentile", "ms", 1.0),
    "latency_mean": ("Latency, mean", "ms", 1.0),
    "ttft_p50": ("Time to first token, median", "ms", 1.0),
    "output_tokens": ("Tokens out", "tokens per trial", 1.0),
    "input_tokens": ("Tokens in", "tokens per trial", 1.0),
}
"""Name, unit and factor of each axis."""
_ON: dict[Mode, str] = {"light": PALETTE[0], "dark": PALETTE[4]}
_OFF = "#8A8A8A"


def axis_value(axis: str, value: float) -> float:
    """Return a value of an axis in the unit that it is shown in.

    Examples:
        >>> axis_value("cost", 0.002), axis_value("latency_p50", 12.0)
        (2.0, 12.0)
    """
    return value * AXIS_WORDS[axis][2]


def tradeoff_figure(
    trade: TradeOff, metric: MetricAnalysis, *, axis: str | None = None, mode: Mode = "light"
) -> go.Figure:
    """Draw quality against one axis, with intervals both ways, and the front of the two as a line.

    Filled points are on the front over all axes of the trade-off; a hollow one is beaten on everything at once. The
    line is the best quality to be had for so much of the axis that is drawn.

    Args:
        trade: What was found.
        metric: The metric of it, for its intervals.
        axis: Which of its axes to draw; the first when omitted.
        mode: Light or dark page.
    """
    import plotly.graph_objects as go

    drawn = axis or trade.axes[0]
    place = trade.axes.index(drawn)  # type: ignore[bad-argument-type]
    factor = AXIS_WORDS[drawn][2]
    scale = scale_of(metric)
    quality = {row.variant: row.estimate for row in metric.scores}
    points: list[tuple[str, float, float]] = []
    known = [factor * value for value in trade.front.values[:, place + 1].tolist() if isfinite(value)]
    middle = 0.6 * max(known, default=0.0)
    figure = go.Figure()
    for group, colour, name in ((True, _ON[mode], "on the front"), (False, _OFF, "beaten on everything")):
        rows = [
            (index, variant)
            for index, variant in enumerate(trade.front.variants)
            if bool(trade.front.on_front[index]) is group and _is_known(trade, metric, index, place)
        ]
        if not rows:
            continue
        x = [factor * trade.front.values[index, place + 1] for index, _ in rows]
        y = [scale * quality[variant].estimate for _, variant in rows]
        points += [(variant, a, b) for (_, variant), a, b in zip(rows, x, y, strict=True)]
        spread = [trade.spread[place][index] for index, _ in rows]
        chance = [_chance(float(trade.front.probability[index])) for index, _ in rows]
        figure.add_trace(
            go.Scatter(
                x=x, y=y, mode="markers+text", name=name, text=[safe(variant, 26) for _, variant in rows],
                textposition=["top left" if value > middle else "top right" for value in x],
                customdata=[[safe(variant, 80), share] for (_, variant), share in zip(rows, chance, strict=True)],
                marker={"size": 13, "color": colour, "symbol": "circle" if group else "circle-open",
                        "line": {"width": 2, "color": colour}},
                error_x=error_bars(x, [factor * e.low for e in spread], [factor * e.high for e in spread], colour),
                error_y=error_bars(
                    y, [scale * quality[v].low for _, v in rows], [scale * quality[v].high for _, v in rows], colour
                ),
                hovertemplate="<b>%{customdata[0]}</b><br>%{x:.4g}, %{y:.4g}<br>on the front in %{customdata[1]} of "
                "resamples<extra></extra>",
            )
        )  # fmt: skip
    line = _front([(a, b) for _, a, b in points], higher_is_better=trade.higher_is_better)
    figure.add_trace(
        go.Scatter(
            x=[a for a, _ in line], y=[b for _, b in line], mode="lines", name="front", hoverinfo="skip",
            line={"color": _ON[mode], "width": 2, "dash": "dot", "shape": "hv"},
        )
    )  # fmt: skip
    words, unit, _ = AXIS_WORDS[drawn]
    dress(figure, mode, rows=0, x_title=f"{words} ({unit})")
    figure.update_layout(height=440, legend={"traceorder": "normal"})
    ends = [factor * estimate.high for estimate in trade.spread[place] if isfinite(estimate.high)]
    most = max([a for _, a, _ in points] + ends, default=1.0)
    least = min((a for _, a, _ in points), default=0.0)
    room = (most - min(least, 0.0)) or 1.0
    figure.update_xaxes(range=[min(least, 0.0) - 0.04 * room, most + 0.05 * room])
    figure.update_yaxes(title=f"{safe(metric.metric)}{unit_of(metric)}", autorange=True, automargin=True)
    return figure


def _is_known(trade: TradeOff, metric: MetricAnalysis, index: int, place: int) -> bool:
    variant = trade.front.variants[index]
    score = next((row for row in metric.scores if row.variant == variant), None)
    return score is not None and isfinite(score.estimate.estimate) and isfinite(trade.front.values[index, place + 1])


def _chance(value: float) -> str:
    return f"{100 * value:.0f}%" if isfinite(value) else "an unknown share"


def _front(points: Sequence[tuple[float, float]], *, higher_is_better: bool) -> list[tuple[float, float]]:
    """Return the corners of the front over two axes, from the cheapest to the best."""
    sign: Literal[1, -1] = 1 if higher_is_better else -1
    best = float("-inf")
    corners: list[tuple[float, float]] = []
    for a, b in sorted(points, key=lambda point: (point[0], -sign * point[1])):
        if sign * b > best:
            best = sign * b
            corners.append((a, b))
    return corners
