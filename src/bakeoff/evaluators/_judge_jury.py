"""A judge of one trial, or a jury: several models or samples, and how their votes become one value."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, PositiveInt, field_validator, model_validator
from typing_extensions import override

from bakeoff.evaluators._base import Finding
from bakeoff.evaluators._judge_ask import ModelJudge, Vote, sum_known
from bakeoff.evaluators._protocol import CannotScoreError, EvaluateResult, EvaluatorContext, Score, ScoreValue

if TYPE_CHECKING:
    from bakeoff.evaluators._judge_task import JudgeTask

if TYPE_CHECKING:
    from bakeoff.gateway import ModelRequest

__all__ = ["Judge"]


class Judge(ModelJudge):
    """A judge of one trial; or a jury of several models or samples."""

    jury: list[str] = Field(default_factory=list)
    """Further models that judge too; their votes are joined by `join`."""
    samples: PositiveInt = Field(default=1, le=50)
    """How often each model judges; needs a `temperature` above 0 to be of use."""
    join: Literal["auto", "majority", "mean", "median"] = "auto"
    """How votes become one value; `auto` is majority for pass/fail and words, mean for numbers."""
    quorum: PositiveInt | None = None
    """Fewest readable votes; more than half of all when omitted."""
    escalate_below: float | None = Field(default=None, ge=0, le=1)
    """Confidence below which the trial goes to people (`bakeoff label`, the Label page); needs several votes.
    Confidence is the share of the votes that agree, or 1 - twice their standard deviation for numbers."""

    @field_validator("jury", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _jury_fits(self) -> Self:
        if self.quorum is not None and self.quorum > len(self.jurors):
            raise ValueError(f"`quorum` is {self.quorum}, but there are {len(self.jurors)} votes")
        if self.escalate_below is not None and len(self.jurors) < 2:
            raise ValueError("`escalate_below` needs several votes to tell how sure they are; add `jury` or `samples`")
        if self.join in ("mean", "median") and self.raw_kind in ("binary", "label"):
            raise ValueError(f"`join: {self.join}` needs numbers, but {self.kind} gives {self.raw_kind} values")
        if self.parts and len(self.jurors) > 1:
            raise ValueError("several values per trial cannot be joined over a jury; ask for the overall value")
        return self

    @property
    def jurors(self) -> list[tuple[str, int]]:
        """Each model with each sample."""
        models = list(dict.fromkeys([self.model, *self.jury]))
        return [(model, sample) for model in models for sample in range(self.samples)]

    def task(self, context: EvaluatorContext) -> JudgeTask:
        """Write the question about one trial."""
        raise NotImplementedError(f"{type(self).__name__}.task")

    @override
    def requests_for(self, context: EvaluatorContext) -> list[ModelRequest]:
        task = self.task(context)
        messages = self.messages_of(task)
        return [
            self.request(task, messages, model=model, sample=sample, variant=context.variant)
            for model, sample in self.jurors
        ]

    @override
    async def evaluate(self, context: EvaluatorContext) -> EvaluateResult:
        """Ask, read, join."""
        client, task = self.client_of(context), self.task(context)
        votes = await asyncio.gather(
            *(self.ask(client, task, model=one, sample=sample, variant=context.variant) for one, sample in self.jurors)
        )
        cost_usd = sum_known([vote.cost_usd for vote in votes])
        good = [vote for vote in votes if vote.reading is not None]
        needed = self.quorum or len(votes) // 2 + 1
        if len(good) < needed:
            return self._unread(votes, needed, cost_usd)
        readings = [vote.reading for vote in good if vote.reading is not None]
        try:
            value, confidence = self._joined([reading.value for reading in readings])
        except CannotScoreError as error:
            most = max(Counter(reading.value for reading in readings).values())
            split = {"model": self.model, "escalate": True, "confidence": round(most / len(readings), 4)}
            return self._without_value(str(error), cost_usd, {**split, "escalate_because": str(error)})
        details: dict[str, Any] = {**readings[0].details, "model": self.model, "answered_by": good[0].answered_by}
        details["attempts"] = sum(vote.attempts for vote in votes)
        if good[0].fingerprint:
            details["fingerprint"] = good[0].fingerprint
        if len(votes) > 1:
            details["votes"] = [
                {"model": vote.model, "value": vote.reading.value if vote.reading else None} for vote in votes
            ]
            details["confidence"] = round(confidence, 4)
            if self.escalate_below is not None:
                details["escalate"] = confidence < self.escalate_below
                votes_told = _tell_votes([reading.value for reading in readings])
                details["escalate_because"] = (
                    f"confidence {confidence:.2f} is below {self.escalate_below:g}: {votes_told}"
                )
        reason = next((reading.reason for reading in readings if reading.value == value), readings[0].reason)
        parts = readings[0].details.get("parts")
        finding = Finding(parts if self.parts and isinstance(parts, Mapping) else value, reason, details, cost_usd)
        return self._costed(self.conclude(finding), cost_usd)

    def _costed(self, result: Score | dict[str, Score], cost_usd: float | None) -> EvaluateResult:
        """Let the cost stand on one score only, so that sums are right."""
        if isinstance(result, Score):
            return result
        return {
            key: replace(score, cost_usd=cost_usd if index == 0 else None)
            for index, (key, score) in enumerate(result.items())
        }

    def _unread(self, votes: Sequence[Vote], needed: int, cost_usd: float | None) -> EvaluateResult:
        failed = [vote for vote in votes if vote.reading is None]
        first = failed[0]
        error = first.error or "the judge gave no answer"
        if len(votes) > 1:
            error = f"{len(votes) - len(failed)} of {len(votes)} votes could be read, {needed} are needed; {error}"
        return self._without_value(error, cost_usd, {"model": self.model, **(first.error_details or {})})

    def _without_value(self, error: str, cost_usd: float | None, details: Mapping[str, Any]) -> EvaluateResult:
        """Give missing scores that still say what was paid."""
        score = Score(
            name=self.metric,
            value=None,
            error=error,
            evaluator=self.kind,
            version=self.stamp,
            cost_usd=cost_usd,
            details=details,
        )
        if not self.parts:
            return score
        return self._costed({part: replace(score, name=f"{self.metric}.{part}") for part in self.parts}, cost_usd)

    def _joined(self, values: Sequence[ScoreValue]) -> tuple[ScoreValue, float]:
        """Join votes; the confidence is the share of the majority, or 1 - twice the standard deviation for numbers."""
        if all(isinstance(value, (bool, str)) for value in values):
            counts = Counter(values).most_common()
            (best, most), *others = counts
            if others and others[0][1] == most:
                raise CannotScoreError(f"the jury is split: {_tell_votes(values)}")
            return best, most / len(values)
        numbers = [float(value) for value in values if not isinstance(value, str)]
        mean = math.fsum(numbers) / len(numbers)
        spread = math.sqrt(math.fsum((number - mean) ** 2 for number in numbers) / len(numbers))
        return (median(numbers) if self.join == "median" else mean), max(0.0, 1 - 2 * spread)


def _tell_votes(values: Sequence[ScoreValue]) -> str:
    """Say how a jury voted.

    Examples:
        >>> _tell_votes([True, False, True]), _tell_votes([0.2, 0.9])
        ('2 x pass, 1 x fail', '0.2, 0.9')
    """
    if all(isinstance(value, (bool, str)) for value in values):
        words = [("pass" if value else "fail") if isinstance(value, bool) else value for value in values]
        return ", ".join(f"{count} x {word}" for word, count in Counter(words).most_common())
    return ", ".join(f"{value:.3g}" for value in values if not isinstance(value, str))
