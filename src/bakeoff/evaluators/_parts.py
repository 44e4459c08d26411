"""Evaluators within evaluators: loading them from a spec, and waiting for what they say."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakeoff.errors import EvaluatorError
from bakeoff.evaluators._registry import load_evaluator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import ValidationInfo

    from bakeoff.evaluators._protocol import Evaluator, Score

__all__ = ["first_scores", "first_scores_later", "load_part"]


def load_part(value: Any, info: ValidationInfo) -> Evaluator:
    """Load a part as it stands in the spec; files are looked for beside the spec.

    Raises:
        ValueError: With what is wrong with the part.
    """
    try:
        return load_evaluator(value, base_dir=Path((info.context or {}).get("base_dir", ".")))
    except EvaluatorError as error:
        raise ValueError(str(error)) from error


def first_scores(outcomes: Sequence[Any]) -> list[Score] | None:
    """Give the first score of each outcome of `begin_scoring`; `None` when one of them must be waited for."""
    if not all(isinstance(outcome, list) for outcome in outcomes):
        return None
    return [outcome[0] for outcome in outcomes]


async def first_scores_later(outcomes: Sequence[Any]) -> list[Score]:
    """Wait for all outcomes of `begin_scoring` at once, and give the first score of each."""

    async def one(outcome: Any) -> Score:
        return (outcome if isinstance(outcome, list) else await outcome)[0]

    return list(await asyncio.gather(*map(one, outcomes)))
