"""One trial's way to its target: through the guards, and again where what went wrong may pass."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING

from bakeoff.errors import BakeoffError, ProviderError, TargetError
from bakeoff.evaluators import describe_error
from bakeoff.targets import PromptTarget

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bakeoff.datasets import Item
    from bakeoff.experiments.spec._guards import Entered, Guards
    from bakeoff.experiments.store._control import Steering
    from bakeoff.gateway import LimitsSpec
    from bakeoff.targets import Target, TargetResult

__all__ = ["Asking", "Trial"]

_REPEATS_APART = 1000
"""An experiment has at most so many repeats: what a guard asks for again is a sample of its own."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One answer to one item that is still to be had."""

    variant: str
    item: Item
    index: int
    repeat: int


class Asking:
    """Asks the targets of an experiment.

    Args:
        targets: By variant.
        guards: What every answer passes, where there are any.
        limits: How often a target is asked, and how long to wait in between.
        steering: Whether the run is to end: then nothing is tried again.
    """

    def __init__(
        self, targets: Mapping[str, Target], guards: Guards | None, limits: LimitsSpec, steering: Steering
    ) -> None:
        self.targets = targets
        """By variant; a batch puts in what it was answered."""
        self._guards = guards
        self._entered: dict[tuple[str, int, int], Entered] = {}
        self._limits = limits
        self._steering = steering
        self._jitter = Random()  # noqa: S311 - spreads retries, keeps no secret

    async def enter(self, trial: Trial) -> Item | None:
        """Ask the guards on inputs ahead of the trial; return the item as sent, or `None` where one stopped it."""
        if self._guards is None:
            return trial.item
        entered = await self._guards.enter(trial.item, variant=trial.variant, repeat=trial.repeat)
        self._entered[trial.variant, trial.index, trial.repeat] = entered
        return None if entered.is_stopped else entered.item

    async def answer(self, trial: Trial) -> tuple[Trial, TargetResult]:
        """Ask the target through the guards; return the trial as the target saw it, and the answer.

        Raises:
            TargetError: There is no answer.
        """
        if self._guards is None:
            return trial, await self._ask(trial)

        async def ask(item: Item, *, attempt: int, feedback: str) -> TargetResult:
            return await self._ask(replace(trial, item=item), sample=attempt, feedback=feedback)

        item, result = await self._guards.answer(
            trial.item,
            variant=trial.variant,
            repeat=trial.repeat,
            ask=ask,
            entered=self._entered.pop((trial.variant, trial.index, trial.repeat), None),
        )
        return replace(trial, item=item), result

    async def _ask(self, trial: Trial, *, sample: int = 0, feedback: str = "") -> TargetResult:
        """Ask the target; what may pass is tried again. Model calls were already retried by the gateway."""
        limits = self._limits
        target = self.targets[trial.variant]
        for attempt in range(1, limits.attempts + 1):
            try:
                if feedback and isinstance(target, PromptTarget):
                    result = await target.run_again(trial.item, repeat=trial.repeat, feedback=feedback)
                else:
                    result = await target.run(trial.item, repeat=trial.repeat + sample * _REPEATS_APART)
            except TargetError as error:
                if isinstance(error, ProviderError) or not error.retryable or attempt == limits.attempts:
                    raise
                wait_s = min(limits.max_wait_s, 0.5 * 2 ** (attempt - 1))
                await asyncio.sleep(wait_s * self._jitter.random())
                if self._steering.draining:
                    raise
            except BakeoffError:
                raise
            except Exception as error:  # one item that a target of ours stumbles over is one failed trial
                message = f"an error in Bakeoff itself: {describe_error(error)}"
                raise TargetError(message, kind="unknown") from error
            else:
                return result if attempt == 1 else replace(result, attempts=attempt)
        raise AssertionError("attempts is at least 1")
