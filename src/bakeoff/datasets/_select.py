"""Splits and samples that depend on ids and the seed alone."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from bakeoff.datasets._values import MISSING, failure, fields_of, look_up, near, shown

if TYPE_CHECKING:
    from bakeoff.datasets._mapping import Mapped
    from bakeoff.datasets._source import Row
    from bakeoff.datasets._spec import DatasetSpec, SplitSpec

__all__ = ["Splitter", "draw", "threshold"]


def draw(purpose: str, seed: int, key: str) -> int:
    """Return a number in [0, 2**63) that looks random and is always the same for the same arguments."""
    digest = hashlib.sha256(f"{purpose}:{seed}:{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


class Splitter:
    """Says which items are in the part that is used."""

    def __init__(self, spec: SplitSpec, seed: int, label: str) -> None:
        self._spec = spec
        self._seed = seed
        self._label = label
        self._low, self._high = _bounds(spec)
        self.parts: dict[str, int] = {}
        """Rows by the name of their part, for messages."""

    def row_in(self, row: Row) -> bool:
        """Whether a row is in the part, by its field."""
        path = self._spec.field
        if path is None:
            return True
        value = look_up(row.data, path)
        if value is MISSING:
            fields = fields_of(row.data)
            fix = near(path, fields, "name the field in `split: {field: ..., use: ...}`, or give shares")
            raise failure(f"{row.where(self._label)} has no field {path!r} to split by; it has {shown(fields)}", fix)
        part = str(value)
        self.parts[part] = self.parts.get(part, 0) + 1
        return part == self._spec.use

    def item_in(self, item: Mapped) -> bool:
        """Whether an item is in the part, by its hash; a cluster stays together."""
        if self._spec.field is not None:
            return True
        key = f"id:{item.id}" if item.cluster is None else f"cluster:{item.cluster}"
        return self._low <= draw("split", self._seed, key) / 2**63 < self._high

    def why_empty(self) -> str:
        """Return what there was instead."""
        return f"the field {self._spec.field!r} has {shown(self.parts)}" if self._spec.field else "the share is small"


def _bounds(spec: SplitSpec) -> tuple[float, float]:
    low = 0.0
    for name, share in spec.shares.items():
        high = low + share
        if name == spec.use:
            # Shares that add up to one reach the end, whatever rounding did.
            return low, 2.0 if high > 1 - 1e-9 else high
        low = high
    return 0.0, 0.0


def threshold(spec: DatasetSpec, count: int) -> int | None:
    """Return how many of `count` items the sample keeps; `None` for all."""
    if spec.sample is None:
        return None
    wanted = round(spec.sample * count) if spec.sample <= 1 and isinstance(spec.sample, float) else int(spec.sample)
    return max(wanted, 1) if wanted < count else None
