"""The corpus of an agent as a tool: the model decides when to search, and for what."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bakeoff.agents.tools._tool import ToolProblem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bakeoff.agents.retrieval._search import Retriever
    from bakeoff.agents.tools._record import Recording
    from bakeoff.agents.tools._tool import ToolContext

__all__ = ["SearchTool"]

_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"query": {"type": "string", "description": "What to look for."}},
    "required": ["query"],
    "additionalProperties": False,
}


@dataclass(slots=True, kw_only=True)
class SearchTool:
    """Searches the corpus of the agent."""

    name: str
    retriever: Retriever
    description: str = "Search the document collection; gives the best passages with their ids."
    timeout_s: float = 20.0
    max_chars: int = 20_000
    recording: Recording | None = None
    schema: Mapping[str, Any] = field(default_factory=lambda: _SCHEMA)

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> list[dict[str, Any]]:
        """Search."""
        query = arguments.get("query")
        if not isinstance(query, str) or not query.strip() or set(arguments) != {"query"}:
            raise ToolProblem("the arguments must be {query: text}", "bad_arguments")
        found = await (self.retriever.find(query, client=None) if context.find is None else context.find(query))
        return [{"id": one.passage.document, "title": one.passage.title, "text": one.passage.text} for one in found]
