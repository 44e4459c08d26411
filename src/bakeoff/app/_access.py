"""Who may do what: everything on one's own machine; by role where people log in.

Log-in is OpenID Connect through Streamlit: a section `[auth]` in `.streamlit/secrets.toml`, as Streamlit describes it.
Roles stand beside it, in `[roles]`: `"ann@example.com" = "admin"`, `"@example.com" = "editor"`, `"*" = "viewer"`.
"""

from __future__ import annotations

import importlib.util
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bakeoff.errors import BakeoffError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "LOGIN_VARIABLE",
    "Role",
    "login_is_set_up",
    "may",
    "require",
    "role",
    "role_in",
    "show_login",
    "show_person",
]

Role = Literal["viewer", "editor", "admin"]
"""A viewer reads; an editor also designs, starts and steers runs and labels; an admin also changes settings."""

LOGIN_VARIABLE = "BAKEOFF_LOGIN"
"""Set in the server's environment when people have to log in."""

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
        BakeoffError: A secrets file cannot be read, or log-in is set up but the library behind it is not installed.
    """
    for folder in folders if folders is not None else (Path.cwd(), Path.home()):
        file = folder / ".streamlit" / "secrets.toml"
        try:
            data = tomllib.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            # Whether people have to log in stands in it: guessing "no" would open the door.
            reason = error.strerror if isinstance(error, OSError) else "it is not valid TOML"
            raise BakeoffError(f"{str(file)!r} cannot be read: {reason}\n    fix: mend or remove the file") from None
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
        # A server that began with log-in stays closed when its secrets file is damaged or taken away.
        return None if os.environ.get(LOGIN_VARIABLE) else "admin"
    user = st.user.to_dict()
    if not user.get("is_logged_in") or user.get("email_verified") is False or not user.get("email"):
        return None
    return role_in(_section("roles") or {"*": "viewer"}, str(user.get("email") or ""))


def person() -> str | None:
    """Return the address of who is logged in; `None` where nobody logs in."""
    import streamlit as st

    if _section("auth") is None:
        return None
    return str(st.user.to_dict().get("email") or "") or None


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


def show_login(problem: BakeoffError | None = None) -> None:
    """Show the page for people who are not in yet, or may not come in, and say why.

    Args:
        problem: What is wrong with the table of roles.
    """
    import streamlit as st

    from bakeoff.app import _parts

    st.html('<div style="height:3.5rem"></div>')  # there is no title, and the top bar would lie on the card
    if _section("auth") is None:
        text = (
            "Log-in was set up when this server started, and its secrets file is gone or damaged. Mend it, then reload."
        )
        st.html(_parts.empty("∅", "Closed", text))
        return
    user = st.user.to_dict()
    if not user.get("is_logged_in"):
        st.html(_parts.empty("→", "Bakeoff", "Log in to see runs and results."))
        with st.container(horizontal=True, horizontal_alignment="center"):
            st.button("Log in", type="primary", on_click=st.login)
        return
    email = str(user.get("email") or "")
    if not email:
        text = "You are logged in, but your provider said no e-mail address, and roles go by address."
    elif user.get("email_verified") is False:
        text = f"You are logged in as {email}, but your provider has not verified this address."
    elif problem is not None:
        text = str(problem)
    else:
        text = f"You are logged in as {email}, but nobody gave you a role here. Ask whoever keeps this dashboard."
    st.html(_parts.empty("∅", "No access", text))
    with st.container(horizontal=True, horizontal_alignment="center"):
        st.button("Log out", on_click=st.logout)


def show_person() -> None:
    """Show who is logged in and as what, with the way out; nothing where nobody logs in."""
    import streamlit as st

    from bakeoff.app._text import h

    if _section("auth") is None:
        return
    with st.sidebar:
        who, what = h(st.user.to_dict().get("email"), 80), h(role())
        st.html(f'<div class="bo bo-soft"><small style="overflow-wrap:anywhere">{who}<br>{what}</small></div>')
        st.button("Log out", on_click=st.logout, icon=":material/logout:", type="tertiary")
