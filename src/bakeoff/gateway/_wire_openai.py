"""OpenAI-compatible providers on the wire, without importing LiteLLM.

Only what the contract test has shown to be the same as LiteLLM's: plain messages, and parameters that
go through unchanged. For anything else `openai_plan` returns None, and LiteLLM's own classes build the
request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from bakeoff.errors import ProviderError
from bakeoff.gateway._pricing import mode_of
from bakeoff.gateway._providers import find_key, missing_key, sent_headers, split_model

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bakeoff.gateway._types import ModelRequest

__all__ = ["OpenAIPlan", "is_openai_compatible", "is_plain", "openai_plan", "provider_address"]

_COMMON = frozenset({"temperature", "top_p", "max_tokens", "stop", "tools", "tool_choice"})
_SAMPLING = frozenset({"frequency_penalty", "presence_penalty", "n", "seed", "logit_bias"})
_TOOL_PARAMS = frozenset({"tool_choice", "parallel_tool_calls"})
_LOGPROBS = frozenset({"logprobs", "top_logprobs"})
_OPENAI = _COMMON | _SAMPLING | _LOGPROBS | {"max_completion_tokens", "parallel_tool_calls", "response_format"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Provider:
    base: str | None
    """Address; None when the spec or the environment must say it."""
    base_variables: tuple[str, ...] = ()
    params: frozenset[str] = _OPENAI
    headers: tuple[tuple[str, str], ...] = ()
    env_headers: tuple[tuple[str, str], ...] = ()
    """Header and the variable that replaces its value."""
    extra: tuple[tuple[str, Any], ...] = ()
    """Fields of the body that LiteLLM adds."""
    stream_options: bool = True
    """Whether a stream must be asked for its usage."""
    default_key: str | None = None
    """What LiteLLM sends where nobody set a key."""


_PROVIDERS: dict[str, _Provider] = {
    "openai": _Provider(
        base="https://api.openai.com/v1", base_variables=("OPENAI_BASE_URL", "OPENAI_API_BASE"), default_key="none"
    ),
    "hosted_vllm": _Provider(
        base=None,
        base_variables=("HOSTED_VLLM_API_BASE",),
        params=_OPENAI - {"tools", "tool_choice", "parallel_tool_calls"},  # LiteLLM rewrites tools for vLLM
        default_key="fake-api-key",
    ),
    "groq": _Provider(
        base="https://api.groq.com/openai/v1",
        base_variables=("GROQ_API_BASE",),
        params=_COMMON | _SAMPLING | {"parallel_tool_calls"},
    ),
    "mistral": _Provider(
        base="https://api.mistral.ai/v1",
        base_variables=("MISTRAL_API_BASE",),
        params=_COMMON,
        stream_options=False,
    ),
    "openrouter": _Provider(
        base="https://openrouter.ai/api/v1",
        base_variables=("OPENROUTER_API_BASE",),
        headers=(("HTTP-Referer", "https://litellm.ai"), ("X-Title", "liteLLM")),
        env_headers=(("HTTP-Referer", "OR_SITE_URL"), ("X-Title", "OR_APP_NAME")),
        extra=(("usage", {"include": True}),),
    ),
}
_REWRITTEN = ("anthropic/", "claude", "gemini", "minimax", "glm", "z-ai")
"""Models for which LiteLLM moves cache marks and thinking budgets about on OpenRouter."""
_REASONING_MODELS = ("o1", "o3", "o4", "gpt-5", "gpt-6", "codex", "computer-use")


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAIPlan:
    """What does not change between the calls of one variant."""

    url: str
    headers: Mapping[str, str]
    fixed: Mapping[str, Any]

    def body(self, messages: Sequence[Mapping[str, Any]]) -> bytes:
        """Return the body of one call."""
        return orjson.dumps({"messages": messages, **self.fixed}, default=dict)


def is_plain(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether all messages are text from system, user or assistant, so that no provider rewrites them.

    Examples:
        >>> is_plain([{"role": "user", "content": "hello"}]), is_plain([{"role": "tool", "content": "4"}])
        (True, False)
    """
    if not messages:
        return False
    for message in messages:
        if len(message) != 2 or message.get("role") not in {"system", "user", "assistant"}:
            return False
        content = message.get("content")
        if not isinstance(content, str) or not content.strip():
            return False  # several providers refuse or replace an empty message
    return True


def is_openai_compatible(model: str) -> bool:
    """Tell whether plain calls to a model are made without LiteLLM.

    Examples:
        >>> [is_openai_compatible(model) for model in ("openai/gpt-4o-mini", "openai/gpt-5", "anthropic/claude-x")]
        [True, False, False]
    """
    name, bare = split_model(model)
    return "/" in model and name in _PROVIDERS and _is_simple(model, name, bare)


def provider_address(request: ModelRequest, env: Mapping[str, str]) -> str:
    """Return the address of an OpenAI-compatible provider: the spec's, the environment's, or the usual one.

    Raises:
        ProviderError: Nobody says where the model is served.
    """
    provider = _PROVIDERS[split_model(request.model)[0]]
    base = request.api_base or next((env[one] for one in provider.base_variables if env.get(one)), provider.base)
    if base is None:
        variable = provider.base_variables[0]
        raise ProviderError(f"{request.model!r} has no address; set `api_base` or {variable}", kind="bad_request")
    return base


def openai_plan(request: ModelRequest, env: Mapping[str, str]) -> OpenAIPlan | None:
    """Prepare the calls of a variant, or return None when LiteLLM must do it.

    Examples:
        >>> from bakeoff.gateway import ModelRequest
        >>> request = ModelRequest(model="openai/gpt-4o-mini", messages=[], params={"max_tokens": 5})
        >>> plan = openai_plan(request, {"OPENAI_API_KEY": "sk-secret"})
        >>> plan.url, plan.body([{"role": "user", "content": "hi"}])
        ('https://api.openai.com/v1/chat/completions',
         b'{"messages":[{"role":"user","content":"hi"}],"model":"gpt-4o-mini","max_tokens":5}')
    """
    name, model = split_model(request.model)
    provider = _PROVIDERS.get(name)
    if provider is None or "/" not in request.model or not _goes_through(request, name, model, provider):
        return None
    base = request.api_base or next((env[one] for one in provider.base_variables if env.get(one)), provider.base)
    key = find_key(request.model, env, api_key_env=request.api_key_env) or provider.default_key
    absent = missing_key(request.model, env, api_base=request.api_base, api_key_env=request.api_key_env)
    if base is None or key is None or absent is not None:
        return None  # the other way says what is missing
    headers = {"Content-Type": "application/json", "Accept": "application/json", "Authorization": f"Bearer {key}"}
    headers |= dict(provider.headers)
    headers |= {header: env[variable] for header, variable in provider.env_headers if env.get(variable)}
    if name == "openai":
        organization = env.get("OPENAI_ORGANIZATION") or env.get("OPENAI_ORG_ID")
        headers |= {"OpenAI-Organization": organization} if organization else {}
        headers |= {"OpenAI-Project": env["OPENAI_PROJECT_ID"]} if env.get("OPENAI_PROJECT_ID") else {}
    headers |= sent_headers(request.model, request.headers, env)
    fixed: dict[str, Any] = {"model": model, **{key: value for key, value in request.params.items() if key != "sim"}}
    fixed |= dict(provider.extra)
    if request.stream:
        fixed["stream"] = True
        if provider.stream_options:
            fixed.setdefault("stream_options", {"include_usage": True})
    base = base.rstrip("/")
    url = base if base.endswith("/chat/completions") else f"{base}/chat/completions"
    return OpenAIPlan(url=url, headers=headers, fixed=fixed)


def _goes_through(request: ModelRequest, name: str, model: str, provider: _Provider) -> bool:
    params = request.params
    for parameter, value in params.items():
        if parameter != "sim" and (value is None or parameter not in provider.params):
            return False
    if "tools" not in params and _TOOL_PARAMS.intersection(params):
        return False  # LiteLLM leaves them out
    return _is_simple(request.model, name, model)


def _is_simple(full: str, name: str, model: str) -> bool:
    if name == "openai":
        # Reasoning models rename and refuse parameters; some are only served by another API.
        bare = model.removeprefix("ft:")
        return not bare.startswith(_REASONING_MODELS) and mode_of(full) in {None, "chat"}
    if name == "openrouter":
        return not any(maker in model for maker in _REWRITTEN)
    return True
