"""Read Inspect logs: `.eval` archives and `.json` files."""

from __future__ import annotations

import json
import struct
import zipfile
from typing import TYPE_CHECKING, Any

from bakeoff.errors import SpecError
from bakeoff.regression._import_types import ImportedRun, ImportedTrial

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["read_inspect"]

_ZSTD = 93
_MAX_MEMBER = 512 * 2**20
_VALUES: dict[str, bool | float] = {"C": True, "I": False, "P": 0.5, "N": False}
"""Correct, incorrect, partial, no answer: what Inspect's own accuracy counts."""


def read_inspect(path: Path) -> ImportedRun:
    """Read one log: a sample is an item, an epoch a repeat, a scorer a metric.

    Raises:
        SpecError: The file is no Inspect log, or its run did not finish.
    """
    header, samples = _archive(path) if zipfile.is_zipfile(path) else _json(path)
    about = header.get("eval")
    if not isinstance(about, dict) or not isinstance(about.get("model"), str):
        raise SpecError(f"{str(path)!r} is no Inspect log: it has no `eval` section with a `model`")
    if not samples:
        raise SpecError(f"the Inspect log {str(path)!r} has no samples (its status is {header.get('status')!r})")
    version = str(about.get("task_version", ""))
    trials = [_trial(sample, about["model"]) for sample in samples]
    names = {name for trial in trials for name in trial.scores}
    notes = [] if header.get("status") == "success" else [f"the log says {header.get('status')!r}, not 'success'"]
    return ImportedRun(
        name=str(about.get("task") or path.stem), format="inspect", trials=trials,
        versions=dict.fromkeys(names, f"inspect-{version}"), created_at=about.get("created"), notes=notes,
    )  # fmt: skip


def _json(path: Path) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
    try:
        data = json.loads(path.read_bytes())
    except ValueError as error:
        raise SpecError(f"{str(path)!r} is no Inspect log: {error}") from None
    if not isinstance(data, dict):
        raise SpecError(f"{str(path)!r} is no Inspect log")
    return data, list(data.get("samples") or [])


def _archive(path: Path) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
    with zipfile.ZipFile(path) as archive, path.open("rb") as raw:
        members = {info.filename: info for info in archive.infolist()}
        if "header.json" not in members:
            raise SpecError(f"the Inspect log {str(path)!r} has no header: its run did not finish")
        header = json.loads(_member(archive, raw, members["header.json"]))
        samples = [
            json.loads(_member(archive, raw, info))
            for name, info in sorted(members.items())
            if name.startswith("samples/") and name.endswith(".json")
        ]
    return header, samples


def _member(archive: zipfile.ZipFile, raw: Any, info: zipfile.ZipInfo) -> bytes:
    """Read a member, also where it is compressed by Zstandard, which the standard library cannot read yet."""
    if info.file_size > _MAX_MEMBER:
        raise SpecError(f"the member {info.filename!r} is larger than {_MAX_MEMBER >> 20} MiB")
    if info.compress_type != _ZSTD:
        return archive.read(info)
    import pyarrow as pa

    raw.seek(info.header_offset)
    head = raw.read(30)
    name_length, extra_length = struct.unpack("<HH", head[26:30])
    raw.seek(info.header_offset + 30 + name_length + extra_length)
    packed = raw.read(info.compress_size)
    return bytes(pa.CompressedInputStream(pa.BufferReader(packed), "zstd").read(info.file_size))


def _trial(sample: Mapping[str, Any], model: str) -> ImportedTrial:
    scores: dict[str, bool | int | float | str | None] = {}
    reasons: dict[str, str] = {}
    for name, score in (sample.get("scores") or {}).items():
        value = score.get("value")
        parts = {f"{name}.{key}": part for key, part in value.items()} if isinstance(value, dict) else {name: value}
        for metric, part in parts.items():
            scores[metric] = _VALUES.get(part, part) if isinstance(part, str) else _number(part)
            if score.get("explanation"):
                reasons[metric] = str(score["explanation"])[:500]
    usage = list((sample.get("model_usage") or {}).values())
    error = sample.get("error")
    return ImportedTrial(
        variant=model,
        item=str(sample["id"]),
        repeat=int(sample.get("epoch", 1)) - 1,
        inputs={"input": _text(sample.get("input"))},
        expected=sample.get("target"),
        output=(sample.get("output") or {}).get("completion", ""),
        scores=scores,
        reasons=reasons,
        error=None if not error else str(error.get("message") if isinstance(error, dict) else error),
        metadata={key: value for key, value in (sample.get("metadata") or {}).items() if _is_plain(value)},
        latency_ms=1000 * sample["total_time"] if isinstance(sample.get("total_time"), int | float) else None,
        input_tokens=sum(int(entry.get("input_tokens") or 0) for entry in usage),
        output_tokens=sum(int(entry.get("output_tokens") or 0) for entry in usage),
        model=model,
    )


def _number(value: Any) -> bool | float | None:
    return value if isinstance(value, bool) else float(value) if isinstance(value, int | float) else None


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, str | int | float | bool)


def _text(given: Any) -> Any:
    if not isinstance(given, list):
        return given
    parts = []
    for message in given:
        content = message.get("content", "") if isinstance(message, dict) else str(message)
        if isinstance(content, list):
            content = " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
        parts.append(str(content))
    return "\n\n".join(parts)
