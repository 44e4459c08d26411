"""Runs in an environment with CrewAI 1.15; see test_bridges.py."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
os.environ["CREWAI_DISABLE_TELEMETRY"] = "true"  # before it is imported, or it calls its makers

from bakeoff.agents import traced  # isort: skip  # before CrewAI, whose own provider would be the first otherwise

from crewai import LLM, Agent, Crew, Task
from crewai.tools import tool
from opentelemetry.instrumentation.crewai import CrewAIInstrumentor
from opentelemetry.instrumentation.openai import OpenAIInstrumentor
from server import start
from support_check import check


@tool("service_state")
def service_state(service: str) -> str:
    """Tell the state of a service."""
    return f"{service} is fine"


async def main() -> None:
    runner, address = await start()

    @traced
    def answer(question: str, model: str) -> str:
        llm = LLM(model=f"openai/{model}", base_url=address, api_key="x")
        desk = Agent(role="desk", goal="Answer.", backstory="You know all services.", llm=llm, tools=[service_state])
        task = Task(description=question, expected_output="an answer", agent=desk)
        return str(Crew(agents=[desk], tasks=[task]).kickoff().raw)

    CrewAIInstrumentor().instrument()
    OpenAIInstrumentor().instrument()
    await check(answer, model="gpt-4o-mini")
    await runner.cleanup()
    sys.stdout.write("ok\n")


asyncio.run(main())
