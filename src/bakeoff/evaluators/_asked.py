"""What an evaluator needs, models it asks and programs it starts: what must be known before a run begins."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bakeoff.evaluators._judge_ask import ModelJudge
from bakeoff.evaluators._protocol import Evaluator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bakeoff.evaluators._protocol import EvaluatorContext
    from bakeoff.gateway import ModelRequest

__all__ = ["AskedModel", "judge_requests", "models_asked", "places_read", "tools_missing"]


class AskedModel(NamedTuple):
    """A model behind an evaluator, and where its key comes from."""

    model: str
    """A LiteLLM model string."""
    api_base: str | None = None
    api_key_env: str | None = None


def models_asked(evaluator: Evaluator) -> list[AskedModel]:
    """List the models that an evaluator names, those of its jury and of evaluators inside it included.

    Examples:
        >>> from bakeoff.evaluators import load_evaluator
        >>> judge = {"judge": {"model": "openai/gpt-5-mini", "jury": ["sim/judge"], "question": "Is it polite?"}}
        >>> [one.model for one in models_asked(load_evaluator({"all": ["json_valid", judge]}))]
        ['openai/gpt-5-mini', 'sim/judge']
    """
    found: dict[AskedModel, None] = {}
    for one in _whole(evaluator):
        base, key = getattr(one, "api_base", None), getattr(one, "api_key_env", None)
        names = [getattr(one, "model", None), *getattr(one, "jury", ()), getattr(one, "embedding_model", None)]
        found |= dict.fromkeys(AskedModel(name, base, key) for name in names if isinstance(name, str))
    return list(found)


def judge_requests(evaluator: Evaluator, context: EvaluatorContext) -> list[ModelRequest]:
    """List the calls that judging a trial takes, those of evaluators inside this one included, without making any.

    An answer that cannot be read is asked for again; such calls are not listed. Evaluators of other libraries and
    embeddings say nothing beforehand.

    Raises:
        CannotScoreError: This trial is not judged, for instance because it has no passages.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> judge = load_evaluator({"judge": {"model": "sim/judge", "samples": 3, "question": "Is it polite?"}})
        >>> [one.repeat for one in judge_requests(judge, EvaluatorContext(output="Thank you!"))]
        [0, 1, 2]
    """
    return [
        request for one in _whole(evaluator) if isinstance(one, ModelJudge) for request in one.requests_for(context)
    ]


def tools_missing(evaluator: Evaluator) -> list[str]:
    """Say what this machine lacks for an evaluator, and for evaluators inside it, each with the way out.

    Examples:
        >>> from bakeoff.evaluators import load_evaluator
        >>> tools_missing(load_evaluator({"all": ["json_valid", "exact_match"]}))
        []
    """
    found = (one.unavailable() for one in _whole(evaluator))
    return list(dict.fromkeys(problem for problem in found if problem is not None))


def places_read(evaluator: Evaluator) -> tuple[str, ...]:
    """Name the places of an item without which an evaluator gives no score; parts of `all` included.

    Examples:
        >>> from bakeoff.evaluators import load_evaluator
        >>> places_read(load_evaluator({"all": ["json_valid", "exact_match"]}))
        ('expected',)
        >>> places_read(load_evaluator({"any": ["json_valid", "exact_match"]}))  # may do without
        ()
    """
    parts = [
        one for one in getattr(evaluator, "of", None) or () if evaluator.kind == "all" and isinstance(one, Evaluator)
    ]
    return tuple(dict.fromkeys([*evaluator.reads, *(place for one in parts for place in places_read(one))]))


def _whole(evaluator: Evaluator) -> Iterator[Evaluator]:
    yield evaluator
    inner = [*(getattr(evaluator, "of", None) or ()), getattr(evaluator, "check", None)]
    for one in inner:
        if isinstance(one, Evaluator):
            yield from _whole(one)
