"""Runs in an environment with the OpenAI Agents SDK 0.20; see test_bridges.py."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "span_only"

from openai import AsyncOpenAI
from opentelemetry.instrumentation.openai_agents import OpenAIAgentsInstrumentor
from server import start
from support_check import check

from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool, set_trace_processors
from bakeoff.agents import traced

set_trace_processors([])  # or the SDK sends its traces to OpenAI
OpenAIAgentsInstrumentor().instrument()


@function_tool
def service_state(service: str) -> str:
    """Tell the state of a service."""
    return f"{service} is fine"


async def main() -> None:
    runner, address = await start()
    client = AsyncOpenAI(base_url=address, api_key="x")

    @traced
    async def answer(question: str, model: str) -> Any:
        desk = Agent(
            name="desk", instructions="You answer questions about services.", tools=[service_state],
            model=OpenAIChatCompletionsModel(model=model, openai_client=client),
        )  # fmt: skip
        return (await Runner.run(desk, question)).final_output

    await check(answer, model="gpt-4o-mini")
    await runner.cleanup()
    sys.stdout.write("ok\n")


asyncio.run(main())
