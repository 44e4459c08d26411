"""DeepEval: answers by the raw aiohttp client, one test case for each, its exact match metric; nothing is stored."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

os.environ.update(DEEPEVAL_TELEMETRY_OPT_OUT="YES", DEEPEVAL_DISABLE_PROGRESS_BAR="YES", ERROR_REPORTING="NO")

import aiohttp
from deepeval import evaluate
from deepeval.evaluate import AsyncConfig, DisplayConfig
from deepeval.metrics import ExactMatchMetric
from deepeval.test_case import LLMTestCase


async def answers(rows: list[dict[str, str]], address: str, concurrency: int) -> list[LLMTestCase]:
    jobs = iter([(start, row) for row in rows for start in ("", "Think first. ")])
    cases: list[LLMTestCase] = []
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), headers={"authorization": "Bearer not-a-key"}
    ) as session:

        async def work() -> None:
            for start, row in jobs:
                prompt = start + row["question"]
                body = {"model": "fault-small", "max_tokens": 64, "messages": [{"role": "user", "content": prompt}]}
                async with session.post(f"{address}/chat/completions", json=body) as response:
                    answer = await response.json()
                text = answer["choices"][0]["message"]["content"]
                cases.append(LLMTestCase(input=prompt, actual_output=text, expected_output=row["expected"]))

        await asyncio.gather(*(work() for _ in range(concurrency)))
    return cases


concurrency = int(sys.argv[3])
rows = [json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]
cases = asyncio.run(answers(rows, sys.argv[2], concurrency))
result = evaluate(
    cases,
    [ExactMatchMetric()],
    async_config=AsyncConfig(max_concurrent=concurrency),
    display_config=DisplayConfig(show_indicator=False, print_results=False),
)
print(sum(bool(one.success) for one in result.test_results))
