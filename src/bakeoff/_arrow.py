"""Arrow without pandas, which `pyarrow.array` and `pyarrow.parquet.read_table` import: 0.3 s and 60 MB of a start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = ["column", "floats", "read_parquet"]

_LARGEST = 2**31 - 1


def column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Return a column of strings, booleans, integers or floats; `None` is null.

    Raises:
        OverflowError: The strings are longer than 2 GiB together, or an integer does not fit.

    Examples:
        >>> import pyarrow as pa
        >>> column(["a", None, "bc"], pa.string()).to_pylist()
        ['a', None, 'bc']
    """
    import numpy as np
    import pyarrow as pa

    size = len(values)
    missing = values.count(None)
    validity = None
    if missing:
        present = np.fromiter((value is not None for value in values), dtype=bool, count=size)
        validity = pa.py_buffer(np.packbits(present, bitorder="little"))
    is_large = pa.types.is_large_string(kind)
    if is_large or pa.types.is_string(kind):
        texts = [b"" if value is None else value.encode() for value in values]
        offsets = np.zeros(size + 1, dtype=np.int64)
        np.cumsum(np.fromiter(map(len, texts), dtype=np.int64, count=size), out=offsets[1:])
        if not is_large and offsets[-1] > _LARGEST:
            raise OverflowError(f"{int(offsets[-1]):,} bytes of text in one batch; at most {_LARGEST:,}")
        buffers = [
            validity,
            pa.py_buffer(offsets if is_large else offsets.astype(np.int32)),
            pa.py_buffer(b"".join(texts)),
        ]
    elif pa.types.is_boolean(kind):
        flags = np.fromiter((bool(value) for value in values), dtype=bool, count=size)
        buffers = [validity, pa.py_buffer(np.packbits(flags, bitorder="little"))]
    else:
        filled = [0 if value is None else value for value in values] if missing else values
        buffers = [validity, pa.py_buffer(np.array(filled, dtype=str(kind)))]
    return pa.Array.from_buffers(kind, size, buffers, null_count=missing)


def floats(values: pa.ChunkedArray | pa.Array) -> NDArray[np.float64]:
    """Return a numeric or boolean column as floats, null as nan. Exact for integers up to 2**53.

    Examples:
        >>> import pyarrow as pa
        >>> floats(column([1, None, 3], pa.int32()))
        array([ 1., nan,  3.])
    """
    import numpy as np
    import pyarrow as pa

    chunks = values.chunks if isinstance(values, pa.ChunkedArray) else [values]
    found: list[NDArray[np.float64]] = []
    for chunk in chunks:
        start, end = chunk.offset, chunk.offset + len(chunk)
        validity, data = chunk.buffers()
        if data is None or not len(chunk):
            found.append(np.full(len(chunk), np.nan))
            continue
        if pa.types.is_boolean(chunk.type):
            numbers = _bits(data, start, end).astype(np.float64)
        else:
            numbers = np.frombuffer(data, dtype=str(chunk.type), count=end)[start:].astype(np.float64)
        if validity is not None and chunk.null_count:
            numbers[_bits(validity, start, end) == 0] = np.nan
        found.append(numbers)
    return np.concatenate(found) if found else np.empty(0)


def _bits(buffer: pa.Buffer, start: int, end: int) -> NDArray[np.uint8]:
    import numpy as np

    return np.unpackbits(np.frombuffer(buffer, dtype=np.uint8), count=end, bitorder="little")[start:]


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Return a Parquet file, or some of its columns in the order that they are named."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        table = file.read(columns=None if columns is None else list(columns))
    return table if columns is None else table.select(list(columns))
