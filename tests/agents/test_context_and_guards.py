"""What is dropped when the window is full, and what is stopped at the door."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff.agents.memory._context import message_tokens
from bakeoff.datasets import Item
from bakeoff.gateway import ModelRequest
from tests.agents.support import Script, calling, run, spans

LONG = [f"Turn {n}: " + f"word{n} " * 60 for n in range(8)]
POLICIES = ["truncate", "drop_middle", "summarise", "hierarchical", "handover"]


def seen(request: ModelRequest) -> str:
    return "\n".join(str(message["content"]) for message in request.messages)


async def long_talk(policy: str, turns: list[str] = LONG, window: int = 600) -> tuple[Script, Any]:
    client = Script(lambda request: "SUMMARY" if seen(request)[:5] in ("Summa", "Write") else "ok")
    section = {
        "system": "Be brief.",
        "conversation": {},
        "memory": {"policy": "window", "window": 100},
        "context": {"policy": policy, "window": window, "at": 0.5},
    }
    return client, await run(section, client, item=Item(id="i", inputs={"turns": turns}))


@pytest.mark.parametrize("policy", POLICIES)
async def test_what_is_sent_fits_and_what_was_dropped_is_on_the_trial(policy: str) -> None:
    client, result = await long_talk(policy)
    answers = [request for request in client.requests if request.messages[0]["role"] == "system"]
    assert all(message_tokens(request.messages) <= 300 for request in answers)
    last = answers[-1]
    assert last.messages[0]["content"] == "Be brief."
    assert "Turn 7" in str(last.messages[-1]["content"])
    found = spans(result, "context")
    assert found
    assert all(span["tokens_before"] > 300 >= span["tokens_after"] for span in found)
    assert any("Turn 2" in text for text in found[-1]["dropped"])
    assert ("SUMMARY" in seen(last)) == (policy in ("summarise", "hierarchical", "handover"))
    assert ("Turn 0" in seen(last)) == (policy == "drop_middle")


async def test_nothing_happens_below_the_share() -> None:
    client, result = await long_talk("truncate", window=100_000)
    assert "Turn 0" in seen(client.requests[-1])
    assert not spans(result, "context")


async def test_one_message_that_is_too_long_is_cut_in_the_middle() -> None:
    client, result = await long_talk("truncate", turns=["begin " + "x " * 5000 + "end"])
    sent = str(client.requests[-1].messages[-1]["content"])
    assert sent.startswith("begin")
    assert sent.endswith("end")
    assert spans(result, "context")[0]["tokens_after"] <= 300


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(POLICIES), st.integers(80, 2000), st.integers(1, 6))
def test_a_result_never_stands_without_its_call(policy: str, window: int, rounds: int) -> None:
    def look(n: int) -> str:
        """Look."""
        return f"found {n} " * 30

    replies = [calling(("look", {"n": n}), ("look", {"n": n + 100})) for n in range(rounds)]
    answers = iter([*replies, "done"])
    client = Script(lambda r: next(answers) if "tools" in r.params else "summary")
    section = {"tools": {"look": {"python": "t:look"}}, "context": {"policy": policy, "window": window}}
    asyncio.run(run(section, client, callables={"t:look": look}))
    for request in client.requests:
        open_calls: set[str] = set()
        for message in request.messages:
            open_calls |= {call["id"] for call in message.get("tool_calls") or ()}
            if message["role"] == "tool":
                assert message["tool_call_id"] in open_calls


def guard(check: Any, action: str, **more: Any) -> dict[str, Any]:
    return {"guards": [{"check": check, "action": action, **more}]}


async def test_an_input_can_be_blocked_before_anything_is_called() -> None:
    client = Script([])
    item = Item(id="i", inputs={"question": "My key is sk-proj-abcdefghijklmnopqrstuvwxyz123456"})
    result = await run(guard("secrets", "block", side="input", say="No."), client, item=item)
    assert (result.output, result.finish_reason) == ("No.", "blocked")
    assert client.requests == []
    assert result.cost_usd == 0.0
    assert spans(result, "guard")[0]["output"] == "block"


async def test_personal_data_can_be_redacted_on_the_way_in_and_out() -> None:
    item = Item(id="i", inputs={"question": "I am ada@example.org"})
    client = Script(["hello ada@example.org"])
    section = {"guards": [{"check": "pii", "action": "redact", "side": side} for side in ("input", "output")]}
    result = await run(section, client, item=item)
    assert "ada@" not in client.said()
    assert result.output == "hello [email]"
    assert result.trace[0]["notes"] == ["pii: redacted"]


async def test_a_bad_answer_is_asked_for_again_or_escalated() -> None:
    check = {"regex": {"pattern": "^[0-9]+$"}}
    client = Script(["four", "4"])
    result = await run(guard(check, "retry"), client)
    assert result.output == "4"
    assert "was not accepted" in client.said()
    result = await run(guard(check, "retry", say="Sorry."), Script(["four", "vier"]))
    assert (result.output, result.finish_reason) == ("Sorry.", "blocked")
    result = await run(guard(check, "escalate", say="A colleague will answer."), Script(["four"]))
    assert (result.output, result.finish_reason) == ("A colleague will answer.", "escalated")


async def test_a_guard_that_cannot_check_lets_nothing_through() -> None:
    result = await run(guard({"exact_match": {}}, "block"), Script(["4"]), item=Item(id="i", inputs={"question": "?"}))
    assert result.finish_reason == "blocked"
