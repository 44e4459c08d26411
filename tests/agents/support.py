"""What the tests of agents share: a scripted model and a short way to run an agent once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bakeoff.agents import resolve_agent
from bakeoff.datasets import Item
from bakeoff.errors import ProviderError
from bakeoff.gateway import ModelRequest, ModelResponse, Usage
from bakeoff.targets import ModelSpec, TargetResult

Reply = str | ModelResponse | Exception


class Script:
    """A model client that gives the replies of a list, or what a function makes of the request."""

    def __init__(self, replies: Sequence[Reply] | Callable[[ModelRequest], Reply]) -> None:
        self._next = replies if callable(replies) else iter(replies).__next__
        self._by_request = callable(replies)
        self.requests: list[ModelRequest] = []

    async def complete(self, request: ModelRequest) -> ModelResponse:
        self.requests.append(request)
        reply = self._next(request) if self._by_request else self._next()  # type: ignore[call-arg]
        if isinstance(reply, Exception):
            raise reply
        if isinstance(reply, ModelResponse):
            return reply
        return ModelResponse(
            text=reply, model=request.model, usage=Usage(input_tokens=10, output_tokens=2), cost_usd=0.5,
            latency_ms=100.0, finish_reason="stop",
        )  # fmt: skip

    def said(self, index: int = -1) -> str:
        """Give the last message of a request."""
        return str(self.requests[index].messages[-1]["content"])


def calling(*calls: tuple[str, Any]) -> ModelResponse:
    """Give a reply that calls tools; arguments that are text stand as they are."""
    return ModelResponse(
        text="", model="m", finish_reason="tool_calls", latency_ms=100.0, cost_usd=0.5,
        usage=Usage(input_tokens=10, output_tokens=2),
        tool_calls=[
            {"id": f"c{index}", "type": "function",
             "function": {"name": name, "arguments": given if isinstance(given, str) else json.dumps(given)}}
            for index, (name, given) in enumerate(calls)
        ],
    )  # fmt: skip


async def run(
    section: Mapping[str, Any],
    client: Any,
    *,
    item: Item | None = None,
    repeat: int = 0,
    overrides: Mapping[str, Any] | None = None,
    callables: Mapping[str, Callable[..., Any]] | None = None,
    base_dir: Path | None = None,
    models: Mapping[str, ModelSpec] | None = None,
    choices: Sequence[str] = (),
) -> TargetResult:
    """Run an agent once."""
    agent = resolve_agent(
        {"model": "openai/m", **section}, name="a", overrides=overrides, callables=callables, base_dir=base_dir,
        models=models,
    )  # fmt: skip
    target = agent.open(client, variant="v", choices=choices)
    return await target.run(item or Item(id="i1", inputs={"question": "2+2?"}, expected="4"), repeat=repeat)


def down(kind: Any = "server") -> ProviderError:
    """Give the failure of a provider."""
    return ProviderError("no answer", kind=kind, retryable=True)


def spans(result: TargetResult, kind: str) -> list[Mapping[str, Any]]:
    """Give the spans of one kind."""
    return [span for span in result.trace if span["kind"] == kind]
