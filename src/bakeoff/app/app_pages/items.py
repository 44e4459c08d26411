"""Items x variants: where the variants agree, where they differ, and every single trial behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from bakeoff.app import _parts, _queries, _state
from bakeoff.app._queries import ItemFilter
from bakeoff.app._text import clip, line, md, visible
from bakeoff.app._trial_view import show_trial

if TYPE_CHECKING:
    import pandas as pd

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
        current = st.pagination(pages, key=f"items_page_{hash(scope)}") if pages > 1 else 1
    found = _state.items_of(manifest, wanted, limit=_ROWS, offset=(current - 1) * _ROWS)
    with table:
        chosen = _matrix(found, manifest, wanted.metric, key=f"matrix_{hash((scope, current))}")
    if chosen is not None:
        _state.remember("item", str(chosen[0]))
        _state.remember("variant", chosen[1])
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


def _matrix(found: ItemPage, manifest: Manifest, metric: str, *, key: str) -> tuple[int, str] | None:
    """Show the rows as a table; return the item and variant of the chosen cell."""
    import pandas as pd

    variants = manifest.variant_names
    texts = [
        {
            "item": clip(visible(row.item_id), 40),
            **{f"v{i}": _cell(row, name) for i, name in enumerate(variants)},
            "text": line(row.glance, 220),
        }
        for row in found.rows
    ]
    frame = pd.DataFrame(texts)
    values = [[row.values.get(name) for name in variants] for row in found.rows]
    config: dict[str, Any] = {"item": st.column_config.TextColumn("Item", width=92, pinned=True)}
    for index, name in enumerate(variants):
        config[f"v{index}"] = st.column_config.TextColumn(
            line(name, 40), width=max(84, min(150, 460 // len(variants))), alignment="center"
        )
    config["text"] = st.column_config.TextColumn("Input", width="large")
    event = st.dataframe(
        _coloured(frame, values, len(variants)), column_config=config, hide_index=True, key=key, on_select="rerun",
        selection_mode="single-cell", row_height=34, height=34 * (len(found.rows) + 1) + 3,
        alt=f"Scores of {metric} by item and variant",
    )  # fmt: skip
    cells = event.selection.cells
    if not cells:
        return None
    place, column = cells[0]
    if not 0 <= place < len(found.rows):
        return None
    name = variants[int(column[1:])] if column.startswith("v") and column[1:].isdigit() else variants[0]
    return found.rows[place].item, name


def _cell(row: _queries.ItemRow, variant: str) -> str:
    label, value, errors = row.labels.get(variant), row.values.get(variant), row.errors.get(variant, 0)
    if label is not None:
        return line(label, 30)
    if value is None:
        return "error" if errors else "–"
    if value in (0.0, 1.0):
        return "✓" if value else "✗"
    return f"{value:.3g}"


def _coloured(frame: pd.DataFrame, values: list[list[float | None]], n_variants: int) -> Any:
    """Tint the cells: green is good, orange bad, always with a sign beside the colour."""
    known = [v for row in values for v in row if v is not None]
    low, high = (min(0.0, *known), max(1.0, *known)) if known else (0.0, 1.0)

    def tint(column: pd.Series) -> list[str]:
        name = str(column.name)
        if not (name.startswith("v") and name[1:].isdigit() and int(name[1:]) < n_variants):
            return [""] * len(column)
        return [_tint(row[int(name[1:])], low, high) for row in values]

    return frame.style.apply(tint, axis=0)


def _tint(value: float | None, low: float, high: float) -> str:
    if value is None:
        return "background-color: rgba(128,134,150,0.14); text-align: center"
    share = (value - low) / (high - low) if high > low else 0.5
    good, bad = (0, 158, 115), (213, 94, 0)
    strength = (0.06 + 0.12 * (2 * share - 1)) if share >= 0.5 else (0.12 + 0.28 * (1 - 2 * share))
    red, green, blue = good if share >= 0.5 else bad
    return f"background-color: rgba({red},{green},{blue},{strength:.2f}); text-align: center"


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
            "Variant", variants, name="variant", style="segments" if len(variants) <= 8 else "select",
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
