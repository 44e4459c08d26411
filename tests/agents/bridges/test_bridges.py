"""Bridges against the real frameworks, in an environment of their own that `BAKEOFF_BRIDGES_PYTHON` names.

    python -m venv bridges && bridges/bin/pip install pydantic-ai-slim[openai]==2.68.0 langgraph==1.2.22 \
        langchain-openai==1.7.3 mcp==2.3.0 opentelemetry-sdk -e .
    BAKEOFF_BRIDGES_PYTHON=bridges/bin/python pytest tests/agents/bridges
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest


@pytest.mark.parametrize("name", ["pydantic_ai", "langgraph", "mcp"])
def test_a_bridge_works_with_the_real_framework(name: str) -> None:
    python = os.environ.get("BAKEOFF_BRIDGES_PYTHON")
    if not python:
        pytest.skip("BAKEOFF_BRIDGES_PYTHON names no Python with the frameworks; see the head of this file")
    script = Path(__file__).parent / f"check_{name}.py"
    done = subprocess.run([python, str(script)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip().endswith("ok")
