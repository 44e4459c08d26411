"""The way through the steps, the state they share, and the problems of a flow."""

from __future__ import annotations

import asyncio
import copy
import json
import re
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bakeoff.agents import resolve_agent
from bakeoff.agents.config._override import override
from bakeoff.datasets import Item
from bakeoff.errors import SpecError, TargetError
from bakeoff.gateway import ModelRequest, ModelResponse
from bakeoff.targets import ModelSpec
from tests.agents.support import Script, run, spans

ECHO = lambda request: str(request.messages[-1]["content"])  # noqa: E731 - the model that says what it hears


def echo() -> Script:
    return Script(ECHO)


def problems(section: dict[str, Any], **more: Any) -> str:
    with pytest.raises(SpecError) as caught:
        resolve_agent({"model": "m/m", **section}, name="a", **more)
    return str(caught.value)


STEPS = {name: {"prompt": f"{name}:{{{{ question }}}}"} for name in "abcd"}


async def test_steps_run_in_order_and_see_what_came_before() -> None:
    section = {"steps": {"a": {"prompt": "A"}, "b": {"prompt": "{{ a }}B"}, "c": {"prompt": "{{ b }}C{{ state.a }}"}}}
    assert (await run(section, echo())).output == "ABCA"


async def test_branches_at_the_same_time_take_the_time_of_the_longest() -> None:
    async def slow(request: ModelRequest) -> ModelResponse:
        await asyncio.sleep(0.01)
        text = ECHO(request)
        return ModelResponse(text=text, model="m", latency_ms=300.0 if text.startswith("b") else 100.0)

    class Slow:
        complete = staticmethod(slow)

    section = {
        "steps": {**STEPS, "d": {"prompt": "{{ a }}+{{ b }}+{{ c }}"}},
        "flow": [{"parallel": ["a", "b", {"branch": "1", "cases": {"1": ["c"]}}]}, "d"],
    }
    result = await run(section, Slow())
    assert result.output == "a:2+2?+b:2+2?+c:2+2?"
    assert result.latency_ms == 400.0


async def test_a_failing_branch_ends_the_trial_and_its_siblings() -> None:
    cancelled = asyncio.Event()

    class Client:
        async def complete(self, request: ModelRequest) -> ModelResponse:
            if ECHO(request).startswith("a"):
                raise TargetError("a is down")
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                cancelled.set()
                raise
            raise AssertionError

    section = {"steps": {"a": STEPS["a"], "b": STEPS["b"]}, "flow": [{"parallel": ["b", "a"]}]}
    with pytest.raises(TargetError, match="a is down"):
        await run(section, Client())
    assert cancelled.is_set()


@pytest.mark.parametrize(("route", "expected"), [("Retrieve", "b:2+2?"), ("act", "c:2+2?"), ("else", "d:2+2?")])
async def test_one_of_several_ways(route: str, expected: str) -> None:
    section = {
        "steps": {**STEPS, "a": {"prompt": route}},
        "flow": ["a", {"branch": "a", "cases": {"retrieve": ["b"], "act": ["c"]}, "default": ["d"]}],
    }
    assert (await run(section, echo())).output == expected


async def test_yes_and_no_are_words_in_a_branch() -> None:
    section = {
        "steps": {"a": {"prompt": "yes", "output": "boolean"}, "b": STEPS["b"], "c": STEPS["c"]},
        "flow": ["a", {"branch": "a", "cases": {True: ["b"], False: ["c"]}}],
    }
    assert (await run(section, echo())).output == "b:2+2?"


async def test_a_loop_ends_by_its_condition_or_its_limit() -> None:
    answers = iter(["1", "2", "3", "4", "5"])
    section = {
        "steps": {"a": {"prompt": "try {{ turn }}", "output": "number"}},
        "flow": [{"loop": ["a"], "until": "a >= 3", "max": 4}],
    }
    client = Script(lambda _: next(answers))
    assert (await run(section, client)).output == 3.0
    assert len({request.repeat for request in client.requests}) == 3  # each turn is a sample of its own
    result = await run({**section, "flow": [{"loop": ["a"], "until": "a > 99", "max": 2}]}, Script(lambda _: "1"))
    assert result.trace[0]["notes"] == ["a loop reached its limit of 2"]
    with pytest.raises(TargetError, match="more than 3 steps"):
        await run({**section, "flow": [{"loop": ["a"], "until": "a > 99", "max": 50}], "limits": {"max_steps": 3}},
                  Script(lambda _: "1"))  # fmt: skip


async def test_nothing_after_a_handoff_runs() -> None:
    flow = ["a", {"handoff": ["b"], "when": "'2' in a"}, "c"]
    section = {"steps": {name: STEPS[name] for name in "abc"}, "flow": flow}
    result = await run(section, echo())
    assert result.output == "b:2+2?"
    assert spans(result, "handoff")
    other = await run(section, echo(), item=Item(id="i", inputs={"question": "1+1"}))
    assert other.output == "c:1+1"


async def test_a_person_may_refuse() -> None:
    steps = {
        "plan": {"prompt": "delete all"},
        "ok": {"approve": {"ask": "May I {{ plan }}?", "policy": "when", "when": "'delete' not in plan"}},
        "do": {"prompt": "done"},
        "stop": {"prompt": "stopped"},
    }
    section = {"steps": steps, "flow": ["plan", "ok", {"branch": "ok", "cases": {"true": ["do"]}, "default": ["stop"]}]}
    result = await run(section, echo())
    assert result.output == "stopped"
    (span,) = spans(result, "approval")
    assert (span["input"], span["output"], span["by"]) == ("May I delete all?", False, "when")


async def test_functions_and_checks_are_steps() -> None:
    def double(question: str, a: str) -> str:
        return f"{a}/{question}" * 2

    async def late(**everything: Any) -> int:
        return len(everything["double"])

    section = {
        "steps": {
            "a": STEPS["a"],
            "double": {"python": "f:double"},
            "late": {"python": "f:late"},
            "sound": {"check": [{"contains": {"all": ["zzz"]}}], "of": "double"},
        },
        "answer": "{{ late }} {{ sound.ok }} {{ sound.problems | length }}",
    }
    result = await run(section, echo(), callables={"f:double": double, "f:late": late})
    assert result.output == f"{len('a:2+2?/2+2?') * 2} False 1"

    def broken(question: str) -> str:
        raise KeyError("gone")

    with pytest.raises(TargetError, match="step 'x': KeyError: 'gone'"):
        await run({"steps": {"x": {"python": "f:broken"}}}, echo(), callables={"f:broken": broken})


async def test_an_answer_of_the_wrong_form_is_asked_for_again_and_then_kept_as_it_is() -> None:
    step = {"prompt": "Which?", "output": {"type": "label", "labels": ["red", "blue"]}}
    client = Script(["perhaps", "It is blue."])
    assert (await run({**step}, client)).output == "blue"
    assert "answer with exactly one of red, blue" in client.said()
    assert client.requests[0].repeat != client.requests[1].repeat
    result = await run({**step}, Script(["perhaps", "who knows"]))
    assert (result.output, result.finish_reason) == ("who knows", "bad_form")
    result = await run({"steps": {"a": step, "b": {"prompt": "[{{ a }}]"}}}, Script(["?", "?", "x"]))
    assert (result.output, result.finish_reason) == ("x", "bad_form")


async def test_the_answer_may_be_any_step_or_a_template() -> None:
    assert (await run({"steps": STEPS, "answer": "b"}, echo())).output == "b:2+2?"
    assert (await run({"steps": STEPS, "answer": "{{ a }}|{{ d }}"}, echo())).output == "a:2+2?|d:2+2?"


async def test_a_trial_that_takes_too_long_is_a_failed_trial() -> None:
    class Never:
        async def complete(self, request: ModelRequest) -> ModelResponse:
            await asyncio.sleep(60)
            raise AssertionError

    with pytest.raises(TargetError, match=r"took longer than 0.05 s \(limits.timeout_s\)") as caught:
        await run({"limits": {"timeout_s": 0.05}}, Never())
    assert caught.value.kind == "timeout"


async def test_roles_are_reused() -> None:
    client = Script(["a", "b"])
    section = {
        "roles": {"critic": "You are a critic of {{ question }}."},
        "steps": {"a": {"prompt": "x", "system": "role:critic"}, "b": {"prompt": "y", "system": "role:critic"}},
    }
    await run(section, client)
    assert [r.messages[0]["content"] for r in client.requests] == ["You are a critic of 2+2?."] * 2
    assert "there is no role 'judge'" in problems({"steps": {"a": {"prompt": "x", "system": "role:judge"}}})


def test_every_problem_is_told_with_its_key() -> None:
    text = problems(
        {
            "model": "small",
            "steps": {"a": {"prompt": "{{ x", "tools": ["gone"]}, "b": {"promt": "x"}, "c": {"prompt": "x"}},
            "flow": ["a", "bb", {"loop": ["a"], "until": "x ==", "max": 0}],
        },
        models={"large": ModelSpec(model="x/l")},
    )
    assert "targets.a.agent.steps.b.promt: unknown key 'promt'\n    fix: did you mean 'prompt'?" in text
    assert "targets.a.agent.flow.2.max: should be greater than or equal to 1, got 0" in text
    text = problems(
        {"steps": {"a": {"prompt": "{{ x", "tools": ["gone"]}, "cc": {"prompt": "x"}, "d": {"python": "no:f"}},
         "flow": ["a", "c", {"loop": ["a"], "until": "x =="}]},
    )  # fmt: skip
    for told in (
        "targets.a.agent.steps.a.prompt: ",
        "targets.a.agent.steps.a.tools.0: there is no tool 'gone'",
        "targets.a.agent.flow.1: there is no step 'c'\n    fix: did you mean 'cc'?",
        "targets.a.agent.flow.2.until: ",
        "targets.a.agent.steps.cc: is not in the flow, so it never runs",
        "targets.a.agent.steps.d.python: ",
    ):
        assert told in text
    assert "flow.0: must be the name of a step, or have `parallel`" in problems({"steps": STEPS, "flow": [{"lop": 1}]})
    assert "has no model" in problems({"model": None, "prompt": "x"})
    assert "there is no model 'small'" in problems({"model": "small"}, models={"large": ModelSpec(model="x/l")})


def test_a_node_of_two_kinds_is_told_and_no_key_is_said_to_mean_itself() -> None:
    text = problems({"steps": STEPS, "flow": ["a", {"parallel": ["b", "c"], "loop": ["d"], "until": "1"}]})
    assert "targets.a.agent.flow.1: must be the name of a step, or have `parallel`, `branch`, `loop` or" in text
    text = problems({"steps": STEPS, "flow": ["a", {"loop": ["b"], "until": "1", "cases": {}}]})
    assert "targets.a.agent.flow.1.cases: unknown key 'cases'" in text
    assert "did you mean 'cases'" not in text


@pytest.mark.parametrize(
    ("section", "key"),
    [
        (
            {"tiers": [{"model": "x/s", "accept": {"by": "validator", "evaluator": "exact_match"}}, {"model": "x/l"}]},
            "tiers.0.accept.evaluator",
        ),
        ({"steps": {"a": {"prompt": "x"}, "b": {"check": ["exact_match"], "of": "a"}}}, "steps.b.check.0"),
    ],
)
def test_a_validator_that_needs_the_right_answer_is_refused(section: dict[str, Any], key: str) -> None:
    """An agent does not know the right answer: such a tier would never accept, such a check never pass."""
    text = problems(section)
    assert f"targets.a.agent.{key}: 'exact_match' needs the right answer, which the agent does not have" in text
    of_its_own = json.dumps(section).replace('"exact_match"', '{"contains": {"any": ["4"]}}')
    resolve_agent({"model": "m/m", **json.loads(of_its_own)}, name="a")


def test_memory_without_a_conversation_is_told() -> None:
    text = problems({"memory": "window"})
    assert "targets.a.agent.memory: remembers nothing" in text
    assert "conversation: {turns:" in text
    resolve_agent({"model": "m/m", "memory": "window", "conversation": {"turns": "turns"}}, name="a")
    resolve_agent({"model": "m/m", "memory": "none"}, name="a")


def test_templates_are_checked_against_the_data() -> None:
    agent = resolve_agent(
        {"model": "m/m", "world": {"tone": "dry"}, "steps": {
            "a": {"prompt": "{{ question }} {{ tone }} {{ passages }}", "sim": {"expected": "{{ item.expected }}"}},
            "b": {"prompt": "{{ a }} {{ item }} {{ qestion }}"}}},
        name="x",
    )  # fmt: skip
    assert agent.check(["question"]) == [
        ("targets.x.agent.steps.b.prompt", "undefined variable 'item'"),
        ("targets.x.agent.steps.b.prompt", "undefined variable 'qestion'"),
    ]


def test_factors_reach_in_by_path() -> None:
    base = {"memory": "window", "steps": {"a": {"prompt": "x"}}, "flow": ["a", {"loop": ["a"], "until": "1"}]}
    changed = override(base, {"memory.window": 3, "steps.a.params.seed": 1, "flow.1.max": 5, "steps.a.prompt": None})
    assert changed["memory"] == {"policy": "window", "window": 3}
    assert changed["steps"] == {"a": {"params": {"seed": 1}}}
    assert changed["flow"][1]["max"] == 5
    assert base["memory"] == "window"
    with pytest.raises(SpecError, match="entry '7' of a list of 2"):
        override(base, {"flow.7.max": 5})
    with pytest.raises(SpecError, match=r"leads through 'agent.steps.a.prompt', which is 'x'"):
        override(base, {"steps.a.prompt.b": 5})


def test_names_that_cannot_be_are_refused() -> None:
    text = problems({"steps": {"memory": {"prompt": "x"}, "two words": {"prompt": "x"}}})
    assert "targets.a.agent.steps.memory: 'memory' cannot be the name of a step" in text
    assert "'two words' cannot be the name of a step" in text
    agent = resolve_agent({"model": "m/m", "steps": {"question": {"prompt": "x"}}}, name="a")
    assert agent.check(["question"]) == [
        ("targets.a.agent.steps.question", "'question' is a step and an input; rename the step")
    ]
    with pytest.raises(SpecError, match="'a b' cannot be the name of a tool"):
        resolve_agent({"model": "m/m", "tools": {"a b": {"python": "x:y"}}}, name="a")


async def test_a_blocking_function_holds_up_nothing() -> None:
    def slow(question: str) -> str:
        time.sleep(0.2)
        return question

    began = time.perf_counter()
    section = {"steps": {"a": {"python": "f:slow"}}}
    await asyncio.gather(*(run(section, echo(), callables={"f:slow": slow}) for _ in range(10)))
    assert time.perf_counter() - began < 1.5
    result = await run(section, echo(), callables={"f:slow": slow})
    assert 200 <= result.latency_ms < 1000  # type: ignore[operator]


_RICH: dict[str, Any] = {
    "model": "x/m",
    "roles": {"critic": "You are {{ world_value }}"},
    "world": {"world_value": 1},
    "retrieval": {"corpus": "bundled:handbook-qa", "chunk": {"by": "fixed", "size": 20, "overlap": 2}, "top_k": 2},
    "memory": {"policy": "hierarchical", "levels": ["user"]},
    "context": {"policy": "summarise", "window": 500},
    "conversation": {"turns": "turns", "user": "x/u"},
    "guards": [{"side": "input", "check": "secrets", "action": "block"}],
    "tools": {"search": {"retrieve": True}},
    "steps": {
        "a": {"prompt": "{{ question }}", "pattern": {"name": "few_shot", "n": 1},
              "examples": [{"input": "x", "output": "y"}], "output": {"type": "label", "labels": ["p", "q"]}},
        "b": {"retrieve": {"query": "{{ a }}", "top_k": 1}},
        "c": {"check": [{"length": {"max": 5}}], "of": "a"},
        "d": {"approve": {"ask": "May I?", "policy": "when", "when": "a == 'p'"}},
        "e": {"tiers": [{"model": "x/s", "accept": {"by": "consistency"}}, {"model": "x/l"}], "tools": ["search"],
              "sim": {"expected": "{{ item.expected }}", "helps": [{"when": "a", "logit": 1}]}},
    },
    "flow": ["a", {"parallel": ["b", "c"]}, {"branch": "a", "cases": {"p": ["d"]}, "default": ["e"]},
             {"loop": ["c"], "until": "c.ok", "max": 2}, {"handoff": ["e"], "when": "d"}, "e"],
    "answer": "e",
    "limits": {"max_iterations": 2},
}  # fmt: skip
_LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 10**20), st.floats(), st.text(max_size=8),
    st.sampled_from(["a", "zz", "{{ a }}", "{{ a", "{% if", "role:zz", "self_consistency", "none", "[", "1 +"]),
)  # fmt: skip
_DATA = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


def paths(data: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path for key, value in inner for path in ((*here, key), *paths(value, (*here, key)))]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(paths(_RICH)), _DATA)
def test_any_value_anywhere_gives_an_agent_or_problems_with_keys(path: tuple[Any, ...], value: Any) -> None:
    section = copy.deepcopy(_RICH)
    holder: Any = section
    for part in path[:-1]:
        holder = holder[part]
    holder[path[-1]] = value
    caught: SpecError | None = None
    try:
        agent = resolve_agent(section, name="a")
    except SpecError as error:
        caught = error
    if caught is None:
        assert agent.steps
    else:
        assert all(problem.message and problem.key.startswith("targets.a.agent") for problem in caught.problems)


@given(st.dictionaries(st.text(max_size=12), _DATA, max_size=3))
def test_any_factor_gives_an_agent_or_problems(overrides: dict[str, Any]) -> None:
    try:
        agent = resolve_agent(_RICH, name="a", overrides=overrides)
    except SpecError:
        return
    assert agent.steps


def test_the_rich_section_itself_is_fine() -> None:
    assert len(resolve_agent(_RICH, name="a").steps) == 5


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (
            {"tiers": [{"model": "m/s"}, {"model": "m/l"}]},
            "tiers.0: is paid for and never the answer: it has no `accept`",
        ),
        ({"approve": {"ask": "Pay?", "policy": "when"}}, "`policy: when` needs `when`"),
        ({"approve": {"ask": "Pay?", "when": "amount < 100"}}, "the person would always agree"),
    ],
)
def test_what_would_silently_do_something_else_is_a_problem_of_the_file(section: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=re.escape(message)):
        resolve_agent({"model": "m/m", **section}, name="a")
