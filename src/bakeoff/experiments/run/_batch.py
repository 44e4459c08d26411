"""A run through the providers' batch APIs: submit, note the id in the journal, wait, then record as in a live run.

A batch belongs to the provider once it is created. A process that stops or dies while it waits loses nothing: the
journal holds the id, and the next session looks at the same batch instead of paying for another one.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from bakeoff.errors import BudgetExceeded, ProviderError, StoreError, TargetError
from bakeoff.experiments.run._allocation import Round
from bakeoff.targets import PromptTarget

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from bakeoff.datasets import Item
    from bakeoff.experiments.run._asking import Trial
    from bakeoff.experiments.run._runner import Session
    from bakeoff.gateway import Gateway, ModelRequest
    from bakeoff.gateway._batch import Batches, BatchLine
    from bakeoff.gateway._batch_wire import RawAnswer, Wire
    from bakeoff.targets import TargetResult

__all__ = ["BatchRun"]

T = TypeVar("T")

MAX_REQUESTS = 10_000
"""In one batch: a fifth of what OpenAI takes, a tenth of what Anthropic takes."""
MAX_BYTES = 90_000_000
"""Below the 100 MB of Groq and the 200 MB of OpenAI."""
_MAX_FAILED_LOOKS = 20
_BREATH = 64
"""Requests built before the event loop gets a turn."""
_MAYBE_CREATED = frozenset({"timeout", "connection", "server", "bad_response", "unknown"})


class _BatchTarget:
    """Answers a trial with what its batch held for it."""

    def __init__(self, target: PromptTarget, batches: Batches) -> None:
        self._target = target
        self._batches = batches
        self.results: dict[tuple[str, int], TargetError | tuple[BatchLine, RawAnswer]] = {}

    def request(self, item: Item, repeat: int) -> ModelRequest:
        return self._target.request(item, repeat=repeat)

    async def run(self, item: Item, *, repeat: int) -> TargetResult:
        found = self.results.pop((item.id, repeat))
        if isinstance(found, TargetError):
            raise found
        line, answer = found
        return self._target.result(line.request, await self._batches.read(line, answer))


@dataclass(slots=True)
class _Job:
    """A batch at a provider, and the trials that wait for it."""

    id: str
    wire: Wire
    lines: list[BatchLine]


@dataclass(slots=True)
class _Chunk:
    """Requests that will be one batch."""

    lines: list[BatchLine] = field(default_factory=list)
    size: int = 0


class BatchRun:
    """Runs the trials of a session in batches.

    Args:
        session: Whose journal, limits and scoring are used.
        gateway: Its gateway.
    """

    def __init__(self, session: Session, gateway: Gateway) -> None:
        self._session = session
        self._steering = session.steering
        self._batches = gateway.batches()
        self._places = {name: place for place, name in enumerate(session.experiment.variants)}
        self._targets: dict[str, _BatchTarget] = {}
        for name, target in session.asking.targets.items():
            assert isinstance(target, PromptTarget)  # checked when the experiment was read
            self._targets[name] = _BatchTarget(target, self._batches)
        self._trials: dict[str, Trial] = {}
        self._sent: set[str] = set()
        self._jobs: list[_Job] = []
        self._unsent: list[Trial] = []
        self._refusal: str | None = None

    async def run(self, trials: Iterable[Trial]) -> None:
        """Bring all trials to an end, or stop where steering or the budget says so."""
        self._trials = {f"{one.index}-{self._places[one.variant]}-{one.repeat}": one for one in trials}
        session = self._session
        session.asking.targets = dict(self._targets)
        async with contextlib.aclosing(self._batches):
            try:
                if not await self._adopt():
                    return
                await self._submit()
            except ProviderError as error:  # what is on its way is still waited for
                self._refusal = str(error)
            await session.drive(iter(self._unsent), Round(plan=()))
            waiting = sum(len(job.lines) for job in self._jobs)
            session.tally.in_flight += waiting
            try:
                await self._wait_for_all()
            finally:
                session.tally.in_flight -= sum(len(job.lines) for job in self._jobs)
        if self._refusal is not None:
            self._steering.drain(self._refusal)

    async def _adopt(self) -> bool:
        """Take over the batches that an earlier session created; say whether all of them can be looked at."""
        for event in self._session.resumed.batches:
            lines: list[BatchLine] = []
            for custom_id in event["ids"]:
                trial = self._trials.get(custom_id)
                self._sent.add(custom_id)
                line = (
                    None
                    if trial is None
                    else await self._line(custom_id, trial, await self._session.asking.enter(trial))
                )
                if line is not None:
                    line.body = b""
                    lines.append(line)
            if not lines:  # all of them were recorded, just before the end
                self._close(event["id"])
                continue
            wire = self._batches.wire_of(lines[0])
            if wire.base != event["base"]:
                self._steering.drain(
                    f"the batch {event['id']} was created at {event['base']}, but {event['model']!r} is now served at "
                    f"{wire.base}; put the address back and resume the run"
                )
                return False
            self._batches.hold(lines, force=True)
            self._jobs.append(_Job(event["id"], wire, lines))
        return True

    async def _line(self, custom_id: str, trial: Trial, item: Item | None) -> BatchLine | None:
        """Build a request of what the guards on inputs let through.

        A trial that has no request is settled as in a live run: stopped by a guard, or failed.

        Raises:
            BudgetExceeded: It has no price, and a budget needs one.
        """
        target = self._targets[trial.variant]
        if item is None:
            self._unsent.append(trial)
            return None
        try:
            return await self._batches.line(custom_id, target.request(item, trial.repeat))
        except BudgetExceeded:
            raise
        except TargetError as error:
            if error.kind == "budget":
                raise BudgetExceeded(str(error)) from error
            target.results[trial.item.id, trial.repeat] = error
            self._unsent.append(trial)
            return None

    async def _submit(self) -> None:
        """Create batches of everything that is in none.

        Raises:
            ProviderError: One was refused, by the budget or by the provider.
        """
        chunks: dict[object, _Chunk] = {}
        todo = [(custom_id, trial) for custom_id, trial in self._trials.items() if custom_id not in self._sent]
        for start in range(0, len(todo), _BREATH):
            some = todo[start : start + _BREATH]
            await asyncio.sleep(0)
            if not await self._steering.may_start():
                return
            items = await self._unless_stopped(self._entered([trial for _, trial in some]))
            if items is None:
                return
            for (custom_id, trial), item in zip(some, items, strict=True):
                line = await self._line(custom_id, trial, item)
                if line is None:
                    continue
                chunk = chunks.setdefault(line.group, _Chunk())
                if len(chunk.lines) >= MAX_REQUESTS or chunk.size + len(line.body) > MAX_BYTES:
                    await self._create(chunk)
                    chunk = chunks[line.group] = _Chunk()
                chunk.lines.append(line)
                chunk.size += len(line.body) + 1
        for chunk in chunks.values():
            if await self._steering.may_start():
                await self._create(chunk)

    async def _entered(self, trials: list[Trial]) -> list[Item | None]:
        """Ask the guards on inputs, which may ask models, for several trials at once."""
        return await asyncio.gather(*map(self._session.asking.enter, trials))

    async def _create(self, chunk: _Chunk) -> None:
        lines = chunk.lines
        self._batches.hold(lines)
        model = lines[0].request.model
        try:
            batch_id, file = await self._batches.create(lines, pause=self._pause)
        except ProviderError as error:
            text = f"no batch of {len(lines)} requests could be created: {error}"
            if error.kind in _MAYBE_CREATED:
                text += "\n    fix: look whether the provider lists one all the same, then resume the run"
            raise ProviderError(text, kind=error.kind) from error
        wire = self._batches.wire_of(lines[0])
        event = {
            "e": "batch",
            "t": time.time(),
            "id": batch_id,
            "model": model,
            "base": wire.base,
            "n": len(lines),
            "file": file,
            "ids": [line.custom_id for line in lines],
        }
        try:
            self._session.journal.append(event)
        except StoreError as error:
            raise StoreError(f"the batch {batch_id} of {model!r} was created, and {error}") from error
        for line in lines:
            line.body = b""
        self._jobs.append(_Job(batch_id, wire, lines))

    async def _wait_for_all(self) -> None:
        failed = 0
        while self._jobs and not self._steering.draining:
            for job in list(self._jobs):
                if self._steering.draining:
                    return
                try:
                    answers = await self._unless_stopped(self._look(job))
                except ProviderError as error:
                    failed += 1
                    if not error.retryable or failed >= _MAX_FAILED_LOOKS:
                        self._steering.drain(
                            f"the batch {job.id} cannot be looked at: {error}\n"
                            "    fix: it goes on at the provider; resume the run to look again"
                        )
                        return
                    continue
                failed = 0
                if answers is not None:
                    self._jobs.remove(job)
                    self._session.tally.in_flight -= len(job.lines)
                    await self._record(job, answers)
            if self._jobs:
                await self._pause(self._session.experiment.spec.gateway.batch_poll_s)

    async def _look(self, job: _Job) -> dict[str, RawAnswer] | None:
        """Return what a batch holds for each of its requests, or None while it is not done."""
        from bakeoff.gateway._batch_wire import BatchState

        found: dict[str, RawAnswer] = {}
        try:
            state = await job.wire.poll(job.id)
            if not state.ended:
                return None
            found = await self._batches.answers(job.wire, state)
        except ProviderError as error:
            if error.kind != "not_found":
                raise
            state = BatchState(status="gone", ended=True, kind="not_found", reason=str(error))
        missing = self._batches.missing(job.id, state)
        return {line.custom_id: found.get(line.custom_id, missing) for line in job.lines}

    async def _record(self, job: _Job, answers: dict[str, RawAnswer]) -> None:
        """Record and score the trials of a batch that is done."""
        trials: list[Trial] = []
        for line in job.lines:
            trial = self._trials[line.custom_id]
            trials.append(trial)
            self._targets[trial.variant].results[trial.item.id, trial.repeat] = (line, answers[line.custom_id])
        await self._session.drive(iter(trials), Round(plan=()))
        left = any((one.item.id, one.repeat) in self._targets[one.variant].results for one in trials)
        if not left and not self._steering.now.is_set():
            self._close(job.id)

    def _close(self, batch_id: str) -> None:
        self._session.journal.append({"e": "batch_done", "t": time.time(), "id": batch_id})

    async def _pause(self, seconds: float) -> bool:
        """Sleep; return early, with False, when the run is to end."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._steering.ending.wait(), seconds)
        return not self._steering.draining

    async def _unless_stopped(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Wait for `work`, or drop it when the run is to stop at once."""
        task = asyncio.create_task(work)
        stop = asyncio.create_task(self._steering.now.wait())
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if task.done():
            return task.result()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return None
