from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.agents import patterns, resolve_agent
from bakeoff.agents.config._spec import OutputSpec
from bakeoff.agents.reasoning._wide import vote
from bakeoff.agents.run._text import FormError, extract_answer, normal_form, read_output
from bakeoff.errors import SpecError
from bakeoff.gateway import ModelRequest
from tests.agents.support import Script, run, spans

EXAMPLES = [{"input": f"{n}+{n}", "output": str(2 * n)} for n in range(5, 15)]


@pytest.mark.parametrize("name", sorted(patterns()))
async def test_every_pattern_answers_and_takes_the_calls_it_announces(name: str) -> None:
    """The model always does as it is told: lists three parts, finds faults, scores 5, and answers 4."""

    def model(request: ModelRequest) -> str:
        told = str(request.messages[-1]["content"])
        if "one on each line" in told or "One on each line" in told:
            return "1. first\n2. second\n3. third"
        if "Criticise" in told or "Which of them does this answer break" in told:
            return "The second step is wrong."
        if "Is this answer correct" in told:
            return "No. Check the sum."
        if "from 0 to 10" in told:
            return "5"
        return "I think.\nAnswer: 4\nConfidence: 0.9" if "Confidence" in told else "I think.\nAnswer: 4"

    pattern = patterns()[name]
    section = {"pattern": name, "examples": EXAMPLES if "examples" in pattern.needs else []}
    callables = {}
    if "tools" in pattern.needs:
        section["tools"] = {"add": {"python": "x:add"}}
        callables = {"x:add": _add}
    client = Script(model)
    result = await run(section, client, callables=callables)
    assert result.output.startswith("4") or name in ("zero_shot", "few_shot")
    assert result.cost_usd == 0.5 * len(client.requests)
    assert result.usage.input_tokens == 10 * len(client.requests)
    # React makes as many calls as the model has actions; the constraint pattern repairs only what is broken.
    slack = {"react": 2.0, "constraint_satisfaction": 0.5}.get(name, 0.0)
    assert abs(len(client.requests) - pattern.cost_multiplier) <= slack
    assert pattern.source
    assert pattern.helps
    assert pattern.hurts


def _add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def test_self_consistency_votes_and_every_sample_is_a_sample_of_its_own() -> None:
    answers = iter(["Answer: 4", "Answer: 5", "Answer: 4.0", "Answer: 5", "Answer: 4"])
    client = Script(lambda _: next(answers))
    result = await run({"pattern": {"name": "self_consistency", "k": 5}}, client, repeat=2)
    assert result.output == "4"
    assert len({request.repeat for request in client.requests}) == 5
    assert {request.params["temperature"] for request in client.requests} == {0.7}
    (step,) = spans(result, "step")
    assert step["votes"] == {"4": 3, "5": 2}
    assert step["confidence"] == 0.6
    # The samples run at the same time: the trial takes as long as one of them.
    assert result.latency_ms == 100.0


async def test_repeats_never_share_samples() -> None:
    first, second = Script(lambda _: "Answer: 1"), Script(lambda _: "Answer: 1")
    section = {"pattern": {"name": "self_consistency", "k": 50}}
    await run(section, first, repeat=0)
    await run(section, second, repeat=1)
    assert not {r.repeat for r in first.requests} & {r.repeat for r in second.requests}


async def test_self_refine_stops_when_nothing_is_wrong() -> None:
    client = Script(["Answer: 4", "No changes."])
    assert (await run({"pattern": "self_refine"}, client)).output == "4"


async def test_reflexion_carries_the_lesson_to_the_next_attempt() -> None:
    client = Script(["Answer: 5", "No. Add instead of multiplying.", "Answer: 4"])
    assert (await run({"pattern": "reflexion"}, client)).output == "4"
    assert "Add instead of multiplying" in client.said()


async def test_uncertain_answers_are_withheld() -> None:
    section = {"pattern": {"name": "uncertainty", "abstain_below": 0.5}}
    assert (await run(section, Script(["Answer: 4\nConfidence: 30%"]))).output == "I do not know."
    assert (await run(section, Script(["Answer: 4\nConfidence: 0.8"]))).output == "4"


async def test_few_shot_never_shows_the_item_itself() -> None:
    examples = [{"input": "2+2?", "output": "4"}, *EXAMPLES]
    for select in ("fixed", "random", "nearest", "diverse"):
        client = Script(["4"])
        section = {"pattern": {"name": "few_shot", "n": 4, "select": select}, "examples": examples}
        await run(section, client)
        assert client.said().count("Input:") == 4
        assert "Input: 2+2?" not in client.said()


def test_a_wrong_option_is_a_problem_of_the_file() -> None:
    with pytest.raises(SpecError) as caught:
        resolve_agent({"model": "sim/small", "pattern": {"name": "self_consistency", "k": 1, "kk": 2}}, name="a")
    text = str(caught.value)
    assert "targets.a.agent.pattern.k: must be a whole number from 2 to 50, got 1" in text
    assert "targets.a.agent.pattern.kk: self_consistency has no option 'kk'" in text
    with pytest.raises(SpecError, match="did you mean 'chain_of_thought'"):
        resolve_agent({"model": "sim/small", "pattern": "chain_of_thoughts"}, name="a")
    with pytest.raises(SpecError, match="few_shot shows examples, and there are none"):
        resolve_agent({"model": "sim/small", "pattern": "few_shot"}, name="a")


def test_the_answer_is_what_follows_the_last_marker() -> None:
    assert extract_answer("Answer: 3\nNo, wait.\n**Final answer:** 4") == "4"
    assert extract_answer("The answer: is hidden") == "The answer: is hidden"
    assert extract_answer("Answer:\n12 apples") == "12 apples"


def test_votes_are_counted_over_forms_not_spellings() -> None:
    assert vote(["Paris.", "paris", "Rome"]) == ("Paris.", 2 / 3)
    assert vote(["a", "b"], [0.2, 0.9])[0] == "b"
    assert vote(["a", "b"])[0] == "a"


@given(st.text(max_size=200))
def test_any_text_has_an_answer_and_a_form(text: str) -> None:
    assert normal_form(normal_form(text)) == normal_form(text)
    assert isinstance(extract_answer(text), str)


@given(st.text(max_size=200), st.sampled_from(["text", "number", "boolean", "json", "list"]))
def test_any_answer_is_read_or_refused_with_a_reason(text: str, kind: str) -> None:
    try:
        value = read_output(text, OutputSpec.model_validate(kind))
    except FormError:
        return
    types = {"text": str, "number": float, "boolean": bool, "json": object, "list": list}
    assert isinstance(value, types[kind])
    assert kind != "number" or math.isfinite(value)


def test_json_is_checked_against_its_schema() -> None:
    spec = OutputSpec(type="json", json_schema={"type": "object", "required": ["n"]})
    assert read_output('Here:\n```json\n{"n": 1}\n```', spec) == {"n": 1}
    for text in ("5 apples", "NaN", '{"n": Infinity}', "{", "no"):
        with pytest.raises(FormError, match="is not JSON"):
            read_output(text, OutputSpec(type="json"))
    with pytest.raises(FormError, match="'n' is a required property"):
        read_output("{}", spec)
