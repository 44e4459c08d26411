"""What `bakeoff doctor` looks at."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from bakeoff.experiments import LocalStore

__all__ = ["Finding", "examine"]

_PACKAGES = ("bakeoff", "litellm", "duckdb", "scipy", "statsmodels", "pydantic")
_EXTRAS = {"streamlit": "dashboard", "mlflow": "mlflow", "apscheduler": "schedule", "bandit": "code"}
_KEYS = (
    "OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
    "GEMINI_API_KEY",
    "MISTRAL_API_KEY",
    "GROQ_API_KEY",
    "OPENROUTER_API_KEY",
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    check: str
    state: Literal["ok", "absent", "problem"]
    detail: str


def examine(store: LocalStore) -> list[Finding]:
    """Look at the installation, the keys, the store and the sandbox."""
    supported = (3, 11) <= sys.version_info[:2] < (3, 14)
    findings = [Finding("python", "ok" if supported else "problem", platform.python_version())]
    findings += [_package(name) for name in _PACKAGES]
    findings += [_extra(name, extra) for name, extra in _EXTRAS.items()]
    findings += [
        Finding(f"key {name}", "ok" if os.environ.get(name) else "absent", "set" if os.environ.get(name) else "not set")
        for name in _KEYS
    ]
    bwrap = shutil.which("bwrap")
    engines = [name for name in ("podman", "docker") if shutil.which(name)]
    way_out = f"; name `sandbox: {engines[0]}` in them, or install it" if engines else ""
    sandbox = bwrap or f"bubblewrap is not installed: code evaluators will refuse to run{way_out}"
    findings.append(Finding("code sandbox", "ok" if bwrap else "absent", sandbox))
    findings += _store(store)
    return findings


def _package(name: str) -> Finding:
    try:
        return Finding(name, "ok", metadata.version(name))
    except metadata.PackageNotFoundError:
        return Finding(name, "problem", "not installed: reinstall bakeoff")


def _extra(name: str, extra: str) -> Finding:
    try:
        return Finding(f"extra {extra}", "ok", f"{name} {metadata.version(name)}")
    except metadata.PackageNotFoundError:
        return Finding(f"extra {extra}", "absent", f"pip install 'bakeoff[{extra}]'")


def _store(store: LocalStore) -> list[Finding]:
    from bakeoff.errors import StoreError

    root = store.paths.root
    try:
        store.paths.create()
        probe = root / ".doctor"
        probe.write_text("")
        probe.unlink()
    except (OSError, StoreError) as error:
        return [Finding("store", "problem", f"{root} cannot be written: {error}")]
    size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    free = shutil.disk_usage(root).free
    runs = store.runs()
    interrupted = [manifest.run_id for manifest in runs if manifest.status == "interrupted"]
    findings = [
        Finding("store", "ok", f"{root.resolve()}: {len(runs)} runs, {size / 1e6:,.1f} MB"),
        Finding("disk", "ok" if free > 500e6 else "problem", f"{free / 1e9:,.1f} GB free"),
    ]
    if interrupted:
        findings.append(Finding("interrupted runs", "absent", f"bakeoff resume {interrupted[0]}"))
    return findings
