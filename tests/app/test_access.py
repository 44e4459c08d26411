from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from bakeoff.app._access import login_is_set_up, role_in
from bakeoff.errors import BakeoffError
from tests.app.support import MAIN, recorded
from tests.app.test_pages import draw_one

AUTH = {"redirect_uri": "http://localhost/oauth2callback", "cookie_secret": "x", "client_id": "x"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("access")
    recorded(folder, n=6)
    return folder


def visit(name: str | None, store: Path, monkeypatch: pytest.MonkeyPatch, **user: object) -> AppTest:
    monkeypatch.setenv("BAKEOFF_STORE", str(store))
    app = (
        AppTest.from_file(str(MAIN), default_timeout=30)
        if name is None
        else AppTest.from_function(draw_one, args=(name,), default_timeout=30)
    )
    app.secrets["auth"] = AUTH
    app.secrets["roles"] = {"ann@x.org": "editor", "@x.org": "viewer"}
    app.user = {"is_logged_in": False, **user}
    app.run()
    assert not app.exception, app.exception
    return app


@pytest.mark.parametrize(
    "user",
    [
        {},
        {"is_logged_in": True, "email": "eve@y.org"},
        {"is_logged_in": True, "email": "ann@x.org", "email_verified": False},
        {"is_logged_in": True},
    ],
)
def test_nobody_gets_in_uninvited(user: dict[str, object], store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = visit(None, store, monkeypatch, **user)
    assert [entry.value for entry in app.title] == []
    assert "recorded" not in "".join(str(entry.proto.body) for entry in app.get("html"))


def test_a_viewer_reads_and_an_editor_acts(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    viewer = {"is_logged_in": True, "email": "bob@x.org"}
    editor = {"is_logged_in": True, "email": "ann@x.org"}
    assert [entry.value for entry in visit(None, store, monkeypatch, **viewer).title] == ["Runs"]
    for user, disabled in ((viewer, True), (editor, False)):
        app = visit("design", store, monkeypatch, **user)
        buttons = {button.label: button.disabled for button in app.button}
        assert buttons["Launch"] is disabled
        assert buttons["Save the file"] is disabled
    assert visit("label", store, monkeypatch, **viewer).button == []


def test_roles_that_do_not_exist_are_named() -> None:
    with pytest.raises(BakeoffError, match="'owner'; the roles are viewer, editor, admin"):
        role_in({"*": "owner"}, "a@b.c")


def test_login_is_found_where_streamlit_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not login_is_set_up((tmp_path,))
    file = tmp_path / ".streamlit" / "secrets.toml"
    file.parent.mkdir()
    file.write_text("[other]\nx = 1\n")
    assert not login_is_set_up((tmp_path,))
    file.write_text('[auth]\ncookie_secret = "x"\n')
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BakeoffError, match=r"streamlit\[auth\]"):
        login_is_set_up((tmp_path,))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    assert login_is_set_up((tmp_path,))
