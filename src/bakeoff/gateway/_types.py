"""What goes into and comes out of the gateway."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["ModelClient", "ModelRequest", "ModelResponse", "Purpose", "Route", "Usage"]

Purpose = Literal["task", "judge", "agent"]
Route = Literal["direct", "litellm", "sim", "cache", "batch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one call, as the provider counted them unless `estimated`."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    """Part of `input_tokens` that the provider served from its prompt cache."""
    reasoning_tokens: int = 0
    """Part of `output_tokens` that was not shown."""
    audio_tokens: int = 0
    estimated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """One chat call.

    The cache key is made of everything here except `purpose`, `variant`, `api_key_env` and `fresh`.
    """

    model: str
    """A LiteLLM model string (`openai/gpt-5-mini`, `anthropic/...`, `ollama/...`) or `sim/...`."""
    messages: Sequence[Mapping[str, Any]]
    params: Mapping[str, Any] = field(default_factory=dict)
    """OpenAI-style parameters: temperature, max_tokens, top_p, stop, seed, tools, response_format, logprobs..."""
    repeat: int = 0
    """Index of the repeat: three repeats are three samples, never one cached answer."""
    api_base: str | None = None
    api_key_env: str | None = None
    """Name of the environment variable that holds the key; the key itself is never stored."""
    headers: Mapping[str, str] = field(default_factory=dict)
    stream: bool = False
    prompt_version: str = ""
    purpose: Purpose = "task"
    variant: str = ""
    """For budgets per variant."""
    sim_context: Mapping[str, Any] = field(default_factory=dict)
    """Only read by `sim/...` models: item id, expected answer, difficulty; never sent anywhere."""
    fresh: bool = False
    """Ask again even where the cache has an answer, and overwrite it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelResponse:
    """A model's answer with what it took to get it."""

    text: str
    model: str
    """The model that answered, as the provider names it."""
    finish_reason: str | None = None
    tool_calls: Sequence[Mapping[str, Any]] = ()
    """OpenAI-style: `{"id", "type": "function", "function": {"name", "arguments"}}`."""
    usage: Usage = field(default_factory=Usage)
    cost_usd: float | None = None
    """`None` when no price is known; 0.0 means free."""
    latency_ms: float = 0.0
    """Of the attempt that answered, without waiting for limits."""
    ttft_ms: float | None = None
    """Time to first token; only when streaming."""
    attempts: int = 1
    route: Route = "litellm"
    cached: bool = False
    fallback_from: str | None = None
    """The model that was asked first, when a fallback answered."""
    logprobs: Sequence[Mapping[str, Any]] | None = None
    reasoning: str | None = None
    fingerprint: str | None = None
    """The provider's `system_fingerprint`: a change without ours is drift."""
    rate_limit: Mapping[str, str] = field(default_factory=dict)
    """The `x-ratelimit-*` headers of the answer, for the limiter; never stored."""


class ModelClient(Protocol):
    """Anything that answers a chat call: the gateway, or a test double."""

    async def complete(self, request: ModelRequest) -> ModelResponse:
        """Answer the request.

        Raises:
            ProviderError: The call failed; `kind` and `retryable` say how.
            BudgetExceeded: The call was not made because it could overshoot a hard budget.
        """
        ...
