"""The data and prompt sections of the design page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from bakeoff.app import _design_file, _draft, _parts, _state
from bakeoff.app._text import h, line, visible
from bakeoff.datasets import bundled_datasets
from bakeoff.errors import BakeoffError
from bakeoff.prompts import Prompt

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bakeoff.app._draft import Checked, Draft
    from bakeoff.datasets import Item

__all__ = ["data_section", "prompt_section"]

_MAX_PROMPTS = 6


def data_section(draft: Draft, folder: Path, *, scope: str) -> None:
    """Choose or upload data and say what its columns mean."""
    current = draft.get("dataset")
    given = {"bundled": current.removeprefix("bundled:")} if isinstance(current, str) and current.startswith(
        "bundled:"
    ) else {"path": current} if isinstance(current, str) else dict(current or {})  # fmt: skip
    kinds = (
        ["bundled", "file"] if "bundled" in given or "path" in given or not given else ["as written", "bundled", "file"]
    )
    default = "as written" if kinds[0] == "as written" else "bundled" if "bundled" in given else "file"
    words = {"bundled": "Bundled data", "file": "My data", "as written": "As written in the file"}
    source = st.segmented_control(
        "Source of the data", kinds, default=default, format_func=lambda k: words[k], required=True,
        key=f"d_source_{scope}", label_visibility="collapsed",
    )  # fmt: skip
    if source == "bundled":
        known = dict(bundled_datasets())
        names = list(known)
        at = names.index(given["bundled"]) if given.get("bundled") in names else len(names) - 1
        name = st.selectbox("Bundled data set", names, index=at, key=f"d_bundled_{scope}")
        _state.html(_parts.wrap(f'<div class="bo-soft">{h(known[name], 300)}</div>'))
        if given.get("bundled") != name:
            draft["dataset"] = f"bundled:{name}"
    elif source == "file" and _design_file.own_file(draft, given, folder, scope=scope, items=_items):
        _new_widgets()


def preview(items: Sequence[Item], size: int) -> None:
    """Show the first items as they were read."""
    import pandas as pd

    rows = [
        {
            "id": visible(item.id),
            **{f"in {name}": line(value, 160) for name, value in item.inputs.items()},
            "expected": line("" if item.expected is None else item.expected, 80),
        }
        for item in items
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, row_height=32, height=32 * (len(rows) + 1) + 3, alt="First items")
    st.caption(f"{size:,} items; the first {len(rows)} are shown.")


def prompt_section(draft: Draft, checked: Checked, *, scope: str) -> None:
    """Write prompts side by side, with their variables checked against the data and rendered on an item."""
    prompts: dict[str, Any] = dict(draft.get("prompts") or {})
    items = checked.experiment.dataset.head(12) if checked.experiment is not None else _items(draft)
    names = list(prompts)
    known = list(items[0].inputs) if items else []
    if known:
        marks = " ".join(f"<mark>{h('{{ ' + name + ' }}', 60)}</mark>" for name in known[:12])
        _state.html(_parts.wrap(f'<div class="bo-soft">Variables in the data: {marks}</div>'))
    chosen: dict[str, Any] = {}
    item = None
    if items:
        index = st.session_state.get(f"d_item_{scope}", 0)
        item = items[min(int(index), len(items) - 1)]
    columns = st.columns(min(max(len(names), 1), 3), gap="medium")
    for place, name in enumerate(names):
        with columns[place % len(columns)]:
            entry = prompts[name]
            kept, value = _one_prompt(name, entry, item, known, scope=f"{scope}_{place}", alone=len(names) < 2)
            if kept:
                chosen[kept if kept not in chosen else f"{kept} {place + 1}"] = value
    if items and len(items) > 1:
        st.select_slider(
            "Shown on item", range(len(items)), key=f"d_item_{scope}", format_func=lambda k: line(items[k].id, 20)
        )
    if len(names) < _MAX_PROMPTS and st.button("Add a prompt", icon=":material/add:", key=f"d_add_{scope}"):
        last = (
            prompts[names[-1]]
            if names and isinstance(prompts[names[-1]], str)
            else "{{ " + (known or ["input"])[0] + " }}"
        )
        label = next(f"prompt {n}" for n in range(len(names) + 1, 99) if f"prompt {n}" not in chosen)
        draft["prompts"] = {**chosen, label: last}
        _new_widgets()
    if chosen != prompts:
        draft["prompts"] = chosen


def _new_widgets() -> None:
    st.session_state["design_generation"] = st.session_state.get("design_generation", 0) + 1
    st.rerun()


def _one_prompt(
    name: str, entry: object, item: Item | None, known: Sequence[str], *, scope: str, alone: bool
) -> tuple[str, object]:
    """Show one prompt; return its name (empty when removed) and its text."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        new_name = st.text_input("Name of the prompt", value=name, key=f"d_pn_{scope}", label_visibility="collapsed")
        gone = st.button(
            "", icon=":material/close:", key=f"d_px_{scope}", disabled=alone, help="Remove this prompt", type="tertiary"
        )
    if gone:
        st.session_state["design_removed"] = name
        return "", ""
    if not isinstance(entry, str):
        _state.html(
            _parts.wrap(
                f'<div class="bo-label">Written in the file</div>{_parts.pre(_draft.to_yaml({"prompt": entry}))}'
            )
        )
        return new_name.strip() or name, entry
    text = st.text_area("Template", value=entry, key=f"d_pt_{scope}", height=190, label_visibility="collapsed")
    _rendered(new_name, text or "", item, known)
    return new_name.strip() or name, text or ""


def _rendered(name: str, text: str, item: Item | None, known: Sequence[str]) -> None:
    try:
        prompt = Prompt(name=name or "prompt", messages=[{"role": "user", "content": text}])
        problems = prompt.check(known) if known else []
        shown = ""
        if item is not None and not problems:
            shown = str(prompt.render(item.inputs)[0]["content"])
    except BakeoffError as problem:
        _state.html(_parts.error(str(problem)))
        return
    if problems:
        unknown = sorted(prompt.variables - set(known))
        marked = _draft.highlight(text, unknown)
        listed = "<br>".join(h(message) for message in problems)
        _state.html(_parts.wrap(f'<div class="bo-error">{listed}</div><pre>{marked}</pre>'))
    elif item is not None:
        _state.html(
            _parts.wrap(
                f'<div class="bo-label">As item {h(item.id, 24)} is asked</div>{_parts.pre(shown, 3000, css="short")}'
            )
        )


def _items(draft: Draft, n: int = 12) -> list[Item]:
    """Return the first items when the experiment as a whole cannot be read yet."""
    from bakeoff.datasets import open_dataset

    if not draft.get("dataset"):
        return []
    try:
        store = _state.the_store()
        return open_dataset(
            draft["dataset"], base_dir=_draft.experiment_folder(store), cache_dir=store.paths.datasets
        ).head(n)
    except (BakeoffError, ValueError):
        return []
