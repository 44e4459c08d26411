"""The span tree of a trial: order, offsets, and traces that somebody else has written."""

from __future__ import annotations

import json
from math import isnan
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bakeoff
from bakeoff.agents import trial_spans
from bakeoff.errors import SpecError

if TYPE_CHECKING:
    from pathlib import Path

    from bakeoff.experiments import LocalStore


def test_of_a_real_run(store: LocalStore) -> None:
    rows = [{"id": "a", "question": "What is 2 + 2?", "expected": "4"}]
    agent = {
        "model": "m",
        "steps": {"plan": {"prompt": "Plan: {{ question }}"}, "reply": {"prompt": "{{ plan }} {{ question }}"}},
        "flow": ["plan", "reply"],
    }
    spec = {
        "name": "spans", "dataset": {"rows": rows}, "models": {"m": "sim/small"},
        "targets": {"t": {"agent": agent}}, "variants": {"one": {"target": "t"}}, "evaluators": ["exact_match"],
        "mlflow": False,
    }  # fmt: skip
    result = bakeoff.run(spec, store=store.paths.root)
    trial = store.trials(result.run_id).to_pylist()[0]
    spans = trial_spans(trial["trace"])
    assert [(one.depth, one.kind) for one in spans] == [
        (0, "agent"), (1, "step"), (2, "model"), (1, "step"), (2, "model"),
    ]  # fmt: skip
    root, plan, call, reply, _ = spans
    assert plan.parent == root.id
    assert call.parent == plan.id
    assert root.start_ms == 0.0
    assert root.end_ms == pytest.approx(plan.duration_ms + reply.duration_ms, abs=0.01)
    assert plan.end_ms <= reply.start_ms
    assert call.input_tokens
    assert call.output_tokens is not None
    assert root.duration_ms == pytest.approx(trial["latency_ms"], abs=0.01)


def test_a_failed_trial_keeps_what_happened_until_then(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(
        "def breaks(plan):\n    raise RuntimeError('no luck with ada@example.org, tiger-and-lamb')\n"
    )
    rows = [{"id": "a", "question": "What is 2 + 2?", "expected": "4"}]
    agent = {
        "model": "m",
        "steps": {"plan": {"prompt": "Plan: {{ question }}"}, "tell": {"python": "mine.py:breaks"}},
        "flow": ["plan", "tell"],
    }
    spec: dict[str, Any] = {
        "name": "spans", "dataset": {"rows": rows}, "models": {"m": "sim/small"},
        "targets": {"t": {"agent": agent}}, "variants": {"one": {"target": "t"}}, "evaluators": ["exact_match"],
        "mlflow": False,
    }  # fmt: skip
    guards = [{"check": "pii", "action": "redact"}]
    monkeypatch.setenv("SOME_API_KEY", "tiger-and-lamb")
    for changes in ({}, {"guards": guards}, {"targets": {"t": {"agent": {**agent, "guards": guards}}}}):
        (tmp_path / "spec.yaml").write_text(json.dumps({**spec, **changes}))
        result = bakeoff.run(tmp_path / "spec.yaml", store=store.paths.root)
        trial = store.trials(result.run_id).to_pylist()[0]
        assert (trial["ok"], trial["error_kind"]) == (False, "target")
        spans = trial_spans(trial["trace"])
        assert [(one.depth, one.kind, one.name) for one in spans] == [
            (0, "agent", "t"), (1, "step", "plan"), (2, "model", spans[2].name), (1, "step", "tell"),
        ]  # fmt: skip
        assert "RuntimeError" in str(spans[3].error)
        assert "tiger-and-lamb" not in trial["trace"] + trial["error"], "a function may quote its environment"
        assert ("ada@example.org" in trial["trace"]) is not bool(changes), "guards hide it here, too"
    frame = result.to_frame()
    assert frame["exact_match"].isna().all(), "a failed trial is missing, never zero"


def test_circles_and_lost_parents_stand_at_the_top() -> None:
    rows = [
        {"id": 1, "name": "a", "parent": 2, "start_ms": 5},
        {"id": 2, "name": "b", "parent": 1, "start_ms": 1},
        {"id": 3, "name": "c", "parent": 99, "start_ms": 0},
        {"id": 4, "name": "self", "parent": 4, "start_ms": 9},
    ]
    spans = trial_spans(rows)
    assert [(one.name, one.depth, one.parent) for one in spans] == [
        ("c", 0, None), ("a", 0, None), ("b", 1, 1), ("self", 0, None),
    ]  # fmt: skip


def test_what_a_trace_does_not_say_is_not_invented() -> None:
    (span,) = trial_spans([{"name": "x", "type": "tool", "end_ms": float("inf"), "tokens": "many", "cost": None}])
    assert isnan(span.start_ms)
    assert isnan(span.end_ms)
    assert isnan(span.duration_ms)
    assert (span.kind, span.input_tokens, span.cost_usd) == ("tool", None, None)
    assert trial_spans(None) == ()
    assert trial_spans("") == ()


@pytest.mark.parametrize("text", ["{", '{"id": 1}', "7"])
def test_a_text_that_is_no_list_of_spans_is_said_so(text: str) -> None:
    with pytest.raises(SpecError, match="is not a JSON list of spans"):
        trial_spans(text)


_rows = st.lists(
    st.one_of(
        st.integers(),
        st.fixed_dictionaries(
            {},
            optional={
                "id": st.one_of(st.integers(0, 6), st.sampled_from(["", "1", "x"])),
                "parent": st.one_of(st.none(), st.integers(0, 6), st.sampled_from(["", "1", "x"])),
                "start_ms": st.one_of(st.floats(), st.none(), st.sampled_from(["", "1", "x"])),
                "end_ms": st.floats(),
                "tokens": st.one_of(st.lists(st.floats(), max_size=3), st.none()),
            },
        ),
    ),
    max_size=12,
)


@given(_rows)
def test_every_span_is_drawn_once_below_its_parent(rows: list[object]) -> None:
    spans = trial_spans(rows)  # type: ignore[arg-type]
    assert len(spans) == sum(isinstance(row, dict) for row in rows)
    assert len({one.id for one in spans}) == len(spans)
    depth = {}
    for one in spans:
        assert one.depth == (0 if one.parent is None else depth[one.parent] + 1)
        depth[one.id] = one.depth
        assert not one.duration_ms < 0
    assert trial_spans(json.dumps(rows)) == spans or any(isnan(one.start_ms) or isnan(one.end_ms) for one in spans)
