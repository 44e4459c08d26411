"""A dashboard on a port of its own, and a browser that talks to nobody else."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def dashboard(store: Path, *, port: int | None = None, folder: Path | None = None) -> Iterator[str]:
    """Run `bakeoff ui` on a store, in a folder that may hold `.streamlit/secrets.toml`; give its address."""
    port = port or free_port()
    log = store.parent / f"ui-{port}.log"
    store.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "bakeoff", "ui", "--store", str(store), "--port", str(port), "--no-open"],
            stdout=sink, stderr=subprocess.STDOUT, cwd=folder,
            env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            with (
                suppress(OSError),
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2) as answer,
            ):
                if answer.status == 200:
                    break
            time.sleep(0.2)
        else:
            raise AssertionError(f"the dashboard did not start:\n{log.read_text()}")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)
