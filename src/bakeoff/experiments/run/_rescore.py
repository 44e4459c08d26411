"""Score the answers of a run, or those whose scores are missing, without calling its targets."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakeoff.errors import SpecError, StoreError
from bakeoff.evaluators import load_evaluators, models_asked
from bakeoff.experiments._json import dumps, loads
from bakeoff.experiments.run._charges import Charges
from bakeoff.experiments.run._messages import shared_messages
from bakeoff.experiments.run._progress import Tally
from bakeoff.experiments.run._resume import SCORED_FROM, Resumed, finished, read_unscored
from bakeoff.experiments.run._scoring import refusal, score_missing_rows
from bakeoff.experiments.run._seal import seal_run
from bakeoff.experiments.run._trial import context_of_event, scores_event
from bakeoff.experiments.spec._spec import ExperimentSpec
from bakeoff.experiments.store._control import Steering
from bakeoff.experiments.store._journal import Journal
from bakeoff.experiments.store._manifest import MetricRecord, order_after, write_atomically, write_manifest
from bakeoff.experiments.store._paths import RunLock, new_run_id
from bakeoff.gateway import Gateway, missing_env

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from bakeoff.evaluators import Evaluator
    from bakeoff.experiments.run._progress import Progress
    from bakeoff.experiments.store._manifest import Manifest
    from bakeoff.experiments.store._store import LocalStore
    from bakeoff.gateway import ModelClient

__all__ = ["rescore_run", "score_missing"]

_BATCH = 2000
_TICK_S = 0.25


async def rescore_run(
    store: LocalStore,
    run_id: str,
    evaluators: Sequence[str | Mapping[str, Any]],
    *,
    base_dir: Path,
    client: ModelClient | None = None,
    budget_usd: float | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    handle_signals: bool = False,
) -> Manifest:
    """Make a new run with the answers of a sealed one and the scores of other evaluators.

    The run that is scored stays as it is; the new one names it in its tags. All answers are copied before the first is
    judged, so a scoring that was stopped or killed goes on with `score_missing` and pays nothing twice.

    Args:
        store: Where the run is.
        run_id: The run.
        evaluators: As in a spec.
        base_dir: Folder that paths of evaluators are relative to.
        client: Answers model calls instead of the gateway; for tests.
        budget_usd: Stop judging when this is spent, instead of at the budget of the run's spec.
        on_progress: Called a few times a second.
        handle_signals: SIGINT or SIGTERM once: finish what is in flight and seal; twice: stop now.

    Returns:
        The manifest of the new run.

    Raises:
        SpecError: The run is still in progress, or a key is not set.
        EvaluatorError: An evaluator is unknown or configured wrongly.
    """
    old = store.manifest(run_id)
    if old.status not in ("complete", "partial"):
        raise SpecError(f"the run {run_id!r} is {old.status}: it can be scored again when it is sealed")
    built = load_evaluators(list(evaluators), base_dir=base_dir)
    if client is None:
        _check_keys(built)
    store.paths.create()
    paths, order_ms = store.run_paths(new_run_id(old.name)), order_after(store.paths.runs)
    paths.create()
    manifest = _scored_manifest(old, paths.run_id, built, base_dir, order_ms=order_ms)
    with _held(paths.lock, paths.run_id):
        _copy_answers(store, run_id, Journal(paths.journal, sync="off"))
        write_manifest(paths.manifest, manifest)  # from here on the run exists, with every answer in its journal
        work = _Scoring(store, manifest, built, client=client, budget_usd=budget_usd, on_progress=on_progress)
        return await work.run(_answers(store, run_id), handle_signals=handle_signals)


async def score_missing(
    store: LocalStore,
    run_id: str,
    *,
    client: ModelClient | None = None,
    budget_usd: float | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    handle_signals: bool = False,
) -> Manifest:
    """Score in place the answers of a run whose scores are missing: after an outage of a judge, a kill, or a budget.

    Targets are not called; what was scored stays, and what failed attempts cost stays in the sums.

    Args:
        store: Where the run is.
        run_id: The run.
        client: Answers model calls instead of the gateway; for tests.
        budget_usd: Most USD for the whole run, what it spent before included, instead of the budget of its spec.
        on_progress: Called a few times a second.
        handle_signals: SIGINT or SIGTERM once: finish what is in flight and seal; twice: stop now.

    Returns:
        The manifest of the sealed run.

    Raises:
        SpecError: No score is missing, or a key is not set.
        StoreError: Another process drives the run.
    """
    manifest, paths = store.manifest(run_id), store.run_paths(run_id)
    folder = Path(manifest.evaluators_dir or manifest.base_dir)
    built = load_evaluators(list(manifest.spec.get("evaluators", ())), base_dir=folder)
    if client is None:
        _check_keys(built)
    with _held(paths.lock, run_id):
        if not paths.journal.exists():
            raise SpecError(f"no score of the run {run_id!r} is missing: there is nothing to score")
        resumed = read_unscored(paths, manifest, primary=manifest.primary, retry_errors=True, retry_failed=False)
        if not resumed.unscored and manifest.status in ("complete", "partial"):
            raise SpecError(f"no score of the {len(resumed.finished):,} answers of {run_id!r} is missing")
        work = _Scoring(
            store, manifest, built, client=client, budget_usd=budget_usd, on_progress=on_progress, resumed=resumed
        )
        pending = ((event, event["msgs"]) for event in resumed.unscored)
        return await work.run(pending, handle_signals=handle_signals)


class _Scoring:
    """One process's work on the scores of a run."""

    def __init__(
        self,
        store: LocalStore,
        manifest: Manifest,
        evaluators: Sequence[Evaluator],
        *,
        client: ModelClient | None,
        budget_usd: float | None,
        on_progress: Callable[[Progress], None] | None,
        resumed: Resumed | None = None,
    ) -> None:
        self._spec = ExperimentSpec.model_validate(manifest.spec)
        self._store, self._evaluators, self._client = store, evaluators, client
        self._paths = store.run_paths(manifest.run_id)
        self._before = manifest
        self._manifest = manifest.model_copy(update={"status": "running", "sessions": manifest.sessions + 1})
        budget = self._spec.budget
        self._budget = budget if budget_usd is None else budget.model_copy(update={"usd": budget_usd})
        self._resumed = resumed or Resumed()
        self._retries = resumed is not None
        self._on_progress = on_progress
        self._steering = Steering()
        self._tally = Tally(
            manifest.run_id,
            variants=manifest.variant_names,
            planned=manifest.planned_trials,
            primary=manifest.primary,
        )
        self._resumed.count_into(self._tally)

    async def run(self, answers: Iterable[tuple[dict[str, Any], Any]], *, handle_signals: bool) -> Manifest:
        """Score answers, each with its messages, and seal the run."""
        write_manifest(self._paths.manifest, self._manifest)
        width = self._spec.limits.concurrency
        self._journal = Journal(self._paths.journal, sync=self._spec.journal.sync)
        charges = Charges(self._journal, self._budget, concurrency=width)
        self._journal.append(
            {"e": "session", "t": time.time(), "pid": os.getpid(), "host": socket.gethostname(), "n": width}
        )
        started = time.monotonic()
        gateway = Gateway(
            gateway=self._spec.gateway,
            limits=self._spec.limits,
            budget=self._budget,
            cache_path=self._spec.gateway.cache_path or self._store.paths.cache,
            spent=self._resumed.spent,
            on_spent=charges.on_spent,
        )
        charges.gateway = gateway
        try:
            async with contextlib.AsyncExitStack() as stack:
                if handle_signals:
                    stack.enter_context(self._steering.signals())
                await stack.enter_async_context(gateway)
                ticker = asyncio.create_task(self._tick(charges))
                try:
                    await self._all(answers, self._client or gateway, width)
                finally:
                    ticker.cancel()
                    await asyncio.gather(ticker, return_exceptions=True)
        finally:
            charges.write(last=True)
            self._journal.append({"e": "end", "t": time.time(), "n": width})
            self._journal.close()
        seconds = self._before.seconds + time.monotonic() - started
        notes = list(dict.fromkeys([*self._before.notes, *gateway.snapshot().warnings]))
        manifest = self._manifest.model_copy(update={"seconds": round(seconds, 3), "notes": notes})
        self._publish("done")
        return seal_run(self._paths, manifest, stopped_because=self._steering.reason or self._incomplete())

    def _incomplete(self) -> str | None:
        """Say why this run is partial although every answer of it was scored."""
        source = self._before.tags.get(SCORED_FROM)
        if source is None:
            return self._before.stopped_because
        planned = self._before.dispatched_trials or self._before.planned_trials
        return f"{source} is partial" if self._tally.done < planned else None

    async def _all(self, answers: Iterable[tuple[dict[str, Any], Any]], client: ModelClient, width: int) -> None:
        items = _items(self._store, self._before.run_id)
        slots = asyncio.Semaphore(width)
        left = iter(answers)
        while not self._steering.draining and (some := list(islice(left, _BATCH))):
            part = asyncio.gather(*(self._score(event, asked, items, slots, client) for event, asked in some))
            stop = asyncio.create_task(self._steering.now.wait())
            await asyncio.wait({part, stop}, return_when=asyncio.FIRST_COMPLETED)
            stop.cancel()
            if not part.done():
                part.cancel()
                await asyncio.gather(part, return_exceptions=True)
                return
            part.result()

    async def _score(
        self, event: dict[str, Any], asked: Any, items: Mapping[str, Any], slots: asyncio.Semaphore, client: ModelClient
    ) -> None:
        before = event.get("s", [])
        if "err" in event:
            self._tally.fail(event["v"], *event["err"])
            return
        async with slots:
            if self._steering.draining:
                return
            context = context_of_event(event, items[event["i"]], asked=asked, client=client)
            rows, fresh = await score_missing_rows(self._evaluators, context, before, retry_errors=self._retries)
        self._journal.append(scores_event(event, rows))
        trial = finished(event, rows, self._before.primary)
        self._tally.reuse(trial.variant, ok=True, kind="", value=trial.value, cost_usd=trial.cost_usd)
        if (told := refusal(fresh)) is not None:
            self._steering.drain(told)

    async def _tick(self, charges: Charges) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            charges.write()
            self._publish("stopping" if self._steering.draining else "running")

    def _publish(self, state: str) -> None:
        progress = self._tally.progress(state, self._spec.limits.concurrency)
        with contextlib.suppress(StoreError):  # progress is a courtesy; the journal is the truth
            write_atomically(self._paths.status, dumps(progress.as_dict()))
        if self._on_progress is not None:
            self._on_progress(progress)


@contextlib.contextmanager
def _held(path: Path, run_id: str) -> Iterator[None]:
    lock = RunLock(path)
    if not lock.acquire():
        raise StoreError(f"the run {run_id!r} is driven by another process; watch it with `bakeoff status`")
    try:
        yield
    finally:
        lock.release()


def _check_keys(evaluators: Sequence[Evaluator]) -> None:
    """Say which key is missing before anything is made."""
    for evaluator in evaluators:
        for asked in models_asked(evaluator):
            missing = missing_env(asked.model, os.environ, api_base=asked.api_base, api_key_env=asked.api_key_env)
            if missing:
                raise SpecError(
                    f"{evaluator.metric!r} asks {asked.model!r}, which needs the environment variable {missing[0]}; it "
                    f"is not set\n    fix: export {missing[0]}=..., or put it into a file and pass `--env-file FILE`"
                )


def _scored_manifest(
    old: Manifest, run_id: str, evaluators: Sequence[Evaluator], base_dir: Path, *, order_ms: int | None
) -> Manifest:
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
        for evaluator in evaluators
        for info in evaluator.metrics
    ]
    analysis = {
        key: value for key, value in old.spec.get("analysis", {}).items() if key not in ("primary", "guardrails")
    }
    return old.model_copy(
        update={
            "run_id": run_id,
            "metrics": metrics,
            "primary": metrics[0].metric,
            "status": "running",
            "created_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "order_ms": order_ms,
            "tags": {**old.tags, SCORED_FROM: old.run_id},
            "spec": {**old.spec, "evaluators": [evaluator.spec() for evaluator in evaluators], "analysis": analysis},
            "evaluators_dir": str(base_dir),
            "counts": {},
            "cost_usd": 0.0,
            "seconds": 0.0,
            "sessions": 0,
            "stopped_because": None,
            "notes": [],
        }
    )


def _items(store: LocalStore, run_id: str) -> dict[str, Any]:
    from bakeoff.datasets import Item

    return {
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


def _copy_answers(store: LocalStore, run_id: str, journal: Journal) -> None:
    try:
        for batch in store.trials(run_id).to_batches(max_chunksize=_BATCH):
            for row in batch.to_pylist():
                journal.append(_event_of(row))
        journal.sync()
    finally:
        journal.close()


def _answers(store: LocalStore, run_id: str) -> Iterator[tuple[dict[str, Any], Any]]:
    """Yield the answers of a sealed run as events, each with its messages."""
    batches = store.trials(run_id).to_batches(max_chunksize=_BATCH)
    yield from shared_messages(_event_of(row) for batch in batches for row in batch.to_pylist())


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
