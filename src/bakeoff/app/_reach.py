"""Whether a model can be reached: one small question, on request only, with its price said before."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from bakeoff.errors import BakeoffError
from bakeoff.gateway import BudgetSpec, Gateway, GatewaySpec, LimitsSpec, ModelRequest, Usage, missing_env, price_of

__all__ = ["Reached", "most_usd", "reach"]

_MESSAGES = ({"role": "user", "content": "Answer with the one word: yes"},)
_INPUT_TOKENS, _OUTPUT_TOKENS = 40, 256
"""More than the question has, and what thinking models may need before they say anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """What came of asking."""

    ok: bool
    latency_ms: float = 0.0
    answered_by: str = ""
    text: str = ""
    cost_usd: float | None = None
    """`None` when no price is known."""
    error: str = ""


def most_usd(model: str, *, api_base: str | None = None) -> float | None:
    """Return what `reach` costs at most, in USD; `None` when the model's price is not known.

    Examples:
        >>> 0 < most_usd("openai/gpt-4o-mini") < 0.001, most_usd("ollama/llama3.2"), most_usd("nobody/knows")
        (True, 0.0, None)
    """
    price = price_of(model, GatewaySpec(), api_base=api_base)
    return None if price is None else price.cost(Usage(input_tokens=_INPUT_TOKENS, output_tokens=_OUTPUT_TOKENS))


def reach(model: str, *, api_base: str | None = None, timeout_s: float = 30.0) -> Reached:
    """Ask a model one small question; never from the response cache, and never a second time.

    Args:
        model: A LiteLLM model string, or `sim/...`.
        api_base: Address of a local or private server.
        timeout_s: Seconds to wait.
    """
    import os

    missing = missing_env(model, os.environ, api_base=api_base)
    if missing:
        return Reached(ok=False, error=f"set {' and '.join(missing)} in the environment of `bakeoff ui`")
    try:
        return asyncio.run(_ask(model, api_base, timeout_s))
    except BakeoffError as error:
        return Reached(ok=False, error=str(error))


async def _ask(model: str, api_base: str | None, timeout_s: float) -> Reached:
    limits = LimitsSpec(attempts=1, timeout_s=timeout_s, concurrency=1)
    async with Gateway(gateway=GatewaySpec(cache=False), limits=limits, budget=BudgetSpec(calls=1)) as gateway:
        answer = await gateway.complete(
            ModelRequest(model=model, messages=_MESSAGES, params={"max_tokens": _OUTPUT_TOKENS}, api_base=api_base)
        )
    return Reached(
        ok=True, latency_ms=answer.latency_ms, answered_by=answer.model, text=answer.text, cost_usd=answer.cost_usd
    )
