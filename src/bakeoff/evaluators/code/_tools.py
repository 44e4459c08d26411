"""Programs that read code and do not run it: find them, start them, read what they report."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sys
import tempfile
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bakeoff.evaluators._protocol import CannotScoreError
from bakeoff.evaluators._redact import clean_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["DoesNotParseError", "Issue", "find_tool", "in_folder", "read_report", "run_tool", "tool_version"]

_LAST_SECONDS = 5.0
_TOOL_SECONDS = 60.0


class Issue(NamedTuple):
    """Something that a tool found in code."""

    rule: str
    line: int
    message: str


class DoesNotParseError(Exception):
    """The code is none in its language; the message says where it breaks."""


def find_tool(name: str) -> str:
    """Find a program of the extra `code`, beside the interpreter or on the path.

    Raises:
        CannotScoreError: It is not installed.
    """
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise CannotScoreError(f"{name} is not installed\n    fix: pip install 'bakeoff[code]'")
    return found


@lru_cache(maxsize=8)
def tool_version(name: str) -> str:
    """Give the version of a program of the extra `code`; empty when it was not installed with pip."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


async def run_tool(command: list[str], *, stdin: str = "", cwd: str | None = None) -> tuple[int, str, str]:
    """Run a tool that reads code but does not run it.

    Raises:
        CannotScoreError: It did not finish in time.
    """
    environment = {key: os.environ[key] for key in ("PATH", "LANG", "HOME", "SYSTEMROOT") if key in os.environ}
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
        cwd=cwd,
    )
    try:
        async with asyncio.timeout(_TOOL_SECONDS):
            out, err = await process.communicate(stdin.encode("utf-8", "replace"))
    except TimeoutError:
        raise CannotScoreError(f"{Path(command[0]).name} did not finish within {_TOOL_SECONDS:g} s") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            # Read on until the pipes close: a process whose full pipe nobody reads is never reported as ended.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.communicate(), _LAST_SECONDS)
    return process.returncode or 0, out.decode("utf-8", "replace"), err.decode("utf-8", "replace")


@contextlib.contextmanager
def in_folder(files: Mapping[str, str]) -> Iterator[str]:
    """Write files to a folder of their own, for as long as it is needed."""
    with tempfile.TemporaryDirectory(prefix="bakeoff-") as folder:
        for name, content in files.items():
            Path(folder, name).write_text(content, encoding="utf-8", errors="replace")
        yield folder


def read_report(name: str, out: str, err: str) -> Any:
    """Read the JSON report of a tool.

    Raises:
        CannotScoreError: It gave none.
    """
    try:
        return json.loads(out)
    except ValueError:
        lines = [line.strip() for line in err.strip().splitlines() if line.strip()] or ["no output"]
        told = next((line for line in lines if line.startswith("Error:")), lines[-1])
        raise CannotScoreError(f"{name} gave no report: {clean_text(told, 200)}") from None
