"""A reader's own file on the design page: upload it, say what its columns mean."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from bakeoff.app import _access, _adapt, _draft, _own_data, _parts, _state
from bakeoff.app._text import line, md
from bakeoff.errors import BakeoffError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bakeoff.app._draft import Draft
    from bakeoff.app._own_data import FileFacts
    from bakeoff.datasets import Item

__all__ = ["own_file"]

_NONE = "(none)"
_DELIMITERS = {"": "as usual", ";": "semicolon ;", "\t": "tab", "|": "bar |", ",": "comma ,"}
_ENCODINGS = {"": "UTF-8", "cp1252": "Windows (Western)", "latin-1": "Latin 1", "utf-16": "UTF-16"}
_KEPT = ("path", "inputs", "expected", "id", "cluster", "metadata", "filter", "delimiter", "encoding")


def own_file(
    draft: Draft, given: dict[str, Any], folder: Path, *, scope: str, items: Callable[[Draft, int], list[Item]]
) -> bool:
    """Choose a file and the meaning of its columns; say whether the example was made to fit it.

    Args:
        draft: Its `dataset` is set.
        given: The data set as it stands in the draft.
        folder: Where relative paths start.
        scope: Tells widgets of different drafts apart.
        items: Reads the first items of a draft.
    """
    path = _chosen(given, folder, scope=scope)
    if path is None:
        _state.html(
            _parts.wrap(
                '<div class="bo-soft">One row an item, with a header. The file is kept beside the experiment; nothing '
                "leaves this machine.</div>"
            )
        )
        return False
    relative = path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)
    mine = given.get("path") == relative
    options: dict[str, str] = {}
    try:
        options = {k: str(given[k]) for k in ("delimiter", "encoding") if given.get(k)} if mine else _sniffed(path)
        key = f"{scope}_{relative}"
        options = _reading(path, options, key=key) if path.suffix.lower() in (".csv", ".tsv") else options
        facts = _facts(str(path), _stamp(path), tuple(sorted(options.items())))
    except (BakeoffError, OSError) as problem:
        _state.html(_parts.error(problem))
        draft["dataset"] = {**(given if mine else {}), "path": relative, **options}  # checked as it was read here
        return False
    if not facts.rows:
        _state.html(_parts.error(f"{path.name!r} has a header and no rows"))
    guess = _own_data.guess_roles(facts) if facts.rows else _adapt.guess_mapping(facts.columns)
    mapping = given if mine else {"path": relative, **guess}
    found = {"path": relative, **options} | _roles(mapping, facts, key=key, fresh=not mine)
    extra = {k: v for k, v in mapping.items() if k not in _KEPT}
    changed = draft.get("dataset") != {**found, **extra}
    draft["dataset"] = {**found, **extra}
    names = list(found.get("inputs") or [])
    return bool(changed and names) and _adapt.adapt_example(draft, names, items(draft, 500), name=path.stem)


def _chosen(given: dict[str, Any], folder: Path, *, scope: str) -> Path | None:
    upload = st.file_uploader(
        "Upload a CSV, Excel, JSON lines, JSON or Parquet file: one row an item", type=list(_draft.UPLOAD_TYPES),
        key=f"d_upload_{scope}",
    )  # fmt: skip
    if upload is not None:
        _access.require("editor")
        return _draft.save_upload(upload.name, upload.getvalue(), folder)
    return (folder / str(given["path"])).resolve() if given.get("path") else None


def _stamp(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


def _sniffed(path: Path) -> dict[str, str]:
    return _own_data.sniff(path) if path.exists() else {}


@st.cache_resource(max_entries=32, show_spinner="Reading the file …")
def _facts(path: str, stamp: int, options: tuple[tuple[str, str], ...]) -> FileFacts:
    del stamp
    return _own_data.read_facts(Path(path), dict(options))


def _reading(path: Path, options: dict[str, str], *, key: str) -> dict[str, str]:
    """Show how a CSV file is read, where that is not the usual way or the reader wants to change it."""
    odd = [
        *([f"cells are separated by {_DELIMITERS.get(options['delimiter'], options['delimiter'])}"]
          if "delimiter" in options else []),
        *([f"the encoding is {_ENCODINGS.get(options['encoding'], options['encoding'])}"]
          if "encoding" in options else []),
    ]  # fmt: skip
    with st.expander(f"How {md(path.name, 60)} is read{': ' + md('; '.join(odd), 120) if odd else ''}"):
        one, two = st.columns(2)
        marks = list(dict.fromkeys([options.get("delimiter", ""), *_DELIMITERS]))
        mark = one.selectbox(
            "Cells are separated by", marks, format_func=lambda m: _DELIMITERS.get(m, m), key=f"d_delimiter_{key}"
        )
        codes = list(dict.fromkeys([options.get("encoding", ""), *_ENCODINGS]))
        code = two.selectbox(
            "Encoding", codes, format_func=lambda c: _ENCODINGS.get(c, c), key=f"d_encoding_{key}",
            help="When letters such as ä or é look wrong in the preview.",
        )  # fmt: skip
    return {name: str(value) for name, value in (("delimiter", mark), ("encoding", code)) if value}


def _roles(mapping: dict[str, Any], facts: FileFacts, *, key: str, fresh: bool) -> dict[str, Any]:
    """Let the reader say which columns are what; return that part of the data set."""
    columns = list(facts.columns)
    old = mapping.get("inputs") or []
    before = [old] if isinstance(old, str) else list(old.values()) if isinstance(old, dict) else list(old)
    one, two = st.columns(2)
    with one:
        chosen = st.multiselect(
            "Inputs: what the prompt may use", columns, default=[c for c in before if c in columns], key=f"d_in_{key}",
            format_func=lambda c: line(c, 60), help="One column is enough. Others can be used for segments below.",
        )  # fmt: skip
    options = [_NONE, *columns]
    with two:
        expected = _column("Expected: the right answer", options, mapping.get("expected"), key=f"d_exp_{key}")
    with st.expander("More about the columns"):
        a, b, c = st.columns(3)
        with a:
            ids = _column(
                "Id", options, mapping.get("id"), key=f"d_id_{key}",
                help="Names an item; its row number when none is chosen.",
            )  # fmt: skip
        with b:
            cluster = _column(
                "Cluster", options, mapping.get("cluster"), key=f"d_cl_{key}",
                help="Items that belong together: one document, one user. Intervals account for it.",
            )  # fmt: skip
        kept = mapping.get("metadata") or []
        kept = [kept] if isinstance(kept, str) else [m for m in kept if m in columns] if isinstance(kept, list) else []
        metadata = c.multiselect(
            "Metadata",
            columns,
            default=kept,
            key=f"d_meta_{key}",
            help="For segments.",
            format_func=lambda c: line(c, 60),
        )
    found: dict[str, Any] = {"inputs": _own_data.inputs_value(chosen, old)}
    named = {"expected": expected, "id": ids, "cluster": cluster}
    found |= {name: value for name, value in named.items() if value is not None}
    if metadata:
        found["metadata"] = list(metadata)
    condition = _filter(mapping.get("filter"), [*([expected] if expected else []), *chosen[:1]], facts, key, fresh)
    return found | ({"filter": condition} if condition else {})


def _column(label: str, options: list[str], current: object, *, key: str, help: str | None = None) -> str | None:  # noqa: A002 - as Streamlit calls it
    at = options.index(str(current)) if current in options else 0
    chosen = st.selectbox(label, options, index=at, key=key, help=help, format_func=lambda c: line(c, 60))
    return None if chosen in (None, _NONE) else str(chosen)


def _filter(current: object, wanted: Sequence[str], facts: FileFacts, key: str, fresh: bool) -> str | None:
    """Offer to leave out rows without an answer or without a text; a filter written by hand is kept."""
    gaps = [column for column in dict.fromkeys(wanted) if facts.empty.get(column)]
    ours = " and ".join(_own_data.answered_only(column) for column in gaps)
    if current and current != ours and not _is_ours(str(current), facts):
        return str(current)
    if not gaps:
        return None
    said = ", ".join(f"{facts.empty[column]:,} of {facts.rows:,} have no “{line(column, 40)}”" for column in gaps)
    out = st.toggle(
        f"Leave incomplete rows out ({md(said, 120)})",
        value=fresh or bool(current), key=f"d_gaps_{key}_{'_'.join(gaps)}",
        help="An empty answer in the data would count as the right answer “”.",
    )  # fmt: skip
    return ours if out else None


def _is_ours(condition: str, facts: FileFacts) -> bool:
    parts = {_own_data.answered_only(column) for column in facts.columns}
    return all(part in parts for part in condition.split(" and "))
