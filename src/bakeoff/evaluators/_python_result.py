"""What a Python function may give back, and how it becomes scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from typing import Any

from bakeoff.evaluators._protocol import CannotScoreError, EvaluateResult, Score

__all__ = ["ACCEPTED", "read_result"]

ACCEPTED = (
    "a bool, a number, a label (str), a pair (value, reason), a mapping with `score` and `reason`, an object with "
    "`.score` and `.reason`, a mapping of those for several metrics, or None for no score"
)
_VALUE = ("score", "value", "pass")
_REASON = ("reason", "explanation", "rationale", "comment")
_DETAILS = ("details", "metadata")
_RESERVED = frozenset({*_VALUE, *_REASON, *_DETAILS, "name"})


def read_result(result: Any, metric: str) -> EvaluateResult:
    """Give what a function returned as a bare value, a `Score`, or a mapping of those.

    Args:
        result: What the function returned.
        metric: Name of the metric.

    Raises:
        CannotScoreError: It is nothing that can be a score; the message says what can.

    Examples:
        >>> read_result({"score": 0.5, "reason": "half of it"}, "tone").reason
        'half of it'
        >>> sorted(read_result({"clarity": 1.0, "tone": (0.5, "curt")}, "style"))
        ['clarity', 'tone']
    """
    if isinstance(result, Mapping) and not _is_one_score(result):
        return {str(key): _part(key, part, metric) for key, part in result.items()}
    return _single(result, metric)


def _part(key: object, part: Any, metric: str) -> Any:
    if part is None:
        return None
    if isinstance(part, Mapping) and not _is_one_score(part):
        raise CannotScoreError(f"the function gave a mapping of mappings ({key!r}); it may give {ACCEPTED}")
    return _single(part, f"{metric}.{key}")


def _single(result: Any, metric: str) -> Any:
    if result is None or (isinstance(result, (bool, int, float, str)) and not isinstance(result, Enum)):
        return result
    if isinstance(result, Score):
        return replace(result, name=metric) if result.name == "" else result
    if getattr(result, "ndim", None) == 0:
        return result  # a numpy scalar, which the runner unpacks
    if isinstance(result, Enum):
        return _single(result.value, metric)
    if isinstance(result, Mapping):
        return _scored(result, metric)
    fields = _fields_of(result)
    if fields is not None:
        return _scored(fields, metric)
    if isinstance(result, tuple) and len(result) == 2 and (result[1] is None or isinstance(result[1], str)):
        return _scored({"score": result[0], "reason": result[1]}, metric)
    shown = f"a {type(result).__name__}"
    if isinstance(result, (tuple, list)):
        shown += f" of {len(result)}"
    raise CannotScoreError(f"the function gave {shown}, which is no score; it may give {ACCEPTED}")


def _is_one_score(result: Mapping[Any, Any]) -> bool:
    """Tell a mapping that is one score from one that names several metrics."""
    return any(key in result for key in _VALUE) and all(key in _RESERVED for key in result)


def _fields_of(result: Any) -> dict[str, Any] | None:
    """Read an object with `.score` or `.value`; classes and modules are none."""
    if isinstance(result, type):
        return None
    found: dict[str, Any] = {}
    for name in (*_VALUE, *_REASON, *_DETAILS):
        value = getattr(result, name, None)
        if value is not None and not callable(value):
            found[name] = value
    # A `None` score of an object that has one is "no score", and so is not the absence of the attribute.
    if not any(name in found for name in _VALUE):
        return {"score": None, **found} if hasattr(result, "score") else None
    return found


def _scored(fields: Mapping[Any, Any], metric: str) -> Score:
    given = next(name for name in _VALUE if name in fields)
    value = fields[given]
    if value is not None and not isinstance(value, Score):
        value = _single(value, metric)
    if isinstance(value, Score):
        raise CannotScoreError(f"the function gave a score within a score; it may give {ACCEPTED}")
    reason = next((str(fields[name]) for name in _REASON if fields.get(name) is not None), None)
    details = next((fields[name] for name in _DETAILS if isinstance(fields.get(name), Mapping)), {})
    others = {name: fields[name] for name in _VALUE if name in fields and name != given}
    return Score(name=metric, value=value, reason=reason, details={**details, **others})
