"""Pages through Streamlit's own test client: what they show, and that they show it for any data."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import bakeoff
from tests.app.support import MAIN, hostile, recorded, simulated

PAGES = ("runs", "design", "results", "compare", "items", "live", "label", "prompts", "regression", "settings")


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    recorded(folder)
    recorded(folder, name="again", repeats=2)
    return folder


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evil")
    hostile(folder)
    return folder


def draw_one(name: str) -> None:
    """Draw one page inside the frame; runs as a script of its own."""
    import streamlit as st

    from bakeoff.app import _pages, _state

    st.navigation(_pages.build())
    _state.style()
    _pages.drawn(name)()


def open_page(name: str, store: Path, monkeypatch: pytest.MonkeyPatch, **query: str) -> AppTest:
    monkeypatch.setenv("BAKEOFF_STORE", str(store))
    app = AppTest.from_function(draw_one, args=(name,), default_timeout=30)
    for key, value in query.items():
        app.query_params[key] = value
    app.run()
    assert not app.exception, app.exception
    return app


def text_of(app: AppTest) -> str:
    return "\n".join(str(entry.proto.body) for entry in app.get("html"))


EMPTY = {
    "runs": "Nothing has run here yet",
    "design": "Smallest difference it can detect",
    "prompts": "No prompts yet",
    "regression": "Nothing to watch yet",
    "settings": "Installed",
}


@pytest.mark.parametrize("name", PAGES)
def test_an_empty_store_is_explained(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page(name, tmp_path / ".bakeoff", monkeypatch)
    words = text_of(app) + " ".join(entry.value for entry in app.subheader)
    assert EMPTY.get(name, "No runs yet") in words


@pytest.mark.parametrize("name", PAGES)
def test_every_page_draws(name: str, full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = text_of(open_page(name, full, monkeypatch))
    assert 'class="bo-error"' not in shown


@pytest.mark.parametrize("name", PAGES)
def test_no_page_lets_hostile_text_in(name: str, evil: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page(name, evil, monkeypatch)
    shown = text_of(app)
    assert "<script" not in shown
    assert "<img" not in shown
    assert "\u202e" not in shown
    assert "\x1b" not in shown
    for entry in (*app.markdown, *app.caption, *app.subheader, *app.title):
        assert "![" not in entry.value.replace(r"\!\[", "")
        assert "](" not in entry.value.replace(r"\]\(", "")


def test_the_whole_app_starts(full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAKEOFF_STORE", str(full))
    app = AppTest.from_file(str(MAIN), default_timeout=30).run()
    assert not app.exception
    assert app.title[0].value == "Runs"


def test_the_verdict_comes_first(full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = text_of(open_page("results", full, monkeypatch))
    assert "new is better than old" in shown
    assert shown.index("bo-hero") < shown.index("<table")


def test_the_address_chooses(full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bakeoff.experiments import open_store

    oldest = open_store(full).runs()[-1].run_id
    app = open_page("results", full, monkeypatch, run=oldest, view="methods")
    assert oldest in text_of(app), "the methods name the run"


def test_a_filter_narrows_the_items(full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("items", full, monkeypatch)
    app.text_input[0].set_value("number 17").run()
    assert not app.exception
    assert any(entry.value == "1 items" for entry in app.caption)


def test_a_changed_verdict_asks_for_attention(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded(tmp_path, n=100, name="nightly")
    recorded(tmp_path, n=8, name="nightly")  # too few items to show anything
    shown = text_of(open_page("runs", tmp_path, monkeypatch))
    assert "nightly: new against old is now inconclusive; it was better." in shown


def test_an_interrupted_run_asks_for_attention(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = recorded(tmp_path, n=10)
    path = result.store.run_paths(result.run_id).manifest
    path.write_text(path.read_text().replace('"complete"', '"running"'))
    shown = text_of(open_page("runs", tmp_path, monkeypatch))
    assert "was interrupted" in shown
    app = open_page("live", tmp_path, monkeypatch)
    assert "Resume" in [button.label for button in app.button]


def test_a_link_to_a_run_that_is_gone_says_so(full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("results", full, monkeypatch, run="20200101-000000-gone-0000")
    assert "&#x27;20200101-000000-gone-0000&#x27; of this address is not in this store" in text_of(app)
    app.selectbox[0].select_index(1).run()
    assert "is not in this store" not in text_of(app), "a run that was chosen is what was asked for"


VIEWS = ("behind", "front", "spread", "heat", "segments", "metrics", "differences", "methods")


@pytest.fixture(scope="module")
def priced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("priced")
    simulated(folder)
    return folder


@pytest.mark.parametrize("view", VIEWS)
def test_every_closer_look_draws(view: str, priced: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("results", priced, monkeypatch, view=view)
    assert app.query_params["view"] in (view, [view]), "the run has what this view needs"
    assert 'class="bo-error"' not in text_of(app)


@pytest.mark.parametrize("view", VIEWS)
def test_no_closer_look_lets_hostile_text_in(view: str, evil: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("results", evil, monkeypatch, view=view)
    shown = text_of(app) + "".join(str(entry.proto.spec) for entry in app.get("plotly_chart"))
    assert "<script" not in shown
    assert "<img" not in shown


def test_the_front_follows_the_address(priced: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("results", priced, monkeypatch, view="front", against="output_tokens", also="cost")
    shown = text_of(app)
    assert "Tokens out" in shown
    assert "Chance of being on it" in shown
    assert "USD per 1,000 trials" in shown
    assert shown.count("on it</span>") >= 1


def test_a_trial_shows_what_was_sent_and_what_guards_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"id": "a", "question": "I am ada@example.org", "expected": "hello"}]
    bakeoff.run(
        {
            "name": "guarded",
            "dataset": {"rows": rows},
            "prompts": {"plain": "Greet: {{ question }}"},
            "models": {"small": "sim/small"},
            "evaluators": [{"length": {"min": 1}}],
            "guards": [
                {"check": "pii", "side": "input", "action": "redact"},
                {"check": {"length": {"max": 0}}, "say": "<b>No</b>."},
            ],
            "mlflow": False,
        },
        store=tmp_path,
    )
    shown = text_of(open_page("items", tmp_path, monkeypatch))
    assert "Asked, as sent" in shown
    assert "Greet: I am [email]" in shown
    assert "Greet: I am ada@example.org" not in shown
    assert "<b>redact</b>" in shown
    assert "1 e-mail address" in shown
    assert "<b>block</b>" in shown
    assert "&lt;b&gt;No&lt;/b&gt;." in shown


def test_the_page_of_a_long_table_stands_in_the_address(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("long")
    recorded(folder, n=50)
    app = open_page("items", folder, monkeypatch, page="3")
    assert app.pagination[0].value == 3
    assert app.query_params["page"] in ("3", ["3"])
    app.run()
    assert app.pagination[0].value == 3, "drawn again, it stays"
    app.pagination[0].set_value(2).run()
    assert app.query_params["page"] in ("2", ["2"])
    app.text_input[0].set_value("question number").run()
    assert app.pagination[0].value == 1, "another search starts at its beginning"
    assert "page" not in app.query_params
    for wrong in ("0", "99", "x", "-1", "9" * 30):
        assert not open_page("items", folder, monkeypatch, page=wrong).exception
