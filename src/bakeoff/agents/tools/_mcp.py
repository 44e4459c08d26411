"""A tool of an MCP server, through the official SDK (extra `mcp`, tested with 2.3)."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from bakeoff.agents.tools._tool import ToolProblem
from bakeoff.errors import MissingExtraError, SpecError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bakeoff.agents.config._spec import ToolSpec
    from bakeoff.agents.tools._record import Recording
    from bakeoff.agents.tools._tool import ToolContext

__all__ = ["McpTool"]


class McpTool:
    """Calls one tool of a server; each call opens a session of its own, so that no state leaks between trials.

    The schema is asked for once, when the agent is loaded: a server that is not there is a problem of the file.

    Raises:
        MissingExtraError: The SDK is not installed.
        SpecError: The server does not start, or has no such tool.
    """

    def __init__(self, name: str, spec: ToolSpec, *, base_dir: Path, recording: Recording | None = None) -> None:
        try:
            import mcp  # noqa: F401 - an optional extra
        except ImportError:
            raise MissingExtraError("a tool of an MCP server", "mcp") from None
        self.name = name
        self.timeout_s = spec.timeout_s
        self.max_chars = spec.max_chars
        self.recording = recording
        self._remote = spec.name or name
        assert spec.mcp is not None
        self._server = spec.mcp
        self._folder = base_dir
        listed = self._ask_schema()
        self.description: str = spec.description or listed["description"] or name
        self.schema: Mapping[str, Any] = listed["schema"]

    def _ask_schema(self) -> dict[str, Any]:
        import asyncio
        import threading

        outcome: list[Any] = []

        def work() -> None:
            try:
                outcome.append(asyncio.run(asyncio.wait_for(self._list(), self.timeout_s)))
            except BaseException as error:  # noqa: BLE001 - told to the caller below
                outcome.append(error)

        thread = threading.Thread(target=work, daemon=True)  # a loop may run already in this one
        thread.start()
        thread.join(self.timeout_s + 5)
        found = outcome[0] if outcome else TimeoutError()
        if isinstance(found, BaseException):
            while isinstance(found, BaseExceptionGroup):  # of the SDK's task groups
                found = found.exceptions[0]
            reason = f"{type(found).__name__}: {found}"[:300]
            raise SpecError(f"tool {self.name!r}: the MCP server {self._server!r} does not answer: {reason}") from None
        tools = {tool.name: tool for tool in found.tools}
        if self._remote not in tools:
            raise SpecError(f"tool {self.name!r}: the MCP server has no {self._remote!r}; it has {', '.join(tools)}")
        tool = tools[self._remote]
        return {"description": tool.description or "", "schema": tool.input_schema}

    async def _list(self) -> Any:
        async with self._client() as client:
            return await client.list_tools()

    def _client(self) -> Any:
        from mcp import Client, StdioServerParameters  # an optional extra

        if isinstance(self._server, str) and self._server.startswith(("http://", "https://")):
            return Client(self._server)
        command = shlex.split(self._server) if isinstance(self._server, str) else self._server
        return Client(StdioServerParameters(command=command[0], args=command[1:], cwd=str(self._folder)))

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> Any:
        """Call the tool."""
        try:
            async with self._client() as client:
                result = await client.call_tool(self._remote, dict(arguments))
        except BaseExceptionGroup as failures:  # of the SDK's task groups: the reason is inside
            reason: BaseException = failures
            while isinstance(reason, BaseExceptionGroup):
                reason = reason.exceptions[0]
            raise reason from None
        text = "\n".join(getattr(part, "text", "") or f"[{part.type}]" for part in result.content)
        if result.is_error:
            raise ToolProblem(text or "the tool failed")
        return text
