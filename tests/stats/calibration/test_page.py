"""docs/calibration.md is what the stored measurements say, and leaves no check out."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[3]
STORED = json.loads((ROOT / "docs/calibration.json").read_text(encoding="utf-8"))
STEMS = {"C5": "b", "C7": "bcde", "C8": "b", "C9": "bc", "C10": "bc", "C11": "b", "C13": "bc", "C19": "b"}
CHECKS = {f"C{i}{part}" for i in range(1, 22) for part in ("", *STEMS.get(f"C{i}", ""))}


@pytest.fixture(scope="module")
def page() -> ModuleType:
    path = ROOT / "scripts/calibration_page.py"
    spec = importlib.util.spec_from_file_location("bakeoff_calibration_page", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_every_check_is_there_and_holds() -> None:
    assert {row["check"] for row in STORED["rows"]} == CHECKS
    assert all(row["passed"] for row in STORED["rows"])


def test_every_module_is_measured() -> None:
    modules = {path.name for path in Path(__file__).parent.glob("test_c*.py")}
    assert modules == {row["module"] for row in STORED["rows"]}


def test_every_check_names_a_method_that_fails_it(page: ModuleType) -> None:
    for check, claim in page.read_claims().items():
        measured = [row["known_bad"] for row in STORED["rows"] if row["check"] == check]
        # C11b says where a method does not help: there is nothing to be caught.
        assert any(value is not None for value in measured) == bool(claim.known_bad) == (check != "C11b"), check


def test_the_page_is_rendered_from_the_stored_rows(page: ModuleType, tmp_path: Path) -> None:
    assert page.render_page(STORED, tmp_path) == (ROOT / "docs/calibration.md").read_text(encoding="utf-8")
    for picture in tmp_path.glob("*.svg"):
        assert picture.read_text(encoding="utf-8") == (ROOT / "docs/images/calibration" / picture.name).read_text(
            "utf-8"
        )


def test_the_published_end_to_end_check_is_the_long_one() -> None:
    cells = {row["cell"] for row in STORED["rows"] if row["check"] == "C20"}
    assert cells == {f"1,000 experiments, 100 items x {repeats}, 3 variants" for repeats in (1, 5)}
