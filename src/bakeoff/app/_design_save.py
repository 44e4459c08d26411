"""Saving and launching a draft; a file that somebody else changed meanwhile is not overwritten unasked."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import streamlit as st

from bakeoff.app import _access, _draft, _kept_drafts, _launch, _parts, _state
from bakeoff.app._pages import page
from bakeoff.app._text import h

if TYPE_CHECKING:
    from pathlib import Path

    from bakeoff.app._draft import Checked, Draft
    from bakeoff.experiments import LocalStore

__all__ = ["actions", "file_section", "known_files", "note_file", "recall_files", "target"]

_SEEN = "design_files"
_ASKED = "design_asked"
_HEAD = "# yaml-language-server: $schema=experiment.schema.json\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was to be done when the file turned out to be another one than this session knows."""

    path: Path
    then: Literal["save", "launch"]


def target(draft: Draft, folder: Path) -> Path:
    """Return the file that a draft is saved as."""
    return folder / f"{_draft.slug(str(draft.get('name') or 'experiment'))}.yaml"


def known_files() -> dict[str, str]:
    """Return the experiment files that this session has read or written, with the content they had then, hashed."""
    seen: dict[str, str] = st.session_state.setdefault(_SEEN, {})
    return seen


def recall_files(seen: dict[str, str]) -> None:
    """Take over what a kept draft knew about files."""
    st.session_state[_SEEN] = dict(seen)


def note_file(path: Path) -> None:
    """Remember a file as it is now: this session has just read or written it."""
    known_files()[str(path)] = _hash(path)


def _hash(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def _saved_text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace").removeprefix(_HEAD)


def _is_others(path: Path, text: str) -> bool:
    """Say whether saving would overwrite what this session has never seen."""
    return path.exists() and _hash(path) != known_files().get(str(path), "") and _saved_text(path) != text


def actions(draft: Draft, text: str, checked: Checked, store: LocalStore) -> None:
    """Show the buttons that save and launch."""
    path = target(draft, _draft.experiment_folder(store))
    editor = _access.may("editor")
    blocked = bool(checked.problems) or not editor
    wanted: Literal["save", "launch"] | None = None
    if st.button("Launch", type="primary", icon=":material/rocket_launch:", width="stretch", disabled=blocked):
        wanted = "launch"
    if st.button("Save the file", icon=":material/save:", width="stretch", disabled=not editor):
        wanted = "save"
    if wanted is not None:
        _access.require("editor")
        if _is_others(path, text):
            st.session_state[_ASKED] = Asked(path=path, then=wanted)
        else:
            st.session_state.pop(_ASKED, None)
            _carry_out(wanted, text, path, store)
    asked = st.session_state.get(_ASKED)
    if isinstance(asked, Asked):
        if asked.path == path and _is_others(path, text):
            _ask(asked, draft, text, store)
        else:
            st.session_state.pop(_ASKED, None)
    _state.html(_parts.wrap(f'<div class="bo-soft"><small>{h(path.parent.name)}/{h(path.name)}</small></div>'))


def _carry_out(what: Literal["save", "launch"], text: str, path: Path, store: LocalStore) -> None:
    if what == "launch":
        _start(text, path, store)
        return
    _draft.save(text, path)
    note_file(path)
    _kept_drafts.keep(text, known_files())
    st.toast(f"Saved as {path.name}", icon=":material/check:")


def _ask(asked: Asked, draft: Draft, text: str, store: LocalStore) -> None:
    """Say that the file is not what this page knows, and offer the three ways on."""
    path = asked.path
    known = str(path) in known_files()
    why = (
        f"{path.name} was changed after this page read it: by another tab, a colleague, or an editor."
        if known else f"{path.name} is there already, and this page has not read it."
    )  # fmt: skip
    rest = "What differs stands under 7 File: green is yours. Nothing was written."
    _state.html(_parts.warnings([why, rest], "The file is another one"))
    word = "launch" if asked.then == "launch" else "save"
    if st.button(f"Overwrite it and {word}", icon=":material/edit_document:", width="stretch", key="design_overwrite"):
        _access.require("editor")
        st.session_state.pop(_ASKED, None)
        _carry_out(asked.then, text, path, store)
        if asked.then == "save":
            st.rerun()
    if st.button("Take what is in the file", icon=":material/file_open:", width="stretch", key="design_theirs",
                 help="“Undo” brings back what was here."):  # fmt: skip
        st.session_state.pop(_ASKED, None)
        st.session_state["design_draft"] = _draft.from_yaml(_saved_text(path), file=path)
        st.session_state["design_generation"] = st.session_state.get("design_generation", 0) + 1
        note_file(path)
        st.rerun()
    other = _free_name(draft, path.parent)
    if st.button(f"Keep both: call mine “{other}”", icon=":material/content_copy:", width="stretch",
                 key="design_both", wrap=True):  # fmt: skip
        _access.require("editor")
        st.session_state.pop(_ASKED, None)
        draft["name"] = other
        st.session_state["design_generation"] = st.session_state.get("design_generation", 0) + 1
        _carry_out(asked.then, _draft.to_yaml(draft), target(draft, path.parent), store)
        if asked.then == "save":
            st.rerun()


def _free_name(draft: Draft, folder: Path) -> str:
    name = str(draft.get("name") or "experiment")
    count = 2
    while target({"name": f"{name}-{count}"}, folder).exists():
        count += 1
    return f"{name}-{count}"


def _start(text: str, path: Path, store: LocalStore) -> None:
    ready = _draft.check(text, folder=path.parent, store=store, check_keys=True)
    if ready.problems:
        for problem in ready.problems:
            _state.html(_parts.error(problem))
        return
    _draft.save(text, path)
    note_file(path)
    before = {manifest.run_id for manifest in store.runs()}
    with st.spinner("Starting …"):
        started = _launch.start(path, store.paths.root)
        run_id = _launch.wait_for_run(store, before, started)
    if run_id is None:
        _state.html(_parts.error(f"the run did not start; its process said:\n{started.said()}"))
        return
    st.session_state["kept_run"] = run_id
    st.switch_page(page("live"), query_params={"run": run_id})


def file_section(text: str, path: Path) -> None:
    """Show the draft as it will be written: the changes, where the file is there already."""
    st.subheader("7  File")
    if not path.exists():
        st.code(text, language="yaml", wrap_lines=True)
        return
    lines = _draft.diff_lines(_saved_text(path), text)
    if all(kind == "same" for kind, _ in lines):
        st.caption("As it is saved.")
        st.code(text, language="yaml", wrap_lines=True)
        return
    tags = {"same": ("", ""), "add": ("<ins>", "</ins>"), "cut": ("<del>", "</del>")}
    body = "\n".join(f"{tags[kind][0]}{h(line) or ' '}{tags[kind][1]}" for kind, line in lines)
    _state.html(_parts.wrap(f'<div class="bo-label">Changes to {h(path.name)}</div><pre>{body}</pre>'))
