"""What a judge is asked: the material, the question, and the form of the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from bakeoff.evaluators._protocol import CannotScoreError, EvaluatorContext, ScoreValue
from bakeoff.evaluators._text import as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bakeoff.gateway import ModelResponse

__all__ = ["JudgeTask", "Reading", "Section", "closed", "reference_text", "shown_inputs", "shown_output"]


class Reading(NamedTuple):
    """What one answer of a judge says."""

    value: ScoreValue
    reason: str
    details: Mapping[str, Any] = {}


class Section(NamedTuple):
    """A piece of material shown to the judge."""

    title: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeTask:
    """One question to a judge."""

    instructions: str
    """What is to be judged, and how; part of the version of the judge."""
    sections: Sequence[Section]
    """The material."""
    schema: Mapping[str, Any]
    """JSON Schema of the answer; every object in it is closed and all its keys are required."""
    read: Callable[[dict[str, Any]], Reading]
    """Turns an answer into a reading; raises `UnreadableError`."""
    refine: Callable[[Reading, ModelResponse], Reading] | None = None
    """Improves a reading by what else came back, such as log-probabilities."""


def reference_text(context: EvaluatorContext, given: Any) -> str:
    """Give what was expected as text: `given`, else that of the item.

    Raises:
        CannotScoreError: There is neither.
    """
    value = given if given is not None else context.expected
    if value is None:
        raise CannotScoreError("the item has no `expected` value to judge against")
    return as_text(value)


def shown_inputs(context: EvaluatorContext) -> list[Section]:
    """Show the inputs of an item: one as it is, several by name."""
    if not context.inputs:
        return []
    if len(context.inputs) == 1:
        return [Section("input", as_text(next(iter(context.inputs.values()))))]
    return [Section(f"input: {key}", as_text(value)) for key, value in context.inputs.items() if value is not None]


def shown_output(context: EvaluatorContext) -> Section:
    """Show the output.

    Raises:
        CannotScoreError: There is none.
    """
    return Section("response", as_text(context.output))


def closed(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Write the JSON Schema of an object that has exactly these keys."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }
