"""Journal events as Arrow tables: the shape that is sealed to Parquet and that every reader gets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

from bakeoff._arrow import column
from bakeoff.experiments._json import dumps, loads

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

__all__ = ["SCORE_COLUMNS", "TRIAL_COLUMNS", "JournalIndex", "empty_tables", "tables_of_journal"]

TRIAL_COLUMNS: dict[str, str] = {
    "variant": "string",
    "item_id": "string",
    "item": "int64",
    "repeat": "int32",
    "ok": "bool",
    "error_kind": "string",
    "error": "string",
    "output": "string",
    "output_type": "string",
    "input_tokens": "int64",
    "output_tokens": "int64",
    "cached_tokens": "int64",
    "reasoning_tokens": "int64",
    "tokens_estimated": "bool",
    "cost_usd": "float64",
    "latency_ms": "float64",
    "ttft_ms": "float64",
    "attempts": "int32",
    "route": "string",
    "cached": "bool",
    "model": "string",
    "finish_reason": "string",
    "fingerprint": "string",
    "fallback_from": "string",
    "tool_calls": "string",
    "trace": "string",
    "guards": "string",
    "messages": "string",
    "answered_at": "float64",
}
"""Columns of `trials`, in order. `output` is text, or JSON where `output_type` is `json`; times are UNIX seconds.
`messages` is what was sent: once for each variant and item, on one of the repeats."""

SCORE_COLUMNS: dict[str, str] = {
    "variant": "string",
    "item_id": "string",
    "item": "int64",
    "repeat": "int32",
    "metric": "string",
    "value": "float64",
    "label": "string",
    "type": "string",
    "reason": "string",
    "error": "string",
    "evaluator": "string",
    "version": "string",
    "cost_usd": "float64",
    "confidence": "float64",
    "escalated": "string",
    "votes": "string",
}
"""Columns of `scores`. A missing score has neither `value` nor `label`, and says why in `error`.
`escalated` says why a person should look, where one should. `votes` is JSON, `[[juror, value], ...]`, for a jury."""

_CHUNK = 4096
_CHUNK_BYTES = 1 << 26


def _schema(columns: dict[str, str]) -> pa.Schema:
    import pyarrow as pa

    kinds = {
        "string": pa.string(), "int64": pa.int64(), "int32": pa.int32(), "float64": pa.float64(), "bool": pa.bool_()
    }  # fmt: skip
    return pa.schema([(name, kinds[kind]) for name, kind in columns.items()])


def empty_tables() -> tuple[pa.Table, pa.Table]:
    """Return `trials` and `scores` without rows."""
    import pyarrow as pa

    trials, scores = (pa.Table.from_batches([], _schema(columns)) for columns in (TRIAL_COLUMNS, SCORE_COLUMNS))
    return trials, scores


class JournalIndex:
    """Where the event that counts for each trial stands in a journal.

    A later event of the same trial (a retry) replaces the earlier one together with its scores; scores that came
    after their trial are found beside it. Holds offsets only, so a long run costs memory by trial, not by output.
    """

    def __init__(self, variants: Sequence[str]) -> None:
        self._variant = {name: index for index, name in enumerate(variants)}
        self._trials: dict[int, int] = {}
        self._scores: dict[int, int] = {}
        self.offset = 0
        self.others: list[dict[str, Any]] = []
        """Events that are no trials: sessions, charges, decisions, each with `at`, its offset."""

    def __len__(self) -> int:
        return len(self._trials)

    def scan(self, path: Path) -> None:
        """Take in what was appended since the last scan."""
        if not path.exists():
            return
        with path.open("rb") as file:
            file.seek(self.offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                at = self.offset
                self.offset += len(line)
                try:
                    event = loads(line)
                except ValueError:
                    continue
                self._note(event, at)

    def _note(self, event: dict[str, Any], at: int) -> None:
        kind = event.get("e")
        if kind not in ("trial", "score"):
            self.others.append({**event, "at": at})
            return
        variant = self._variant.setdefault(event["v"], len(self._variant))
        # One number instead of a tuple: it orders by item, variant and repeat, and a long run has many.
        key = event["k"] << 40 | variant << 20 | event["r"]
        if kind == "trial":
            self._trials[key] = at
            self._scores.pop(key, None)
        elif key in self._trials:
            self._scores[key] = at

    def events(self, path: Path) -> Iterator[tuple[dict[str, Any], list[list[Any]]]]:
        """Yield each trial's event (with `at` and `length` in bytes) and its scores, by item, variant, repeat."""
        if not self._trials:
            return
        with path.open("rb") as file:  # a memory map would count as memory, all of it
            for key in sorted(self._trials):
                trial_at, score_at = self._trials[key], self._scores.get(key)
                line = _line(file, trial_at)
                trial = loads(line)
                trial["at"], trial["length"] = trial_at, len(line)
                scores = trial.get("s", []) if score_at is None else loads(_line(file, score_at))["s"]
                yield trial, scores

    def tables(self, path: Path) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
        """Yield record batches of trials and of their scores."""
        trials: list[tuple[Any, ...]] = []
        scores: list[tuple[Any, ...]] = []
        length = 0
        for trial, rows in self.events(path):
            trials.append(_trial_row(trial))
            scores.extend(_score_row(trial, row) for row in rows)
            length += trial["length"]
            if len(trials) >= _CHUNK or length >= _CHUNK_BYTES:
                length = 0
                yield _batch(trials, TRIAL_COLUMNS), _batch(scores, SCORE_COLUMNS)
                trials.clear()
                scores.clear()
        if trials:
            yield _batch(trials, TRIAL_COLUMNS), _batch(scores, SCORE_COLUMNS)


def tables_of_journal(path: Path, variants: Sequence[str]) -> tuple[pa.Table, pa.Table]:
    """Return the trials and scores of a run in progress."""
    import pyarrow as pa

    index = JournalIndex(variants)
    index.scan(path)
    batches = list(index.tables(path))
    if not batches:
        return empty_tables()
    return pa.Table.from_batches([t for t, _ in batches]), pa.Table.from_batches([s for _, s in batches])


def _line(file: BinaryIO, at: int) -> bytes:
    file.seek(at)
    return file.readline().rstrip(b"\n")


def _batch(rows: list[tuple[Any, ...]], columns: dict[str, str]) -> pa.RecordBatch:
    import pyarrow as pa

    schema = _schema(columns)
    values = zip(*rows, strict=True) if rows else [()] * len(schema)
    arrays = [_column(entries, field) for entries, field in zip(values, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _column(entries: Sequence[Any], field: pa.Field) -> pa.Array:
    """Return a column; a value of the wrong kind, from a target of the user, must not keep a run from its seal."""
    try:
        return column(entries, field.type)
    except (AttributeError, OverflowError, TypeError, ValueError):
        return column([_fitted(value, str(field.type)) for value in entries], field.type)


def _fitted(value: Any, kind: str) -> Any:
    """Return a value as its column wants it, or None where it has no such form."""
    if value is None or kind == "bool":
        return value
    if kind == "string":
        return value if isinstance(value, str) else dumps(value).decode()
    if not isinstance(value, int | float):
        return None
    if kind == "double":
        return float(value)
    bits = 31 if kind == "int32" else 63
    return int(value) if abs(value) < 2**bits else None


def _trial_row(event: dict[str, Any]) -> tuple[Any, ...]:
    ok = "err" not in event
    kind, message = event.get("err", (None, None))
    output = event.get("out")
    is_text = isinstance(output, str)
    used = event.get("u", (None, None, None, None, 0))
    return (
        event["v"],
        event["i"],
        event["k"],
        event["r"],
        ok,
        kind,
        message,
        (output if is_text else dumps(output).decode()) if ok else None,
        ("text" if is_text else "json") if ok else None,
        *used[:4],
        bool(used[4]),
        event.get("cost"),
        event.get("ms"),
        event.get("ttft"),
        event.get("n"),
        event.get("route"),
        bool(event.get("hit", 0)),
        event.get("model"),
        event.get("fin"),
        event.get("fp"),
        event.get("fallback"),
        dumps(event["tools"]).decode() if "tools" in event else None,
        dumps(event["trace"]).decode() if "trace" in event else None,
        dumps(event["guards"]).decode() if "guards" in event else None,
        dumps(event["msgs"]).decode() if "msgs" in event else None,
        event["t"],
    )


def _score_row(event: dict[str, Any], row: list[Any]) -> tuple[Any, ...]:
    metric, value, reason, error, evaluator, version, cost, *asks = row
    confidence, escalated = asks[:2] or (None, None)
    votes = dumps(asks[2]).decode() if len(asks) > 2 else None
    number = label = kind = None
    if isinstance(value, bool):
        number, kind = float(value), "bool"
    elif isinstance(value, int | float):
        number, kind = float(value), "number"
    elif isinstance(value, str):
        label, kind = value, "label"
    place = (event["v"], event["i"], event["k"], event["r"])
    return (*place, metric, number, label, kind, reason, error, evaluator, version, cost, confidence, escalated, votes)
