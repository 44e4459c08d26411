"""Compare two answers to the same item: blind, in both orders, with ties."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from bakeoff.evaluators._base import Finding
from bakeoff.evaluators._judge_ask import ModelJudge
from bakeoff.evaluators._judge_parse import read_choice, read_text
from bakeoff.evaluators._judge_task import JudgeTask, Reading, Section, closed, reference_text, shown_inputs
from bakeoff.evaluators._protocol import EvaluateResult, EvaluatorContext, Family, Score, ScoreKind
from bakeoff.evaluators._registry import evaluator
from bakeoff.evaluators._text import as_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bakeoff.gateway import ModelClient, ModelRequest

__all__ = ["PairOutcome", "Pairwise", "Winner", "compare_pairs"]

Winner = Literal["a", "b", "tie"]

_CHOICES = {"1": "first", "2": "second", "tie": "tie"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PairOutcome:
    """What came of comparing two answers in both orders."""

    winner: Winner | None
    """`None` when it could not be judged; a contradiction between the two orders is a tie."""
    consistent: bool | None
    """Whether both orders gave the same winner; `None` when one could not be judged."""
    a_first: Winner | None
    """Winner when `a` was shown first."""
    b_first: Winner | None
    """Winner when `b` was shown first."""
    item_id: str = ""
    variant_a: str = ""
    variant_b: str = ""
    length_a: int = 0
    """Characters."""
    length_b: int = 0
    reason: str | None = None
    error: str | None = None
    cost_usd: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@evaluator("pairwise")
class Pairwise(ModelJudge):
    """Let a model say which of two answers is better: blind, in both orders, with ties.

    As an evaluator of single trials it compares the output with the item's expected answer. To compare variants with
    each other, give pairs of trials to `compare_pairs`; the outcomes feed Bradley-Terry.

    Value:
        1 when the output is better than the expected answer in both orders, 0 when it is worse in both, 0.5 for a tie
        or when the two orders contradict each other (`consistent` in the details says which).

    Missing when:
        There is no output or expected value, or one of the two judgements fails or cannot be read.

    Source:
        Zheng et al. 2023 for both orders; Davidson 1970 for ties.

    Examples:
        >>> from bakeoff.evaluators import load_evaluator
        >>> load_evaluator({"pairwise": {"model": "sim/judge", "criterion": "clearer"}}).metrics[0].score_kind
        'bounded'
    """

    family: ClassVar[Family] = "pairwise"
    score_kind: ClassVar[ScoreKind] = "bounded"

    criterion: str = Field(
        default="helps the user more: right, complete, clear, and no longer than needed", min_length=3
    )
    """What makes an answer better."""
    ties: bool = True
    """Whether the judge may call it a tie."""

    def _instructions(self) -> str:
        tie = ' or "tie" when neither is better by a clear margin' if self.ties else ""
        return (
            f"Two responses to one input are shown. Decide which one is better by this criterion: {self.criterion}\n"
            "Their order is random and says nothing. A longer response is not better for being longer.\n"
            'Give "reason" first: compare both, quoting what decides. Then "better": "1" for the first, "2" for the '
            f"second{tie}."
        )

    @override
    def fingerprint_text(self) -> str:
        return self._instructions()

    def _task(self, inputs: Sequence[Section], first: str, second: str) -> JudgeTask:
        choices = _CHOICES if self.ties else {"1": "first", "2": "second"}

        def read(answer: dict[str, Any]) -> Reading:
            return Reading(choices[read_choice(answer, "better", choices)], read_text(answer, "reason"))

        schema = closed({"reason": {"type": "string"}, "better": {"type": "string", "enum": list(choices)}})
        sections = [*inputs, Section("response 1", first), Section("response 2", second)]
        return JudgeTask(instructions=self._instructions(), sections=sections, schema=schema, read=read)

    async def compare(
        self, a: EvaluatorContext, b: EvaluatorContext, *, client: ModelClient | None = None
    ) -> PairOutcome:
        """Compare two answers to the same item in both orders.

        Args:
            a: A trial of the one variant.
            b: A trial of the other, on the same item.
            client: The door to the model; that of `a` when omitted.

        Returns:
            The outcome; a failed or unreadable judgement gives `winner=None` with the reason in `error`.
        """
        client = client or self.client_of(a)
        text_a, text_b = as_text(a.output), as_text(b.output)
        inputs = shown_inputs(a)
        one, other = await asyncio.gather(
            self.ask(client, self._task(inputs, text_a, text_b), variant=a.variant),
            self.ask(client, self._task(inputs, text_b, text_a), variant=a.variant),
        )
        a_first = _winner(one.reading, {"first": "a", "second": "b", "tie": "tie"})
        b_first = _winner(other.reading, {"first": "b", "second": "a", "tie": "tie"})
        known = a_first is not None and b_first is not None
        costs = [vote.cost_usd for vote in (one, other) if vote.cost_usd is not None]
        reading = one.reading or other.reading
        failed = one if one.reading is None else other
        return PairOutcome(
            winner=(a_first if a_first == b_first else "tie") if known else None,
            consistent=a_first == b_first if known else None,
            a_first=a_first,
            b_first=b_first,
            item_id=a.item_id,
            variant_a=a.variant,
            variant_b=b.variant,
            length_a=len(text_a),
            length_b=len(text_b),
            reason=reading.reason if reading else None,
            error=None if known else failed.error,
            cost_usd=sum(costs) if costs else None,
            details={"model": self.model, "version": self.stamp, **(failed.error_details or {})},
        )

    @override
    def requests_for(self, context: EvaluatorContext) -> list[ModelRequest]:
        task = self._task(shown_inputs(context), as_text(context.output), reference_text(context, None))
        return [self.request(task, self.messages_of(task), model=self.model, sample=0, variant="") for _ in range(2)]

    @property
    @override
    def reads(self) -> tuple[str, ...]:
        return ("expected",)

    @override
    async def evaluate(self, context: EvaluatorContext) -> EvaluateResult:
        """Compare the output with the expected answer."""
        from bakeoff.evaluators._protocol import CannotScoreError

        if context.expected is None:
            raise CannotScoreError("the item has no `expected` answer to compare with")
        outcome = await self.compare(context, replace(context, output=context.expected, variant=""))
        details = {"a_first": outcome.a_first, "b_first": outcome.b_first, "consistent": outcome.consistent}
        if outcome.winner is None:
            return Score(
                name=self.metric,
                value=None,
                error=outcome.error,
                evaluator=self.kind,
                version=self.stamp,
                cost_usd=outcome.cost_usd,
                details={**outcome.details, **details},
            )
        value = {"a": 1.0, "tie": 0.5, "b": 0.0}[outcome.winner]
        result = self.conclude(Finding(value, outcome.reason, {**outcome.details, **details}, outcome.cost_usd))
        return result if isinstance(result, Score) else dict(result)


def _winner(reading: Reading | None, names: Mapping[str, Winner]) -> Winner | None:
    return None if reading is None else names[str(reading.value)]


async def compare_pairs(
    judge: Pairwise,
    pairs: Sequence[tuple[EvaluatorContext, EvaluatorContext]],
    *,
    client: ModelClient,
    max_concurrency: int = 8,
) -> list[PairOutcome]:
    """Compare many pairs; limits and budget are those of the client.

    Args:
        judge: The judge.
        pairs: Two trials on the same item each.
        client: The door to the model.
        max_concurrency: Pairs judged at the same time.

    Returns:
        One outcome for each pair, in order.
    """
    gate = asyncio.Semaphore(max_concurrency)

    async def one(a: EvaluatorContext, b: EvaluatorContext) -> PairOutcome:
        async with gate:
            return await judge.compare(a, b, client=client)

    return list(await asyncio.gather(*(one(a, b) for a, b in pairs)))
