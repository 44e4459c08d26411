"""Checks that each item brings itself."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from bakeoff.errors import EvaluatorError
from bakeoff.evaluators._base import Finding, Graded
from bakeoff.evaluators._protocol import (
    CannotScoreError,
    EvaluateResult,
    EvaluatorContext,
    Family,
    Score,
    ScoreKind,
)
from bakeoff.evaluators._python import without_code
from bakeoff.evaluators._registry import evaluator, evaluator_class, load_evaluator
from bakeoff.evaluators._runner import begin_scoring
from bakeoff.evaluators._text import at_path

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from bakeoff.evaluators._protocol import Evaluator

__all__ = ["ItemChecks"]

_MOST = 200
_DEPTH = 8
_REFUSED = frozenset(
    {"model", "jury", "api_base", "api_key_env", "params", "headers", "file", "function", "env", "timeout_s"}
)
"""Options by which data could choose who is called with which key, read a file, or run a function."""
_REFUSED_KINDS = frozenset({"python", "item_checks", "pairwise"})
_MODEL_OF = {"embedding_similarity": "embedding_model", "moderation": "moderation_model"}
"""Option that names the model, by kind; `model` for all others."""
_NESTED = {"turn_checks": "check"}
"""Option that holds an evaluator, by kind."""
_LONGEST_S = 600.0


@evaluator("item_checks")
class ItemChecks(Graded):
    """Run the checks that the item itself brings: a list of evaluators in its metadata.

    For test suites in which every case has assertions of its own. A check is written as in an experiment file;
    its `weight` and `name` count. The item may also hold a mapping `{checks: [...], threshold: 0.7}`: the weighted
    share that is enough to pass; without a threshold every check must pass. Data may not choose models, keys, files
    or functions: `python`, file references and options such as `api_base` are refused; judges take `model`,
    `embedding_similarity` takes `embedding_model`, and `moderation` takes `moderation_model`.

    Value:
        Pass or fail; with `value: share` the weighted share of what passed, 0 to 1.

    Missing when:
        The item has no checks, one is written wrongly, or one without a value leaves the answer open.

    Source:
        Own; the rule of pass, weight and threshold is that of promptfoo.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> item = {"checks": [{"contains": "Paris"}, {"length": {"max": 5}}]}
        >>> load_evaluator("item_checks").evaluate(EvaluatorContext(output="It is Paris.", metadata=item)).value
        True
    """

    family: ClassVar[Family] = "combine"
    score_kind: ClassVar[ScoreKind] = "binary"

    path: str = Field(default="metadata.checks", min_length=1)
    """Dotted path to the checks, in `metadata`, `expected` or `inputs`."""
    value: Literal["pass", "share"] = "pass"
    """Pass or fail by item, or the weighted share of what passed."""
    only: str | None = Field(default=None, min_length=1)
    """Only the checks with this `name`; items without one have no score."""
    model: str | None = Field(default=None, min_length=1)
    """Model of the judges among the checks."""
    embedding_model: str | None = Field(default=None, min_length=1)
    """Model of the `embedding_similarity` checks."""
    moderation_model: str | None = Field(default=None, min_length=1)
    """Model of the `moderation` checks."""

    @property
    @override
    def raw_kind(self) -> ScoreKind:
        return "bounded" if self.value == "share" else "binary"

    @property
    @override
    def limit_s(self) -> float | None:
        return _LONGEST_S if self._models else None

    @property
    def _models(self) -> tuple[tuple[str, str], ...]:
        found = {
            "model": self.model,
            "embedding_model": self.embedding_model,
            "moderation_model": self.moderation_model,
        }
        return tuple((name, model) for name, model in found.items() if model is not None)

    @override
    def evaluate(self, context: EvaluatorContext) -> EvaluateResult | Awaitable[EvaluateResult]:
        """Judge with every check of the item; asynchronous only when one is."""
        checks, least = self._of_item(context)
        outcomes = [begin_scoring(check, context) for check in checks]
        if all(isinstance(outcome, list) for outcome in outcomes):
            return self._together(checks, [o[0] for o in outcomes if isinstance(o, list)], least)
        return self._later(checks, outcomes, least)

    async def _later(self, checks: list[Evaluator], outcomes: list[Any], least: float | None) -> EvaluateResult:
        import asyncio

        async def one(outcome: Any) -> Score:
            return (outcome if isinstance(outcome, list) else await outcome)[0]

        return self._together(checks, list(await asyncio.gather(*map(one, outcomes))), least)

    @property
    @override
    def reads(self) -> tuple[str, ...]:
        return (self.path,)

    def _of_item(self, context: EvaluatorContext) -> tuple[list[Evaluator], float | None]:
        root = {"metadata": context.metadata, "expected": context.expected, "inputs": context.inputs}
        found = at_path(root, self.path, "the item")
        least: float | None = None
        if isinstance(found, Mapping):
            least = _threshold(found.get("threshold"))
            found = found.get("checks")
        if not isinstance(found, list) or not found:
            raise CannotScoreError(f"the item has no list of checks at {self.path!r}")
        if len(found) > _MOST:
            raise CannotScoreError(f"the item has {len(found)} checks; at most {_MOST} are run")
        try:
            text = json.dumps(found, sort_keys=True)
        except (TypeError, ValueError, RecursionError):
            raise CannotScoreError(f"the checks at {self.path!r} are no plain data") from None
        built = _built(text, self._models)
        if self.only is not None:
            built = tuple(check for check in built if check.metric == self.only)
            least = None
            if not built:
                raise CannotScoreError(f"the item has no check named {self.only!r}")
        return list(built), least

    def _together(self, checks: list[Evaluator], scores: list[Score], least: float | None) -> EvaluateResult:
        weights = [check.weight if isinstance(check, Graded) else 1.0 for check in checks]
        costs = [score.cost_usd for score in scores if score.cost_usd is not None]
        failed = [_why(score) for score in scores if score.value is not None and _points(score) < 1]
        missing = [f"{score.name}: {score.error}" for score in scores if score.value is None]
        total = math.fsum(weights)
        sure = math.fsum(w * _points(s) for w, s in zip(weights, scores, strict=True) if s.value is not None) / total
        still = math.fsum(w for w, s in zip(weights, scores, strict=True) if s.value is None) / total
        value: bool | float
        if self.value == "share":
            if missing:
                raise CannotScoreError("; ".join(missing))
            value = min(sure, 1.0)
        elif least is None:
            if missing and not any(_fails(score) for score in scores):
                raise CannotScoreError("; ".join(missing))
            value = not missing and not any(_fails(score) for score in scores)
        else:
            if missing and sure < least - 1e-9 <= sure + still:
                raise CannotScoreError("; ".join(missing))
            value = sure >= least - 1e-9
        parts = {f"{index + 1}.{score.name}": score.value for index, score in enumerate(scores)}
        reason = "; ".join(failed) or None
        return self.conclude(Finding(value, reason, {"parts": parts}, math.fsum(costs) if costs else None))


def _threshold(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise CannotScoreError(f"the item's `threshold` must lie between 0 and 1, got {value!r}")
    return float(value)


def _points(score: Score) -> float:
    return float(score.value) if isinstance(score.value, int | float) else 0.0


def _fails(score: Score) -> bool:
    return score.value is not None and _points(score) < 1


def _why(score: Score) -> str:
    return f"{score.name} gave {score.value}" + (f" ({score.reason})" if score.reason else "")


@lru_cache(maxsize=10_000)
def _built(text: str, models: tuple[tuple[str, str], ...]) -> tuple[Evaluator, ...]:
    return tuple(_build(entry, dict(models)) for entry in json.loads(text))


def _build(entry: Any, models: Mapping[str, str]) -> Evaluator:
    """Build one check of an item.

    Raises:
        CannotScoreError: It is written wrongly, or asks for what data may not ask for.
    """
    try:
        with without_code():
            built = load_evaluator(_allowed(entry, models, 0))
    except CannotScoreError:
        raise
    except EvaluatorError as error:
        raise CannotScoreError(f"a check of the item is wrong: {error}") from None
    kinds = built.kind_by_metric
    if len(kinds) != 1 or not set(kinds.values()) <= {"binary", "bounded"}:
        raise CannotScoreError(f"the check {built.metric!r} gives no pass or fail; give it a `threshold`")
    return built


def _allowed(entry: Any, models: Mapping[str, str], depth: int) -> dict[str, Any]:
    """Give a check as data may have it, with the model of the experiment.

    Raises:
        CannotScoreError: It asks for what data may not ask for.
    """
    if depth > _DEPTH:
        raise CannotScoreError("the checks of the item are nested too deeply")
    if isinstance(entry, str):
        entry = {entry: None}
    if not isinstance(entry, Mapping) or len(entry) != 1:
        raise CannotScoreError(f"a check of the item is a name or a mapping with one key, not {str(entry)[:80]!r}")
    kind, options = str(next(iter(entry))), entry[next(iter(entry))]
    cls = _allowed_class(kind)
    inner = _NESTED.get(kind)
    if inner is not None:
        given = dict(options) if isinstance(options, Mapping) and inner in options else {inner: options}
        options = {**given, inner: _allowed(given[inner], models, depth + 1)}
    if isinstance(options, list) and cls.family == "combine":
        options = {"of": options}
    if isinstance(options, Mapping):
        refused = sorted(_REFUSED & set(map(str, options)))
        if refused:
            raise CannotScoreError(f"data may not set `{refused[0]}` of {kind!r}; set it in the experiment")
        options = dict(options)
        if cls.family == "combine" and isinstance(options.get("of"), list):
            options["of"] = [_allowed(part, models, depth + 1) for part in options["of"]]
    if "model" in cls.model_fields:
        options = _with_model(kind, cls, options, models)
    return {kind: options}


def _allowed_class(kind: str) -> type[Evaluator]:
    if ":" not in kind and kind not in _REFUSED_KINDS:
        cls = evaluator_class(kind)
        if cls.family != "adapter":
            return cls
    raise CannotScoreError(f"data may not run {kind!r}; write it under `evaluators` of the experiment")


def _with_model(kind: str, cls: type[Evaluator], options: Any, models: Mapping[str, str]) -> dict[str, Any]:
    name = _MODEL_OF.get(kind, "model")
    chosen = models.get(name)
    if chosen is None and kind == "moderation":
        raise CannotScoreError(f"data may not run {kind!r} unless `{name}` of item_checks is set")
    if chosen is None:
        raise CannotScoreError(f"the check {kind!r} asks a model; set `{name}` of item_checks")
    if not isinstance(options, Mapping):
        if cls.shorthand == "model" and options is not None:
            raise CannotScoreError(f"data may not set `model` of {kind!r}; set `{name}` of item_checks")
        options = {cls.shorthand: options} if cls.shorthand and options is not None else {}
    return {**options, "model": chosen}
