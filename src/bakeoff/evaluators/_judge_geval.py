"""G-Eval: a mark weighted by how likely the judge found each mark."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field, model_validator
from typing_extensions import override

from bakeoff.evaluators._judge_jury import Judge
from bakeoff.evaluators._judge_parse import read_scale, read_text
from bakeoff.evaluators._judge_task import JudgeTask, Reading, closed, shown_inputs, shown_output
from bakeoff.evaluators._registry import evaluator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bakeoff.evaluators._protocol import EvaluatorContext, ScoreKind
    from bakeoff.gateway import ModelResponse

__all__ = ["GEval", "expected_mark"]

_LEAST_MASS = 0.5


def expected_mark(logprobs: Sequence[Mapping[str, Any]] | None, low: int, high: int) -> tuple[float, float] | None:
    """Average the marks by their probabilities, at the token where the judge wrote the mark.

    Args:
        logprobs: Tokens in OpenAI's form: `token`, `logprob`, `top_logprobs`.
        low: Lowest mark.
        high: Highest mark.

    Returns:
        The expected mark and the probability that fell on marks of the scale; `None` when it cannot be told.

    Examples:
        >>> top = [{"token": "4", "logprob": math.log(0.75)}, {"token": " 5", "logprob": math.log(0.25)}]
        >>> tokens = [{"token": '"mark": '}, {"token": "4", "top_logprobs": top}, {"token": "}"}]
        >>> expected_mark(tokens, 1, 5)
        (4.25, 1.0)
    """
    written = ""
    place: Mapping[str, Any] | None = None
    for token in logprobs or ():
        text = str(token.get("token", ""))
        if re.search(r"\"mark\"\s*:\s*\"?$", written) and re.fullmatch(r"\s*\d+\s*", text):
            place = token
        written += text
    if place is None:
        return None
    mass: dict[int, float] = {}
    for option in place.get("top_logprobs") or ():
        text, logprob = str(option.get("token", "")).strip(), option.get("logprob")
        if text.isascii() and text.isdigit() and isinstance(logprob, (int, float)) and low <= int(text) <= high:
            mass[int(text)] = mass.get(int(text), 0.0) + math.exp(min(float(logprob), 0.0))
    total = math.fsum(mass.values())
    if total < _LEAST_MASS:
        return None
    return math.fsum(mark * share for mark, share in mass.items()) / total, min(total, 1.0)


@evaluator("g_eval")
class GEval(Judge):
    """Let a model mark one criterion by steps, and weight the marks by their log-probabilities.

    The weighting tells apart outputs that a plain mark would give the same; it needs a model that gives
    log-probabilities and single-digit marks. Without them the mark itself counts, and the details say so: `weighted`.

    Value:
        0 to 1: expected mark, as (mark - lowest) / (highest - lowest).

    Missing when:
        There is no output, the call fails, the judge refuses, or its answer cannot be read after `retries`.

    Source:
        Liu et al. 2023 (G-Eval).

    Examples:
        >>> from bakeoff.evaluators import load_evaluator
        >>> load_evaluator({"g_eval": {"model": "sim/judge", "criterion": "coherence"}}).metrics[0].score_kind
        'bounded'
    """

    score_kind: ClassVar[ScoreKind] = "bounded"

    criterion: str = Field(min_length=3)
    """What is marked."""
    steps: list[str] = Field(default_factory=list)
    """Steps of the evaluation, in order; the judge makes its own when omitted."""
    scale: tuple[int, int] = (1, 5)
    """Lowest and highest mark, of one digit."""

    @model_validator(mode="after")
    def _one_digit(self) -> Self:
        low, high = self.scale
        if not 0 <= low < high <= 9:
            raise ValueError(
                f"`scale` is {low} to {high}; marks must have one digit, and the highest must be above the lowest"
            )
        return self

    @override
    def extra_params(self) -> dict[str, Any]:
        return {"logprobs": True, "top_logprobs": 10}

    def _instructions(self) -> str:
        low, high = self.scale
        steps = "\n".join(f"{index}. {step}" for index, step in enumerate(self.steps, start=1))
        how = f"Follow these steps:\n{steps}" if steps else "First think of the steps that a careful evaluation takes."
        return (
            f"Mark the response on this criterion: {self.criterion}\n{how}\n"
            f'Give "reason" first, then "mark": one whole number from {low} (worst) to {high} (best).'
        )

    @override
    def fingerprint_text(self) -> str:
        return self._instructions()

    @override
    def task(self, context: EvaluatorContext) -> JudgeTask:
        low, high = self.scale

        def read(answer: dict[str, Any]) -> Reading:
            mark = read_scale(answer, "mark", low, high)
            details = {"mark": mark, "weighted": False}
            return Reading((mark - low) / (high - low), read_text(answer, "reason"), details)

        def refine(reading: Reading, response: ModelResponse) -> Reading:
            found = expected_mark(response.logprobs, low, high)
            if found is None:
                return reading
            mark, mass = found
            details = {**reading.details, "weighted": True, "expected_mark": mark, "mass": mass}
            return Reading((mark - low) / (high - low), reading.reason, details)

        mark = {"type": "integer", "minimum": low, "maximum": high}
        schema = closed({"reason": {"type": "string"}, "mark": mark})
        sections = [*shown_inputs(context), shown_output(context)]
        return JudgeTask(instructions=self._instructions(), sections=sections, schema=schema, read=read, refine=refine)
