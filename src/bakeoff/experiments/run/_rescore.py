"""Score a sealed run again with other evaluators, without calling its targets."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from bakeoff.errors import SpecError
from bakeoff.evaluators import load_evaluators, score_trial
from bakeoff.experiments._json import loads
from bakeoff.experiments.run._messages import shared_messages
from bakeoff.experiments.run._seal import seal_run
from bakeoff.experiments.run._trial import context_of_event, score_rows
from bakeoff.experiments.spec._spec import ExperimentSpec
from bakeoff.experiments.store._journal import Journal
from bakeoff.experiments.store._manifest import MetricRecord, order_after, write_manifest
from bakeoff.experiments.store._paths import new_run_id
from bakeoff.gateway import Gateway

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bakeoff.experiments.store._manifest import Manifest
    from bakeoff.experiments.store._store import LocalStore
    from bakeoff.gateway import ModelClient

__all__ = ["rescore_run"]

_BATCH = 2000


async def rescore_run(
    store: LocalStore,
    run_id: str,
    evaluators: Sequence[str | Mapping[str, Any]],
    *,
    base_dir: Path,
    client: ModelClient | None = None,
) -> Manifest:
    """Make a new run with the answers of a sealed one and the scores of other evaluators.

    The run that is scored stays as it is; the new one names it in its tags.

    Raises:
        SpecError: The run is still in progress.
        EvaluatorError: An evaluator is unknown or configured wrongly.
    """
    old = store.manifest(run_id)
    if old.status not in ("complete", "partial"):
        raise SpecError(f"the run {run_id!r} is {old.status}: it can be scored again when it is sealed")
    built = load_evaluators(list(evaluators), base_dir=base_dir)
    spec = ExperimentSpec.model_validate(old.spec)
    metrics = [
        MetricRecord(
            metric=info.name,
            evaluator=evaluator.kind,
            version=evaluator.stamp,
            score_kind=info.score_kind,
            higher_is_better=info.higher_is_better,
            unit=info.unit,
            spec=evaluator.spec(),
        )
        for evaluator in built
        for info in evaluator.metrics
    ]
    store.paths.create()
    paths, order_ms = store.run_paths(new_run_id(old.name)), order_after(store.paths.runs)
    paths.create()
    analysis = {
        key: value for key, value in old.spec.get("analysis", {}).items() if key not in ("primary", "guardrails")
    }
    manifest = old.model_copy(
        update={
            "run_id": paths.run_id,
            "metrics": metrics,
            "primary": metrics[0].metric,
            "status": "running",
            "created_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "order_ms": order_ms,
            "tags": {**old.tags, "scored_from": run_id},
            "spec": {**old.spec, "evaluators": [evaluator.spec() for evaluator in built], "analysis": analysis},
        }
    )
    write_manifest(paths.manifest, manifest)
    journal = Journal(paths.journal, sync="off")
    gateway = Gateway(gateway=spec.gateway, limits=spec.limits, budget=spec.budget, cache_path=store.paths.cache)
    started = time.monotonic()
    try:
        async with gateway:
            await _score_all(store, run_id, built, journal, client or gateway, spec.limits.concurrency)
    finally:
        journal.close()
    manifest = manifest.model_copy(update={"seconds": round(time.monotonic() - started, 3)})
    missing = old.planned_trials - old.counts.get("trials", 0)
    return seal_run(paths, manifest, stopped_because=f"{run_id} is partial" if missing > 0 else None)


async def _score_all(
    store: LocalStore,
    run_id: str,
    evaluators: Sequence[Any],
    journal: Journal,
    client: ModelClient,
    concurrency: int,
) -> None:
    from bakeoff.datasets import Item

    items = {
        row["id"]: Item(
            id=row["id"],
            inputs=loads(row["inputs"]),
            expected=loads(row["expected"]) if row["expected"] is not None else None,
            metadata=loads(row["metadata"]) if row["metadata"] is not None else {},
            cluster=row["cluster"],
            weight=row["weight"],
        )
        for row in store.items(run_id).to_pylist()
    }
    slots = asyncio.Semaphore(concurrency)

    async def score(event: dict[str, Any], asked: Any) -> None:
        if "err" not in event:
            async with slots:
                context = context_of_event(event, items[event["i"]], asked=asked, client=client)
                scores = await score_trial(evaluators, context)
            event["s"] = score_rows(scores)
        journal.append(event)

    batches = store.trials(run_id).to_batches(max_chunksize=_BATCH)
    events = shared_messages(_event_of(row) for batch in batches for row in batch.to_pylist())
    while some := list(islice(events, _BATCH)):
        await asyncio.gather(*(score(event, asked) for event, asked in some))


def _event_of(row: dict[str, Any]) -> dict[str, Any]:
    """Return a sealed trial as the journal event that it was. It costs nothing this time."""
    event: dict[str, Any] = {
        "e": "trial", "v": row["variant"], "i": row["item_id"], "k": row["item"], "r": row["repeat"],
        "t": row["answered_at"],
    }  # fmt: skip
    if not row["ok"]:
        return {**event, "err": [row["error_kind"], row["error"]]}
    event["out"] = row["output"] if row["output_type"] == "text" else loads(row["output"])
    event["hit"] = 1
    names = {
        "n": "attempts", "cost": "cost_usd", "ms": "latency_ms", "ttft": "ttft_ms", "route": "route", "model": "model",
        "fin": "finish_reason", "fp": "fingerprint", "fallback": "fallback_from",
    }  # fmt: skip
    event |= {key: row[name] for key, name in names.items() if row[name] is not None}
    if row["input_tokens"] is not None:
        event["u"] = [
            row["input_tokens"], row["output_tokens"], row["cached_tokens"], row["reasoning_tokens"],
            int(row["tokens_estimated"]),
        ]  # fmt: skip
    if row["tool_calls"] is not None:
        event["tools"] = loads(row["tool_calls"])
    for key, name in (("trace", "trace"), ("guards", "guards"), ("msgs", "messages")):
        if row[name] is not None:
            event[key] = loads(row[name])
    return event
