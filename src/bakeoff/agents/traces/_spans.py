"""The spans of a stored trial as a tree in drawing order, whatever target wrote them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from math import isfinite, nan
from typing import TYPE_CHECKING, Any

from bakeoff.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["TrialSpan", "trial_spans"]

_KNOWN = frozenset({"id", "parent", "name", "kind", "type", "start_ms", "end_ms", "tokens", "cost", "error", "model"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialSpan:
    """One span of a trial: a step, a model call, a tool call, and so on."""

    id: int
    """Number within the trial, unique; the order in which spans began."""
    parent: int | None
    """`id` of the span around it; `None` at the top."""
    depth: int
    """0 at the top."""
    name: str
    kind: str
    """`agent`, `step`, `model`, `tool`, `retrieval`, `memory`, `guard`, `context`, `handoff`, `approval`; another word
    where a target of yours wrote the trace; `step` where it wrote none."""
    start_ms: float
    """From the beginning of the trial; `nan` when the trace does not say."""
    end_ms: float
    """From the beginning of the trial, not less than `start_ms`; `nan` when the trace does not say."""
    model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    """`None` when it is not known."""
    error: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    """All else: `input`, `output`, `tier`, `outcome` ... Untrusted text."""

    @property
    def duration_ms(self) -> float:
        """How long it took; `nan` when the trace does not say."""
        return self.end_ms - self.start_ms


def trial_spans(trace: str | bytes | Sequence[Mapping[str, Any]] | None) -> tuple[TrialSpan, ...]:
    """Return the span tree of a trial, flat and in drawing order: each span is followed by those within it.

    Siblings stand by their start. A span whose parent is not in the trace, or is within it, stands at the top; entries
    that are not objects are left out. So every trace can be drawn, those that a target of yours has written too.

    Args:
        trace: The column `trace` of a trial: JSON text, or what it holds. Nothing gives no spans.

    Raises:
        SpecError: The text is not a JSON list.

    Examples:
        >>> spans = trial_spans([
        ...     {"id": 0, "name": "desk", "kind": "agent", "start_ms": 0, "end_ms": 50.0},
        ...     {"id": 2, "name": "call", "kind": "model", "parent": 1, "start_ms": 20, "end_ms": 50, "tokens": [7, 3]},
        ...     {"id": 1, "name": "draft", "kind": "step", "parent": 0, "start_ms": 20, "end_ms": 50},
        ... ])
        >>> [(one.depth, one.name, one.duration_ms, one.input_tokens) for one in spans]
        [(0, 'desk', 50.0, None), (1, 'draft', 30.0, None), (2, 'call', 30.0, 7)]
    """
    rows = [row for row in _rows(trace) if isinstance(row, dict)]
    ids = _ids(rows)
    parents = _parents(rows, ids)
    children: dict[int | None, list[int]] = {}
    for index, parent in enumerate(parents):
        children.setdefault(parent, []).append(index)
    for siblings in children.values():
        siblings.sort(key=lambda index: (_number(rows[index].get("start_ms"), 0.0), ids[index]))
    found: list[TrialSpan] = []
    todo = [(index, 0) for index in reversed(children.get(None, []))]
    while todo:
        index, depth = todo.pop()
        parent = parents[index]
        found.append(_span(rows[index], ids[index], None if parent is None else ids[parent], depth))
        todo += [(child, depth + 1) for child in reversed(children.get(index, []))]
    return tuple(found)


def _rows(trace: str | bytes | Sequence[Mapping[str, Any]] | None) -> Sequence[Any]:
    if trace is None:
        return ()
    if not isinstance(trace, (str, bytes)):
        return trace
    try:
        rows = json.loads(trace) if trace else ()
    except ValueError:
        rows = None
    if not isinstance(rows, (list, tuple)):
        shown = trace[:80]
        raise SpecError(f"the trace {shown!r} is not a JSON list of spans")
    return rows


def _ids(rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Give each row a number of its own: the one that it has, when no other row has it."""
    given = [row.get("id") for row in rows]
    if all(type(one) is int for one in given) and len(set(given)) == len(given):
        return [int(str(one)) for one in given]
    return list(range(len(rows)))


def _parents(rows: Sequence[Mapping[str, Any]], ids: Sequence[int]) -> list[int | None]:
    """Return the index of the parent of each row, without circles."""
    places: dict[str, int] = {}
    for index, row in enumerate(rows):
        places.setdefault(str(row.get("id", ids[index])), index)
    parents = [None if row.get("parent") is None else places.get(str(row["parent"])) for row in rows]
    settled: set[int] = set()
    for index in range(len(rows)):
        path: list[int] = []
        at: int | None = index
        while at is not None and at not in settled and at not in path:
            path.append(at)
            at = parents[at]
        if at is not None and at not in settled:
            parents[at] = None
        settled.update(path)
    return parents


def _span(row: Mapping[str, Any], number: int, parent: int | None, depth: int) -> TrialSpan:
    start, end = _number(row.get("start_ms")), _number(row.get("end_ms"))
    tokens = row.get("tokens")
    pair = tokens if isinstance(tokens, (list, tuple)) and len(tokens) == 2 else (None, None)
    cost = _number(row.get("cost"))
    return TrialSpan(
        id=number,
        parent=parent,
        depth=depth,
        name=str(row.get("name", "span")),
        kind=str(row.get("kind") or row.get("type") or "step"),
        start_ms=start,
        end_ms=max(start, end) if end == end else nan,
        model=None if row.get("model") is None else str(row["model"]),
        input_tokens=_count(pair[0]),
        output_tokens=_count(pair[1]),
        cost_usd=cost if cost == cost else None,
        error=None if row.get("error") is None else str(row["error"]),
        attributes={str(key): value for key, value in row.items() if key not in _KNOWN},
    )


def _number(value: Any, otherwise: float = nan) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)
    return float(value) if is_number else otherwise


def _count(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number == number else None
