"""Items x variants: where the variants agree, where they differ, and every single trial behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from bakeoff.app import _parts, _queries, _state
from bakeoff.app._queries import ItemFilter
from bakeoff.app._text import clip, line, md, visible
from bakeoff.app._theme import ASSETS
from bakeoff.app._trial_view import show_trial

if TYPE_CHECKING:
    from bakeoff.app._queries import ItemPage
    from bakeoff.experiments import Manifest

__all__ = ["draw"]

_ROWS = 20
_SHOW = {"all": "All", "differ": "Variants differ", "failing": "All fail", "errors": "Errors"}
_ORDER = {"data": "as in the data", "hardest": "hardest first", "spread": "most different first"}


def draw() -> None:
    """Draw the page."""
    _state.header("Items", "One row an item, one column a variant. Choose a cell to see the trial behind it.")
    manifest = _state.choose_run()
    if manifest is None:
        return
    wanted = _controls(manifest)
    scope = f"{manifest.run_id}{wanted}"
    total = _state.items_of(manifest, wanted, limit=1).total
    if not total:
        _state.html(
            _parts.empty("∅", "No item matches", "Change the filter or the search, or wait for the first trials.")
        )
        return
    pages = (total + _ROWS - 1) // _ROWS
    table = st.container()
    foot = st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute")
    with foot:
        st.caption(f"{total:,} items")
        current = _state.paged(pages, scope=("items", scope))
    found = _state.items_of(manifest, wanted, limit=_ROWS, offset=(current - 1) * _ROWS)
    with table:
        _matrix(found, manifest, wanted.metric, key=f"matrix_{hash((scope, current))}")
    _drill_down(manifest, found)


def _controls(manifest: Manifest) -> ItemFilter:
    names = [m.metric for m in manifest.metrics]
    one, two, three = st.columns([2, 2, 3], vertical_alignment="bottom")
    with one:
        metric = _state.choose("Metric", names, name="metric", default=manifest.primary, scope=manifest.run_id)
    with two:
        order = _state.choose("Order", list(_ORDER), name="order", words=lambda o: _ORDER[o])
    with three:
        search = st.text_input("Search", value=_state.kept("q") or "", placeholder="in ids, inputs, expected, outputs")
        if search or _state.kept("q"):
            _state.remember("q", search or "")
    show = _state.choose(
        "Show", list(_SHOW), name="show", words=lambda s: _SHOW[s], style="segments", label_visibility="collapsed"
    )
    info = next((m for m in manifest.metrics if m.metric == metric), None)
    return ItemFilter(
        metric=metric,
        show="differ"
        if show == "differ"
        else "failing"
        if show == "failing"
        else "errors"
        if show == "errors"
        else "all",
        order="hardest" if order == "hardest" else "spread" if order == "spread" else "data",
        search=search or "",
        higher_is_better=info is None or info.higher_is_better is not False,
    )


@st.cache_resource(show_spinner=False)
def _component() -> Any:
    """Return the table whose cells are buttons; a data frame of Streamlit's would load 1.7 MB of scripts for it."""
    script = (ASSETS / "matrix.js").read_text(encoding="utf-8")
    return st.components.v2.component(
        "bakeoff_matrix", html='<div class="bo-matrix"></div>', js=script, isolate_styles=False
    )


def _matrix(found: ItemPage, manifest: Manifest, metric: str, *, key: str) -> None:
    """Show the rows as a table; a cell that is chosen is kept in the address, before the page is drawn again."""
    variants = manifest.variant_names
    known = [value for row in found.rows for value in row.values.values() if value is not None]
    low, high = (min(0.0, *known), max(1.0, *known)) if known else (0.0, 1.0)
    info = next((m for m in manifest.metrics if m.metric == metric), None)
    upward = None if info is not None and info.higher_is_better is None else info is None or info.higher_is_better
    item, variant = _state.kept("item"), _state.kept("variant")
    data = {
        "variants": [line(name, 60) for name in variants],
        "rows": [
            {
                "id": clip(visible(row.item_id), 40),
                "item": row.item,
                "text": line(row.glance, 160),
                "cells": [[_cell(row, name), *_tint(row.values.get(name), low, high, upward)] for name in variants],
            }
            for row in found.rows
        ],
        "item": int(item) if item is not None and item.isdigit() else None,
        "place": variants.index(variant) if variant in variants else 0,
    }

    def picked() -> None:
        value = st.session_state[key].get("cell")
        items = {row.item for row in found.rows}
        if isinstance(value, list) and len(value) == 2 and value[0] in items and value[1] in range(len(variants)):
            _state.remember("item", str(int(value[0])))
            _state.remember("variant", variants[int(value[1])])

    _component()(key=key, data=data, on_cell_change=picked, height="content")


def _cell(row: _queries.ItemRow, variant: str) -> str:
    label, value, errors = row.labels.get(variant), row.values.get(variant), row.errors.get(variant, 0)
    if label is not None:
        return line(label, 30)
    if value is None:
        return "error" if errors else "–"
    if value in (0.0, 1.0):
        return "✓" if value else "✗"
    return f"{value:.3g}"


def _tint(value: float | None, low: float, high: float, upward: bool | None) -> tuple[str, int]:
    """Return tone and strength (percent) of a cell; colour stands beside a sign or a number, never alone."""
    if value is None:
        return "open", 14
    share = (value - low) / (high - low) if high > low else 0.5
    if upward is None:
        return "other", round(4 + 26 * share)
    good = share if upward else 1 - share
    return ("good", round(6 + 14 * (2 * good - 1))) if good >= 0.5 else ("bad", round(10 + 30 * (1 - 2 * good)))


def _drill_down(manifest: Manifest, found: ItemPage) -> None:
    wanted = _state.kept("item")
    item = int(wanted) if wanted is not None and wanted.isdigit() else None
    if item is None or not 0 <= item < manifest.dataset_items:
        item = found.rows[0].item
    trials = _state.trials_of(manifest, item)
    if not trials:
        return
    variants = list(dict.fromkeys(trial.variant for trial in trials))
    st.subheader(f"Item {md(trials[0].item_id, 60)}")
    controls = st.container(horizontal=True)
    with controls:
        variant = _state.choose(
            "Variant", variants, name="variant", style="segments" if len("".join(variants)) <= 70 else "select",
            label_visibility="collapsed", scope=f"{manifest.run_id}{item}",
        )  # fmt: skip
        mine = [trial for trial in trials if trial.variant == variant]
        repeat = mine[0].repeat
        if len(mine) > 1:
            picked = _state.choose(
                "Repeat", [str(trial.repeat) for trial in mine], name="repeat", style="segments",
                words=lambda r: f"repeat {int(r) + 1}", label_visibility="collapsed",
                scope=f"{manifest.run_id}{item}{variant}",
            )  # fmt: skip
            repeat = int(picked)
    show_trial(next((trial for trial in mine if trial.repeat == repeat), mine[0]))
