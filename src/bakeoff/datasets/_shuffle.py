"""A random order that depends on ids and a seed alone, for more rows than fit into memory.

A bucket sort: each row goes to the bucket of its key, on disk; then bucket after bucket is sorted and handed out.
Keys are hashes, so buckets are of nearly equal size whatever the ids look like.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["shuffle_key", "shuffled_rows"]

_BUFFER_BYTES = 16_000_000
_BUCKET_BYTES = 8_000_000
_BUCKET_ROWS = 20_000
_MAX_BUCKETS = 4096


def shuffle_key(seed: int, identity: str) -> str:
    """Return what an id sorts by under a seed: the MD5 of `seed:id` as hexadecimal digits."""
    return hashlib.md5(f"{seed}:{identity}".encode(), usedforsecurity=False).hexdigest()


def shuffled_rows(rows: Iterable[tuple[Any, ...]], *, seed: int, count: int, size: int) -> Iterator[tuple[Any, ...]]:
    """Yield rows, whose first value is the id, in the order of their keys.

    Args:
        rows: Rows of plain values.
        seed: Of the order.
        count: Number of rows.
        size: Characters of all rows together, roughly.
    """
    buckets = min(max(count // _BUCKET_ROWS, size // _BUCKET_BYTES) + 1, _MAX_BUCKETS)
    if buckets == 1:
        yield from _sorted(rows, seed)
        return
    with tempfile.TemporaryDirectory(prefix="bakeoff-") as folder:
        files = [Path(folder) / str(index) for index in range(buckets)]
        _distribute(rows, files, seed)
        for file in files:
            if file.exists():
                yield from _sorted((tuple(orjson.loads(line)) for line in _lines(file)), seed)
                file.unlink()


def _sorted(rows: Iterable[tuple[Any, ...]], seed: int) -> list[tuple[Any, ...]]:
    return sorted(rows, key=lambda row: (shuffle_key(seed, row[0]), row[0]))


def _distribute(rows: Iterable[tuple[Any, ...]], files: list[Path], seed: int) -> None:
    # One buffer for each bucket: small pieces kept one by one take ten times their length.
    waiting = [bytearray() for _ in files]
    size = 0
    for row in rows:
        line = orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
        bucket = int(shuffle_key(seed, row[0])[:8], 16) * len(files) >> 32
        waiting[bucket] += line
        size += len(line)
        if size > _BUFFER_BYTES:
            _flush(waiting, files)
            size = 0
    _flush(waiting, files)


def _flush(waiting: list[bytearray], files: list[Path]) -> None:
    for buffer, file in zip(waiting, files, strict=True):
        if buffer:
            with file.open("ab") as out:
                out.write(buffer)
            buffer.clear()


def _lines(file: Path) -> Iterator[bytes]:
    with file.open("rb") as lines:
        yield from lines
