"""Agents of other frameworks as targets, through the spans that they emit; and our spans to their tools."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("opentelemetry.sdk")

from opentelemetry import trace
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from bakeoff.agents import export_trace, traced
from bakeoff.datasets import Item
from bakeoff.evaluators import EvaluatorContext, load_evaluator
from bakeoff.gateway import GatewaySpec, Usage, price_of
from bakeoff.targets import TargetFactory, TargetResult, TargetSpec, VariantTarget
from tests.agents.support import Script, calling, run

TRACER = trace.get_tracer("framework")


async def framework(question: str, model: str = "gpt-4o-mini") -> str:
    """What PydanticAI, the OpenAI Agents SDK and others emit: an agent span with model and tool calls in it."""
    with TRACER.start_as_current_span("invoke_agent desk", attributes={"gen_ai.operation.name": "invoke_agent"}):
        await chat(model, 100, 20)
        about = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "look_up",
                 "gen_ai.tool.call.arguments": '{"service": "mail"}'}  # fmt: skip
        with TRACER.start_as_current_span("execute_tool look_up", attributes=about):
            await asyncio.sleep(0.002)
        await asyncio.gather(chat(model, 50, 5), chat(model, 50, 5))
    return question.upper()


async def chat(model: str, read: int, wrote: int) -> None:
    about: dict[str, Any] = {"gen_ai.operation.name": "chat", "gen_ai.request.model": model,
                             "gen_ai.provider.name": "openai"}  # fmt: skip
    with TRACER.start_as_current_span(f"chat {model}", attributes=about) as span:
        await asyncio.sleep(0.001)
        span.set_attributes({"gen_ai.usage.input_tokens": read, "gen_ai.usage.output_tokens": wrote})


async def test_spans_become_the_trace_and_tokens_and_costs_add_up() -> None:
    result: Any = await traced(framework)("hi")
    assert isinstance(result, TargetResult)
    assert result.output == "HI"
    assert (result.usage.input_tokens, result.usage.output_tokens) == (200, 30)
    price = price_of("openai/gpt-4o-mini", GatewaySpec())
    assert price is not None
    assert result.cost_usd == pytest.approx(price.cost(Usage(input_tokens=200, output_tokens=30)))
    assert [span["kind"] for span in result.trace] == ["agent", "agent", "model", "tool", "model", "model"]
    assert [span.get("parent") for span in result.trace] == [None, 0, 1, 1, 1, 1]
    assert result.tool_calls[0]["function"] == {"name": "look_up", "arguments": '{"service": "mail"}'}
    context = EvaluatorContext(output="", tool_calls=result.tool_calls, trace=result.trace,
                               expected=[{"name": "look_up", "arguments": {"service": "mail"}}])  # fmt: skip
    assert load_evaluator("tool_calls").evaluate(context).value is True  # type: ignore[union-attr]


async def test_calls_at_the_same_time_keep_their_spans_apart() -> None:
    agent: Any = traced(framework)
    results = await asyncio.gather(*(agent(str(n)) for n in range(20)))
    assert {len(result.trace) for result in results} == {6}
    assert {result.usage.input_tokens for result in results} == {200}
    from bakeoff.agents.traces import _otel

    assert _otel._open == {}


async def test_unknown_models_have_no_cost_and_failures_leave_nothing_behind() -> None:
    result: Any = await traced(framework)("x", model="nobody-knows-this")
    assert result.cost_usd is None

    @traced
    def broken(question: str) -> str:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        broken("x")
    from bakeoff.agents.traces import _otel

    assert _otel._open == {}


async def test_a_traced_function_is_a_target_whose_factors_are_keyword_arguments() -> None:
    spec = TargetSpec.model_validate({"python": "x:agent"})
    factory = TargetFactory(Script([]), base_dir=Path(), callables={"x:agent": traced(framework)})
    variant = VariantTarget(name="v", levels={}, spec=spec, params={"model": "gpt-4o"})
    result = await factory.open(variant).run(Item(id="1", inputs={"question": "hi"}), repeat=0)
    assert result.output == "HI"
    assert result.model == "gpt-4o"
    assert len(result.trace) == 6

    @traced
    def blocking(question: str) -> str:
        with TRACER.start_as_current_span("chat m", attributes={"gen_ai.operation.name": "chat"}):
            return question

    factory = TargetFactory(Script([]), base_dir=Path(), callables={"x:agent": blocking})
    result = await factory.open(variant).run(Item(id="1", inputs={"question": "hi"}), repeat=0)
    assert [span["kind"] for span in result.trace] == ["agent", "model"]
    await factory.aclose()


async def test_our_spans_go_to_any_exporter_in_one_batch() -> None:
    def add(a: int) -> int:
        """Add."""
        return a + 1

    section = {"tools": {"add": {"python": "t:add"}}}
    result = await run(section, Script([calling(("add", {"a": 1})), "2"]), callables={"t:add": add})
    exporter = InMemorySpanExporter()
    now = time.time()
    assert export_trace(result.trace, exporter, at=now, attributes={"bakeoff.run_id": "r1"}) == len(result.trace)
    spans = exporter.get_finished_spans()
    by_id = {span.context.span_id: span for span in spans}
    assert len({span.context.trace_id for span in spans}) == 1
    root = next(span for span in spans if span.parent is None)
    assert root.name == "a"
    assert abs(root.end_time / 1e9 - now) < 0.01
    tool = next(span for span in spans if (span.attributes or {}).get("gen_ai.operation.name") == "execute_tool")
    assert by_id[tool.parent.span_id].name == "answer"
    assert tool.attributes["bakeoff.run_id"] == "r1"
    model = next(span for span in spans if (span.attributes or {}).get("gen_ai.operation.name") == "chat")
    assert model.attributes["gen_ai.usage.input_tokens"] == 10
