"""What several tests of this room share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bakeoff.errors import ProviderError
from bakeoff.gateway import ModelRequest, ModelResponse, Usage

if TYPE_CHECKING:
    from bakeoff.experiments import LocalStore


def arithmetic(n: int = 20, **keys: Any) -> dict[str, Any]:
    """Give a spec with n sums, two prompts and one simulated model that answers at once."""
    return {
        "name": "sums",
        "dataset": {"rows": [{"id": f"i{i}", "question": f"{i}+{i}", "expected": str(2 * i)} for i in range(n)]},
        "prompts": {"plain": "{{ question }}", "steps": "Think step by step. {{ question }}"},
        "models": {"small": {"model": "sim/small", "params": {"sim": {"latency_ms": 0, "ms_per_token": 0}}}},
        "evaluators": ["contains"],
        "mlflow": False,
        **keys,
    }


class Scripted:
    """A model client that answers with the right sum, or fails where it was told to."""

    def __init__(self, failing: dict[str, str] | None = None) -> None:
        self.failing = failing or {}
        self.calls: list[ModelRequest] = []

    async def complete(self, request: ModelRequest) -> ModelResponse:
        self.calls.append(request)
        question = str(request.messages[-1]["content"]).rpartition(" ")[2]
        if question in self.failing:
            raise ProviderError(f"no luck with {question}", kind=self.failing[question])  # type: ignore[arg-type]
        a, b = question.split("+")
        return ModelResponse(
            text=str(int(a) + int(b)), model="scripted", usage=Usage(input_tokens=3, output_tokens=1), cost_usd=0.001
        )


def outcome(store: LocalStore, run_id: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Give what must be the same however often a run was interrupted."""
    trial_columns = [
        "variant",
        "item_id",
        "item",
        "repeat",
        "ok",
        "error_kind",
        "output",
        "input_tokens",
        "output_tokens",
        "cost_usd",
    ]
    score_columns = ["variant", "item_id", "repeat", "metric", "value", "reason", "error", "evaluator", "version"]
    return store.trials(run_id, trial_columns).to_pylist(), store.scores(run_id, score_columns).to_pylist()
