"""The script that Streamlit runs for every reader and every interaction."""

from __future__ import annotations

import streamlit as st

from bakeoff.app import _access, _pages, _state
from bakeoff.app._theme import ASSETS
from bakeoff.errors import BakeoffError


def main() -> None:
    """Draw the frame and the chosen page."""
    st.set_page_config(
        page_title="Bakeoff",
        page_icon=str(ASSETS / "icon.svg"),
        layout="wide",
        initial_sidebar_state=232,
        menu_items={"Get help": None, "Report a bug": None, "About": None},
    )
    st.logo(str(ASSETS / f"logo-{_state.mode()}.svg"), size="large", icon_image=str(ASSETS / "icon.svg"))
    _state.style()
    try:
        role = _access.role()
    except BakeoffError as problem:
        _access.show_login(problem)
        return
    if role is None:
        _access.show_login()
        return
    chosen = st.navigation(_pages.build(), expanded=True)
    _access.show_person()
    chosen.run()


if __name__ == "__main__":
    main()
