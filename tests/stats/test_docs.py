"""The examples of the guides run as printed, and their links lead somewhere."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

import bakeoff.stats

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(path.name for path in DOCS.glob("statistics*.md"))
EXAMPLES = {"statistics.md": 2, "statistics-sequential.md": 10, "statistics-bandits.md": 6, "statistics-judges.md": 11,
            "statistics-tradeoffs.md": 11}  # fmt: skip


@pytest.mark.parametrize("page", sorted(EXAMPLES))
def test_examples_run(page: str) -> None:
    flags = doctest.NORMALIZE_WHITESPACE
    outcome = doctest.testfile(str(DOCS / page), module_relative=False, encoding="utf-8", optionflags=flags)
    assert outcome.attempted >= EXAMPLES[page]
    assert outcome.failed == 0


def anchors(page: str) -> set[str]:
    """Anchors as GitHub makes them."""
    text = re.sub(r"```.*?```", "", (DOCS / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    heads = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", [*PAGES, "calibration.md"])
def test_links_lead_somewhere(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\((?!http)([^)#]*)(?:#([^)]*))?\)", text):
        assert not target or (DOCS / target).exists(), target
        if anchor and (not target or target.endswith(".md")):
            assert anchor in anchors(target or page), (target or page, anchor)


@pytest.mark.parametrize("page", PAGES)
def test_functions_that_are_named_exist(page: str) -> None:
    text = re.sub(r"```.*?```", "", (DOCS / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    known = set(bakeoff.stats.__all__).union(*(dir(getattr(bakeoff.stats, name)) for name in bakeoff.stats.__all__))
    for name in re.findall(r"`([a-zA-Z_]\w+)\(", text):
        assert name in known, name


def test_functions_of_the_index_exist() -> None:
    questions = (DOCS / "statistics.md").read_text(encoding="utf-8").split("## Which method")[0]
    named = re.findall(r"`([a-zA-Z_]\w+)(?:`|\()", questions.split("## What do you want")[1])
    assert len(named) > 40
    assert set(named) <= set(bakeoff.stats.__all__)


def test_the_index_reaches_every_page() -> None:
    linked = set(re.findall(r"\]\((statistics-[\w-]+\.md)", (DOCS / "statistics.md").read_text(encoding="utf-8")))
    assert {name for name in PAGES if name != "statistics.md"} == linked
