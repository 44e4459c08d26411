"""The same simulated models inside LiteLLM, as a custom provider: `litellm.acompletion("sim/small", ...)`."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from bakeoff.gateway._config import GatewaySpec, LimitsSpec
from bakeoff.gateway._litellm import load_litellm
from bakeoff.gateway._types import ModelRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from bakeoff.gateway._types import ModelResponse

__all__ = ["register_with_litellm"]


def _request(arguments: Mapping[str, Any], *, stream: bool) -> ModelRequest:
    optional = dict(arguments.get("optional_params") or {})
    context = dict(optional.pop("sim_context", None) or {})
    optional.pop("stream", None)
    repeat = context.pop("repeat", 0)
    return ModelRequest(
        model=f"sim/{arguments['model']}",
        messages=arguments["messages"],
        params=optional,
        repeat=repeat if isinstance(repeat, int) else 0,
        stream=stream,
        sim_context=context,
    )


def _usage(answer: ModelResponse) -> dict[str, int]:
    return {
        "prompt_tokens": answer.usage.input_tokens,
        "completion_tokens": answer.usage.output_tokens,
        "total_tokens": answer.usage.input_tokens + answer.usage.output_tokens,
    }


@cache
def register_with_litellm() -> None:
    """Make `sim/...` models known to LiteLLM in this process.

    The knobs go in as the argument `sim`, and what the model may know about the item as `sim_context`.
    """
    litellm = load_litellm()
    from bakeoff.gateway._sim._transport import SimTransport

    transport = SimTransport(GatewaySpec(), LimitsSpec())

    class SimulatedModels(litellm.CustomLLM):
        async def acompletion(self, *_: object, **arguments: Any) -> Any:
            answer = await self._answer(arguments, stream=False)
            response = arguments["model_response"]
            response.model = answer.model
            response.choices = [
                litellm.Choices(
                    finish_reason=answer.finish_reason,
                    message=litellm.Message(content=answer.text, tool_calls=[*answer.tool_calls] or None),
                )
            ]
            response.system_fingerprint = answer.fingerprint
            response.usage = litellm.Usage(**_usage(answer))
            return response

        async def astreaming(self, *_: object, **arguments: Any) -> AsyncIterator[Any]:
            answer = await self._answer(arguments, stream=True)
            for index, call in enumerate(answer.tool_calls):
                yield _chunk(tool_use={**call, "index": index})
            words = answer.text.split(" ")
            for number, word in enumerate(words):
                yield _chunk(text=word if number == len(words) - 1 else f"{word} ")
            yield _chunk(finish_reason=answer.finish_reason or "stop", usage=_usage(answer), last=True)

        async def _answer(self, arguments: Mapping[str, Any], *, stream: bool) -> ModelResponse:
            from bakeoff.errors import ProviderError

            try:
                return await transport.send(_request(arguments, stream=stream))
            except ProviderError as error:
                raise _as_litellm(error, str(arguments["model"])) from error

    litellm.custom_provider_map = [
        *(entry for entry in litellm.custom_provider_map if entry["provider"] != "sim"),
        {"provider": "sim", "custom_handler": SimulatedModels()},
    ]
    litellm.utils.custom_llm_setup()


def _chunk(
    *,
    text: str = "",
    tool_use: Mapping[str, Any] | None = None,
    finish_reason: str = "",
    usage: Mapping[str, int] | None = None,
    last: bool = False,
) -> dict[str, Any]:
    return {
        "text": text,
        "tool_use": tool_use,
        "is_finished": last,
        "finish_reason": finish_reason,
        "usage": usage,
        "index": 0,
    }


def _as_litellm(error: Any, model: str) -> Exception:
    litellm = load_litellm()
    said: dict[str, Any] = {"message": str(error), "model": model, "llm_provider": "sim"}
    if error.kind == "rate_limit":
        import httpx

        wait = {"retry-after": f"{error.retry_after_s or 0:g}"}
        response = httpx.Response(429, headers=wait, request=httpx.Request("POST", "http://sim.invalid"))
        return litellm.RateLimitError(**said, response=response)
    if error.kind == "timeout":
        return litellm.Timeout(**said)
    if error.kind == "connection":
        return litellm.APIConnectionError(**said)
    return litellm.InternalServerError(**said)
