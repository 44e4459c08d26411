"""Tiers: a cheap model first, a dear one when the answer is not good enough."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from bakeoff.agents.reasoning._rounds import stated_confidence
from bakeoff.agents.reasoning._wide import vote
from bakeoff.agents.run._text import extract_answer
from bakeoff.agents.run._work import Work

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from bakeoff.agents.config._agent import Accept, Step, Tier
    from bakeoff.agents.reasoning._library import Work as WorkProtocol
    from bakeoff.gateway import ModelResponse

__all__ = ["answer_by_tiers", "token_confidence"]

_JUDGE = (
    "A question and an answer follow. How likely is the answer right? Reply with a number from 0 to 1 and nothing "
    "else.\n\nQuestion:\n{question}\n\nAnswer:\n{answer}"
)


def token_confidence(response: ModelResponse | None) -> float | None:
    """Return the geometric mean probability of the tokens of an answer; `None` without log-probabilities.

    Examples:
        >>> from bakeoff.gateway import ModelResponse
        >>> token_confidence(ModelResponse(text="ab", model="m", logprobs=[{"logprob": 0.0}, {"logprob": -2.0}]))
        0.36787944117144233
    """
    values = [
        float(one["logprob"])
        for one in (response.logprobs or () if response is not None else ())
        if isinstance(one.get("logprob"), (int, float))
    ]
    return math.exp(sum(values) / len(values)) if values else None


async def answer_by_tiers(work: Work, step: Step) -> str:
    """Ask tier by tier until an answer is accepted; the last one always is.

    Tier and reason are on the span of the step: `tier` counts from 0.
    """
    tried: list[dict[str, Any]] = []
    text = ""
    for number, tier in enumerate(step.tiers):
        params = dict(tier.params)
        if tier.accept is not None and tier.accept.spec.by == "logprob":
            params["logprobs"] = True
        here = work.with_model((tier.model, *step.models[1:]), params, number * 100_000)
        is_last = number == len(step.tiers) - 1
        text, confidence, why = await _attempt(here, tier, is_last=is_last)
        work.sent, work.last = here.sent, here.last
        accepted = is_last or (
            confidence is not None and tier.accept is not None and confidence >= tier.accept.spec.threshold
        )
        tried.append({"tier": number, "model": tier.model.model, "confidence": confidence, "why": why})
        if accepted:
            work.note(tier=number, tier_model=tier.model.model, tiers=tried)
            break
    return text


async def _attempt(work: Work, tier: Tier, *, is_last: bool) -> tuple[str, float | None, str]:
    accept = tier.accept
    if is_last or accept is None:
        return await tier.pattern.run(work, tier.options), None, "last tier"
    if accept.spec.by == "consistency":
        answers = await work.together(
            [_sample(tier.pattern.run, tier.options, index) for index in range(accept.spec.samples)]
        )
        best, share = vote([extract_answer(one) for one in answers])
        return best, share, f"{share:.0%} of {len(answers)} samples agree"
    if accept.spec.by == "stated":
        work.add("After the answer add a line 'Confidence:' with a number from 0 to 1: how sure you are.")
        text = await tier.pattern.run(work, tier.options)
        confidence = stated_confidence(work.last.text if work.last is not None else text)
        answer = re.split(r"\n\s*\W*confidence\b", text, maxsplit=1, flags=re.IGNORECASE)[0].strip()
        return answer, confidence, "no confidence stated" if confidence is None else "stated"
    text = await tier.pattern.run(work, tier.options)
    if accept.spec.by == "logprob":
        confidence = token_confidence(work.last)
        return text, confidence, "no log-probabilities" if confidence is None else "mean token probability"
    return await _judged(work, accept, text)


def _sample(
    run: Callable[[WorkProtocol, Mapping[str, Any]], Awaitable[str]], options: Mapping[str, Any], index: int
) -> Callable[[WorkProtocol], Awaitable[str]]:
    async def one(work: WorkProtocol) -> str:
        assert isinstance(work, Work)
        work.offset += 1_000 * index
        return await run(work, options)

    return one


async def _judged(work: Work, accept: Accept, text: str) -> tuple[str, float | None, str]:
    if accept.evaluator is not None:
        scores = await work.trial.judge([accept.evaluator], text)
        value = scores[0].value if scores else None
        confidence = float(value) if isinstance(value, (bool, int, float)) else None
        return text, confidence, f"{accept.evaluator.metric}: {scores[0].reason or scores[0].error or value}"
    assert accept.model is not None
    asked = [{"role": "user", "content": _JUDGE.format(question=work.question, answer=text)}]
    response = await work.trial.call(
        (accept.model,), asked, name="judge", clock=work.clock, parent=work.span["id"], sample=work.offset
    )
    number = stated_confidence(f"confidence {response.text.strip()}")
    return text, number, "the judge gave no number" if number is None else "judge"
