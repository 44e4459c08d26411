"""Start the dashboard: one local server, closed to other machines unless told otherwise."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import ipaddress
import os
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bakeoff.app._access import LOGIN_VARIABLE, login_is_set_up
from bakeoff.app._theme import theme_config
from bakeoff.errors import BakeoffError, MissingExtraError

if TYPE_CHECKING:
    from bakeoff.experiments import LocalStore

__all__ = ["serve", "server_config"]

STORE_VARIABLE = "BAKEOFF_STORE"
_EVERYWHERE = ("0.0.0.0", "::", "")  # noqa: S104  # compared with, not bound to
_MAIN = Path(__file__).with_name("_main.py")


def serve(
    store: LocalStore,
    *,
    host: str = "127.0.0.1",
    port: int = 8501,
    allow_remote: bool = False,
    open_browser: bool = True,
) -> None:
    """Serve the dashboard over a store until the process is stopped.

    Args:
        store: Where the runs are. It may be written by other processes meanwhile.
        host: Address to listen on.
        port: Port to listen on; 0 picks a free one.
        allow_remote: Listen beyond this machine although nobody has to log in.
        open_browser: Open the page in the browser.

    Raises:
        MissingExtraError: Streamlit is not installed.
        BakeoffError: The address is reachable from other machines and that was not allowed, or the port is taken.
    """
    if importlib.util.find_spec("streamlit") is None:
        raise MissingExtraError("the dashboard", "dashboard")
    login = login_is_set_up()
    allowed = allow_remote or login
    config = server_config(host, port, allow_remote=allowed)
    config["server.port"] = _free_port(host, port)
    # The script runs in this process, but in threads that Streamlit starts: the environment is what they share.
    os.environ[STORE_VARIABLE] = str(store.paths.root.resolve())
    os.environ.pop(LOGIN_VARIABLE, None)
    if login:
        os.environ[LOGIN_VARIABLE] = "1"
    import streamlit

    _warm_up()
    if open_browser:
        shown = "127.0.0.1" if host in _EVERYWHERE else host
        threading.Thread(target=_open_when_up, args=(shown, config["server.port"]), daemon=True).start()

    streamlit.App(_MAIN).run(config=config)


def _open_when_up(host: str, port: object) -> None:
    """Open the page once the server answers. Streamlit would do it too, but then offers to install things."""
    import webbrowser

    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection((host, int(str(port))), timeout=1):
            webbrowser.open(f"http://{f'[{host}]' if ':' in host else host}:{port}")
            return
        time.sleep(0.1)


def _warm_up() -> None:
    """Import what pages need before the first reader comes.

    Here and not in a thread beside them: two threads that import pandas at once can see it half made.
    """
    for name in ("pandas", "duckdb", "plotly.graph_objects", "scipy.stats", "bakeoff.experiments", "bakeoff.reports"):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def server_config(host: str, port: int, *, allow_remote: bool = False) -> dict[str, str | int | bool | list[str]]:
    """Return the options the server runs with.

    Raises:
        BakeoffError: The address is reachable from other machines and `allow_remote` is not set.

    Examples:
        >>> server_config("127.0.0.1", 8501)["browser.gatherUsageStats"]
        False
    """
    local = is_local(host)
    if not local and not allow_remote:
        raise BakeoffError(
            f"the dashboard would listen on {host!r}, where other machines can reach it, and nobody has to log in: "
            "everyone could read prompts and outputs and start paid runs.\n"
            "    fix: leave --host at 127.0.0.1 (and tunnel with `ssh -L`), set up log-in (docs/design/dashboard.md), "
            "or accept the risk with --allow-remote"
        )
    return {
        "server.address": host,
        "server.port": port,
        "server.headless": True,
        "server.fileWatcherType": "none",
        "server.runOnSave": False,
        "server.showEmailPrompt": False,
        "server.maxUploadSize": 200,
        # Against DNS rebinding: a foreign page must not talk to a local dashboard under its own name.
        "server.allowedHosts": ["localhost", "127.0.0.1", "[::1]", "::1"] if local else [],
        "browser.gatherUsageStats": False,
        "client.toolbarMode": "minimal",
        "client.showErrorLinks": False,
        "client.showErrorDetails": "type",
        **theme_config(),
    }


def is_local(host: str) -> bool:
    """Say whether an address can be reached from this machine only.

    Examples:
        >>> is_local("localhost"), is_local("127.0.0.2"), is_local("0.0.0.0"), is_local("::1")
        (True, True, False, True)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _free_port(host: str, port: int) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), port))
        except OSError as error:
            raise BakeoffError(
                f"the dashboard cannot listen on {host}:{port}: {error.strerror or error}\n"
                "    fix: choose another port with --port, or 0 for any free one"
            ) from error
        found: int = probe.getsockname()[1]
        return found
