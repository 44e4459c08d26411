"""The command line: thin commands over `experiments`, `reports`, `gateway` and `app`."""

from bakeoff.cli._main import main

__all__ = ["main"]
