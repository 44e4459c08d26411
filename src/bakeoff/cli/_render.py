"""An analysis on a terminal."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING

from bakeoff.cli._common import console, printable, table

if TYPE_CHECKING:
    from rich.text import Text

    from bakeoff.experiments import Analysis, Insights, MetricAnalysis

__all__ = ["print_analysis", "print_insights"]

_STYLES = {
    "better": "bold green",
    "worse": "bold red",
    "higher": "bold magenta",
    "lower": "bold magenta",
    "equivalent": "bold blue",
    "inconclusive": "yellow",
}


def print_analysis(analysis: Analysis, *, metric: str | None = None, words: bool = False) -> None:
    """Print the answer first, then the leaderboard, the comparisons, and what to know before believing them."""
    from rich.text import Text

    out = console()
    out.print()
    out.print(Text(printable(analysis.headline), style="bold"))
    chosen = [analysis.metric(metric)] if metric else list(analysis.metrics)
    for entry in chosen:
        _leaderboard(analysis, entry)
        _tied(entry)
        _comparisons(analysis, entry, words=words)
    if analysis.segments and not metric:
        _segments(analysis)
    for text in (analysis.allocation, analysis.confirmation.words if analysis.confirmation else ""):
        if text:
            out.print(Text(printable(text)))
            out.print()
    if analysis.judging_usd > 0:
        _spent(analysis)
    for warning in analysis.warnings:
        out.print(Text(f"! {printable(warning)}", style="yellow"))
    if analysis.warnings:
        out.print()


def _spent(analysis: Analysis) -> None:
    """Say what judging cost: the costs of the leaderboard are those of the answers."""
    from bakeoff.reports import amount_usd

    answers = max(0.0, analysis.cost_usd - analysis.judging_usd)
    each = analysis.judging_usd / max(1, analysis.trials - analysis.failed)
    console().print(
        f"spent {amount_usd(analysis.cost_usd)}: {amount_usd(answers)} on answers, "
        f"{amount_usd(analysis.judging_usd)} on judging them ({amount_usd(each)} each)"
    )
    console().print()


def print_insights(found: Insights, *, points: bool, brief: bool = False) -> None:
    """Print what the factors do, and unless it is to be brief, how often k answers suffice and what else there is."""
    from rich.text import Text

    from bakeoff.reports import amount_usd

    scale, unit = (100, " pts") if points else (1, "")

    def gap(value: float) -> str:
        return "-" if isnan(value) else f"{scale * value:+.3g}{unit}"

    if found.effects is not None:
        rows = [
            (
                effect.name if place == 0 else "",
                contrast.label,
                gap(contrast.estimate),
                _span(gap(contrast.low), gap(contrast.high)),
                _p(effect.p_adjusted) if place == 0 else "",
            )
            for effect in found.effects.effects
            for place, contrast in enumerate(effect.contrasts)
        ]
        title = f"{found.metric}: what each factor does, p adjusted over the effects (Holm)"
        table(title, ["effect", "contrast", "difference", "interval", "p"], rows, right=(2, 3, 4))
    if brief:
        return
    if found.passes:
        ks = range(len(found.passes[0].any_of_k))
        rows = [
            (curves.variant, name, *(f"{100 * points_[k].estimate:.1f}%" for k in ks))
            for curves in found.passes
            for name, points_ in (("any of k right", curves.any_of_k), ("all of k right", curves.all_of_k))
        ]
        columns = ["variant", "", *(f"k={k + 1}" for k in ks)]
        table(f"{found.metric}: pass@k and pass^k", columns, rows, right=tuple(range(2, 2 + len(ks))))
    if found.choice.success_costs:
        rows = [
            (name, amount_usd(1000 * cost.estimate), _span(amount_usd(1000 * cost.low), amount_usd(1000 * cost.high)))
            for name, cost in found.choice.success_costs
        ]
        table(f"{found.metric}: what 1,000 successes cost", ["variant", "USD", "interval"], rows, right=(1, 2))
    for sentence in found.notes:
        console().print(Text(f"- {printable(sentence)}"))
    if found.notes:
        console().print()


def _p(value: float) -> str:
    return "-" if isnan(value) else "<0.0001" if value < 0.0001 else f"{value:.4f}"


def _leaderboard(analysis: Analysis, metric: MetricAnalysis) -> None:
    from bakeoff.experiments import show, show_labels
    from bakeoff.reports import amount_usd

    resources = {entry.variant: entry for entry in analysis.resources}
    rows = []
    for row in sorted(metric.scores, key=lambda row: row.rank):
        used = resources[row.variant]
        rows.append(
            (
                "-" if isnan(row.estimate.estimate) else row.rank,
                row.variant + (" (baseline)" if row.variant == analysis.baseline and len(metric.scores) > 1 else ""),
                show_labels(row.labels) if row.labels else show(row.estimate.estimate, metric),
                _span(show(row.estimate.low, metric), show(row.estimate.high, metric)),
                row.n_items,
                row.n_missing,
                amount_usd(used.cost_usd),
                _ms(used.latency_p50_ms),
                _ms(used.latency_p95_ms),
                "-" if isnan(used.output_tokens) else f"{used.input_tokens:.0f}/{used.output_tokens:.0f}",
            )
        )
    role = f", {metric.role if metric.role != 'other' else 'secondary'}" if len(analysis.metrics) > 1 else ""
    title = f"{metric.metric}{role}: leaderboard with {100 * analysis.confidence:g}% intervals"
    columns = ["#", "variant", "mean", "interval", "items", "trials missing", "cost", "p50", "p95", "tokens in/out"]
    table(title, columns, rows, right=(0, 2, 3, 4, 5, 6, 7, 8, 9))


def _segments(analysis: Analysis) -> None:
    from rich.text import Text

    from bakeoff.experiments import show

    rows: list[list[object]] = []
    for segment in analysis.segments:
        for c in segment.metric.comparisons:
            scale, unit = (100, " pts") if segment.metric.kind == "binary" else (1, "")
            gap, low, high = (
                "-" if isnan(value) else f"{scale * value:+.3g}{unit}"
                for value in (c.difference.estimate, c.difference.low, c.difference.high)
            )
            means = {row.variant: show(row.estimate.estimate, segment.metric) for row in segment.metric.scores}
            rows.append(
                [
                    f"{segment.field} = {segment.value}",
                    segment.n_items,
                    f"{c.candidate} vs {c.baseline}",
                    f"{means[c.candidate]} vs {means[c.baseline]}",
                    gap,
                    _span(low, high),
                    Text(c.label, style=_STYLES[c.label]),
                ]
            )
    title = f"{analysis.primary} by segment, p adjusted within each field (exploratory)"
    table(title, ["segment", "items", "pair", "means", "difference", "interval", "verdict"], rows, right=(1, 4, 5))


def _tied(metric: MetricAnalysis) -> None:
    from rich.text import Text

    from bakeoff.experiments import tied_words

    if not metric.tied:
        return
    console().print(Text(printable(f"{metric.metric}: {tied_words(metric)}")))
    console().print()


def _span(low: str, high: str) -> str:
    if high.lstrip("+$").startswith("inf"):
        return f"{low} or more"
    if low.lstrip("-$").startswith("inf"):
        return f"{high} or less"
    return "-" if low == high == "-" else f"{low} to {high}"


def _ms(value: float) -> str:
    if isnan(value):
        return "-"
    return f"{value / 1000:.2f} s" if value >= 1000 else f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"


def _comparisons(analysis: Analysis, metric: MetricAnalysis, *, words: bool) -> None:
    from rich.text import Text

    if not metric.comparisons:
        return
    points = metric.kind == "binary"

    def gap(value: float) -> str:
        if isnan(value):
            return "-"
        return f"{100 * value:+.1f} pts" if points else f"{value:+.3g}"

    rows: list[list[str | int | Text]] = []
    for c in metric.comparisons:
        p = c.difference.p_adjusted
        rows.append(
            [
                Text(c.label, style=_STYLES[c.label]),
                f"{c.candidate} vs {c.baseline}",
                gap(c.difference.estimate),
                _span(gap(c.difference.low), gap(c.difference.high)),
                _p(p),
                f"+{c.improved} -{c.regressed} ={c.same}",
                f"{c.difference.method}, {c.difference.test}",
            ]
        )
    correction = f", p adjusted by {analysis.correction}" if analysis.corrects(metric) else ""
    columns = ["verdict", "pair", "difference", "interval", "p", "items", "method"]
    table(f"{metric.metric}: paired by item{correction}", columns, rows, right=(2, 3, 4))
    if words:
        for c in metric.comparisons:
            console().print(Text(printable(c.words)))
            console().print()
