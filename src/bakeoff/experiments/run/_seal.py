"""Seal a run: the journal becomes immutable Parquet."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bakeoff.errors import StoreError
from bakeoff.experiments.store._manifest import push_to_disk, write_manifest
from bakeoff.experiments.store._tables import JournalIndex, empty_tables

if TYPE_CHECKING:
    import pyarrow as pa

    from bakeoff.experiments.store._manifest import Manifest
    from bakeoff.experiments.store._paths import RunPaths

__all__ = ["seal_run"]


def seal_run(paths: RunPaths, manifest: Manifest, *, stopped_because: str | None = None) -> Manifest:
    """Write `trials.parquet` and `scores.parquet` from the journal, then the manifest.

    A run whose every planned trial is there and that was not stopped becomes `complete` and its journal is removed;
    any other becomes `partial` and keeps it, so that it can be resumed. Doing this twice gives the same files.

    Raises:
        StoreError: A file cannot be written. The journal is untouched.
    """
    import pyarrow.parquet as pq

    index = JournalIndex(manifest.variant_names)
    index.scan(paths.journal)
    counts: Counter[str] = Counter(trials=0, failed=0, scores=0, unscored=0)
    cost = 0.0
    no_trials, no_scores = empty_tables()
    temporary = [path.with_suffix(".parquet.tmp") for path in (paths.trials, paths.scores)]
    try:
        with (
            pq.ParquetWriter(temporary[0], no_trials.schema, compression="zstd") as trial_file,
            pq.ParquetWriter(temporary[1], no_scores.schema, compression="zstd") as score_file,
        ):
            for trials, scores in index.tables(paths.journal):
                trial_file.write_batch(trials)
                score_file.write_batch(scores)
                counts.update(_counts(trials, scores))
                cost += _paid(trials) + sum(value for value in scores.column("cost_usd").to_pylist() if value)
        for source, target in zip(temporary, (paths.trials, paths.scores), strict=True):
            push_to_disk(source)  # the journal is removed soon: from then on they are all there is
            source.replace(target)
    except OSError as error:
        for path in temporary:
            Path(path).unlink(missing_ok=True)
        raise StoreError(
            f"the run {paths.run_id!r} cannot be sealed: {error.strerror or error}; its journal is whole. "
            "Make room, then `bakeoff resume` it"
        ) from error
    whole = stopped_because is None and counts["trials"] >= (manifest.dispatched_trials or manifest.planned_trials)
    sealed = manifest.model_copy(
        update={
            "status": "complete" if whole else "partial",
            "stopped_because": stopped_because,
            "ended_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "counts": dict(counts),
            "cost_usd": round(cost, 10),
            "decisions": [
                {key: value for key, value in event.items() if key not in ("e", "at")}
                for event in index.others
                if event.get("e") == "decision"
            ],
        }
    )
    write_manifest(paths.manifest, sealed)
    if whole and not counts["failed"] and not counts["unscored"]:
        paths.journal.unlink(missing_ok=True)
    return sealed


def _counts(trials: pa.RecordBatch, scores: pa.RecordBatch) -> dict[str, int]:
    ok = sum(trials.column("ok").to_pylist())
    scored = scores.column("error").null_count
    return {
        "trials": trials.num_rows,
        "failed": trials.num_rows - ok,
        "scores": scored,
        "unscored": scores.num_rows - scored,
    }


def _paid(trials: pa.RecordBatch) -> float:
    """Sum what was spent: an answer from the cache keeps the cost it once had, but nobody paid it again."""
    costs, cached = trials.column("cost_usd").to_pylist(), trials.column("cached").to_pylist()
    return sum(cost for cost, hit in zip(costs, cached, strict=True) if cost and not hit)
