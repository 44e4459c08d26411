"""Modules that no package holds: benchmarks and scripts, loaded by their path."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def module_at(place: str) -> Any:
    """Load a file of the checkout, `benchmarks/fault_server.py`, as a module; the same one each time."""
    path = ROOT / place
    name = "bakeoff_" + path.stem
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
