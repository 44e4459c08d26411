"""A prompt on a model as a target."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bakeoff.gateway import ModelRequest
from bakeoff.targets._types import TargetResult

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bakeoff.datasets import Item
    from bakeoff.gateway import ModelClient, ModelResponse
    from bakeoff.prompts import Prompt
    from bakeoff.targets._spec import ModelSpec

__all__ = ["PromptTarget"]

_DIFFICULTY = {"easy": 0.2, "medium": 0.5, "hard": 0.8}


class PromptTarget:
    """Renders a prompt with the inputs of an item and asks a model through the gateway."""

    def __init__(
        self,
        *,
        prompt: Prompt,
        model: ModelSpec,
        params: Mapping[str, Any],
        template_values: Mapping[str, Any],
        client: ModelClient,
        variant: str,
        stream: bool = False,
        choices: Sequence[str] = (),
    ) -> None:
        self._prompt = prompt
        self._model = model
        self._params = dict(params)
        self._template_values = dict(template_values)
        self._client = client
        self._variant = variant
        self._stream = stream or model.stream
        self._simulated = model.model.startswith("sim/")
        self._choices = list(choices)

    def request(self, item: Item, *, repeat: int) -> ModelRequest:
        """Return the call that `run` would make: for forecasts and for showing the rendered prompt."""
        inputs = {**self._template_values, **item.inputs} if self._template_values else item.inputs
        return ModelRequest(
            model=self._model.model,
            messages=self._prompt.render(inputs),
            params=self._params,
            repeat=repeat,
            api_base=self._model.api_base,
            api_key_env=self._model.api_key_env,
            headers=self._model.headers,
            stream=self._stream,
            prompt_version=self._prompt.version,
            variant=self._variant,
            sim_context=self._sim_context(item) if self._simulated else {},
        )

    def _sim_context(self, item: Item) -> dict[str, Any]:
        """Tell a simulated model what it needs to be right or plausibly wrong. Never sent anywhere."""
        context: dict[str, Any] = {"item_id": item.id, "expected": item.expected, "choices": self._choices}
        difficulty = item.metadata.get("difficulty")
        if difficulty is not None:
            context["difficulty"] = _DIFFICULTY.get(str(difficulty), difficulty)
        return context

    async def run(self, item: Item, *, repeat: int) -> TargetResult:
        """Make one model call."""
        request = self.request(item, repeat=repeat)
        return self.result(request, await self._client.complete(request))

    async def run_again(self, item: Item, *, repeat: int, feedback: str) -> TargetResult:
        """Make one more call that says why the last answer was not accepted."""
        first = self.request(item, repeat=repeat)
        request = replace(first, messages=[*first.messages, {"role": "user", "content": feedback}])
        return self.result(request, await self._client.complete(request))

    def result(self, request: ModelRequest, response: ModelResponse) -> TargetResult:
        """Return what an answer to `request` makes of the trial; how long a batch took says nothing of the model."""
        return TargetResult(
            output=response.text,
            usage=response.usage,
            cost_usd=response.cost_usd,
            latency_ms=None if response.route == "batch" else response.latency_ms,
            ttft_ms=response.ttft_ms,
            attempts=response.attempts,
            route=response.route,
            cached=response.cached,
            model=response.model,
            finish_reason=response.finish_reason,
            tool_calls=response.tool_calls,
            messages=request.messages,
            fallback_from=response.fallback_from,
            fingerprint=response.fingerprint,
            logprobs=response.logprobs,
        )
