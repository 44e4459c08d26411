"""What a user's function may give back: each form by hand, and everything else is one clear error."""

from __future__ import annotations

import asyncio
import enum
import types
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from bakeoff.evaluators import EvaluatorContext, Score, load_evaluator, score_sync, score_trial


def scores_of(result: Any) -> dict[str, Score]:
    def grade(output: str) -> Any:
        return result

    async def later(output: str) -> Any:
        return result

    later.__name__ = "grade"
    found = score_sync([load_evaluator(grade)], EvaluatorContext(output="x"))
    waited = asyncio.run(score_trial([load_evaluator(later)], EvaluatorContext(output="x")))
    assert [(one.name, one.value, one.reason, one.error) for one in found] == [
        (one.name, one.value, one.reason, one.error) for one in waited
    ]
    return {score.name: score for score in found}


class Tone(enum.Enum):
    WARM = "warm"


@dataclass
class Graded:
    score: float | None
    reason: str


class Pair(NamedTuple):
    score: float
    reason: str
    metadata: dict[str, Any]


class Model(BaseModel):
    value: bool
    explanation: str


@pytest.mark.parametrize(
    ("result", "value", "reason"),
    [
        (True, True, None),
        (0.25, 0.25, None),
        (3, 3, None),
        ("warm", "warm", None),
        (Tone.WARM, "warm", None),
        (np.float64(0.5), 0.5, None),
        (np.bool_(True), True, None),
        ((0.5, "half"), 0.5, "half"),
        ((True, None), True, None),
        ((Tone.WARM, "kind words"), "warm", "kind words"),
        ({"score": 0.5, "reason": "half"}, 0.5, "half"),
        ({"score": 0.5}, 0.5, None),
        ({"value": "warm", "explanation": "kind words"}, "warm", "kind words"),
        ({"pass": False, "reason": "rude"}, False, "rude"),
        ({"pass": True, "score": 0.8, "reason": "promptfoo's form"}, 0.8, "promptfoo's form"),
        (Graded(0.5, "half"), 0.5, "half"),
        (types.SimpleNamespace(score=1, comment="all"), 1, "all"),
        (Pair(0.5, "half", {"n": 2}), 0.5, "half"),
        (Model(value=True, explanation="yes"), True, "yes"),
        (Score(name="", value=0.5, reason="half"), 0.5, "half"),
    ],
)
def test_each_form_is_one_score(result: Any, value: Any, reason: str | None) -> None:
    scores = scores_of(result)
    assert list(scores) == ["grade"]
    score = scores["grade"]
    assert (score.value, type(score.value), score.reason, score.error) == (value, type(value), reason, None)


def test_details_and_the_second_verdict_are_kept_beside_the_score() -> None:
    assert scores_of(Pair(0.5, "half", {"n": 2}))["grade"].details == {"n": 2}
    assert scores_of({"pass": True, "score": 0.8})["grade"].details == {"pass": True}


def test_a_mapping_with_names_of_its_own_is_several_metrics_in_any_form() -> None:
    scores = scores_of(
        {"clarity": (0.5, "long"), "tone": {"score": "warm", "reason": "kind"}, "score": 1.0, "x": Graded(0.1, "y")}
    )
    assert {name: (one.value, one.reason) for name, one in scores.items()} == {
        "grade.clarity": (0.5, "long"),
        "grade.tone": ("warm", "kind"),
        "grade.score": (1.0, None),
        "grade.x": (0.1, "y"),
    }


@pytest.mark.parametrize(
    "result", [None, {"score": None, "reason": "not sure"}, Graded(None, "not sure"), (None, "not sure")]
)
def test_no_score_is_missing_with_the_reason_and_never_zero(result: Any) -> None:
    score = scores_of(result)["grade"]
    assert score.value is None
    assert score.error == ("the evaluator gave no value" if result is None else "not sure")


@pytest.mark.parametrize(
    "result",
    [[0.5], (0.5, "half", "more"), (0.5, 3), object(), {"a": {"b": 1}}, Decimal("0.5"), {"score": [1]}, Graded],
)
def test_anything_else_is_one_error_that_says_what_is_accepted(result: Any) -> None:
    (score,) = scores_of(result).values()
    assert score.value is None
    assert score.error is not None
    assert "a pair (value, reason)" in score.error
    assert "None for no score" in score.error


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.sampled_from(["score", "reason", "a", "pass"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(JSON)
def test_whatever_comes_back_the_scores_are_values_or_missing_with_a_reason(result: Any) -> None:
    def grade(output: str) -> Any:
        return result

    for score in score_sync([load_evaluator(grade)], EvaluatorContext(output="x")):
        assert (score.value is None) == (score.error is not None)
