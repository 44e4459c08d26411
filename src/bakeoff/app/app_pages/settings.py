"""Settings: where things are, what is installed, which keys are set (never shown)."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from typing import TYPE_CHECKING

import streamlit as st

from bakeoff.app import _access, _parts, _state
from bakeoff.app._text import h

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["draw"]

_PACKAGES = ("bakeoff", "streamlit", "litellm", "mlflow", "duckdb", "scipy", "statsmodels", "plotly", "pydantic")
_KEYS = (
    ("OpenAI", "OPENAI_API_KEY"), ("Anthropic", "ANTHROPIC_API_KEY"), ("Google Gemini", "GEMINI_API_KEY"),
    ("Mistral", "MISTRAL_API_KEY"), ("Groq", "GROQ_API_KEY"), ("OpenRouter", "OPENROUTER_API_KEY"),
    ("Azure", "AZURE_API_KEY"), ("Cohere", "COHERE_API_KEY"),
)  # fmt: skip


def draw() -> None:
    """Draw the page."""
    _state.header("Settings", "Where things are, what is installed, and which keys this process can see.")
    store = _state.the_store()
    root = store.paths.root.resolve()
    runs = store.runs()
    _state.html(
        _parts.tiles(
            [
                (f"{len(runs):,}", "runs"),
                (f"{sum(m.counts.get('trials', 0) for m in runs):,}", "trials"),
                (_size(root), "in the store"),
                (platform.python_version(), "Python"),
            ]
        )
    )
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Keys")
        rows = "".join(
            f"<tr><td class=name>{h(name)}<small>{h(key)}</small></td><td>"
            f"{_parts.chip('set', 'good') if os.environ.get(key) else _parts.chip('not set', 'open')}</td></tr>"
            for name, key in _KEYS
        )
        _state.html(_parts.wrap(f'<div class="bo-card"><table>{rows}</table></div>'))
        st.caption(
            "Keys come from the environment, or a file named with `bakeoff ui --env-file FILE`; they are never shown."
        )
    with right:
        st.subheader("Installed")
        rows = "".join(
            f"<tr><td class=name>{h(name)}</td><td class=r>{h(_version(name))}</td></tr>" for name in _PACKAGES
        )
        _state.html(_parts.wrap(f'<div class="bo-card"><table>{rows}</table></div>'))
    st.subheader("Store")
    _state.html(_parts.wrap(_parts.pre(str(root))))
    with st.container(horizontal=True):
        if _access.may("admin") and st.button(
            "Read everything again", icon=":material/refresh:", help="Forget what was kept in memory."
        ):
            st.cache_data.clear()
            st.cache_resource.clear()
            st.toast("Forgotten; the next page reads from disk.")
        cache = store.paths.cache
        if cache.exists():
            size = f"{cache.stat().st_size / 1e6:,.1f} MB"
            st.caption(f"Response cache: {size}. Answers in it are not paid for again; remove the file to ask anew.")


@st.cache_data(ttl=60, show_spinner=False)
def _folder_bytes(root: str, runs: int) -> int:
    del runs
    total = 0
    for folder, _, names in os.walk(root):
        for name in names:
            try:
                total += os.stat(os.path.join(folder, name)).st_size  # noqa: PTH116, PTH118 - twice as fast on big stores
            except OSError:
                continue
    return total


def _size(root: Path) -> str:
    size = _folder_bytes(str(root), 0)
    return f"{size / 1e9:,.2f} GB" if size > 1e9 else f"{size / 1e6:,.1f} MB"


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
