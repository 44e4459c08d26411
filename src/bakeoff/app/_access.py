"""Who may do what: everything on one's own machine; by role where people log in.

Log-in is OpenID Connect through Streamlit: a section `[auth]` in `.streamlit/secrets.toml`, as Streamlit describes it.
Roles stand beside it, in `[roles]`: `"ann@example.com" = "admin"`, `"@example.com" = "editor"`, `"*" = "viewer"`.
"""

from __future__ import annotations

import importlib.util
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bakeoff.errors import BakeoffError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Role", "login_is_set_up", "may", "require", "role", "role_in", "show_login"]

Role = Literal["viewer", "editor", "admin"]
"""A viewer reads; an editor also designs, starts and steers runs and labels; an admin also changes settings."""

_RANK: dict[str, int] = {"viewer": 0, "editor": 1, "admin": 2}


def role_in(table: Mapping[str, object], email: str) -> Role | None:
    """Return the role of a person: by address, else by domain, else `*`; `None` means no access.

    Raises:
        BakeoffError: The table names a role that does not exist.

    Examples:
        >>> table = {"ann@x.org": "admin", "@x.org": "editor"}
        >>> role_in(table, "Ann@X.org"), role_in(table, "bob@x.org"), role_in(table, "eve@y.org")
        ('admin', 'editor', None)
    """
    known = {str(key).strip().lower(): str(value) for key, value in table.items()}
    address = email.strip().lower()
    found = known.get(address) or known.get(f"@{address.rpartition('@')[2]}") or known.get("*")
    if found is None:
        return None
    if found not in _RANK:
        raise BakeoffError(f"`[roles]` gives {email!r} the role {found!r}; the roles are {', '.join(_RANK)}")
    return "admin" if found == "admin" else "editor" if found == "editor" else "viewer"


def login_is_set_up(folders: tuple[Path, ...] | None = None) -> bool:
    """Say whether a secrets file sets up log-in.

    Args:
        folders: Where `.streamlit/secrets.toml` may lie; the working directory and the home folder when omitted.

    Raises:
        BakeoffError: Log-in is set up but the library behind it is not installed.
    """
    for folder in folders if folders is not None else (Path.cwd(), Path.home()):
        try:
            data = tomllib.loads((folder / ".streamlit" / "secrets.toml").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if "auth" in data:
            if importlib.util.find_spec("authlib") is None:
                raise BakeoffError("log-in is set up but needs a library\n    fix: pip install 'streamlit[auth]'")
            return True
    return False


def _section(name: str) -> dict[str, object] | None:
    import streamlit as st
    from streamlit.errors import StreamlitSecretNotFoundError

    try:
        return dict(st.secrets[name]) if name in st.secrets else None
    except StreamlitSecretNotFoundError:
        return None


def role() -> Role | None:
    """Return what the reader may do; `None` when they have to log in, or may not come in at all."""
    import streamlit as st

    if _section("auth") is None:
        return "admin"
    user = st.user.to_dict()
    if not user.get("is_logged_in") or user.get("email_verified") is False:
        return None
    return role_in(_section("roles") or {"*": "viewer"}, str(user.get("email") or ""))


def may(needed: Role) -> bool:
    """Say whether the reader's role is enough."""
    current = role()
    return current is not None and _RANK[current] >= _RANK[needed]


def require(needed: Role) -> None:
    """Stop an action that the reader may not do.

    Raises:
        BakeoffError: The role is not enough.
    """
    if not may(needed):
        raise BakeoffError(f"this needs the role {needed!r}, and yours is {role()!r}; ask whoever keeps `[roles]`")


def show_login() -> None:
    """Show the page for people who are not in yet."""
    import streamlit as st

    from bakeoff.app import _parts

    if st.user.to_dict().get("is_logged_in"):
        text = "You are logged in, but nobody gave you a role here. Ask whoever keeps this dashboard."
        st.html(_parts.empty("⚿", "No access", text))
        st.button("Log out", on_click=st.logout)
    else:
        st.html(_parts.empty("⚿", "Bakeoff", "Log in to see runs and results."))
        with st.container(horizontal=True, horizontal_alignment="center"):
            st.button("Log in", type="primary", on_click=st.login)
