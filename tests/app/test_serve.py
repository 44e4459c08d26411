from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from bakeoff.app import serve
from bakeoff.app._serve import server_config
from bakeoff.errors import BakeoffError, MissingExtraError
from bakeoff.experiments import LocalStore


def test_the_door_is_light() -> None:
    heavy = ("streamlit", "plotly", "pandas", "duckdb", "scipy")
    code = f"import sys, bakeoff.app; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.com"])
def test_other_machines_are_kept_out(host: str, store: LocalStore) -> None:
    with pytest.raises(BakeoffError, match="nobody has to log in"):
        server_config(host, 8501)
    with pytest.raises(BakeoffError, match="--allow-remote"):
        serve(store, host=host, port=0)
    assert server_config(host, 8501, allow_remote=True)["server.address"] == host


def test_nothing_is_reported_to_anyone() -> None:
    config = server_config("127.0.0.1", 8501)
    assert config["browser.gatherUsageStats"] is False
    assert config["server.allowedHosts"]
    assert config["server.headless"] is True, "else Streamlit offers readers to install things on the server"


def test_a_taken_port_is_named(store: LocalStore) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(BakeoffError, match=f"cannot listen on 127.0.0.1:{taken.getsockname()[1]}"):
            serve(store, port=taken.getsockname()[1])


def test_without_streamlit(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"bakeoff\[dashboard\]"):
        serve(store)
