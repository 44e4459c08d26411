"""Runs in an environment with Mem0, see test_mem0.py."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3]))

import numpy as np
import pytest

from bakeoff.agents import resolve_agent, trial_spans
from bakeoff.datasets import Item
from bakeoff.errors import BudgetExceeded, ProviderError
from bakeoff.gateway import Embeddings, ModelRequest, ModelResponse, Usage

SECTION = {
    "model": "openai/m", "prompt": "{{ message }}", "conversation": {}, "memory": {"policy": "mem0", "window": 1},
}  # fmt: skip


class Client:
    """Answers as a model would that extracts whatever the user says; counts what it is asked."""

    def __init__(self, fails: Exception | None = None) -> None:
        self.extracted: list[str] = []
        self.answered: list[ModelRequest] = []
        self.embedded: list[str] = []
        self._fails = fails

    async def complete(self, request: ModelRequest) -> ModelResponse:
        last = str(request.messages[-1]["content"])
        if request.params.get("response_format"):
            if self._fails is not None:
                raise self._fails
            self.extracted.append(last)
            new = last[last.index("## New Messages") :] if "## New Messages" in last else last
            said = [line for line in new.splitlines() if "fern" in line or "cactus" in line or "teal" in line]
            found = [{"id": str(n), "text": one.split("user: ")[-1].strip('", ')} for n, one in enumerate(said[:1])]
            text = json.dumps({"memory": found})
        else:
            self.answered.append(request)
            text = "noted"
        return ModelResponse(
            text=text, model=request.model, usage=Usage(input_tokens=10, output_tokens=2), cost_usd=0.5,
            latency_ms=100.0, finish_reason="stop",
        )  # fmt: skip

    async def embed(self, texts: Sequence[str], **about: Any) -> Embeddings:
        self.embedded += texts
        dice = [np.random.default_rng(sum(map(ord, text))) for text in texts]
        return Embeddings(
            vectors=np.array([one.normal(size=32) for one in dice]), model="e", paid_usd=0.001 * len(texts)
        )


def shown(request: ModelRequest) -> str:
    return "\n".join(str(message["content"]) for message in request.messages)


async def remembers() -> None:
    """A fact of the first turn is there in the third, for its user alone; everything is on the trial."""
    client = Client()
    agent = resolve_agent(SECTION, name="a")
    turns = [
        {"text": "My plant is a fern.", "user": "ann"},
        {"text": "My plant is a cactus.", "user": "bob"},
        {"text": "What is my plant?", "user": "ann"},
        {"text": "What is my plant?", "user": "bob"},
        {"text": "What is my plant?", "user": "ann", "organisation": "other"},
    ]
    result = await agent.open(client, variant="v").run(Item(id="1", inputs={"turns": turns}), repeat=0)  # type: ignore[arg-type]
    ann, bob, stranger = (shown(request) for request in client.answered[2:])
    assert "fern" in ann, ann
    assert "cactus" not in ann
    assert "cactus" in bob
    assert "fern" not in bob
    assert "fern" not in stranger
    assert "cactus" not in stranger
    assert result.cost_usd == 0.5 * 10, "five answers and five extractions"
    names = [(one.kind, one.name) for one in trial_spans(result.trace)]
    assert names.count(("model", "mem0")) == 5
    assert names.count(("memory", "recall")) == 5
    # Another trial begins with nothing.
    second = Client()
    await agent.open(second, variant="v").run(Item(id="2", inputs={"turns": [turns[2]]}), repeat=0)  # type: ignore[arg-type]
    assert "fern" not in shown(second.answered[0])


async def embeds_through_the_client() -> None:
    client = Client()
    agent = resolve_agent({**SECTION, "memory": {"policy": "mem0", "embedding": "openai/e"}}, name="a")
    turns = ["I like teal.", "What do I like?"]
    result = await agent.open(client, variant="v").run(Item(id="1", inputs={"turns": turns}), repeat=0)  # type: ignore[arg-type]
    assert "I like teal." in "\n".join(client.embedded)
    assert result.cost_usd == pytest.approx(0.5 * 4 + 0.001 * len(client.embedded))
    assert "teal" in shown(client.answered[1])


async def fails_as_the_provider_does() -> None:
    agent = resolve_agent(SECTION, name="a")
    item = Item(id="1", inputs={"turns": ["My plant is a fern.", "What is it?"]})
    for failure in (ProviderError("down", kind="server"), BudgetExceeded("no money left")):
        with pytest.raises(type(failure), match=str(failure)):
            await agent.open(Client(failure), variant="v").run(item, repeat=0)  # type: ignore[arg-type]


async def main() -> None:
    await remembers()
    await embeds_through_the_client()
    await fails_as_the_provider_does()
    sys.stdout.write("ok\n")


asyncio.run(main())
