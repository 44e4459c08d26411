"""promptfoo providers as models, and its prompts as prompts."""

from __future__ import annotations

import json
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import yaml

from bakeoff.errors import BakeoffError
from bakeoff.experiments.promptfoo._promptfoo_files import Files, NotCarriedError, Notes, jinja
from bakeoff.prompts import load_prompt

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["add_defaults", "model_string", "models_of", "prompts_of", "slug"]

_PREFIX = {
    "openai": "openai", "anthropic": "anthropic", "azure": "azure", "azureopenai": "azure", "google": "gemini",
    "vertex": "vertex_ai", "ollama": "ollama", "bedrock": "bedrock", "mistral": "mistral", "groq": "groq",
    "cohere": "cohere", "openrouter": "openrouter", "deepseek": "deepseek", "xai": "xai", "perplexity": "perplexity",
    "fireworks": "fireworks_ai", "togetherai": "together_ai", "cerebras": "cerebras", "replicate": "replicate",
    "huggingface": "huggingface", "databricks": "databricks", "github": "github", "sambanova": "sambanova",
}  # fmt: skip
_HOW = {"chat", "completion", "messages", "responses", "text-generation"}
_NO_TEXT = {"embedding", "embeddings", "image", "assistant", "realtime", "transcription", "tts", "video", "agents"}
_SAME = (
    "temperature", "max_tokens", "max_completion_tokens", "top_p", "stop", "seed", "presence_penalty",
    "frequency_penalty", "response_format", "tools", "tool_choice", "parallel_tool_calls", "reasoning_effort",
    "logprobs", "top_logprobs",
)  # fmt: skip


def slug(text: str, taken: Collection[str] = ()) -> str:
    """Return a short name that is not taken.

    Examples:
        >>> slug("GPT-4o (mini)"), slug("a b", {"a-b"})
        ('gpt-4o-mini', 'a-b-2')
    """
    base = re.sub(r"[^a-z0-9._]+", "-", text.lower()).strip("-.")[:40].strip("-.") or "x"
    name, number = base, 2
    while name in taken:
        name, number = f"{base}-{number}", number + 1
    return name


def model_string(provider: str) -> str:
    """Return the LiteLLM model string of a promptfoo provider.

    Raises:
        NotCarriedError: It is a program, an endpoint, or something that gives no text.

    Examples:
        >>> model_string("openai:chat:gpt-4o-mini"), model_string("ollama:chat:llama3:8b")
        ('openai/gpt-4o-mini', 'ollama/llama3:8b')
    """
    head, _, rest = provider.partition(":")
    if provider == "echo":
        return "sim/echo"
    if head in ("litellm", "sim"):
        return rest if head == "litellm" else provider
    if provider.startswith(("http:", "https:", "ws:", "wss:", "exec:", "python:", "file:", "webhook")) or head in (
        "golang",
        "http",
        "https",
        "websocket",
        "ws",
        "wss",
        "browser",
        "mcp",
    ):
        raise NotCarriedError(f"provider {provider!r} is a program or an endpoint; write it under `targets`")
    if head not in _PREFIX or not rest:
        raise NotCarriedError(f"provider {provider!r} is not known")
    how, _, name = rest.partition(":")
    if how in _NO_TEXT:
        raise NotCarriedError(f"provider {provider!r} does not answer with text")
    if how == "converse":
        return f"{_PREFIX[head]}/converse/{name}"
    return f"{_PREFIX[head]}/{name if how in _HOW and name else rest}"


def models_of(
    config: Mapping[str, Any], *, files: Files, notes: Notes
) -> tuple[dict[str, Any], dict[str, list[str]], dict[str, tuple[str, bool]]]:
    """Return models by name, the labels of prompts of those that are restricted, and what each was in promptfoo.

    The last is the provider's id, and whether it may leave out promptfoo's own settings (`omitDefaults`).
    """
    models: dict[str, Any] = {}
    origins: dict[str, tuple[str, bool]] = {}
    only: dict[str, list[str]] = {}
    for entry in _providers(config.get("providers", config.get("targets")), files, notes):
        try:
            name, spec = _model(entry, models, files, notes)
        except NotCarriedError as error:
            notes.lose(str(error))
            continue
        models[name] = spec
        settings = entry.get("config")
        origins[name] = (str(entry["id"]), isinstance(settings, dict) and bool(settings.get("omitDefaults")))
        if entry.get("prompts"):
            only[name] = [str(label) for label in entry["prompts"]]
    return models, only, origins


_REASONING = re.compile(r"^(?:o\d|gpt-5|codex)")
_NO_TEMPERATURE = re.compile(r"claude-(?:opus-4-[78]|(?:opus|sonnet|haiku|fable|mythos)-5)(?![0-9])")
"""Models of Anthropic that take no temperature."""


def add_defaults(models: dict[str, Any], origins: Mapping[str, tuple[str, bool]], notes: Notes) -> None:
    """Add what promptfoo sends when a provider says nothing: temperature 0 and at most 1,024 tokens."""
    for name, (provider, omitted) in origins.items():
        spec = models[name]
        head, _, rest = provider.partition(":")
        if head in ("sim", "litellm", "echo") or omitted:
            continue
        if head not in ("openai", "anthropic"):
            if "temperature" not in spec or "max_tokens" not in spec:
                notes.change(
                    f"provider {provider!r}: what promptfoo sends unasked (often temperature 0) is not sent here"
                )
        elif not (head == "openai" and _REASONING.match(rest.rpartition(":")[2])):
            if head == "openai" or not ("top_p" in spec or _NO_TEMPERATURE.search(rest)):
                spec.setdefault("temperature", 0)
            if "max_completion_tokens" not in spec:
                spec.setdefault("max_tokens", 1024)


def _providers(value: Any, files: Files, notes: Notes) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for entry in value if isinstance(value, list) else [] if value is None else [value]:
        if (
            isinstance(entry, str)
            and entry.startswith("file://")
            and entry.lower().endswith((".yaml", ".yml", ".json"))
        ):
            try:
                found += _providers(files.value(entry), files, notes)
            except NotCarriedError as error:
                notes.lose(f"providers: {error}")
        elif isinstance(entry, str):
            found.append({"id": entry})
        elif isinstance(entry, dict) and "id" in entry:
            found.append(entry)
        elif isinstance(entry, dict) and len(entry) == 1:
            ((name, options),) = entry.items()
            found.append({"id": str(name), **(options if isinstance(options, dict) else {})})
        else:
            notes.lose(f"provider {str(entry)[:60]!r} has no id")
    return found


def _model(
    entry: Mapping[str, Any], taken: Mapping[str, Any], files: Files, notes: Notes
) -> tuple[str, dict[str, Any]]:
    provider = str(entry["id"])
    if "{{" in provider:
        raise NotCarriedError(f"provider {provider!r} is made from the environment; write it out")
    model = model_string(provider)
    spec: dict[str, Any] = {"model": model}
    options = entry.get("config") if isinstance(entry.get("config"), dict) else {}
    for key, value in (options or {}).items():
        _option(provider, key, value, spec, files, notes)
    for key in sorted(set(entry) - {"id", "label", "config", "prompts"}):
        notes.lose(f"provider {provider!r}: `{key}`")
    return slug(str(entry.get("label") or model.rpartition("/")[2]), taken), spec


def _option(provider: str, key: str, value: Any, spec: dict[str, Any], files: Files, notes: Notes) -> None:
    if isinstance(value, str) and "{{" in value:
        notes.lose(f"provider {provider!r}: `{key}` is a template")
    elif key in _SAME:
        _same_option(provider, key, value, spec, files, notes)
    elif key == "passthrough" and isinstance(value, dict):
        for inner, part in value.items():
            _option(provider, str(inner) if inner in _SAME else f"passthrough.{inner}", part, spec, files, notes)
    elif key == "max_output_tokens":
        spec["max_tokens"] = value
    elif key == "reasoning" and isinstance(value, dict) and value.get("effort"):
        spec["reasoning_effort"] = value["effort"]
    elif key in ("apiBaseUrl", "apiBaseURL"):
        spec["api_base"] = str(value)
    elif key == "apiKeyEnvar":
        spec["api_key_env"] = str(value)
    elif key == "apiKey":
        notes.lose(f"provider {provider!r}: the key in the file; put it into an environment variable")
    elif key != "omitDefaults":
        notes.lose(f"provider {provider!r}: `{key}`")


def _same_option(provider: str, key: str, value: Any, spec: dict[str, Any], files: Files, notes: Notes) -> None:
    """Take an option that has the same name here."""
    try:
        spec[key] = files.value(value)
    except NotCarriedError as error:
        notes.lose(f"provider {provider!r}: `{key}`: {error}")
    if key == "response_format" and "json_schema" in str(spec.get(key)):
        notes.change(f"provider {provider!r}: `response_format`: promptfoo checks its JSON written anew, we the text")


def prompts_of(config: Mapping[str, Any], *, files: Files, notes: Notes) -> tuple[dict[str, Any], dict[str, str]]:
    """Return prompts by name, and each name's label or text in the promptfoo file."""
    prompts: dict[str, Any] = {}
    labels: dict[str, str] = {}
    value = config.get("prompts")
    for entry in value if isinstance(value, list) else [] if value is None else [value]:
        try:
            for name, label, text in _prompt_texts(entry, files, notes):
                chosen = slug(name or f"prompt-{len(prompts) + 1}", prompts)
                prompts[chosen] = _prompt(chosen, text, notes)
                labels[chosen] = label
        except NotCarriedError as error:
            notes.lose(f"prompt: {error}")
    return prompts, labels


def _prompt_texts(entry: Any, files: Files, notes: Notes) -> list[tuple[str, str, str]]:
    """Return (name, label, text) of each prompt that an entry stands for."""
    label = ""
    if isinstance(entry, dict):
        for key in sorted(set(entry) - {"id", "label", "display", "raw", "file"}):
            notes.lose(f"prompt {str(entry.get('label') or entry.get('id') or '')[:60]!r}: `{key}`")
        label = str(entry.get("label") or entry.get("display") or "")
        entry = entry.get("raw") or entry.get("id") or entry.get("file")
    if not isinstance(entry, str):
        raise NotCarriedError(f"{str(entry)[:60]!r} is no prompt")
    if entry.startswith("exec:"):
        raise NotCarriedError(f"{entry!r} is a program, which is not run")
    if not entry.startswith("file://") and not _looks_like_file(entry):
        return [(label, label or entry, entry)]
    found: list[tuple[str, str, str]] = []
    for path in files.find(entry):
        text = files.text(path)
        parts = [text]
        if path.suffix.lower() == ".txt":
            parts = [part.strip() for part in re.split(r"(?m)^[^\S\n]*---[^\S\n]*$", text) if part.strip()]
        elif path.suffix.lower() == ".csv":
            rows = files.data(path)
            parts = [row["prompt"].strip() for row in rows if (row.get("prompt") or "").strip()]
            if not parts:
                raise NotCarriedError(f"{entry!r} has no column `prompt`")
            named = [str(row.get("label") or "").strip() for row in rows if (row.get("prompt") or "").strip()]
            found += [
                (name or label or path.stem, name or label or part, part)
                for name, part in zip(named, parts, strict=True)
            ]
            continue
        elif path.suffix.lower() == ".jsonl":
            parts = [line for line in text.splitlines() if line.strip()]
        elif path.suffix.lower() in (".yaml", ".yml"):
            parts = [json.dumps(files.data(path))]
        found += [(label or path.stem, label or entry, part) for part in parts]
    return found


def _looks_like_file(text: str) -> bool:
    return "\n" not in text and " " not in text and PurePosixPath(text).suffix.lower() in (
        ".txt", ".json", ".jsonl", ".yaml", ".yml", ".md", ".j2", ".csv", ".py", ".js", ".mjs", ".cjs", ".ts",
    )  # fmt: skip


_OUTPUT = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_COMPUTES = re.compile(r"\s/\s|[<>]|[!=]=|\bnot\b|\bis\b|\|\s*(?:round|float|truncate|sum)\b")


def _prompt(name: str, text: str, notes: Notes) -> Any:
    """Return a prompt as an experiment file has it: text, or the messages of a chat.

    Raises:
        NotCarriedError: Its template cannot be compiled here.
    """
    spec: Any = jinja(text)
    if "env." in text and re.search(r"\{\{\s*env\.", text):
        raise NotCarriedError(f"{name!r} reads the environment; write the value out, or make it a variable")
    if any(_COMPUTES.search(code) for code in _OUTPUT.findall(text)):
        notes.change(
            f"prompt {name!r} computes: here it may print `2.0` and `True` for `2` and `true`, and cut elsewhere"
        )
    if text.lstrip().startswith(("[", "- role:")):
        try:
            chat = json.loads(text) if text.lstrip().startswith("[") else yaml.safe_load(text)
        except (ValueError, yaml.YAMLError):
            chat = None
            notes.change(f"prompt {name!r} builds its chat by a template; it is sent as one user message")
        if isinstance(chat, list) and chat and all(isinstance(m, dict) and "role" in m for m in chat):
            spec = {"messages": json.loads(jinja(json.dumps(chat, ensure_ascii=False)))}
    try:
        load_prompt(name, spec, base_dir=Path())
    except BakeoffError as error:
        raise NotCarriedError(f"{name!r} cannot be read as a Jinja2 template: {error}") from None
    return spec
