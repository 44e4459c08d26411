"""Guards around every target: what goes in and what comes out is checked before anything is scored or stored."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from bakeoff.errors import BakeoffError
from bakeoff.evaluators import (
    EvaluatorContext,
    Guard,
    apply_guards,
    begin_scoring,
    conceal,
    load_evaluator,
    passes,
    places_read,
    redact_value,
    score_trial,
)
from bakeoff.gateway import Usage
from bakeoff.targets import TargetResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from bakeoff.datasets import Item
    from bakeoff.evaluators import Evaluator, GuardEvent, GuardSide, GuardSpec, GuardVerdict, Score
    from bakeoff.gateway import ModelClient, ModelRequest, ModelResponse
    from bakeoff.targets import VariantTarget

__all__ = ["Entered", "Guards", "guard_problems", "keep_answer", "load_guards"]

_OUTCOMES = {"block": "blocked", "retry": "blocked", "escalate": "escalated"}


class Ask(Protocol):
    """Asks the target once."""

    async def __call__(self, item: Item, *, attempt: int, feedback: str) -> TargetResult:
        """Return the answer; `attempt` counts from 0, and `feedback` says why the last one was not accepted."""
        ...


@dataclass(frozen=True, slots=True)
class Entered:
    """What the guards on inputs made of an item, before its target is asked."""

    item: Item
    """As the target is to see it."""
    verdict: GuardVerdict
    costs: tuple[float, ...]

    @property
    def is_stopped(self) -> bool:
        """Whether the target must not be asked."""
        return self.verdict.action != "pass"


class Guards:
    """The guards of a run.

    Args:
        guards: In the order of the spec.
        client: For guards that ask a model.
    """

    def __init__(self, guards: Sequence[Guard], client: ModelClient) -> None:
        self._guards = guards
        self._client = client
        self.redacts = any(guard.spec.action == "redact" for guard in guards)
        """Whether personal data and secrets are to be kept out of everything that is stored."""

    async def enter(self, item: Item, *, variant: str, repeat: int) -> Entered:
        """Check the inputs of an item, ahead of asking: a batch is filled with what came through."""
        costs: list[float] = []
        base = EvaluatorContext(
            output=None, inputs=item.inputs, metadata=item.metadata, item_id=item.id, variant=variant, repeat=repeat
        )
        shown = "\n".join(str(value) for value in item.inputs.values())
        verdict = await self._check(shown, "input", base, costs)
        if verdict.is_redacted:
            item = replace(item, inputs=redact_value(dict(item.inputs)))
        return Entered(item, verdict, tuple(costs))

    async def answer(
        self, item: Item, *, variant: str, repeat: int, ask: Ask, entered: Entered | None = None
    ) -> tuple[Item, TargetResult]:
        """Check the inputs, ask, check the output, and ask again where a guard wants it.

        Args:
            item: As it stands in the data set.
            variant: Whose target is asked.
            repeat: Which of its samples this is.
            ask: Asks the target.
            entered: What the guards on inputs said, where they were asked before.

        Returns:
            The item as the target saw it, and the answer as it may be stored.

        Raises:
            TargetError: The target failed.
        """
        if entered is None:
            entered = await self.enter(item, variant=variant, repeat=repeat)
        item, costs = entered.item, list(entered.costs)
        if entered.is_stopped:
            stopped = TargetResult(output=None, cost_usd=0.0, attempts=0)
            return item, self._settled([stopped], entered.verdict, entered.verdict.events, [], costs)
        base = EvaluatorContext(
            output=None, inputs=item.inputs, metadata=item.metadata, item_id=item.id, variant=variant, repeat=repeat
        )
        left = max((guard.spec.retries for guard in self._guards if guard.spec.action == "retry"), default=0)
        events = list(entered.verdict.events)
        tries: list[TargetResult] = []
        feedback = ""
        while True:
            result = await ask(item, attempt=len(tries), feedback=feedback)
            tries.append(result)
            context = replace(
                base, messages=result.messages, tool_calls=result.tool_calls, finish_reason=result.finish_reason,
                trace=result.trace, usage=result.usage, cost_usd=result.cost_usd, latency_ms=result.latency_ms,
            )  # fmt: skip
            verdict = await self._check(result.output, "output", context, costs)
            asks_again = verdict.action == "retry" and len(tries) <= left
            if verdict.action == "retry" and not asks_again:
                last = verdict.events[-1]
                verdict.events[-1] = replace(last, action="block", reason=f"{last.reason} (after {len(tries)} tries)")
            events += verdict.events
            if asks_again:
                feedback = f"Your last answer was not accepted: {verdict.reason}. Answer again and avoid this."
                continue
            withheld = [one.output for one in (tries if verdict.action != "pass" else tries[:-1])]
            return item, self._settled(tries, verdict, events, withheld, costs)

    async def _check(self, value: Any, side: GuardSide, context: EvaluatorContext, costs: list[float]) -> GuardVerdict:
        async def judge(evaluator: Evaluator, checked: Any) -> Score:
            score = (await score_trial([evaluator], replace(context, output=checked, client=self._client)))[0]
            costs.append(score.cost_usd or 0.0)
            return score

        return await apply_guards(self._guards, value, side=side, judge=judge)

    def _settled(
        self,
        tries: Sequence[TargetResult],
        verdict: GuardVerdict,
        events: Sequence[GuardEvent],
        withheld: Sequence[Any],
        costs: Sequence[float],
    ) -> TargetResult:
        """Return the answer as it may be stored, with what all tries took."""
        last = tries[-1]
        known = [one.cost_usd for one in tries if one.cost_usd is not None]
        waits = [one.latency_ms for one in tries if one.latency_ms is not None]
        result = replace(
            last,
            output=verdict.value,
            usage=_sum_usage([one.usage for one in tries]),
            cost_usd=math.fsum([*known, *costs]) if len(known) == len(tries) else None,
            latency_ms=math.fsum(waits) if len(waits) == len(tries) else None,
            attempts=sum(one.attempts for one in tries),
            cached=all(one.cached for one in tries),
            guards=(*last.guards, *(event.as_dict() for event in events)),
        )
        if verdict.guard is not None:
            result = replace(result, output=verdict.guard.spec.say, finish_reason=_OUTCOMES[verdict.action])
        if events or self.redacts:
            result = replace(
                result,
                tool_calls=conceal(list(result.tool_calls), withheld=withheld),
                trace=conceal(list(result.trace), withheld=withheld),
                messages=conceal(list(result.messages), withheld=withheld),
                logprobs=None if events else result.logprobs,  # their tokens would spell it out
            )
        return result


def _sum_usage(usages: Sequence[Usage]) -> Usage:
    if len(usages) == 1:
        return usages[0]
    return Usage(
        input_tokens=sum(one.input_tokens for one in usages),
        output_tokens=sum(one.output_tokens for one in usages),
        cached_tokens=sum(one.cached_tokens for one in usages),
        reasoning_tokens=sum(one.reasoning_tokens for one in usages),
        audio_tokens=sum(one.audio_tokens for one in usages),
        estimated=any(one.estimated for one in usages),
    )


def load_guards(
    specs: Sequence[GuardSpec], *, base_dir: Path, problem: Callable[[BakeoffError, int], None]
) -> list[Guard]:
    """Build the evaluators of guards; what is wrong with one goes to `problem` with its place."""
    found: list[Guard] = []
    for index, spec in enumerate(specs):
        try:
            found.append(Guard(spec=spec, evaluator=load_evaluator(spec.check, base_dir=base_dir)))
        except BakeoffError as error:
            problem(error, index)
    return found


def guard_problems(
    guards: Sequence[Guard], variants: Mapping[str, VariantTarget], *, batch: bool
) -> Iterable[tuple[str, int, str, str]]:
    """Yield (problem, place, key, fix) for what would make a guard stop everything, or do nothing."""
    recorded = [name for name, variant in variants.items() if variant.spec.recorded is not None]
    for place, guard in enumerate(guards):
        name, spec = guard.evaluator.metric, guard.spec
        if len(guard.evaluator.metrics) > 1:
            yield f"{name!r} gives several values; a guard needs one", place, "check", "choose one of its values"
        elif guard.evaluator.metrics[0].score_kind == "label":
            yield f"{name!r} gives a word, not pass or fail", place, "check", "use a check that passes or fails"
        if any(one.partition(".")[0] == "expected" for one in places_read(guard.evaluator)):
            fix = "use a check that looks at the text alone, or give it an `expected` of its own"
            yield f"{name!r} needs the right answer, which a guard does not have", place, "check", fix
        if spec.action == "retry" and spec.side == "input":
            yield "an input does not change by asking again", place, "action", "use `block`, `redact` or `escalate`"
        if spec.action == "retry" and recorded:
            message = f"the answers of {recorded[0]!r} are recorded and cannot be asked for again"
            yield message, place, "action", "use `block`, `redact` or `escalate`"
        if batch and spec.action == "retry":
            yield "a batch cannot ask again", place, "action", "set `gateway.mode: live`, or leave this guard out"


def keep_answer(
    guards: Sequence[Guard], variants: Mapping[str, VariantTarget]
) -> Callable[[ModelRequest, ModelResponse], bool] | None:
    """Return what decides whether an answer may go into the response cache; `None` where all may.

    What a guard takes out or stops must not lie in a file beside the run, so such an answer is asked for again when
    the experiment runs again. Guards that need more than the text, such as judges, do not decide here.
    """
    inner = [guard for variant in variants.values() for guard in getattr(variant.agent, "guards", ())]
    outgoing = [guard for guard in (*guards, *inner) if guard.spec.side == "output"]
    redacts = any(guard.spec.action == "redact" for guard in (*guards, *inner))
    if not outgoing and not redacts:
        return None

    def keep(request: ModelRequest, response: ModelResponse) -> bool:
        said = [response.text, response.reasoning or "", list(response.tool_calls)]
        if redacts and redact_value(said) != said:
            return False
        context = EvaluatorContext(output=response.text, messages=request.messages)
        for guard in outgoing:
            # What passes between the steps of an agent, and to judges, need not look like an answer; it may do no harm.
            if guard.evaluator.needs_model or (request.purpose != "task" and guard.evaluator.family != "safety"):
                continue
            scores = begin_scoring(guard.evaluator, context)
            if not isinstance(scores, list):
                scores.close()
            elif scores[0].value is not None and not passes(scores[0], guard.spec.threshold):
                return False
        return True

    return keep
