"""What a run says beyond its verdicts, as a section of the report."""

from __future__ import annotations

import html
from math import isnan
from typing import TYPE_CHECKING

from bakeoff.reports._bar import amount_usd
from bakeoff.reports._figures import PALETTE, dress, error_bars, safe

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from bakeoff.experiments import Insights
    from bakeoff.reports._figures import Mode
    from bakeoff.stats import Estimate

__all__ = ["behind_section", "effects_figure"]


def effects_figure(found: Insights, *, points: bool, mode: Mode = "light") -> go.Figure:
    """Draw each contrast of each effect with its interval; filled where the effect holds after correction.

    Args:
        found: Insights with effects.
        points: Whether differences are written in points of a pass rate.
        mode: Colours of text.
    """
    import plotly.graph_objects as go

    scale = 100 if points else 1
    figure = go.Figure()
    rows = [
        (safe(contrast.label, 80), contrast, effect)
        for effect in (found.effects.effects if found.effects is not None else ())
        for contrast in effect.contrasts
    ]
    alpha = 1 - found.effects.confidence if found.effects is not None else 0.05
    for name, holds in (("makes a difference", True), ("not shown to", False)):
        chosen = [row for row in rows if (row[2].p_adjusted <= alpha) == holds]
        values = [scale * contrast.estimate for _, contrast, _ in chosen]
        lows, highs = ([scale * getattr(c, end) for _, c, _ in chosen] for end in ("low", "high"))
        colour = PALETTE[0] if holds else "#8A8A8A"
        figure.add_trace(
            go.Scatter(
                x=values,
                y=[label for label, _, _ in chosen],
                mode="markers",
                name=name,
                marker={"color": colour, "size": 12, "symbol": "circle" if holds else "circle-open"},
                error_x=error_bars(values, lows, highs, colour),
                customdata=[[effect.p_adjusted] for _, _, effect in chosen],
                hovertemplate="<b>%{y}</b><br>%{x:.3g}<br>adjusted p %{customdata[0]:.2g}<extra></extra>",
            )
        )
    figure.add_vline(x=0, line={"color": "rgba(128, 134, 150, 0.95)", "width": 1.5})
    figure.update_yaxes(categoryorder="array", categoryarray=[label for label, _, _ in rows])
    title = f"Difference in {safe(found.metric)}{' (percentage points)' if points else ''}"
    return dress(figure, mode, rows=max(1, len(rows)), x_title=title)


def behind_section(found: Insights, *, points: bool) -> str:
    """Return the effects of factors, the pass curves and all sentences; empty when there is nothing to say.

    Args:
        found: Insights of the run.
        points: Whether differences are written in points of a pass rate.
    """
    parts = [_effects(found, points=points), _passes(found), _success_costs(found)]
    if found.notes:
        parts.append(f"<ul>{''.join(f'<li>{html.escape(sentence)}</li>' for sentence in found.notes)}</ul>")
    body = "".join(part for part in parts if part)
    return f"<section><h2>Behind the verdict on {html.escape(found.metric)}</h2>{body}</section>" if body else ""


def _effects(found: Insights, *, points: bool) -> str:
    if found.effects is None:
        return ""
    scale, unit = (100, " pts") if points else (1, "")

    def gap(value: float) -> str:
        return "-" if isnan(value) else f"{scale * value:+.3g}{unit}"

    rows = "".join(
        f"<tr><td>{html.escape(effect.name) if place == 0 else ''}</td><td>{html.escape(contrast.label)}</td>"
        f"<td class=n>{gap(contrast.estimate)}</td><td class=n>{gap(contrast.low)} to {gap(contrast.high)}</td>"
        f"<td class=n>{_p(effect.p_adjusted) if place == 0 else ''}</td></tr>"
        for effect in found.effects.effects
        for place, contrast in enumerate(effect.contrasts)
    )
    return (
        "<p class=words>What each factor does, averaged over the others; p-values adjusted over the effects (Holm)."
        "</p><table><tr><th>Effect</th><th>Contrast</th><th class=n>Difference</th><th class=n>Interval</th>"
        f"<th class=n>Adjusted p</th></tr>{rows}</table>"
    )


def _passes(found: Insights) -> str:
    if not found.passes:
        return ""
    ks = range(len(found.passes[0].any_of_k))
    head = "".join(f"<th class=n>k = {k + 1}</th>" for k in ks)
    rows = "".join(
        f"<tr><td>{html.escape(curves.variant)}</td><td>{name}</td>{''.join(_share(curve[k]) for k in ks)}</tr>"
        for curves in found.passes
        for name, curve in (("any of k right", curves.any_of_k), ("all of k right", curves.all_of_k))
    )
    return (
        "<h2 class=next>One answer, or the best of several</h2><p class=words>pass@k: the chance that one of k answers "
        f"is right; pass^k: that all k are.</p><table><tr><th>Variant</th><th></th>{head}</tr>{rows}</table>"
    )


def _success_costs(found: Insights) -> str:
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td><td class=n>{amount_usd(1000 * cost.estimate)}</td>"
        f"<td class=n>{amount_usd(1000 * cost.low)} to {amount_usd(1000 * cost.high)}</td></tr>"
        for name, cost in found.choice.success_costs
    )
    head = "<tr><th>Variant</th><th class=n>USD</th><th class=n>Interval</th></tr>"
    return f"<h2 class=next>What 1,000 successes cost</h2><table>{head}{rows}</table>" if rows else ""


def _share(estimate: Estimate) -> str:
    if isnan(estimate.estimate):
        return "<td class=n>-</td>"
    span = f"{100 * estimate.low:.0f} to {100 * estimate.high:.0f}" if not isnan(estimate.low) else "no interval"
    return f"<td class=n>{100 * estimate.estimate:.1f}%<br><small>{span}</small></td>"


def _p(value: float) -> str:
    return "-" if isnan(value) else "&lt;0.0001" if value < 0.0001 else f"{value:.2g}"
