"""MLflow: `mlflow.genai.evaluate` for each prompt, its limiters off, as many workers as calls at once."""

# ruff: noqa: E402 - the environment must be set before the tool is imported

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

items, address, concurrency = sys.argv[1], sys.argv[2], int(sys.argv[3])
folder = tempfile.mkdtemp()
os.environ.update(
    MLFLOW_DISABLE_TELEMETRY="true",
    MLFLOW_TRACKING_URI=f"sqlite:///{folder}/mlflow.db",
    MLFLOW_GENAI_EVAL_MAX_WORKERS=str(concurrency),
    MLFLOW_GENAI_EVAL_PREDICT_RATE_LIMIT="0",
    MLFLOW_GENAI_EVAL_SCORER_RATE_LIMIT="0",
    MLFLOW_SQLALCHEMYSTORE_POOLCLASS="NullPool",
)
os.chdir(folder)

import httpx
from mlflow.genai.scorers import scorer

import mlflow

client = httpx.Client(limits=httpx.Limits(max_connections=concurrency), timeout=120)
rows = [json.loads(line) for line in Path(items).read_text().splitlines()]


@scorer
def exact(outputs: str, expectations: dict[str, str]) -> bool:
    return outputs == expectations["expected"]


for start in ("", "Think first. "):

    def predict(question: str, start: str = start) -> str:
        message = {"role": "user", "content": start + question}
        body = {"model": "fault-small", "max_tokens": 64, "messages": [message]}
        answer = client.post(f"{address}/chat/completions", json=body, headers={"authorization": "Bearer not-a-key"})
        return answer.json()["choices"][0]["message"]["content"]

    data = [{"inputs": {"question": row["question"]}, "expectations": {"expected": row["expected"]}} for row in rows]
    result = mlflow.genai.evaluate(data=data, predict_fn=predict, scorers=[exact])
    print(result.metrics)
