"""What real judges answer unasked, and what they refuse: read, asked anew, or missing - never guessed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bakeoff.errors import ProviderError
from bakeoff.evaluators import EvaluatorContext, Score, load_evaluator, score_trial
from bakeoff.evaluators.testing import ScriptedAnswer, ScriptedClient
from bakeoff.gateway import Gateway, ModelRequest, ModelResponse

from .test_judges import JUDGE, judged

GOOD = '{"reason": "thanks", "pass": true}'


@pytest.mark.parametrize(
    "answer",
    [
        '{"reason": "two\nlines", "pass": true}',  # small local models do not escape line breaks
        "{'reason': 'it\\'s fine', 'pass': True}",
        '{"judgement": {"reason": "x", "pass": true}}',
        'As in {"example": 1}, see {below} and [1]: {"reason": "x", "pass": true}',
        '{"reason": "x", "pass": true}\n\n```json\n{"reason": "x", "pass": true}\n```',
    ],
)
async def test_what_means_one_thing_only_is_read(answer: str) -> None:
    score, client = await judged(JUDGE, [answer])
    assert score.value is True, score.error
    assert len(client.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        '{"reason": "a draft", "pass": false}\nOn second thoughts: {"reason": "final", "pass": true}',
        '{"reason": "a draft", "pass": false}\nOn second thoughts: {"reason": "final", "pass": tr',
        '{"reason": "He said "hi" to me", "pass": true}',
    ],
)
async def test_an_answer_that_could_mean_two_things_is_sent_back(answer: str) -> None:
    score, client = await judged(JUDGE, [answer, GOOD])
    assert score.value is True
    assert len(client.requests) == 2


@pytest.mark.parametrize("end", ["", ",", ', {"claim": "c", "reason": "no'])
async def test_a_list_of_claims_that_was_cut_off_is_no_list(end: str) -> None:
    """Half of the claims would give a share of half of the claims, and nobody would know."""
    one = json.dumps({"claim": "a", "reason": "r", "supported": True})
    cut = ModelResponse(text='{"claims": [' + one + end, model="m", finish_reason="length", cost_usd=0.01)
    score, _ = await judged({"faithfulness": {"model": "j"}}, [cut], inputs={"context": ["a"]})
    assert score.value is None
    assert "max_tokens: 2048" in str(score.error)


async def test_an_answer_as_a_tool_call_is_read() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "judgement", "arguments": GOOD}}
    score, _ = await judged(JUDGE, [ModelResponse(text="", model="m", tool_calls=[call], finish_reason="tool_calls")])
    assert score.value is True


async def test_an_answer_that_came_as_reasoning_says_so() -> None:
    score, _ = await judged(JUDGE, [ModelResponse(text="", model="m", reasoning=GOOD)])
    assert score.value is None
    assert "everything came as reasoning" in str(score.error)


def picky(*, refuses: dict[str, str]) -> ScriptedClient:
    """A model that refuses parameters, in the words of OpenAI."""

    def script(request: ModelRequest) -> ScriptedAnswer:
        for name, told in refuses.items():
            if name in request.params:
                return ProviderError(told, kind="bad_request", status=400)
        return '{"reason": "r", "pass": true, "mark": 4}'

    return ScriptedClient(script)


REASONING_MODEL = {
    "temperature": "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) value "
    "is supported.",
    "max_tokens": "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' "
    "instead.",
}


async def test_a_model_that_refuses_temperature_and_max_tokens_can_judge() -> None:
    client = picky(refuses=REASONING_MODEL)
    score, _ = await judged(JUDGE, client)
    assert score.value is True, score.error
    assert "temperature" not in client.requests[-1].params
    assert client.requests[-1].params["max_completion_tokens"] == 2048
    asked = len(client.requests)
    await judged(JUDGE, client, output="Another.")
    assert len(client.requests) == asked + 1  # what it refuses is known by now


async def test_a_temperature_that_was_asked_for_is_never_dropped() -> None:
    spec = {"judge": {**JUDGE["judge"], "temperature": 0.7, "samples": 2}}
    score, _ = await judged(spec, picky(refuses=REASONING_MODEL))
    assert score.value is None
    assert "temperature" in str(score.error)


@pytest.mark.parametrize("told", ["logprobs is not supported with this model", "unknown field"])
async def test_g_eval_without_log_probabilities_takes_the_mark_itself(told: str) -> None:
    client = picky(refuses={"logprobs": told, "top_logprobs": told})
    score, _ = await judged({"g_eval": {"model": "j", "criterion": "coherence"}}, client)
    assert score.value == (4 - 1) / (5 - 1)
    assert score.details["weighted"] is False


class Answers:
    """A transport that gives one answer after the other."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts, self.calls = texts, 0

    async def send(self, request: ModelRequest) -> ModelResponse:
        self.calls += 1
        return ModelResponse(text=self.texts[min(self.calls, len(self.texts)) - 1], model=request.model, cost_usd=0.01)

    def prewarm(self, models: object) -> None: ...

    async def aclose(self) -> None: ...


async def through_cache(path: Path, texts: Sequence[str], *, retries: int = 1) -> tuple[Score, int]:
    transport = Answers(texts)
    judge = load_evaluator({"judge": {"model": "sim/x", "question": "Is it polite?", "retries": retries}})
    async with Gateway(cache_path=path, transport=transport) as gateway:
        context = EvaluatorContext(output="Thank you!", inputs={"q": "Hi"}, client=gateway)
        return (await score_trial([judge], context))[0], transport.calls


async def test_an_unreadable_judgement_is_not_read_from_the_cache_for_ever(tmp_path: Path) -> None:
    score, calls = await through_cache(tmp_path / "cache", ["no JSON"])
    assert (score.value, calls, score.cost_usd) == (None, 2, 0.02)
    score, calls = await through_cache(tmp_path / "cache", [GOOD])
    assert (score.value, calls, score.cost_usd) == (True, 1, 0.01)
    score, calls = await through_cache(tmp_path / "cache", ["never asked"])
    assert (score.value, calls, score.cost_usd) == (True, 0, 0.0)


async def test_every_attempt_is_asked(tmp_path: Path) -> None:
    """The same broken answer twice leads to the same correction twice: the third attempt is no second look at it."""
    score, calls = await through_cache(tmp_path / "cache", ["no JSON", "no JSON", GOOD], retries=2)
    assert (score.value, calls, score.cost_usd) == (True, 3, pytest.approx(0.03))
    score, calls = await through_cache(tmp_path / "other", ["no JSON"], retries=2)
    assert (score.value, calls) == (None, 3)
    assert "after 3 attempts" in str(score.error)


async def test_what_was_repaired_by_asking_again_comes_from_the_cache(tmp_path: Path) -> None:
    await through_cache(tmp_path / "cache", ["no JSON", GOOD])
    score, calls = await through_cache(tmp_path / "cache", ["never asked"])
    assert (score.value, calls, score.cost_usd) == (True, 0, 0.0)


HEIGHT = ["The tower was completed in 1889.", "The tower is 330 metres tall."]


def citing(*entries: tuple[Any, bool]) -> str:
    return json.dumps(
        {"citations": [{"statement": "s", "passage": n, "reason": "r", "supported": ok} for n, ok in entries]}
    )


async def cited(output: str, *answers: str) -> Score:
    score, _ = await judged({"citations": {"model": "j"}}, list(answers), output=output, inputs={"context": HEIGHT})
    return score


async def test_passages_that_the_output_does_not_cite_do_not_count() -> None:
    assert (await cited("It is tall [2].", citing((2, True), (1, False)))).value == 1.0


async def test_each_citation_of_a_passage_is_checked() -> None:
    """ALCE counts citations, not passages: one of two citations of [2] is wrong."""
    assert (
        await cited("It is tall [2]. It is red [2].", citing((2, True)), citing((2, True), (2, False)))
    ).value == 0.5


async def test_ranges_are_citations() -> None:
    assert (await cited("It is tall [1-2].", citing(("[1]", False), ("passage 2", True)))).value == 0.5


async def test_invented_numbers_are_wrong_without_asking() -> None:
    score, client = await judged(
        {"citations": {"model": "j"}}, ["never"], output="It is tall [7].", inputs={"context": HEIGHT}
    )
    assert score.value == 0.0
    assert not client.requests


@pytest.mark.parametrize(
    "context",
    [
        HEIGHT,
        [{"text": HEIGHT[0]}, {"id": 1, "text": HEIGHT[1]}],
        [{"page_content": HEIGHT[0], "metadata": {"source": "a"}}, {"page_content": HEIGHT[1]}],
        [{"content": HEIGHT[0], "score": 0.9}, {"content": HEIGHT[1]}],
    ],
)
async def test_passages_are_shown_as_text_whatever_holds_them(context: object) -> None:
    answer = '{"claims": [{"claim": "c", "reason": "r", "supported": true}]}'
    score, client = await judged({"faithfulness": {"model": "j"}}, [answer], inputs={"context": context})
    assert score.value == 1.0
    shown = client.requests[0].messages[1]["content"]
    assert all(f'">\n{text}\n</data' in shown for text in HEIGHT)


async def test_passages_of_an_agents_step() -> None:
    answer = '{"claims": [{"claim": "c", "reason": "r", "supported": true}]}'
    trace = [{"name": "find", "kind": "step", "output": [{"id": "S1", "text": HEIGHT[1]}]}]
    spec = {"faithfulness": {"model": "j", "passages": "trace.find"}}
    score, client = await judged(spec, [answer], trace=trace)
    assert score.value == 1.0
    assert HEIGHT[1] in client.requests[0].messages[1]["content"]


async def test_relevance_is_judged_by_the_question_alone() -> None:
    inputs = {"question": "How tall?", "context": HEIGHT}
    score, client = await judged({"answer_relevance": {"model": "j"}}, ['{"reason": "r", "mark": 3}'], inputs=inputs)
    assert score.value == 0.5
    shown = client.requests[0].messages[1]["content"]
    assert "How tall?" in shown
    assert HEIGHT[0] not in shown
