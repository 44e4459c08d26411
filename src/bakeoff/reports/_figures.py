"""Figures of an analysis in Plotly: one theme, colour-blind safe, readable in light and dark.

Names and texts that come from users or models are escaped: Plotly reads a subset of HTML in them.
"""

from __future__ import annotations

import html
from math import isfinite, nan
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import plotly.graph_objects as go
    from numpy.typing import NDArray

    from bakeoff.experiments import Analysis, MetricAnalysis, VariantScore

__all__ = [
    "PALETTE",
    "VERDICT_COLOURS",
    "Mode",
    "cost_quality_figure",
    "distribution_figure",
    "dress",
    "error_bars",
    "forest_figure",
    "leaderboard_figure",
    "matrix_figure",
    "safe",
    "scale_of",
    "unit_of",
]

Mode = Literal["light", "dark"]

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#B8A900", "#7A7A7A")
"""Okabe and Ito's colours, distinguishable with any kind of colour vision."""

VERDICT_COLOURS = {
    "better": "#009E73",
    "worse": "#D55E00",
    "higher": "#7A5195",
    "lower": "#7A5195",
    "equivalent": "#0072B2",
    "inconclusive": "#8A8A8A",
}
"""By `Comparison.label`: verdicts, and what is said where neither direction is better."""
_SYMBOLS = {
    "better": "triangle-up",
    "worse": "triangle-down",
    "higher": "triangle-up",
    "lower": "triangle-down",
    "equivalent": "square",
    "inconclusive": "circle-open",
}
_INK = {"light": "#1f2430", "dark": "#e8eaf0"}
_GRID = "rgba(128, 134, 150, 0.22)"
_ZERO = "rgba(128, 134, 150, 0.95)"
_ROW_PX = 46


def safe(text: object, limit: int = 60) -> str:
    """Make text from outside harmless and short enough for a label."""
    cut = str(text)
    cut = cut if len(cut) <= limit else cut[: limit - 1] + "…"
    return html.escape(cut)


def forest_figure(analysis: Analysis, metric: str | None = None, *, mode: Mode = "light") -> go.Figure:
    """Draw the difference of each comparison with its interval; what touches zero is not shown to differ."""
    import plotly.graph_objects as go

    chosen = analysis.metric(metric)
    scale = scale_of(chosen)
    figure = go.Figure()
    many = len({comparison.baseline for comparison in chosen.comparisons}) > 1
    labels = [safe(f"{c.candidate} vs {c.baseline}" if many else c.candidate) for c in chosen.comparisons]
    for word, colour in VERDICT_COLOURS.items():
        rows = [(label, c) for label, c in zip(labels, chosen.comparisons, strict=True) if c.label == word]
        if not rows:
            continue
        values = [c.difference.estimate * scale for _, c in rows]
        lows = [c.difference.low * scale for _, c in rows]
        highs = [c.difference.high * scale for _, c in rows]
        figure.add_trace(
            go.Scatter(
                x=values,
                y=[label for label, _ in rows],
                mode="markers",
                name=word,
                marker={"color": colour, "size": 12, "symbol": _SYMBOLS[word], "line": {"width": 2, "color": colour}},
                error_x=error_bars(values, lows, highs, colour),
                customdata=[[c.difference.p_adjusted, c.improved, c.regressed] for _, c in rows],
                hovertemplate="<b>%{y}</b><br>%{x:.3g}<br>adjusted p %{customdata[0]:.2g}<br>"
                "%{customdata[1]} items better, %{customdata[2]} worse<extra>" + word + "</extra>",
            )
        )
    figure.add_vline(x=0, line={"color": _ZERO, "width": 1.5})
    if analysis.margin is not None and chosen.role == "primary":  # it was declared for that metric
        figure.add_vrect(
            x0=-analysis.margin * scale, x1=analysis.margin * scale, fillcolor="#0072B2", opacity=0.08, line_width=0
        )
    against = "" if many else f" minus {safe(analysis.baseline)}"
    title = f"Difference in {safe(chosen.metric)}{against}{unit_of(chosen, difference=True)}"
    return dress(figure, mode, rows=len(labels), x_title=title)


def leaderboard_figure(analysis: Analysis, metric: str | None = None, *, mode: Mode = "light") -> go.Figure:
    """Draw the mean of each variant with its interval, best on top."""
    import plotly.graph_objects as go

    chosen = analysis.metric(metric)
    scale = scale_of(chosen)
    rows = sorted(chosen.scores, key=lambda row: row.rank)
    values = [row.estimate.estimate * scale for row in rows]
    names = [safe(row.variant) for row in rows]
    colour = PALETTE[0]
    figure = go.Figure(
        go.Scatter(
            x=values,
            y=names,
            mode="markers",
            showlegend=False,
            marker={
                "size": 12,
                "color": [PALETTE[1] if row.variant == analysis.baseline else colour for row in rows],
                "symbol": ["diamond" if row.variant == analysis.baseline else "circle" for row in rows],
            },
            error_x=error_bars(
                values, [r.estimate.low * scale for r in rows], [r.estimate.high * scale for r in rows], "#7A7A7A"
            ),
            customdata=[[row.n_items, row.n_missing] for row in rows],
            hovertemplate="<b>%{y}</b><br>%{x:.4g}<br>%{customdata[0]} items, %{customdata[1]} trials missing"
            "<extra></extra>",
        )
    )
    title = f"{safe(chosen.metric)}{unit_of(chosen)}, {100 * analysis.confidence:g}% interval (◆ baseline)"
    return dress(figure, mode, rows=len(rows), x_title=title)


def cost_quality_figure(analysis: Analysis, metric: str | None = None, *, mode: Mode = "light") -> go.Figure:
    """Draw quality against cost: up and to the left is better."""
    import plotly.graph_objects as go

    chosen = analysis.metric(metric)
    scale = scale_of(chosen)
    cost = {entry.variant: entry.cost_usd_per_trial * 1000 for entry in analysis.resources}
    rows: list[VariantScore] = [row for row in chosen.scores if isfinite(cost[row.variant])]
    figure = go.Figure()
    for index, row in enumerate(rows):
        value = row.estimate.estimate * scale
        colour = PALETTE[index % len(PALETTE)]
        figure.add_trace(
            go.Scatter(
                x=[cost[row.variant]],
                y=[value],
                mode="markers+text",
                name=safe(row.variant),
                text=[safe(row.variant, 28)],
                textposition="middle right",
                marker={"size": 13, "color": colour},
                error_y=error_bars([value], [row.estimate.low * scale], [row.estimate.high * scale], colour),
                hovertemplate="<b>%{text}</b><br>$%{x:.4g} per 1,000 trials<br>%{y:.4g}<extra></extra>",
                showlegend=False,
            )
        )
    dress(figure, mode, rows=0, x_title="Cost (USD per 1,000 trials)")
    figure.update_layout(height=420)
    figure.update_yaxes(title=f"{safe(chosen.metric)}{unit_of(chosen)}", autorange=True, automargin=True)
    most = max((cost[row.variant] for row in rows), default=1.0) or 1.0
    figure.update_xaxes(range=[-0.04 * most, 1.25 * most])
    return figure


def distribution_figure(
    scores: Sequence[tuple[str, NDArray[np.float64]]], metric: MetricAnalysis, *, mode: Mode = "light"
) -> go.Figure:
    """Draw how the scores of each variant are spread: shares for few values, outlines of histograms for many.

    The bins are counted here, and are the same for all variants; the page gets outlines, not scores.
    """
    import numpy as np
    import plotly.graph_objects as go

    figure = go.Figure()
    present = [(name, values[np.isfinite(values)]) for name, values in scores]
    distinct = np.unique(np.concatenate([values for _, values in present])) if present else np.array([])
    edges = np.histogram_bin_edges(distinct, bins=40) if len(distinct) else np.array([0.0, 1.0])
    for index, (name, values) in enumerate(present):
        colour = PALETTE[index % len(PALETTE)]
        if len(distinct) <= 12:
            shares = [float((values == value).mean()) * 100 if values.size else nan for value in distinct]
            ticks = ["fail", "pass"] if metric.kind == "binary" else [f"{value:g}" for value in distinct]
            ticks = ticks if len(ticks) == len(distinct) else [f"{value:g}" for value in distinct]
            figure.add_trace(go.Bar(x=ticks, y=shares, name=safe(name), marker={"color": colour}))
        else:
            share = np.histogram(values, bins=edges)[0] / max(1, values.size) * 100
            figure.add_trace(
                go.Scatter(
                    x=np.repeat(edges, 2)[1:-1], y=np.repeat(share, 2), mode="lines", name=safe(name),
                    line={"color": colour, "width": 2}, fill="tozeroy" if len(present) <= 3 else None,
                    fillcolor=_faint(colour), hovertemplate="%{x:.4g}: %{y:.3g}%<extra>" + safe(name, 40) + "</extra>",
                )
            )  # fmt: skip
    dress(figure, mode, rows=0, x_title=f"{safe(metric.metric)}{unit_of(metric)}")
    figure.update_layout(height=360, barmode="group", showlegend=True)
    figure.update_yaxes(title="Share of scores (%)", autorange=True)
    return figure


def matrix_figure(
    values: NDArray[np.float64], items: Sequence[str], variants: Sequence[str], metric: str, *, mode: Mode = "light"
) -> go.Figure:
    """Draw items x variants as a heat map; a gap is a missing score.

    Args:
        values: Shape (items, variants), item means.
        items: Ids, shown on the vertical axis.
        variants: Names, shown on the horizontal axis.
        metric: Name of the metric.
        mode: Light or dark page.
    """
    import numpy as np
    import plotly.graph_objects as go

    two = bool(np.isin(values[~np.isnan(values)], (0.0, 1.0)).all())
    figure = go.Figure(
        go.Heatmap(
            z=values,
            x=[safe(name, 28) for name in variants],
            y=[safe(item, 24) for item in items],
            colorscale="Cividis",
            colorbar={"title": safe(metric, 20)} | ({"tickvals": [0, 1], "ticktext": ["0", "1"]} if two else {}),
            hoverongaps=False,
            xgap=2,
            ygap=1,
            hovertemplate="item %{y}<br>%{x}: %{z:.3g}<extra></extra>",
        )
    )
    dress(figure, mode, rows=0, x_title="")
    figure.update_layout(height=max(320, min(1400, 18 * len(items) + 140)))
    figure.update_xaxes(side="top", type="category")
    figure.update_yaxes(title="Item", type="category", autorange="reversed")
    return figure


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, 0.14)"


def scale_of(metric: MetricAnalysis) -> float:
    """Return what values are multiplied with to be drawn: pass rates in percent."""
    return 100.0 if metric.kind == "binary" else 1.0


def unit_of(metric: MetricAnalysis, *, difference: bool = False) -> str:
    """Return the unit of a metric for the title of an axis."""
    if metric.kind == "binary":
        return " (percentage points)" if difference else " (% passed)"
    return f" ({metric.unit})" if metric.unit else ""


def error_bars(values: Sequence[float], lows: Sequence[float], highs: Sequence[float], colour: str) -> dict[str, Any]:
    """Return the whiskers of an interval."""
    up = [high - value if isfinite(high) else 0.0 for value, high in zip(values, highs, strict=True)]
    down = [value - low if isfinite(low) else 0.0 for value, low in zip(values, lows, strict=True)]
    return {
        "type": "data", "symmetric": False, "array": up, "arrayminus": down,
        "color": colour, "thickness": 2.2, "width": 6,
    }  # fmt: skip


def dress(figure: go.Figure, mode: Mode, *, rows: int, x_title: str) -> go.Figure:
    """Give a figure the one look; `rows` of categories decide its height."""
    ink = _INK[mode]
    figure.update_layout(
        font={"family": "Inter, system-ui, -apple-system, Segoe UI, sans-serif", "size": 14, "color": ink},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        colorway=list(PALETTE),
        margin={"l": 8, "r": 16, "t": 24, "b": 56},
        height=max(200, 110 + _ROW_PX * rows),
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0, "title": None},
        hoverlabel={"align": "left"},
    )
    figure.update_xaxes(title=x_title, gridcolor=_GRID, zeroline=False, automargin=True, linecolor=_GRID)
    figure.update_yaxes(gridcolor=_GRID, automargin=True, zeroline=False)
    if rows:
        figure.update_yaxes(autorange="reversed", type="category", categoryorder="trace")
    return figure
