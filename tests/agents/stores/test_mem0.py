"""Mem0 as a memory policy against the real Mem0, in an environment of its own that `BAKEOFF_MEM0_PYTHON` names.

python -m venv mem0 && mem0/bin/pip install mem0ai==2.2.1 pytest -e .
BAKEOFF_MEM0_PYTHON=mem0/bin/python pytest tests/agents/stores/test_mem0.py
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bakeoff.agents import resolve_agent
from bakeoff.errors import SpecError


def test_mem0_remembers_for_its_user_on_the_trials_account_and_calls_nobody(tmp_path: Path) -> None:
    python = os.environ.get("BAKEOFF_MEM0_PYTHON")
    if not python:
        pytest.skip("BAKEOFF_MEM0_PYTHON names no Python with Mem0; see the head of this file")
    watch = shutil.which("strace")
    before = [watch, "-f", "-qq", "-e", "trace=connect,sendto", "-o", str(tmp_path / "calls")] if watch else []
    env = {key: value for key, value in os.environ.items() if not key.startswith("MEM0")} | {"HOME": str(tmp_path)}
    done = subprocess.run(
        [*before, python, str(Path(__file__).parent / "check_mem0.py")],
        capture_output=True, text=True, timeout=240, check=False, env=env, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == "ok\n"
    assert done.stderr == "", "Mem0 advertises nothing"
    assert not (tmp_path / ".mem0").exists()
    if watch:
        calls = (tmp_path / "calls").read_text(errors="replace")
        assert re.findall(r"inet_addr\(|inet_pton\(", calls) == []


def test_without_mem0_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bakeoff.agents.config._optional.find_spec", lambda wanted: None)
    with pytest.raises(SpecError, match=r"agent\.memory\.policy: the memory policy 'mem0' needs 'mem0'") as raised:
        resolve_agent({"model": "m/m", "memory": "mem0", "conversation": {}}, name="a")
    assert "fix: pip install 'mem0ai==2.2.1'" in str(raised.value)


def test_an_embedding_belongs_to_mem0_alone() -> None:
    with pytest.raises(SpecError, match=r"agent\.memory\.embedding: is only for `policy: mem0`"):
        resolve_agent(
            {"model": "m/m", "memory": {"policy": "window", "embedding": "m/e"}, "conversation": {}}, name="a"
        )
