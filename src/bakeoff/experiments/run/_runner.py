"""The runner: fans trials out, journals every answer, scores it, and seals the run.

It never waits for itself, never hangs, never loses a paid answer and never overspends: limits, retries and budgets
are the gateway's; the journal is written before the next trial starts; a failed trial is recorded, never a zero.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from bakeoff.errors import BudgetExceeded, StoreError, TargetError
from bakeoff.evaluators import begin_scoring, conceal, finish_scoring
from bakeoff.experiments._json import dumps
from bakeoff.experiments.run._allocation import Round, open_allocation
from bakeoff.experiments.run._asking import Asking, Trial
from bakeoff.experiments.run._charges import UNCONFIRMED, Charges, call_notes
from bakeoff.experiments.run._messages import MessageKeeper
from bakeoff.experiments.run._progress import Progress, Tally
from bakeoff.experiments.run._resume import Resumed, finished, read_resumed
from bakeoff.experiments.run._scoring import refusal, score_missing_rows
from bakeoff.experiments.run._seal import seal_run
from bakeoff.experiments.run._trial import (
    context_of_event,
    context_of_result,
    failed_event,
    score_rows,
    scores_event,
    trial_event,
)
from bakeoff.experiments.spec._guards import Guards, keep_answer
from bakeoff.experiments.store._control import Control, Steering
from bakeoff.experiments.store._journal import Journal
from bakeoff.experiments.store._manifest import (
    Manifest,
    manifest_of,
    order_after,
    read_manifest,
    write_atomically,
    write_manifest,
)
from bakeoff.experiments.store._paths import RunLock, StorePaths, new_run_id
from bakeoff.gateway import Gateway, Secrets
from bakeoff.targets import TargetFactory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bakeoff.datasets import Item
    from bakeoff.evaluators import Score
    from bakeoff.experiments.spec._load import Experiment
    from bakeoff.gateway import ModelClient

__all__ = ["execute"]

_HOPELESS_AFTER = 25
_HOPELESS_KINDS = frozenset({"auth", "not_found", "bad_request"})
_TICK_S = 0.25


async def execute(
    experiment: Experiment,
    *,
    store: StorePaths,
    resume: str | None = None,
    retry_errors: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
    client: ModelClient | None = None,
    handle_signals: bool = False,
) -> Manifest:
    """Run an experiment, or go on with one, and seal it.

    Args:
        experiment: What to run.
        store: Where to keep it.
        resume: Id of a run to go on with; a new run when omitted.
        retry_errors: Run failed trials again, and score again what could not be scored.
        on_progress: Called a few times a second.
        client: Answers model calls instead of the gateway; for tests.
        handle_signals: SIGINT or SIGTERM once: finish what is in flight and seal; twice: stop now.

    Returns:
        The manifest of the sealed run.

    Raises:
        StoreError: The store cannot be written, or another process drives this run.
        SpecError: The experiment differs from the one that is resumed.
    """
    store.create()
    paths = store.run(resume or new_run_id(experiment.spec.name))
    order_ms = order_after(store.runs) if resume is None else None
    if resume is None:
        paths.create()
    elif not paths.manifest.exists():
        raise StoreError(f"there is no run {resume!r} in {str(store.root)!r}; `bakeoff runs` lists them")
    lock = RunLock(paths.lock)
    if not lock.acquire():
        raise StoreError(f"the run {paths.run_id!r} is driven by another process; watch it with `bakeoff status`")
    try:
        manifest = read_manifest(paths.manifest) if resume else manifest_of(experiment, paths.run_id, order_ms=order_ms)
        resumed = read_resumed(paths, manifest, experiment, retry_errors=retry_errors) if resume else Resumed()
        session = Session(experiment, store, manifest, resumed, on_progress, retry_errors=retry_errors)
        return await session.run(client, handle_signals=handle_signals)
    finally:
        lock.release()


def _prewarm() -> None:
    """Import what sealing and analysis need while the first answers are on their way."""
    for module in ("pyarrow.parquet", "scipy.special"):
        importlib.import_module(module)


class Session:
    """One process's work on a run."""

    def __init__(
        self,
        experiment: Experiment,
        store: StorePaths,
        manifest: Manifest,
        resumed: Resumed,
        on_progress: Callable[[Progress], None] | None,
        *,
        retry_errors: bool = False,
    ) -> None:
        self.experiment = experiment
        self.retry_errors = retry_errors
        self.store = store
        self.paths = store.run(manifest.run_id)
        self.resumed = resumed
        self.on_progress = on_progress
        self.manifest = manifest.model_copy(update={"status": "running", "sessions": manifest.sessions + 1})
        self.steering = Steering()
        self.tally = Tally(
            manifest.run_id,
            variants=list(experiment.variants),
            planned=manifest.planned_trials,
            primary=experiment.primary,
        )
        resumed.count_into(self.tally)
        self.concurrency = self.started_with = experiment.spec.limits.concurrency
        self._error: BaseException | None = None
        self._hopeless: dict[str, int] = dict.fromkeys(experiment.variants, 0)
        self._workers: set[asyncio.Task[None]] = set()
        self._gateway: Gateway | None = None
        self._guards: Guards | None = None
        self._messages = MessageKeeper(experiment.spec.repeats)
        self._secrets = Secrets(os.environ)

    async def run(self, client: ModelClient | None, *, handle_signals: bool) -> Manifest:
        """Do what is left of the run, and seal it."""
        write_manifest(self.paths.manifest, self.manifest)
        self.journal = Journal(self.paths.journal, sync=self.experiment.spec.journal.sync)
        self._charges = Charges(self.journal, self.experiment.spec.budget, concurrency=self.started_with)
        started = time.monotonic()
        self.journal.append(
            {"e": "session", "t": time.time(), "pid": os.getpid(), "host": socket.gethostname(), "n": self.started_with}
        )
        warming = threading.Thread(target=_prewarm, name="bakeoff-prewarm", daemon=True)
        warming.start()
        try:
            async with contextlib.AsyncExitStack() as stack:
                if handle_signals:
                    stack.enter_context(self.steering.signals())
                self.client = client or await stack.enter_async_context(self._open_gateway())
                factory = TargetFactory(
                    self.client,
                    base_dir=self.experiment.base_dir,
                    threads=min(self.concurrency, 128),
                    callables=self.experiment.callables,
                    repeats=self.experiment.spec.repeats,
                    stream=self.experiment.spec.gateway.stream,
                    choices=self.experiment.choices if self.experiment.is_simulated else (),
                    input_names={name for item in self.experiment.dataset.head(50) for name in item.inputs},
                )
                stack.push_async_callback(factory.aclose)
                if self.experiment.guards:
                    self._guards = Guards(self.experiment.guards, self.client)
                targets = {name: factory.open(variant) for name, variant in self.experiment.variants.items()}
                self.asking = Asking(targets, self._guards, self.experiment.spec.limits, self.steering)
                ticker = asyncio.create_task(self._tick())
                try:
                    await self._rescore()
                    await self._all_rounds()
                finally:
                    ticker.cancel()
                    await asyncio.gather(ticker, return_exceptions=True)
        finally:
            self._charges.write(last=True)  # the last word, after the last trial
            with contextlib.suppress(OSError, StoreError):
                self.journal.append({"e": "end", "t": time.time(), "n": self.started_with})
                self.journal.close()
        if self._error is not None:
            raise self._error
        self._publish("sealing")
        await asyncio.to_thread(warming.join)
        before = max(self.manifest.seconds, self.resumed.spent.minutes * 60)  # a killed session wrote no manifest
        seconds = before + time.monotonic() - started
        kept = [note for note in self.manifest.notes if not note.startswith(UNCONFIRMED)]
        notes = list(dict.fromkeys([*kept, *(call_notes(self._gateway) if self._gateway is not None else [])]))
        self.manifest = self.manifest.model_copy(update={"seconds": round(seconds, 3), "notes": notes})
        sealed = await asyncio.to_thread(seal_run, self.paths, self.manifest, stopped_because=self.steering.reason)
        self._publish("done")
        return sealed

    def _open_gateway(self) -> Gateway:
        spec = self.experiment.spec
        self._gateway = Gateway(
            gateway=spec.gateway,
            limits=spec.limits,
            budget=spec.budget,
            cache_path=spec.gateway.cache_path or self.store.cache,
            spent=self.resumed.spent,
            on_spent=self._charges.on_spent,
            keep=keep_answer(self.experiment.guards, self.experiment.variants),
        )
        self._charges.gateway = self._gateway
        return self._gateway

    async def _all_rounds(self) -> None:
        allocation = open_allocation(self.experiment, self.resumed)
        self.resumed.finished.clear()
        while not self.steering.draining and (round_ := allocation.next_round()) is not None:
            await self._round(round_)
            if self.steering.draining:
                return
            for decision in allocation.decide():
                if decision not in self.resumed.decisions:
                    self.journal.append({"e": "decision", **decision})
        if self.experiment.spec.allocation.method != "fixed" and not self.steering.draining:
            # What the allocation left out on purpose is not missing.
            self.manifest = self.manifest.model_copy(update={"dispatched_trials": self.tally.done})

    async def _round(self, round_: Round) -> None:
        trials = self._trials(round_)
        if self.experiment.spec.gateway.mode == "batch" and self._gateway is not None:
            from bakeoff.experiments.run._batch import BatchRun

            self._hopeless = dict.fromkeys(self._hopeless, -1)  # its failures cost nothing more
            await BatchRun(self, self._gateway).run(trials)
        else:
            await self.drive(trials, round_)

    async def drive(self, trials: Iterator[Trial], round_: Round) -> None:
        """Run trials, as many at once as the concurrency says."""
        self._refill(trials, round_)
        while self._workers:
            stop = asyncio.create_task(self.steering.now.wait())
            await asyncio.wait({*self._workers, stop}, return_when=asyncio.FIRST_COMPLETED, timeout=_TICK_S)
            stop.cancel()
            if self.steering.now.is_set():
                for worker in self._workers:
                    worker.cancel()
                await asyncio.gather(*self._workers, return_exceptions=True)
                return
            self._refill(trials, round_)

    def _refill(self, trials: Iterator[Trial], round_: Round) -> None:
        """Keep as many workers as the concurrency asks for; it may have been changed from outside."""
        while not round_.exhausted and not self.steering.draining and len(self._workers) < self.concurrency:
            worker = asyncio.create_task(self._work(trials, round_))
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)
            if len(self._workers) >= self.tally.planned:
                return

    def _trials(self, round_: Round) -> Iterator[Trial]:
        done = self.resumed.done
        repeats = range(self.experiment.spec.repeats)
        for index, item, variants in round_.plan:
            for repeat in repeats:
                for variant in variants:
                    if not done or (index, variant, repeat) not in done:
                        yield Trial(variant, item, index, repeat)

    async def _work(self, trials: Iterator[Trial], round_: Round) -> None:
        try:
            while await self.steering.may_start() and len(self._workers) <= self.concurrency:
                trial = next(trials, None)
                if trial is None:
                    round_.exhausted = True
                    return
                self.tally.in_flight += 1
                try:
                    await self._run_trial(trial, round_)
                finally:
                    self.tally.in_flight -= 1
        except BudgetExceeded as error:
            self.steering.drain(str(error))
        except Exception as error:  # noqa: BLE001 - nothing may end silently in a worker: it is raised after sealing
            self._error = self._error or error
            self.steering.stop(f"{type(error).__name__}: {error}")

    async def _run_trial(self, trial: Trial, round_: Round) -> None:
        try:
            trial, result = await self.asking.answer(trial)
        except BudgetExceeded:
            raise
        except TargetError as error:
            if error.kind == "budget":  # refused before it was sent, for instance for want of a price
                raise BudgetExceeded(str(error)) from error
            # A program or a function may quote its environment.
            message, trace = self._secrets.redact(str(error)), self._secrets.redact_all(error.trace)
            if self._guards is not None:
                message, trace = conceal(message), conceal(trace)
            self._fail(trial, error.kind, message, trace)
            return
        self._hopeless[trial.variant] = -1
        event = trial_event(trial.variant, trial.item, trial.index, trial.repeat, result, at=time.time())
        asked = self._messages.keep(trial.variant, trial.index, result.messages)
        if asked is not None:
            event["msgs"] = asked
        context = context_of_result(trial.item, result, variant=trial.variant, repeat=trial.repeat, client=self.client)
        outcomes = [begin_scoring(evaluator, context) for evaluator in self.experiment.evaluators]
        scores: list[Score] = []
        for outcome in outcomes:
            if not isinstance(outcome, list):
                # The answer is paid for: it is on disk before a judge is asked.
                self.journal.append(event)
                scores = await finish_scoring(self.experiment.evaluators, outcomes)
                self.journal.append(scores_event(event, score_rows(scores)))
                break
            scores += outcome
        else:
            event["s"] = score_rows(scores)
            self.journal.append(event)
        if (told := refusal(scores)) is not None:
            self.steering.drain(told)  # a judge could not be asked: so it would be with every further answer
        # An answer from the cache keeps what it once cost, which is what the variant costs; it is not spent again.
        self.tally.answered(trial.variant, scores, None if result.cached else result.cost_usd)
        round_.observe(trial.index, trial.variant, trial.repeat, scores)

    def _fail(self, trial: Trial, kind: str, message: str, trace: Sequence[Any] = ()) -> None:
        event = failed_event(
            trial.variant, trial.item, trial.index, trial.repeat,
            kind=kind, message=message, at=time.time(), trace=trace,
        )  # fmt: skip
        self.journal.append(event)
        self._messages.keep(trial.variant, trial.index, ())
        self.tally.fail(trial.variant, kind, message)
        seen = self._hopeless[trial.variant]
        if seen >= 0 and kind in _HOPELESS_KINDS:
            self._hopeless[trial.variant] = seen + 1
            if seen + 1 >= _HOPELESS_AFTER:
                self.steering.drain(
                    f"the first {_HOPELESS_AFTER} trials of {trial.variant!r} all failed ({kind}): {message[:300]}"
                )

    async def _rescore(self) -> None:
        """Score what was answered but not scored: the process died in between, or a judge was out."""
        pending = self.resumed.unscored
        if not pending:
            return
        items = {item.id: item for item in self.experiment.dataset.get([event["i"] for event in pending])}
        events = iter(pending)

        async def work() -> None:
            try:
                for event in events:
                    if self.steering.draining:
                        return
                    await self._score_again(event, items[event["i"]])
            except BudgetExceeded as error:
                self.steering.drain(str(error))
            except Exception as error:  # noqa: BLE001 - as in `_work`
                self._error = self._error or error
                self.steering.stop(f"{type(error).__name__}: {error}")

        workers = [asyncio.create_task(work()) for _ in range(min(self.concurrency, len(pending)))]
        everything, stop = asyncio.gather(*workers), asyncio.create_task(self.steering.now.wait())
        await asyncio.wait({everything, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)

    async def _score_again(self, event: dict[str, Any], item: Item) -> None:
        context = context_of_event(event, item, asked=event["msgs"], client=self.client)
        rows, fresh = await score_missing_rows(
            self.experiment.evaluators, context, event["s"], retry_errors=self.retry_errors
        )
        self.journal.append(scores_event(event, rows))
        trial = finished(event, rows, self.experiment.primary)
        self.tally.reuse(trial.variant, ok=True, kind="", value=trial.value, cost_usd=trial.cost_usd)
        # The allocation decides from it as if the session before had scored it.
        self.resumed.finished.append(trial)
        if (told := refusal(fresh)) is not None:
            self.steering.drain(told)

    async def _tick(self) -> None:
        control = Control(self.paths)
        beats = 0
        while True:
            await asyncio.sleep(_TICK_S)
            beats += 1
            self._publish("stopping" if self.steering.draining else "paused" if self.steering.paused else "running",
                          write=beats % 4 == 0)  # fmt: skip
            for wish in control.poll():
                self._obey(wish)
            if beats % 4 == 0:
                self._charges.write()
            if beats % 4 == 0 and self.experiment.spec.journal.sync == "second":
                try:
                    await asyncio.to_thread(self.journal.sync)
                except OSError as error:
                    self._error = StoreError(f"the journal cannot be synced: {error.strerror}")
                    self.steering.stop(str(self._error))

    def _obey(self, wish: dict[str, Any]) -> None:
        action = wish.get("action")
        if action == "pause":
            self.steering.pause()
        elif action == "resume":
            self.steering.proceed()
        elif action == "stop":
            self.steering.drain("stopped by `bakeoff control`")
        elif action == "set" and isinstance(wish.get("concurrency"), int):
            self.concurrency = max(1, wish["concurrency"])
            if self._gateway is not None:
                self._charges.widen(self.concurrency)
                self._gateway.set_concurrency(self.concurrency)

    def _publish(self, state: str, *, write: bool = True) -> None:
        progress = self.tally.progress(state, self.concurrency)
        if write:
            with contextlib.suppress(StoreError):  # progress is a courtesy; the journal is the truth
                write_atomically(self.paths.status, dumps(progress.as_dict()))
        if self.on_progress is not None:
            self.on_progress(progress)
