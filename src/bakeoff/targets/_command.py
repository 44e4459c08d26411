"""A command as a target: inputs on stdin, output on stdout."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import orjson

from bakeoff.errors import TargetError
from bakeoff.targets._text import compile_text, json_bytes
from bakeoff.targets._types import TargetResult

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bakeoff.datasets import Item
    from bakeoff.targets._spec import TargetSpec

__all__ = ["CommandTarget"]

_MAX_BYTES = 32 * 1024 * 1024
_BLOCK = 1 << 16
_LAST_S = 5.0
"""For a killed program's pipes to close."""


class CommandTarget:
    """Runs a program once for each trial, without a shell, in the folder of the experiment file."""

    def __init__(self, spec: TargetSpec, *, name: str, params: Mapping[str, Any], base_dir: Path) -> None:
        self._spec = spec
        self._params = dict(params)
        self._base_dir = base_dir
        self._arguments = [compile_text(part, name=f"{name}.command") for part in spec.command or ()]

    async def run(self, item: Item, *, repeat: int) -> TargetResult:
        """Run the program once."""
        values = {**item.inputs, **self._params}
        arguments = [render(values) for render in self._arguments]
        started = time.perf_counter()
        try:
            process = await asyncio.create_subprocess_exec(
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                cwd=self._base_dir,
                env={**os.environ, "BAKEOFF_REPEAT": str(repeat), "BAKEOFF_ITEM": item.id},
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise TargetError(f"cannot start {arguments[0]!r}: {error}") from error
        out, err = await self._converse(process, self._stdin(values), arguments[0])
        latency_ms = (time.perf_counter() - started) * 1000
        if len(out) > _MAX_BYTES:
            raise TargetError(f"{arguments[0]!r} printed more than {_MAX_BYTES} bytes", kind="bad_response")
        if process.returncode != 0:
            tail = err[-500:].decode(errors="replace").strip()
            raise TargetError(f"{arguments[0]!r} exited with {process.returncode}: {tail}")
        return TargetResult(output=self._read(out), latency_ms=latency_ms, route="command")

    async def _converse(
        self, process: asyncio.subprocess.Process, stdin: bytes, program: str
    ) -> tuple[bytearray, bytearray]:
        """Feed a program and read it to its end; end it when its time is over or it prints too much."""
        out, err = bytearray(), bytearray()
        talking = asyncio.gather(
            _feed(process, stdin), _collect(process, out), _keep_tail(process, err), process.wait()
        )
        try:
            done, _ = await asyncio.wait({talking}, timeout=self._spec.timeout_s)
        finally:
            if not talking.done():
                _kill(process)
                # Reading goes on until the pipes close: a process whose full pipe nobody reads never counts as ended.
                await asyncio.wait({talking}, timeout=_LAST_S)
                talking.cancel()
        if not done:
            raise TargetError(f"{program!r} took longer than {self._spec.timeout_s:g} s", kind="timeout")
        return out, err

    def _stdin(self, values: Mapping[str, Any]) -> bytes:
        if self._spec.input == "none":
            return b""
        if self._spec.input == "text":
            if len(values) != 1:
                raise TargetError(f"`input: text` needs exactly one input, got {sorted(values)}", kind="bad_request")
            return str(next(iter(values.values()))).encode(errors="surrogatepass")
        return json_bytes(values) + b"\n"

    def _read(self, out: bytearray) -> Any:
        if self._spec.output == "text":
            text = out.decode(errors="replace")
            return text.removesuffix("\n")
        try:
            return orjson.loads(out)
        except orjson.JSONDecodeError as error:
            start = out[:120].decode(errors="replace")
            raise TargetError(f"printed no JSON ({error}): {start!r}", kind="bad_response") from None


async def _feed(process: asyncio.subprocess.Process, data: bytes) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it need not read what it is told
        process.stdin.write(data)
        await process.stdin.drain()
    process.stdin.close()


async def _collect(process: asyncio.subprocess.Process, into: bytearray) -> None:
    assert process.stdout is not None
    while chunk := await process.stdout.read(_BLOCK):
        if len(into) <= _MAX_BYTES:
            into += chunk
        if len(into) > _MAX_BYTES:
            _kill(process)


async def _keep_tail(process: asyncio.subprocess.Process, into: bytearray) -> None:
    assert process.stderr is not None
    while chunk := await process.stderr.read(_BLOCK):
        into += chunk
        del into[:-_BLOCK]


def _kill(process: asyncio.subprocess.Process) -> None:
    """End the program and what it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
