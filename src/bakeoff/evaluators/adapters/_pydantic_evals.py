"""Evaluators of pydantic-evals."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from bakeoff.errors import EvaluatorError
from bakeoff.evaluators._protocol import CannotScoreError, EvaluatorContext, ScoreKind
from bakeoff.evaluators._registry import evaluator
from bakeoff.evaluators.adapters._adapter import Found, ModelAdapter
from bakeoff.evaluators.adapters._door import MODEL, Door
from bakeoff.evaluators.adapters._quiet import import_quietly, pick

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["PydanticEvaluator"]

_BINARY = frozenset({"Equals", "EqualsExpected", "Contains", "IsInstance", "MaxDuration"})
_SPANS = frozenset(
    {"ArgumentCorrectness", "HasMatchingSpan", "MaxModelRequests", "MaxToolCalls", "ToolCorrectness", "TrajectoryMatch"}
)
"""They read OpenTelemetry spans, and several of them call a trial without spans a failure."""


@evaluator("pydantic_evals")
class PydanticEvaluator(ModelAdapter):
    """Score with an evaluator of pydantic-evals: `Contains`, `IsInstance`, `LLMJudge`, `GEval` or one of your own.

    It is given the item's inputs, expected output and metadata, the output and the duration. What it asks a model goes
    through the gateway of the run: name `model`. Evaluators that read OpenTelemetry spans (`HasMatchingSpan`,
    `MaxToolCalls` ...) are refused, for Bakeoff records none; `tool_calls` and `trajectory` do that here.

    Value:
        Whatever the evaluator gives: pass or fail, a number or a word; a mapping becomes one metric for each key.

    Missing when:
        The evaluator raises or gives nothing, a model call fails, or pydantic-evals is not installed (told when the
        spec is read).

    Source:
        pydantic-evals 2.62.0 (Pydantic, MIT), called as it is.

    Examples:
        >>> from bakeoff.evaluators import evaluator_class
        >>> evaluator_class("pydantic_evals").install
        "'pydantic-evals==2.62.0'"
    """

    package: ClassVar[str] = "pydantic-evals"
    module: ClassVar[str] = "pydantic_evals"
    score_kind: ClassVar[ScoreKind] = "binary"
    install: ClassVar[str] = "'pydantic-evals==2.62.0'"

    @override
    def find(self, base_dir: Path) -> Any:
        library = import_quietly("pydantic_evals.evaluators")
        if ":" in self.scorer:
            return self.by_reference(base_dir)
        if self.scorer in _SPANS:
            raise EvaluatorError(
                f"{self.scorer} reads OpenTelemetry spans, which Bakeoff does not record\n"
                "    fix: use `tool_calls` or `trajectory`"
            )
        known = [
            name
            for name, one in vars(library).items()
            if inspect.isclass(one) and issubclass(one, library.Evaluator) and one is not library.Evaluator
        ]
        return pick(library, self.scorer, known, "evaluator of pydantic-evals")

    @override
    def usual_kind(self) -> ScoreKind | None:
        return "binary" if self.scorer in _BINARY else None

    @override
    def build(self, found: Any, door: Door) -> Any:
        if not inspect.isclass(found):
            return found
        options = dict(self.args)
        if is_dataclass(found) and any(one.name == "model" for one in fields(found)):
            if self.model is None:
                raise EvaluatorError("it calls a model: name it with `model`")
            chat = import_quietly("pydantic_ai.models.openai")
            provider = import_quietly("pydantic_ai.providers.openai").OpenAIProvider(openai_client=door.openai())
            options["model"] = chat.OpenAIChatModel(MODEL, provider=provider)
        return found(**options)

    @override
    async def judge(self, built: Any, context: EvaluatorContext, door: Door) -> Found | Mapping[str, Found]:
        library = import_quietly("pydantic_evals.evaluators")
        if self.scorer == "MaxDuration" and context.latency_ms is None:
            raise CannotScoreError("the trial has no latency")
        if self.scorer == "EqualsExpected" and context.expected is None:
            raise CannotScoreError("the item has no `expected` value")
        errors = import_quietly("pydantic_evals.otel._errors")
        given: dict[str, Any] = {
            "name": context.item_id,
            "inputs": dict(context.inputs),
            "metadata": dict(context.metadata),
            "expected_output": context.expected,
            "output": context.output,
            **self.chosen(context),
        }
        asked = library.EvaluatorContext(
            **given,
            duration=float("nan") if context.latency_ms is None else context.latency_ms / 1000,
            _span_tree=errors.SpanTreeRecordingError("Bakeoff records no OpenTelemetry spans"),
            attributes={},
            metrics={},
        )
        if inspect.iscoroutinefunction(built.evaluate):
            found = await built.evaluate_async(asked)
        else:
            found = await asyncio.to_thread(built.evaluate_sync, asked)
        if not isinstance(found, Mapping):
            return _one(found)
        if not found:
            raise CannotScoreError("the evaluator gave nothing")
        if list(found) == [built.get_default_evaluation_name()]:
            return _one(next(iter(found.values())))
        return {str(key): _one(value) for key, value in found.items()}


def _one(found: Any) -> Found:
    """Read a bare value or an `EvaluationReason`."""
    return Found(getattr(found, "value", found), getattr(found, "reason", None))
