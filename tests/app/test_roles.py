"""The table of roles holds on every page and for every button, also for those that a page forgot to disable."""

from __future__ import annotations

import hashlib
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from bakeoff.app import serve
from bakeoff.app._access import LOGIN_VARIABLE, login_is_set_up
from bakeoff.app._labels import LabelStore
from bakeoff.errors import BakeoffError
from bakeoff.experiments import LocalStore, open_store
from bakeoff.regression import add_schedule, set_baseline
from tests.app.support import MAIN, recorded
from tests.app.test_access import AUTH
from tests.app.test_pages import PAGES, draw_one, text_of
from tests.app.test_regression import FILE

READERS_MAY = ("Log out", "Load", "Back to the file's rules", "How often would it be wrong?")
"""Buttons that change nothing but what is seen."""


@pytest.fixture
def filled(tmp_path: Path) -> LocalStore:
    root = tmp_path / ".bakeoff"
    run = recorded(root, n=12)
    store = open_store(root)
    set_baseline(store, run.run_id)
    file = tmp_path / "experiments" / "nightly.yaml"
    file.parent.mkdir()
    file.write_text(FILE)
    add_schedule(store, file, "@daily")
    LabelStore(store.paths.control).create_queue(store, run.run_id, name="q", question="?", choices=["a", "b"])
    return store


def contents(folder: Path) -> dict[str, str]:
    """Return what everything below a folder holds, databases by their rows."""
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.name.endswith(("-wal", "-shm")):
            continue
        content = path.read_bytes()
        if content.startswith(b"SQLite format 3"):
            with sqlite3.connect(path) as database:
                content = "\n".join(database.iterdump()).encode()
        found[str(path.relative_to(folder))] = hashlib.sha256(content).hexdigest()
    return found


def visit(name: str, store: LocalStore, monkeypatch: pytest.MonkeyPatch, role: str, **query: str) -> AppTest:
    monkeypatch.setenv("BAKEOFF_STORE", str(store.paths.root))
    app = AppTest.from_function(draw_one, args=(name,), default_timeout=30)
    app.secrets["auth"] = AUTH
    app.secrets["roles"] = {"*": role}
    app.user = {"is_logged_in": True, "email": "bob@x.org"}
    for key, value in query.items():
        app.query_params[key] = value
    return app.run()


@pytest.mark.parametrize(
    ("name", "query"),
    [*((name, {}) for name in PAGES), *(("regression", {"watch": w}) for w in ("gates", "baselines", "schedules"))],
)
def test_nothing_a_viewer_presses_changes_anything(
    name: str, query: dict[str, str], filled: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Any] = []
    home = filled.paths.root.parent
    visit(name, filled, monkeypatch, "viewer", **query)  # looking may lay down caches; pressing may not change a thing
    before = contents(home)
    monkeypatch.setattr(subprocess, "Popen", lambda *args, **_: started.append(args))
    for place in range(len(visit(name, filled, monkeypatch, "viewer", **query).button)):
        app = visit(name, filled, monkeypatch, "viewer", **query)
        button = app.button[place]
        if button.label not in READERS_MAY:
            button.proto.disabled = False  # a forged message presses disabled buttons too
            button.click().run()
            assert not app.exception, (button.label, app.exception)
            assert contents(home) == before, f"{button.label!r} on {name} changed something"
    assert started == []


def test_an_editor_clears_no_cache(filled: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    app = visit("settings", filled, monkeypatch, "editor")
    assert not app.exception
    assert all(button.disabled for button in app.button if button.label.startswith(("Clear", "Read everything")))


@pytest.mark.parametrize(
    ("roles", "user", "said"),
    [
        ({"*": "owner"}, {"email": "a@x.org"}, "the roles are viewer, editor, admin"),
        ({"b@x.org": "admin"}, {"email": "a@x.org"}, "nobody gave you a role here"),
        ({"*": "admin"}, {}, "said no e-mail address"),
        ({"*": "admin"}, {"email": "a@x.org", "email_verified": False}, "has not verified"),
        ({"*": "admin"}, {"is_logged_in": False}, "Log in to see"),
    ],
)
def test_who_has_no_role_is_told(
    roles: dict[str, str], user: dict[str, Any], said: str, filled: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAKEOFF_STORE", str(filled.paths.root))
    app = AppTest.from_file(str(MAIN), default_timeout=30)
    app.secrets["auth"] = AUTH
    app.secrets["roles"] = roles
    app.user = {"is_logged_in": True, **user}
    app.run()
    assert not app.exception
    assert said in text_of(app)
    assert [entry.value for entry in app.title] == []


def test_a_server_that_began_with_login_stays_closed(filled: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAKEOFF_STORE", str(filled.paths.root))
    monkeypatch.setenv(LOGIN_VARIABLE, "1")
    app = AppTest.from_file(str(MAIN), default_timeout=30).run()
    assert not app.exception
    assert "Log-in was set up when this server started" in text_of(app)
    assert [entry.value for entry in app.title] == []


def test_a_damaged_secrets_file_opens_no_door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / ".streamlit" / "secrets.toml"
    file.parent.mkdir()
    file.write_text('[auth\ncookie_secret = "x"')
    with pytest.raises(BakeoffError, match="not valid TOML"):
        login_is_set_up((tmp_path,))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BakeoffError, match="not valid TOML"):
        serve(open_store(tmp_path / ".bakeoff"), host="0.0.0.0", port=0)
