"""What the agent runtime costs beside the models: CPU for a step, memory of many conversations, leaks.

    python benchmarks/agents.py            # prints three lines, exit code 1 when a promise is broken

The client answers at once without doing anything, so everything measured is ours.
"""

from __future__ import annotations

import asyncio
import gc
import resource
import sys
import time
from pathlib import Path

from bakeoff.agents import resolve_agent
from bakeoff.datasets import Item
from bakeoff.gateway import ModelRequest, ModelResponse, Usage

STEP_MS = 0.5
CONVERSATIONS, TURNS, MOST_MB = 1_000, 10, 1_000
LEAK_STEPS, LEAK_MB = 100_000, 20


class Instant:
    """Answers at once; with `wait`, after one turn of the loop, so that trials overlap."""

    def __init__(self, *, wait: bool = False) -> None:
        self.wait = wait

    async def complete(self, request: ModelRequest) -> ModelResponse:
        if self.wait:
            await asyncio.sleep(0.001)
        return ModelResponse(
            text="That is noted, thank you.", model=request.model, usage=Usage(input_tokens=9, output_tokens=5),
            cost_usd=1e-6, latency_ms=1.0,
        )  # fmt: skip


def rss_mb() -> float:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize() / 1e6


STEPS = {f"s{n}": {"prompt": "Step: {{ question }} {{ history }}"} for n in range(10)}
WORKFLOW = resolve_agent({"model": "x/m", "steps": STEPS}, name="w")
TALK = resolve_agent(
    {"model": "x/m", "conversation": {}, "memory": {"policy": "hierarchical"}, "context": {"policy": "truncate"}},
    name="t",
)


async def cpu_per_step(trials: int = 300) -> float:
    """CPU in ms for one step with one model call."""
    target = WORKFLOW.open(Instant(), variant="v")
    items = [Item(id=str(n), inputs={"question": f"What is {n}?"}, expected="4") for n in range(trials)]
    for item in items[:20]:
        await target.run(item, repeat=0)
    began = time.process_time()
    for item in items:
        await target.run(item, repeat=0)
    return (time.process_time() - began) * 1000 / (trials * len(STEPS))


async def conversations() -> tuple[float, float]:
    """Memory in MB that 1,000 conversations at the same time add, and CPU in ms for a turn."""
    target = TALK.open(Instant(wait=True), variant="v")
    turns = [f"My item number {n} is a fern, and our office is in Bath." for n in range(TURNS)]
    items = [Item(id=str(n), inputs={"turns": turns}, expected="x") for n in range(CONVERSATIONS)]
    before, began = rss_mb(), time.process_time()
    results = await asyncio.gather(*(target.run(item, repeat=0) for item in items))
    spent = time.process_time() - began
    assert len(results) == CONVERSATIONS
    return rss_mb() - before, spent * 1000 / (CONVERSATIONS * TURNS)


async def leak() -> float:
    """Memory in MB that 100,000 steps leave behind."""
    target = WORKFLOW.open(Instant(), variant="v")
    before = 0.0
    trials = LEAK_STEPS // len(STEPS)
    for n in range(trials):
        await target.run(Item(id=str(n), inputs={"question": f"What is {n}?"}), repeat=0)
        if n == trials // 10:
            gc.collect()
            before = rss_mb()
    gc.collect()
    return rss_mb() - before


def main() -> int:
    step = asyncio.run(cpu_per_step())
    print(f"step          {step:.3f} ms CPU (limit {STEP_MS})")
    memory, turn = asyncio.run(conversations())
    print(f"conversations {memory:.0f} MB for {CONVERSATIONS:,} of {TURNS} turns (limit {MOST_MB}), "
          f"process {rss_mb():.0f} MB; {turn:.2f} ms CPU a turn with hierarchical memory")  # fmt: skip
    grown = asyncio.run(leak())
    print(f"leak          {grown:+.1f} MB over {LEAK_STEPS:,} steps (limit {LEAK_MB})")
    return 0 if step < STEP_MS and rss_mb() < MOST_MB and grown < LEAK_MB else 1


if __name__ == "__main__":
    sys.exit(main())
