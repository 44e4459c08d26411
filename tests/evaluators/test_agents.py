"""Turn by turn, and who handed over to whom: on transcripts, traces of our own agents, and tool calls."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bakeoff
from bakeoff.evaluators import EvaluatorContext, Score, load_evaluator, score_sync, score_trial
from bakeoff.evaluators.testing import ScriptedClient
from bakeoff.experiments import open_store

TALK = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello, how can I help?"},
    {"role": "user", "content": "Where is my parcel?"},
    {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "track", "arguments": "{}"}}]},
    {"role": "tool", "content": "sorry, unknown"},
]


def one(spec: Any, **context: Any) -> Score:
    fields: dict[str, Any] = {"output": "I do not know.", **context}
    (score,) = score_sync([load_evaluator(spec)], EvaluatorContext(**fields))
    return score


@pytest.mark.parametrize(
    ("spec", "value"),
    [
        ({"check": {"contains": "o"}}, True),
        ({"check": {"contains": "Hello"}}, False),
        ({"check": {"contains": "Hello"}, "need": "any"}, True),
        ({"check": {"contains": "Hello"}, "need": "share"}, 0.5),
        ({"check": {"contains": "parcel"}, "role": "user", "need": "any"}, True),
        ({"check": {"contains": "sorry"}, "need": "any"}, False),  # tools are nobody's turn
        ({"check": {"contains": "Hello"}, "not": True}, True),
        ({"check": {"contains": "Hello"}, "need": "share", "threshold": 0.5}, True),
    ],
)
def test_each_turn_is_judged(spec: Any, value: Any) -> None:
    assert one({"turn_checks": spec}, messages=TALK).value == value


def test_the_reason_names_the_turn_and_the_last_answer_is_not_counted_twice() -> None:
    failed = one({"turn_checks": {"check": {"contains": "Hello"}}}, messages=TALK)
    assert str(failed.reason).startswith("turn 2 failed")
    said = [*TALK, {"role": "assistant", "content": "I do not know."}]
    assert one({"turn_checks": {"check": {"contains": "Hello"}}}, messages=said).details["turns"] == 2
    as_output = one({"turn_checks": {"check": {"contains": "Hello"}}}, output={"messages": TALK[:3]})
    assert as_output.value is True


@pytest.mark.parametrize(
    ("context", "message"),
    [
        ({"messages": []}, "no messages"),
        ({"messages": [{"role": "user", "content": "x"}], "output": "  "}, "says anything"),
    ],
)
def test_without_a_conversation_there_is_no_score(context: Any, message: str) -> None:
    score = one({"turn_checks": {"check": {"contains": "x"}}}, **context)
    assert score.value is None
    assert message in str(score.error)


def test_a_judge_sees_what_was_said_before_each_turn() -> None:
    answers = ['{"reason": "kind", "pass": true}', '{"reason": "curt", "pass": false}']
    client = ScriptedClient(answers)
    judge = {"judge": {"model": "any", "question": "Is the reply kind?"}}
    context = EvaluatorContext(output="I do not know.", messages=TALK, client=client)
    (score,) = asyncio.run(score_trial([load_evaluator({"turn_checks": {"check": judge}})], context))
    assert score.value is False
    assert score.reason == "turn 2 failed (curt)"
    assert score.cost_usd == pytest.approx(0.02)
    first, second = (str(request.messages[-1]["content"]) for request in client.requests)
    assert "Where is my parcel?" not in first
    assert "Where is my parcel?" in second


TRACE = [
    {"id": 0, "name": "desk", "kind": "agent"},
    {"id": 1, "name": "handoff", "kind": "handoff", "parent": 0},
    {"id": 2, "name": "billing", "kind": "step", "parent": 1},
    {"id": 3, "name": "handoff to sales", "kind": "handoff"},
    {"id": 4, "kind": "handoff", "to": "billing"},
]


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"order": ["billing", "sales"]}, None),
        ({"order": ["sales", "billing"]}, None),
        ({"order": ["sales", "sales"]}, "not handed over to 'sales' in this order"),
        ({"order": ["legal"]}, "not handed over to 'legal'"),
        ({"forbidden": ["sales"]}, "handed over to 'sales'"),
        ({"max_handoffs": 2}, "3 hand-offs; at most 2"),
        ({"max_returns": 0}, "1 returns"),
        ({"expected_path": "expected"}, "expected billing, sales"),
        ({"order": ["billing"], "last": 1}, None),
    ],
)
def test_handoffs_on_a_trace(spec: Any, problem: str | None) -> None:
    score = one({"handoffs": spec}, trace=TRACE, expected=["billing", "sales"])
    assert score.value is (problem is None)
    assert (problem or "") in str(score.reason)


def test_nobody_should_get_it() -> None:
    spec = {"handoffs": {"expected_path": "metadata.team"}}
    assert one(spec, metadata={"team": []}).value is True
    assert one(spec, metadata={"team": []}, tool_calls=[{"name": "handoff_to_sales"}]).value is False
    assert one(spec, metadata={}).value is None


def test_handoffs_of_an_agent_that_really_ran(tmp_path: Any) -> None:
    quick = {"model": "sim/small", "params": {"sim": {"time_scale": 0}}}
    run = bakeoff.run(
        {
            "name": "desk",
            "dataset": {"rows": [{"id": "1", "question": "refund", "expected": ["billing"]}]},
            "models": {"small": quick},
            "prompts": {"front": "Sort: {{ question }}", "pay": "Refund: {{ question }}"},
            "targets": {
                "desk": {
                    "agent": {
                        "model": "small",
                        "steps": {"front": {"prompt": "front"}, "billing": {"prompt": "pay"}},
                        "flow": ["front", {"handoff": ["billing"]}],
                    }
                }
            },
            "evaluators": [{"handoffs": {"expected_path": "expected"}}],
            "mlflow": False,
        },
        store=tmp_path,
    )
    (row,) = open_store(tmp_path).scores(run.run_id).to_pylist()
    assert (row["value"], row["error"]) == (1.0, None)


def test_the_toxicity_judge_names_the_harms_it_looks_for() -> None:
    client = ScriptedClient(['{"reason": "hate: ...", "pass": false}'])
    judge = load_evaluator({"toxicity": {"model": "any", "harms": ["hate", "mockery of small towns"]}})
    (score,) = asyncio.run(score_trial([judge], EvaluatorContext(output="You people!", client=client)))
    assert score.value is False
    asked = str(client.requests[0].messages)
    assert "mockery of small towns" in asked
    assert "origin, religion" in asked
    assert "self-harm" not in asked


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {"role": st.sampled_from(["user", "assistant", "tool"]), "content": st.none() | st.text()}
        )
    ),
    st.text(),
    st.lists(st.dictionaries(st.sampled_from(["id", "kind", "name", "parent", "to"]), st.text() | st.integers())),
)
def test_any_conversation_and_trace_gives_a_value_or_a_reason(
    messages: list[Any], output: str, trace: list[Any]
) -> None:
    for spec in ({"turn_checks": {"check": {"contains": "a"}, "need": "share"}}, {"handoffs": {"max_handoffs": 1}}):
        score = one(spec, messages=messages, output=output, trace=trace)
        assert (score.value is None) == (score.error is not None)
        assert score.value is None or 0 <= float(score.value) <= 1
        assert score == one(spec, messages=messages, output=output, trace=trace)
