"""Values: dotted paths, plain JSON data, and errors that say where and what to do."""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import difflib
import json
import math
from typing import TYPE_CHECKING, Any, Final

from bakeoff.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

__all__ = ["MISSING", "canonical", "failure", "fields_of", "look_up", "near", "non_finite", "plain"]


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()
"""There is no such field; not the same as a field that is null."""

_MAX_FIELDS_SHOWN = 30
_ENCODER = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":"), check_circular=False)


def failure(message: str, fix: str) -> DatasetError:
    """Return an error with its way out."""
    return DatasetError(f"{message}\n    fix: {fix}")


def look_up(row: Mapping[str, Any], path: str) -> Any:
    """Return the value at a dotted path, or `MISSING`.

    Examples:
        >>> look_up({"a": {"b": [10, 20]}, "x.y": 1}, "a.b.1"), look_up({"x.y": 1}, "x.y"), look_up({}, "a")
        (20, 1, MISSING)
    """
    if path in row:
        return row[path]
    here: Any = row
    rest = path.split(".")
    while rest:
        if isinstance(here, dict):
            # The longest name first: a name may have dots of its own.
            for size in range(len(rest), 0, -1):
                name = ".".join(rest[:size])
                if name in here:
                    here, rest = here[name], rest[size:]
                    break
            else:
                return MISSING
        elif isinstance(here, list) and rest[0].isdecimal() and int(rest[0]) < len(here):
            here, rest = here[int(rest[0])], rest[1:]
        else:
            return MISSING
    return here


def fields_of(row: Mapping[str, Any], depth: int = 2) -> list[str]:
    """Return the dotted paths of a row, for messages."""
    paths: list[str] = []
    for name, value in row.items():
        paths.append(name)
        if isinstance(value, dict) and depth > 1:
            paths += [f"{name}.{inner}" for inner in fields_of(value, depth - 1)]
    return paths


def near(name: str, names: Iterable[str], otherwise: str) -> str:
    """Return a question with the closest name, or what else may be done."""
    found = difflib.get_close_matches(name, list(names), n=1, cutoff=0.6)
    return f"did you mean {found[0]!r}?" if found else otherwise


def shown(names: Collection[str]) -> str:
    """Return names as text, cut when there are many."""
    listed = ", ".join(repr(name) for name in list(names)[:_MAX_FIELDS_SHOWN])
    return listed + (", ..." if len(names) > _MAX_FIELDS_SHOWN else "")


def canonical(value: Any) -> str:
    """Return JSON that is equal for equal values: ASCII, compact, integers and floats exact.

    Keys keep their order: whoever shows an object to a model shows it in an order.

    Raises:
        ValueError: For numbers that are not finite.
    """
    return _ENCODER.encode(value)


def non_finite(value: Any, path: str = "") -> str | None:
    """Return the dotted path of the first number that is not finite, with the number."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"{path or 'the value'} is {value}"
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in entries:
        found = non_finite(entry, f"{path}.{key}" if path else str(key))
        if found is not None:
            return found
    return None


def plain(value: Any) -> Any:
    """Return foreign data (from Python, pandas, Parquet, Excel) as plain JSON data; not-a-number is null."""
    if value is None or isinstance(value, str | bool | int):
        return value if type(value) in (str, bool, int, type(None)) else _unwrap(value)
    if isinstance(value, float):
        return None if math.isnan(value) else float(value)
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, _SEQUENCES):
        return [plain(entry) for entry in value]
    return _foreign(value)


_SEQUENCES = (list, tuple)
_SETS = (set, frozenset)


def _unwrap(value: Any) -> Any:
    """Return the plain value of a subclass of a plain type, for instance of an enumeration."""
    if isinstance(value, str):
        return str.__str__(value)
    return int(value)


def _foreign(value: Any) -> Any:
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    if isinstance(value, dt.date | dt.time):
        return None if str(value) == "NaT" else value.isoformat()
    if isinstance(value, decimal.Decimal):
        if value.is_nan():
            return None
        return int(value) if value == value.to_integral_value() and value.as_tuple().exponent == 0 else float(value)
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return base64.b64encode(value).decode()
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return plain(value.tolist())
    if hasattr(value, "model_dump"):
        return plain(value.model_dump(mode="json"))
    if isinstance(value, _SETS):
        return sorted((plain(entry) for entry in value), key=repr)
    return str(value)
