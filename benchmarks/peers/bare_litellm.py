"""A loop over `litellm.acompletion`; nothing is limited, retried, stored or analysed."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

os.environ.update(LITELLM_LOCAL_MODEL_COST_MAP="True", LITELLM_MODE="PRODUCTION")

import litellm

litellm.suppress_debug_info = True


async def main(rows: list[dict[str, str]], address: str, concurrency: int) -> None:
    jobs = iter([(start, row) for row in rows for start in ("", "Think first. ")])
    right = 0

    async def work() -> None:
        nonlocal right
        for start, row in jobs:
            answer = await litellm.acompletion(
                model="openai/fault-small",
                messages=[{"role": "user", "content": start + row["question"]}],
                api_base=address,
                api_key="not-a-key",
                max_tokens=64,
                num_retries=0,
                timeout=120,
            )
            right += answer.choices[0].message.content == row["expected"]

    await asyncio.gather(*(work() for _ in range(concurrency)))
    print(right)


rows = [json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]
asyncio.run(main(rows, sys.argv[2], int(sys.argv[3])))
