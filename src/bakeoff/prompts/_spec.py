"""How a prompt is written in an experiment file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from typing_extensions import override

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

__all__ = ["MessageSpec", "PromptSpec"]


class MessageSpec(BaseModel):
    """One chat message; every text in it is a template."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[dict[str, Any]] | None = None
    """Text, or OpenAI content parts such as `{type: image_url, image_url: {url: "{{ image }}"}}`."""
    name: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    """Calls that an earlier assistant message made, for examples with tools."""
    tool_call_id: str | None = None

    @model_validator(mode="after")
    def _says_something(self) -> MessageSpec:
        if self.content is None and not self.tool_calls:
            raise ValueError("has no `content`")
        return self


class PromptSpec(BaseModel):
    """A prompt: a string, a list of messages, or exactly one of `text`, `file` and `messages`.

    Examples:
        >>> PromptSpec.model_validate("Answer briefly: {{ question }}").text
        'Answer briefly: {{ question }}'
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str | None = None
    """Template of the user message."""
    system: str | None = None
    """Template of a system message before it."""
    file: str | None = Field(default=None, min_length=1)
    """Template file (.j2, .jinja, .txt, .md), or a chat (.yaml, .yml, .json); relative to the experiment file."""
    messages: list[MessageSpec] | None = Field(default=None, min_length=1)
    """A chat."""

    @model_validator(mode="before")
    @classmethod
    def _from_string(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"text": value}
        if isinstance(value, list):
            return {"messages": value}
        return value

    @model_validator(mode="after")
    def _one_source(self) -> PromptSpec:
        given = [name for name in ("text", "file", "messages") if getattr(self, name) is not None]
        if len(given) != 1:
            have = f"has {' and '.join(f'`{name}`' for name in given)}" if given else "has no template"
            raise ValueError(f"{have}; write exactly one of `text`, `file` and `messages`")
        if self.system is not None and self.messages is not None:
            raise ValueError("has `system` beside `messages`; put it into the first message")
        return self

    @classmethod
    @override
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler.resolve_ref_schema(handler(core_schema))
        description = schema.pop("description", "")
        schema.pop("title", None)
        short = {"type": "string", "description": "Template of the user message."}
        chat = next(kind for kind in schema["properties"]["messages"]["anyOf"] if kind.get("type") == "array")
        return {"description": description, "anyOf": [short, chat, schema]}
