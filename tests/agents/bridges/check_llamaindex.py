"""Runs in an environment with llama-index-core 0.14; see test_bridges.py."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.llms.openai import OpenAI
from opentelemetry.instrumentation.llamaindex import LlamaIndexInstrumentor
from opentelemetry.instrumentation.openai import OpenAIInstrumentor
from server import start
from support_check import check

from bakeoff.agents import traced


def service_state(service: str) -> str:
    """Tell the state of a service."""
    return f"{service} is fine"


async def main() -> None:
    runner, address = await start()

    @traced
    async def answer(question: str, model: str) -> str:
        llm = OpenAI(model=model, api_base=address, api_key="x")
        desk = FunctionAgent(name="desk", tools=[service_state], llm=llm, streaming=False)
        return str(await desk.run(question))

    LlamaIndexInstrumentor().instrument()
    OpenAIInstrumentor().instrument()
    await check(answer, model="gpt-4o-mini")
    await runner.cleanup()
    sys.stdout.write("ok\n")


asyncio.run(main())
