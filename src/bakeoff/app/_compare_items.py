"""The items behind a comparison: found by what happened to them, and read side by side."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import streamlit as st

from bakeoff.app import _pairs, _parts, _queries, _segments, _state
from bakeoff.app._diff import word_diff
from bakeoff.app._pages import page
from bakeoff.app._text import clip, h, line, md, named, visible
from bakeoff.app._trial_view import score_chip

if TYPE_CHECKING:
    from bakeoff.app._pairs import PairFilter, PairPage, PairRow, PairShow, Side
    from bakeoff.app._queries import Trial
    from bakeoff.experiments import Comparison, Manifest

__all__ = ["show"]

_ROWS = 12
_SHOW: dict[PairShow, str] = {
    "improved": "Improved", "regressed": "Regressed", "flipped": "Either way", "changed": "Answer changed",
    "failing": "Failing", "errors": "Errors", "judges": "Judges disagree", "all": "All",
}  # fmt: skip


def show(
    earlier: Manifest, later: Manifest, metric: str, *, before: Side, after: Side, moved: Comparison | None
) -> None:
    """Show the items of a comparison, filtered as the reader chooses; `moved` is `None` where scores have no order."""
    st.subheader("Item by item")
    wanted = _controls(earlier, later, metric, before=before, after=after, moved=moved)
    scope = hash(wanted)
    total = _page(earlier, later, wanted, limit=1).total
    if not total:
        text = "Nothing in this group. Choose another group above, or empty the search."
        _state.html(_parts.empty("∅", "No such item", text))
        return
    pages = (total + _ROWS - 1) // _ROWS
    body = st.container()
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.caption(f"{total:,} {'item' if total == 1 else 'items'}")
        current = _state.paged(pages, scope=("compare", scope))
    found = _page(earlier, later, wanted, limit=_ROWS, offset=(current - 1) * _ROWS)
    with body:
        listed, shown = st.columns([2, 5], gap="medium")
        with listed:
            row = _chosen(found, key=f"compare_item_{scope}_{current}")
        with shown:
            if row is not None:
                _side_by_side(earlier, later, row, wanted)


def _controls(
    earlier: Manifest, later: Manifest, metric: str, *, before: Side, after: Side, moved: Comparison | None
) -> PairFilter:
    judges = _pairs.judges_of(earlier, later)
    offered: list[PairShow] = [name for name in _SHOW if name != "judges" or judges]
    if moved is None:  # labels: they change, but do not improve
        offered = [name for name in offered if name not in ("improved", "regressed", "flipped", "failing")]
    chosen = _state.choose(
        "Show",
        offered,
        name="changes",
        default=_first_shown(moved),
        words=lambda s: _SHOW[s],
        style="segments",
        label_visibility="collapsed",
    )
    fields = _fields(later.run_id, later.dataset_version)
    columns = st.columns([3, 2, 2] if fields else [1], vertical_alignment="bottom")
    with columns[0]:
        search = st.text_input("Search", value=_state.kept("q") or "", placeholder="in ids, inputs, expected, outputs")
        if search or _state.kept("q"):
            _state.remember("q", search or "")
    return _pairs.PairFilter(
        metric=metric, before=before, after=after, show=chosen, search=(search or "").strip(), judges=judges,
        tag=_tag(later, fields, columns) if fields else None, higher_is_better=_direction(earlier, later, metric),
    )  # fmt: skip


def _first_shown(moved: Comparison | None) -> PairShow:
    """Return the group that a reader sees first: one that has items."""
    if moved is None:
        return "changed"
    return "improved" if moved.improved else "regressed" if moved.regressed else "all"


_MOST_VALUES = 200


@st.cache_resource(max_entries=64, show_spinner=False)
def _fields(run_id: str, version: str) -> list[str]:
    del version  # part of the key: items never change under one version
    return _segments.segment_fields(_state.the_store(), run_id, most=_MOST_VALUES)


def _tag(
    manifest: Manifest, fields: list[str], columns: list[st.delta_generator.DeltaGenerator]
) -> tuple[str, str] | None:
    with columns[1]:
        field = _state.choose(
            "Only items whose", [None, *fields], name="tag", scope=manifest.run_id, code=lambda f: f or "any",
            words=lambda f: "any metadata" if f is None else f"{line(f, 40)} is",
        )  # fmt: skip
    if field is None:
        return None
    with columns[2]:
        values = _pairs.tag_values(_state.the_store(), manifest.run_id, field)
        if not values:
            return None
        value = _state.choose(
            "Value", values, name="tagged", scope=f"{manifest.run_id}{field}", words=lambda v: line(v, 60)
        )
    return field, value


def _direction(earlier: Manifest, later: Manifest, metric: str) -> bool:
    info = next((m for m in (*later.metrics, *earlier.metrics) if m.metric == metric), None)
    return info is None or info.higher_is_better is not False


@st.cache_resource(max_entries=256, show_spinner=False)
def _pages(wanted: PairFilter, stamps: tuple[tuple[int, ...], ...], limit: int, offset: int) -> PairPage:
    del stamps
    return _pairs.pair_page(_state.the_store(), wanted, limit=limit, offset=offset)


def _page(earlier: Manifest, later: Manifest, wanted: PairFilter, *, limit: int, offset: int = 0) -> PairPage:
    return _pages(wanted, (_state.stamp_of(earlier), _state.stamp_of(later)), limit, offset)


def _chosen(found: PairPage, *, key: str) -> PairRow | None:
    """Let the reader pick an item; the choice stands in the address as `?pick=`."""
    rows = {row.item_id: row for row in found.rows}
    ids = list(rows)
    kept = _state.kept("pick")
    chosen = st.radio(
        "Item", ids, index=ids.index(kept) if kept in rows else 0, key=key, label_visibility="collapsed",
        format_func=lambda name: f"{_moved(rows[name])} **{md(clip(name, 24))}**",
        captions=[md(visible(line(row.glance, 30)), 60) for row in found.rows],
    )  # fmt: skip
    if chosen is None:
        return None
    _state.remember("pick", str(chosen))
    return rows.get(str(chosen))


def _moved(row: PairRow) -> str:
    return f"{_sign(row.before, row.before_label)} → {_sign(row.after, row.after_label)}"


def _sign(value: float | None, label: str | None) -> str:
    if label is not None:
        return md(label, 14)
    if value is None:
        return "–"
    if value in (0.0, 1.0):
        return "✓" if value else "✗"
    return md(f"{value:.2g}")


def _side_by_side(earlier: Manifest, later: Manifest, row: PairRow, wanted: PairFilter) -> None:
    before = _trials(earlier, row.before_item, wanted.before.variant)
    after = _trials(later, row.after_item, wanted.after.variant)
    repeats = sorted({trial.repeat for trial in (*before, *after)})
    repeat = repeats[0] if repeats else 0
    if len(repeats) > 1:
        picked = _state.choose(
            "Repeat", [str(number) for number in repeats], name="repeat", style="segments",
            words=lambda r: f"repeat {int(r) + 1}", label_visibility="collapsed", scope=row.item_id,
        )  # fmt: skip
        repeat = int(picked)
    old = next((trial for trial in before if trial.repeat == repeat), None)
    new = next((trial for trial in after if trial.repeat == repeat), None)
    some = new or old
    if some is None:
        return
    asked = _parts.pre(_queries.glance(json.dumps(some.inputs)), 4000, css="short")
    expected = _parts.pre(some.expected or "(nothing declared)", 2000, css="short")
    _state.html(
        _parts.wrap(
            f'<div class="bo-label">Item {h(some.item_id, 60)}</div>{asked}'
            f'<div class="bo-label" style="margin-top:.6rem">Expected</div>{expected}'
        )
    )
    one, two = word_diff(old.output if old else "", new.output if new else "")
    left, right = st.columns(2, gap="small")
    same_run = earlier.run_id == later.run_id
    for column, manifest, side, trial, diff, item, word in (
        (left, earlier, wanted.before, old, one, row.before_item, "before"),
        (right, later, wanted.after, new, two, row.after_item, "after"),
    ):
        with column:
            _state.html(_answer(trial, side.variant if same_run else f"{side.variant} ({word})", diff))
            if trial is not None:
                query = {"run": manifest.run_id, "item": str(item), "variant": side.variant, "repeat": str(repeat)}
                st.page_link(page("items"), label="Whole trial", icon=":material/manage_search:", query_params=query)


def _trials(manifest: Manifest, item: int | None, variant: str) -> list[Trial]:
    return [] if item is None else _state.trials_of(manifest, item, variants=[variant])


def _answer(trial: Trial | None, variant: str, diff: str) -> str:
    head = f'<div class="bo-label">{named(variant)}</div>'
    if trial is None:
        return _parts.wrap(f"{head}<pre>(no trial)</pre>")
    chips = "".join(score_chip(score) for score in trial.scores)
    body = f"<pre>{diff or '(empty)'}</pre>" if trial.ok else _parts.error(f"{trial.error_kind}: {trial.error}")
    reasons = "".join(
        f'<div class="bo-soft"><small>{h(s.metric, 40)}: {h(s.error or s.reason, 400)}</small></div>'
        for s in trial.scores
        if s.error or s.reason
    )
    return _parts.wrap(f'{head}{body}<div class="bo-label" style="margin-top:.5rem">{chips}</div>{reasons}')
