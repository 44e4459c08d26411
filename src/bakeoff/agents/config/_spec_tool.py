"""A tool."""

from __future__ import annotations

from pydantic import (
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from bakeoff.agents.config._spec_base import Section

__all__ = ["ToolSpec"]


class ToolSpec(Section):
    """A tool: exactly one of `python`, `retrieve`, `openapi` and `mcp`."""

    python: str | None = None
    """`module:function` or `file.py:function`; the schema comes from its type hints, the help from its docstring."""
    retrieve: bool = False
    """Search the agent's corpus."""
    openapi: str | None = None
    """Path of an OpenAPI 3 document; give `operation` as well."""
    operation: str | None = None
    """`operationId` in the document."""
    base_url: str | None = None
    """Address of the service, instead of the document's first server."""
    mcp: list[str] | str | None = None
    """Command of an MCP server (stdio), or its address (HTTP); needs the extra `mcp`."""
    name: str | None = None
    """Name of the tool at the MCP server; the key in the file when omitted."""
    description: str | None = None
    timeout_s: PositiveFloat = 20.0
    max_chars: PositiveInt = 20_000
    """Longer results are cut, and the model is told so."""
    record: str | None = None
    """Folder in which results are kept: the same call with the same arguments is made once, then replayed."""

    @model_validator(mode="after")
    def _one_kind(self) -> ToolSpec:
        kinds = [name for name in ("python", "retrieve", "openapi", "mcp") if getattr(self, name)]
        if len(kinds) != 1:
            raise ValueError(f"needs exactly one of python, retrieve, openapi, mcp; got {', '.join(kinds) or 'none'}")
        if (self.openapi is None) != (self.operation is None):
            raise ValueError("`openapi` and `operation` go together")
        return self
