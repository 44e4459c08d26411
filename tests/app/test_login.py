"""Log-in against a real OpenID provider on this machine, in a real browser: who gets in, and as what."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.app.browser import CHROMIUM, FLAGS, dashboard, free_port
from tests.app.oidc import Provider, RSAKey, provider
from tests.app.support import recorded

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
sync_api.expect.set_options(timeout=40_000)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is not installed (apt-get install chromium)"),
]

USERS = {
    "ann": {"email": "ann@x.org", "email_verified": True, "name": "Ann"},
    "bob": {"email": "bob@x.org", "email_verified": True},
    "eve": {"email": "eve@y.org", "email_verified": True},
    "odd": {"email": "odd@z.org", "email_verified": True},
    "fake": {"email": "ann@x.org", "email_verified": False},
    "nobody": {},
}
ROLES = {"ann@x.org": "editor", "@x.org": "viewer", "odd@z.org": "owner"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Provider]]:
    """Give a dashboard that people log in to, and the provider behind it."""
    folder = tmp_path_factory.mktemp("login")
    recorded(folder / ".bakeoff", n=6)
    port = free_port()
    with provider(USERS) as idp:
        secrets = folder / ".streamlit" / "secrets.toml"
        secrets.parent.mkdir()
        auth = {
            "redirect_uri": f"http://127.0.0.1:{port}/oauth2callback", "cookie_secret": "a long secret " * 4,
            "client_id": idp.client_id, "client_secret": idp.client_secret,
            "server_metadata_url": f"{idp.base}/.well-known/openid-configuration",
        }  # fmt: skip
        lines = ["[auth]", *(f"{k} = {json.dumps(v)}" for k, v in auth.items())]
        lines += ["[roles]", *(f"{json.dumps(k)} = {json.dumps(v)}" for k, v in ROLES.items())]
        secrets.write_text("\n".join(lines))
        with dashboard(folder / ".bakeoff", port=port, folder=folder) as base:
            yield base, idp


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as play:
        opened = play.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    opened.set_default_timeout(40_000)
    yield opened
    context.close()


def log_in(page: Any, base: str, who: str, path: str = "") -> None:
    page.goto(f"{base}/{path}")
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("link", name=who, exact=True).click()
    page.wait_for_url(f"{base}/**")


def test_an_editor_comes_in_and_out_again(page: Any, place: tuple[str, Provider]) -> None:
    base, idp = place
    page.goto(f"{base}/results")
    sync_api.expect(page.get_by_text("Log in to see runs and results.")).to_be_visible()
    assert page.get_by_text("recorded").count() == 0, "nothing is shown before"
    log_in(page, base, "ann")
    sync_api.expect(page.get_by_role("heading", name="Runs")).to_be_visible()
    sync_api.expect(page.get_by_text("ann@x.org")).to_be_visible()
    assert {"/authorize", "/token", "/jwks"} <= set(idp.asked)
    page.goto(f"{base}/design")
    sync_api.expect(page.get_by_role("button", name="Launch")).to_be_enabled()
    page.get_by_role("button", name="Log out").click()
    sync_api.expect(page.get_by_text("Log in to see runs and results.")).to_be_visible()


def test_a_viewer_reads_and_changes_nothing(page: Any, place: tuple[str, Provider]) -> None:
    base, _ = place
    log_in(page, base, "bob")
    sync_api.expect(page.get_by_role("heading", name="Runs")).to_be_visible()
    page.goto(f"{base}/design")
    sync_api.expect(page.get_by_role("button", name="Launch")).to_be_disabled()
    page.goto(f"{base}/label")
    sync_api.expect(page.get_by_text("Ask for the role editor to label.")).to_be_visible()


@pytest.mark.parametrize(
    ("who", "said"),
    [
        ("eve", "nobody gave you a role here"),
        ("fake", "your provider has not verified"),
        ("nobody", "said no e-mail address"),
        ("odd", "the roles are viewer, editor, admin"),
    ],
)
def test_others_are_refused_in_words(page: Any, place: tuple[str, Provider], who: str, said: str) -> None:
    base, _ = place
    log_in(page, base, who)
    sync_api.expect(page.get_by_text(said)).to_be_visible()
    assert page.get_by_role("heading", name="Runs").count() == 0
    assert page.get_by_role("link", name="Results").count() == 0


@pytest.mark.parametrize("attack", ["key", "audience", "issuer", "nonce", "expired"])
def test_a_token_that_does_not_fit_is_no_log_in(page: Any, place: tuple[str, Provider], attack: str) -> None:
    base, idp = place
    wrong = {
        "audience": {"aud": "another"}, "issuer": {"iss": "http://127.0.0.1:1"}, "nonce": {"nonce": "old"},
        "expired": {"exp": 1_000_000_000, "iat": 999_999_000},
    }  # fmt: skip
    idp.claims = wrong.get(attack, {})
    idp.forger = RSAKey.generate_key(2048, parameters={"kid": "k1"}) if attack == "key" else None
    try:
        log_in(page, base, "ann")
        page.wait_for_timeout(800)
        page.goto(base)
        sync_api.expect(page.get_by_text("Log in to see runs and results.")).to_be_visible()
        assert page.get_by_role("heading", name="Runs").count() == 0
    finally:
        idp.claims, idp.forger = {}, None
