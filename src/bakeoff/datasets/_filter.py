"""Conditions in SQL over the fields of a row, evaluated by DuckDB with every door closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from bakeoff.datasets._source import Row


class Filter:
    paths: tuple[str, ...] = ()

    def __init__(self, text: str, label: str) -> None:
        raise NotImplementedError

    def values(self, row: Row) -> tuple[str | None, ...]:
        raise NotImplementedError

    def places(self, draft: Path) -> npt.NDArray[np.int64]:
        raise NotImplementedError
