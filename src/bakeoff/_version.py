"""The version of the installed package."""

from __future__ import annotations

from functools import cache

__all__ = ["version"]


@cache
def version() -> str:
    """Return the installed version; `0.0.0` in a source tree that is not installed."""
    from importlib import metadata  # 25 ms, which `bakeoff --help` need not pay

    try:
        return metadata.version("bakeoff")
    except metadata.PackageNotFoundError:
        return "0.0.0"
