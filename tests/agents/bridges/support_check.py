"""What the checks of bridges share: a target run on five items at the same time, and what must come of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bakeoff.datasets import Item
from bakeoff.targets import TargetFactory, TargetSpec, VariantTarget


async def check(function: Callable[..., Any], **params: Any) -> None:
    """Run the function as a target and assert output, usage, cost, spans and tool calls of every trial."""
    factory = TargetFactory(None, base_dir=Path(), callables={"x:f": function})  # type: ignore[arg-type]
    target = factory.open(
        VariantTarget(name="v", levels={}, spec=TargetSpec.model_validate({"python": "x:f"}), params=params)
    )
    items = [Item(id=str(n), inputs={"question": f"How is mail? {n}"}) for n in range(5)]
    for result in await asyncio.gather(*(target.run(item, repeat=0) for item in items)):
        assert result.output == "It says: mail is fine", result.output
        assert (result.usage.input_tokens, result.usage.output_tokens) == (22, 8), (result.usage, result.trace)
        assert result.cost_usd is not None, result.trace
        # OpenAI's published prices of gpt-4o-mini: 0.15 and 0.60 USD per million tokens.
        assert abs(result.cost_usd - (22 * 0.15e-6 + 8 * 0.6e-6)) < 1e-12, result.cost_usd
        assert result.model == "gpt-4o-mini"
        kinds = [span["kind"] for span in result.trace]
        assert kinds.count("model") == 2, result.trace
        assert kinds[0] == "agent"
        (call,) = result.tool_calls
        assert call["function"]["name"] == "service_state", call
        assert json.loads(call["function"]["arguments"]) == {"service": "mail"}, call
    await factory.aclose()
