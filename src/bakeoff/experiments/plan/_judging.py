"""What judging is expected to take."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING, Any

from bakeoff.evaluators import CannotScoreError, EvaluatorContext, judge_requests, models_asked
from bakeoff.gateway import Usage, estimate_tokens, price_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.datasets import Item
    from bakeoff.evaluators import Evaluator
    from bakeoff.experiments.spec._load import Experiment

__all__ = ["SIMULATED_MS", "JudgeForecast", "forecast_judges", "unforecast"]

_SAMPLE = 20
_OUTPUT_TOKENS = 150
_MS = 2000.0
SIMULATED_MS = 100.0
"""What an answer of a simulated model takes, about."""
_CHARS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeForecast:
    """What one evaluator is expected to ask of models."""

    metric: str
    model: str
    """Models that it asks."""
    calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: float
    """`nan` when the price of a model is not known."""
    latency_ms: float
    """Of one call, assumed."""
    basis: str


def forecast_judges(
    experiment: Experiment, sample: Sequence[Item], *, answer_tokens: float
) -> tuple[JudgeForecast, ...]:
    """Forecast what judges are asked, from their prompts on the first items with answers of an assumed length.

    Args:
        experiment: What is planned.
        sample: Items.
        answer_tokens: Expected length of the answers that are judged.
    """
    found = (_forecast(experiment, one, sample[:_SAMPLE], answer_tokens) for one in experiment.evaluators)
    return tuple(one for one in found if one is not None)


def unforecast(experiment: Experiment, forecasts: Sequence[JudgeForecast]) -> list[str]:
    """Name the evaluators that ask models and of which nobody knows beforehand how often."""
    known = {one.metric for one in forecasts}
    return [one.metric for one in experiment.evaluators if models_asked(one) and one.metric not in known]


def _forecast(
    experiment: Experiment, evaluator: Evaluator, sample: Sequence[Item], answer_tokens: float
) -> JudgeForecast | None:
    output = "word" * max(1, round(answer_tokens * _CHARS_PER_TOKEN / len("word")))
    calls, tokens, written, cost = 0, 0, 0, 0.0
    models: dict[str, None] = {}
    for item in sample:
        try:
            requests = judge_requests(evaluator, _context(item, output))
        except CannotScoreError:
            continue  # it will not be asked about this item
        for request in requests:
            price = price_of(request.model, experiment.spec.gateway, api_base=request.api_base, params=request.params)
            size, answer = (
                estimate_tokens(request),
                min(_OUTPUT_TOKENS, request.params.get("max_tokens", _OUTPUT_TOKENS)),
            )
            usage = Usage(input_tokens=size, output_tokens=answer, estimated=True)
            models[request.model] = None
            calls, tokens, written = calls + 1, tokens + size, written + answer
            cost += nan if price is None else price.cost(usage)
    if not calls:
        return None
    trials = len(experiment.dataset) * experiment.spec.repeats * len(experiment.variants)
    share = trials / len(sample)
    return JudgeForecast(
        metric=evaluator.metric,
        model=", ".join(models),
        calls=round(calls * share),
        input_tokens=round(tokens * share),
        output_tokens=round(written * share),
        cost_usd=cost * share,
        latency_ms=SIMULATED_MS if all(model.startswith("sim/") for model in models) else _MS,
        basis=f"its prompt on {len(sample)} items; an answer of {_OUTPUT_TOKENS} tokens assumed",
    )


def _context(item: Item, output: Any) -> EvaluatorContext:
    return EvaluatorContext(
        output=output, inputs=item.inputs, expected=item.expected, metadata=item.metadata, item_id=item.id
    )
