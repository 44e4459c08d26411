"""The pages, by name and in the order of the menu."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import streamlit as st

from bakeoff.app import _state

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamlit import Page

__all__ = ["MENU", "build", "drawn", "page"]

MENU: dict[str, tuple[tuple[str, str, str], ...]] = {
    "": (("runs", "Runs", ":material/home:"), ("design", "New experiment", ":material/add_circle:")),
    "Understand": (
        ("results", "Results", ":material/leaderboard:"),
        ("compare", "Compare", ":material/compare_arrows:"),
        ("items", "Items", ":material/grid_on:"),
        ("live", "Live", ":material/play_circle:"),
    ),
    "Improve": (
        ("label", "Label", ":material/edit_note:"),
        ("prompts", "Prompts", ":material/notes:"),
        ("regression", "Regression", ":material/timeline:"),
        ("settings", "Settings", ":material/settings:"),
    ),
}
"""Section: (name, title, icon). The name is the module in `app_pages` and the address."""

_built: dict[str, Page] = {}


def build() -> dict[str, list[Page]]:
    """Return the pages in their sections."""
    if not _built:
        for entries in MENU.values():
            for name, title, icon in entries:
                _built[name] = st.Page(drawn(name), title=title, icon=icon, url_path=name, default=name == "runs")
    return {section: [_built[name] for name, _, _ in entries] for section, entries in MENU.items()}


def page(name: str) -> Page:
    """Return a page by name, to link to."""
    build()
    return _built[name]


def drawn(name: str) -> Callable[[], None]:
    """Return what draws a page."""

    def draw() -> None:
        _state.guarded(import_module(f"bakeoff.app.app_pages.{name}").draw)

    draw.__name__ = f"draw_{name}"
    return draw
