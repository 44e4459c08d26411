"""Settings: keys and whether models answer, where things are, what is installed, and what may be forgotten."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from importlib import metadata
from typing import TYPE_CHECKING

import streamlit as st

from bakeoff.app import _access, _parts, _reach, _state
from bakeoff.app._text import call_cost, h, line, md
from bakeoff.errors import BakeoffError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bakeoff.experiments import LocalStore, Manifest

__all__ = ["draw"]

_PACKAGES = ("bakeoff", "streamlit", "litellm", "mlflow", "duckdb", "scipy", "statsmodels", "plotly", "pydantic")
_KEYS = (
    ("OpenAI", "OPENAI_API_KEY"), ("Anthropic", "ANTHROPIC_API_KEY"), ("Google Gemini", "GEMINI_API_KEY"),
    ("Mistral", "MISTRAL_API_KEY"), ("Groq", "GROQ_API_KEY"), ("OpenRouter", "OPENROUTER_API_KEY"),
    ("Azure", "AZURE_API_KEY"), ("Cohere", "COHERE_API_KEY"),
)  # fmt: skip
_EXTRAS = (
    ("code evaluators", "bandit", "code"), ("the scheduler", "apscheduler", "schedule"), ("MLflow", "mlflow", "mlflow"),
    ("log-in", "authlib", "dashboard"),
)  # fmt: skip


def draw() -> None:
    """Draw the page."""
    _state.header("Settings", "Which models answer, where things are, and what is installed.")
    store = _state.the_store()
    runs = store.runs()
    root = store.paths.root.resolve()
    _state.html(
        _parts.tiles(
            [
                (f"{len(runs):,}", "runs"),
                (f"{sum(m.counts.get('trials', 0) for m in runs):,}", "trials"),
                (_size(root), "in the store"),
                (_free(root), "free on its disk"),
                (platform.python_version(), "Python"),
            ]
        )
    )
    _models(runs)
    left, right = st.columns(2, gap="large")
    with left:
        _keys()
    with right:
        _installed()
    _store(store, root)


def _models(runs: Sequence[Manifest]) -> None:
    """Ask one model one small question, when the button is pressed and not before."""
    st.subheader("Does a model answer?")
    editor = _access.may("editor")
    used = dict.fromkeys(str(variant.model) for manifest in runs[:30] for variant in manifest.variants if variant.model)
    one, two, go = st.columns([3, 3, 1.4], vertical_alignment="bottom")
    model = one.selectbox(
        "Model", list(dict.fromkeys([*used, "sim/small"])), key="reach_model", accept_new_options=True,
        format_func=lambda name: line(name, 80), help="Any LiteLLM name: openai/…, anthropic/…, ollama/…",
    )  # fmt: skip
    address = two.text_input("Address", key="reach_base", placeholder="only for a local or private server")
    base = (address or "").strip() or None
    pressed = go.button("Ask it", icon=":material/network_check:", disabled=not editor or not model, width="stretch")
    most = _reach.most_usd(str(model), api_base=base) if model else None
    price = "its price is not known" if most is None else f"costs at most {call_cost(most)}"
    st.caption(f"One question of a few words, {md(price)}. Nothing is called until you press the button.")
    if pressed:
        _access.require("editor")
        with st.spinner("Asking …"):
            st.session_state["reached"] = (str(model), _reach.reach(str(model), api_base=base))
    asked = st.session_state.get("reached")
    if asked is None:
        return
    name, found = asked
    if found.ok:
        cost = "at no cost" if found.cost_usd == 0 else f"for {call_cost(found.cost_usd)}"
        chip = _parts.chip("✓ answers", "good")
        facts = f"{found.latency_ms:,.0f} ms, {cost}, as {found.answered_by}: “{line(found.text, 60)}”"
    else:
        chip, facts = _parts.chip("✗ no answer", "bad"), found.error
    _state.html(_parts.wrap(f'<div class="bo-card">{chip} <b>{h(name, 80)}</b> {h(facts, 1500)}</div>'))


def _keys() -> None:
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


def _installed() -> None:
    st.subheader("Installed")
    rows = "".join(f"<tr><td class=name>{h(name)}</td><td class=r>{h(_version(name))}</td></tr>" for name in _PACKAGES)
    sandbox = _parts.chip("ready", "good") if shutil.which("bwrap") else _parts.chip("no bubblewrap", "open")
    rows += f"<tr><td class=name>sandbox for code</td><td class=r>{sandbox}</td></tr>"
    _state.html(_parts.wrap(f'<div class="bo-card"><table>{rows}</table></div>'))
    absent = [f"{what}: pip install 'bakeoff[{extra}]'" for what, name, extra in _EXTRAS if not _is_there(name)]
    if absent:
        st.caption("Not installed: " + "; ".join(absent))


def _store(store: LocalStore, root: Path) -> None:
    st.subheader("Store")
    _state.html(_parts.wrap(_parts.pre(str(root))))
    admin = _access.may("admin")
    if not admin:
        st.caption("What is kept can be cleared by an admin.")
    with st.container(horizontal=True):
        if st.button(
            "Read everything again", icon=":material/refresh:", help="Forget what was kept in memory.",
            disabled=not admin,
        ):  # fmt: skip
            _access.require("admin")
            st.cache_data.clear()
            st.cache_resource.clear()
            st.toast("Forgotten; the next page reads from disk.")
        if store.paths.cache.exists():
            _cache(store.paths.cache, admin=admin)


def _cache(path: Path, *, admin: bool) -> None:
    """Show what the response cache holds; clear it after a question."""
    from bakeoff.gateway import ResponseCache

    with ResponseCache(path) as cache:
        held = cache.stats()
    with st.popover(f"Response cache: {held.entries:,} answers, {held.size_mb:,.1f} MB", icon=":material/database:"):
        rows = "".join(
            f"<tr><td class=name>{h(model, 80)}</td><td class=r>{count:,}</td></tr>"
            for model, count in sorted(held.by_model.items(), key=lambda entry: -entry[1])[:20]
        )
        _state.html(_parts.wrap(f"<table>{rows}</table>"))
        st.write("Cleared, every answer is asked and paid for again. Runs and their results stay.")
        days = st.number_input("Only older than, days", 0, 3650, value=0, key="cache_days", help="0 is all of them.")
        if st.button("Clear the cache", type="primary", disabled=not admin):
            _access.require("admin")
            try:
                with ResponseCache(path) as cache:
                    gone = cache.clear(older_than_days=float(days) if days else None)
            except BakeoffError as problem:
                _state.html(_parts.error(problem))
            else:
                st.toast(f"{gone:,} answers are gone.", icon=":material/check:")
                st.rerun()


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
    return _bytes(_folder_bytes(str(root), 0))


def _free(root: Path) -> str:
    try:
        return _bytes(shutil.disk_usage(root if root.exists() else root.parent).free)
    except OSError:
        return "–"


def _bytes(size: int) -> str:
    return f"{size / 1e9:,.2f} GB" if size > 1e9 else f"{size / 1e6:,.1f} MB"


def _is_there(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
