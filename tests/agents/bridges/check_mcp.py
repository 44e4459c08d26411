"""Runs in an environment with mcp 2.3; see test_bridges.py."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

import pytest

from bakeoff.agents import ToolContext, call_tool, resolve_agent
from bakeoff.errors import SpecError

SERVER = '''
from mcp.server import MCPServer

server = MCPServer("desk")


@server.tool()
def service_state(service: str) -> str:
    """Tell the state of a service."""
    if service == "gone":
        raise ValueError("no such service")
    return f"{service} is fine"


server.run("stdio")
'''


def main() -> None:
    folder = Path(tempfile.mkdtemp())
    (folder / "server.py").write_text(SERVER)
    section = {"model": "m/m", "tools": {"state": {"mcp": [sys.executable, "server.py"], "name": "service_state"}}}
    agent = resolve_agent(section, name="a", base_dir=folder)
    tool = agent.tools["state"]
    assert tool.description == "Tell the state of a service."
    assert tool.schema["required"] == ["service"]
    about = ToolContext(item_id="1", inputs={})
    good = asyncio.run(call_tool(tool, "state", '{"service": "mail"}', about))
    assert (good.kind, good.text) == ("ok", "mail is fine"), good
    for arguments in ('{"service": "gone"}', "{}"):
        bad = asyncio.run(call_tool(tool, "state", arguments, about))
        assert bad.kind == "raised", bad
    for wrong in ({"mcp": [sys.executable, "server.py"]}, {"mcp": ["/nowhere/server"], "timeout_s": 3}):
        with pytest.raises(SpecError, match=r"targets\.a\.agent\.tools\.gone"):
            resolve_agent({"model": "m/m", "tools": {"gone": wrong}}, name="a", base_dir=folder)
    sys.stdout.write("ok\n")


main()
