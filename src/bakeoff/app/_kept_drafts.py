"""Drafts that outlive a reload of the page: in the server's memory, under a key that stands in the address."""

from __future__ import annotations

import json
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

import streamlit as st

__all__ = ["Kept", "KeptDrafts", "keep", "recall"]

_KEY = "draft"


class KeptDrafts:
    """The last drafts of all sessions, the oldest forgotten first.

    Args:
        most: Drafts at most.
        longest: Characters of a draft at most; a longer one is not kept.

    Examples:
        >>> drafts = KeptDrafts(most=1)
        >>> drafts.put("k1", "name: a"), drafts.get("k1")
        (True, 'name: a')
        >>> drafts.put("k2", "name: b"), drafts.get("k1")
        (True, None)
    """

    def __init__(self, *, most: int = 200, longest: int = 200_000) -> None:
        self._most, self._longest = most, longest
        self._texts: OrderedDict[str, str] = OrderedDict()
        self._lock = Lock()

    def put(self, key: str, text: str) -> bool:
        """Keep a draft, and say whether it is kept."""
        with self._lock:
            self._texts.pop(key, None)
            if len(text) > self._longest:
                return False
            self._texts[key] = text
            while len(self._texts) > self._most:
                self._texts.popitem(last=False)
            return True

    def get(self, key: str) -> str | None:
        """Return a draft, `None` when there is none of that key."""
        with self._lock:
            return self._texts.get(key)


@st.cache_resource(show_spinner=False)
def _drafts() -> KeptDrafts:
    return KeptDrafts()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A draft, and the files that its session had read or written: path and hash of what was in them."""

    text: str
    files: dict[str, str]


def keep(text: str, files: dict[str, str]) -> None:
    """Keep the draft of this session, so that the address of the page brings it back."""
    key: str = st.session_state.setdefault("design_key", secrets.token_urlsafe(12))
    if _drafts().put(key, json.dumps([text, files])) and st.query_params.get(_KEY) != key:
        st.query_params[_KEY] = key


def recall() -> Kept | None:
    """Return the draft that the address names. Who follows a link goes on with a copy of their own."""
    key = st.query_params.get(_KEY)
    found = _drafts().get(key) if key else None
    if found is None:
        return None
    text, files = json.loads(found)
    return Kept(text=text, files=files)
