"""Memory: what is kept, at which level, for whom; nothing crosses from one user or tenant to another."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff.agents import LEVELS, MemoryStore, Scope, anonymise, trial_spans
from bakeoff.datasets import Item
from bakeoff.errors import TargetError
from bakeoff.gateway import Gateway, ModelRequest
from tests.agents.support import Script, run, spans

ADA = Scope({"chat": "c", "task": "t", "project": "p", "user": "ada", "organisation": "acme", "industry": "tea"})
WRITERS = [
    Scope({"chat": chat, "task": "t", "project": "p", "user": user, "organisation": tenant, "industry": "tea"})
    for chat in ("c1", "c2") for user in ("ada", "bob") for tenant in ("acme", "rival")
]  # fmt: skip


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 7), st.sampled_from(LEVELS), st.integers(0, 99)), max_size=25),
    st.sampled_from(["recall", "visible"]),
)
def test_nobody_reads_what_is_not_his(writes: list[tuple[int, Any, int]], how: str) -> None:
    store = MemoryStore()
    written: dict[str, set[int]] = {}
    for writer, level, number in writes:
        text = f"fact {number} tulip"
        scope = WRITERS[writer]
        if store.write(text, level=level, scope=scope):
            written.setdefault(f"{level}/{text}", set()).add(writer)
    for reader, scope in enumerate(WRITERS):
        found = (
            store.visible(scope) if how == "visible" else store.recall("tulip", scope=scope, levels=LEVELS, top_k=99)
        )
        for one in found:
            writers = [WRITERS[w] for w in written[f"{one.level}/{one.text}"]]
            ids = scope.ids
            if one.level in ("chat", "task", "project", "user"):
                same = [w for w in writers if (w.user, w.tenant) == (scope.user, scope.tenant)]
                assert [w for w in same if w.ids[one.level] == ids[one.level]], (reader, one)
            elif one.level == "organisation":
                assert [w for w in writers if w.tenant == scope.tenant], (reader, one)


def test_the_same_names_in_another_tenant_are_other_people() -> None:
    store = MemoryStore()
    for level in LEVELS[:5]:
        store.write(f"secret at {level}", level=level, scope=ADA)
    twin = Scope({**ADA.ids, "organisation": "rival"})
    colleague = Scope({**ADA.ids, "user": "bob"})
    assert store.visible(twin) == []
    assert [one.level for one in store.visible(colleague)] == ["organisation"]
    assert len(store.visible(ADA)) == 5


def test_nothing_personal_rises_above_the_user() -> None:
    store = MemoryStore()
    said = "My name is Ada Byron, ada@example.org, +44 20 7946 0958; Ada Byron pays with 4111 1111 1111 1111."
    for level in LEVELS:
        store.write(said, level=level, scope=ADA)
    for one in store.visible(ADA):
        private = one.level in ("chat", "task", "project", "user")
        assert ("Ada" in one.text) == private
        assert ("@example" in one.text) == private
        assert ("4111" in one.text) == private
        assert bool(one.user) == private
    assert anonymise("Zoe knows", names=["Zoe"]) == "[name] knows"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("My name is \u00c9lodie \u00d8degaard, \u00c9lodie \u00d8degaard.", "My name is [name], [name]."),
        ("my name is ada", "my name is [name]"),
        ("I\u2019m \u0141ukasz.", "I\u2019m [name]."),
        ("i am called \u674e\u96f7 here", "i am called [name] here"),
        ("I'm sorry, call me later", "I'm sorry, call me later"),
        ("Zoe or ZOE knows", "[name] or [name] knows"),
    ],
)
def test_names_of_people_who_introduce_themselves_are_found_in_any_script(said: str, kept: str) -> None:
    assert anonymise(said, names=["zoe"]) == kept


async def test_what_one_says_of_oneself_is_not_told_to_the_tenant_when_the_team_comes_up() -> None:
    turns = [
        {"text": "I told my team that my salary is 91k. Our dog is Rex.", "user": "ada", "organisation": "acme"},
        {"text": "salary of the team, and dog?", "user": "bob", "organisation": "acme"},
    ]
    section = {"conversation": {}, "memory": {"policy": "hierarchical", "levels": ["user", "organisation"]}}
    client = Script(["a", "b"])
    await run(section, client, item=talk(turns))
    seen = str(client.requests[1].messages)
    assert "Our dog is Rex" in seen
    assert "91k" not in seen


@pytest.mark.parametrize("policy", ["window", "summary"])
async def test_a_chat_that_is_come_back_to_goes_on_where_it_was(policy: str) -> None:
    turns = [{"text": text, "chat": chat} for text, chat in (("one", "a"), ("two", "b"), ("three", "a"))]
    client = Script(["x", "y", "z"])
    await run({"conversation": {}, "memory": {"policy": policy, "window": 4}}, client, item=talk(turns))
    assert [[one["content"] for one in request.messages] for request in client.requests] == [
        ["one"],
        ["two"],
        ["one", "x", "three"],
    ]


def test_limits_age_and_importance() -> None:
    store = MemoryStore(episodic=3, semantic=2, days=30, min_importance=0.2)
    assert not store.write("trifle", level="user", scope=ADA, importance=0.1)
    for number, importance in enumerate((0.9, 0.3, 0.5, 0.8)):
        store.write(f"event {number}", level="user", scope=ADA, importance=importance, day=float(number))
    assert [one.text for one in store.visible(ADA)] == ["event 0", "event 2", "event 3"]
    for number in range(3):
        store.write(f"fact {number}", level="user", scope=ADA, kind="semantic", day=float(number))
    assert [one.text for one in store.visible(ADA) if one.kind == "semantic"] == ["fact 1", "fact 2"]
    assert not store.write("fact 2", level="user", scope=ADA, kind="semantic", day=9.0)  # known already
    assert [one.text for one in store.recall("event fact", scope=ADA, levels=["user"], day=32.5)] == ["event 3"]


def test_a_user_can_take_his_data_and_have_it_erased() -> None:
    store = MemoryStore()
    bob = Scope({**ADA.ids, "user": "bob"})
    for scope in (ADA, bob):
        for level in LEVELS[:5]:
            store.write(f"{scope.user} at {level}", level=level, scope=scope)
    assert [one["level"] for one in store.export(user="ada", tenant="acme")] == list(LEVELS[:4])
    assert store.export(user="ada", tenant="rival") == []
    assert store.erase(user="ada", tenant="acme") == 4
    assert store.export(user="ada", tenant="acme") == []
    assert len(store.export(user="bob", tenant="acme")) == 4
    assert not any("ada" in one.text for one in store.visible(ADA))


TALK = ["My plant is a fern.", "It is raining today.", "Nothing else is new.", "What is my plant?"]


def talk(turns: list[Any] = TALK) -> Item:
    return Item(id="i", inputs={"turns": turns}, expected="fern")


def seen(request: ModelRequest) -> str:
    return "\n".join(str(message["content"]) for message in request.messages)


@pytest.mark.parametrize(
    ("memory", "recalls"),
    [
        ({"policy": "none"}, False),
        ({"policy": "window", "window": 2}, False),
        ({"policy": "window", "window": 6}, True),
        ({"policy": "retrieval", "window": 2}, True),
        ({"policy": "hierarchical", "window": 2}, True),
        ({"policy": "summary", "window": 2}, True),
    ],
    ids=str,
)
async def test_each_policy_shows_the_model_what_it_should(memory: dict[str, Any], recalls: bool) -> None:
    def model(request: ModelRequest) -> str:
        told = seen(request)
        return f"the plant is a {'fern' if 'fern' in told else '?'}" if told.endswith("new summary.") else "ok"

    client = Script(model)
    result = await run({"conversation": {}, "memory": memory}, client, item=talk())
    last = [request for request in client.requests if not seen(request).endswith("new summary.")][-1]
    assert ("fern" in seen(last)) == recalls
    assert last.messages[-1]["content"] == "What is my plant?"
    assert result.output == "ok"
    kinds = {span["name"] for span in spans(result, "memory")}
    assert kinds == ({"recall", "remember"} if memory["policy"] in ("retrieval", "hierarchical") else set())


async def test_chats_users_and_tenants_of_one_item_are_kept_apart() -> None:
    def said(text: str, chat: str, user: str, tenant: str = "acme", day: float = 0) -> dict[str, Any]:
        return {"text": text, "chat": chat, "user": user, "organisation": tenant, "day": day}

    turns = [
        said("My plant is a fern.", "1", "ada"),
        said("Our office is in Bath.", "1", "ada"),
        said("What is my plant?", "2", "ada"),
        said("What is my plant, and where is our office?", "3", "bob"),
        said("What is my plant, and where is our office?", "4", "ada", "rival"),
        said("What is my plant?", "5", "ada", day=40),
    ]
    client = Script(lambda _: "ok")
    section = {
        "conversation": {"output": "all"},
        "memory": {"policy": "hierarchical", "levels": ["user", "organisation"]},
    }
    result = await run(section, client, item=talk(turns))
    shown = [seen(request) for request in client.requests]
    assert "fern" in shown[2]
    assert "fern" not in shown[3]
    assert "Bath" in shown[3]
    assert "fern" not in shown[4]
    assert "Bath" not in shown[4]
    assert "fern" not in shown[5]  # older than 30 days
    assert result.output == ["ok"] * 6


async def test_facts_may_be_taken_out_by_a_model() -> None:
    def model(request: ModelRequest) -> str:
        return "user: likes ferns\nnonsense\nplatform: water is wet" if "lasting facts" in seen(request) else "ok"

    section = {"conversation": {}, "memory": {"policy": "hierarchical", "model": "x/m"}}
    result = await run(section, Script(model), item=talk(["Hello"]))
    assert spans(result, "memory")[1]["output"] == ["chat: Hello", "chat: ok", "user: likes ferns"]


async def test_trials_remember_nothing_of_each_other() -> None:
    client = Script(lambda _: "ok")
    section = {"conversation": {}, "memory": {"policy": "hierarchical"}}
    await run(section, client, item=talk(["My plant is a fern."]))
    await run(section, client, item=talk(["What is my plant?"]))
    assert "fern" not in seen(client.requests[-1])


async def test_scripted_turns_and_a_simulated_user_work_on_simulated_models() -> None:
    section = {
        "model": {"model": "sim/small", "params": {"sim": {"skill": 1.0, "template": "{answer}", "latency_ms": 0}}},
        "prompt": "{{ message }}",
        "conversation": {"user": {"model": "sim/large", "params": {"sim": {"latency_ms": 0}}}, "output": "all"},
    }
    async with Gateway() as client:
        item = Item(id="i", inputs={"persona": "a hasty clerk", "goal": "How many days of leave?"}, expected="25")
        result = await run(section, client, item=item)
        said = [one.attributes["output"] for one in trial_spans(result.trace) if one.name == "user"]
        assert said[0] == "How many days of leave?"
        assert "a hasty clerk" in said[1]
        assert said[2:] == ["DONE"]
        assert result.output == ["25", "25"]
        scripted = Item(id="s", inputs={"turns": ["Hello.", "How many?"]}, expected="25")
        plain = {**section, "conversation": {}}
        assert (await run(plain, client, item=scripted)).output == "25"


async def test_a_simulated_user_goes_on_until_it_is_done() -> None:
    lines = iter(["And the second?", "DONE"])

    def model(request: ModelRequest) -> str:
        return next(lines) if request.model == "x/user" else f"answer to {request.messages[-1]['content']}"

    item = Item(id="i", inputs={"turns": ["The first?"], "persona": "hasty", "goal": "two answers"})
    section = {"conversation": {"user": "x/user", "output": "all"}, "memory": "window"}
    client = Script(model)
    result = await run(section, client, item=item)
    assert result.output == ["answer to The first?", "answer to And the second?"]
    asked = seen(next(request for request in client.requests if request.model == "x/user"))
    assert "hasty" in asked
    assert "assistant: answer to The first?" in asked


@pytest.mark.parametrize(
    ("turns", "message"),
    [
        ("x", "must be a list"),
        ([], "no turns"),
        ([3], "turn 1 must be"),
        (["a", {"text": "b", "day": "tuesday"}], "`day` of turn 2 must be a number of days, got 'tuesday'"),
        ([{"text": "b", "day": float("nan")}], "must be a number of days"),
        ([{"text": "b", "day": None}], "must be a number of days"),
    ],
)
async def test_turns_of_another_form_fail_the_trial(turns: Any, message: str) -> None:
    with pytest.raises(TargetError, match=message):
        await run({"conversation": {}}, Script(["x"]), item=talk(turns))
