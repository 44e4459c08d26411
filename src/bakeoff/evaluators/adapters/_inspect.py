"""Scorers of Inspect."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from bakeoff.errors import EvaluatorError
from bakeoff.evaluators._protocol import CannotScoreError, EvaluatorContext, ScoreKind
from bakeoff.evaluators._registry import evaluator
from bakeoff.evaluators._text import as_text
from bakeoff.evaluators.adapters._adapter import Found, ModelAdapter, input_text
from bakeoff.evaluators.adapters._door import MODEL, Door
from bakeoff.evaluators.adapters._quiet import import_quietly, pick

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["InspectScorer"]

_KINDS: Mapping[str, ScoreKind] = {"f1": "bounded", "perplexity": "continuous", "target_perplexity": "continuous"}
_MARKS: Mapping[str, float] = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}


@evaluator("inspect")
class InspectScorer(ModelAdapter):
    """Score with a scorer of Inspect: `includes`, `match`, `pattern`, `f1`, `model_graded_qa` or one of your own.

    The scorer sees a finished task state: the inputs as one text, the conversation, the output, `expected` as target (a
    list means that any of them counts) and the metadata. What it asks a model goes through the gateway of the run: name
    `model`. `fields: {choices: metadata.choices}` gives the choices of a multiple-choice question.

    Value:
        Pass or fail where Inspect says C or I (N, no answer, fails); with `values: bounded` C is 1, P 0.5 and I 0. A
        number or word stays what it is, a mapping becomes one metric for each key.

    Missing when:
        The scorer raises or leaves the sample unscored, gives P where pass or fail is wanted, a model call fails, or
        Inspect is not installed (told when the spec is read).

    Source:
        inspect-ai 0.3.285 (UK AI Security Institute, MIT), called as it is; C, P, I and N as its `value_to_float`.

    Examples:
        >>> from bakeoff.evaluators import evaluator_class
        >>> evaluator_class("inspect").install
        "'inspect-ai==0.3.285'"
    """

    package: ClassVar[str] = "inspect-ai"
    module: ClassVar[str] = "inspect_ai"
    install: ClassVar[str] = "'inspect-ai==0.3.285'"
    score_kind: ClassVar[ScoreKind] = "binary"

    @override
    def find(self, base_dir: Path) -> Any:
        library = import_quietly("inspect_ai.scorer")
        if ":" in self.scorer:
            return self.by_reference(base_dir)
        registry = import_quietly("inspect_ai._util.registry")
        known = [
            name
            for name, one in vars(library).items()
            if registry.is_registry_object(one) and registry.registry_info(one).type == "scorer"
        ]
        return pick(library, self.scorer, known, "scorer of Inspect")

    @override
    def usual_kind(self) -> ScoreKind | None:
        return None if ":" in self.scorer else _KINDS.get(self.scorer, "binary")

    @override
    def build(self, found: Any, door: Door) -> Any:
        options = dict(self.args)
        if "model" in inspect.signature(found).parameters:
            if self.model is None:
                raise EvaluatorError("it calls a model: name it with `model`")
            options["model"] = _model(door)
        return found(**options)

    @override
    async def judge(self, built: Any, context: EvaluatorContext, door: Door) -> Found | Mapping[str, Found]:
        expected = context.expected
        if expected is None:
            raise CannotScoreError("the item has no `expected` value, which Inspect calls the target")
        target = [as_text(one) for one in expected] if isinstance(expected, list) else as_text(expected)
        score = await built(
            _state(context, target, self.chosen(context)), import_quietly("inspect_ai.scorer").Target(target)
        )
        if score is None:
            raise CannotScoreError("the scorer gave no score")
        why = score.explanation or (f"answer: {score.answer}" if score.answer else None)
        details = {"answer": score.answer} if score.answer is not None else {}
        numbers = self.raw_kind in ("bounded", "continuous")
        if isinstance(score.value, Mapping):
            return {str(key): _one(value, why, details, numbers) for key, value in score.value.items()}
        return _one(score.value, why or getattr(score, "reason", None), details, numbers)


def _one(value: Any, why: str | None, details: Mapping[str, Any], numbers: bool) -> Found:
    if isinstance(value, float) and math.isnan(value):
        return Found(None, f"Inspect left it unscored: {why or 'no reason given'}", details)
    if isinstance(value, str) and value in _MARKS:
        if numbers:
            return Found(_MARKS[value], why, details)
        if value == "P":
            return Found(None, "partly correct (P), which is neither pass nor fail; set `values: bounded`", details)
        return Found(value == "C", why, details)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return Found(None, f"the scorer gave a list of {len(value)} values, which is no score", details)
    return Found(value, why, details)


def _state(context: EvaluatorContext, target: Any, chosen: Mapping[str, Any]) -> Any:
    """Show the trial as the state of a finished task."""
    models, solver = import_quietly("inspect_ai.model"), import_quietly("inspect_ai.solver")
    scorers = import_quietly("inspect_ai.scorer")
    asked, said = (input_text(context) if context.inputs else ""), as_text(context.output)
    messages = [models.ChatMessageUser(content=asked), models.ChatMessageAssistant(content=said)]
    if context.messages:
        kinds = {"system": models.ChatMessageSystem, "assistant": models.ChatMessageAssistant}
        messages = [
            kinds.get(str(one.get("role")), models.ChatMessageUser)(content=as_text(one.get("content") or ""))
            for one in context.messages
        ]
    return solver.TaskState(
        model=models.ModelName(f"{MODEL}/{MODEL}"),
        sample_id=context.item_id or "item",
        epoch=context.repeat + 1,
        input=asked,
        messages=messages,
        target=scorers.Target(target),
        output=models.ModelOutput.from_content(MODEL, said),
        metadata=dict(context.metadata),
        completed=True,
        **chosen,
    )


def _model(door: Door) -> Any:
    _register_provider()
    models = import_quietly("inspect_ai.model")
    return models.get_model(f"{MODEL}/{MODEL}", config=models.GenerateConfig(max_retries=0), memoize=False, door=door)


@cache
def _register_provider() -> None:
    """Tell Inspect of a provider that asks the gateway of the run."""
    models = import_quietly("inspect_ai.model")

    @models.modelapi(name=MODEL)  # type: ignore[untyped-decorator]
    class DoorAPI(models.ModelAPI):  # type: ignore[misc, name-defined]  # known at run time only
        """Passes each call on to the door of one evaluation."""

        def __init__(self, model_name: str, *, door: Door, **given: Any) -> None:
            del given  # address and key are the gateway's business
            super().__init__(model_name=model_name)
            self._door = door

        async def generate(self, input: Any, tools: Any, tool_choice: Any, config: Any) -> Any:  # noqa: A002
            messages = [{"role": one.role, "content": one.text} for one in input]
            names = ("temperature", "top_p", "max_tokens", "seed", "stop_seqs")
            params = {name: getattr(config, name) for name in names if getattr(config, name) is not None}
            if "stop_seqs" in params:
                params["stop"] = params.pop("stop_seqs")
            response = await self._door.ask(messages, params)
            return models.ModelOutput.from_content(response.model, response.text)

        def should_retry(self, ex: BaseException) -> bool:
            return False
