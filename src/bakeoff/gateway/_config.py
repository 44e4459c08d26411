"""Configuration of the gateway: the spec's `limits`, `budget` and `gateway` sections."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

__all__ = ["BudgetSpec", "GatewaySpec", "LimitsSpec", "PriceSpec", "RateLimitSpec"]

_Fraction = Annotated[float, Field(ge=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class RateLimitSpec(_Section):
    """Declared limits of one model, provider or key."""

    requests_per_minute: PositiveFloat | None = None
    tokens_per_minute: PositiveFloat | None = None
    """Input plus output; the input is estimated and reserved before the call, corrected after it."""
    concurrency: PositiveInt | None = None


class LimitsSpec(_Section):
    """How hard the run may push. One limiter for task and judge calls."""

    concurrency: PositiveInt = 50
    """Trials in flight at once."""
    requests_per_minute: PositiveFloat | None = None
    tokens_per_minute: PositiveFloat | None = None
    per_model: dict[str, RateLimitSpec] = Field(default_factory=dict)
    """Limits by model string (`openai/gpt-5-mini`), provider (`openai`) or key variable (`OPENAI_API_KEY`)."""
    adaptive: bool = True
    """Fewer calls at once after 429 and 503, more again while all is well (AIMD)."""
    timeout_s: PositiveFloat = 120.0
    """For one attempt, from start to last byte."""
    connect_timeout_s: PositiveFloat = 10.0
    first_token_timeout_s: PositiveFloat | None = None
    """Only when streaming."""
    attempts: PositiveInt = 5
    """Attempts for one call, the first one included; only for errors that may pass."""
    retry_budget: _Fraction = 0.5
    """Retries in the whole run, as a share of its calls (at least 100): a dead provider fails fast."""
    max_wait_s: PositiveFloat = 300.0
    """Longest wait for one retry, whatever the provider asks for."""
    shared: bool = True
    """Share declared limits with other Bakeoff processes on this machine."""


class BudgetSpec(_Section):
    """Hard limits of one run, task and judge calls together. Reserved before each call."""

    usd: Annotated[float, Field(ge=0)] | None = None
    tokens: PositiveInt | None = None
    calls: PositiveInt | None = None
    minutes: PositiveFloat | None = None
    per_variant_usd: Annotated[float, Field(ge=0)] | None = None


class PriceSpec(_Section):
    """Price of a model that the bundled price map does not know, in USD per million tokens."""

    input_usd: Annotated[float, Field(ge=0)]
    output_usd: Annotated[float, Field(ge=0)]
    cached_input_usd: Annotated[float, Field(ge=0)] | None = None


class GatewaySpec(_Section):
    """How calls are made."""

    mode: Literal["live", "batch"] = "live"
    """`batch`: prompts are answered by the provider's batch API, half the price, within 24 hours; judges stay live."""
    batch_poll_s: PositiveFloat = 30.0
    """How often a batch is looked at."""
    route: Literal["auto", "direct", "litellm"] = "auto"
    """`direct`: provider knowledge on our own HTTP session; `litellm`: its full client; `auto`: direct where it can."""
    cache: bool = True
    """Answer a call from the response cache when the very same call was answered before."""
    cache_path: Path | None = None
    """SQLite file; inside the store when omitted."""
    cache_ttl_days: PositiveFloat | None = None
    cache_max_mb: PositiveFloat = 2048.0
    refresh: bool = False
    """Ask again and overwrite what the cache holds."""
    prices: dict[str, PriceSpec] = Field(default_factory=dict)
    allow_unpriced: bool = False
    """Let a model without a known price run under a USD budget; its calls count as free."""
    fallbacks: dict[str, list[str]] = Field(default_factory=dict)
    """By model: who answers when it cannot. Off by default, since it mixes models; marked on the trial."""
    stream: bool = False
    """Stream answers, to measure the time to first token."""
    breaker_failures: PositiveInt = 20
    """Consecutive failures of a model after which its calls fail at once for a while."""
    breaker_reset_s: PositiveFloat = 30.0
