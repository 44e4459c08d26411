"""What is known about providers before any call: names, key variables, and whether a model is on your own machine."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bakeoff.errors import ProviderError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "find_key",
    "has_batches",
    "is_local",
    "missing_env",
    "missing_key",
    "required_env",
    "sent_headers",
    "split_model",
]

_KEYS: dict[str, tuple[str, ...]] = {
    # The first is the one that messages name; the others are accepted as well.
    "ai21": ("AI21_API_KEY",),
    "ai21_chat": ("AI21_API_KEY",),
    "anthropic": ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"),
    "anyscale": ("ANYSCALE_API_KEY",),
    "azure": ("AZURE_API_KEY", "AZURE_OPENAI_API_KEY", "AZURE_AD_TOKEN"),
    "azure_ai": ("AZURE_AI_API_KEY",),
    "baseten": ("BASETEN_API_KEY",),
    "cerebras": ("CEREBRAS_API_KEY",),
    "codestral": ("CODESTRAL_API_KEY",),
    "cohere": ("COHERE_API_KEY", "CO_API_KEY"),
    "cohere_chat": ("COHERE_API_KEY", "CO_API_KEY"),
    "dashscope": ("DASHSCOPE_API_KEY",),
    "databricks": ("DATABRICKS_API_KEY",),
    "deepinfra": ("DEEPINFRA_API_KEY",),
    "deepseek": ("DEEPSEEK_API_KEY",),
    "featherless_ai": ("FEATHERLESS_AI_API_KEY",),
    "fireworks_ai": ("FIREWORKS_AI_API_KEY", "FIREWORKS_API_KEY", "FIREWORKSAI_API_KEY", "FIREWORKS_AI_TOKEN"),
    "friendliai": ("FRIENDLIAI_API_KEY", "FRIENDLI_TOKEN"),
    "gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    "groq": ("GROQ_API_KEY",),
    "huggingface": ("HF_TOKEN", "HUGGINGFACE_API_KEY"),
    "hyperbolic": ("HYPERBOLIC_API_KEY",),
    "lambda_ai": ("LAMBDA_API_KEY",),
    "meta_llama": ("LLAMA_API_KEY",),
    "mistral": ("MISTRAL_API_KEY",),
    "moonshot": ("MOONSHOT_API_KEY",),
    "nebius": ("NEBIUS_API_KEY",),
    "novita": ("NOVITA_API_KEY",),
    "nscale": ("NSCALE_API_KEY",),
    "nvidia_nim": ("NVIDIA_NIM_API_KEY",),
    "openai": ("OPENAI_API_KEY",),
    "openrouter": ("OPENROUTER_API_KEY", "OR_API_KEY"),
    "perplexity": ("PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY"),
    "replicate": ("REPLICATE_API_KEY", "REPLICATE_API_TOKEN"),
    "sambanova": ("SAMBANOVA_API_KEY",),
    "text-completion-openai": ("OPENAI_API_KEY",),
    "together_ai": ("TOGETHERAI_API_KEY", "TOGETHER_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHER_AI_TOKEN"),
    "vercel_ai_gateway": ("VERCEL_AI_GATEWAY_API_KEY",),
    "volcengine": ("VOLCENGINE_API_KEY",),
    "wandb": ("WANDB_API_KEY",),
    "xai": ("XAI_API_KEY",),
    "zai": ("ZAI_API_KEY",),
}
_OPTIONAL_KEYS: dict[str, tuple[str, ...]] = {
    "hosted_vllm": ("HOSTED_VLLM_API_KEY",),
    "lm_studio": ("LM_STUDIO_API_KEY",),
    "ollama": ("OLLAMA_API_KEY",),
    "ollama_chat": ("OLLAMA_API_KEY",),
}
_ALSO: dict[str, tuple[tuple[str, ...], ...]] = {
    # Groups of which one each must be set, besides (or instead of) a key.
    "azure": (("AZURE_API_BASE",), ("AZURE_API_VERSION",)),
    "azure_ai": (("AZURE_AI_API_BASE",),),
    "bedrock": (
        (
            "AWS_ACCESS_KEY_ID",
            "AWS_PROFILE",
            "AWS_ROLE_ARN",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_BEARER_TOKEN_BEDROCK",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        ),
    ),
    "databricks": (("DATABRICKS_API_BASE",),),
    "hosted_vllm": (("HOSTED_VLLM_API_BASE",),),
    "sagemaker": (("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"),),
    "vertex_ai": (("VERTEXAI_PROJECT", "GOOGLE_APPLICATION_CREDENTIALS"),),
}
_API_BASE_VARIABLES = frozenset(
    {"AZURE_API_BASE", "AZURE_AI_API_BASE", "HOSTED_VLLM_API_BASE", "DATABRICKS_API_BASE", "LM_STUDIO_API_BASE"}
)
_LOCAL = frozenset(
    {
        "docker_model_runner",
        "hosted_vllm",
        "lemonade",
        "llamafile",
        "lm_studio",
        "ollama",
        "ollama_chat",
        "oobabooga",
        "vllm",
        "xinference",
    }
)


@lru_cache(maxsize=4096)
def split_model(model: str) -> tuple[str, str]:
    """Split a model string into provider and name; a bare name belongs to the provider that the price map says.

    Examples:
        >>> split_model("openrouter/openai/gpt-4o"), split_model("gpt-4o-mini")
        (('openrouter', 'openai/gpt-4o'), ('openai', 'gpt-4o-mini'))
        >>> split_model("no-such-model")
        ('', 'no-such-model')
    """
    provider, slash, name = model.partition("/")
    if slash:
        return provider, name
    from bakeoff.gateway._pricing import owner_of

    return owner_of(model), model


def has_batches(model: str) -> bool:
    """Tell whether a model's provider has a batch API that Bakeoff speaks.

    Examples:
        >>> has_batches("openai/gpt-4o-mini"), has_batches("anthropic/claude-x"), has_batches("gemini/gemini-2.5-pro")
        (True, True, False)
    """
    return split_model(model)[0] in {"anthropic", "groq", "openai"}


def is_local(model: str, api_base: str | None = None) -> bool:
    """Tell whether a model runs on your own machines, so that nobody sends a bill.

    Examples:
        >>> is_local("ollama/llama3"), is_local("openai/my-model", "http://127.0.0.1:8000/v1"), is_local("openai/gpt-5")
        (True, True, False)
    """
    if model.startswith("sim/"):
        return True
    if api_base is not None:
        return _is_private(api_base)
    return split_model(model)[0] in _LOCAL


@lru_cache(maxsize=256)
def _is_private(api_base: str) -> bool:
    host = urlsplit(api_base).hostname or ""
    if host in {"localhost", "host.docker.internal"} or host.endswith((".local", ".internal", ".localhost")):
        return True
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host and bool(host)


def required_env(model: str, *, api_base: str | None = None, api_key_env: str | None = None) -> list[str]:
    """Return the environment variables that a call to the model needs; the usual name of each.

    Args:
        model: Model string.
        api_base: Address from the spec; with one, no variable for the address is needed, and a local
            server needs no key.
        api_key_env: Name of the key variable from the spec; it replaces the usual one.

    Examples:
        >>> required_env("anthropic/claude-sonnet-4-5"), required_env("ollama/llama3"), required_env("sim/small")
        (['ANTHROPIC_API_KEY'], [], [])
    """
    return [group[0] for group in _groups(model, api_base, api_key_env)]


def missing_env(
    model: str, env: Mapping[str, str], *, api_base: str | None = None, api_key_env: str | None = None
) -> list[str]:
    """Return those of `required_env` that are not set, under any name that is accepted.

    Examples:
        >>> missing_env("gemini/gemini-2.5-flash", {"GOOGLE_API_KEY": "x"}), missing_env("openai/gpt-5-mini", {})
        ([], ['OPENAI_API_KEY'])
    """
    groups = _groups(model, api_base, api_key_env)
    return [group[0] for group in groups if not any(env.get(name) for name in group)]


def _groups(model: str, api_base: str | None, api_key_env: str | None) -> list[tuple[str, ...]]:
    if model.startswith("sim/"):
        return []
    provider = split_model(model)[0]
    groups: list[tuple[str, ...]] = []
    if api_key_env is not None:
        groups.append((api_key_env,))
    elif provider in _KEYS and not (api_base is not None and _is_private(api_base)):
        groups.append(_KEYS[provider])
    others = _ALSO.get(provider, ())
    return groups + [group for group in others if api_base is None or not _API_BASE_VARIABLES.intersection(group)]


def missing_key(
    model: str, env: Mapping[str, str], *, api_base: str | None = None, api_key_env: str | None = None
) -> str | None:
    """Return the name of the key variable without which a call to the model is certain to be refused, or None.

    Examples:
        >>> missing_key("openai/gpt-5-mini", {}), missing_key("bedrock/x", {})
        ('OPENAI_API_KEY', None)
    """
    keys = {api_key_env, *(names[0] for names in _KEYS.values())}
    absent = missing_env(model, env, api_base=api_base, api_key_env=api_key_env)
    return next((name for name in absent if name in keys), None)


def find_key(model: str, env: Mapping[str, str], *, api_key_env: str | None = None) -> str | None:
    """Return the API key of a model's provider from the environment, or None."""
    provider = split_model(model)[0]
    usual = _KEYS.get(provider, _OPTIONAL_KEYS.get(provider, ()))
    names = usual if api_key_env is None else (api_key_env,)
    for name in names:
        value = env.get(name)
        if value:
            return value
    return None


_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def sent_headers(model: str, headers: Mapping[str, str], env: Mapping[str, str]) -> dict[str, str]:
    """Return headers as they are sent: `${NAME}` is read from the environment, so that no key stands in a spec.

    Raises:
        ProviderError: A variable is not set.

    Examples:
        >>> sent_headers("openai/m", {"X-Key": "Basic ${LOGIN}", "X-Team": "red"}, {"LOGIN": "abc"})
        {'X-Key': 'Basic abc', 'X-Team': 'red'}
    """

    def value(match: re.Match[str]) -> str:
        found = env.get(match[1])
        if not found:
            raise ProviderError(
                f"{model!r} was not called: a header needs {match[1]}, which is not set\n"
                f"    fix: export {match[1]}=..., or put it in a file and name that with --env-file",
                kind="auth",
            )
        return found

    return {name: _VARIABLE.sub(value, text) for name, text in headers.items()}
