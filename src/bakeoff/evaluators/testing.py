"""A model client that answers by script, for testing judges and agents without a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bakeoff.gateway import ModelRequest, ModelResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["ScriptedAnswer", "ScriptedClient"]

ScriptedAnswer = str | Exception | ModelResponse
"""A text, a whole response, or an error to raise."""


class ScriptedClient:
    """Answer each call with the next entry of a list (the last one for ever), or with what a function gives.

    Args:
        script: The answers, or a function from the request to the answer.
        cost_usd: What each text answer is said to cost.

    Attributes:
        requests: Every request so far.

    Examples:
        >>> import asyncio
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator, score_trial
        >>> client = ScriptedClient(['{"reason": "It says thanks.", "pass": true}'])
        >>> judge = load_evaluator({"judge": {"model": "any", "question": "Is it polite?"}})
        >>> asyncio.run(score_trial([judge], EvaluatorContext(output="Thank you!", client=client)))[0].value
        True
    """

    def __init__(
        self,
        script: Sequence[ScriptedAnswer] | Callable[[ModelRequest], ScriptedAnswer],
        *,
        cost_usd: float | None = 0.01,
    ) -> None:
        self._script = script
        self._cost_usd = cost_usd
        self.requests: list[ModelRequest] = []

    async def complete(self, request: ModelRequest) -> ModelResponse:
        """Answer by script."""
        self.requests.append(request)
        if callable(self._script):
            answer = self._script(request)
        else:
            answer = self._script[min(len(self.requests), len(self._script)) - 1]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, ModelResponse):
            return answer
        return ModelResponse(text=answer, model=f"{request.model}-2026-01-01", cost_usd=self._cost_usd)
