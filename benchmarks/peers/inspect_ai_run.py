"""Inspect AI: one task for each prompt, its own log, no display."""

# ruff: noqa: E402 - the environment must be set before the tool is imported

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

items, address, concurrency = sys.argv[1], sys.argv[2], int(sys.argv[3])
os.environ.update(OPENAI_API_KEY="not-a-key", OPENAI_BASE_URL=address, INSPECT_DISPLAY="none")

from inspect_ai import Task
from inspect_ai import eval as evaluate
from inspect_ai.dataset import Sample
from inspect_ai.model import GenerateConfig, get_model
from inspect_ai.scorer import exact
from inspect_ai.solver import generate

rows = [json.loads(line) for line in Path(items).read_text().splitlines()]
tasks = [
    Task(
        name=name,
        dataset=[Sample(id=row["id"], input=start + row["question"], target=row["expected"]) for row in rows],
        solver=generate(),
        scorer=exact(),
    )
    for name, start in (("plain", ""), ("steps", "Think first. "))
]
model = get_model("openai/fault-small", base_url=address, responses_api=False, config=GenerateConfig(max_tokens=64))
with tempfile.TemporaryDirectory() as folder:
    logs = evaluate(
        tasks,
        model=model,
        max_connections=concurrency,
        max_samples=concurrency,
        max_tasks=2,
        log_dir=folder,
        display="none",
    )
    for log in logs:
        print(log.status, log.results.scores[0].metrics["accuracy"].value)
