"""Code in containers.

The command line is checked against a stand-in for the engine that writes down what it is asked. The attacks run only
where a real engine is named: BAKEOFF_TEST_CONTAINER="podman IMAGE [RUNTIME]", an image with python3, sh and env.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest

from bakeoff.errors import EvaluatorError
from bakeoff.evaluators import (
    EvaluatorContext,
    SandboxLimits,
    SandboxResult,
    SandboxSpec,
    SandboxUnavailableError,
    evaluator_catalogue,
    load_evaluator,
    run_sandboxed,
    sandbox_problem,
    score_trial,
)

NAMED = os.environ.get("BAKEOFF_TEST_CONTAINER", "").split()
needs_engine = pytest.mark.skipif(not NAMED, reason="BAKEOFF_TEST_CONTAINER names no engine and image")
LIMITS = SandboxLimits(wall_s=20.0, cpu_s=5, processes=12, memory_mb=256, file_mb=2, output_kb=64)

STAND_IN = f"""#!{sys.executable}
import json, os, pathlib, sys, time
log = pathlib.Path(__file__).with_suffix(".log")
with log.open("a") as file:
    file.write(json.dumps([sys.argv[1:], dict(os.environ)]) + "\\n")
if sys.argv[1] == "rm":
    print(sys.argv[-1])
    raise SystemExit
mode = pathlib.Path(__file__).with_suffix(".mode")
mode = mode.read_text() if mode.exists() else "run"
if mode == "no image":
    print("Error: docker.io/library/python:3.12-slim: image not known", file=sys.stderr)
    raise SystemExit(125)
marker = next(one for one in sys.argv if one.startswith("started-"))
print(marker, file=sys.stderr, flush=True)
if mode == "hang":
    time.sleep(60)
mount = next(one for one in sys.argv if one.startswith("--mount="))
print(pathlib.Path(mount.partition("source=")[2].partition(",")[0]).read_text())
"""


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "docker"
    path.write_text(STAND_IN)
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("OPENAI_API_KEY", "very-secret-value")
    return path


def asked(engine: Path) -> list[tuple[list[str], dict[str, str]]]:
    return [tuple(json.loads(line)) for line in engine.with_suffix(".log").read_text().splitlines()]


async def test_the_command_line_locks_everything(engine: Path) -> None:
    spec = SandboxSpec(engine="docker", image="python:3.12-slim", runtime="runsc")
    result = await run_sandboxed(["/code.py"], files={"/code.py": "print(6 * 7)"}, sandbox=spec, limits=LIMITS)
    assert result.stdout == "print(6 * 7)\n", "the code was there to be read"
    assert result.stderr == ""
    ((arguments, environment),) = asked(engine)
    options = arguments[: arguments.index("python:3.12-slim")]
    assert {
        "--rm", "--network=none", "--ipc=none", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges",
        "--user=65534:65534", "--memory=256m", "--memory-swap=256m", "--pids-limit=12", "--cpus=1", "--pull=never",
        "--ulimit=nofile=64:64", "--ulimit=core=0:0", "--log-driver=none",
        "--tmpfs=/tmp:rw,nosuid,nodev,mode=1777,size=2000000",
    } <= set(options)  # fmt: skip
    assert options[options.index("--runtime") + 1] == "runsc"
    assert next(one for one in options if one.startswith("--mount")).endswith(",target=/code.py,readonly")
    assert not [one for one in options if "privileged" in one and "no-new" not in one]
    assert not [one for one in options if one.startswith(("-v", "--volume", "--device", "--publish", "-p", "--env"))]
    inside = arguments[arguments.index("python:3.12-slim") + 1 :]
    assert inside[:2] == ["/usr/bin/env", "-i"]
    assert inside[-4:] == ["python3", "-I", "-B", "/code.py"]
    assert "very-secret-value" not in json.dumps([arguments, environment])


async def test_what_hangs_is_removed_by_name(engine: Path) -> None:
    engine.with_suffix(".mode").write_text("hang")
    start = time.monotonic()
    result = await run_sandboxed(
        ["/code.py"], files={"/code.py": ""}, sandbox=SandboxSpec(engine="docker"), limits=SandboxLimits(wall_s=0.3)
    )
    assert result.timed_out
    assert result.problem == "did not finish within 0.3 s"
    assert time.monotonic() - start < 10
    (run, _), (removed, _) = asked(engine)
    assert removed == ["rm", "--force", "--volumes", run[run.index("--name") + 1]]


async def test_cancelling_removes_it_too(engine: Path) -> None:
    engine.with_suffix(".mode").write_text("hang")
    sandbox = SandboxSpec(engine="docker")
    task = asyncio.create_task(run_sandboxed(["/code.py"], files={"/code.py": ""}, sandbox=sandbox))
    await asyncio.sleep(1.0)
    assert len(asked(engine)) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asked(engine)[-1][0][0] == "rm"


async def test_a_missing_image_is_not_pulled_but_named(engine: Path) -> None:
    engine.with_suffix(".mode").write_text("no image")
    check = load_evaluator({"code_tests": {"sandbox": "docker"}})
    score = (await score_trial([check], EvaluatorContext(output="x = 1", expected="assert x")))[0]
    assert score.value is None
    assert "image not known" in str(score.error)
    assert "fix: docker pull docker.io/library/python:3.12-slim" in str(score.error)


async def test_without_the_engine_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    spec = SandboxSpec(engine="podman")
    assert "apt-get install podman" in str(sandbox_problem(spec))
    with pytest.raises(SandboxUnavailableError, match="podman, which is not installed"):
        await run_sandboxed(["/code.py"], files={"/code.py": "print(1)"}, sandbox=spec)


@pytest.mark.parametrize(
    "options",
    [
        {"sandbox": "none"},
        {"sandbox": {"engine": "docker", "image": "--privileged"}},
        {"sandbox": {"engine": "docker", "image": "a b"}},
        {"sandbox": {"engine": "docker", "runtime": "--volume=/:/host"}},
        {"sandbox": {"runtime": "runsc"}},
        {"sandbox": {"engine": "docker", "privileged": True}},
    ],
)
def test_an_option_cannot_open_the_container(options: dict[str, object]) -> None:
    with pytest.raises(EvaluatorError):
        load_evaluator({"code_tests": options})


def test_it_stands_in_the_spec_again() -> None:
    given = {"engine": "podman", "runtime": "runsc"}
    check = load_evaluator({"code_output": {"sandbox": given}})
    assert check.spec() == {"code_output": {"sandbox": given}}
    assert load_evaluator(check.spec()) == check
    assert load_evaluator("code_tests").spec() == {"code_tests": {}}
    schema = next(entry for entry in evaluator_catalogue() if entry.kind == "code_tests").options
    for value in ("docker", given):  # an editor takes the word as well as the mapping
        jsonschema.Draft202012Validator(schema).validate({"sandbox": value})
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate({"sandbox": "chroot"})


# The attacks, on a real engine


def named() -> SandboxSpec:
    return SandboxSpec.model_validate(dict(zip(("engine", "image", "runtime"), NAMED, strict=False)))


async def attack(code: str, limits: SandboxLimits = LIMITS) -> SandboxResult:
    return await run_sandboxed(["/code.py"], files={"/code.py": code}, limits=limits, sandbox=named())


def left() -> str:
    return subprocess.run([NAMED[0], "ps", "--all", "--quiet"], capture_output=True, text=True, check=True).stdout


@needs_engine
async def test_host_files_environment_and_network_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "very-secret-value")
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    code = (
        "import os, socket\n"
        f"for path in ({str(Path(__file__).parent)!r}, '/root/.bashrc', '/proc/1/root/etc/shadow'):\n"
        "    try: print('read', os.listdir(path) if os.path.isdir(path) else open(path).read())\n"
        "    except OSError: print('refused')\n"
        "print(dict(os.environ), open('/proc/self/environ').read())\n"
        f"for address in (('127.0.0.1', {port}), ('1.1.1.1', 53), ('169.254.169.254', 80)):\n"
        "    try: socket.create_connection(address, 0.5); print('connected')\n"
        "    except OSError: print('no way')\n"
        "print(open('/proc/net/dev').read())"
    )
    async with server:
        result = await attack(code)
    assert result.stdout.count("refused") == 3, result
    assert result.stdout.count("no way") == 3
    assert "very-secret" not in result.stdout
    assert "eth" not in result.stdout


@needs_engine
async def test_bombs_are_held() -> None:
    forks = (
        "import os, time\nmade = 0\ntry:\n    while made < 500:\n"
        "        if os.fork() == 0:\n            time.sleep(30)\n            os._exit(0)\n        made += 1\n"
        "except OSError: pass\nprint(made, flush=True)\nos._exit(0)"
    )
    assert 0 < int((await attack(forks)).stdout) <= LIMITS.processes
    memory = await attack("x = []\nwhile True: x.append(bytearray(10_000_000))")
    assert memory.exit_code != 0
    loud = await attack("import os\nwhile True: os.write(1, b'x' * 65536)")
    assert loud.output_exceeded
    busy = await attack("while True: pass", SandboxLimits(wall_s=20, cpu_s=1))
    assert busy.exit_code in (137, 152), busy
    assert left() == ""


@needs_engine
@pytest.mark.parametrize("folder", ["/tmp", "/dev/shm", "/dev", "/", "/usr", "/var/tmp", "/run", "/proc/sys/kernel"])
async def test_only_tmp_can_be_written_and_not_filled(folder: str) -> None:
    code = (
        "total = 0\ntry:\n    for i in range(100):\n"
        f"        with open({folder!r} + f'/f{{i}}', 'wb') as f:\n"
        "            total += f.write(b'x' * 1_000_000)\n            f.flush()\n"
        "except OSError as error: print(type(error).__name__)\nprint(total)"
    )
    result = await attack(code)
    assert int(result.stdout.split()[-1]) <= (3_000_000 if folder == "/tmp" else 0), result


@needs_engine
@pytest.mark.parametrize(
    "code",
    [
        "import ctypes; print(ctypes.CDLL(None).mount(b'none', b'/tmp', b'tmpfs', 0, None))",
        "import os\ntry: os.setuid(0); print(0)\nexcept OSError: print(-1)",
        "import os\ntry: os.chroot('/tmp'); print(0)\nexcept OSError: print(-1)",
        "open('/code.py', 'w')\nprint(0)",
        "print([l for l in open('/proc/self/status') if l.startswith('CapEff')][0].split()[1].strip('0') and 0)",
        "print(0 if 'NoNewPrivs:\\t0' in open('/proc/self/status').read() else -1)",
    ],
    ids=["mount", "setuid", "chroot", "own code", "capabilities", "new privileges"],
)
async def test_rights_cannot_be_gained(code: str) -> None:
    result = await attack(code)
    assert "0" not in result.stdout.split(), result


@needs_engine
async def test_nothing_survives_the_time_limit() -> None:
    code = (
        "import os, time, signal\n"
        "for s in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT): signal.signal(s, signal.SIG_IGN)\n"
        "if os.fork() == 0:\n    os.setsid()\n    time.sleep(60)\ntime.sleep(60)"
    )
    start = time.monotonic()
    result = await attack(code, SandboxLimits(wall_s=0.7))
    assert result.timed_out
    assert time.monotonic() - start < 30
    assert left() == ""


@needs_engine
async def test_tests_pass_and_fail_as_in_bubblewrap() -> None:
    check = load_evaluator({"code_tests": {"sandbox": named().model_dump(exclude_defaults=True)}})
    outputs = {"def f(x): return x": True, "def f(x): return 0": False, "import sys; sys.exit(0)": False}
    for output, expected in outputs.items():
        score = (await score_trial([check], EvaluatorContext(output=output, expected="assert f(3) == 3")))[0]
        assert score.value is expected, score
