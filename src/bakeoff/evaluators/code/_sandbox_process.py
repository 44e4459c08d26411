"""Run one program from outside: feed it, read it, and end it when it takes too long or says too much."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["NOBODY", "Ended", "run_bounded"]

NOBODY = 65534
_LAST_SECONDS = 5.0
"""How long the pipes of a killed program may take to close."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a program ended."""

    exit_code: int
    """128 + n for signal n."""
    stdout: bytes
    stderr: bytes
    wall_s: float
    timed_out: bool
    output_exceeded: bool


async def run_bounded(
    command: Sequence[str],
    *,
    stdin: bytes,
    wall_s: float,
    output_kb: int,
    env: Mapping[str, str],
    descriptors: Sequence[int] = (),
    as_nobody: bool = False,
    marker: bytes = b"",
    start_s: float = 0.0,
) -> Ended:
    """Run a program until it ends, or its time or its output is up; then kill it.

    Args:
        command: Program and arguments.
        stdin: What it can read.
        wall_s: Longest time, in seconds.
        output_kb: Most output on each of stdout and stderr.
        env: Its whole environment.
        descriptors: Open files that it inherits.
        as_nobody: Start it without any rights.
        marker: What it says on stderr when the time begins to count; from the start when empty.
        start_s: Longest wait for the marker.
    """
    start = time.monotonic()
    began = asyncio.Event()
    if not marker:
        began.set()
    most = output_kb * 1000
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        pass_fds=descriptors,
        env=dict(env),
        cwd="/",
        start_new_session=True,
        user=NOBODY if as_nobody else None,
        group=NOBODY if as_nobody else None,
        extra_groups=[] if as_nobody else None,
    )
    timed_out = False
    outputs = [bytearray(), bytearray()]
    reading = asyncio.ensure_future(
        asyncio.gather(
            _feed(process, stdin),
            _read(process, process.stdout, outputs[0], most),
            _read(process, process.stderr, outputs[1], most, marker, began),
            process.wait(),
        )
    )
    try:
        if marker:
            waiting = asyncio.ensure_future(began.wait())
            await asyncio.wait({reading, waiting}, timeout=start_s, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            start = time.monotonic() if began.is_set() else start
        done, _ = await asyncio.wait({reading}, timeout=wall_s if began.is_set() else 0)
        timed_out = not done
    finally:
        # Reading goes on until the pipes close: a process whose full pipe nobody reads is never reported as ended.
        _kill(process)
        await asyncio.wait({reading}, timeout=_LAST_SECONDS)
        reading.cancel()
    code = process.returncode or 0
    stdout, stderr = (bytes(output[:most]) for output in outputs)
    return Ended(
        exit_code=code if code >= 0 else 128 - code,
        stdout=stdout,
        stderr=stderr,
        wall_s=time.monotonic() - start,
        timed_out=timed_out,
        output_exceeded=any(len(output) > most for output in outputs),
    )


async def _feed(process: asyncio.subprocess.Process, data: bytes) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(data)
        await process.stdin.drain()
    process.stdin.close()


async def _read(
    process: asyncio.subprocess.Process,
    stream: asyncio.StreamReader | None,
    into: bytearray,
    most: int,
    marker: bytes = b"",
    began: asyncio.Event | None = None,
) -> None:
    """Collect output; end the run when there is too much of it."""
    assert stream is not None
    while chunk := await stream.read(65536):
        if len(into) <= most:
            into += chunk
        if began is not None and not began.is_set() and marker in into:
            began.set()
        if len(into) > most:
            _kill(process)


def _kill(process: asyncio.subprocess.Process) -> None:
    """End the program; bubblewrap's death takes everything inside with it (a PID space dies with its first process)."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process.pid, signal.SIGKILL)  # `process.kill` would take the exit code away from asyncio
