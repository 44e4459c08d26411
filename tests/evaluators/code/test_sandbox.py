"""The sandbox under attack: each test says what is tried, and looks from outside whether it worked."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from bakeoff.evaluators import EvaluatorContext, load_evaluator, score_trial
from bakeoff.evaluators.code import _sandbox as sandbox
from bakeoff.evaluators.code._sandbox import SandboxLimits, SandboxResult, SandboxUnavailableError, run_sandboxed

needs_sandbox = pytest.mark.skipif(
    sandbox.sandbox_problem() is not None, reason="bubblewrap is not installed, so code is not run"
)
LIMITS = SandboxLimits(wall_s=20.0, cpu_s=5, processes=12, memory_mb=256, file_mb=2, output_kb=64)


async def attack(code: str, limits: SandboxLimits = LIMITS) -> SandboxResult:
    return await run_sandboxed(["/code.py"], files={"/code.py": code}, limits=limits)


@needs_sandbox
async def test_harmless_code_runs() -> None:
    result = await run_sandboxed(
        ["/code.py", "arg"], files={"/code.py": "import sys; print(sys.argv[1], input())"}, stdin="in\n", limits=LIMITS
    )
    assert (result.stdout, result.exit_code, result.problem) == ("arg in\n", 0, None)
    assert result.wall_s < 20


@needs_sandbox
@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "/etc/shadow",
        "/root/.bashrc",
        "/home",
        str(Path(__file__).parent),
        "/var",
        "/proc/1/root/etc/passwd",
        str(Path.cwd()),
    ],
)
async def test_host_files_are_not_there(path: str) -> None:
    result = await attack(
        f"import os\ntry:\n    print(os.listdir({path!r}) if os.path.isdir({path!r}) else open({path!r}).read())\n"
        "except OSError as error:\n    print('refused', type(error).__name__)"
    )
    assert result.stdout.startswith("refused"), result


@needs_sandbox
async def test_the_environment_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "very-secret-value")
    result = await attack(
        "import os, glob\nprint(dict(os.environ))\nfor f in glob.glob('/proc/*/environ'): print(open(f).read())"
    )
    assert "very-secret-value" not in result.stdout + result.stderr
    assert "OPENAI" not in result.stdout
    assert "PATH" in result.stdout


@needs_sandbox
async def test_there_is_no_network() -> None:
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        code = (
            "import socket\n"
            f"for address in (('127.0.0.1', {port}), ('1.1.1.1', 53), ('169.254.169.254', 80)):\n"
            "    try:\n        socket.create_connection(address, 0.5); print('connected', address)\n"
            "    except OSError as error: print('refused')\n"
            "print(open('/proc/net/dev').read())"
        )
        result = await attack(code)
    assert "connected" not in result.stdout
    assert result.stdout.count("refused") == 3
    assert "eth" not in result.stdout


@needs_sandbox
async def test_a_fork_bomb_is_held_at_the_limit() -> None:
    code = (
        "import os, time\nmade = 0\ntry:\n    while made < 500:\n"
        "        if os.fork() == 0:\n            time.sleep(30)\n            os._exit(0)\n        made += 1\n"
        "except OSError: pass\nprint(made, flush=True)\nos._exit(0)"
    )
    result = await attack(code)
    assert 0 < int(result.stdout) <= LIMITS.processes


@needs_sandbox
async def test_threads_count_as_processes() -> None:
    code = (
        "import threading, time, os\nmade = 0\ntry:\n    for _ in range(200):\n"
        "        threading.Thread(target=time.sleep, args=(9,), daemon=True).start(); made += 1\n"
        "except RuntimeError: pass\nprint(made, flush=True); os._exit(0)"
    )
    assert int((await attack(code)).stdout) <= LIMITS.processes


@needs_sandbox
async def test_a_memory_bomb_fails() -> None:
    result = await attack("x = []\nwhile True: x.append(bytearray(10_000_000))")
    assert result.exit_code != 0
    assert "MemoryError" in result.stderr


@needs_sandbox
@pytest.mark.parametrize("folder", ["/tmp", "/dev/shm", "/dev", "/", "/usr", "/proc/sys/kernel"])
async def test_the_disk_cannot_be_filled_and_only_tmp_can_be_written(folder: str) -> None:
    code = (
        "import os\ntotal = 0\ntry:\n    for i in range(100):\n"
        f"        with open({folder!r} + f'/f{{i}}', 'wb') as f:\n"
        "            total += f.write(b'x' * 1_000_000)\n            f.flush()\n"
        "except OSError as error: print(type(error).__name__)\nprint(total)"
    )
    result = await attack(code)
    total = int(result.stdout.split()[-1])
    assert total <= (3_000_000 if folder == "/tmp" else 1_000_000 if folder == "/dev/shm" else 0)
    assert not found_outside(folder)


@needs_sandbox
async def test_endless_output_ends_the_run() -> None:
    start = time.monotonic()
    result = await attack("import os\nwhile True: os.write(1, b'x' * 65536)")
    assert result.output_exceeded
    assert len(result.stdout) <= LIMITS.output_kb * 1000
    assert time.monotonic() - start < 15
    assert (await attack("import os\nwhile True: os.write(2, b'x' * 65536)")).problem == "wrote more than 64 kB"


@needs_sandbox
@pytest.mark.parametrize("stream", [1, 2])
async def test_a_burst_of_output_at_the_time_limit_does_not_hang(stream: int) -> None:
    code = f"import os, time\ntime.sleep(0.4)\nwhile True: os.write({stream}, b'x' * 65536)"
    start = time.monotonic()
    result = await attack(code, SandboxLimits(wall_s=0.45, output_kb=10_000_000))
    assert result.timed_out
    assert time.monotonic() - start < 5


@needs_sandbox
async def test_cancelling_ends_the_program() -> None:
    marker = f"cancelled{os.getpid()}"
    code = f"import os; os.execv('/bin/sh', ['sh', '-c', 'sleep 30; : {marker}'])"
    task = asyncio.create_task(attack(code, SandboxLimits(wall_s=30)))
    await asyncio.sleep(0.5)
    assert running(marker)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not running(marker)


@needs_sandbox
async def test_other_processes_cannot_be_seen_or_signalled() -> None:
    code = (
        "import os, signal\nprint(sorted(int(p) for p in os.listdir('/proc') if p.isdigit()))\n"
        f"for pid in ({os.getpid()}, {os.getppid()}, -1, 1):\n"
        "    try: os.kill(pid, signal.SIGKILL)\n    except OSError as error: print(type(error).__name__)"
    )
    result = await attack(code)
    pids = result.stdout.partition("]")[0].strip("[").split(", ")
    assert all(int(pid) < 20 for pid in pids)  # its own space: small numbers only
    os.kill(os.getpid(), 0)  # we are alive


@needs_sandbox
async def test_links_do_not_lead_out() -> None:
    code = (
        "import os\nos.symlink('/etc/passwd', '/tmp/a')\nos.symlink('/proc/1/root', '/tmp/b')\n"
        "os.symlink('../../../../../../etc', '/tmp/c')\n"
        "for path in ('/tmp/a', '/tmp/b/etc/passwd', '/tmp/c/passwd'):\n"
        "    try: print('read', open(path).read())\n    except OSError: print('refused')"
    )
    assert (await attack(code)).stdout == "refused\n" * 3


@needs_sandbox
async def test_nothing_survives_the_time_limit() -> None:
    marker = f"survivor{os.getpid()}"
    code = (
        "import os, time, signal\n"
        "for s in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT): signal.signal(s, signal.SIG_IGN)\n"
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
        f"        os.execv('/bin/sh', ['sh', '-c', 'exec 1>&- 2>&-; while true; do sleep 0.1; done # {marker}'])\n"
        "    os._exit(0)\ntime.sleep(60)"
    )
    start = time.monotonic()
    result = await attack(code, SandboxLimits(wall_s=0.7))
    assert result.timed_out
    assert time.monotonic() - start < 10
    await asyncio.sleep(0.2)
    assert not running(marker)


@needs_sandbox
async def test_a_daemon_does_not_outlive_its_program() -> None:
    marker = f"daemon{os.getpid()}"
    code = (
        "import os\nif os.fork() == 0:\n    os.setsid()\n"
        f"    os.execv('/bin/sh', ['sh', '-c', 'exec 1>&- 2>&-; sleep 20 # {marker}'])\nprint('done')"
    )
    result = await attack(code)
    assert result.stdout == "done\n"
    await asyncio.sleep(0.2)
    assert not running(marker)


def running(marker: str) -> list[Path]:
    """Find the processes of this machine whose command line holds the marker."""
    return [path for path in Path("/proc").glob("[0-9]*/cmdline") if marker in _read(path)]


def found_outside(folder: str) -> list[Path]:
    """Find what the attack would have written, on this machine."""
    return list(Path(folder).glob("f[0-9]"))


def executable(path: Path, text: str) -> str:
    """Write a program that any user may run."""
    path.write_text(text)
    path.chmod(0o755)
    for parent in path.parents:
        if parent.stat().st_uid == os.getuid() and not parent.stat().st_mode & 0o001:
            parent.chmod(0o755)
    return str(path)


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


@needs_sandbox
@pytest.mark.parametrize(
    "code",
    [
        "import ctypes; print(ctypes.CDLL(None).unshare(0x10000000))",  # a new user space
        "import os; print(-1 if os.system('mount -t tmpfs none /tmp 2>/dev/null') else 0)",
        "import os\ntry: os.setuid(0); print(0)\nexcept OSError: print(-1)",
        "import os\ntry: os.chroot('/tmp'); print(0)\nexcept OSError: print(-1)",
        "import resource as r\ntry: r.setrlimit(r.RLIMIT_NPROC, (999, 999)); print(0)\nexcept ValueError: print(-1)",
        "open('/solution', 'w')\nprint(0)",
        "open('/code.py', 'w')\nprint(0)",
    ],
    ids=["user space", "mount", "setuid", "chroot", "raise limits", "new file in root", "own code"],
)
async def test_rights_cannot_be_gained(code: str) -> None:
    result = await attack(code)
    assert "0" not in result.stdout.split(), result


@needs_sandbox
async def test_the_limits_of_one_program_do_not_touch_another() -> None:
    sleepers = (
        "import os, time\nfor _ in range(8):\n    if os.fork() == 0:\n        time.sleep(0.5); os._exit(0)\n"
        "time.sleep(0.5); print('ok')"
    )
    results = await asyncio.gather(*(attack(sleepers) for _ in range(4)))
    assert [result.stdout for result in results] == ["ok\n"] * 4


async def test_without_bubblewrap_nothing_runs_and_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox.shutil, "which", lambda *_, **__: None)
    sandbox._bubblewrap.cache_clear()
    started = False

    async def never(*_: object, **__: object) -> None:
        nonlocal started
        started = True

    monkeypatch.setattr(asyncio, "create_subprocess_exec", never)
    try:
        with pytest.raises(SandboxUnavailableError, match="apt-get install bubblewrap"):
            await attack("print(1)")
        context = EvaluatorContext(output="x = 1", expected="assert x == 1")
        score = (await score_trial([load_evaluator("code_tests")], context))[0]
        assert score.value is None
        assert "bubblewrap" in str(score.error)
        assert not started
    finally:
        sandbox._bubblewrap.cache_clear()


@needs_sandbox
async def test_a_sandbox_that_cannot_be_built_is_no_failed_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n"
    fake = executable(tmp_path / "bwrap", text)
    monkeypatch.setattr(sandbox, "_bubblewrap", lambda: fake)
    with pytest.raises(SandboxUnavailableError, match="No permissions to create new namespace"):
        await attack("print(1)")
