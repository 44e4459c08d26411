"""Bridges against the real frameworks, in environments of their own that variables name.

    python -m venv bridges && bridges/bin/pip install pydantic-ai-slim[openai]==2.31.1 langgraph==1.2.21 \
        langchain-openai==1.7.3 mcp==2.3.0 opentelemetry-sdk pytest -e .
    python -m venv agents && agents/bin/pip install openai-agents==0.20.0 opentelemetry-sdk \
        opentelemetry-instrumentation-openai-agents-v2==0.1.0 -e .
    python -m venv llama && llama/bin/pip install llama-index-core==0.14.25 llama-index-llms-openai==0.8.3 \
        opentelemetry-instrumentation-llamaindex==0.62.4 opentelemetry-instrumentation-openai==0.62.4 \
        opentelemetry-sdk -e .
    python -m venv crew && crew/bin/pip install crewai==1.15.30 opentelemetry-instrumentation-crewai==0.62.4 \
        opentelemetry-instrumentation-openai==0.62.4 opentelemetry-sdk -e .
    BAKEOFF_BRIDGES_PYTHON=bridges/bin/python BAKEOFF_OPENAI_AGENTS_PYTHON=agents/bin/python \
        BAKEOFF_LLAMAINDEX_PYTHON=llama/bin/python BAKEOFF_CREWAI_PYTHON=crew/bin/python pytest tests/agents/bridges
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

TOGETHER = ["pydantic_ai", "langgraph", "mcp"]
ALONE = ["openai_agents", "llamaindex", "crewai"]


@pytest.mark.parametrize("name", [*TOGETHER, *ALONE])
def test_a_bridge_works_with_the_real_framework_which_calls_nobody_else(name: str, tmp_path: Path) -> None:
    variable = "BAKEOFF_BRIDGES_PYTHON" if name in TOGETHER else f"BAKEOFF_{name.upper()}_PYTHON"
    python = os.environ.get(variable)
    if not python:
        pytest.skip(f"{variable} names no Python with the framework; see the head of this file")
    script = Path(__file__).parent / f"check_{name}.py"
    watch = shutil.which("strace") if name in ALONE else None
    before = [watch, "-f", "-qq", "-e", "trace=connect,sendto", "-o", str(tmp_path / "calls")] if watch else []
    done = subprocess.run(
        [*before, python, str(script)], capture_output=True, text=True, timeout=240, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip().endswith("ok")
    if watch:  # every address that any thread or child of the framework tried to reach
        calls = (tmp_path / "calls").read_text(errors="replace")
        reached = set(re.findall(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"', calls))
        assert {one for pair in reached for one in pair if one} == {"127.0.0.1"}, reached
