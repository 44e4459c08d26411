from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest

import bakeoff
from bakeoff.agents import trial_spans
from bakeoff.app._timeline import gantt, spans_csv, tool_table
from tests.app.support import HOSTILE
from tests.app.test_pages import open_page, text_of

TRACE = [
    {"id": 0, "name": "desk", "kind": "agent", "start_ms": 0, "end_ms": 200.0, "tokens": [12, 5], "cost": 0.002},
    {"id": 1, "name": "look up", "kind": "tool", "parent": 0, "start_ms": 50, "end_ms": 100, "output": "found"},
    {"id": 2, "name": "say", "kind": "model", "parent": 0, "start_ms": 100, "end_ms": 200, "model": "m-1"},
    {"id": 3, "name": "somewhere", "kind": "memory", "parent": 0},
]


def bars(shown: str) -> list[tuple[float, float]]:
    return [(float(a), float(b)) for a, b in re.findall(r'<b style="left:(-?[\d.]+)%;width:(-?[\d.]+)%">', shown)]


def test_bars_stand_where_the_time_was() -> None:
    shown = gantt(trial_spans(TRACE))
    assert bars(shown) == [(0.0, 100.0), (25.0, 25.0), (50.0, 50.0)], "a span without times has no bar"
    assert "12 → 5" in shown
    assert "$0.002" in shown
    assert shown.count("<details>") == 1, "only what holds something opens"


def test_numbers_out_of_order_stay_on_the_page() -> None:
    shown = gantt(trial_spans([{"name": "early", "start_ms": -50, "end_ms": 10}, {"name": "x", "start_ms": 1e308}]))
    assert len(bars(shown)) == 1
    for left, width in bars(shown):
        assert 0 <= left <= 100
        assert left + width <= 100.01


def test_hostile_spans_and_calls_are_text() -> None:
    trace = [{"name": HOSTILE, "kind": HOSTILE, "model": HOSTILE, "error": HOSTILE, HOSTILE: HOSTILE, "start_ms": 0}]
    calls = json.dumps([{"function": {"name": HOSTILE, "arguments": json.dumps({HOSTILE: HOSTILE})}}, {"x": 1}])
    for shown in (gantt(trial_spans(trace)), tool_table(calls), tool_table(HOSTILE), tool_table("[1]")):
        assert "<script" not in shown
        assert "<img" not in shown
        assert "\x1b" not in shown
        assert "\u202e" not in shown
    assert b"\n=1+1" not in spans_csv(trial_spans([{"name": "=1+1"}]))


def test_a_very_long_trace_is_cut_and_whole_in_the_csv() -> None:
    spans = trial_spans([{"name": f"s{k}", "output": "x" * 9000, "start_ms": k, "end_ms": k + 1} for k in range(900)])
    shown = gantt(spans)
    assert shown.count("<summary") == 200
    assert "700 more spans" in shown
    assert len(list(csv.reader(io.StringIO(spans_csv(spans).decode())))) == 901


def test_tool_calls_of_both_shapes() -> None:
    nested = {"id": "a", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Bern"}'}}
    shown = tool_table(json.dumps([nested, {"name": "time", "arguments": {"zone": "CET"}}]))
    for word in ("weather", "city", "Bern", "time", "zone", "CET"):
        assert word in shown
    assert tool_table(None) == tool_table("[]") == ""


def test_the_timeline_of_a_trial_is_on_its_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"id": f"i{k}", "q": f"question {k}", "a": "x"} for k in range(3)]
    bakeoff.run(
        {
            "name": "agents",
            "dataset": {"rows": rows, "id": "id", "inputs": ["q"], "expected": "a"},
            "models": {"small": {"model": "sim/small", "params": {"sim": {"time_scale": 0}}}},
            "targets": {"desk": {"agent": {"model": "small", "prompt": "{{ q }}"}}},
            "evaluators": [{"length": {"name": "size"}}],
            "mlflow": False,
        },
        store=tmp_path,
    )
    shown = text_of(open_page("items", tmp_path, monkeypatch, item="1"))
    assert "bo-gantt" in shown
    assert "question 1" in shown
