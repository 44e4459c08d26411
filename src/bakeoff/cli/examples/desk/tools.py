"""Tools of the incident desk: they read the state of the services from a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_STATE: dict[str, Any] = json.loads((Path(__file__).parent / "state.json").read_text(encoding="utf-8"))


def service_state(service: str) -> dict[str, Any]:
    """Tell whether a service is healthy, its errors a minute and its latency in ms."""
    state = _STATE[service]
    return {key: state[key] for key in ("healthy", "errors_per_minute", "latency_ms")}


def last_deployment(service: str) -> dict[str, Any]:
    """Tell when a service was last deployed, and by whom."""
    return {key: _STATE[service][key] for key in ("deployed", "by")}
