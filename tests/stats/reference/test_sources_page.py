"""docs/design/stats-sources.md lists every recorded value and every test that it names, from at least 80 sources."""

from __future__ import annotations

import re
from pathlib import Path

from tests.stats.reference.known import PYTHON, R

STATS = Path(__file__).parents[1]
PAGE = (STATS.parents[1] / "docs/design/stats-sources.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    section = re.search(rf"^## {heading}.*?$(.*?)(?=^## |\Z)", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert section is not None, heading
    lines = [line for line in section[1].splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split(" |")] for line in lines]


def test_recorded_values_are_listed_with_their_version() -> None:
    for heading, recorded in (("R ", R), ("Other Python libraries", PYTHON)):
        listed = {cells[0].strip("`"): cells[2] for cells in rows(heading)}
        assert listed == {name: one["source"] for name, one in recorded.items() if not name.startswith("data_")}


def test_named_tests_exist() -> None:
    for cells in rows("Tables and examples in print"):
        file, function = cells[2].strip("`").split("::")
        assert f"def {function}(" in (STATS / file).read_text(encoding="utf-8"), cells[2]


def test_at_least_80_independent_sources() -> None:
    """A source is a function of a version of a program, or a printed table, for one method: the claim of issue 3."""
    programs = {
        one["call"] for recorded in (R, PYTHON) for name, one in recorded.items() if not name.startswith("data_")
    }
    printed = {(cells[0], cells[1]) for cells in rows("Tables and examples in print")}
    assert len(programs) >= 80
    assert len(printed) >= 40
    assert len({one["source"] for one in [*R.values(), *PYTHON.values()]}) >= 30  # programs, each with its version


def test_counts_in_the_headings_are_true() -> None:
    counted = {
        heading: len(rows(heading)) for heading in ("R ", "Other Python libraries", "Tables and examples in print")
    }
    for heading, count in counted.items():
        assert re.search(rf"^## {heading.strip()} \({count}\b", PAGE, flags=re.MULTILINE), (heading, count)
