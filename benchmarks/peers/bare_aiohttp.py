"""The least that any tool can do: post, parse, compare; nothing is limited, retried, stored or analysed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import aiohttp
import orjson


async def main(rows: list[dict[str, str]], address: str, concurrency: int) -> None:
    jobs = iter([(start, row) for row in rows for start in ("", "Think first. ")])
    headers = {"content-type": "application/json", "authorization": "Bearer not-a-key"}
    right = 0
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), headers=headers) as session:

        async def work() -> None:
            nonlocal right
            for start, row in jobs:
                message = {"role": "user", "content": start + row["question"]}
                body = orjson.dumps({"model": "fault-small", "max_tokens": 64, "messages": [message]})
                async with session.post(f"{address}/chat/completions", data=body) as response:
                    answer = orjson.loads(await response.read())
                right += answer["choices"][0]["message"]["content"] == row["expected"]

        await asyncio.gather(*(work() for _ in range(concurrency)))
    print(right)


rows = [orjson.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]
asyncio.run(main(rows, sys.argv[2], int(sys.argv[3])))
