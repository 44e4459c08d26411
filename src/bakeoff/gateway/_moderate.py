"""Moderation through the same door as chat calls: cache, limits, budget, breaker, retries.

A text travels as a `ModelRequest` of a kind of its own, and the provider's decision as the text of the answer, in JSON;
so what the gateway does around single attempts needs to know nothing of moderation.
"""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from bakeoff.errors import ProviderError
from bakeoff.gateway._types import ModelRequest, ModelResponse, Usage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from bakeoff.gateway._config import GatewaySpec
    from bakeoff.gateway._errors import Secrets
    from bakeoff.gateway._http import HttpSession

__all__ = ["Moderation", "ModerationRequest", "moderate_direct", "moderate_text"]

_PROVIDERS = frozenset({"openai", "hosted_vllm", "mistral"})
_SIM_WORDS = {"harassment": r"idiots?|stupid|worthless", "hate": r"vermin|subhuman", "violence": r"kill|murder|stab"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModerationRequest(ModelRequest):
    """A text to moderate: one message with the role `moderate`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moderation:
    """What a provider's moderation said about one text."""

    flagged: bool
    categories: Mapping[str, bool]
    """The provider's decision for each kind of harm, under the provider's own names."""
    scores: Mapping[str, float]
    """0 to 1 for each kind of harm, where the provider gives scores."""
    model: str
    cost_usd: float | None = None
    """`None` when no price is known; 0.0 when it is free. What was paid once, when `cached`."""
    cached: bool = False


async def moderate_text(
    text: str, template: ModerationRequest, *, answer: Callable[[ModelRequest], Awaitable[ModelResponse]]
) -> Moderation:
    """Moderate one text.

    Args:
        text: What to moderate.
        template: Model and address, with one empty message.
        answer: Makes one call with cache, limits, budget and retries.

    Raises:
        ProviderError: The text is blank, or the call failed.
    """
    from dataclasses import replace

    if not text.strip():
        raise ProviderError("the text is blank; there is nothing to moderate", kind="bad_request")
    if template.model.startswith("sim/"):
        return _simulated(text, template.model)
    # A decision has no output; the limit keeps budgets from reserving for one.
    request = replace(template, messages=[{"role": "moderate", "content": text}], params={"max_tokens": 1})
    response = await answer(request)
    found = orjson.loads(response.text)
    return Moderation(
        flagged=found["flagged"],
        categories=found["categories"],
        scores=found["scores"],
        model=response.model,
        cost_usd=response.cost_usd,
        cached=response.cached,
    )


def _simulated(text: str, model: str) -> Moderation:
    """Moderate without a model, for `sim/...`: a few words, for trying things out."""
    found = {kind: bool(re.search(rf"\b({words})\b", text, re.IGNORECASE)) for kind, words in _SIM_WORDS.items()}
    scores = {kind: 0.9 if hit else 0.01 for kind, hit in found.items()}
    return Moderation(flagged=any(found.values()), categories=found, scores=scores, model=model, cost_usd=0.0)


async def moderate_direct(
    request: ModelRequest, http: HttpSession, *, gateway: GatewaySpec, env: Mapping[str, str], secrets: Secrets
) -> ModelResponse:
    """Make one attempt at `/moderations` of an OpenAI-compatible provider.

    Raises:
        ProviderError: The provider has no such endpoint, the call failed, or its answer cannot be read.
    """
    from bakeoff.gateway._embed import direct_call
    from bakeoff.gateway._errors import bad_response, rate_limit_headers
    from bakeoff.gateway._pricing import price_of
    from bakeoff.gateway._providers import split_model
    from bakeoff.gateway._tokens import estimate_tokens

    provider, model = split_model(request.model)
    if "/" not in request.model or provider not in _PROVIDERS:
        raise ProviderError(
            f"{request.model!r} has no moderation endpoint that Bakeoff knows; known are those of "
            f"{', '.join(sorted(_PROVIDERS))}\n    fix: name for instance openai/omni-moderation-latest",
            kind="bad_request",
        )
    text = request.messages[0]["content"]
    call = direct_call(request, "moderations", {"model": model, "input": text}, env=env)
    answer = await http.post(call)
    try:
        said = orjson.loads(answer)
        decision = _decision(said)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        start = answer[:400].decode("utf-8", "replace")
        what = f"a moderation that cannot be read ({error})"
        raise bad_response(request.model, what, start, secrets, status=call.status) from None
    usage = Usage(input_tokens=estimate_tokens(request), estimated=True)
    price = price_of(request.model, gateway, api_base=request.api_base, params=request.params)
    return ModelResponse(
        text=orjson.dumps(decision).decode(),
        model=str(said.get("model") or request.model),
        usage=usage,
        cost_usd=None if price is None else price.cost(usage),
        latency_ms=(time.perf_counter() - call.started) * 1e3,
        route="direct",
        rate_limit=rate_limit_headers(call.response_headers or {}),
    )


def _decision(said: Any) -> dict[str, Any]:
    """Read one result; Mistral gives no `flagged`, so any category decides.

    Raises:
        ValueError: It is not one result with at least one category.
    """
    (result,) = said["results"]
    categories = {str(name): value for name, value in result["categories"].items() if value is not None}
    scores = {str(name): value for name, value in (result.get("category_scores") or {}).items() if value is not None}
    if not categories:
        raise ValueError("no categories")
    for name, value in categories.items():
        if not isinstance(value, bool):
            raise ValueError(f"category {name} is {value!r}, not true or false")
    for name, value in scores.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"the score of {name} is {value!r}, not a number")
    flagged = result.get("flagged")
    if flagged is None:
        flagged = any(categories.values())
    if not isinstance(flagged, bool):
        raise ValueError(f"flagged is {flagged!r}, not true or false")
    return {"flagged": flagged, "categories": categories, "scores": {name: float(one) for name, one in scores.items()}}
