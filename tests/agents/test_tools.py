"""Whatever a tool or a model does, the trial ends with a recorded outcome."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any, Literal

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.agents import FunctionTool, ToolContext, call_tool, resolve_agent
from bakeoff.errors import SpecError, TargetError
from tests.agents.support import Script, calling, run, spans

ABOUT = ToolContext(item_id="i", inputs={})
CALLS: list[str] = []


def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    CALLS.append(f"{a}+{b}")
    return a + b


def hang() -> str:
    """Never come back."""
    time.sleep(3)
    return "late"


def fail() -> str:
    """Fail."""
    raise RuntimeError("the database is gone")


def huge() -> str:
    """Give ten megabytes."""
    return "x" * 10_000_000


def nonsense() -> Any:
    """Give something that is no data."""
    return {1: object(), "set": {1}, "bytes": b"\xff"}


def place(city: Literal["Bath", "York"], tags: list[str] | None = None) -> str:
    """Look a place up."""
    return f"{city} {tags}"


TOOLS = {f"t:{one.__name__}": one for one in (add, hang, fail, huge, nonsense, place)}
SECTION = {
    "tools": {one.removeprefix("t:"): {"python": one, "timeout_s": 0.1, "max_chars": 1000} for one in TOOLS},
    "limits": {"max_iterations": 3, "max_repeats": 2},
}


async def agent(*replies: Any, **more: Any) -> Any:
    client = Script([*replies])
    return await run({**SECTION, **more}, client, callables=TOOLS), client


async def test_a_tool_is_called_and_the_model_is_told() -> None:
    result, client = await agent(calling(("add", {"a": 2, "b": 2})), "4")
    assert result.output == "4"
    assert result.tool_calls[0]["function"] == {"name": "add", "arguments": '{"a": 2, "b": 2}'}
    assert client.requests[1].messages[-1] == {"role": "tool", "tool_call_id": "c0", "content": "4"}
    assert [tool["function"]["name"] for tool in client.requests[0].params["tools"]] == list(SECTION["tools"])
    (span,) = spans(result, "tool")
    assert (span["name"], span["outcome"], span["output"]) == ("add", "ok", "4")
    assert result.cost_usd == 1.0
    assert result.finish_reason == "stop"


@pytest.mark.parametrize(
    ("call", "outcome", "told"),
    [
        (("hang", {}), "timeout", "gave no answer within 0.1 s"),
        (("fail", {}), "raised", "RuntimeError: the database is gone"),
        (("huge", {}), "cut", "10,000,000 characters"),
        (("nonsense", {}), "ok", "object"),
        (("delete_all", {}), "unknown_tool", "There is no tool 'delete_all'"),
        (("", "{}"), "unknown_tool", "There is no tool ''"),
        (("add", "{a: 2"), "bad_arguments", "not JSON"),
        (("add", "[1, 2]"), "bad_arguments", "must be a JSON object"),
        (("add", {"a": "many"}), "bad_arguments", "a: Input should be a valid integer"),
        (("add", {"b": 1}), "bad_arguments", "a: Field required"),
        (("add", {"a": 1, "c": 1}), "bad_arguments", "c: Extra inputs are not permitted"),
        (("place", {"city": "Rome"}), "bad_arguments", "city: Input should be 'Bath' or 'York'"),
        (("add", "[" * 100_000), "bad_arguments", "not JSON"),
    ],
    ids=str,
)
async def test_bad_tools_and_bad_calls_are_outcomes(call: tuple[str, Any], outcome: str, told: str) -> None:
    result, client = await agent(calling(call), "sorry")
    assert result.output == "sorry"
    (span,) = spans(result, "tool")
    assert span["outcome"] == outcome
    assert told in str(client.requests[1].messages[-1]["content"])
    assert len(json.dumps(list(result.trace))) < 250_000


async def test_many_calls_that_hang_hold_up_nothing() -> None:
    begun = time.perf_counter()
    results = await asyncio.gather(*(agent(calling(("hang", {})), "done") for _ in range(20)))
    assert time.perf_counter() - begun < 2.5
    assert all(spans(result, "tool")[0]["outcome"] == "timeout" for result, _ in results)


async def test_a_loop_of_the_same_call_is_stopped() -> None:
    same = calling(("add", {"a": 1}))
    result, client = await agent(same, same, same, same, same)
    assert result.finish_reason == "loop"
    assert len(client.requests) == 3
    with pytest.raises(TargetError, match="the agent was stopped: loop"):
        await agent(same, same, same, limits={"max_repeats": 2, "on_limit": "fail"})


async def test_tool_calls_that_never_end_are_stopped() -> None:
    result, _ = await agent(*(calling(("add", {"a": n})) for n in range(10)))
    assert result.finish_reason == "max_iterations"
    assert len(result.tool_calls) == 3


async def test_a_tool_of_another_step_is_not_allowed() -> None:
    client = Script([calling(("add", {"a": 1})), "no"])
    section = {"tools": SECTION["tools"], "steps": {"talk": {"prompt": "{{ question }}"}}}
    result = await run(section, client, callables=TOOLS)
    assert spans(result, "tool")[0]["outcome"] == "unknown_tool"
    assert "tools" not in client.requests[0].params


async def test_recorded_results_are_replayed_and_the_tool_is_left_alone(tmp_path: Path) -> None:
    CALLS.clear()
    section = {"tools": {"add": {"python": "t:add", "record": "recorded"}}}
    for _ in range(2):
        client = Script([calling(("add", {"a": 20, "b": 3})), calling(("add", {"a": 20, "b": 3})), "23"])
        result = await run(section, client, callables=TOOLS, base_dir=tmp_path)
    # Two calls in one trial are two states of the world; the second run replays both.
    assert CALLS == ["20+3", "20+3"]
    assert [span["outcome"] for span in spans(result, "tool")] == ["replayed", "replayed"]
    file = tmp_path / "recorded" / "add.jsonl"
    file.write_bytes(file.read_bytes() + b'{"key": "half')  # a killed run
    await run(section, Script(["x"]), callables=TOOLS, base_dir=tmp_path)
    file.write_bytes(b"not a line\n" + file.read_bytes())
    with pytest.raises(SpecError, match="line 1 is not a recorded result"):
        resolve_agent({"model": "m/m", **section}, name="a", callables=TOOLS, base_dir=tmp_path)


async def test_variants_that_call_at_the_same_time_see_the_same_world(tmp_path: Path) -> None:
    made: list[int] = []

    async def clock() -> str:
        """Tell the time."""
        made.append(1)
        await asyncio.sleep(0.02)
        return f"tick {len(made)}"

    section = {"tools": {"clock": {"python": "t:clock", "record": "recorded"}}}
    scripts = [Script([calling(("clock", {})), "done"]) for _ in range(4)]
    # As in a run: every variant is loaded before the first trial.
    results = await asyncio.gather(
        *(run(section, script, callables={"t:clock": clock}, base_dir=tmp_path) for script in scripts)
    )
    assert [script.requests[1].messages[-1]["content"] for script in scripts] == ["tick 1"] * 4
    assert sorted(spans(result, "tool")[0]["outcome"] for result in results) == ["ok", *["replayed"] * 3]
    assert len((tmp_path / "recorded" / "clock.jsonl").read_bytes().splitlines()) == 1


async def test_a_value_error_of_a_tool_is_its_own_and_no_fault_of_the_arguments() -> None:
    def order(number: int) -> str:
        """Look an order up."""
        raise ValueError(f"there is no order {number}")

    outcome = await call_tool(FunctionTool(order), "order", '{"number": 12}', ABOUT)
    assert (outcome.kind, outcome.text) == ("raised", "Error: ValueError: there is no order 12")


def test_the_schema_comes_from_type_hints() -> None:
    tool = FunctionTool(place)
    assert tool.description == "Look a place up."
    assert tool.schema["properties"]["city"]["enum"] == ["Bath", "York"]
    assert tool.schema["required"] == ["city"]

    def where(city: str, context: ToolContext) -> str:
        """Say where."""
        return f"{city} {context.item_id}"

    hidden = FunctionTool(where)
    assert list(hidden.schema["properties"]) == ["city"]
    assert asyncio.run(call_tool(hidden, "where", '{"city": "Bath"}', ABOUT)).text == "Bath i"


def test_tools_that_cannot_be_described_are_problems_of_the_file() -> None:
    def odd(*things: int) -> int:
        """Take anything."""
        return len(things)

    def undocumented(a: int) -> int:
        return a

    with pytest.raises(SpecError, match="parameter 'things' must have a name of its own"):
        FunctionTool(odd)
    section = {"model": "m/m", "tools": {"u": {"python": "t:u"}, "v": {"python": "nowhere:f"}, "w": {"retrieve": True}}}
    with pytest.raises(SpecError) as caught:
        resolve_agent(section, name="a", callables={"t:u": undocumented})
    text = str(caught.value)
    assert "targets.a.agent.tools.u.description: has no description" in text
    assert "nowhere" in text
    assert "targets.a.agent.tools.w: searches the corpus, but the agent has no `retrieval`" in text


@given(st.text(max_size=300))
def test_no_arguments_break_a_call(arguments: str) -> None:
    outcome = asyncio.run(call_tool(FunctionTool(place), "place", arguments, ABOUT))
    assert outcome.kind in ("ok", "bad_arguments", "raised")


async def test_an_operation_of_a_service_is_a_tool(tmp_path: Path) -> None:
    seen: list[Any] = []

    async def order(request: web.Request) -> web.Response:
        seen.append((request.match_info["id"], request.query.get("full"), await request.json()))
        if request.match_info["id"] == "0":
            return web.json_response({"error": "none"}, status=404)
        return web.json_response({"state": "sent"})

    app = web.Application()
    app.router.add_post("/orders/{id}", order)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    (tmp_path / "api.yaml").write_text("""
openapi: 3.0.0
paths:
  /orders/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: integer}}]
    post:
      operationId: changeOrder
      summary: Change an order.
      parameters: [{name: full, in: query, schema: {type: boolean}}]
      requestBody: {required: true, content: {application/json: {schema: {$ref: '#/components/schemas/Change'}}}}
components: {schemas: {Change: {type: object, required: [note], properties: {note: {type: string}}}}}
""")
    tool = {"openapi": "api.yaml", "operation": "changeOrder", "base_url": f"http://127.0.0.1:{port}"}
    good = {"id": 7, "full": True, "note": "hi"}
    client = Script([calling(("o", good)), calling(("o", {"id": "x"})), calling(("o", {**good, "id": 0})), "done"])
    try:
        result = await run({"tools": {"o": tool}}, client, base_dir=tmp_path)
    finally:
        await runner.cleanup()
    assert seen[0] == ("7", "true", {"note": "hi"})
    assert [span["outcome"] for span in spans(result, "tool")] == ["ok", "bad_arguments", "raised"]
    assert "HTTP 404" in spans(result, "tool")[2]["output"]
    with pytest.raises(SpecError, match="has no operation 'gone'; it has changeOrder"):
        resolve_agent({"model": "m/m", "tools": {"o": {**tool, "operation": "gone"}}}, name="a", base_dir=tmp_path)


async def test_an_answer_that_arrives_in_pieces_is_read_to_its_end(tmp_path: Path) -> None:
    async def slowly(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        for piece in (b"first ", b"second ", b"last"):
            await answer.write(piece)
            await asyncio.sleep(0.1)
        return answer

    app = web.Application()
    app.router.add_get("/all", slowly)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    (tmp_path / "api.yaml").write_text("openapi: 3.0.0\npaths: {/all: {get: {operationId: all, summary: All.}}}\n")
    tool = {"openapi": "api.yaml", "operation": "all", "base_url": f"http://127.0.0.1:{runner.addresses[0][1]}"}
    try:
        result = await run({"tools": {"o": tool}}, Script([calling(("o", {})), "done"]), base_dir=tmp_path)
    finally:
        await runner.cleanup()
    assert "first second last" in spans(result, "tool")[0]["output"]


async def test_an_operation_takes_lists_composed_bodies_and_no_way_out_of_its_path(tmp_path: Path) -> None:
    seen: list[Any] = []

    async def anything(request: web.Request) -> web.Response:
        seen.append((request.path, request.query.getall("tag", []), await request.json()))
        return web.json_response({})

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", anything)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    (tmp_path / "api.yaml").write_text("""
openapi: 3.1.0
paths:
  /orders/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: string}}]
    put:
      operationId: putOrder
      parameters: [{name: tag, in: query, schema: {type: array, items: {type: string}}}]
      requestBody:
        content:
          application/json:
            schema: {allOf: [{$ref: '#/components/schemas/Base'}, {properties: {colour: {type: string}}}]}
components: {schemas: {Base: {type: object, required: [id], properties: {id: {type: string}}}}}
""")
    tool = {"openapi": "api.yaml", "operation": "putOrder", "base_url": f"http://127.0.0.1:{runner.addresses[0][1]}"}
    good = {"id": "5", "colour": "red", "tag": ["a", "b"]}
    client = Script([calling(("o", good)), calling(("o", {**good, "id": ".."})), "done"])
    try:
        result = await run({"tools": {"o": tool}}, client, base_dir=tmp_path)
    finally:
        await runner.cleanup()
    # OpenAPI 3.1, 4.8.12: style `form` with `explode` is the default of a query parameter.
    assert seen == [("/orders/5", ["a", "b"], {"id": "5", "colour": "red"})]
    assert [span["outcome"] for span in spans(result, "tool")] == ["ok", "bad_arguments"]


def test_an_address_from_the_environment_is_in_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP", "user:hunter2@shop")
    (tmp_path / "api.yaml").write_text("paths: {/: {get: {operationId: a}}}")
    tool = {"openapi": "api.yaml", "operation": "a", "base_url": "${SHOP}/v1"}
    with pytest.raises(SpecError, match=r"must begin with http:// or https://") as caught:
        resolve_agent({"model": "m/m", "tools": {"o": tool}}, name="a", base_dir=tmp_path)
    assert "hunter2" not in str(caught.value)


def test_a_server_of_tools_that_ends_at_once_is_told_by_its_reason() -> None:
    pytest.importorskip("mcp")
    section = {"model": "m/m", "tools": {"x": {"mcp": [sys.executable, "-c", "pass"], "timeout_s": 10}}}
    with pytest.raises(SpecError, match="does not answer") as caught:
        resolve_agent(section, name="a")
    assert "TaskGroup" not in str(caught.value)
