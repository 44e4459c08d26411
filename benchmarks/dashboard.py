"""How fast the dashboard is on a full store: `python benchmarks/dashboard.py` from the checkout.

Fills a store with ten runs of 20,000 trials (200,000 in all, recorded answers, three metrics), opens every page in
Chromium and reports the time to the first meaningful content and of typical interactions. The targets are 1.5 s and
0.5 s on two cores. `--trials` makes it smaller.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from playwright.sync_api import Browser, Page, sync_playwright  # noqa: E402 - needs the path above
from tests.app.browser import CHROMIUM, FLAGS, dashboard  # noqa: E402

import bakeoff  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

VARIANTS = 8
CONTENT = {
    "": ".bo-run .say",
    "results": ".bo-hero h2",
    "compare": ".bo-hero h2",
    "items": ".bo-matrix button",
    "live": ".bo-progress",
    "design": "text=Smallest difference",
    "prompts": "h1",
    "regression": "h1",
    "label": "h1",
    "settings": ".bo-tiles",
}


def fill(root: Path, trials: int, runs: int) -> None:
    items = trials // VARIANTS
    rows: list[dict[str, Any]] = []
    for k in range(items):
        answers = {
            f"v{v}": str(k if (k * 7919 + v * 104729) % 100 < 50 + 4 * v else -1) + " because " * 20
            for v in range(VARIANTS)
        }
        rows.append(
            {"id": f"i{k:05d}", "question": f"question {k} " * 12, "truth": str(k), "lang": "de" if k % 3 else "en"}
            | answers
        )
    result = bakeoff.run(
        {
            "name": "load",
            "dataset": {"rows": rows, "id": "id", "inputs": ["question"], "expected": "truth", "metadata": ["lang"]},
            "targets": {f"v{v}": {"recorded": f"v{v}"} for v in range(VARIANTS)},
            "evaluators": [
                {"numeric": {"name": "correct"}},
                {"length": {"name": "size"}},
                {"contains": {"name": "why", "all": ["because"]}},
            ],
            "analysis": {"primary": "correct", "baseline": "v0"},
            "mlflow": False,
        },
        store=root,
    )
    folder = result.store.run_paths(result.run_id).folder
    for number in range(1, runs):
        copy = folder.with_name(f"{folder.name[:-4]}{number:04d}")
        shutil.copytree(folder, copy)
        manifest = json.loads((copy / "manifest.json").read_text())
        manifest["run_id"] = copy.name
        (copy / "manifest.json").write_text(json.dumps(manifest))


def timed(action: Callable[[], object], done: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    done()
    return time.perf_counter() - start


SEEN = """selector => {
  const text = selector.startsWith('text=') ? selector.slice(5) : null;
  const shown = () => text ? document.body?.textContent.includes(text) : document.querySelector(selector);
  const look = () => {
    if (shown()) requestAnimationFrame(() => setTimeout(() => { window.__seen = performance.now(); }));
    else requestAnimationFrame(look);
  };
  look();
}"""
"""Runs in the page: looks at every frame, and notes when the first one with the content was painted."""


def first_content(browser: Browser, address: str, selector: str) -> float:
    """Seconds from the start of the navigation to the first painted frame with the content, nothing cached."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.add_init_script(f"({SEEN})({json.dumps(selector)})")
    page.goto(address, wait_until="commit")
    page.wait_for_function("window.__seen", timeout=60_000, polling=200)
    milliseconds: float = page.evaluate("window.__seen")
    context.close()
    return milliseconds / 1000


CAPTIONS = "[...document.querySelectorAll('[data-testid=stCaptionContainer]')].map(e => e.innerText).join()"
CAPTION_CHANGED = f"b => {CAPTIONS} && {CAPTIONS} !== b"


def caption(page: Page) -> str:
    """The counts that a page shows: they change with what it lists."""
    text: str = page.evaluate(CAPTIONS)
    return text


def interactions(page: Page, base: str) -> dict[str, float]:
    found: dict[str, float] = {}
    page.goto(f"{base}/items")
    page.wait_for_selector(".bo-matrix button")
    page.wait_for_timeout(1500)
    found["items: filter"] = timed(
        page.get_by_text("Errors", exact=True).click, lambda: page.wait_for_selector("text=No item matches")
    )
    found["items: all again"] = timed(
        page.get_by_text("All", exact=True).click,
        lambda: page.wait_for_selector("text=No item matches", state="detached"),
    )
    page.wait_for_timeout(800)
    filtered = caption(page)
    page.get_by_placeholder("in ids, inputs, expected, outputs").fill("question 77 ")
    found["items: search"] = timed(
        lambda: page.keyboard.press("Enter"), lambda: page.wait_for_function(CAPTION_CHANGED, arg=filtered)
    )
    page.goto(f"{base}/results")
    page.wait_for_selector(".bo-hero h2")
    page.wait_for_timeout(1500)
    found["results: other metric"] = timed(
        page.get_by_text("size", exact=True).first.click,
        lambda: page.wait_for_function(
            "() => document.querySelector('.bo-eyebrow')?.innerText.includes('Metric: size')"
        ),
    )
    start = time.perf_counter()  # the other metric opens on a chart, and the browser has not loaded Plotly yet
    page.wait_for_selector(".js-plotly-plot .main-svg")
    found["results: first chart"] = time.perf_counter() - start
    page.wait_for_timeout(800)
    found["results: methods"] = timed(
        lambda: page.get_by_text("Methods", exact=True).click(),
        lambda: page.wait_for_selector("text=Every variant answered the same"),
    )
    page.goto(f"{base}/compare")
    page.wait_for_selector(".bo-hero h2")
    page.wait_for_timeout(1500)
    improved = caption(page)
    found["compare: all items"] = timed(
        page.get_by_text("All", exact=True).click,
        lambda: page.wait_for_function(CAPTION_CHANGED, arg=improved),
    )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=20_000, help="of one run")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        root = Path(home) / ".bakeoff"
        start = time.perf_counter()
        fill(root, given.trials, given.runs)
        print(f"store of {given.runs} runs with {given.trials:,} trials each: {time.perf_counter() - start:.1f} s")
        with dashboard(root) as base, sync_playwright() as play:
            browser = play.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
            for name, selector in CONTENT.items():
                times = [first_content(browser, f"{base}/{name}", selector) for _ in range(given.rounds)]
                first, rest = times[0], statistics.median(times[1:] or times)
                print(f"{name or 'runs':12} first content {rest:5.2f} s   (the very first time {first:5.2f} s)")
            context = browser.new_context(viewport={"width": 1280, "height": 800})
            for name, seconds in interactions(context.new_page(), base).items():
                print(f"{name:24} {1000 * seconds:6.0f} ms")
            browser.close()


if __name__ == "__main__":
    main()
