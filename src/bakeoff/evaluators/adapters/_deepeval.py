"""Metrics of DeepEval."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from bakeoff.errors import EvaluatorError
from bakeoff.evaluators._protocol import CannotScoreError, EvaluatorContext
from bakeoff.evaluators._registry import evaluator
from bakeoff.evaluators._text import as_text
from bakeoff.evaluators.adapters._adapter import Found, ModelAdapter, input_text, texts_of
from bakeoff.evaluators.adapters._door import MODEL, Door
from bakeoff.evaluators.adapters._quiet import import_quietly, pick

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["DeepEvalMetric"]

_LISTS = frozenset({"context", "retrieval_context"})
_TOOLS = frozenset({"expected_tools", "tools_called"})
_BASES = frozenset({"BaseMetric", "BaseConversationalMetric"})


@evaluator("deepeval")
class DeepEvalMetric(ModelAdapter):
    """Score with a metric of DeepEval: `AnswerRelevancyMetric`, `FaithfulnessMetric`, `GEval` and the others.

    It is given a test case with the inputs as one text, the output, `expected` and the tools that were called;
    `fields` adds the rest: `retrieval_context: metadata.passages`, `expected_tools: metadata.tools`. Metrics of
    conversations are given the messages of the trial. What it asks a model goes through the gateway of the run: name
    `model`. DeepEval's `threshold` changes nothing here: set ours. Its telemetry, update check and upload of traces
    are off.

    Value:
        0 to 1; in DeepEval 4 more is better for every metric, bias and toxicity included.

    Missing when:
        The test case lacks what the metric needs, the metric raises or gives no score, a model call fails, or
        DeepEval is not installed (told when the spec is read).

    Source:
        DeepEval 4.3.1 (Confident AI, Apache-2.0), called as it is.

    Examples:
        >>> from bakeoff.evaluators import evaluator_class
        >>> evaluator_class("deepeval").install
        "'deepeval==4.3.1'"
    """

    package: ClassVar[str] = "deepeval"
    module: ClassVar[str] = "deepeval"
    install: ClassVar[str] = "'deepeval==4.3.1'"

    @override
    def find(self, base_dir: Path) -> Any:
        library = import_quietly("deepeval.metrics")
        if ":" in self.scorer:
            return self.by_reference(base_dir)
        wanted = (library.BaseMetric, library.BaseConversationalMetric)
        known = [
            name
            for name, one in vars(library).items()
            if inspect.isclass(one) and issubclass(one, wanted) and name not in _BASES
        ]
        return pick(library, self.scorer, known, "metric of DeepEval")

    @override
    def build(self, found: Any, door: Door) -> Any:
        if not inspect.isclass(found):
            raise EvaluatorError(
                "name a class: DeepEval's metrics keep the last score, so each trial needs one of its own"
            )
        takes = inspect.signature(found.__init__).parameters
        options = dict(self.args)
        if "model" in takes:  # always: without it DeepEval would open a client of its own
            options["model"] = _judge_class()(door)
        usual = {"eval_mode": "llm", "async_mode": True, "verbose_mode": False}
        options |= {name: value for name, value in usual.items() if name in takes}
        if "evaluation_params" in options:
            cases = import_quietly("deepeval.test_case")
            turns = issubclass(found, import_quietly("deepeval.metrics").BaseConversationalMetric)
            kind = cases.MultiTurnParams if turns else cases.SingleTurnParams
            options["evaluation_params"] = [kind(str(one)) for one in options["evaluation_params"]]
        return found(**options)

    @override
    async def judge(self, built: Any, context: EvaluatorContext, door: Door) -> Found:
        library = import_quietly("deepeval.metrics")
        many = isinstance(built, library.BaseConversationalMetric)
        case = self._conversation(context) if many else self._case(context)
        await built.a_measure(case, _show_indicator=False)
        if built.error is not None:
            return Found(None, str(built.error))
        return Found(built.score, built.reason)

    def _case(self, context: EvaluatorContext) -> Any:
        cases = import_quietly("deepeval.test_case")
        given: dict[str, Any] = {
            "input": input_text(context) if context.inputs else "",
            "actual_output": as_text(context.output),
            "expected_output": None if context.expected is None else as_text(context.expected),
            "metadata": dict(context.metadata) or None,
            "tools_called": list(context.tool_calls) or None,
        }
        given |= self.chosen(context)
        for name, value in given.items():
            if value is None:
                continue
            if name in _LISTS:
                given[name] = texts_of(value)
            elif name in _TOOLS:
                given[name] = [_tool(one, cases) for one in value]
        return cases.LLMTestCase(**given)

    def _conversation(self, context: EvaluatorContext) -> Any:
        cases = import_quietly("deepeval.test_case")
        turns = [
            cases.Turn(role=one["role"], content=as_text(one.get("content") or ""))
            for one in context.messages
            if one.get("role") in ("user", "assistant")
        ]
        if not turns:
            raise CannotScoreError("the trial has no messages, which this metric of conversations needs")
        return cases.ConversationalTestCase(turns=turns, **self.chosen(context))


def _tool(call: Any, cases: Any) -> Any:
    """Read a tool call: a name, `{name, arguments}`, or OpenAI's form."""
    if isinstance(call, str):
        return cases.ToolCall(name=call)
    if not isinstance(call, Mapping):
        raise CannotScoreError(f"a tool call is a name or a mapping, not {type(call).__name__}")
    inner = call.get("function")
    about = inner if isinstance(inner, Mapping) else call
    arguments = about.get("arguments", about.get("input_parameters"))
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except ValueError:
            arguments = {"arguments": arguments}
    return cases.ToolCall(name=str(about.get("name")), input_parameters=arguments)


@cache
def _judge_class() -> Any:
    base = import_quietly("deepeval.models").DeepEvalBaseLLM

    class DoorModel(base):  # type: ignore[misc, valid-type]  # known at run time only
        """A model for DeepEval that asks the gateway of the run."""

        def __init__(self, door: Door) -> None:
            self._door = door
            super().__init__(MODEL)

        def load_model(self) -> Any:
            return self

        def get_model_name(self) -> str:
            return MODEL

        def generate(self, prompt: Any) -> str:
            return str(self._door.ask_and_wait([{"role": "user", "content": as_text(prompt)}], {}).text)

        async def a_generate(self, prompt: Any) -> str:
            return (await self._door.ask([{"role": "user", "content": as_text(prompt)}], {})).text

    return DoorModel
