"""The filters that a prompt may use.

Left out of Jinja's own: `random` (a prompt must render the same twice), `attr` (reaches attributes around
the fence), `safe`, `urlize`, `xmlattr` (HTML), and `map`'s attribute on objects is covered by the fence.
Replaced: the ones whose result can be far larger than their arguments.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from jinja2 import filters as jinja
from jinja2.filters import pass_environment, pass_eval_context
from jinja2.sandbox import SecurityError

from bakeoff.prompts._limits import LimitError, check_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from jinja2 import Environment
    from jinja2.nodes import EvalContext

__all__ = ["FILTERS", "check_replace", "concat", "join_length"]

_MAX_WIDTH = 10_000
_FORMAT_WIDTH = re.compile(r"%(?:\(.*?\))?[-+ #0]*(\*|\d+)?(?:\.(\*|\d+))?")


def join_length(parts: list[Any], separator: str) -> int:
    """Return the length of `separator.join(parts)`."""
    return sum(len(part) if isinstance(part, str) else 1 for part in parts) + len(separator) * max(len(parts) - 1, 0)


def concat(parts: list[Any]) -> str:
    """Return what `a ~ b ~ c` means."""
    texts = [part if isinstance(part, str) else str(part) for part in parts]
    check_size(join_length(texts, ""))
    return "".join(texts)


def check_replace(text: str, old: str, new: str) -> None:
    """Refuse a replacement whose result would be too large."""
    found = text.count(old) if old else len(text) + 1
    check_size(len(text) + found * max(len(new) - len(old), 0))


def _width(value: int) -> int:
    if value > _MAX_WIDTH:
        raise LimitError(f"pads to {value:,} characters; the limit is {_MAX_WIDTH:,}")
    return value


@pass_eval_context
def _join(eval_ctx: EvalContext, value: Iterable[Any], d: str = "", attribute: str | int | None = None) -> str:
    if attribute is not None:
        value = map(jinja.make_attrgetter(eval_ctx.environment, attribute), value)
    parts = [part if isinstance(part, str) else str(part) for part in value]
    check_size(join_length(parts, str(d)))
    return str(d).join(parts)


def _replace(s: str, old: str, new: str, count: int = -1) -> str:
    s, old, new = str(s), str(old), str(new)
    check_replace(s, old, new)
    return s.replace(old, new, count)


def _format(value: str, *args: Any, **kwargs: Any) -> str:
    for width, precision in _FORMAT_WIDTH.findall(str(value)):
        if "*" in (width, precision):
            raise SecurityError("formats with a variable width `*`")
        _width(int(width or 0))
        _width(int(precision or 0))
    return str(jinja.do_format(str(value), *args, **kwargs))


def _tojson(value: Any, indent: int | None = None) -> str:
    """JSON as a model should read it: Unicode as it is, no HTML escapes."""
    return json.dumps(value, ensure_ascii=False, indent=None if indent is None else _width(indent))


def _center(value: str, width: int = 80) -> str:
    return str(value).center(_width(width))


def _indent(s: str, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    prefix = " " * _width(width) if isinstance(width, int) else width
    check_size(len(s) + len(prefix) * (s.count("\n") + 1))
    return str(jinja.do_indent(s, prefix, first, blank))


def _batch(value: Iterable[Any], linecount: int, fill_with: Any = None) -> list[Any]:
    return list(jinja.do_batch(value, _width(linecount), fill_with))


def _slice(value: Iterable[Any], slices: int, fill_with: Any = None) -> list[Any]:
    return list(jinja.sync_do_slice(list(value), _width(slices), fill_with))


@pass_environment
def _wordwrap(environment: Environment, s: str, width: int = 79, wrapstring: str = "\n") -> str:
    check_size(len(s) + len(wrapstring) * (len(s) // max(width, 1) + s.count("\n") + 1))
    return str(jinja.do_wordwrap(environment, s, width, wrapstring=wrapstring))


def _escape(value: Any) -> str:
    # Plain text again: `Markup` would escape whatever it is joined with later.
    return str(jinja.do_forceescape(str(value)))


FILTERS: dict[str, Callable[..., Any] | None] = {
    "abs": None,
    "batch": _batch,
    "capitalize": None,
    "center": _center,
    "count": None,
    "d": None,
    "default": None,
    "dictsort": None,
    "e": _escape,
    "escape": _escape,
    "first": None,
    "float": None,
    "format": _format,
    "groupby": None,
    "indent": _indent,
    "int": None,
    "items": None,
    "join": _join,
    "last": None,
    "length": None,
    "list": None,
    "lower": None,
    "map": None,
    "max": None,
    "min": None,
    "reject": None,
    "rejectattr": None,
    "replace": _replace,
    "reverse": None,
    "round": None,
    "select": None,
    "selectattr": None,
    "slice": _slice,
    "sort": None,
    "string": str,
    "sum": None,
    "title": None,
    "tojson": _tojson,
    "trim": None,
    "truncate": None,
    "unique": None,
    "upper": None,
    "wordcount": None,
    "wordwrap": _wordwrap,
}
"""Filters by name; `None` stands for Jinja's own."""
