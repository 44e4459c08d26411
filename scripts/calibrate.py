"""Run the whole calibration battery and write docs/calibration.md: `make calibrate`.

Every `measure()` in tests/stats/calibration gives rows; this script runs them side by side, stores them in
docs/calibration.json and renders the page. `--render` renders again from the stored rows.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent))

from calibration_page import render_page

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).parents[1]
BATTERY = ROOT / "tests/stats/calibration"
ROWS = ROOT / "docs/calibration.json"
PAGE = ROOT / "docs/calibration.md"
IMAGES = ROOT / "docs/images/calibration"
SLOW_FIRST = ("test_c20", "test_c09", "test_c10", "test_c21", "test_c13")


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def measured(path: Path, part: int) -> tuple[str, float, list[dict[str, Any]]]:
    """Rows of one part of one module, and the CPU seconds that they took."""
    module = load(path)
    options = getattr(module, "PARTS", [{}])[part]
    start = time.process_time()
    rows = module.measure(**options)
    spent = time.process_time() - start
    return path.name, spent, [{**row, "module": path.name, "part": part} for row in rows]


def jobs() -> list[tuple[Path, int]]:
    paths = sorted(BATTERY.glob("test_c*.py"), key=lambda p: (not p.name.startswith(SLOW_FIRST), p.name))
    paths.sort(key=lambda p: not p.name.startswith("test_c20"))
    return [(path, part) for path in paths for part in reversed(range(len(getattr(load(path), "PARTS", [{}]))))]


def run_battery(workers: int) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    seconds: dict[str, float] = {}
    with ProcessPoolExecutor(workers) as pool:
        running = [pool.submit(measured, path, part) for path, part in jobs()]
        for future in as_completed(running):
            name, spent, found = future.result()
            rows.extend(found)
            seconds[name] = seconds.get(name, 0.0) + spent
            failed = sum(not row["passed"] for row in found)
            print(f"{name}: {len(found)} rows, {spent:.0f} s CPU{f', {failed} FAILED' if failed else ''}", flush=True)
    rows.sort(key=lambda row: (row["module"], row["part"]))  # a stable order, whoever finished first
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("bakeoff", "numpy", "scipy", "statsmodels")},
        "seconds": seconds,
        "rows": [
            {**row, "measured": float(row["measured"]), "passed": bool(row["passed"]),
             "known_bad": None if row["known_bad"] is None else float(row["known_bad"])}
            for row in rows
        ],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--render", action="store_true", help="render the page from the stored rows")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    if not options.render:
        ROWS.write_text(json.dumps(run_battery(options.workers), indent=0) + "\n", encoding="utf-8")
    stored = json.loads(ROWS.read_text(encoding="utf-8"))
    IMAGES.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(render_page(stored, IMAGES), encoding="utf-8")
    failed = [row for row in stored["rows"] if not row["passed"]]
    print(f"{PAGE.relative_to(ROOT)}: {len(stored['rows'])} measurements, {len(failed)} outside their limit")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
