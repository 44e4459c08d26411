"""A stranger with an odd file, in a real browser; and whether every control has a name and is reached by keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bakeoff.experiments import open_store
from tests.app.browser import CHROMIUM, FLAGS, dashboard
from tests.app.support import recorded
from tests.app.test_own_data import odd_csv, odd_rows

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
sync_api.expect.set_options(timeout=60_000)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is not installed (apt-get install chromium)"),
]

NAMELESS = """() => [...document.querySelectorAll(
  'input:not([type=hidden]), textarea, select, button, [role=combobox], [role=slider], a[href]')]
  .filter(e => e.getClientRects().length && getComputedStyle(e).visibility !== 'hidden')
  .filter(e => !(e.getAttribute('aria-label') || e.title || (e.labels && [...e.labels].some(l => l.innerText.trim()))
    || e.innerText.trim() || (e.getAttribute('aria-labelledby') || '').split(' ').some(
      id => id && document.getElementById(id) && document.getElementById(id).innerText.trim())
    || e.closest('label')))
  .map(e => e.outerHTML.slice(0, 200))"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as play:
        opened = play.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield opened
        opened.close()


def test_a_stranger_compares_two_prompts_on_an_odd_file(browser: Any, tmp_path: Path) -> None:
    data = tmp_path / "Tickets März (1).csv"
    data.write_bytes(odd_csv(odd_rows(80)))
    root = tmp_path / "home" / ".bakeoff"
    expect = sync_api.expect
    with dashboard(root) as base:
        page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
        page.set_default_timeout(60_000)
        page.goto(f"{base}/design")
        page.get_by_text("My data", exact=True).click()
        page.locator('input[type="file"]').set_input_files(str(data))
        expect(page.get_by_text("cells are separated by semicolon")).to_be_visible()
        whole = sum(bool(r["Richtige Antwort"] and r["Kunden Nachricht - Text"]) for r in odd_rows(80))
        expect(page.get_by_text(f"{whole} items; the first 3 are shown.")).to_be_visible()
        expect(page.get_by_text("{{ kunden_nachricht_text }}").first).to_be_visible()
        expect(page.get_by_text("Smallest difference it can detect")).to_be_visible()
        expect(page.get_by_text("problems to solve")).to_have_count(0)
        page.get_by_role("button", name="Launch").click()
        expect(page.get_by_text("See the results")).to_be_visible()
        page.get_by_text("See the results").click()
        expect(page.locator(".bo-hero h2")).to_be_visible()
        (manifest,) = open_store(root).runs()
        assert manifest.status == "complete"
        assert manifest.dataset_items == whole
        assert set(manifest.prompts) == {"short", "careful"}


def test_every_control_has_a_name(browser: Any, tmp_path: Path) -> None:
    root = tmp_path / "home" / ".bakeoff"
    recorded(root, n=12)
    with dashboard(root) as base:
        page = browser.new_context(viewport={"width": 1280, "height": 1600}).new_page()
        page.set_default_timeout(60_000)
        paths = ("design", "label", "settings", "regression", "regression?watch=gates", "regression?watch=baselines",
                 "regression?watch=schedules")  # fmt: skip
        for path in paths:
            page.goto(f"{base}/{path}")
            page.wait_for_selector("h1")
            page.wait_for_timeout(1500)
            assert page.evaluate(NAMELESS) == [], path


def test_the_design_page_goes_by_keyboard(browser: Any, tmp_path: Path) -> None:
    with dashboard(tmp_path / "home" / ".bakeoff") as base:
        page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        page.set_default_timeout(60_000)
        page.goto(f"{base}/design")
        sync_api.expect(page.get_by_text("Smallest difference it can detect")).to_be_visible()
        page.wait_for_timeout(1000)
        page.get_by_label("Name", exact=True).first.focus()
        seen: set[str] = set()
        for _ in range(120):
            page.keyboard.press("Tab")
            seen.add(
                page.evaluate(
                    "() => { const e = document.activeElement;"
                    " return (e.innerText || e.getAttribute('aria-label') || '').trim().split('\\n').pop() }"
                )
            )
            if {"Launch", "Save the file"} <= seen:
                break
        assert {"Add a prompt", "Launch", "Save the file"} <= seen
