"""Attempts on simulated models, with the latency and the failures that were asked for."""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from hashlib import blake2b
from typing import TYPE_CHECKING

import orjson

from bakeoff.errors import ProviderError
from bakeoff.gateway._sim._luck import normal, uniform
from bakeoff.gateway._sim._params import sim_params, tier_of
from bakeoff.gateway._sim._speak import Speech, speak
from bakeoff.gateway._tokens import estimate_text_tokens, estimate_tokens
from bakeoff.gateway._types import ModelResponse, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bakeoff.gateway._config import GatewaySpec, LimitsSpec
    from bakeoff.gateway._sim._params import SimParams
    from bakeoff.gateway._types import ModelRequest

__all__ = ["SimTransport"]

_FAILED_CALLS_KEPT = 100_000


class SimTransport:
    """Makes attempts on `sim/...` models: no network, no import of LiteLLM.

    Args:
        gateway: May hold a price of its own for a simulated model.
        limits: The time limits that a simulated hang runs into.
    """

    def __init__(self, gateway: GatewaySpec, limits: LimitsSpec) -> None:
        self._gateway = gateway
        self._limits = limits
        self._attempts: OrderedDict[bytes, int] = OrderedDict()

    async def send(self, request: ModelRequest) -> ModelResponse:
        """Make one attempt.

        Raises:
            ProviderError: The failure that was asked for.
            SpecError: The model or one of its knobs is unknown.
        """
        from bakeoff.gateway._pricing import price_of

        knobs = sim_params(request.model, request.params)
        started = time.perf_counter()
        key = _key(request)
        attempt = self._attempts.get(key, 0)
        first_ms = _first_token_ms(request, knobs, key, attempt)
        await self._maybe_fail(request, knobs, key, attempt, first_ms)
        speech = speak(
            request.model,
            request.messages,
            request.params,
            context=request.sim_context,
            repeat=request.repeat,
            knobs=knobs,
        )
        usage, finish = _usage(request, speech, knobs)
        per_token = tier_of(request.model).ms_per_token if knobs.ms_per_token is None else knobs.ms_per_token
        if knobs.latency_ms == 0:
            per_token = 0.0
        total_ms = first_ms + per_token * usage.output_tokens
        await self._sleep(total_ms, knobs)
        self._attempts.pop(key, None)
        price = price_of(request.model, self._gateway, params=request.params)
        measured_ms = (time.perf_counter() - started) * 1e3
        return ModelResponse(
            text=_cut(speech.text, usage) if finish == "length" else speech.text,
            model=request.model,
            finish_reason=finish,
            tool_calls=speech.tool_calls,
            usage=usage,
            cost_usd=None if price is None else price.cost(usage),
            latency_ms=max(total_ms, measured_ms) if knobs.time_scale >= 1 else total_ms,
            ttft_ms=first_ms if request.stream else None,
            route="sim",
            fingerprint=f"sim-{knobs.seed}",
        )

    async def _maybe_fail(
        self, request: ModelRequest, knobs: SimParams, key: bytes, attempt: int, first_ms: float
    ) -> None:
        rates = knobs.errors.model_dump()
        if not any(rates.values()):
            return
        self._attempts[key] = attempt + 1
        if len(self._attempts) > _FAILED_CALLS_KEPT:
            self._attempts.popitem(last=False)
        draw = uniform(knobs.seed, "failure", key, attempt)
        for name, rate in rates.items():
            draw -= rate
            if draw < 0:
                await self._sleep(knobs.hang_s * 1e3 if name == "timeout" else first_ms, knobs)
                raise self._failure(name, request.model, knobs)

    def _failure(self, name: str, model: str, knobs: SimParams) -> ProviderError:
        if name == "rate_limit":
            wait = knobs.retry_after_s
            message = f"{model!r} answered HTTP 429: simulated rate limit"
            return ProviderError(message, kind="rate_limit", retryable=True, retry_after_s=wait, status=429)
        if name == "server":
            return ProviderError(
                f"{model!r} answered HTTP 500: simulated failure", kind="server", retryable=True, status=500
            )
        if name == "timeout":
            return ProviderError(
                f"{model!r} gave no complete answer within {min(knobs.hang_s, self._limits.timeout_s):g} s: simulated",
                kind="timeout",
                retryable=True,
            )
        if name == "connection":
            return ProviderError(f"{model!r}: no connection: simulated", kind="connection", retryable=True)
        what = "a stream that ended before its end" if name == "cut_stream" else "a body that cannot be read"
        return ProviderError(f"{model!r} answered with {what}: simulated", kind="bad_response", retryable=True)

    async def _sleep(self, milliseconds: float, knobs: SimParams) -> None:
        seconds = min(milliseconds / 1e3, self._limits.timeout_s) * knobs.time_scale
        if seconds > 0:
            await asyncio.sleep(seconds)

    def prewarm(self, models: Iterable[str]) -> None:
        """Do nothing: there is nothing to load."""

    async def aclose(self) -> None:
        """Do nothing: there is nothing to close."""


def _key(request: ModelRequest) -> bytes:
    about = (request.model, list(request.messages), dict(request.params), request.repeat)
    return blake2b(orjson.dumps(about, default=str, option=orjson.OPT_NON_STR_KEYS), digest_size=12).digest()


def _first_token_ms(request: ModelRequest, knobs: SimParams, key: bytes, attempt: int) -> float:
    median = tier_of(request.model).latency_ms if knobs.latency_ms is None else knobs.latency_ms
    if median == 0:
        return 0.0
    return median * math.exp(knobs.latency_sigma * normal(knobs.seed, "latency", key, attempt))


def _usage(request: ModelRequest, speech: Speech, knobs: SimParams) -> tuple[Usage, str]:
    written = speech.text + "".join(call["function"]["arguments"] for call in speech.tool_calls)
    tokens = estimate_text_tokens(written) if knobs.output_tokens is None else knobs.output_tokens
    limit = request.params.get("max_tokens") or request.params.get("max_completion_tokens")
    finish = "tool_calls" if speech.tool_calls else "stop"
    total = tokens + knobs.reasoning_tokens
    if isinstance(limit, int) and total > limit > 0:
        total, finish = limit, "length"
    usage = Usage(
        input_tokens=estimate_tokens(request),
        output_tokens=total,
        reasoning_tokens=min(knobs.reasoning_tokens, total),
        estimated=True,
    )
    return usage, finish


def _cut(text: str, usage: Usage) -> str:
    shown = usage.output_tokens - usage.reasoning_tokens
    tokens = estimate_text_tokens(text)
    return text[: int(len(text) * shown / tokens)] if tokens > shown else text
