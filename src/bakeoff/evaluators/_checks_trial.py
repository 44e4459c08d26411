"""Measures of how the output came about: time, cost, tokens, why it ended."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from pydantic import Field, field_validator
from typing_extensions import override

from bakeoff.evaluators._base import Check, Finding
from bakeoff.evaluators._protocol import CannotScoreError, EvaluatorContext, Family, ScoreKind
from bakeoff.evaluators._registry import evaluator

__all__ = ["Cost", "FinishReason", "Latency", "Perplexity", "TimeToFirstToken", "Tokens"]


class _Amount(Check):
    """A number that is better when it is lower."""

    family: ClassVar[Family] = "check"
    score_kind: ClassVar[ScoreKind] = "continuous"
    higher_is_better: ClassVar[bool | None] = False
    shorthand: ClassVar[str | None] = "threshold"


@evaluator("latency")
class Latency(_Amount):
    """Measure how long the answer took.

    Value:
        Milliseconds of the attempt that answered, without waiting for limits; lower is better. With `threshold`,
        pass at or below it: `latency: 2000`.

    Missing when:
        No latency was recorded (recorded outputs, answers from the cache without one).

    Source:
        The gateway or the target.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> load_evaluator({"latency": 2000}).evaluate(EvaluatorContext(output="", latency_ms=850.0)).value
        True
    """

    unit: ClassVar[str] = "ms"

    @override
    def measure(self, context: EvaluatorContext) -> Finding:
        """Give the latency."""
        if context.latency_ms is None:
            raise CannotScoreError("no latency was recorded for this trial")
        return Finding(float(context.latency_ms))


@evaluator("ttft")
class TimeToFirstToken(_Amount):
    """Measure how long the first token took.

    Value:
        Milliseconds; lower is better. With `threshold`, pass at or below it.

    Missing when:
        The answer was not streamed.

    Source:
        The gateway or the target.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> load_evaluator("ttft").evaluate(EvaluatorContext(output="", ttft_ms=120.0)).value
        120.0
    """

    unit: ClassVar[str] = "ms"

    @override
    def measure(self, context: EvaluatorContext) -> Finding:
        """Give the time to the first token."""
        if context.ttft_ms is None:
            raise CannotScoreError("no time to first token was recorded; switch streaming on")
        return Finding(float(context.ttft_ms))


@evaluator("cost")
class Cost(_Amount):
    """Measure what the answer cost.

    Value:
        US dollars; lower is better. With `threshold`, pass at or below it. 0 means free.

    Missing when:
        No price is known for the model: unknown is not free.

    Source:
        The gateway: tokens times the price table stored with the run.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> load_evaluator({"cost": 0.01}).evaluate(EvaluatorContext(output="", cost_usd=0.002)).value
        True
    """

    unit: ClassVar[str] = "USD"

    @override
    def measure(self, context: EvaluatorContext) -> Finding:
        """Give the cost."""
        if context.cost_usd is None:
            raise CannotScoreError("no cost is known for this trial (no price for the model, or recorded outputs)")
        return Finding(float(context.cost_usd))


@evaluator("tokens")
class Tokens(_Amount):
    """Count the tokens of a trial.

    Value:
        Number of tokens; lower is better. With `threshold`, pass at or below it.

    Missing when:
        The provider counted none.

    Source:
        The provider's usage report; `estimated` is noted in the reason.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> from bakeoff.gateway import Usage
        >>> context = EvaluatorContext(output="", usage=Usage(input_tokens=90, output_tokens=10))
        >>> load_evaluator({"tokens": {"of": "total"}}).evaluate(context).value
        100
    """

    unit: ClassVar[str] = "tokens"

    of: Literal["output", "input", "total", "reasoning"] = "output"
    """Which tokens."""

    @override
    def measure(self, context: EvaluatorContext) -> Finding:
        """Give the count."""
        usage = context.usage
        if not (usage.input_tokens or usage.output_tokens):
            raise CannotScoreError("no tokens were counted for this trial")
        counts = {
            "output": usage.output_tokens,
            "input": usage.input_tokens,
            "total": usage.input_tokens + usage.output_tokens,
            "reasoning": usage.reasoning_tokens,
        }
        return Finding(counts[self.of], "estimated" if usage.estimated else None)


@evaluator("finish_reason")
class FinishReason(Check):
    """Check why the model stopped: by itself, not cut off or filtered.

    Value:
        Pass or fail.

    Missing when:
        No finish reason was recorded.

    Source:
        The provider, in OpenAI's words: stop, length, tool_calls, content_filter.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> load_evaluator("finish_reason").evaluate(EvaluatorContext(output="", finish_reason="length")).reason
        "stopped for 'length'"
    """

    family: ClassVar[Family] = "check"
    shorthand: ClassVar[str | None] = "allowed"

    allowed: list[str] = Field(default_factory=lambda: ["stop", "tool_calls"], min_length=1)
    """Finish reasons that pass."""

    @field_validator("allowed", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value

    @override
    def measure(self, context: EvaluatorContext) -> Finding:
        """Compare."""
        if not context.finish_reason:
            raise CannotScoreError("no finish reason was recorded for this trial")
        good = context.finish_reason in self.allowed
        return Finding(good, None if good else f"stopped for {context.finish_reason!r}")


@evaluator("perplexity")
class Perplexity(_Amount):
    """Measure how surprised the model was by its own answer.

    Value:
        exp(-mean log-probability of the tokens), 1 or more; lower is better. Comparable only between runs of the
        same model and tokenizer.

    Missing when:
        No log-probabilities came back: ask for them with the model parameter `logprobs: true`.

    Source:
        Jelinek et al. 1977.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> context = EvaluatorContext(output="a b", logprobs=[{"logprob": -0.5}, {"logprob": -1.5}])
        >>> round(load_evaluator("perplexity").evaluate(context).value, 4)
        2.7183
    """

    @override
    def measure(self, context: EvaluatorContext) -> Finding:
        """Average the log-probabilities."""
        values = [
            float(token["logprob"])
            for token in context.logprobs or ()
            if isinstance(token.get("logprob"), (int, float)) and math.isfinite(token["logprob"])
        ]
        if not values:
            raise CannotScoreError("no log-probabilities came back; set the model parameter `logprobs: true`")
        return Finding(math.exp(min(-math.fsum(values) / len(values), 700.0)), None, {"tokens": len(values)})
