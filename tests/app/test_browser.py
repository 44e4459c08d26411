"""The whole story in a real browser: upload, design, launch, watch, compare, label, export."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bakeoff.experiments import open_store
from tests.app.browser import CHROMIUM, FLAGS, dashboard
from tests.app.support import hostile

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
sync_api.expect.set_options(timeout=40_000)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is not installed (apt-get install chromium)"),
]


class Watched:
    """A page that remembers every request to a foreign host and every error on its console."""

    def __init__(self, page: Any, base: str) -> None:
        self.page = page
        self.foreign: list[str] = []
        self.errors: list[str] = []
        page.set_default_timeout(40_000)
        page.on("request", lambda r: self.foreign.append(r.url) if _is_foreign(r.url, base) else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("dialog", lambda dialog: self.errors.append(f"dialog {dialog.message}"))


def _is_foreign(url: str, base: str) -> bool:
    return not url.startswith((base, base.replace("http", "ws"), "data:", "blob:"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as play:
        opened = play.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield opened
        opened.close()


def _messages(path: Path) -> None:
    kinds = ("billing", "delivery", "refund")
    rows = [
        {
            "ticket": f"m{k:03d}",
            "message": f"Message {k} about {kinds[k % 3]} that somebody wrote",
            "label": kinds[k % 3],
        }
        for k in range(60)
    ]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_from_an_uploaded_file_to_an_answer(browser: Any, tmp_path: Path) -> None:
    data = tmp_path / "messages.csv"
    _messages(data)
    root = tmp_path / "home" / ".bakeoff"
    with dashboard(root) as base:
        context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
        seen = Watched(context.new_page(), base)
        page = seen.page
        expect = sync_api.expect
        page.goto(base)
        expect(page.get_by_text("Nothing has run here yet")).to_be_visible()

        page.get_by_role("button", name="Design an experiment").click()
        expect(page.get_by_role("heading", name="New experiment")).to_be_visible()
        page.get_by_text("My data", exact=True).click()
        page.locator('input[type="file"]').set_input_files(str(data))
        expect(page.get_by_text("60 items; the first 3 are shown.")).to_be_visible()
        expect(page.get_by_text("Smallest difference it can detect")).to_be_visible()

        page.get_by_role("button", name="Launch").click()
        expect(page.get_by_role("heading", name="Live")).to_be_visible()
        expect(page.get_by_text("See the results")).to_be_visible()
        page.get_by_text("See the results").click()
        expect(page.get_by_role("heading", name="Results")).to_be_visible()
        expect(page.locator(".bo-hero h2")).to_be_visible()
        expect(page.locator(".bo-hero")).to_contain_text("with examples")

        (manifest,) = open_store(root).runs()
        assert manifest.status == "complete"
        assert manifest.dataset_items == 60
        assert (root.parent / "experiments" / "my-first-comparison.yaml").exists()

        page.get_by_role("button", name="Export").click()
        with page.expect_download() as download:
            page.get_by_role("button", name="Trials as CSV").click()
        with Path(download.value.path()).open() as file:
            assert len(list(csv.DictReader(file))) == 120
        page.keyboard.press("Escape")

        page.get_by_role("link", name="Compare").click()
        expect(page.get_by_role("heading", name="Compare")).to_be_visible()
        expect(page.get_by_text("Item by item")).to_be_visible()
        page.get_by_text("All", exact=True).first.click()
        expect(page.get_by_text("60 items")).to_be_visible()

        page.get_by_role("link", name="Label").click()
        page.get_by_role("button", name="Draw answers").click()
        page.get_by_label("Your name").fill("ann")
        page.keyboard.press("Enter")
        expect(page.get_by_text("0 of 50 judged by you")).to_be_visible()
        page.get_by_role("button", name=re.compile("^right")).click()
        expect(page.get_by_text("1 of 50 judged by you")).to_be_visible()
        page.get_by_role("heading", name="Label").click()
        page.wait_for_timeout(1000)  # a person takes longer to read
        page.keyboard.press("2")  # one key, one judgement
        expect(page.get_by_text("2 of 50 judged by you")).to_be_visible()

        assert seen.foreign == [], "the page talks to its own server only"
        assert seen.errors == []
        context.close()


def test_hostile_text_does_nothing(browser: Any, tmp_path: Path) -> None:
    root = tmp_path / ".bakeoff"
    hostile(root, big=True)
    with dashboard(root) as base:
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        seen = Watched(context.new_page(), base)
        page = seen.page
        for name in ("", "results", "compare?changes=all", "items", "live", "label", "regression"):
            page.goto(f"{base}/{name}")
            page.wait_for_selector("h1")
            page.wait_for_timeout(700)
            assert page.evaluate("window.__hacked") is None
            assert page.locator("img[src*='203.0.113.9']").count() == 0
            assert page.locator("a[href^='javascript:']").count() == 0
            assert page.evaluate("getComputedStyle(document.body).display") != "none"
        assert seen.foreign == []
        assert seen.errors == []
        context.close()
