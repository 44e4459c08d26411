"""Run code that a model wrote where it can do no harm: bubblewrap, a container where one is named, or not at all.

What the code gets: a read-only view of `/usr` and of the interpreter, an empty environment, its own process, network,
user, IPC and host-name spaces, one small writable `/tmp`, and limits on CPU, memory, processes, file size, output and
time. There is no fallback to a plain subprocess: without bubblewrap, and without docker or podman named in the spec,
nothing is run.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from weakref import WeakKeyDictionary

from bakeoff.errors import EvaluatorError
from bakeoff.evaluators.code._containers import SandboxSpec, engine_problem, node_flags, run_in_container
from bakeoff.evaluators.code._sandbox_process import NOBODY, run_bounded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "SandboxLimits",
    "SandboxResult",
    "SandboxUnavailableError",
    "run_sandboxed",
    "sandbox_problem",
]

_INSTALL = "apt-get install bubblewrap (Debian, Ubuntu), dnf install bubblewrap (Fedora), pacman -S bubblewrap (Arch)"
_SYSTEM_DIRS = ("bin", "sbin", "lib", "lib64", "lib32", "libx32")
# `ulimit -p` is dash and busybox for processes, `-u` is bash; a limit that cannot be set stops everything.
_LIMITS_SCRIPT = (
    'ulimit -t "$1" && ulimit -f "$2" && ulimit -n 64 && ulimit -c 0 && '
    '{ ulimit -p "$3" 2>/dev/null || ulimit -u "$3"; } && '
    '{ [ "$4" = 0 ] || ulimit -v "$4"; } || exit 125; shift 4; exec "$@"'
)

Interpreter = Literal["python", "node"]


class SandboxUnavailableError(EvaluatorError):
    """Code cannot be run safely on this machine, so it is not run; the message says what to install."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxLimits:
    """How much code may use."""

    wall_s: float = 10.0
    """Longest time from start to end."""
    cpu_s: int = 10
    """Longest CPU time of one process."""
    memory_mb: int = 512
    """Most address space of one process (for node: most heap)."""
    processes: int = 16
    """Most processes and threads at a time."""
    file_mb: int = 8
    """Largest file, and size of `/tmp`."""
    output_kb: int = 256
    """Most output on each of stdout and stderr; more ends the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxResult:
    """What code did."""

    exit_code: int
    """As the shell gives it: 128 + n for signal n."""
    stdout: str
    stderr: str
    wall_s: float
    timed_out: bool = False
    output_exceeded: bool = False
    limits: SandboxLimits = field(default_factory=SandboxLimits)

    @property
    def problem(self) -> str | None:
        """Say which limit ended the run, if one did."""
        if self.timed_out:
            return f"did not finish within {self.limits.wall_s:g} s"
        if self.output_exceeded:
            return f"wrote more than {self.limits.output_kb} kB"
        if self.exit_code == 128 + signal.SIGXCPU or self.exit_code == 128 + signal.SIGKILL:
            return f"was stopped by a limit (CPU {self.limits.cpu_s} s, or memory)"
        return None


def _readable_by_nobody(path: Path) -> bool:
    """Tell whether a user without any rights can reach a folder."""
    try:
        return all(one.stat().st_mode & 0o005 == 0o005 for one in (path, *path.parents))
    except OSError:
        return False


@lru_cache(maxsize=1)
def _python_home() -> tuple[str, str | None]:
    """Find a Python the sandbox can use: its path, and the folder to show when it is not below /usr."""
    base = Path(sys.base_prefix).resolve()
    program = base / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    if program.is_file() and (os.geteuid() != 0 or _readable_by_nobody(base)):
        return (str(program), None if base.is_relative_to("/usr") else str(base))
    for candidate in (f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}", "/usr/bin/python3"):
        if Path(candidate).exists():
            return candidate, None
    raise SandboxUnavailableError(
        f"code is not run: the sandbox works as an unprivileged user who cannot read {str(base)!r}, and there is no "
        "/usr/bin/python3\n    fix: install the system's python3, or run as a normal user"
    )


@lru_cache(maxsize=1)
def _node() -> tuple[str, str | None]:
    """Find a node the sandbox can use: its path, and the file to show when it is not below /usr."""
    hidden = None
    for found in (shutil.which("node"), shutil.which("node", path="/usr/bin:/bin:/usr/local/bin")):
        if found is not None:
            program = Path(found).resolve()
            if program.is_relative_to("/usr"):
                return str(program), None
            if os.geteuid() != 0 or _readable_by_nobody(program.parent):
                return str(program), str(program)
            hidden = str(program)
    where = f", and the one at {hidden!r} is closed to the sandbox's unprivileged user" if hidden else ""
    raise SandboxUnavailableError(
        f"JavaScript is not run: there is no node below /usr{where}"
        "\n    fix: apt-get install nodejs, or name a container, `sandbox: podman`"
    )


@lru_cache(maxsize=1)
def _bubblewrap() -> str:
    found = shutil.which("bwrap", path="/usr/bin:/bin:/usr/local/bin")
    if found is None:
        raise SandboxUnavailableError(
            f"code is not run: bubblewrap, which keeps it from doing harm, is not installed\n    fix: {_INSTALL}; "
            "or name a container, `sandbox: podman`"
        )
    return found


def sandbox_problem(sandbox: SandboxSpec | None = None, interpreter: Interpreter = "python") -> str | None:
    """Say why code cannot be run on this machine; `None` when it can.

    Args:
        sandbox: Where it is to run; bubblewrap when omitted. Of a container only the engine's program is looked for.
        interpreter: What is to run it: `python` or `node`.

    Examples:
        >>> sandbox_problem() is None or "bubblewrap" in sandbox_problem()
        True
    """
    if sandbox is not None and sandbox.engine != "bubblewrap":
        return engine_problem(sandbox.engine)
    try:
        _bubblewrap()
        _python_home() if interpreter == "python" else _node()
    except SandboxUnavailableError as error:
        return str(error)
    return None


def _command(
    program: Sequence[str], *, interpreter: Interpreter, files: Mapping[str, int], limits: SandboxLimits, status: int
) -> list[str]:
    """Write the whole command line; `files` are open descriptors by path."""
    command = [
        _bubblewrap(),
        "--unshare-all",
        "--unshare-user",
        "--disable-userns",
        "--die-with-parent",
        "--new-session",
    ]
    command += [
        "--clearenv",
        "--cap-drop",
        "ALL",
        "--uid",
        str(NOBODY),
        "--gid",
        str(NOBODY),
        "--hostname",
        "sandbox",
    ]
    for key, value in _ENVIRONMENT.items():
        command += ["--setenv", key, value]
    command += ["--ro-bind", "/usr", "/usr"]
    for name in _SYSTEM_DIRS:
        path = Path("/", name)
        if path.is_symlink():
            command += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            command += ["--ro-bind", str(path), str(path)]
    runner, home = _python_home() if interpreter == "python" else _node()
    if home is not None:
        command += ["--ro-bind", home, home]
    command += ["--proc", "/proc", "--dev", "/dev", "--size", "65536", "--tmpfs", "/dev/shm", "--remount-ro", "/dev"]  # noqa: S108
    command += ["--size", str(limits.file_mb * 1_000_000), "--perms", "1777", "--tmpfs", "/tmp"]  # noqa: S108
    for path, descriptor in files.items():
        command += ["--perms", "0444", "--ro-bind-data", str(descriptor), path]
    command += ["--remount-ro", "/", "--chdir", "/tmp", "--json-status-fd", str(status)]  # noqa: S108
    # node reserves far more address space than it uses, so its memory is limited by its own heap
    address_kb = limits.memory_mb * 1024 if interpreter == "python" else 0
    numbers = [limits.cpu_s, limits.file_mb * 1_000_000 // 512, limits.processes, address_kb]
    command += ["--", "/bin/sh", "-c", _LIMITS_SCRIPT, "sh", *map(str, numbers)]
    flags = ["-I", "-B"] if interpreter == "python" else list(node_flags(limits.memory_mb))
    return [*command, runner, *flags, *program]


_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0"}  # noqa: S108


_gates: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


def _gate() -> asyncio.Semaphore:
    """Let as many programs run at once as there are cores: more would only make each hit its time limit."""
    loop = asyncio.get_running_loop()
    if loop not in _gates:
        _gates[loop] = asyncio.Semaphore(os.cpu_count() or 2)
    return _gates[loop]


def _in_memory(name: str, content: str) -> int:
    descriptor = os.memfd_create(name)
    with open(descriptor, "wb", closefd=False) as file:
        file.write(content.encode("utf-8", "replace"))
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


async def run_sandboxed(
    program: Sequence[str],
    *,
    files: Mapping[str, str],
    interpreter: Interpreter = "python",
    stdin: str = "",
    limits: SandboxLimits | None = None,
    sandbox: SandboxSpec | None = None,
) -> SandboxResult:
    r"""Run a program in the sandbox.

    Args:
        program: Arguments of the interpreter: a path of `files`, and arguments.
        files: Text by absolute path; read-only inside, never written on this machine.
        interpreter: `python` (standard library only) or `node`.
        stdin: What the program can read.
        limits: How much it may use.
        sandbox: Where it runs; bubblewrap when omitted.

    Returns:
        What it did; a limit that was hit is told by `problem`, not raised.

    Raises:
        SandboxUnavailableError: Bubblewrap (or the engine that `sandbox` names) is missing, or cannot build the
            sandbox here. Nothing was run.

    Examples:
        >>> result = asyncio.run(run_sandboxed(["/code.py"], files={"/code.py": "print(6 * 7)"}))
        >>> result.stdout
        '42\n'
    """
    limits = limits or SandboxLimits()
    async with _gate():
        if sandbox is not None and sandbox.engine != "bubblewrap":
            return await run_in_container(
                sandbox, program, files=files, interpreter=interpreter, stdin=stdin, limits=limits
            )
        with contextlib.ExitStack() as stack:
            opened: dict[str, int] = {}
            for index, (path, content) in enumerate(files.items()):
                opened[path] = _in_memory(f"file{index}", content)
                stack.callback(os.close, opened[path])
            status = _in_memory("status", "")
            stack.callback(os.close, status)
            command = _command(program, interpreter=interpreter, files=opened, limits=limits, status=status)
            return await _run(command, (*opened.values(), status), status, stdin, limits)


async def _run(
    command: list[str], descriptors: tuple[int, ...], status: int, stdin: str, limits: SandboxLimits
) -> SandboxResult:
    ended = await run_bounded(
        command,
        stdin=stdin.encode("utf-8", "replace"),
        wall_s=limits.wall_s,
        output_kb=limits.output_kb,
        env={},
        descriptors=descriptors,
        as_nobody=os.geteuid() == 0,  # run by root, the limit on processes would not hold: the kernel exempts that user
    )
    stderr = ended.stderr.decode("utf-8", "replace")
    if not ended.timed_out and not ended.output_exceeded:
        _check_started(status, ended.exit_code, stderr)
    return SandboxResult(
        exit_code=ended.exit_code,
        stdout=ended.stdout.decode("utf-8", "replace"),
        stderr=stderr,
        wall_s=ended.wall_s,
        timed_out=ended.timed_out,
        output_exceeded=ended.output_exceeded,
        limits=limits,
    )


def _check_started(status: int, code: int, stderr: str) -> None:
    """Tell a program that failed from a sandbox that could not be built.

    Raises:
        SandboxUnavailableError: The program was never started.
    """
    os.lseek(status, 0, os.SEEK_SET)
    told = os.read(status, 10_000).decode("utf-8", "replace")
    events = [json.loads(line) for line in told.splitlines() if line.startswith("{")]
    started = any("exit-code" in event for event in events)
    if not started or code == 125:
        why = stderr.strip().splitlines()[-1][:300] if stderr.strip() else f"exit code {code}"
        raise SandboxUnavailableError(
            f"code is not run: the sandbox cannot be built here ({why})\n    fix: let unprivileged users make user "
            "spaces (sysctl kernel.unprivileged_userns_clone and kernel.apparmor_restrict_unprivileged_userns; in a "
            "container, its seccomp profile)"
        )
