"""A run as one HTML file: opens offline, loads nothing, and shows untrusted text as text."""

from __future__ import annotations

import html
from math import inf, isnan
from typing import TYPE_CHECKING, Any

from bakeoff._version import version
from bakeoff.errors import StoreError
from bakeoff.experiments import analyse, insights, show, show_labels, tied_words, write_atomically
from bakeoff.reports._bar import amount_usd, duration
from bakeoff.reports._behind import behind_section
from bakeoff.reports._figures import VERDICT_COLOURS, cost_quality_figure, forest_figure, leaderboard_figure
from bakeoff.reports._tiers import read_choosing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bakeoff.experiments import Analysis, Insights, LocalStore, Manifest, MetricAnalysis
    from bakeoff.reports._tiers import Choosing

__all__ = ["write_report"]

_MAX_EXAMPLES = 12
_MAX_TEXT = 1200

_STYLE = """
:root { color-scheme: light dark; --ink:#1f2430; --soft:#5b6270; --line:#e3e6ec; --card:#ffffff; --page:#f6f7fa;
  --warn:#fff4d6; --warnink:#5c4300 }
@media (prefers-color-scheme: dark) { :root { --ink:#e8eaf0; --soft:#a5acba; --line:#343a48; --card:#1b1f29;
  --page:#12151c; --warn:#3a3010; --warnink:#ffe6a3 } .js-plotly-plot text { fill:#e8eaf0 !important } }
* { box-sizing:border-box } body { margin:0; background:var(--page); color:var(--ink);
  font:16px/1.55 Inter,system-ui,-apple-system,"Segoe UI",sans-serif }
main { max-width:1080px; margin:0 auto; padding:32px 20px 80px }
h1 { font-size:30px; line-height:1.2; margin:0 0 4px } h2 { font-size:20px; margin:0 0 12px }
.sub { color:var(--soft); margin:0 0 24px } section { background:var(--card); border:1px solid var(--line);
  border-radius:12px; padding:22px 24px; margin:0 0 20px; overflow-x:auto }
.headline { font-size:22px; line-height:1.4; font-weight:600; margin:0 }
.warn { background:var(--warn); color:var(--warnink); border:0 } .warn ul { margin:0; padding-left:20px }
table { border-collapse:collapse; width:100%; font-size:14.5px; font-variant-numeric:tabular-nums }
th { text-align:left; color:var(--soft); font-weight:600; border-bottom:1px solid var(--line); padding:6px 10px;
  white-space:nowrap } td { padding:7px 10px; border-bottom:1px solid var(--line); vertical-align:top }
td.n,th.n { text-align:right; white-space:nowrap }
.tag { display:inline-block; padding:1px 9px; border-radius:99px; color:#fff; font-size:13px;
  font-weight:600 } .facts { display:grid; grid-template-columns:repeat(auto-fit,minmax(150px,1fr));
  gap:14px } .facts div { color:var(--soft); font-size:13px } .facts b { display:block; color:var(--ink);
  font-size:19px } pre { white-space:pre-wrap; overflow-wrap:anywhere; margin:0; font:13px/1.5 ui-monospace,
  SFMono-Regular,Menlo,monospace } details { border-top:1px solid var(--line); padding:10px 0 } summary {
  cursor:pointer; font-weight:600 } .pair { display:grid; grid-template-columns:1fr 1fr; gap:16px; margin-top:10px }
.pair h4 { margin:0 0 6px; font-size:13px; color:var(--soft) } p.words { margin:6px 0 14px } h2.next { margin-top:22px }
@media (max-width:700px) { .pair { grid-template-columns:1fr } h1 { font-size:24px } }
"""


def write_report(store: LocalStore, run_id: str, path: Path | None = None) -> Path:
    """Write the report of a run; return where it is.

    Args:
        store: Where the run is.
        run_id: The run.
        path: File to write; `report.html` in the run's folder when omitted.

    Raises:
        StoreError: The file cannot be written.
    """
    target = path or store.run_paths(run_id).folder / "report.html"
    analysis = analyse(store, run_id)
    page = render_report(
        analysis,
        store.manifest(run_id),
        _examples(store, run_id, analysis.primary),
        choosing=read_choosing(store, analysis),
        behind=insights(store, run_id),
    )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, page.encode("utf-8", "replace"))
        target.chmod(0o644)
    except OSError as error:
        raise StoreError(
            f"the report {str(target)!r} cannot be written: {error.strerror}\n"
            f"    fix: choose another place: bakeoff report {run_id} --out FILE"
        ) from error
    return target


def render_report(
    analysis: Analysis,
    manifest: Manifest,
    examples: list[dict[str, Any]],
    *,
    choosing: Sequence[Choosing] = (),
    behind: Insights | None = None,
) -> str:
    """Return the page."""
    primary = analysis.metric(analysis.primary) if analysis.metrics else None
    figures: list[tuple[str, Any]] = []
    if primary is not None and primary.kind != "label":
        if primary.comparisons:
            figures.append((f"How much better or worse on {primary.metric}", forest_figure(analysis)))
        figures.append((f"Leaderboard on {primary.metric}", leaderboard_figure(analysis)))
        if any(entry.cost_usd_per_trial > 0 for entry in analysis.resources):
            figures.append(("Quality against cost", cost_quality_figure(analysis)))
    body = [
        f"<h1>{_e(analysis.name)}</h1>",
        f'<p class="sub">{_e(manifest.description) or "Experiment report"} &middot; run {_e(analysis.run_id)}</p>',
        f'<section><p class="headline">{_e(analysis.headline)}</p></section>',
        _warnings(analysis),
        _facts(analysis),
    ]
    for index, (title, figure) in enumerate(figures):
        chart = figure.to_html(
            full_html=False,
            include_plotlyjs=index == 0,
            div_id=f"figure-{index}",
            config={"displaylogo": False, "responsive": True, "toImageButtonOptions": {"format": "svg"}},
        )
        body.append(f"<section><h2>{_e(title)}</h2>{chart}</section>")
    body += [_metric(metric, analysis) for metric in analysis.metrics]
    body += [
        behind_section(behind, points=primary is not None and primary.kind == "binary") if behind is not None else "",
        _segments(analysis),
        _allocation(analysis),
        _resources(analysis),
        _choosing(choosing, analysis),
        _flips(examples, analysis),
        _methods(analysis, manifest),
    ]
    policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{_e(analysis.name)} - Bakeoff</title><style>{_STYLE}</style></head><body><main>"
        + "\n".join(body)
        + "</main></body></html>"
    )


_CONTROL = dict.fromkeys([*range(9), 11, 12, *range(14, 32), 127], "\N{REPLACEMENT CHARACTER}")


def _e(text: object) -> str:
    """Escape a text; control characters, which HTML does not have, become a visible mark."""
    return html.escape(str(text).translate(_CONTROL))


def _number(value: float, digits: int = 3) -> str:
    return "-" if isnan(value) else f"{value:.{digits}g}"


def _warnings(analysis: Analysis) -> str:
    if not analysis.warnings:
        return ""
    entries = "".join(f"<li>{_e(warning)}</li>" for warning in analysis.warnings)
    return f'<section class="warn"><h2>Before you believe this</h2><ul>{entries}</ul></section>'


def _facts(analysis: Analysis) -> str:
    facts = [
        (len(analysis.resources), "variants"),
        (f"{analysis.n_items:,}", "items"),
        (analysis.repeats, "repeats"),
        (f"{analysis.trials:,} of {analysis.planned_trials:,}", "trials"),
        (f"{analysis.failed:,}", "failed"),
        (amount_usd(analysis.cost_usd), "spent"),
        *([(amount_usd(analysis.judging_usd), "of it on judging")] if analysis.judging_usd > 0 else []),
        (duration(analysis.seconds), "run time"),
    ]
    cells = "".join(f"<div><b>{_e(value)}</b>{_e(name)}</div>" for value, name in facts)
    return f'<section><div class="facts">{cells}</div></section>'


def _metric(metric: MetricAnalysis, analysis: Analysis) -> str:
    rows = "".join(
        f"<tr><td class=n>{'-' if isnan(row.estimate.estimate) else row.rank}</td><td>{_e(row.variant)}</td>"
        f"<td class=n>{_e(show_labels(row.labels) if row.labels else show(row.estimate.estimate, metric))}"
        f"</td><td class=n>{_e(show(row.estimate.low, metric))} to {_e(show(row.estimate.high, metric))}</td>"
        f"<td class=n>{row.n_items:,}</td><td class=n>{row.n_missing:,}</td><td>{_e(row.estimate.method)}</td></tr>"
        for row in sorted(metric.scores, key=lambda row: row.rank)
    )
    head = f"<h2>{_e(metric.metric)}{' (primary)' if metric.role == 'primary' else ''}</h2>"
    interval = f"{100 * analysis.confidence:g}% interval"
    table = (
        "<table><tr><th class=n>#</th><th>Variant</th><th class=n>Mean</th>"
        f"<th class=n>{interval}</th><th class=n>Items</th><th class=n>Trials missing</th><th>Method</th></tr>"
        f"{rows}</table>"
    )
    return f"<section>{head}{table}{_tied(metric)}{_comparisons(metric)}</section>"


def _tied(metric: MetricAnalysis) -> str:
    return f"<p class=words>{_e(tied_words(metric))}</p>" if metric.tied else ""


def _gap(value: float, points: bool) -> str:
    return "-" if isnan(value) else f"{100 * value:+.1f} pts" if points else f"{value:+.3g}"


def _span(low: float, high: float, points: bool) -> str:
    if isnan(low) and isnan(high):
        return "-"
    if high == inf:
        return f"{_gap(low, points)} or more"
    return f"{_gap(high, points)} or less" if low == -inf else f"{_gap(low, points)} to {_gap(high, points)}"


def _comparisons(metric: MetricAnalysis) -> str:
    if not metric.comparisons:
        return ""
    points = metric.kind == "binary"
    rows = []
    for c in metric.comparisons:
        p = c.difference.p_adjusted
        rows.append(
            f'<tr><td><span class="tag" style="background:{VERDICT_COLOURS[c.label]}">{c.label}</span></td>'
            f"<td>{_e(c.candidate)} vs {_e(c.baseline)}</td><td class=n>{_gap(c.difference.estimate, points)}</td>"
            f"<td class=n>{_span(c.difference.low, c.difference.high, points)}</td>"
            f"<td class=n>{'&lt;0.0001' if p < 0.0001 else _number(p, 2)}</td><td class=n>{c.improved}</td>"
            f"<td class=n>{c.regressed}</td></tr><tr><td></td><td colspan=6>{_e(c.words)}</td></tr>"
        )
    return (
        "<h2 class=next>Comparisons</h2><table><tr><th>Verdict</th><th>Pair</th><th class=n>Difference</th>"
        "<th class=n>Interval</th><th class=n>Adjusted p</th><th class=n>Items better</th><th class=n>Items worse</th>"
        f"</tr>{''.join(rows)}</table>"
    )


def _segments(analysis: Analysis) -> str:
    if not analysis.segments:
        return ""
    rows: list[str] = []
    for segment in analysis.segments:
        points = segment.metric.kind == "binary"
        rows += [
            f"<tr><td>{_e(segment.field)} = {_e(segment.value)}</td><td class=n>{segment.n_items:,}</td>"
            f"<td>{_e(c.candidate)} vs {_e(c.baseline)}</td>"
            f"<td class=n>{_gap(c.difference.estimate, points)}</td>"
            f"<td class=n>{_span(c.difference.low, c.difference.high, points)}</td>"
            f'<td><span class="tag" style="background:{VERDICT_COLOURS[c.label]}">{c.label}</span></td></tr>'
            for c in segment.metric.comparisons
        ]
    return (
        f"<section><h2>{_e(analysis.primary)} by segment</h2><p class=words>Exploratory; p-values are adjusted within "
        "each field.</p><table><tr><th>Segment</th><th class=n>Items</th><th>Pair</th><th class=n>Difference</th>"
        f"<th class=n>Interval</th><th>Verdict</th></tr>{''.join(rows)}</table></section>"
    )


def _allocation(analysis: Analysis) -> str:
    if not analysis.allocation:
        return ""
    confirmed = f"<p>{_e(analysis.confirmation.words)}</p>" if analysis.confirmation else ""
    return f"<section><h2>What was run, and what was saved</h2><p>{_e(analysis.allocation)}</p>{confirmed}</section>"


def _resources(analysis: Analysis) -> str:
    rows = "".join(
        f"<tr><td>{_e(r.variant)}</td><td class=n>{r.trials:,}</td><td class=n>{r.failed:,}</td>"
        f"<td class=n>{amount_usd(r.cost_usd)}</td><td class=n>{_number(r.latency_p50_ms)}</td>"
        f"<td class=n>{_number(r.latency_p95_ms)}</td><td class=n>{_number(r.ttft_p50_ms)}</td>"
        f"<td class=n>{_number(r.input_tokens)}</td><td class=n>{_number(r.output_tokens)}</td></tr>"
        for r in analysis.resources
    )
    return (
        "<section><h2>Cost and speed</h2><table><tr><th>Variant</th><th class=n>Trials</th><th class=n>Failed</th>"
        "<th class=n>Cost</th><th class=n>p50 ms</th><th class=n>p95 ms</th><th class=n>First token ms</th>"
        f"<th class=n>Tokens in</th><th class=n>Tokens out</th></tr>{rows}</table></section>"
    )


def _choosing(choosing: Sequence[Choosing], analysis: Analysis) -> str:
    if not choosing:
        return ""
    metric = analysis.metric(analysis.primary)
    parts: list[str] = []
    for one in choosing:
        rows = "".join(
            f"<tr><td>{_e(row.step)}</td><td class=n>{'routed' if row.tier is None else row.tier}</td>"
            f"<td>{_e(row.model)}</td><td class=n>{row.trials:,}</td><td class=n>{100 * row.share:.0f}%</td>"
            f"<td class=n>{_e(show(row.score, metric))}</td><td class=n>{_e(amount_usd(row.cost_usd))}</td></tr>"
            for row in one.tiers
        )
        said: list[str] = []
        if one.regret is not None:
            said.append(one.regret.sentence)
            if not isnan(one.regret.regret):
                costs = f"{amount_usd(one.cost_usd)} a trial, {amount_usd(one.fixed_cost_usd)} there"
                said.append(f"It costs {costs}.")
        said += [f"When it was fitted: {sentence}" for sentence in one.fitted]
        parts.append(
            f"<h2 class=next>{_e(one.variant)}</h2><p class=words>{_e(' '.join(said))}</p>"
            "<table><tr><th>Step</th><th class=n>Tier</th><th>Model</th><th class=n>Trials</th><th class=n>Share</th>"
            f"<th class=n>{_e(metric.metric)}</th><th class=n>Cost a trial</th></tr>{rows}</table>"
        )
    about = (
        "Scores by tier describe, they do not compare: hard items go up by design. Regret does: it sets the variant "
        "against the fixed variant that is best on other items."
    )
    return f"<section><h2>Which model answered</h2><p class=words>{about}</p>{''.join(parts)}</section>"


def _examples(store: LocalStore, run_id: str, metric: str) -> list[dict[str, Any]]:
    """Return items on which some variants passed and others did not, or differ most, with their outputs."""
    manifest = store.manifest(run_id)
    if len(manifest.variants) < 2 or not store.run_paths(run_id).trials.exists():
        return []
    query = """
        WITH means AS (SELECT item, avg(value) AS value, variant FROM scores
                       WHERE metric = ? AND value IS NOT NULL GROUP BY item, variant),
             spread AS (SELECT item, max(value) - min(value) AS gap FROM means GROUP BY item HAVING count(*) > 1),
             picked AS (SELECT item FROM spread WHERE gap > 0 ORDER BY gap DESC, item LIMIT ?)
        SELECT t.item_id, t.variant, s.value, t.output, i.inputs, i.expected
        FROM picked p JOIN trials t USING (item)
        LEFT JOIN scores s ON s.item = t.item AND s.variant = t.variant AND s.repeat = t.repeat AND s.metric = ?
        LEFT JOIN items i ON i.id = t.item_id
        WHERE t.repeat = 0 ORDER BY p.item
    """
    with store.connect([run_id]) as connection:
        rows = connection.execute(query, [metric, _MAX_EXAMPLES, metric]).fetchall()
    grouped: dict[str, dict[str, Any]] = {}
    for item_id, variant, value, output, inputs, expected in rows:
        entry = grouped.setdefault(item_id, {"item": item_id, "inputs": inputs, "expected": expected, "answers": []})
        entry["answers"].append((variant, value, output))
    return list(grouped.values())


def _flips(examples: list[dict[str, Any]], analysis: Analysis) -> str:
    if not examples:
        return ""
    parts = []
    for example in examples:
        answers = "".join(
            f"<div><h4>{_e(variant)}: {'no score' if value is None else f'{value:g}'}</h4>"
            f"<pre>{_e((output or '(failed)')[:_MAX_TEXT])}</pre></div>"
            for variant, value, output in example["answers"]
        )
        asked = _e((example["inputs"] or "")[:_MAX_TEXT])
        wanted = _e((example["expected"] or "")[:_MAX_TEXT])
        glance = _e((example["inputs"] or "")[:110])
        parts.append(
            f"<details><summary>Item {_e(example['item'])} <span class=sub>{glance}</span></summary><pre>{asked}</pre>"
            f"<p class=words>Expected: <code>{wanted}</code></p><div class=pair>{answers}</div></details>"
        )
    return f"<section><h2>Where the variants differ on {_e(analysis.primary)}</h2>{''.join(parts)}</section>"


def _methods(analysis: Analysis, manifest: Manifest) -> str:
    warnings = {w for metric in analysis.metrics for row in metric.scores for w in row.estimate.warnings}
    notes = "".join(f"<li>{_e(note)}</li>" for note in sorted(warnings))
    versions = ", ".join(f"{name} {value}" for name, value in manifest.environment.items() if name != "host")
    git = manifest.git.get("commit", "")[:12]
    return (
        f"<section><h2>Methods</h2><p>{_e(analysis.methods)}</p>{f'<ul>{notes}</ul>' if notes else ''}"
        f'<p class="sub">Data {_e(analysis.dataset)}. {f"Commit {_e(git)}. " if git else ""}'
        f"{_e(versions)}. Written by Bakeoff {_e(version())}.</p></section>"
    )
