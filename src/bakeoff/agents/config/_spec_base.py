"""What all sections of an agent are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
)
from typing_extensions import override

from bakeoff.targets import ModelSpec

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

__all__ = ["ModelRef", "Section", "Share", "Short"]

Share = Annotated[float, Field(ge=0, le=1)]
ModelRef = str | ModelSpec


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Short(Section):
    """A section that may be written as one word."""

    @classmethod
    @override
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler.resolve_ref_schema(handler(core_schema))
        about = schema.pop("description", "")
        schema.pop("title", None)
        if "options" in schema.get("properties", {}):  # those of a pattern stand beside its name
            schema["additionalProperties"] = True
        return {"description": about, "anyOf": [{"type": "string"}, schema]}
