"""What a trial did and when: its spans as a Gantt chart, and its tool calls as a table."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from math import isfinite
from typing import TYPE_CHECKING, Any

from bakeoff.app._parts import chip, pre, wrap
from bakeoff.app._text import call_cost, defused, h, number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bakeoff.agents import TrialSpan

__all__ = ["gantt", "spans_csv", "tool_table"]

_MOST_SPANS = 200
_MOST_CHARS = 4000
_TONES = {
    "agent": "mute", "step": "open", "model": "key", "tool": "good", "retrieval": "same", "memory": "other",
    "guard": "bad", "approval": "bad", "handoff": "other", "context": "open",
}  # fmt: skip


def gantt(spans: Sequence[TrialSpan]) -> str:
    """Return spans as rows with a bar each, in drawing order; a row opens to show what went in and out.

    The kind stands beside each bar in words, so that colour is never the only sign. Spans without times have no bar.
    """
    ends = [span.end_ms for span in spans if isfinite(span.end_ms)]
    whole = max(ends, default=0.0)
    rows = "".join(_row(span, whole) for span in spans[:_MOST_SPANS])
    more = len(spans) - _MOST_SPANS
    note = f'<div class="bo-soft">{more:,} more spans are in the CSV.</div>' if more > 0 else ""
    ticks = "".join(
        f'<i style="left:{25 * step}%">{h(number(whole * step / 4))}{" ms" if step == 4 else ""}</i>'
        for step in range(5)
    )
    axis = ticks if whole > 0 else ""
    head = (
        f'<div class="row head"><span>Span</span><span class="track">{axis}</span>'
        "<span class=r>ms</span><span class=r>tokens</span><span class=r>USD</span></div>"
    )
    return wrap(f'<div class="bo-card bo-scroll"><div class="bo-gantt">{head}{rows}</div>{note}</div>')


def _row(span: TrialSpan, whole: float) -> str:
    bar = ""
    if whole > 0 and isfinite(span.start_ms) and isfinite(span.end_ms):
        left = min(100.0, max(0.0, 100 * span.start_ms / whole))
        width = min(100.0 - left, max(0.0, 100 * span.duration_ms / whole))
        bar = f'<b style="left:{left:.2f}%;width:{width:.2f}%"></b>'
    tokens = ""
    if span.input_tokens is not None or span.output_tokens is not None:
        tokens = f"{number(span.input_tokens)} → {number(span.output_tokens)}"
    cached = " · cached" if span.attributes.get("cached") else ""
    model = f" · {span.model}" if span.model else ""
    error = f" {chip('error', 'bad')}" if span.error else ""
    indent = min(span.depth, 8) * 0.9
    cells = (
        f'<span class="name" style="padding-left:{indent:.1f}rem">{h(span.name, 60)}{error}'
        f"<small>{h(span.kind, 20)}{h(model, 50)}{cached}</small></span>"
        f'<span class="track bo-{_TONES.get(span.kind, "open")}">{bar}</span>'
        f"<span class=r>{h(number(span.duration_ms))}</span><span class=r>{h(tokens)}</span>"
        f"<span class=r>{h(call_cost(span.cost_usd)) if span.cost_usd is not None else ''}</span>"
    )
    inside = _inside(span)
    if not inside:
        return f'<div class="row">{cells}</div>'
    return f'<details><summary class="row">{cells}</summary><div class="inside">{inside}</div></details>'


def _inside(span: TrialSpan) -> str:
    shown: dict[str, Any] = {"error": span.error} if span.error else {}
    shown |= {name: value for name, value in span.attributes.items() if value not in (None, "", [], {})}
    return "".join(
        f'<div class="bo-label">{h(name, 40)}</div>{pre(_written(value), _MOST_CHARS, css="short")}'
        for name, value in shown.items()
    )


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2, default=str)


def spans_csv(spans: Sequence[TrialSpan]) -> bytes:
    """Return spans as CSV, with what a spreadsheet would run as a formula defused.

    Examples:
        >>> spans_csv(()).decode().strip()
        'id,parent,depth,kind,name,start_ms,end_ms,duration_ms,model,input_tokens,output_tokens,cost_usd,error'
    """
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(
        [
            "id", "parent", "depth", "kind", "name", "start_ms", "end_ms", "duration_ms", "model", "input_tokens",
            "output_tokens", "cost_usd", "error",
        ]
    )  # fmt: skip
    for span in spans:
        row = (
            span.id, span.parent, span.depth, span.kind, span.name, span.start_ms, span.end_ms, span.duration_ms,
            span.model, span.input_tokens, span.output_tokens, span.cost_usd, span.error,
        )  # fmt: skip
        writer.writerow(["" if value != value else defused(value) for value in row])
    return sink.getvalue().encode(errors="replace")


def tool_table(calls: str | None) -> str:
    """Return the tool calls of a trial as a table: which tool, with which arguments. Empty when there are none."""
    if not calls:
        return ""
    try:
        found = json.loads(calls)
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(call, dict) for call in found):
        return wrap(pre(calls, _MOST_CHARS))
    rows = "".join(_call(place, call) for place, call in enumerate(found[:100], start=1))
    if not rows:
        return ""
    head = "<tr><th class=r>#</th><th>Tool</th><th>Arguments</th></tr>"
    more = f'<div class="bo-soft">{len(found) - 100:,} more.</div>' if len(found) > 100 else ""
    return wrap(f'<div class="bo-card bo-scroll"><table>{head}{rows}</table>{more}</div>')


def _call(place: int, call: Mapping[str, Any]) -> str:
    inner = call.get("function")
    function: Mapping[str, Any] = inner if isinstance(inner, dict) else call
    arguments = function.get("arguments", function.get("args", ""))
    if isinstance(arguments, str):
        with contextlib.suppress(ValueError):  # not JSON: shown as it is
            arguments = json.loads(arguments) if arguments else {}
    if isinstance(arguments, dict):
        shown = "".join(
            f"<div><span class=bo-soft>{h(name, 60)}</span> {h(_written(value), 600)}</div>"
            for name, value in list(arguments.items())[:30]
        )
    else:
        shown = h(_written(arguments), 1000)
    return f"<tr><td class=r>{place}</td><td class=name>{h(function.get('name', '?'), 80)}</td><td>{shown}</td></tr>"
