"""Tool calls, ways and hand-offs in the forms in which providers and libraries write them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bakeoff.evaluators import EvaluatorContext, Score, load_evaluator, score_sync

SCHEMA = {
    "type": "object",
    "properties": {
        "n": {"type": "integer", "default": 10},
        "flag": {"type": "boolean"},
        "where": {"type": "object", "properties": {"unit": {"type": "string", "default": "m"}}},
        "tags": {"type": "array", "items": {"type": "object", "properties": {"x": {"type": "integer", "default": 0}}}},
    },
}
OPENAI_TOOL = {"type": "function", "function": {"name": "f", "parameters": SCHEMA}}
ANTHROPIC_TOOL = {"name": "f", "input_schema": SCHEMA}


def judge(spec: Any, expected: Any = None, **parts: Any) -> Score:
    return score_sync([load_evaluator(spec)], EvaluatorContext(**{"output": "", "expected": expected, **parts}))[0]


def call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"id": "1", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}


@pytest.mark.parametrize("tool", [OPENAI_TOOL, ANTHROPIC_TOOL])
@pytest.mark.parametrize(
    ("given", "wanted", "passes"),
    [
        ({"n": "5"}, {"n": 5}, True),
        ({"n": 5}, {"n": "5"}, True),
        ({"n": "5"}, {"n": 6}, False),
        ({"n": "five"}, {"n": 5}, False),
        ({"flag": "True"}, {"flag": True}, True),
        ({"flag": "1"}, {"flag": True}, False),
        ({}, {"n": 10}, True),
        ({"where": {}}, {"where": {"unit": "m"}}, True),
        ({"tags": [{}, {"x": 1}]}, {"tags": [{"x": 0}, {"x": "1"}]}, True),
        ({"tags": [{"x": 1}]}, {"tags": [{}]}, False),
    ],
)
def test_arguments_are_compared_by_the_schema(
    tool: dict[str, Any], given: dict[str, Any], wanted: dict[str, Any], passes: bool
) -> None:
    spec = {"tool_calls": {"tools": [tool]}}
    assert judge(spec, [{"name": "f", "arguments": wanted}], tool_calls=[call("f", given)]).value is passes


def test_without_a_schema_a_text_is_no_number() -> None:
    assert (
        judge("tool_calls", [{"name": "f", "arguments": {"n": 5}}], tool_calls=[call("f", {"n": "5"})]).value is False
    )


@pytest.mark.parametrize(
    "parts",
    [
        {"tool_calls": [{"functionCall": {"name": "f", "args": {"a": 1}}}]},  # Gemini
        {"tool_calls": [{"function_call": {"name": "f", "arguments": '{"a": 1}'}}]},  # OpenAI before tools
        {"tool_calls": [{"type": "tool_use", "name": "f", "input": {"a": 1}}]},  # Anthropic
        {"tool_calls": [{"tool": "f", "tool_input": {"a": 1}}]},  # LangChain's agent actions
        {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "name": "f", "input": {"a": 1}}]}]},
        {"output": [call("f", {"a": 1})]},
        {"output": '```json\n{"name": "f", "arguments": {"a": 1}}\n```'},
        {"output": {"tool_calls": [call("f", {"a": 1})]}},
    ],
)
def test_calls_are_found_in_every_form(parts: dict[str, Any]) -> None:
    assert judge("tool_calls", [{"name": "f", "arguments": {"a": 1}}], **parts).value is True
    assert judge("tool_calls", [{"name": "f", "arguments": {"a": 2}}], **parts).value is False


def test_output_path_says_where_the_calls_are() -> None:
    spec = {"tool_calls": {"output_path": "calls"}}
    assert judge(spec, ["f"], output={"calls": [call("f", {})], "note": "x"}).value is True
    assert judge(spec, ["g"], output={"calls": [call("f", {})]}, tool_calls=[call("g", {})]).value is False


@pytest.mark.parametrize("output", ['{"name": "Ada"}', "[1, 2]", "f(a=1)", {"name": "Ada", "age": 3}, "[]"])
def test_data_that_is_no_call_is_none(output: Any) -> None:
    assert judge("tool_calls", [], output=output).value is True


def test_expected_calls_may_be_json_text_as_tables_hold_them() -> None:
    made = [call("f", {"a": 1})]
    assert judge("tool_calls", '[{"name": "f", "arguments": {"a": 1}}]', tool_calls=made).value is True
    assert judge("tool_calls", '{"name": "f", "arguments": {"a": 2}}', tool_calls=made).value is False
    assert "not JSON" in str(judge("tool_calls", "[f(1", tool_calls=made).error)


def test_an_expected_call_with_unknown_keys_does_not_come_to_mean_any_arguments() -> None:
    score = judge("tool_calls", [{"name": "f", "argumens": {"a": 1}}], tool_calls=[call("f", {"a": 2})])
    assert score.value is None
    assert "'argumens'" in str(score.error)


def test_one_and_one_point_zero_are_the_same_call() -> None:
    made = [call("s", {"a": 1, "b": [2.0]}), call("s", {"b": [2], "a": 1.0})]
    assert judge({"trajectory": {"max_redundant": 0}}, tool_calls=made).value is False


@pytest.mark.parametrize(
    ("calls", "to"),
    [
        ([call("transferToBilling", {})], "billing"),
        ([call("handoff_billing", {})], "billing"),
        ([call("transfer_to_agent", {"agent_name": "billing"})], "billing"),  # Google ADK
        ([call("transfer", {"to": "billing"})], "billing"),
        ([call("handoff", {"agent": "billing"})], "billing"),
        ([call("transfer_to_billing_agent", {})], "Billing Agent"),  # OpenAI Agents SDK
        ([call("transfer_to_Billing", {})], "billing"),
    ],
)
def test_handoffs_are_read_in_every_form(calls: list[dict[str, Any]], to: str) -> None:
    assert judge({"handoffs": {"order": [to], "max_handoffs": 1}}, tool_calls=calls).value is True
    assert judge({"handoffs": {"forbidden": [to]}}, tool_calls=calls).value is False


@pytest.mark.parametrize("name", ["transfer_money", "escalate_ticket", "delegate_task", "transfer", "total"])
def test_tools_that_move_something_else_are_no_handoffs(name: str) -> None:
    calls = [call(name, {"amount": 5})]
    assert judge({"handoffs": {"max_handoffs": 0}}, tool_calls=calls).value is True


def test_the_answer_is_no_second_turn_because_of_blanks_around_it() -> None:
    said = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello there"}]
    check = {"turn_checks": {"check": {"length": {"max": 1}}, "need": "share"}}
    assert judge(check, output=" Hello there\n", messages=said).details["turns"] == 1
