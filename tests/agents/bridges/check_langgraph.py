"""Runs in an environment with langgraph 1.2 and langchain-openai; see test_bridges.py."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from server import start

from bakeoff.agents import from_langgraph
from bakeoff.datasets import Item
from bakeoff.targets import TargetFactory, TargetSpec, VariantTarget


@tool
def service_state(service: str) -> str:
    """Tell the state of a service."""
    return f"{service} is fine"


async def main() -> None:
    runner, address = await start()
    seen: list[Any] = []

    async def think(state: MessagesState, config: RunnableConfig) -> dict[str, Any]:
        seen.append(config["configurable"].get("tone"))
        model = ChatOpenAI(model="gpt-4o-mini", base_url=address, api_key="x").bind_tools([service_state])
        return {"messages": [await model.ainvoke(state["messages"])]}

    def then(state: MessagesState) -> str:
        return "act" if state["messages"][-1].tool_calls else END

    builder = StateGraph(MessagesState)
    builder.add_node("think", think)
    builder.add_node("act", ToolNode([service_state]))
    builder.add_edge(START, "think")
    builder.add_conditional_edges("think", then, ["act", END])
    builder.add_edge("act", "think")
    target_function = from_langgraph(builder.compile(), factors=("tone",))
    factory = TargetFactory(None, base_dir=Path(), callables={"x:graph": target_function})  # type: ignore[arg-type]
    spec = TargetSpec.model_validate({"python": "x:graph"})
    variant = VariantTarget(name="v", levels={}, spec=spec, params={"tone": "dry"})
    target = factory.open(variant)
    items = [Item(id=str(n), inputs={"question": f"How is mail? {n}"}) for n in range(5)]
    for result in await asyncio.gather(*(target.run(item, repeat=0) for item in items)):
        assert result.output == "It says: mail is fine", result.output
        assert (result.usage.input_tokens, result.usage.output_tokens) == (22, 8), result.usage
        assert result.cost_usd is not None
        assert result.cost_usd > 0
        kinds = [span["kind"] for span in result.trace]
        assert (kinds.count("model"), kinds.count("tool")) == (2, 1), result.trace
        assert {"think", "act"} <= {span["name"] for span in result.trace}
        (call,) = result.tool_calls
        assert call["function"]["name"] == "service_state", call
        assert '"mail"' in call["function"]["arguments"], call
    assert set(seen) == {"dry"}
    await factory.aclose()
    await runner.cleanup()
    sys.stdout.write("ok\n")


asyncio.run(main())
