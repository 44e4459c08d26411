"""Scorers of autoevals."""

from __future__ import annotations

import asyncio
import inspect
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
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["AutoevalsScorer"]

_BASES = frozenset({"Scorer", "ScorerWithPartial", "OpenAIScorer", "OpenAILLMScorer", "OpenAILLMClassifier"})
_EMBEDDING = frozenset({"EmbeddingSimilarity", "AnswerSimilarity"})


@evaluator("autoevals")
class AutoevalsScorer(ModelAdapter):
    """Score with a scorer of autoevals: `Levenshtein`, `JSONDiff`, `Factuality`, `ClosedQA`, `Battle` and the rest.

    It is given `output`, `expected` and `input` (the inputs as one text); `fields` adds what else it takes, such as
    `criteria` or `context`. What it asks a model or embeds goes through the gateway of the run: name `model`, or
    `embedding_model`. A class of your own (`my_scorers.py:Tone`) works as well; its own code is not watched over.

    Value:
        0 to 1, as all scorers of autoevals give.

    Missing when:
        The scorer raises or gives no score, a model call fails, or autoevals is not installed (told when the spec is
        read).

    Source:
        autoevals 0.4.1 (Braintrust, MIT), called as it is.

    Examples:
        >>> from bakeoff.evaluators import evaluator_class
        >>> evaluator_class("autoevals").install
        "'autoevals==0.4.1'"
    """

    package: ClassVar[str] = "autoevals"
    module: ClassVar[str] = "autoevals"
    install: ClassVar[str] = "'autoevals==0.4.1'"

    @override
    def find(self, base_dir: Path) -> Any:
        library = import_quietly("autoevals")
        if ":" in self.scorer:
            return self.by_reference(base_dir)
        known = [
            name
            for name, one in vars(library).items()
            if inspect.isclass(one) and issubclass(one, library.Scorer) and name not in _BASES
        ]
        return pick(library, self.scorer, known, "scorer of autoevals")

    @override
    def usual_kind(self) -> ScoreKind | None:
        return "bounded"

    @override
    def build(self, found: Any, door: Door) -> Any:
        takes = _parameters(found)
        options = dict(self.args)
        if "client" in takes:
            option = "embedding_model" if self.scorer in _EMBEDDING else "model"
            if getattr(self, option) is None and self.scorer != "Moderation":
                raise EvaluatorError(f"it calls a model: name it with `{option}`")
            options["client"] = door.openai()
            options |= {name: MODEL for name in ("model", "embedding_model") if name in takes}
        built: Any = found(**options) if inspect.isclass(found) else found
        if self.scorer == "EmbeddingSimilarity":
            own: dict[object, object] = {}
            built._CACHE = own  # noqa: SLF001 - the usual one is shared by all models, by an `id` that is used again
        return built

    @override
    async def judge(self, built: Any, context: EvaluatorContext, door: Door) -> Found:
        given: dict[str, Any] = {"output": context.output, "expected": context.expected}
        if context.inputs:
            given["input"] = input_text(context)
        given |= self.chosen(context)
        if self.scorer == "NumericDiff":
            given |= {name: _number(name, given[name]) for name in ("output", "expected")}
        elif isinstance(given["output"], str) and given["expected"] is not None:
            given["expected"] = as_text(given["expected"])
        plain = import_quietly("autoevals").Scorer._run_eval_async  # noqa: SLF001 - it calls the synchronous one
        if getattr(type(built), "_run_eval_async", None) is plain:
            score = await asyncio.to_thread(lambda: built.eval(**given))
        else:
            score = await built.eval_async(**given)
        details: Mapping[str, Any] = score.metadata or {}
        why = details.get("rationale")
        return Found(score.score, None if why is None else as_text(why), details)


def _parameters(found: Any) -> set[str]:
    """Name what a scorer is made with; those of autoevals that come from a file say it in `__new__`."""
    if not inspect.isclass(found):
        return set()
    named: set[str] = set()
    for maker in (found.__new__, found.__init__):
        if maker not in (object.__new__, object.__init__):
            named |= set(inspect.signature(maker).parameters)
    return named


def _number(name: str, value: Any) -> float:
    try:
        return float(str(value).replace(",", ""))
    except ValueError:
        raise CannotScoreError(f"`{name}` is no number, which NumericDiff needs") from None
