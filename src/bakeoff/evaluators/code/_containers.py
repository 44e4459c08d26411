"""Run code that a model wrote in a container of docker or podman, where a spec names one: as locked up as bubblewrap.

No network, nothing of the image writable, one small `/tmp`, no capabilities, no way to gain any, the user nobody, and
limits on memory, processes, CPU, file size, output and time. The image must be there already: nothing is pulled.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, model_validator
from typing_extensions import override

from bakeoff.evaluators._redact import clean_text
from bakeoff.evaluators.code._sandbox_process import NOBODY, Ended, run_bounded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

    from bakeoff.evaluators.code._sandbox import Interpreter, SandboxLimits, SandboxResult

__all__ = ["SandboxSpec", "engine_problem", "node_flags", "run_in_container"]

_IMAGES: dict[str, str] = {"python": "docker.io/library/python:3.12-slim", "node": "docker.io/library/node:22-slim"}
_INSTALL = {
    "docker": "install Docker Engine (https://docs.docker.com/engine/install/), or apt-get install docker.io",
    "podman": "apt-get install podman (Debian, Ubuntu), dnf install podman (Fedora), pacman -S podman (Arch)",
}
_START_S = 60.0
"""Most time that an engine may take to start a container."""
_CLEAN_S = 30.0
"""Most time that it may take to remove one."""
# What an engine needs to find itself; nothing else of our environment is given to it, keys least of all.
_ENGINE_ENV = (
    "PATH", "HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "TMPDIR", "DOCKER_HOST", "DOCKER_CONTEXT",
    "DOCKER_CONFIG", "CONTAINER_HOST", "CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF",
)  # fmt: skip
# The marker on stderr tells a program that failed from a container that never started, and starts the clock.
_SCRIPT = (
    'command -v "$5" >/dev/null || { echo "the image has no $5" >&2; exit 125; }; '
    'ulimit -t "$1" && ulimit -f "$2" && ulimit -n 64 && ulimit -c 0 && '
    '{ [ "$3" = 0 ] || ulimit -v "$3"; } || exit 125; echo "$4" >&2; shift 4; exec "$@"'
)


def node_flags(memory_mb: int) -> tuple[str, ...]:
    """Options of node: a limit of its heap, and that a module is known by its `import` and `export`."""
    return (f"--max-old-space-size={memory_mb}", "--experimental-detect-module", "--no-warnings")


class SandboxSpec(BaseModel):
    """Where code is run: bubblewrap, or a container of docker or podman. A word is short for `{engine: ...}`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    engine: Literal["bubblewrap", "docker", "podman"] = "bubblewrap"
    image: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][\w./:@-]*$")
    """Image with `sh`, `env` and python or node, pulled beforehand; `python:3.12-slim` or `node:22-slim` when
    omitted."""
    runtime: str | None = Field(default=None, pattern=r"^[A-Za-z0-9/][\w./-]*$")
    """Runtime of the engine, such as `runsc` (gVisor) or `kata`."""

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, value: Any) -> Any:
        return {"engine": value} if isinstance(value, str) else value

    @classmethod
    @override
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        word = {"type": "string", "enum": ["bubblewrap", "docker", "podman"]}
        return {"anyOf": [word, handler(core_schema)]}

    @model_validator(mode="after")
    def _fits(self) -> SandboxSpec:
        if self.engine == "bubblewrap" and (self.image is not None or self.runtime is not None):
            raise ValueError("bubblewrap has no `image` and no `runtime`; name the `engine`, docker or podman")
        return self


def engine_problem(engine: Literal["docker", "podman"]) -> str | None:
    """Say why an engine cannot be used; `None` when its program is there."""
    if shutil.which(engine) is not None:
        return None
    return f"code is not run: the sandbox is to be {engine}, which is not installed\n    fix: {_INSTALL[engine]}"


def container_command(
    spec: SandboxSpec,
    program: Sequence[str],
    *,
    name: str,
    folder: Path,
    files: Sequence[str],
    interpreter: Interpreter,
    limits: SandboxLimits,
    marker: str,
) -> list[str]:
    """Write the whole command line of a container."""
    memory = f"{limits.memory_mb}m"
    image = spec.image or _IMAGES[interpreter]
    command = [spec.engine]
    if spec.engine == "podman" and spec.runtime is not None:
        command += ["--runtime", spec.runtime]
    command += ["run", "--rm", "--interactive", "--pull=never", "--name", name, "--hostname", "sandbox"]
    if spec.engine == "docker" and spec.runtime is not None:
        command += ["--runtime", spec.runtime]
    command += ["--network=none", "--ipc=none", "--read-only", "--cap-drop=ALL"]
    command += ["--security-opt=no-new-privileges", "--security-opt=label=disable", f"--user={NOBODY}:{NOBODY}"]
    command += [f"--memory={memory}", f"--memory-swap={memory}", f"--pids-limit={limits.processes}", "--cpus=1"]
    command += ["--ulimit=nofile=64:64", "--ulimit=core=0:0", f"--ulimit=nproc={_nproc(limits)}", "--log-driver=none"]
    command += ["--workdir=/tmp", "--entrypoint="]
    command += [f"--tmpfs=/tmp:rw,nosuid,nodev,mode=1777,size={limits.file_mb * 1_000_000}"]
    if spec.engine == "podman":
        command += ["--read-only-tmpfs=false", "--http-proxy=false"]
    for index, path in enumerate(files):
        command += [f"--mount=type=bind,source={folder / str(index)},target={path},readonly"]
    # node reserves far more address space than it uses, so its memory is limited by the container and its own heap
    address_kb = limits.memory_mb * 1024 if interpreter == "python" else 0
    numbers = [limits.cpu_s, limits.file_mb * 1_000_000 // 512, address_kb]
    flags = ["-I", "-B"] if interpreter == "python" else list(node_flags(limits.memory_mb))
    runner = "python3" if interpreter == "python" else "node"
    clean = ["/usr/bin/env", "-i", "PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/tmp", "LANG=C.UTF-8", "PYTHONHASHSEED=0"]
    return [
        *command,
        image,
        *clean,
        "/bin/sh",
        "-c",
        _SCRIPT,
        "sh",
        *map(str, numbers),
        marker,
        runner,
        *flags,
        *program,
    ]


def _nproc(limits: SandboxLimits) -> str:
    """Leave room: this limit counts all of the user's processes, `--pids-limit` those of the container."""
    most = max(4096, limits.processes)
    return f"{most}:{most}"


async def run_in_container(
    spec: SandboxSpec,
    program: Sequence[str],
    *,
    files: Mapping[str, str],
    interpreter: Interpreter,
    stdin: str,
    limits: SandboxLimits,
) -> SandboxResult:
    """Run a program in a container, and remove the container whatever happens.

    Raises:
        SandboxUnavailableError: The engine or the image is missing, or the container could not be started.
    """
    from bakeoff.evaluators.code._sandbox import SandboxResult, SandboxUnavailableError

    engine = cast("Literal['docker', 'podman']", spec.engine)
    problem = engine_problem(engine)
    if problem is not None:
        raise SandboxUnavailableError(problem)
    name, marker = f"bakeoff-{secrets.token_hex(8)}", f"started-{secrets.token_hex(8)}"
    environment = {key: os.environ[key] for key in _ENGINE_ENV if key in os.environ}
    with _folder_of(list(files.values())) as folder:
        command = container_command(
            spec, program, name=name, folder=folder, files=list(files), interpreter=interpreter, limits=limits,
            marker=marker,
        )  # fmt: skip
        is_over = False
        try:
            ended = await run_bounded(
                command, stdin=stdin.encode("utf-8", "replace"), wall_s=limits.wall_s, output_kb=limits.output_kb,
                env=environment, marker=f"{marker}\n".encode(), start_s=_START_S,
            )  # fmt: skip
            is_over = not ended.timed_out and not ended.output_exceeded
        finally:
            if not is_over:  # the death of the client does not end a container
                await asyncio.shield(_remove(engine, name, environment))
    stderr = ended.stderr.decode("utf-8", "replace")
    _, started, said = stderr.partition(f"{marker}\n")
    if not started:
        raise SandboxUnavailableError(_not_started(spec, interpreter, stderr, ended))
    return SandboxResult(
        exit_code=ended.exit_code,
        stdout=ended.stdout.decode("utf-8", "replace"),
        stderr=said,
        wall_s=ended.wall_s,
        timed_out=ended.timed_out,
        output_exceeded=ended.output_exceeded,
        limits=limits,
    )


@contextlib.contextmanager
def _folder_of(texts: Sequence[str]) -> Iterator[Path]:
    """Write texts to files `0`, `1` ... that any user may read and none may change, for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="bakeoff-code-") as folder:
        path = Path(folder)
        for index, text in enumerate(texts):
            file = path / str(index)
            file.write_bytes(text.encode("utf-8", "replace"))
            file.chmod(0o444)
        path.chmod(0o755)
        yield path


async def _remove(engine: str, name: str, environment: Mapping[str, str]) -> None:
    """Kill and remove a container. The client may have died before its engine made it, so look more than once."""
    for pause_s in (0.0, 0.5, 2.0):
        await asyncio.sleep(pause_s)
        removed = await run_bounded(
            [engine, "rm", "--force", "--volumes", name], stdin=b"", wall_s=_CLEAN_S, output_kb=64, env=environment
        )
        if removed.exit_code == 0 and name in removed.stdout.decode("utf-8", "replace"):
            return


def _not_started(spec: SandboxSpec, interpreter: Interpreter, stderr: str, ended: Ended) -> str:
    image = spec.image or _IMAGES[interpreter]
    lines = [line for line in stderr.splitlines() if line.strip() and not line.startswith("Run 'docker run --help'")]
    why = clean_text(lines[-1], 300) if lines else f"exit code {ended.exit_code}"
    if ended.timed_out:
        why = f"it had not started after {_START_S:g} s"
    low = stderr.lower()
    if "no such image" in low or "unable to find image" in low or "image not known" in low:
        fix = f"{spec.engine} pull {image}"
    elif "cannot connect" in low or "permission denied while trying to connect" in low:
        fix = f"start {spec.engine}, and let this user use it (try: {spec.engine} run --rm {image} true)"
    else:
        fix = f"try it by hand: {spec.engine} run --rm {image} true"
    return f"code is not run: {spec.engine} cannot start a container of {image!r} ({why})\n    fix: {fix}"
