"""Shared fixtures. Nothing outside a temporary folder is read or written, and nothing leaves the machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bakeoff.experiments import LocalStore, open_store

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("STREAMLIT_BROWSER_GATHER_USAGE_STATS", "false")


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """Give an empty store of its own."""
    return open_store(tmp_path / "store")


@pytest.fixture
def gsm8k() -> Path:
    """Give the file with the recorded answers of four models, or skip."""
    path = SHARED_DATA / "gsm8k_model_solutions.jsonl"
    if not path.exists():
        pytest.skip("the recorded GSM8K answers (gsm8k_model_solutions.jsonl) are not beside the checkout")
    return path
