"""The fast route: provider knowledge on our own HTTP session, a fraction of a millisecond of CPU per call."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import orjson

from bakeoff.errors import ProviderError
from bakeoff.gateway._answer import complete_draft
from bakeoff.gateway._errors import Secrets, rate_limit_headers, refused_before
from bakeoff.gateway._http import Call, HttpSession
from bakeoff.gateway._litellm import load_litellm
from bakeoff.gateway._pricing import price_of
from bakeoff.gateway._providers import split_model
from bakeoff.gateway._route_litellm import call_arguments, check_params
from bakeoff.gateway._route_openai import call_openai
from bakeoff.gateway._wire_litellm import Handover, NotServedError, run_handler, take_handover
from bakeoff.gateway._wire_openai import OpenAIPlan, is_plain, openai_plan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bakeoff.gateway._answer import Draft
    from bakeoff.gateway._config import GatewaySpec, LimitsSpec
    from bakeoff.gateway._pricing import Price
    from bakeoff.gateway._types import ModelRequest, ModelResponse

__all__ = ["DirectTransport", "NotServedError"]


_VARIANTS_KEPT = 2_000
_HANDOVERS_KEPT = 64


_QUICK = frozenset(
    {
        "anthropic",
        "azure",
        "cohere",
        "deepseek",
        "gemini",
        "groq",
        "hosted_vllm",
        "mistral",
        "openai",
        "openrouter",
        "together_ai",
        "xai",
    }
)
"""For others LiteLLM may ask a server first, with a blocking call: Ollama about the model, some about a token."""


class _Variant:
    """What is prepared once for all calls with the same model, parameters and address."""

    __slots__ = ("handovers", "plan", "price")

    def __init__(self, plan: OpenAIPlan | None, price: Price | None) -> None:
        self.plan = plan
        self.price = price
        self.handovers: dict[tuple[str, ...], Handover] = {}


class DirectTransport:
    """Makes attempts on the provider's HTTP API.

    Args:
        gateway: Holds prices.
        limits: Timeouts.
        env: Where keys are looked up.
        http: Session to make them with; one of its own when omitted.
    """

    def __init__(
        self, gateway: GatewaySpec, limits: LimitsSpec, *, env: Mapping[str, str], http: HttpSession | None = None
    ) -> None:
        self._gateway = gateway
        self._limits = limits
        self._env = env
        self._secrets = Secrets(env)
        self._http = HttpSession(limits, secrets=self._secrets) if http is None else http
        self._variants: dict[tuple[object, ...], _Variant] = {}

    async def send(self, request: ModelRequest) -> ModelResponse:
        """Make one attempt.

        Raises:
            ProviderError: The attempt failed.
            NotServedError: Only the full LiteLLM client can make this call.
        """
        variant = self._variant(request)
        started = time.perf_counter()
        if variant.plan is not None and is_plain(request.messages):
            call = Call(request.model, variant.plan.url, variant.plan.headers, variant.plan.body(request.messages))
            draft, first = await call_openai(call, self._http, secrets=self._secrets, stream=request.stream)
        else:
            draft, call, first = await self._by_handler(variant, request)
        ended = time.perf_counter()
        begun = call.started or started
        return complete_draft(
            draft,
            request,
            price=variant.price,
            route="direct",
            latency_ms=(ended - begun) * 1e3,
            ttft_ms=None if first is None else (first - begun) * 1e3,
            rate_limit=rate_limit_headers(call.response_headers or {}),
        )

    async def embed(self, request: ModelRequest) -> ModelResponse:
        """Make one attempt at embeddings."""
        from bakeoff.gateway._embed import embed_direct

        return await embed_direct(request, self._http, gateway=self._gateway, env=self._env, secrets=self._secrets)

    async def moderate(self, request: ModelRequest) -> ModelResponse:
        """Make one attempt at moderation."""
        from bakeoff.gateway._moderate import moderate_direct

        return await moderate_direct(request, self._http, gateway=self._gateway, env=self._env, secrets=self._secrets)

    def _variant(self, request: ModelRequest) -> _Variant:
        key = _variant_key(request)
        variant = self._variants.get(key)
        if variant is None:
            check_params(request)
            if len(self._variants) >= _VARIANTS_KEPT:
                self._variants.clear()  # parameters that change with every call: nothing to gain from keeping them
            price = price_of(request.model, self._gateway, api_base=request.api_base, params=request.params)
            variant = self._variants[key] = _Variant(openai_plan(request, self._env), price)
        return variant

    async def _by_handler(self, variant: _Variant, request: ModelRequest) -> tuple[Draft, Call, float | None]:
        # A handler may treat messages by their roles; so one handover for each sequence of roles.
        roles = tuple(str(message.get("role")) for message in request.messages)
        plain = is_plain(request.messages)
        handover = variant.handovers.get(roles) if plain else None
        fresh = handover is None
        if handover is None:
            handover = await self._take(request)
            if plain and handover.keeps(request.messages) and len(variant.handovers) < _HANDOVERS_KEPT:
                variant.handovers[roles] = handover
                fresh = False  # its parts will be used again: work on copies
        return await run_handler(
            handover,
            request,
            self._http,
            fresh=fresh,
            secrets=self._secrets,
            timeout_s=self._limits.timeout_s,
        )

    async def _take(self, request: ModelRequest) -> Handover:
        arguments = call_arguments(request, env=self._env, timeout_s=self._limits.timeout_s)
        if request.stream:
            arguments["stream"] = True
        await asyncio.to_thread(load_litellm)
        try:
            if split_model(request.model)[0] in _QUICK:
                return take_handover(arguments)
            return await asyncio.to_thread(take_handover, arguments)
        except (NotServedError, ProviderError):
            raise
        except Exception as error:  # noqa: BLE001 - LiteLLM raises classes of many libraries
            raise refused_before(error, model=request.model, secrets=self._secrets) from None

    async def aclose(self) -> None:
        """Close connections."""
        await self._http.aclose()


def _variant_key(request: ModelRequest) -> tuple[object, ...]:
    try:
        params = orjson.dumps(request.params, option=orjson.OPT_NON_STR_KEYS, default=dict)
    except TypeError:
        raise NotServedError from None  # a class as response format, and the like
    headers = tuple(request.headers.items())
    return (request.model, params, request.api_base, request.api_key_env, request.stream, headers)
