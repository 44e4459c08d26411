"""Pieces of pages as HTML. Everything that comes from outside passes through `h` on its way in."""

from __future__ import annotations

import json
from math import isfinite, isnan
from typing import TYPE_CHECKING

from bakeoff.app._text import h, named, number, percent, signed
from bakeoff.reports import amount_usd

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bakeoff.experiments import Analysis, Comparison, MetricAnalysis, VariantScore

__all__ = [
    "chip",
    "comparisons",
    "empty",
    "error",
    "hero",
    "inputs",
    "leaderboard",
    "pre",
    "split",
    "tiles",
    "warnings",
]

TONES = {
    "better": "good", "worse": "bad", "equivalent": "same", "inconclusive": "open", "higher": "other",
    "lower": "other",
}  # fmt: skip
_MARKS = {"better": "▲", "worse": "▼", "equivalent": "=", "inconclusive": "?", "higher": "▲", "lower": "▼"}
_MOST_ROWS = 60
_STATES = {"complete": "good", "running": "key", "partial": "open", "interrupted": "bad", "paused": "open"}


def wrap(content: str, *classes: str) -> str:
    """Put content into the block that carries the type styles."""
    return f'<div class="{" ".join(("bo", *classes))}">{content}</div>'


def chip(text: str, tone: str) -> str:
    """Return a small coloured word; `tone` is good, bad, same, open, other or key."""
    return f'<span class="bo-chip bo-{h(tone)}">{h(text, 60)}</span>'


def verdict_chip(label: str) -> str:
    """Return the word of a verdict with its mark, so that colour is never the only sign."""
    return f'<span class="bo-chip bo-{TONES.get(label, "open")}">{_MARKS.get(label, "")} {h(label)}</span>'


def state_chip(state: str) -> str:
    """Return the state of a run."""
    return chip(state, _STATES.get(state, "open"))


def tiles(entries: Iterable[tuple[str, str]]) -> str:
    """Return figures with their captions: (value, caption)."""
    cells = "".join(f"<div><b>{h(value)}</b><span>{h(caption)}</span></div>" for value, caption in entries)
    return wrap(f'<div class="bo-tiles">{cells}</div>')


def empty(mark: str, title: str, text: str) -> str:
    """Return what a page shows when there is nothing to show: why, and what to do."""
    return wrap(
        f'<div class="bo-card bo-empty"><div class="mark">{h(mark)}</div><h3>{h(title)}</h3><p>{h(text)}</p></div>'
    )


def error(message: object) -> str:
    """Return an error in its own words."""
    return wrap(f'<div class="bo-error">{h(message, 4000)}</div>')


def warnings(entries: Sequence[str], title: str = "Before you believe this") -> str:
    """Return what a careful reader must know."""
    rows = "".join(f"<li>{h(entry, 600)}</li>" for entry in entries)
    return wrap(f'<div class="bo-warn"><b>{h(title)}</b><ul>{rows}</ul></div>')


def pre(text: object, limit: int = 20_000, *, css: str = "") -> str:
    """Return text exactly as it is, in a box of its own."""
    whole = str(text)
    cut = h(whole[:limit])
    more = f'<div class="bo-soft">… {len(whole) - limit:,} more characters</div>' if len(whole) > limit else ""
    return f'<pre class="{css}">{cut}</pre>{more}'


def inputs(values: Mapping[str, object], limit: int = 20_000) -> str:
    """Return the inputs of an item under "Asked": the only one as it is, each of several under its name."""
    texts = {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
        for name, value in values.items()
    }
    if len(texts) == 1:
        return f'<div class="bo-label">Asked</div>{pre(next(iter(texts.values())), limit)}'
    return "".join(
        f'<div class="bo-label">Asked: {h(name, 80)}</div>{pre(text, limit, css="short")}'
        for name, text in texts.items()
    )


def hero(analysis: Analysis, metric: MetricAnalysis, *, title: str = "") -> str:
    """Return the verdict in words: the answer, and what it rests on; `title` instead of the analysis's headline."""
    labels = [comparison.label for comparison in metric.comparisons]
    order = ("better", "worse", "higher", "lower", "equivalent", "inconclusive")
    tone = next((TONES[word] for word in order if word in labels), "open")
    lead = max(metric.comparisons, key=_strength, default=None)
    is_primary = metric.metric == analysis.primary
    title = title or (analysis.headline if is_primary else _headline(metric))
    facts = [
        f"{'Primary metric' if is_primary else 'Metric'}: {metric.metric}",
        f"{analysis.n_items:,} items" + (f" × {analysis.repeats} repeats" if analysis.repeats > 1 else ""),
        f"{100 * analysis.confidence:g}% intervals",
        *([f"margin {_amount(analysis.margin, metric)}"] if analysis.margin is not None else []),
        *([f"corrected by {analysis.correction}"] if analysis.corrects(metric) else []),
    ]
    eyebrow = "".join(f"<span>{h(fact, 120)}</span>" for fact in facts)
    simulated = chip("simulated", "other") if analysis.is_simulated else ""
    words = f"<p>{h(lead.words, 700)}</p>" if lead is not None else ""
    return wrap(
        f'<div class="bo-card bo-hero bo-{tone}"><div class="bo-eyebrow">{eyebrow}{simulated}</div>'
        f"<h2>{h(title, 400)}</h2>{words}</div>"
    )


def _strength(comparison: Comparison) -> tuple[bool, float]:
    estimate = comparison.difference.estimate
    return comparison.label != "inconclusive", abs(estimate) if isfinite(estimate) else -1.0


def _headline(metric: MetricAnalysis) -> str:
    if not metric.comparisons:
        return f"{metric.metric}: nothing to compare with."
    said = [f"{c.candidate} is {_said(c.label)} {c.baseline}" for c in metric.comparisons[:4]]
    more = len(metric.comparisons) - len(said)
    return f"On {metric.metric}: {'; '.join(said)}{f'; {more} more' if more > 0 else ''}."


def _said(label: str) -> str:
    words = {"equivalent": "equivalent to", "inconclusive": "not shown to differ from"}
    return words.get(label, f"{label} than")


def _amount(value: float, metric: MetricAnalysis) -> str:
    return f"{100 * value:g} points" if metric.kind == "binary" else f"{value:g}"


def shown(value: float, metric: MetricAnalysis) -> str:
    """Write a value of a metric: pass rates in percent."""
    return percent(value) if metric.kind == "binary" else number(value)


class _Scale:
    """Places values on a line from `low` to `high`, in percent."""

    def __init__(self, values: Iterable[float], *, zero: bool = False) -> None:
        finite = [value for value in values if isfinite(value)] + ([0.0] if zero else [])
        self.low, self.high = (min(finite), max(finite)) if finite else (0.0, 1.0)
        pad = (self.high - self.low) * 0.07 or abs(self.high) * 0.1 or 0.5
        self.low, self.high = self.low - pad, self.high + pad

    def at(self, value: float) -> float:
        return 100 * (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        from math import ceil, floor, log10

        rough = (self.high - self.low) / 3
        power = 10.0 ** floor(log10(rough))
        step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough)
        first = ceil(self.low / step)
        return [round(index * step, 12) for index in range(first, floor(self.high / step) + 1)]


def _bar(
    scale: _Scale, estimate: float, low: float, high: float, tone: str, *, marks: str = "", base: bool = False
) -> str:
    if isnan(estimate):
        return f'<div class="bo-bar">{marks}</div>'
    line = ""
    if not (isnan(low) or isnan(high)):
        left, right = scale.at(low), scale.at(high)
        line = f'<i style="left:{left:.2f}%;width:{right - left:.2f}%"></i>'
    dot = f'<u class="{"base" if base else ""}" style="left:{scale.at(estimate):.2f}%"></u>'
    return f'<div class="bo-bar bo-{tone}">{marks}{line}{dot}</div>'


def _axis(scale: _Scale, metric: MetricAnalysis, *, difference: bool = False) -> tuple[str, str]:
    """Return the labels of an axis, and the lines that continue it into the rows."""
    ticks = scale.ticks()
    points = metric.kind == "binary"
    names = [signed(t, points=points) if difference else (percent(t, 0) if points else number(t)) for t in ticks]
    labels = "".join(
        f'<span style="left:{scale.at(t):.2f}%">{"0" if not t and difference else name}</span>'
        for t, name in zip(ticks, names, strict=True)
    )
    lines = "".join(
        f'<s class="{"zero" if not t and difference else ""}" style="left:{scale.at(t):.2f}%"></s>' for t in ticks
    )
    return f'<div class="bo-axis">{labels}</div>', lines


def leaderboard(analysis: Analysis, metric: MetricAnalysis, models: dict[str, str]) -> str:
    """Return the leaderboard: every variant with its interval, best first."""
    every = sorted(metric.scores, key=lambda row: row.rank)
    rows = every[:_MOST_ROWS]
    ends = [end for row in rows for end in (row.estimate.low, row.estimate.high, row.estimate.estimate)]
    scale = _Scale(ends)
    axis, lines = _axis(scale, metric)
    used = {entry.variant: entry for entry in analysis.resources}
    body = []
    for row in rows:
        resource = used[row.variant]
        base = row.variant == analysis.baseline
        place = "–" if isnan(row.estimate.estimate) else f"{row.rank}"
        note = models.get(row.variant, "")
        tag = " · baseline" if base else ""
        under = f"<small>{h(note, 60)}{tag}</small>" if note or base else ""
        bar = _bar(
            scale,
            row.estimate.estimate,
            row.estimate.low,
            row.estimate.high,
            "open" if base else "key",
            marks=lines,
            base=base,
        )
        per_thousand = 1000 * resource.cost_usd_per_trial
        body.append(
            f"<tr><td class=r>{place}</td><td class=name>{named(row.variant)}{under}</td><td class=bar>{bar}</td>"
            f'<td class="r main"><b>{h(shown(row.estimate.estimate, metric))}</b></td>'
            f'<td class=r data-name="interval">{h(_interval(row, metric))}</td>'
            f'<td class=r data-name="trials missing">{row.n_missing:,}</td>'
            f'<td class=r data-name="USD / 1k trials">{h(amount_usd(per_thousand))}</td>'
            f'<td class=r data-name="p50 ms">{_ms(resource.latency_p50_ms)}</td>'
            f'<td class=r data-name="p95 ms">{_ms(resource.latency_p95_ms)}</td></tr>'
        )
    unit = "% passed" if metric.kind == "binary" else metric.unit or "mean"
    head = (
        f"<tr><th class=r>#</th><th>Variant</th><th class=bar>{axis}</th><th class=r>{h(unit, 24)}</th>"
        f"<th class=r>{100 * analysis.confidence:g}% interval</th><th class=r>Trials missing</th>"
        "<th class=r>USD / 1k trials</th><th class=r>p50 ms</th><th class=r>p95 ms</th></tr>"
    )
    note = _more(len(every) - len(rows))
    return wrap(f'<div class="bo-card bo-scroll"><table class="bo-stack">{head}{"".join(body)}</table>{note}</div>')


def _more(count: int) -> str:
    return f'<div class="bo-soft">{count:,} more are in the export.</div>' if count > 0 else ""


def _ms(value: float) -> str:
    return "–" if isnan(value) else f"{value:,.0f}"


def _interval(row: VariantScore, metric: MetricAnalysis) -> str:
    low, high = row.estimate.low, row.estimate.high
    if isnan(low) or isnan(high):
        return "–"
    return f"{shown(low, metric)} – {shown(high, metric)}"


def comparisons(analysis: Analysis, metric: MetricAnalysis) -> str:
    """Return every comparison as a row: verdict, pair, difference with its interval, items better and worse."""
    rows = metric.comparisons[:_MOST_ROWS]
    ends = [end for c in rows for end in (c.difference.low, c.difference.high, c.difference.estimate)]
    if analysis.margin is not None:
        ends += [-analysis.margin, analysis.margin]
    scale = _Scale(ends, zero=True)
    axis, lines = _axis(scale, metric, difference=True)
    if analysis.margin is not None:
        left, right = scale.at(-analysis.margin), scale.at(analysis.margin)
        lines = f'<em style="left:{left:.2f}%;width:{right - left:.2f}%"></em>' + lines
    points = metric.kind == "binary"
    up, down = direction_words(metric.higher_is_better)
    body = []
    for c in rows:
        d = c.difference
        p = d.p_adjusted if not isnan(d.p_adjusted) else d.p_value
        bar = _bar(scale, d.estimate, d.low, d.high, TONES[c.label], marks=lines)
        interval = "–" if isnan(d.low) else f"{signed(d.low, points=points)} to {signed(d.high, points=points)}"
        body.append(
            f"<tr><td>{verdict_chip(c.label)}</td>"
            f"<td class=name>{named(c.candidate)}<small>vs {named(c.baseline)}</small></td>"
            f'<td class=bar>{bar}</td><td class="r main"><b>{h(signed(d.estimate, points=points))}</b></td>'
            f'<td class=r data-name="interval">{h(interval)}</td>'
            f'<td class=r data-name="adjusted p">{_p(p)}</td>'
            f'<td class=r data-name="items"><div>{c.improved:,} <span class=bo-soft>{up}</span> <br>{c.regressed:,} '
            f"<span class=bo-soft>{down}</span></div></td></tr>"
        )
    unit = "points" if points else metric.unit or "difference"
    head = (
        f"<tr><th>Verdict</th><th>Comparison</th><th class=bar>{axis}</th><th class=r>{h(unit, 24)}</th>"
        f"<th class=r>{100 * analysis.confidence:g}% interval</th><th class=r>Adjusted p</th>"
        "<th class=r>Items</th></tr>"
    )
    note = _more(len(metric.comparisons) - len(rows))
    return wrap(f'<div class="bo-card bo-scroll"><table class="bo-stack">{head}{"".join(body)}</table>{note}</div>')


def direction_words(higher_is_better: bool | None) -> tuple[str, str]:
    """Return what is said of items that went up and down; neutral where the metric takes no side."""
    return ("higher", "lower") if higher_is_better is None else ("better", "worse")


def _p(value: float) -> str:
    return "–" if isnan(value) else "&lt; 0.0001" if value < 0.0001 else f"{value:.2g}"


def split(improved: int, same: int, regressed: int, names: tuple[str, str, str] = ("better", "same", "worse")) -> str:
    """Return how many items went which way, as one bar."""
    parts = [(improved, "good", names[0]), (same, "mute", names[1]), (regressed, "bad", names[2])]
    bars = "".join(f'<div class="bo-{tone}" style="flex:{count}"></div>' for count, tone, _ in parts if count)
    legend = "".join(f'<span><i class="bo-{tone}"></i><b>{count:,}</b> {h(name)}</span>' for count, tone, name in parts)
    return wrap(f'<div class="bo-split">{bars}</div><div class="bo-legend">{legend}</div>')


def progress(done: int, failed: int, total: int) -> str:
    """Return a bar: answered, failed, to come."""
    whole = max(total, 1)
    good, bad = 100 * max(done, 0) / whole, 100 * max(failed, 0) / whole
    return (
        f'<div class="bo-progress" role="progressbar" aria-valuenow="{done + failed}" aria-valuemax="{total}">'
        f'<div class="bo-key" style="width:{good:.2f}%"></div><div class="bo-bad" style="width:{bad:.2f}%"></div></div>'
    )
