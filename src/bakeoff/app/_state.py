"""What pages share: the store, cached reads, the run that is looked at, and choices that live in the address."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal, TypeVar

import streamlit as st

from bakeoff.app import _parts, _queries
from bakeoff.app._text import line, md
from bakeoff.app._theme import ASSETS
from bakeoff.errors import BakeoffError
from bakeoff.experiments import (
    analyse,
    default_store,
    insights,
    item_info,
    open_store,
    score_cubes,
    trade_axes,
    trade_off,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from streamlit import Page

    from bakeoff.app._queries import ItemFilter, ItemPage, Trial
    from bakeoff.experiments import (
        Analysis,
        Insights,
        ItemInfo,
        LocalStore,
        Manifest,
        ScoreCube,
        Segment,
        TradeAxis,
        TradeOff,
    )

__all__ = [
    "analysis_of",
    "choose",
    "choose_run",
    "cube_of",
    "header",
    "html",
    "insights_of",
    "items_of",
    "manifests",
    "mode",
    "paged",
    "segments_of",
    "stamp_of",
    "the_store",
    "trade_axes_of",
    "trade_off_of",
    "trials_of",
]

_ChoiceT = TypeVar("_ChoiceT")


@st.cache_resource(show_spinner=False)
def _store_at(path: str) -> LocalStore:
    return open_store(path)


def the_store() -> LocalStore:
    """Return the store that the dashboard was started on."""
    return _store_at(os.environ.get("BAKEOFF_STORE") or str(default_store()))


def mode() -> Literal["light", "dark"]:
    """Return the theme that the reader sees."""
    return "dark" if st.context.theme.type == "dark" else "light"


def html(content: str) -> None:
    """Show markup made by `_parts`, which escapes what comes from outside."""
    st.html(content)


def style() -> None:
    """Bring in the style sheet."""
    st.html(ASSETS / "style.css")


def header(title: str, lead: str) -> None:
    """Show the title of a page and one line on what it is for."""
    st.title(title)
    html(f'<div class="bo"><p class="bo-lead">{lead}</p></div>')


def stamp_of(manifest: Manifest) -> tuple[int, ...]:
    """Return what changes when the results of a run change."""
    paths = the_store().run_paths(manifest.run_id)
    stamps = [hash(manifest.status)]
    for path in (paths.manifest, paths.trials, paths.scores, paths.journal):
        try:
            found = path.stat()
            stamps += [found.st_mtime_ns, found.st_size]
        except OSError:
            stamps += [0, 0]
    return tuple(stamps)


@st.cache_resource(max_entries=64, show_spinner=False)
def _analysis(
    run_id: str,
    stamp: tuple[int, ...],
    baseline: str | None,
    pairs: Literal["baseline", "all"] | None,
    primary_only: str,
) -> Analysis:
    del stamp  # part of the key: new results are a new analysis
    metrics = [primary_only] if primary_only else None
    return analyse(the_store(), run_id, baseline=baseline, pairs=pairs, metrics=metrics)


def analysis_of(
    manifest: Manifest,
    *,
    baseline: str | None = None,
    pairs: Literal["baseline", "all"] | None = None,
    primary_only: bool = False,
) -> Analysis:
    """Return the analysis of a run, computed once for each state of its files."""
    only = manifest.primary if primary_only else ""
    return _analysis(manifest.run_id, stamp_of(manifest), baseline, pairs, only)


@st.cache_resource(max_entries=32, show_spinner=False)
def _segments(
    run_id: str, stamp: tuple[int, ...], metric: str, field: str, baseline: str, margin: float | None
) -> tuple[Segment, ...]:
    del stamp
    analysis = analyse(
        the_store(), run_id, baseline=baseline, metrics=[metric], primary=metric, margin=margin, segments=[field]
    )
    return analysis.segments


def segments_of(manifest: Manifest, metric: str, field: str, *, baseline: str) -> tuple[Segment, ...]:
    """Return a metric broken down by a metadata field, computed once for each state of the run's files."""
    margin = manifest.spec.get("analysis", {}).get("margin") if metric == manifest.primary else None
    return _segments(manifest.run_id, stamp_of(manifest), metric, field, baseline, margin)


@st.cache_resource(max_entries=32, show_spinner=False)
def _axes(run_id: str, stamp: tuple[int, ...]) -> tuple[TradeAxis, ...]:
    del stamp
    return trade_axes(the_store(), the_store().manifest(run_id))


def trade_axes_of(manifest: Manifest) -> tuple[TradeAxis, ...]:
    """Return what quality can be weighed against in a run."""
    return _axes(manifest.run_id, stamp_of(manifest))


@st.cache_resource(max_entries=32, show_spinner=False)
def _insights(run_id: str, stamp: tuple[int, ...]) -> Insights:
    del stamp
    return insights(the_store(), run_id)


def insights_of(manifest: Manifest) -> Insights:
    """Return what a run says beyond its verdicts."""
    return _insights(manifest.run_id, stamp_of(manifest))


@st.cache_resource(max_entries=64, show_spinner=False)
def _trade_off(
    run_id: str, stamp: tuple[int, ...], metric: str, against: tuple[TradeAxis, ...], confidence: float
) -> TradeOff:
    del stamp
    store = the_store()
    return trade_off(store, store.manifest(run_id), metric, against=against, confidence=confidence)


def trade_off_of(manifest: Manifest, metric: str, against: Sequence[TradeAxis], *, confidence: float) -> TradeOff:
    """Return the Pareto front of a metric, computed once for each state of the run's files."""
    return _trade_off(manifest.run_id, stamp_of(manifest), metric, tuple(against), confidence)


@st.cache_resource(max_entries=8, show_spinner=False)
def _cube(run_id: str, stamp: tuple[int, ...], metric: str) -> tuple[ScoreCube, ItemInfo | None]:
    del stamp
    store = the_store()
    manifest = store.manifest(run_id)
    try:
        info = item_info(store, manifest)
    except BakeoffError:  # the data set is gone; scores can be shown without it
        info = None
    return score_cubes(store, manifest, metrics=[metric])[metric], info


def cube_of(manifest: Manifest, metric: str) -> tuple[ScoreCube, ItemInfo | None]:
    """Return all scores of a metric and what is known of the items, read once for each state of the run's files."""
    return _cube(manifest.run_id, stamp_of(manifest), metric)


@st.cache_resource(max_entries=256, show_spinner=False)
def _items(run_id: str, stamp: tuple[int, ...], wanted: ItemFilter, limit: int, offset: int) -> ItemPage:
    del stamp
    return _queries.item_page(the_store(), run_id, wanted, limit=limit, offset=offset)


def items_of(manifest: Manifest, wanted: ItemFilter, *, limit: int, offset: int = 0) -> ItemPage:
    """Return one page of items, asked for once for each state of the run's files."""
    return _items(manifest.run_id, stamp_of(manifest), wanted, limit, offset)


@st.cache_resource(max_entries=128, show_spinner=False)
def _trials(run_id: str, stamp: tuple[int, ...], item: int, variants: tuple[str, ...]) -> list[Trial]:
    del stamp
    store = the_store()
    return _queries.trials_of_item(store, store.manifest(run_id), item, variants=variants)


def trials_of(manifest: Manifest, item: int, *, variants: Sequence[str] = ()) -> list[Trial]:
    """Return the trials of an item, read once for each state of the run's files."""
    return _trials(manifest.run_id, stamp_of(manifest), item, tuple(variants))


def manifests() -> list[Manifest]:
    """Return all runs, newest first."""
    return the_store().runs()


def run_label(manifest: Manifest) -> str:
    """Return how a run is named in a list."""
    state = "" if manifest.status == "complete" else f" ({manifest.status})"
    stamp = manifest.created_at[:16].replace("T", " ")
    return f"{line(manifest.name, 50)}  ·  {stamp}  ·  {manifest.run_id[-4:]}{state}"


def remember(name: str, value: str) -> None:
    """Keep a choice in the address and for the other pages."""
    st.session_state[f"kept_{name}"] = value
    if st.query_params.get(name) != value:
        st.query_params[name] = value


def kept(name: str) -> str | None:
    """Return a choice from the address, else from earlier in the session."""
    found: str | None = st.query_params.get(name) or st.session_state.get(f"kept_{name}")
    return found


def choose(
    label: str,
    options: Sequence[_ChoiceT],
    *,
    name: str,
    default: _ChoiceT | None = None,
    words: Callable[[_ChoiceT], str] = str,
    style: Literal["select", "segments"] = "select",
    code: Callable[[_ChoiceT], str] = str,
    scope: str = "",
    label_visibility: Literal["visible", "hidden", "collapsed"] = "visible",
) -> _ChoiceT:
    """Let the reader choose one of several; the choice stands in the address as `?name=`.

    Args:
        label: What is chosen.
        options: At least one.
        name: Of the query parameter.
        default: Chosen at first; the first option when omitted.
        words: How an option is shown.
        style: A drop-down or buttons in a row.
        code: How an option is written in the address.
        scope: Tells widgets of different runs apart, so that one does not inherit the other's choice.
        label_visibility: Whether the label is seen; it is read aloud in any case.
    """
    known = {code(option): option for option in options}
    wanted = kept(name)
    current = wanted if wanted in known else code(default) if default is not None else next(iter(known))
    current = current if current in known else next(iter(known))
    key = f"choice_{name}_{scope}"
    if st.session_state.get(key) not in known or code(known[st.session_state[key]]) != current:
        st.session_state[key] = current

    def on_change() -> None:
        chosen = st.session_state.get(key)
        if chosen is not None:
            remember(name, str(chosen))

    def shown(value: str) -> str:
        return words(known[value])

    keys = list(known)
    if style == "segments":
        st.segmented_control(
            label, keys, key=key, format_func=lambda value: md(shown(value)), on_change=on_change, required=True,
            label_visibility=label_visibility,
        )  # fmt: skip
    else:
        st.selectbox(label, keys, key=key, format_func=shown, on_change=on_change, label_visibility=label_visibility)
    chosen = st.session_state.get(key)
    value = chosen if chosen in known else current
    remember(name, value)
    return known[value]


def paged(pages: int, *, scope: object) -> int:
    """Let the reader turn pages, and return which one is open; it stands in the address as `?page=`.

    Args:
        pages: How many there are.
        scope: What is paged: with another filter or order, the first page is shown again.
    """
    key = f"page_{hash(scope)}"
    if "first_page" not in st.session_state:  # the address counts where it is opened; afterwards it follows
        asked = st.query_params.get("page", "")
        wanted = int(asked) if asked.isdecimal() and len(asked) < 9 else 1
        st.session_state["first_page"] = (key, min(max(wanted, 1), max(pages, 1)))
    if pages <= 1:
        st.query_params.pop("page", None)
        return 1
    opened, first = st.session_state["first_page"]
    current = min(st.pagination(pages, default=min(first, pages) if key == opened else 1, key=key), pages)
    if current == 1:
        st.query_params.pop("page", None)
    elif st.query_params.get("page") != str(current):
        st.query_params["page"] = str(current)
    return current


def choose_run(label: str = "Run", *, prefer: Callable[[Manifest], bool] | None = None) -> Manifest | None:
    """Let the reader choose a run; `None`, with an explanation on the page, when there is none."""
    found = manifests()
    if not found:
        html(_parts.empty("◔", "No runs yet", "Design an experiment, or start one with `bakeoff run experiment.yaml`."))
        st.page_link(_page("design"), label="Design an experiment", icon=":material/add_circle:")
        return None
    default = next((manifest for manifest in found if prefer(manifest)), found[0]) if prefer else found[0]
    asked = st.query_params.get("run")
    states = hash(tuple(manifest.status for manifest in found))  # the browser keeps the words of the chosen one
    chosen = choose(
        label, found, name="run", default=default, words=run_label, code=lambda manifest: manifest.run_id,
        scope=f"{states}", label_visibility="collapsed",
    )  # fmt: skip
    if asked and all(asked != manifest.run_id for manifest in found):
        st.session_state["run_missing"] = (asked, chosen.run_id)
    missing, instead = st.session_state.get("run_missing", ("", ""))
    if missing and instead == chosen.run_id:
        words = (
            f"The run {missing!r} of this address is not in this store: deleted, or of another one. Another is shown."
        )
        html(_parts.warnings([words], "Not what was asked for"))
    else:
        st.session_state.pop("run_missing", None)
    return chosen


def _page(name: str) -> Page:
    from bakeoff.app._pages import page

    return page(name)


def guarded(draw: Callable[[], None]) -> None:
    """Draw a page; say what went wrong in the error's own words when it cannot be drawn."""
    try:
        draw()
    except BakeoffError as problem:
        html(_parts.error(problem))
