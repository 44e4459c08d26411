"""Columns without pandas; the oracle is `pyarrow.array`."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff._arrow import column, floats

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
KINDS: list[tuple[Callable[[], pa.DataType], st.SearchStrategy[Any]]] = [
    (pa.string, TEXT),
    (pa.large_string, TEXT),
    (pa.bool_, st.booleans()),
    (pa.int32, st.integers(-(2**31), 2**31 - 1)),
    (pa.int64, st.integers(-(2**63), 2**63 - 1)),
    (pa.float64, st.floats()),
]


@pytest.mark.parametrize(("kind", "values"), KINDS, ids=lambda part: getattr(part, "__name__", ""))
@settings(deadline=None)
@given(data=st.data())
def test_the_same_as_arrows_own(
    kind: Callable[[], pa.DataType], values: st.SearchStrategy[Any], data: st.DataObject
) -> None:
    entries = data.draw(st.lists(st.none() | values, max_size=40))
    found = column(entries, kind())
    found.validate(full=True)
    expected = pa.array(entries, kind(), from_pandas=False)
    assert found.null_count == expected.null_count
    assert repr(found.to_pylist()) == repr(expected.to_pylist()), "compared as text: nan is not equal to itself"


def test_an_integer_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(OverflowError):
        column([2**40], pa.int32())


def test_it_does_not_import_pandas() -> None:
    code = "import sys, pyarrow as pa; from bakeoff._arrow import column; "
    code += "column(['a', None], pa.string()), column([1, None], pa.int64()), column([0.5], pa.float64());"
    subprocess.run([sys.executable, "-c", code + "assert 'pandas' not in sys.modules"], check=True)


@pytest.mark.parametrize(("kind", "values"), KINDS[2:5], ids=["bool", "int32", "int64"])
@settings(deadline=None)
@given(data=st.data())
def test_floats_reads_chunks_slices_and_nulls(
    kind: Callable[[], pa.DataType], values: st.SearchStrategy[Any], data: st.DataObject
) -> None:
    chunks = data.draw(st.lists(st.lists(st.none() | values, max_size=20), max_size=4))
    skipped = data.draw(st.integers(0, 5))
    arrays = [pa.array(chunk, kind()).slice(skipped) for chunk in chunks]
    expected = [float("nan") if value is None else float(value) for chunk in chunks for value in chunk[skipped:]]
    assert repr(floats(pa.chunked_array(arrays, kind())).tolist()) == repr(expected)
