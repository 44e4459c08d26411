"""Conditions in SQL over the fields of a row, evaluated by DuckDB with every door closed.

The condition is parsed first, so that only an expression over fields gets through: no subquery, no window, no
function that reads the surroundings or gives another answer tomorrow. It then runs on an in-memory connection
without access to files or network, and with a memory limit. A column has one type in the whole data set, found
while reading, so that the answer does not depend on how the rows are cut into batches.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from bakeoff.datasets._values import MISSING, canonical, failure, fields_of, look_up, near, shown
from bakeoff.datasets._write import read_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import duckdb
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from bakeoff.datasets._source import Row

__all__ = ["Filter"]

_ALLOWED = frozenset(
    ("BETWEEN", "CASE", "CAST", "COLLATE", "COLUMN_REF", "COMPARISON", "CONJUNCTION", "CONSTANT", "FUNCTION", "LAMBDA")
) | {"OPERATOR", "TYPE"}
_REFUSED_FUNCTIONS = frozenset(("getenv", "getvariable", "current_setting", "nextval", "currval", "error", "today"))
_NUMERIC = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*")
_HELP = "write a condition over the fields, for instance `language = 'en' and length(text) < 500`"


class Filter:
    """A condition, and the values of the fields that it needs."""

    def __init__(self, text: str, label: str) -> None:
        self._text = text
        self._label = label
        self.paths = _parse(text)
        """Names of the fields, each as the parts of its path."""
        self._keys: list[str] | None = None
        self._kinds: list[set[str]] = [set() for _ in self.paths]
        self._seen = [False for _ in self.paths]
        self._first: Mapping[str, Any] = {}

    def values(self, row: Row) -> tuple[str | None, ...]:
        """Return the values of the fields in this row, as JSON; `None` where there is none."""
        data = row.data
        if self._keys is None:
            self._first = data
            self._keys = [_as_written(path, data) for path in self.paths]
        found: list[str | None] = []
        for index, key in enumerate(self._keys):
            value = data[key] if key in data else look_up(data, key)
            if value is MISSING:
                found.append(None)
                continue
            self._seen[index] = True
            self._kinds[index].add(_kind(value))
            try:
                found.append(None if value is None else canonical(value))
            except (ValueError, RecursionError):
                fix = "leave the field out of the filter"
                raise failure(f"{row.where(self._label)}: {key!r} cannot be filtered by", fix) from None
        return tuple(found)

    def places(self, draft: Path) -> npt.NDArray[np.int64]:
        """Return the places in a draft of the rows for which the condition is true.

        Raises:
            DatasetError: A field is not there, or the condition makes no sense for the values.
        """
        import duckdb

        self._check_fields()
        attempts = [[_sql_kind(kinds - {"number-text"}, kinds) for kinds in self._kinds]]
        numeric = [
            "double" if kinds - {"null"} == {"number-text"} else kind
            for kinds, kind in zip(self._kinds, attempts[0], strict=True)
        ]
        if numeric != attempts[0]:
            attempts.append(numeric)  # in a CSV file, numbers are text
        problem: duckdb.Error | None = None
        for kinds in attempts:
            try:
                return self._evaluate(draft, kinds)
            except duckdb.BinderException as error:
                problem = problem or error
            except duckdb.Error as error:
                problem = error
        fields = ", ".join(f"{'.'.join(path)} ({kind})" for path, kind in zip(self.paths, attempts[0], strict=True))
        message = str(problem).split("\n")[0]
        fix = f"correct it; the fields in it are {fields}" if fields else _HELP
        if "explicit cast" in message:
            fix += f"; to compare as numbers: `cast({'.'.join(self.paths[0])} as double) > 3`"
        raise failure(f"{self._label}: the filter {self._text!r} does not fit: {message}", fix)

    def _check_fields(self) -> None:
        for path, seen in zip(self.paths, self._seen, strict=True):
            if not seen:
                name = ".".join(path)
                fields = fields_of(self._first)
                fix = near(name, fields, "text stands in 'single quotes', a field name in \"double quotes\" or bare")
                message = f"{self._label}: the filter names {name!r}, which no row has; the fields are {shown(fields)}"
                raise failure(message, fix)

    def _evaluate(self, draft: Path, kinds: Sequence[str]) -> npt.NDArray[np.int64]:
        import numpy as np

        query = (
            f"SELECT place FROM (SELECT place, {_columns(self.paths, kinds)} FROM batch) AS rows WHERE ({self._text}\n)"  # noqa: S608 - the text is parsed and fenced, see `_parse`
        )
        found: list[npt.NDArray[np.int64]] = []
        connection = _connect()
        try:
            for batch in _batches(draft, kinds):
                connection.register("batch", batch)
                hits = connection.execute(query).fetchall()
                found.append(np.array([hit[0] for hit in hits], dtype=np.int64))
        finally:
            connection.close()
        return np.sort(np.concatenate(found)) if found else np.empty(0, dtype=np.int64)


def _connect() -> duckdb.DuckDBPyConnection:
    import duckdb

    connection = duckdb.connect(config={"memory_limit": "256MB", "threads": "1", "enable_external_access": "false"})
    connection.execute("SET lock_configuration = true")
    return connection


def _parse(text: str) -> list[tuple[str, ...]]:
    """Return the fields of a condition, once each.

    Raises:
        DatasetError: It is not a plain condition.
    """
    connection = _connect()
    try:
        statement = f"SELECT 1 FROM rows WHERE ({text}\n)"  # noqa: S608 - parsed, not run
        answer = connection.execute("SELECT json_serialize_sql(?)", [statement]).fetchone()
        assert answer is not None
        parsed = json.loads(answer[0])
        if parsed["error"]:
            raise failure(f"the filter {text!r} is not SQL: {parsed['error_message']}", _HELP)
        node = parsed["statements"][0]["node"]
        rest = [node.get(key) for key in ("group_expressions", "having", "sample", "qualify", "modifiers")]
        if len(parsed["statements"]) != 1 or node["type"] != "SELECT_NODE" or any(rest):
            raise failure(f"the filter {text!r} is more than a condition", _HELP)
        names, functions, bound = _walk(node["where_clause"], text)
        _check_functions(connection, functions, text)
    finally:
        connection.close()
    paths = list(dict.fromkeys(name for name in names if not (len(name) == 1 and name[0] in bound)))
    tops = {path[0] for path in paths if len(path) == 1}
    both = next((path for path in paths if len(path) > 1 and path[0] in tops), None)
    if both is not None:
        fix = f"write {both[0]} ->> '{both[1]}' instead of {'.'.join(both)}"
        raise failure(f"the filter {text!r} uses {both[0]!r} as a whole and in parts", fix)
    return paths


def _walk(node: Any, text: str) -> tuple[list[tuple[str, ...]], set[str], set[str]]:
    """Return the column names, the functions and the parameters of lambdas in an expression."""
    names: list[tuple[str, ...]] = []
    functions: set[str] = set()
    bound: set[str] = set()
    for part in _nodes(node):
        kind = part["class"]
        if kind not in _ALLOWED:
            raise failure(f"the filter {text!r} has a {kind.lower()}, which is not available", _HELP)
        if kind == "COLUMN_REF":
            names.append(tuple(part["column_names"]))
        elif kind == "FUNCTION":
            functions.add(part["function_name"].lower())
        elif kind == "LAMBDA":
            bound |= {name for inner in _nodes(part["lhs"]) for name in inner.get("column_names", ())}
    return names, functions, bound


def _nodes(node: Any) -> Iterator[dict[str, Any]]:
    stack = [node]
    while stack:
        here = stack.pop()
        if isinstance(here, dict):
            if "class" in here:
                yield here
            stack.extend(reversed(list(here.values())))
        elif isinstance(here, list):
            stack.extend(reversed(here))


def _check_functions(connection: duckdb.DuckDBPyConnection, functions: set[str], text: str) -> None:
    query = "SELECT DISTINCT function_name FROM duckdb_functions() WHERE stability <> 'CONSISTENT'"
    unstable = {name for (name,) in connection.execute(query).fetchall()} | _REFUSED_FUNCTIONS
    refused = sorted(functions & unstable)
    if refused:
        fix = "a filter looks at the fields alone; draw at random with `sample`"
        raise failure(f"the filter {text!r} uses {refused[0]}(), which is not available", fix)


def _as_written(path: tuple[str, ...], row: Mapping[str, Any]) -> str:
    """Return the field as it is written in the data: SQL does not look at the case of letters."""
    name = ".".join(path)
    if look_up(row, name) is not MISSING:
        return name
    same = [field for field in fields_of(row, depth=len(path)) if field.lower() == name.lower()]
    return same[0] if len(same) == 1 else name


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, str):
        return "number-text" if _NUMERIC.fullmatch(value) else "null" if not value else "text"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "bigint" if -(2**63) <= value < 2**63 else "double"
    if isinstance(value, float):
        return "double"
    if isinstance(value, list):
        inner = {_kind(entry) for entry in value} - {"null"}
        kind = _sql_kind({"text" if entry == "number-text" else entry for entry in inner}, inner)
        return "json" if kind in ("json", "mixed") or kind.endswith("[]") else f"{kind}[]"
    return "json"


def _sql_kind(kinds: set[str], seen: set[str]) -> str:
    """Return the one type of a column that has values of these kinds."""
    real = kinds - {"null"} | ({"text"} if "number-text" in seen else set())
    if real <= {"text"}:
        return "text"
    if len(real) == 1:
        return next(iter(real))
    if real == {"bigint", "double"}:
        return "double"
    if all(kind.endswith("[]") for kind in real):
        return "json" if len(real - {"text[]"}) > 1 else "text[]" if real == {"text[]"} else "json"
    return "json" if any(kind == "json" or kind.endswith("[]") for kind in real) else "mixed"


def _batches(draft: Path, kinds: Sequence[str]) -> Iterator[pa.Table]:
    import pyarrow as pa

    place = 0
    names = [f"f{index}" for index in range(len(kinds))]
    for rows, *texts in read_rows(draft, ["row", *names]):
        columns: dict[str, pa.Array[Any]] = {"place": pa.array(range(place, place + len(rows)), pa.int64())}
        for name, column, kind in zip(names, texts, kinds, strict=True):
            columns[name] = _typed(column, kind)
        place += len(rows)
        yield pa.table(columns)


def _typed(texts: list[str | None], kind: str) -> pa.Array[Any]:
    import pyarrow as pa

    scalar = {"boolean": pa.bool_(), "bigint": pa.int64(), "double": pa.float64()}.get(
        kind.removesuffix("[]"), pa.string()
    )
    if kind == "json":
        return pa.array(texts, pa.string())
    values = [None if text is None else json.loads(text) for text in texts]
    if kind.endswith("[]"):
        return pa.array(
            [None if value is None else [_cast(one, kind[:-2]) for one in value] for value in values], pa.list_(scalar)
        )
    return pa.array([_cast(value, kind) for value in values], scalar)


def _cast(value: Any, kind: str) -> Any:
    if value is None or kind in ("boolean", "bigint"):
        return value
    if kind == "double":
        return None if value == "" else float(value)
    text = value if isinstance(value, str) else canonical(value)
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _columns(paths: Sequence[tuple[str, ...]], kinds: Sequence[str]) -> str:
    """Return the select list that gives each field its name; parts of an object become a structure."""
    tree: dict[str, Any] = {}
    for index, (path, kind) in enumerate(zip(paths, kinds, strict=True)):
        here = tree
        for part in path[:-1]:
            here = here.setdefault(part, {})
        here[path[-1]] = f"CAST(f{index} AS JSON)" if kind == "json" else f"f{index}"
    return ", ".join(f"{_expression(value)} AS {_quoted(name)}" for name, value in tree.items()) or "1 AS one"


def _expression(value: str | dict[str, Any]) -> str:
    if isinstance(value, str):
        return value
    return "struct_pack(" + ", ".join(f"{_quoted(name)} := {_expression(part)}" for name, part in value.items()) + ")"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
