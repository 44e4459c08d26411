"""From a row of the source to the fields of an item."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from bakeoff.datasets._values import MISSING, failure, fields_of, look_up, near, shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bakeoff.datasets._source import Row
    from bakeoff.datasets._spec import DatasetSpec

__all__ = ["Mapped", "Mapper"]


class Mapped(NamedTuple):
    """The fields of one item; the objects in a canonical order of names."""

    id: str
    inputs: dict[str, Any]
    expected: Any
    metadata: dict[str, Any]
    cluster: str | None
    weight: float | None
    recorded: dict[str, Any]


@dataclass(slots=True)
class Mapper:
    """Maps rows; learns from the first row which fields there are."""

    spec: DatasetSpec
    recorded: Sequence[str]
    label: str
    """What the rows come from, for messages."""
    _first: Mapping[str, Any] | None = None
    _inputs: dict[str, str] | None = None
    _metadata: dict[str, str] | None = None
    _id: str | None = None
    _elsewhere: frozenset[str] = frozenset()
    _unseen: set[str] = field(default_factory=set)
    """Optional fields that the description names and no row has had so far."""

    def map(self, row: Row) -> Mapped:
        """Return the item of a row.

        Raises:
            DatasetError: A field is missing, or its value is none that its role allows.
        """
        data = row.data
        if self._first is None:
            self._learn(data)
        return Mapped(
            id=self._id_of(row),
            inputs=self._inputs_of(row),
            expected=self._optional(data, self.spec.expected or "expected"),
            metadata=self._metadata_of(data),
            cluster=self._cluster_of(row),
            weight=self._weight_of(row),
            recorded=self._recorded_of(data),
        )

    def finish(self, rows: int) -> None:
        """Complain about fields that none of the rows had.

        Raises:
            DatasetError: The description names a field that is nowhere.
        """
        for path in sorted(self._unseen):
            fields = fields_of(self._first or {})
            fix = near(path, fields, "correct the name in `dataset:`")
            message = f"{self.label}: none of {rows:,} rows has the field {path!r}; the first has {shown(fields)}"
            raise failure(message, fix)

    def _learn(self, data: Mapping[str, Any]) -> None:
        spec = self.spec
        self._first = data
        self._inputs = _named(spec.inputs, data, self.label)
        self._metadata = _named(spec.metadata, data, self.label)
        self._id = spec.id or ("id" if "id" in data else None)
        optional = [spec.expected, spec.cluster, spec.weight, *(self._metadata or {}).values(), *self.recorded]
        self._unseen = {path for path in optional if path is not None}
        split = spec.split.field if spec.split is not None else None
        mapped = [self._id, spec.expected or "expected", split, *self._unseen]
        if spec.metadata is None and isinstance(data.get("metadata"), dict):
            mapped.append("metadata")
        # The whole field is kept from the target: `answer.text` is expected, `answer.hint` would give it away.
        self._elsewhere = frozenset(name for path in mapped if path for name in (path, path.split(".")[0]))

    def _missing(self, row: Row, path: str) -> Exception:
        fields = fields_of(row.data)
        fix = near(path, fields, "add the field, or correct the name in `dataset:`")
        return failure(f"{row.where(self.label)} has no field {path!r}; it has {shown(fields) or 'no fields'}", fix)

    def _optional(self, data: Mapping[str, Any], path: str) -> Any:
        value = data.get(path, MISSING) if path in data else look_up(data, path)
        if value is MISSING:
            return None
        self._unseen.discard(path)
        return value

    def _id_of(self, row: Row) -> str:
        path = self._id
        if self.spec.id is None and self.spec.filter is not None:
            path = "id" if "id" in row.data else None  # the first row may be one that is dropped
        if path is None:
            if "id" in row.data:
                fix = "give every row an id, or name the field in `id:`"
                raise failure(f"{row.where(self.label)} has the field 'id', but the first row has none", fix)
            return str(row.number)
        value = look_up(row.data, path)
        if value is MISSING:
            raise self._missing(row, path)
        text = _name(value)
        if not text:
            message = f"{row.where(self.label)}: the id {path!r} is {value!r}"
            raise failure(message, "an id is text or a whole number; name another field in `id:`")
        return text

    def _inputs_of(self, row: Row) -> dict[str, Any]:
        data = row.data
        if self._inputs is None:
            given = data.get("inputs")
            if isinstance(given, dict) and "inputs" not in self._elsewhere:
                return dict(sorted(given.items()))
            return {name: data[name] for name in sorted(data) if name not in self._elsewhere}
        inputs: dict[str, Any] = {}
        for name, path in self._inputs.items():
            value = data[path] if path in data else look_up(data, path)
            if value is MISSING:
                raise self._missing(row, path)
            inputs[name] = value
        return inputs

    def _metadata_of(self, data: Mapping[str, Any]) -> dict[str, Any]:
        if self._metadata is None:
            given = data.get("metadata")
            return dict(sorted(given.items())) if isinstance(given, dict) and "metadata" in self._elsewhere else {}
        return {name: self._optional(data, path) for name, path in self._metadata.items()}

    def _cluster_of(self, row: Row) -> str | None:
        if self.spec.cluster is None:
            return None
        value = self._optional(row.data, self.spec.cluster)
        if value is None or value == "":
            return None
        text = _name(value)
        if text is None:
            message = f"{row.where(self.label)}: the cluster {self.spec.cluster!r} is {value!r}"
            raise failure(message, "a cluster is text or a number")
        return text

    def _weight_of(self, row: Row) -> float | None:
        if self.spec.weight is None:
            return None
        value = self._optional(row.data, self.spec.weight)
        if value is None or value == "":
            return None
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not (math.isfinite(number) and number >= 0):
            message = f"{row.where(self.label)}: the weight {self.spec.weight!r} is {value!r}"
            raise failure(message, "a weight is a finite number >= 0")
        return number

    def _recorded_of(self, data: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for path in self.recorded:
            value = look_up(data, path)
            if value is not MISSING:
                self._unseen.discard(path)
                found[path] = value
        return found


def _name(value: Any) -> str | None:
    """Return an id or cluster as text: 7, 7.0 and '7' are the same; `None` for what cannot be one."""
    if isinstance(value, str):
        # Parquet holds UTF-8, which has no lone surrogates: `\ud800` stands there in letters.
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value)) if value.is_integer() else repr(value)
    return None


def _named(
    given: str | Sequence[str] | Mapping[str, str] | None, first: Mapping[str, Any], label: str
) -> dict[str, str] | None:
    """Return name -> path, sorted by name; a list names each field by the last part of its path."""
    if given is None:
        return None
    if isinstance(given, str):
        given = [given]
    if not isinstance(given, dict):
        named: dict[str, str] = {}
        for path in given:
            name = path if path in first else path.rpartition(".")[2]
            if name in named:
                message = f"{label}: the fields {named[name]!r} and {path!r} would both be named {name!r}"
                raise failure(message, f"name them yourself, for instance `first: {named[name]}`")
            named[name] = path
        given = named
    return dict(sorted(given.items()))
