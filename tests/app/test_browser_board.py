"""Reading results in a real browser: charts that can be taken away, trials that can be reached."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.app.browser import CHROMIUM, FLAGS, dashboard
from tests.app.support import hostile, simulated
from tests.app.test_browser import Watched

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
sync_api.expect.set_options(timeout=40_000)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is not installed (apt-get install chromium)"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as play:
        opened = play.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield opened
        opened.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_chart_is_saved_as_png_svg_and_csv(browser: Any, tmp_path: Path, scheme: str) -> None:
    root = tmp_path / ".bakeoff"
    result = simulated(root)
    with dashboard(root) as base:
        context = browser.new_context(
            viewport={"width": 1280, "height": 900}, accept_downloads=True, color_scheme=scheme
        )
        seen = Watched(context.new_page(), base)
        page = seen.page
        page.goto(f"{base}/results?view=front")
        page.wait_for_selector(".js-plotly-plot .main-svg")
        found: dict[str, bytes] = {}
        for suffix in ("PNG", "SVG", "CSV"):
            with page.expect_download() as download:
                page.get_by_role("button", name=suffix if suffix == "CSV" else f"Save as {suffix}").click()
            assert download.value.suggested_filename == f"{result.run_id}-right-cost.{suffix.lower()}"
            found[suffix] = Path(download.value.path()).read_bytes()
        assert found["PNG"].startswith(b"\x89PNG\r\n\x1a\n")
        assert found["SVG"].lstrip().startswith(b"<svg")
        assert b"Cost (USD per 1,000 trials)" in found["SVG"]
        rows = list(csv.DictReader(found["CSV"].decode().splitlines()))
        assert {row["label"] for row in rows if row["label"]} == set(result.manifest.variant_names)
        assert seen.foreign == []
        assert seen.errors == []
        context.close()


def test_from_a_difference_to_the_trial_behind_it(browser: Any, tmp_path: Path) -> None:
    root = tmp_path / ".bakeoff"
    first, second = simulated(root), simulated(root, n=30)
    with dashboard(root) as base:
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        seen = Watched(context.new_page(), base)
        page = seen.page
        expect = sync_api.expect
        page.goto(f"{base}/compare?run={second.run_id}&what=runs&before={first.run_id}&changes=all&tag=lang&tagged=en")
        expect(page.get_by_text("14 items")).to_be_visible()  # of the first 40, those divisible by three
        page.get_by_placeholder("in ids, inputs, expected, outputs").fill("message 27 ")
        page.keyboard.press("Enter")
        expect(page.get_by_text("1 item", exact=True)).to_be_visible()
        page.wait_for_url("**pick=i027**")
        assert "q=message" in page.url
        link = page.get_by_role("link", name="Whole trial").last
        expect(link).to_have_attribute("href", re.compile(r"item=27\b"))  # the address is ahead of the page
        link.click()
        expect(page.get_by_role("heading", name="Item i027")).to_be_visible()
        assert f"run={second.run_id}" in page.url
        assert seen.foreign == []
        assert seen.errors == []
        context.close()


def test_a_cell_opens_its_trial(browser: Any, tmp_path: Path) -> None:
    root = tmp_path / ".bakeoff"
    hostile(root)
    with dashboard(root) as base:
        context = browser.new_context(viewport={"width": 390, "height": 844})
        seen = Watched(context.new_page(), base)
        page = seen.page
        page.goto(f"{base}/items")
        page.wait_for_selector(".bo-matrix button")
        assert page.locator(".bo-matrix img, .bo-matrix script, .bo-matrix a").count() == 0
        cell = page.locator(".bo-matrix tbody tr").nth(3).locator("button").nth(1)
        cell.focus()
        page.keyboard.press("Enter")  # by keyboard as by pointer
        page.wait_for_url("**item=3**")
        page.wait_for_function(
            "() => document.querySelectorAll('.bo-matrix tbody tr')[3].querySelectorAll('button')[1]"
            ".getAttribute('aria-pressed') === 'true'"
        )
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the table scrolls, not the page"
        assert page.evaluate("window.__hacked") is None
        assert seen.foreign == []
        assert seen.errors == []
        context.close()
