"""From the description of a tool to the tool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bakeoff.agents.tools._record import Recording
from bakeoff.agents.tools._search import SearchTool
from bakeoff.agents.tools._tool import FunctionTool, Tool
from bakeoff.errors import SpecError, SpecProblem
from bakeoff.targets import import_callable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from bakeoff.agents.config._spec import ToolSpec
    from bakeoff.agents.retrieval._search import Retriever

__all__ = ["open_tool"]


def open_tool(
    name: str,
    spec: ToolSpec,
    *,
    base_dir: Path,
    callables: Mapping[str, Callable[..., Any]] | None = None,
    retriever: Retriever | None = None,
) -> Tool:
    """Load a tool. Nothing is called and no server is started.

    Raises:
        SpecError: The function, the document or the operation is not there, or has no schema.
        MissingExtraError: An MCP server, without the extra `mcp`.
    """
    recording = Recording(base_dir / spec.record / f"{name}.jsonl") if spec.record is not None else None
    if spec.python is not None:
        function = (callables or {}).get(spec.python) or import_callable(spec.python, base_dir=base_dir, what="tool")
        made = FunctionTool(
            function,
            name=name,
            description=spec.description or "",
            timeout_s=spec.timeout_s,
            max_chars=spec.max_chars,
            recording=recording,
        )
        if not made.description:
            fix = "write a docstring, or give `description:`"
            raise SpecError([SpecProblem("has no description for the model", key="description", fix=fix)])
        return made
    if spec.retrieve:
        if retriever is None:
            raise SpecError(
                [SpecProblem("searches the corpus, but the agent has no `retrieval`", fix="add `retrieval:`")]
            )
        made_search = SearchTool(name=name, retriever=retriever, timeout_s=spec.timeout_s, max_chars=spec.max_chars)
        made_search.description = spec.description or made_search.description
        return made_search
    if spec.openapi is not None:
        from bakeoff.agents.tools._openapi import OpenApiTool

        return OpenApiTool(name, spec, base_dir=base_dir, recording=recording)
    from bakeoff.agents.tools._mcp import McpTool

    return McpTool(name, spec, base_dir=base_dir, recording=recording)
