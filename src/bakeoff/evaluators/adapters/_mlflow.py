"""Scorers of MLflow."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from bakeoff.errors import EvaluatorError
from bakeoff.evaluators._protocol import CannotScoreError, EvaluatorContext, ScoreKind
from bakeoff.evaluators._registry import evaluator
from bakeoff.evaluators.adapters._adapter import Adapter, Found
from bakeoff.evaluators.adapters._quiet import import_quietly, pick

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bakeoff.evaluators.adapters._door import Door

__all__ = ["MlflowScorer"]

_WITHOUT_MODEL = ("PIIDetection", "RegexMatch", "ResponseLength")
_WORDS = {"yes": True, "no": False}


@evaluator("mlflow")
class MlflowScorer(Adapter):
    """Score with a scorer of MLflow: `RegexMatch`, `PIIDetection`, `ResponseLength`, or your `@scorer` function.

    MLflow's judges (`Correctness`, `Guidelines`, `make_judge` and the others) are refused: they call their model by
    themselves, past the budget, limits and cache of the run, and MLflow lets nobody put another client in their place.
    Bakeoff's own judges ask the same questions. A function of yours is given `inputs`, `outputs` and `expectations`.

    Value:
        Pass or fail for MLflow's own (`yes` and `no`), else whatever the function gives; a list of feedback becomes one
        metric for each name.

    Missing when:
        The scorer raises, gives nothing or a feedback with an error, or MLflow is not installed (told when the spec
        is read).

    Source:
        MLflow 3.17.2 (Apache-2.0), called as it is.

    Examples:
        >>> from bakeoff.evaluators import evaluator_class
        >>> evaluator_class("mlflow").install
        "'mlflow==3.17.2'"
    """

    package: ClassVar[str] = "mlflow"
    module: ClassVar[str] = "mlflow"
    score_kind: ClassVar[ScoreKind] = "binary"
    install: ClassVar[str] = "'mlflow==3.17.2'"

    @override
    def find(self, base_dir: Path) -> Any:
        library = import_quietly("mlflow.genai.scorers")
        judge = import_quietly("mlflow.genai.judges").base.Judge if ":" in self.scorer else None
        if judge is not None:
            found = self.by_reference(base_dir)
            cls = found if inspect.isclass(found) else type(found)
            named = cls.__name__ in _WITHOUT_MODEL and cls.__module__.startswith("mlflow.")
            if not issubclass(cls, library.Scorer):
                raise EvaluatorError(
                    f"{self.scorer!r} is no scorer of MLflow; put `@mlflow.genai.scorer` before the function"
                )
            if issubclass(cls, judge) and not named:
                raise EvaluatorError(_refusal(self.scorer))
            return found
        if self.scorer not in _WITHOUT_MODEL and self.scorer in dir(library):
            raise EvaluatorError(_refusal(self.scorer))
        return pick(library, self.scorer, _WITHOUT_MODEL, "scorer of MLflow that asks no model")

    @override
    def usual_kind(self) -> ScoreKind | None:
        return "binary" if self.scorer in _WITHOUT_MODEL else None

    @override
    def build(self, found: Any, door: Door) -> Any:
        if not inspect.isclass(found):
            if self.args:
                raise EvaluatorError("a scorer made with `@scorer` takes no `args`")
            return found
        return found(**self.args)

    @override
    async def judge(self, built: Any, context: EvaluatorContext, door: Door) -> Found | Mapping[str, Found]:
        expected = context.expected
        expectations = expected if isinstance(expected, dict) else {"expected_response": expected}
        given: dict[str, Any] = {
            "inputs": dict(context.inputs),
            "outputs": context.output,
            "expectations": None if expected is None else expectations,
            **self.chosen(context),
        }
        takes = inspect.signature(built.__call__).parameters
        if not any(one.kind is one.VAR_KEYWORD for one in takes.values()):
            given = {name: value for name, value in given.items() if name in takes}
        found = await asyncio.to_thread(lambda: built(**given))
        if isinstance(found, list):
            if not found:
                raise CannotScoreError("the scorer gave an empty list")
            return {str(one.name): _one(one) for one in found}
        return _one(found)


def _refusal(name: str) -> str:
    return (
        f"{name} is a judge that calls its model past the gateway, so no budget, limit or cache would hold for it\n"
        "    fix: use a judge of Bakeoff (`correctness`, `guidelines`, `faithfulness`, `judge` ...); "
        f"of MLflow's own scorers, {', '.join(_WITHOUT_MODEL)} ask no model"
    )


def _one(found: Any) -> Found:
    """Read a bare value or a `Feedback`."""
    if not hasattr(found, "value") or not hasattr(found, "rationale"):
        return Found(found)
    error = getattr(found, "error", None)
    if error is not None:
        raise CannotScoreError(str(getattr(error, "error_message", None) or error))
    value = found.value
    value = getattr(value, "value", value)  # an enum
    return Found(_WORDS.get(value, value) if isinstance(value, str) else value, found.rationale)
