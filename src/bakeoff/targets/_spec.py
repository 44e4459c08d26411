"""Specs of models and targets, as they stand in an experiment file."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, model_validator

__all__ = ["MODEL_PARAMS", "HttpSpec", "ModelSpec", "TargetSpec"]

_Temperature = Annotated[float, Field(ge=0, le=5)]
_Share = Annotated[float, Field(ge=0, le=1)]
_Count = Annotated[int, Field(ge=1)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class ModelSpec(_Section):
    """A model with its parameters. A plain string is short for `{model: ...}`."""

    model: str = Field(min_length=1)
    """LiteLLM model string, for instance `openai/gpt-5-mini`, `ollama/llama3.2`, `sim/small`."""
    api_base: str | None = None
    """Address of a local or private server: vLLM, Ollama, a proxy."""
    api_key_env: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """Name of the environment variable with the key, when it is not the provider's usual one."""
    headers: dict[str, str] = Field(default_factory=dict)
    """`${NAME}` in a value is read from the environment when the call is made: no key stands in the file."""
    stream: bool = False
    temperature: _Temperature | None = None
    top_p: _Share | None = None
    max_tokens: _Count | None = None
    max_completion_tokens: _Count | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    reasoning_effort: str | None = None
    response_format: dict[str, Any] | None = None
    """Structured output, OpenAI style: `{type: json_object}` or `{type: json_schema, json_schema: ...}`."""
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    params: dict[str, Any] = Field(default_factory=dict)
    """Anything else that the provider or a simulated model takes."""

    @model_validator(mode="before")
    @classmethod
    def _from_string(cls, value: Any) -> Any:
        return {"model": value} if isinstance(value, str) else value

    def call_params(self) -> dict[str, Any]:
        """Return the parameters of a call, without what is left at its default."""
        named = {name: value for name in MODEL_PARAMS if (value := getattr(self, name)) is not None}
        return {**named, **self.params}


MODEL_PARAMS: frozenset[str] = frozenset(ModelSpec.model_fields) - {
    "model",
    "api_base",
    "api_key_env",
    "headers",
    "stream",
    "params",
}
"""Names that may be a factor of an experiment and are passed to the model."""


class HttpSpec(_Section):
    """An HTTP endpoint. `${NAME}` in url and headers is read from the environment when the call is made."""

    url: str = Field(pattern=r"^(https?://|\$\{)")
    method: Literal["GET", "POST", "PUT", "PATCH"] = "POST"
    headers: dict[str, str] = Field(default_factory=dict)
    body: Any = None
    """JSON body; strings in it are templates over the item's inputs. All inputs as one object when omitted."""
    query: dict[str, str] = Field(default_factory=dict)
    """Templates of the query string, for GET."""
    response: str | None = None
    """Dotted path of the output in the JSON answer (`choices.0.message.content`); the whole answer when omitted."""
    timeout_s: PositiveFloat = 120.0


class TargetSpec(_Section):
    """The thing under test: one of `prompt` (with `model`), `python`, `http`, `command`, `recorded`, `agent`."""

    prompt: str | None = None
    """Name of a prompt of this file."""
    model: str | None = None
    """Name of a model of this file, or a LiteLLM model string."""
    python: str | None = None
    """`module:function` or `file.py:function`; sync or async; gets the inputs by name."""
    http: HttpSpec | None = None
    command: list[str] | None = Field(default=None, min_length=1)
    """Program with arguments (no shell). Arguments are templates over the inputs; stdin gets `input`."""
    input: Literal["json", "text", "none"] = "json"
    """What a command reads: the inputs as one JSON line, the only input as text, or nothing."""
    output: Literal["text", "json"] = "text"
    """How to read what a command prints."""
    recorded: str | None = None
    """Dotted path of an answer already collected, in the row of the data set."""
    agent: dict[str, Any] | None = None
    """An agent: models, patterns, tools, memory, steps (docs/agents/configuration.md). Factors reach into it by
    dotted path, for instance `agent.steps.draft.model`."""
    timeout_s: PositiveFloat = 120.0
    params: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments for a callable; a factor of the same name overrides them."""

    @model_validator(mode="after")
    def _one_kind(self) -> TargetSpec:
        kinds = [
            name
            for name in ("prompt", "python", "http", "command", "recorded", "agent")
            if getattr(self, name) is not None
        ]
        if len(kinds) != 1:
            found = f"got {' and '.join(kinds)}" if kinds else "got none of them"
            raise ValueError(f"needs exactly one of prompt, python, http, command, recorded, agent; {found}")
        if self.prompt is not None and self.model is None:
            raise ValueError("has a prompt but no model")
        return self

    @property
    def kind(self) -> Literal["prompt", "python", "http", "command", "recorded", "agent"]:
        """Which of the six kinds this is."""
        if self.agent is not None:
            return "agent"
        if self.prompt is not None:
            return "prompt"
        if self.python is not None:
            return "python"
        if self.http is not None:
            return "http"
        return "command" if self.command is not None else "recorded"
