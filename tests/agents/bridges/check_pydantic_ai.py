"""Runs in an environment with pydantic-ai 2.68; see test_bridges.py."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from server import start

from bakeoff.agents import from_pydantic_ai
from bakeoff.datasets import Item
from bakeoff.targets import TargetFactory, TargetSpec, VariantTarget


async def main() -> None:
    runner, address = await start()
    model = OpenAIChatModel("gpt-4o-mini", provider=OpenAIProvider(base_url=address, api_key="x"))
    agent = Agent(model, name="desk")

    @agent.tool_plain
    def service_state(service: str) -> str:
        """Tell the state of a service."""
        return f"{service} is fine"

    factory = TargetFactory(None, base_dir=Path(), callables={"x:agent": from_pydantic_ai(agent)})  # type: ignore[arg-type]
    spec = TargetSpec.model_validate({"python": "x:agent"})
    variant = VariantTarget(name="v", levels={}, spec=spec, params={"temperature": 0.3})
    target = factory.open(variant)
    items = [Item(id=str(n), inputs={"question": f"How is mail? {n}"}) for n in range(5)]
    for result in await asyncio.gather(*(target.run(item, repeat=0) for item in items)):
        assert result.output == "It says: mail is fine", result.output
        assert (result.usage.input_tokens, result.usage.output_tokens) == (22, 8), result.usage
        assert result.cost_usd is not None
        assert result.cost_usd > 0
        assert result.model == "gpt-4o-mini"
        kinds = [span["kind"] for span in result.trace]
        assert kinds.count("model") == 2, result.trace
        assert kinds.count("tool") == 1, result.trace
        (call,) = result.tool_calls
        assert call["function"] == {"name": "service_state", "arguments": '{"service":"mail"}'} or call["function"] == {
            "name": "service_state", "arguments": '{"service": "mail"}'
        }, call  # fmt: skip
    await factory.aclose()
    await runner.cleanup()
    sys.stdout.write("ok\n")


asyncio.run(main())
