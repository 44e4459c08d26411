"""Two tabs, one experiment file: nothing of the other's is overwritten unasked."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from streamlit.testing.v1 import AppTest

from tests.app.test_pages import open_page, text_of


@pytest.fixture
def store(tmp_path: Path) -> Path:
    (tmp_path / ".bakeoff").mkdir()
    return tmp_path / ".bakeoff"


def describe(tab: AppTest, text: str) -> None:
    next(one for one in tab.text_input if one.label == "What do you want to know?").set_value(text).run()


def press(tab: AppTest, label: str) -> None:
    next(one for one in tab.button if one.label.startswith(label)).click().run()
    assert not tab.exception


def saved(store: Path, name: str = "my-first-comparison") -> str:
    return str(yaml.safe_load((store.parent / "experiments" / f"{name}.yaml").read_text())["description"])


@pytest.fixture
def tabs(store: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[AppTest, AppTest]:
    """Open two tabs on one file; the second has saved last."""
    one, two = (open_page("design", store, monkeypatch) for _ in range(2))
    describe(one, "mine")
    press(one, "Save")
    assert saved(store) == "mine"
    describe(two, "theirs")
    press(two, "Save")
    assert saved(store) == "mine", "the second tab has never read the file: it is asked"
    assert "is there already, and this page has not read it" in text_of(two)
    press(two, "Overwrite")
    assert saved(store) == "theirs"
    describe(one, "mine again")
    press(one, "Save")
    assert saved(store) == "theirs"
    assert "was changed after this page read it" in text_of(one)
    return one, two


def test_overwriting_is_a_choice(tabs: tuple[AppTest, AppTest], store: Path) -> None:
    one, _ = tabs
    press(one, "Overwrite")
    assert saved(store) == "mine again"
    describe(one, "mine, third")
    press(one, "Save")
    assert saved(store) == "mine, third", "what this tab wrote itself is no surprise"


def test_what_the_other_wrote_can_be_taken_and_undone(tabs: tuple[AppTest, AppTest], store: Path) -> None:
    one, _ = tabs
    press(one, "Take what is in the file")
    field = next(one for one in tabs[0].text_input if one.label == "What do you want to know?")
    assert field.value == "theirs"
    press(one, "Undo")
    field = next(one for one in tabs[0].text_input if one.label == "What do you want to know?")
    assert field.value == "mine again"


def test_both_can_be_kept(tabs: tuple[AppTest, AppTest], store: Path) -> None:
    one, _ = tabs
    press(one, "Keep both")
    assert saved(store) == "theirs"
    assert saved(store, "my-first-comparison-2") == "mine again"
    assert "was changed after" not in text_of(one)


def test_launching_asks_too_and_an_equal_file_does_not(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = open_page("design", store, monkeypatch)
    press(one, "Save")
    two = open_page("design", store, monkeypatch)
    press(two, "Save")  # the same text: nothing to ask
    assert "is there already" not in text_of(two)
    describe(two, "changed")
    press(two, "Save")
    press(one, "Launch")
    assert not list((store / "runs").glob("*")), "nothing was started"
    describe(one, "also changed")
    press(one, "Launch")
    assert "Overwrite it and launch" in [button.label for button in one.button]
    assert not list((store / "runs").glob("*"))
