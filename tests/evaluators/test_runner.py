"""The runner: whatever an evaluator does, scores come out."""

from __future__ import annotations

import asyncio
import json
import math
import time
from typing import ClassVar

import numpy as np
import pytest

from bakeoff.errors import ProviderError
from bakeoff.evaluators import (
    Evaluator,
    EvaluatorContext,
    Score,
    load_evaluator,
    load_evaluators,
    score_sync,
    score_trial,
)
from bakeoff.gateway import Usage

CONTEXT = EvaluatorContext(output="out", expected="exp", inputs={"q": 1}, item_id="7")


def scored(function: object, **options: object) -> Score:
    built = load_evaluator(function)
    return score_sync([built], CONTEXT)[0]


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (True, True),
        (0.25, 0.25),
        (3, 3),
        ("blue", "blue"),
        (np.bool_(True), True),
        (np.float64(0.5), 0.5),
        (np.int64(4), 4),
        (10**30, 1e30),
    ],
)
def test_values_are_stored_as_plain_python(value: object, stored: object) -> None:
    score = scored(lambda output: value)
    assert score.value == stored
    assert type(score.value) is type(stored)
    assert score.error is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None, [1], {}, b"x", 10**400, "x" * 501, object()])
def test_what_is_no_value_is_a_missing_score_with_a_reason(value: object) -> None:
    score = scored(lambda output: value)
    assert score.value is None
    assert score.error


def test_an_exception_is_a_missing_score_bounded_and_redacted() -> None:
    def broken(output: str) -> bool:
        raise ValueError("key sk-" + "a1b2c3d4" * 4 + " refused\n" + "x" * 5000)

    score = scored(broken)
    assert score.value is None
    assert score.error is not None
    assert score.error.startswith("ValueError: key [redacted] refused")
    assert "a1b2c3d4" not in score.error
    assert len(score.error) <= 500
    assert score.evaluator == "python"


def test_an_exception_whose_text_raises_does_not_end_the_run() -> None:
    class RudeError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    def rude(output: str) -> bool:
        raise RudeError

    assert scored(rude).error == "RudeError: (its message cannot be shown)"


def test_mappings_become_one_metric_each() -> None:
    def several(output: str) -> dict[str, object]:
        return {"a": True, "b": (0.5, "half"), "c": Score(name="", value="word"), "d": math.nan}

    scores = score_sync([load_evaluator(several)], CONTEXT)
    assert [(score.name, score.value) for score in scores] == [
        ("several.a", True),
        ("several.b", 0.5),
        ("several.c", "word"),
        ("several.d", None),
    ]
    assert scores[1].reason == "half"


def test_details_can_always_be_stored() -> None:
    loop: list[object] = []
    loop.append(loop)
    odd = {"a": math.nan, "b": {1, 2}, "c": object, "d": "\ud800" * 5000, "e": loop, "f": list(range(5000)), 7: b"x"}
    score = scored(lambda output: Score(name="s", value=True, details=odd))  # type: ignore[arg-type]
    assert score.value is True
    text = json.dumps(dict(score.details), allow_nan=False, ensure_ascii=False)
    text.encode("utf-8")
    assert len(text) < 10_000


def test_a_missing_input_is_missing_for_every_metric_of_an_evaluator() -> None:
    scores = score_sync([load_evaluator({"list_overlap": "all"})], EvaluatorContext(output="a"))
    assert [score.name for score in scores] == ["list_overlap.precision", "list_overlap.recall", "list_overlap.f1"]
    assert all(score.value is None and "no `expected`" in str(score.error) for score in scores)


class Odd(Evaluator):
    kind: ClassVar[str] = "odd"
    gives: object = None

    def evaluate(self, context: EvaluatorContext) -> object:
        return self.gives


def test_a_value_of_another_kind_than_declared_is_refused() -> None:
    assert score_sync([Odd(gives=0.7)], CONTEXT)[0].error == "declared pass/fail, but the value is 0.7"
    assert score_sync([Odd(gives=True)], CONTEXT)[0].value is True


@pytest.mark.parametrize(
    ("parameters", "got"),
    [
        (lambda output, expected: (output, expected), "('out', 'exp')"),
        (lambda context: context.item_id, "7"),
        (lambda answer, truth: (answer, truth), "('out', 'exp')"),
        (lambda inputs, output: (inputs["q"], output), "(1, 'out')"),
        (lambda **everything: everything["item_id"], "7"),
        (lambda output, extra=5: (output, extra), "('out', 5)"),
    ],
)
def test_functions_get_what_their_parameters_name(parameters: object, got: str) -> None:
    def as_text(*args: object, **kwargs: object) -> str:
        return str(parameters(*args, **kwargs))  # type: ignore[operator]

    as_text.__signature__ = __import__("inspect").signature(parameters)
    assert scored(as_text).value == got


async def test_asynchronous_evaluators_wait_at_the_same_time() -> None:
    async def slow(output: str) -> bool:
        await asyncio.sleep(0.3)
        return True

    evaluators = [
        load_evaluator(slow),
        *(load_evaluator(slow).model_copy(update={"name": f"slow{index}"}) for index in range(5)),
    ]
    start = time.perf_counter()
    scores = await score_trial(evaluators, CONTEXT)
    assert time.perf_counter() - start < 1.5
    assert [score.value for score in scores] == [True] * 6


async def test_an_asynchronous_evaluator_that_hangs_is_given_up() -> None:
    async def hangs(output: str) -> bool:
        await asyncio.sleep(60)
        return True

    scores = await score_trial([load_evaluator(hangs), load_evaluator("json_valid")], CONTEXT, timeout_s=0.05)
    assert scores[0].error == "no score within 0.05 s"
    assert scores[0].details == {"error_kind": "timeout", "retryable": True}
    assert scores[1].value is False


async def test_cancelling_a_trial_is_not_swallowed() -> None:
    async def hangs(output: str) -> bool:
        await asyncio.sleep(60)
        return True

    task = asyncio.create_task(score_trial([load_evaluator(hangs)], CONTEXT))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_provider_error_says_whether_it_is_worth_another_try() -> None:
    async def judge(output: str) -> bool:
        raise ProviderError("overloaded", kind="server", retryable=True)

    score = (await score_trial([load_evaluator(judge)], CONTEXT))[0]
    assert score.error == "server: overloaded"
    assert score.details == {"error_kind": "server", "retryable": True}


def test_the_synchronous_path_says_that_it_cannot_wait() -> None:
    async def judge(output: str) -> bool:
        return True

    assert "score_trial" in str(scored(judge).error)


def test_negate_and_threshold() -> None:
    context = EvaluatorContext(output="kitten", expected="sitting", latency_ms=100.0)
    specs = [
        {"levenshtein": {"negate": True, "name": "far"}},
        {"levenshtein": {"threshold": 0.5, "name": "near"}},
        {"levenshtein": {"threshold": 0.5, "not": True, "name": "not_near"}},
        {"exact_match": {"not": True}},
        {"latency": 99},
    ]
    scores = score_sync(load_evaluators(specs), context)
    assert scores[0].value == pytest.approx(3 / 7)
    assert [score.value for score in scores[1:]] == [True, False, True, False]
    kinds = [info.score_kind for built in load_evaluators(specs) for info in built.metrics]
    assert kinds == ["bounded", "binary", "binary", "binary", "binary"]


@pytest.mark.parametrize(
    ("combination", "value", "open_"),
    [
        ({"all": ["json_valid", "latency_ok"]}, False, False),  # False and unknown
        ({"all": ["is_text", "latency_ok"]}, None, True),  # True and unknown
        ({"any": ["is_text", "latency_ok"]}, True, False),
        ({"any": ["json_valid", "latency_ok"]}, None, True),
        ({"at_least": {"k": 2, "of": ["is_text", "json_valid", "latency_ok"]}}, None, True),
        ({"at_least": {"k": 1, "of": ["is_text", "json_valid", "latency_ok"]}}, True, False),
        ({"at_least": {"k": 3, "of": ["is_text", "json_valid", "latency_ok"]}}, False, False),
        ({"weighted": ["is_text", "latency_ok"]}, None, True),
        ({"weighted": ["is_text", "json_valid"]}, 0.5, False),
    ],
    ids=str,
)
def test_combinations_follow_three_valued_logic(combination: dict, value: object, open_: bool) -> None:
    parts = {"latency_ok": {"latency": 5}, "is_text": {"contains": "out"}, "json_valid": "json_valid"}

    def built(node: object) -> object:
        if isinstance(node, str):
            return parts[node]
        if isinstance(node, list):
            return [built(one) for one in node]
        return {key: built(one) if key == "of" else one for key, one in node.items()}  # type: ignore[union-attr]

    kind, body = next(iter(combination.items()))
    score = score_sync([load_evaluator({kind: built(body)})], CONTEXT)[0]
    assert score.value == value
    assert (score.error is not None) == open_


async def test_combinations_may_hold_asynchronous_parts() -> None:
    async def judge(output: str) -> bool:
        return True

    both = load_evaluator({"all": [judge, {"contains": "out"}]})
    assert (await score_trial([both], CONTEXT))[0].value is True


def test_hostile_text_is_bounded_and_storable() -> None:
    nasty = "\x00\x1b[31m\ud800<script>" + "é" * 5_000_000
    context = EvaluatorContext(output=nasty, expected="x", usage=Usage(output_tokens=1))
    kinds = ["exact_match", "contains", "numeric", "json_valid", "levenshtein", "length", "pii", "secrets", "refusal"]
    start = time.perf_counter()
    for score in score_sync([load_evaluator(kind) for kind in kinds], context):
        for text in (score.reason, score.error):
            if text:
                text.encode("utf-8")
                assert len(text) <= 2000
                assert "\x00" not in text
                assert "\x1b" not in text
    assert time.perf_counter() - start < 20


def test_ten_evaluators_on_ten_thousand_trials_take_less_than_five_seconds() -> None:
    evaluators = load_evaluators(
        [
            "exact_match",
            {"contains": {"any": ["nothing", "fruits"]}},
            {"regex": r"\d+ fruits"},
            "numeric",
            "json_valid",
            {"json_schema": {"schema": {"type": "object"}, "extract": True}},
            {"label_match": {"labels": ["42", "41"], "pick": "last"}},
            "levenshtein",
            {"length": {"max": 100}},
            "latency",
        ]
    )
    text = "The model counts 12 apples and 30 pears, which gives 42 fruits. " * 3 + '{"answer": 42}'
    contexts = [
        EvaluatorContext(output=f"{text} {index % 97}", expected="42", latency_ms=3.0) for index in range(10_000)
    ]
    start = time.process_time()
    missing = sum(score.value is None for context in contexts for score in score_sync(evaluators, context))
    assert time.process_time() - start < 5
    assert missing == 0
