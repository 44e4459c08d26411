"""Labelling by keyboard in a real browser: pairs, several people, notes, going back, hostile and huge answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bakeoff.app._labels import LabelStore, Queue
from tests.app.browser import dashboard
from tests.app.support import HOSTILE, hostile, recorded
from tests.app.test_browser import Watched, browser, pytestmark, sync_api

__all__ = ["browser", "pytestmark"]  # the fixture and the marks of the other browser tests

expect = sync_api.expect


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[tuple[str, LabelStore, Queue]]:
    result = recorded(tmp_path / ".bakeoff", n=20)
    labels = LabelStore(result.store.paths.control)
    queue = labels.create_queue(
        result.store, result.run_id, name="pairs", question="Which is better?", choices=[], n=4, mode="pairwise",
        variants=["old", "new"], guidelines="Prefer the right one.",
    )  # fmt: skip
    with dashboard(tmp_path / ".bakeoff") as base:
        yield base, labels, queue


def judged(page: Any, done: int, n: int = 4) -> None:
    expect(page.get_by_text(f"{done} of {n} judged by you")).to_be_visible()


def look(page: Any) -> None:
    """Wait until the page shows one task, not the last one beside it; a person takes longer."""
    page.wait_for_function("() => !document.querySelector('[data-stale=true]')")
    page.wait_for_timeout(500)


def press(page: Any, key: str, *, then: int) -> None:
    look(page)
    page.keyboard.press(key)
    judged(page, then)


def enter(page: Any, name: str) -> None:
    page.get_by_label("Your name").fill(name)
    page.keyboard.press("Enter")


def test_pairs_are_judged_by_keys_alone(browser: Any, desk: tuple[str, LabelStore, Queue]) -> None:
    base, labels, queue = desk
    seen = Watched(browser.new_page(), base)
    page = seen.page
    page.goto(f"{base}/label")
    enter(page, "ann")
    judged(page, 0)  # the field is gone: the next key is a judgement, not a letter of the name
    expect(page.get_by_text("Prefer the right one.")).to_be_visible()
    for done, key in enumerate("123", 1):
        press(page, key, then=done)
    tasks = labels.tasks(queue)
    said = [(one.task.id, one.value) for one in reversed(labels.judged(queue, "ann"))]
    assert said == [(tasks[0].id, tasks[0].variant), (tasks[1].id, "tie"), (tasks[2].id, tasks[2].other)]

    press(page, "u", then=2)
    look(page)
    page.get_by_label("Note, before you judge").fill("too long")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Note: too long")).to_be_visible()
    press(page, "1", then=3)
    latest = labels.judged(queue, "ann")[0]
    assert (latest.task.id, latest.value, latest.note) == (tasks[2].id, tasks[2].variant, "too long")

    page.get_by_text("What you said (3)").click()
    page.get_by_role("button", name=f"{tasks[0].item_id}: A is better").click()
    expect(page.get_by_text("You said: A is better.")).to_be_visible()
    page.get_by_role("heading", name="Label").click()
    press(page, "3", then=3)
    expect(page.get_by_text("You said:")).to_be_hidden()
    assert {one.task.id: one.value for one in labels.judged(queue, "ann")}[tasks[0].id] == tasks[0].other

    page.get_by_role("button", name="Somebody else").click()
    enter(page, "bob")
    judged(page, 0)
    for done, key in enumerate("2222", 1):
        press(page, key, then=done)
    expect(page.get_by_text("All done")).to_be_visible()
    page.reload()  # the name is asked for again; nobody else's labels are taken for one's own
    page.get_by_role("button", name="bob (4 of 4)").click()
    judged(page, 4)
    page.get_by_text("7 labels by 2 people").click()
    expect(page.get_by_text("Krippendorff")).to_be_visible()
    expect(page.get_by_text("1 of 3")).to_be_visible()  # both said tie once, of the three that ann judged
    assert seen.errors == []
    page.close()


def test_huge_and_hostile_answers_are_judged(browser: Any, tmp_path: Path) -> None:
    result = hostile(tmp_path / ".bakeoff", big=True)
    labels = LabelStore(result.store.paths.control)
    queue = labels.create_queue(
        result.store, result.run_id, name=HOSTILE, question=HOSTILE, choices=[], n=2, mode="pairwise",
        variants=result.store.manifest(result.run_id).variant_names, guidelines=HOSTILE * 50,
    )  # fmt: skip
    with dashboard(tmp_path / ".bakeoff") as base:
        seen = Watched(browser.new_page(), base)
        page = seen.page
        page.goto(f"{base}/label")
        enter(page, "<b>ann</b>")
        judged(page, 0, 2)
        expect(page.get_by_role("button", name="All of it")).to_be_visible()
        with page.expect_download() as download:
            page.get_by_role("button", name="All of it").click()
        assert Path(download.value.path()).stat().st_size > 5_000_000
        page.wait_for_timeout(500)
        page.keyboard.press("3")
        judged(page, 1, 2)
        assert page.evaluate("window.__hacked") is None
        assert page.locator("img[src*='203.0.113.9'], a[href^='javascript:']").count() == 0
        assert seen.foreign == []
        assert seen.errors == []
        page.close()
    assert [one.annotator for one in labels.labels(queue)] == ["<b>ann</b>"]
