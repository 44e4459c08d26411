"""Take the screenshots of the documentation anew: `python scripts/refresh_screenshots.py [PAGE ...]` from the checkout.

Runs the examples in a temporary store (simulated models, nothing is paid, nothing leaves the machine), opens every
page in Chromium, light and dark, and writes PNG files into `docs/images`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
HERE = ROOT / "docs" / "images"
sys.path.insert(0, str(ROOT))

from playwright.sync_api import Browser, sync_playwright  # noqa: E402 - needs the path above
from tests.app.browser import CHROMIUM, FLAGS, dashboard  # noqa: E402

PAGES = {
    "runs": ("/", 0),
    "design": ("/design", 1750),
    "results": ("/results?run={triage}", 2330),
    "compare": ("/compare?run={triage}", 1240),
    "items": ("/items?run={triage}&show=differ", 1500),
    "trial": ("/items?run={desk}&item=70&variant=mode%3Dauto%2Breply.model%3Dlarge", 2050),
    "live": ("/live?run={slow}", 960),
    "label": ("/label?run={triage}", 960),
    "prompts": ("/prompts?prompt=terse", 1050),
    "regression": ("/regression?experiment=support-triage", 1500),
    "settings": ("/settings", 1000),
}


def cli(*arguments: str, cwd: Path) -> None:
    subprocess.run([sys.executable, "-m", "bakeoff", *arguments], cwd=cwd, check=True, capture_output=True)


def examples(home: Path) -> subprocess.Popen[bytes]:
    """Fill a store; the last run is still going on when this returns."""
    store = str(home / ".bakeoff")
    for name in ("recorded", "qa", "triage"):
        cli("init", name, "--example", name, cwd=home)
        cli("run", "experiment.yaml", "--store", store, "--quiet", "--no-mlflow", "--no-report", cwd=home / name)
    cli("init", "desk", "--example", "desk", cwd=home)
    cli("run", "experiment.yaml", "--store", store, "--quiet", "--no-mlflow", "--no-report", cwd=home / "desk")
    file = home / "triage" / "experiment.yaml"
    text = file.read_text()
    for seed in range(1, 5):
        changed = text.replace("Classify this support message", f"Classify this message, version {seed}")
        file.write_text(changed.replace("limits:", f"seed: {seed}\nlimits:"))
        cli("run", "experiment.yaml", "--store", store, "--quiet", "--no-mlflow", "--no-report", cwd=home / "triage")
    slow = text.replace("concurrency: 50", "concurrency: 1").replace("name: support-triage", "name: slow-triage")
    file.write_text(slow)
    running = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "bakeoff",
            "run",
            "experiment.yaml",
            "--store",
            store,
            "--quiet",
            "--no-cache",
            "--no-mlflow",
        ],
        cwd=home / "triage",
    )
    time.sleep(12)
    return running


def label_queue(home: Path, run_id: str) -> None:
    from bakeoff.app._labels import LabelStore
    from bakeoff.experiments import open_store

    store = open_store(home / ".bakeoff")
    LabelStore(store.paths.control).create_queue(
        store, run_id, name="is it right?", question="Is this the right label?", choices=["right", "wrong", "unclear"]
    )


def shoot(browser: Browser, address: str, path: Path, *, scheme: str, height: int, width: int = 1280) -> None:
    context = browser.new_context(viewport={"width": width, "height": height or 800}, color_scheme=scheme)
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector("h1")
    if "label" in path.name:
        page.get_by_label("Your name").fill("ann")
        page.keyboard.press("Enter")
    page.wait_for_timeout(3000)
    still = "[data-testid=stSkeleton], [data-testid=stStatusWidget], [data-stale=true]"
    page.wait_for_function(f"() => !document.querySelector('{still}') || location.pathname === '/live'", timeout=60_000)
    page.wait_for_timeout(3000)
    page.screenshot(path=path)
    context.close()
    smaller(path)


def smaller(path: Path) -> None:
    """Keep a screenshot below 200 kB: the pages use few colours."""
    from PIL import Image

    image = Image.open(path).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    image.save(path, optimize=True)


def main() -> None:
    from bakeoff.experiments import open_store

    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        running = examples(home)
        try:
            runs = open_store(home / ".bakeoff").runs()
            known = {
                "triage": next(m.run_id for m in runs if m.name == "support-triage"),
                "desk": next(m.run_id for m in runs if m.name == "incident-desk"),
                "slow": next(m.run_id for m in runs if m.name == "slow-triage"),
            }
            label_queue(home, known["triage"])
            with dashboard(home / ".bakeoff") as base, sync_playwright() as play:
                browser = play.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
                wanted = sys.argv[1:] or list(PAGES)
                order = sorted(wanted, key=lambda name: name != "live")  # while the run is going on
                for name in order:
                    path, height = PAGES[name]
                    address = base + path.format(**known)
                    shoot(browser, address, HERE / f"{name}.png", scheme="light", height=height)
                    shoot(browser, address, HERE / f"{name}-dark.png", scheme="dark", height=height)
                shoot(browser, f"{base}/results?run={known['triage']}", HERE / "results-phone.png",
                      scheme="light", height=844, width=390)  # fmt: skip
                browser.close()
        finally:
            running.terminate()
            running.wait(20)
    for path in sorted(HERE.glob("*.png")):
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
