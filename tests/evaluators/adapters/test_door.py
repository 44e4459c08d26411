"""The door of a library to models, and what all adapters share, with a library that this file plays."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from bakeoff.errors import BudgetExceeded, EvaluatorError, ProviderError
from bakeoff.evaluators import EvaluatorContext, Score, evaluator, load_evaluator, score_trial
from bakeoff.evaluators._registry import _registered
from bakeoff.evaluators.adapters._adapter import Found, ModelAdapter
from bakeoff.evaluators.adapters._door import Door, DoorError, Models
from bakeoff.evaluators.testing import ScriptedClient
from bakeoff.gateway import Gateway, ModelRequest, ModelResponse, Usage

MODELS = Models(model="openai/gpt-5-mini", embedding_model="sim/embedding", params={"top_p": None, "seed": 7})
ASK = [{"role": "user", "content": "?"}]


def through(client: Any, work: Any, models: Models = MODELS) -> tuple[Any, Door]:
    async def main() -> tuple[Any, Door]:
        door = Door(client, models, who="lib Scorer")
        return await work(door), door

    return asyncio.run(main())


def test_the_same_question_asked_twice_wants_two_samples() -> None:
    client = ScriptedClient(["a", "b", "c"])

    async def work(door: Door) -> list[str]:
        return [(await door.ask(ASK, params)).text for params in ({"top_p": 1, "n": 3}, {"top_p": 1}, {"stop": "x"})]

    texts, door = through(client, work)
    assert texts == ["a", "b", "c"]
    assert [request.repeat for request in client.requests] == [0, 1, 0]
    assert client.requests[0].params == {"seed": 7}
    assert {request.model for request in client.requests} == {"openai/gpt-5-mini"}
    assert {request.purpose for request in client.requests} == {"judge"}
    assert door.cost_usd == pytest.approx(0.03)


def test_a_real_openai_client_sees_text_tools_samples_usage_and_log_probabilities() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    answers = [
        ModelResponse(text="", model="m-1", tool_calls=[call], usage=Usage(input_tokens=5, output_tokens=2)),
        ModelResponse(text="two", model="m-1", logprobs=[{"token": "two", "logprob": -0.5, "top_logprobs": []}]),
    ]

    async def work(door: Door) -> Any:
        async with door.openai() as client:
            chat = await client.chat.completions.create(model="bakeoff", messages=ASK, n=2, tools=[])
            near = await client.embeddings.create(model="bakeoff", input=["a cat"])
            return chat, near

    class Both(ScriptedClient):
        async def embed(self, texts: Any, **options: Any) -> Any:
            async with Gateway() as gateway:
                return await gateway.embed(texts, model=options["model"])

        async def moderate(self, text: str, **options: Any) -> Any:
            raise AssertionError("not asked")

    (chat, near), door = through(Both(answers), work)
    first, second = chat.choices
    assert (first.message.content, first.message.tool_calls[0].function.name) == (None, "f")
    assert (second.message.content, second.logprobs.content[0].logprob) == ("two", -0.5)
    assert (chat.usage.prompt_tokens, chat.model) == (5, "m-1")
    assert len(near.data[0].embedding) == 512
    assert door.cost_usd is None  # a price was not known, which is not free
    assert door.calls == 3


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ProviderError("down", kind="server", retryable=True), "server"),
        (BudgetExceeded("the budget is spent"), "budget"),
    ],
)
def test_after_a_failure_nothing_more_is_asked(error: ProviderError, kind: str) -> None:
    client = ScriptedClient([error])

    async def work(door: Door) -> None:
        async with door.openai() as library:
            for _ in range(4):
                with pytest.raises(Exception, match="Connection error"):
                    await library.chat.completions.create(model="x", messages=ASK)

    _, door = through(client, work)
    assert len(client.requests) == 1
    assert door.failure is error
    assert error.kind == kind


@pytest.mark.parametrize(
    ("body", "path", "models", "message"),
    [
        ({"messages": ASK, "stream": True}, "/v1/chat/completions", MODELS, "stream"),
        ({"input": "x"}, "/v1/responses", MODELS, "'/v1/responses', which does not go through the gateway"),
        ({"messages": ASK}, "/v1/chat/completions", Models(), "name it with `model`"),
        ({"input": ["x"]}, "/v1/embeddings", Models(), "`embedding_model`"),
        ({"input": "x"}, "/v1/moderations", MODELS, "embeds and moderates"),
    ],
)
def test_what_the_door_does_not_pass_on_is_refused_in_words(
    body: dict[str, Any], path: str, models: Models, message: str
) -> None:
    client = ScriptedClient(["x"])

    async def work(door: Door) -> None:
        with pytest.raises(DoorError):
            await door.answer(path, body)

    _, door = through(client, work, models)
    assert client.requests == []
    assert message in str(door.failure)


# A library of our own


@pytest.fixture(autouse=True)
def library() -> Iterator[None]:
    @evaluator("played")
    class Played(ModelAdapter):
        """Score as its `scorer` says.

        Value:
            Any.

        Missing when:
            Asked to.

        Source:
            Own.
        """

        package: ClassVar[str] = "pytest"
        module: ClassVar[str] = "pytest"

        def find(self, base_dir: Path) -> Any:
            return self.scorer

        def build(self, found: Any, door: Door) -> Any:
            if "wrong" in self.args:
                raise TypeError("unexpected argument 'wrong'")
            return found

        def usual_kind(self) -> Any:
            return None if self.scorer == "open" else "bounded"

        async def judge(self, built: Any, context: EvaluatorContext, door: Door) -> Found | Mapping[str, Found]:
            return await BEHAVIOUR[built](door, self.chosen(context))

    yield
    del _registered["played"]


async def swallow(door: Door, given: Any) -> Found:
    with contextlib.suppress(DoorError):
        await door.ask(ASK, {})
    return Found(0.0, "made up")


async def paid_then_broken(door: Door, given: Any) -> Found:
    await door.ask(ASK, {})
    raise KeyError("choice")


async def block(door: Door, given: Any) -> Found:
    time.sleep(0.4)  # noqa: ASYNC251 - what a library should not do
    return Found(1.0, threading.current_thread().name)


async def for_ever(door: Door, given: Any) -> Found:
    await asyncio.sleep(60)
    return Found(1.0)


async def half(door: Door, given: Any) -> Found:
    return Found(0.5, "half", {"given": given})


async def nan(door: Door, given: Any) -> Found:
    return Found(float("nan"))


async def none(door: Door, given: Any) -> Found:
    return Found(None, "nothing to see")


async def true(door: Door, given: Any) -> Found:
    return Found(True, "right")


async def parts(door: Door, given: Any) -> Mapping[str, Found]:
    await door.ask(ASK, {})
    return {"a": Found(0.5), "b": Found(None, "no b")}


async def wait_in_thread(door: Door, given: Any) -> Found:
    text = (await asyncio.to_thread(door.ask_and_wait, ASK, {})).text
    return Found(float(text))


BEHAVIOUR = {
    one.__name__: one
    for one in (swallow, paid_then_broken, block, for_ever, half, nan, none, true, parts, wait_in_thread)
} | {"open": half}


def scores(scorer: str, client: Any = None, **options: Any) -> list[Score]:
    async def main() -> list[Score]:
        built = load_evaluator({"played": {"scorer": scorer, **options}})
        assert load_evaluator(built.spec()) == built
        context = EvaluatorContext(output="x", metadata={"passages": ["p"]}, client=client)
        return await score_trial([built], context)

    return asyncio.run(main())


def test_a_score_made_up_after_a_failed_call_does_not_count() -> None:
    client = ScriptedClient([ProviderError("down", kind="server", retryable=True)])
    (score,) = scores("swallow", client, model="m")
    assert score.value is None
    assert score.error == "server: down"
    assert score.details == {"error_kind": "server", "retryable": True}
    (unnamed,) = scores("swallow", client)
    assert unnamed.error is not None
    assert "name it with `model`" in unnamed.error


def test_a_failure_after_a_paid_call_still_says_what_was_paid() -> None:
    (score,) = scores("paid_then_broken", ScriptedClient(["x"]), model="m")
    assert (score.value, score.cost_usd) == (None, 0.01)
    assert "choice" in str(score.error)


def test_blocking_code_does_not_stop_the_run() -> None:
    async def main() -> tuple[int, Score]:
        built = load_evaluator({"played": "block"})
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.02)
                ticks += 1

        beside = asyncio.create_task(tick())
        (score,) = await score_trial([built], EvaluatorContext(output="x"))
        beside.cancel()
        return ticks, score

    ticks, score = asyncio.run(main())
    assert score.reason == "bakeoff-libraries"
    assert ticks >= 5  # 20 on a machine with nothing else to do; 0 if the loop had been blocked


def test_a_scorer_that_hangs_is_given_up_and_the_next_one_runs() -> None:
    (hung,) = scores("for_ever", timeout_s=0.1)
    assert hung.error == "no score within 0.1 s"
    assert scores("half")[0].value == 0.5


def test_the_door_answers_threads_too_and_forty_at_once() -> None:
    async def answer(request: ModelRequest) -> ModelResponse:
        await asyncio.sleep(0.01)
        return ModelResponse(text="0.25", model="m", cost_usd=0.01)

    class Client:
        complete = staticmethod(answer)

    async def main() -> list[Score]:
        built = load_evaluator({"played": {"scorer": "wait_in_thread", "model": "m"}})
        context = EvaluatorContext(output="x", client=Client())  # type: ignore[arg-type]
        each = await asyncio.gather(*(score_trial([built], context) for _ in range(40)))
        return [score for (score,) in each]

    found = asyncio.run(main())
    assert {score.value for score in found} == {0.25}
    assert {score.cost_usd for score in found} == {0.01}


def test_threshold_not_values_and_name_hold_as_for_our_own() -> None:
    assert scores("half")[0].value == 0.5
    passed = scores("half", threshold=0.4, name="ok")[0]
    assert (passed.name, passed.value, passed.evaluator) == ("ok", True, "played")
    assert scores("half", threshold=0.4, lower_is_better=True)[0].value is False
    assert scores("half", **{"not": True})[0].value == 0.5
    assert scores("true")[0].value == 1.0  # 0 to 1 is what this scorer is known to give
    assert scores("true", values="binary")[0].value is True
    declared = scores("half", values="binary")[0]
    assert (declared.value, "declared pass/fail" in str(declared.error)) == (None, True)
    for scorer, why in (("nan", "no value"), ("none", "nothing to see")):
        (missing,) = scores(scorer)
        assert (missing.value, why in str(missing.error)) == (None, True)


def test_kinds_are_declared_as_far_as_they_are_known() -> None:
    def kind(**options: Any) -> Any:
        return load_evaluator({"played": {"scorer": "open", **options}}).metrics[0].score_kind

    assert kind() is None
    assert kind(threshold=0.5) == "binary"
    assert kind(values="continuous") == "continuous"
    assert load_evaluator({"played": {"scorer": "half", "lower_is_better": True}}).metrics[0].higher_is_better is False


def test_several_metrics_cost_once_and_each_may_be_missing() -> None:
    a, b = scores("parts", ScriptedClient(["x"]), model="m")
    assert (a.name, a.value, a.cost_usd) == ("parts.a", 0.5, 0.01)
    assert (b.name, b.value, b.error, b.cost_usd) == ("parts.b", None, "no b", None)


def test_fields_lead_into_the_trial_or_say_where_they_ended() -> None:
    (score,) = scores("half", fields={"context": "metadata.passages.0"})
    assert score.details["given"] == {"context": "p"}
    (lost,) = scores("half", fields={"context": "metadata.passage"})
    assert "'passage' is not among keys ['passages']" in str(lost.error)


def test_wrong_arguments_are_told_when_the_spec_is_read() -> None:
    with pytest.raises(EvaluatorError, match=r"half cannot be made with these `args`: .*wrong"):
        load_evaluator({"played": {"scorer": "half", "args": {"wrong": 1}}})
    for name in ("api_key", "client", "model", "base_url"):
        with pytest.raises(EvaluatorError, match=f"`args` may not hold {name}"):
            load_evaluator({"played": {"scorer": "half", "args": {name: "x"}}})
