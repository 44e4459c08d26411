"""The full LiteLLM client: every provider it knows, about 3 ms of CPU per call."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Any

from bakeoff.errors import ProviderError
from bakeoff.gateway._answer import StreamDraft, UnreadableError, complete_draft, read_completion
from bakeoff.gateway._errors import Secrets, bad_response, from_litellm, rate_limit_headers, timeout_error
from bakeoff.gateway._litellm import close_litellm, load_litellm
from bakeoff.gateway._pricing import price_of
from bakeoff.gateway._providers import find_key, missing_key, required_env, sent_headers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from bakeoff.gateway._answer import Draft
    from bakeoff.gateway._config import GatewaySpec, LimitsSpec
    from bakeoff.gateway._types import ModelRequest, ModelResponse

__all__ = ["LiteLLMTransport", "call_arguments", "check_params", "unstreamed"]

_OURS = frozenset(
    {
        # Set by the gateway or by the spec, never as a model parameter.
        "acompletion",
        "api_base",
        "api_key",
        "base_url",
        "cache",
        "caching",
        "client",
        "custom_llm_provider",
        "extra_headers",
        "fallbacks",
        "headers",
        "max_retries",
        "messages",
        "mock_response",
        "mock_timeout",
        "mock_tool_calls",
        "model",
        "model_list",
        "num_retries",
        "stream",
        "timeout",
    }
)


def check_params(request: ModelRequest) -> None:
    """Refuse parameters that would take over the gateway's work.

    Raises:
        ProviderError: `bad_request`, naming the parameters.
    """
    taken = sorted(_OURS.intersection(request.params))
    if taken:
        raise ProviderError(
            f"{request.model!r}: {', '.join(map(repr, taken))} cannot be a model parameter: the gateway sets it.\n"
            "    fix: use the target's `api_base`, `api_key_env` and `headers`, and `limits` and `gateway` of the spec",
            kind="bad_request",
        )


def call_arguments(request: ModelRequest, *, env: Mapping[str, str], timeout_s: float) -> dict[str, Any]:
    """Return the keyword arguments for `litellm.acompletion`: no retry of its own, no parameter dropped in silence.

    Raises:
        ProviderError: A parameter is the gateway's, or the provider's key is not set.
    """
    check_params(request)
    arguments: dict[str, Any] = {
        **{name: value for name, value in request.params.items() if name != "sim"},
        "model": request.model,
        "messages": [dict(message) for message in request.messages],
        "timeout": timeout_s,
        "num_retries": 0,
        "max_retries": 0,
        # With tools, LiteLLM imports the package `mcp` first, which it does not depend on.
        "_skip_mcp_handler": True,
    }
    if request.api_base is not None:
        arguments["api_base"] = request.api_base
    key = find_key(request.model, env, api_key_env=request.api_key_env)
    absent = missing_key(request.model, env, api_base=request.api_base, api_key_env=request.api_key_env)
    if absent is not None:
        raise ProviderError(
            f"{request.model!r} was not called: {absent} is not set\n"
            f"    fix: export {absent}=..., or put it in a file and name that with --env-file",
            kind="auth",
        )
    if key is not None:
        arguments["api_key"] = key
    elif request.api_base is not None and request.model.startswith("openai/"):
        arguments["api_key"] = "none"  # a server of your own wants no key, but the OpenAI client does
    if request.headers:
        arguments["extra_headers"] = sent_headers(request.model, request.headers, env)
    if request.stream and not unstreamed(request.model):
        arguments["stream"] = True
        arguments.setdefault("stream_options", {"include_usage": True})
    return arguments


def unstreamed(model: str) -> bool:
    """Tell whether LiteLLM's client cannot stream a model, so that it is asked for the whole answer at once.

    Examples:
        >>> unstreamed("cohere/command-r-plus"), unstreamed("openai/gpt-4o-mini")
        (True, False)
    """
    return model.startswith(("cohere/", "cohere_chat/"))


class LiteLLMTransport:
    """Makes attempts through `litellm.acompletion`.

    Args:
        gateway: Holds prices.
        limits: Timeouts.
        env: Where keys are looked up.
    """

    def __init__(self, gateway: GatewaySpec, limits: LimitsSpec, *, env: Mapping[str, str]) -> None:
        self._gateway = gateway
        self._limits = limits
        self._env = env
        self._secrets = Secrets(env)
        self._exported: set[str] = set()

    async def send(self, request: ModelRequest) -> ModelResponse:
        """Make one attempt."""
        arguments = call_arguments(request, env=self._env, timeout_s=self._limits.timeout_s)
        litellm = await asyncio.to_thread(load_litellm)
        if request.model.startswith("sim/"):
            from bakeoff.gateway._sim import register_with_litellm

            register_with_litellm()
            arguments["sim"] = request.params.get("sim") or {}
            arguments["sim_context"] = {**request.sim_context, "repeat": request.repeat}
        self._export(request)
        started = time.perf_counter()
        ttft_ms: float | None = None
        try:
            async with asyncio.timeout(self._limits.timeout_s):
                answer: Any = await litellm.acompletion(**arguments)
                if request.stream and not unstreamed(request.model):
                    draft, ttft_ms = await self._collect(answer, request, started)
                else:
                    draft = read_completion(answer.model_dump())
                if request.model.startswith("sim/"):
                    draft.model = request.model
        except ProviderError:
            raise
        except UnreadableError as error:
            raise bad_response(request.model, str(error), "", self._secrets) from None
        except TimeoutError:
            raise timeout_error(request.model, "complete answer", self._limits.timeout_s) from None
        except Exception as error:  # noqa: BLE001 - LiteLLM raises classes of many libraries
            raise from_litellm(
                error, model=request.model, secrets=self._secrets, timeout_s=self._limits.timeout_s
            ) from None
        hidden: Any = getattr(answer, "_hidden_params", None) or {}
        headers: Any = getattr(answer, "_response_headers", None) or hidden.get("additional_headers") or {}
        return complete_draft(
            draft,
            request,
            price=price_of(request.model, self._gateway, api_base=request.api_base, params=request.params),
            route="litellm",
            latency_ms=(time.perf_counter() - started) * 1e3,
            ttft_ms=ttft_ms,
            rate_limit=rate_limit_headers({str(name): str(value) for name, value in dict(headers).items()}),
        )

    async def embed(self, request: ModelRequest) -> ModelResponse:
        """Make one attempt at embeddings."""
        from bakeoff.gateway._embed import embed_by_litellm

        self._export(request)
        return await embed_by_litellm(
            request, gateway=self._gateway, env=self._env, secrets=self._secrets, timeout_s=self._limits.timeout_s
        )

    async def _collect(
        self, chunks: AsyncIterator[Any], request: ModelRequest, started: float
    ) -> tuple[Draft, float | None]:
        stream = StreamDraft()
        first: float | None = None
        limit = self._limits.first_token_timeout_s
        while True:
            try:
                async with asyncio.timeout(limit if first is None else None):
                    chunk = await anext(chunks)
            except StopAsyncIteration:
                break
            except TimeoutError:
                if first is not None or limit is None or time.perf_counter() - started < limit:
                    raise
                raise timeout_error(request.model, "first token", limit) from None
            if stream.add(chunk.model_dump()) and first is None:
                first = (time.perf_counter() - started) * 1e3
        if not stream.complete:
            raise bad_response(request.model, "a stream that ended before its end", stream.draft().text, self._secrets)
        return stream.draft(), first

    def _export(self, request: ModelRequest) -> None:
        # Providers with more than one variable (Azure, Bedrock, Vertex) read theirs from the process's environment;
        # a `.env` named on the command line is only in `env`.
        if request.model in self._exported:
            return
        self._exported.add(request.model)
        for name in required_env(request.model, api_base=request.api_base, api_key_env=request.api_key_env):
            if name in self._env and name != request.api_key_env:
                os.environ.setdefault(name, self._env[name])

    async def aclose(self) -> None:
        """Close LiteLLM's cached clients of this loop."""
        await close_litellm()
