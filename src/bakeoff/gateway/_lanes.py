"""Which declared limits a request falls under, and under which name other processes know them."""

from __future__ import annotations

import hashlib
import uuid
from typing import TYPE_CHECKING

from bakeoff.gateway._window import WindowScope

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bakeoff.gateway._config import LimitsSpec, RateLimitSpec
    from bakeoff.gateway._types import ModelRequest

__all__ = ["key_variable", "provider_of", "scopes_of"]

_KEY_VARIABLES = {"azure": "AZURE_API_KEY", "azure_ai": "AZURE_AI_API_KEY", "google": "GEMINI_API_KEY", "vertex_ai": ""}


def provider_of(model: str) -> str:
    """Return the provider part of a LiteLLM model string; a bare name is OpenAI's.

    Examples:
        >>> provider_of("anthropic/claude"), provider_of("gpt-5-mini")
        ('anthropic', 'openai')
    """
    return model.split("/", maxsplit=1)[0] if "/" in model else "openai"


def key_variable(request: ModelRequest) -> str:
    """Return the name of the environment variable that holds the key of a request."""
    if request.api_key_env is not None:
        return request.api_key_env
    provider = provider_of(request.model)
    return _KEY_VARIABLES.get(provider, f"{provider.upper()}_API_KEY")


def scopes_of(
    request: ModelRequest, limits: LimitsSpec, *, env: Mapping[str, str], run: str, shared: bool
) -> list[WindowScope]:
    """Return every group of declared limits that a request falls under.

    Limits of the whole run hold for the run and, when shared, for its provider and key on this machine.
    Shared names hold a SHA-256 of provider, address and key, never the key.
    """
    provider, variable = provider_of(request.model), key_variable(request)
    shared = shared and provider != "sim"
    account = _account(provider, request.api_base or "", env.get(variable, "")) if shared else run
    scopes: list[WindowScope] = []
    if limits.requests_per_minute is not None or limits.tokens_per_minute is not None:
        scopes += [
            WindowScope(
                name=f"{owner}/all",
                requests_per_minute=limits.requests_per_minute,
                tokens_per_minute=limits.tokens_per_minute,
            )
            for owner in dict.fromkeys((run, account))
        ]
    for label in dict.fromkeys((provider, variable, request.model)):
        limit = limits.per_model.get(label)
        if limit is not None:
            scopes.append(_scope(f"{account}/{label}", limit))
    return scopes


def _scope(name: str, limit: RateLimitSpec) -> WindowScope:
    return WindowScope(
        name=name,
        requests_per_minute=limit.requests_per_minute,
        tokens_per_minute=limit.tokens_per_minute,
        concurrency=limit.concurrency,
    )


def _account(provider: str, api_base: str, key: str) -> str:
    text = f"bakeoff-limits\n{provider}\n{api_base}\n{key}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def new_run_name() -> str:
    """Return a name for the limits of one process that no other process uses."""
    return f"run-{uuid.uuid4().hex[:16]}"
