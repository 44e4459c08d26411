"""Metrics of Ragas."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from bakeoff.errors import EvaluatorError
from bakeoff.evaluators._protocol import CannotScoreError, EvaluatorContext, ScoreKind
from bakeoff.evaluators._registry import evaluator
from bakeoff.evaluators._text import as_text
from bakeoff.evaluators.adapters._adapter import Found, ModelAdapter, input_text, texts_of
from bakeoff.evaluators.adapters._door import MODEL, Door
from bakeoff.evaluators.adapters._quiet import import_quietly, pick

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["RagasMetric"]

_LISTS = frozenset({"retrieved_contexts", "reference_contexts", "reference_topics"})
_LOWER = frozenset({"NoiseSensitivity"})
_NO_METRIC = frozenset({"BaseMetric", "DistanceMeasure"})


@evaluator("ragas")
class RagasMetric(ModelAdapter):
    """Score with a metric of Ragas: `Faithfulness`, `ContextRecall`, `AnswerCorrectness`, `RougeScore` and the others.

    It is given `user_input` (the inputs as one text, or the messages of an agent), `response` and `reference`
    (`expected`); `fields` adds the rest: `retrieved_contexts: metadata.passages`. What it asks a model or embeds goes
    through the gateway of the run: name `model`, and `embedding_model` where it needs one. Only the metrics of
    `ragas.metrics.collections` are known; the older ones are on their way out of Ragas. Its usage tracking is off.

    Value:
        0 to 1; a mark for metrics with rubrics. Less is better for `NoiseSensitivity`.

    Missing when:
        The trial lacks what the metric needs, the metric raises or gives nan, a model call fails, or Ragas is not
        installed (told when the spec is read).

    Source:
        Ragas 0.4.3 (Exploding Gradients, Apache-2.0), called as it is. It needs langchain-community below 0.4.

    Examples:
        >>> from bakeoff.evaluators import evaluator_class
        >>> evaluator_class("ragas").install
        "'ragas==0.4.3' 'langchain-community<0.4'"
    """

    package: ClassVar[str] = "ragas"
    module: ClassVar[str] = "ragas"
    install: ClassVar[str] = "'ragas==0.4.3' 'langchain-community<0.4'"

    @override
    def find(self, base_dir: Path) -> Any:
        library = import_quietly("ragas.metrics.collections")
        if ":" in self.scorer:
            return self.by_reference(base_dir)
        return pick(library, self.scorer, set(library.__all__) - _NO_METRIC, "metric of Ragas")

    @override
    def usual_kind(self) -> ScoreKind | None:
        if ":" in self.scorer:
            return None
        return "continuous" if "Rubrics" in self.scorer else "bounded"

    @property
    @override
    def better(self) -> bool | None:
        return not (self.lower_is_better or self.scorer in _LOWER)

    @override
    def build(self, found: Any, door: Door) -> Any:
        if not inspect.isclass(found):
            return found
        options = dict(self.args)
        for name, one in inspect.signature(found.__init__).parameters.items():
            if name == "llm" and self._wanted("model", self.model, one):
                options["llm"] = _llm(door)
            elif name == "embeddings" and self._wanted("embedding_model", self.embedding_model, one):
                options["embeddings"] = _embeddings(door)
            elif name == "distance_measure" and name in options:
                measures = import_quietly("ragas.metrics.collections").DistanceMeasure
                options[name] = measures(options[name])
        return found(**options)

    def _wanted(self, option: str, name: str | None, parameter: inspect.Parameter) -> bool:
        if name is None and parameter.default is parameter.empty:
            raise EvaluatorError(f"it calls a model: name it with `{option}`")
        return name is not None

    @override
    async def judge(self, built: Any, context: EvaluatorContext, door: Door) -> Found:
        takes = inspect.signature(built.ascore).parameters
        given = self._usual(context, takes)
        for name, value in self.chosen(context).items():
            given[name] = texts_of(value) if name in _LISTS else value
        if "reference_tool_calls" in given:
            given["reference_tool_calls"] = [_tool(one) for one in given["reference_tool_calls"]]
        if any(one.kind is one.VAR_KEYWORD for one in takes.values()):
            if self.model is not None:
                given["llm"] = _llm(door)
        else:
            given = {name: value for name, value in given.items() if name in takes}
            for name, one in takes.items():
                if one.default is one.empty and name not in given:
                    raise CannotScoreError(
                        f"{self.scorer} needs `{name}`; say where it stands: `fields: {{{name}: metadata.{name}}}`"
                    )
        result = await built.ascore(**given)
        value = result.value
        if isinstance(value, (list, tuple, Mapping)):
            return Found(None, f"the metric gave a {type(value).__name__}, which is no score")
        return Found(value, result.reason)

    def _usual(self, context: EvaluatorContext, takes: Mapping[str, inspect.Parameter]) -> dict[str, Any]:
        given: dict[str, Any] = {"response": as_text(context.output)}
        if context.expected is not None:
            given["reference"] = as_text(context.expected)
        asks_messages = "Message" in str(takes["user_input"].annotation) if "user_input" in takes else False
        if asks_messages:
            given["user_input"] = _messages(context)
        elif context.inputs:
            given["user_input"] = input_text(context)
        return given


def _llm(door: Door) -> Any:
    return import_quietly("ragas.llms").llm_factory(MODEL, client=door.openai())


def _embeddings(door: Door) -> Any:
    factory = import_quietly("ragas.embeddings.base").embedding_factory
    return factory("openai", model=MODEL, client=door.openai(), interface="modern")


def _tool(call: Any) -> Any:
    """Read a tool call: `{name, arguments}`, or OpenAI's form."""
    import json

    about = call.get("function", call) if isinstance(call, Mapping) else {"name": str(call)}
    arguments = about.get("arguments", about.get("args", {}))
    if isinstance(arguments, str):
        arguments = json.loads(arguments)
    return import_quietly("ragas.messages").ToolCall(name=about["name"], args=arguments)


def _messages(context: EvaluatorContext) -> list[Any]:
    """Show the conversation of the trial as Ragas wants it.

    Raises:
        CannotScoreError: There is none.
    """
    library = import_quietly("ragas.messages")
    found: list[Any] = []
    for one in context.messages:
        content = as_text(one.get("content") or "")
        if one.get("role") == "user":
            found.append(library.HumanMessage(content=content))
        elif one.get("role") == "assistant":
            calls = [_tool(call) for call in one.get("tool_calls") or ()]
            found.append(library.AIMessage(content=content, tool_calls=calls or None))
        elif one.get("role") == "tool" and found:
            found.append(library.ToolMessage(content=content))
    if not found:
        raise CannotScoreError("the trial has no messages, which this metric of conversations needs")
    return found
