from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bakeoff.datasets import Item
from bakeoff.errors import SpecError, TargetError
from bakeoff.gateway import ModelRequest, ModelResponse
from bakeoff.prompts import Prompt
from bakeoff.targets import ModelSpec, TargetFactory, TargetResult, TargetSpec, resolve_variant

ITEM = Item(
    id="i1", inputs={"question": "2+2", "lang": "en"}, expected="4", recorded={"old.answer": "4", "list": ["a", "b"]}
)


class Echo:
    def __init__(self) -> None:
        self.requests: list[ModelRequest] = []

    async def complete(self, request: ModelRequest) -> ModelResponse:
        self.requests.append(request)
        return ModelResponse(text=str(request.messages[-1]["content"]), model=request.model)


async def run(
    spec: dict[str, Any] | None = None,
    *,
    item: Item = ITEM,
    levels: dict[str, Any] | None = None,
    base_dir: Path = Path(),
    client: Echo | None = None,
    callables: dict[str, Callable[..., Any]] | None = None,
    repeat: int = 0,
    repeats: int = 1,
) -> TargetResult:
    targets = {"t": TargetSpec.model_validate(spec)} if spec is not None else {}
    prompts = {"p": Prompt(name="p", messages=[{"role": "user", "content": "{{ tone }}: {{ question }}"}])}
    models = {"m": ModelSpec(model="sim/echo", temperature=0.5, max_tokens=9)}
    chosen = levels if levels is not None else {"target": "t"}
    variant = resolve_variant("v", chosen, prompts=prompts, models=models, targets=targets)
    factory = TargetFactory(client or Echo(), base_dir=base_dir, callables=callables, repeats=repeats)
    try:
        return await factory.open(variant).run(item, repeat=repeat)
    finally:
        await factory.aclose()


async def fails(spec: dict[str, Any], **options: Any) -> TargetError:
    with pytest.raises(TargetError) as caught:
        await run(spec, **options)
    return caught.value


class TestPrompt:
    async def test_levels_are_parameters_and_template_variables(self) -> None:
        client = Echo()
        levels = {
            "prompt": "p",
            "model": "m",
            "temperature": 0.9,
            "max_tokens": None,
            "tone": "kindly",
            "params.top_k": 7,
        }
        result = await run(levels=levels, client=client, repeat=2)
        assert result.output == "kindly: 2+2"
        (request,) = client.requests
        assert request.params == {"temperature": 0.9, "top_k": 7}, "null takes a parameter back"
        assert (request.model, request.repeat, request.variant) == ("sim/echo", 2, "v")
        assert request.prompt_version

    async def test_a_model_string_is_a_model(self) -> None:
        client = Echo()
        await run(levels={"prompt": "p", "model": "ollama/llama3.2", "tone": "x"}, client=client)
        assert client.requests[0].model == "ollama/llama3.2"
        assert client.requests[0].sim_context == {}, "the right answer is never handed to a real model"

    @pytest.mark.parametrize(
        ("levels", "message"),
        [
            ({"prompt": "q", "model": "m"}, "there is no prompt 'q'; this file has p"),
            ({"prompt": "p", "model": "n"}, "there is no model 'n'; this file has m"),
            ({"target": "u"}, "there is no target 'u'"),
            ({"model": "m", "prompt": "p", "tempreature": 1}, "nothing uses 'tempreature'"),
        ],
    )
    async def test_unknown_names(self, levels: dict[str, Any], message: str) -> None:
        with pytest.raises(SpecError, match=message):
            await run(levels=levels)


class TestCallable:
    async def test_inputs_and_factors_by_name(self) -> None:
        def answer(question: str, style: str = "plain", *, repeat: int) -> str:
            return f"{question}/{style}/{repeat}"

        result = await run(
            {"python": "x:y"}, levels={"target": "t", "style": "curt"}, callables={"x:y": answer}, repeat=3
        )
        assert result.output == "2+2/curt/3"
        assert result.latency_ms is not None

    async def test_async_and_whole_inputs(self) -> None:
        async def answer(row: dict[str, Any]) -> list[str]:
            await asyncio.sleep(0)
            return sorted(row)

        assert (await run({"python": "x:y"}, callables={"x:y": answer})).output == ["lang", "question"]

    async def test_from_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "helper.py").write_text("VALUE = 41\n")
        (tmp_path / "app.py").write_text("import helper\ndef answer(question):\n    return helper.VALUE + 1\n")
        assert (await run({"python": "app.py:answer"}, base_dir=tmp_path)).output == 42

    async def test_what_it_raises_is_the_trial_s_error(self) -> None:
        def answer(question: str) -> str:
            raise KeyError("nope")

        error = await fails({"python": "x:y"}, callables={"x:y": answer})
        assert str(error) == "KeyError: 'nope'"
        assert error.kind == "target"

    async def test_a_hanging_one_is_given_up(self) -> None:
        async def answer(question: str) -> str:
            await asyncio.sleep(60)
            return question

        error = await fails({"python": "x:y", "timeout_s": 0.05}, callables={"x:y": answer})
        assert (str(error), error.kind) == ("took longer than 0.05 s", "timeout")

    async def test_a_parameter_that_no_input_has(self) -> None:
        def answer(question: str, colour: str, size: int) -> str:
            return question

        error = await fails({"python": "x:y"}, callables={"x:y": answer})
        assert "needs colour, size, which is not among the inputs ['lang', 'question']" in str(error)

    @pytest.mark.parametrize(
        ("reference", "message"),
        [
            ("app.py:nothing", r"has no callable 'nothing'; it has answer"),
            ("gone.py:answer", "there is no file"),
            ("broken.py:answer", "importing .* failed: SyntaxError"),
            ("no_such_module_here:answer", "cannot be imported"),
            ("app.py", "must be 'module:function' or 'file.py:function'"),
        ],
    )
    async def test_references_that_lead_nowhere(self, reference: str, message: str, tmp_path: Path) -> None:
        (tmp_path / "app.py").write_text("def answer(question): return 1\n")
        (tmp_path / "broken.py").write_text("def answer(:\n")
        with pytest.raises(SpecError, match=message):
            await run({"python": reference}, base_dir=tmp_path)


class TestRecorded:
    async def test_by_dotted_path(self) -> None:
        assert (await run({"recorded": "old.answer"})).output == "4"

    async def test_a_list_has_one_answer_for_each_repeat(self) -> None:
        assert (await run({"recorded": "list"}, repeat=1, repeats=2)).output == "b"
        assert (await run({"recorded": "list"})).output == ["a", "b"], "without repeats a list is one answer"
        with pytest.raises(TargetError, match="no answer at 'list' for repeat 3"):
            await run({"recorded": "list"}, repeat=2, repeats=3)

    async def test_a_missing_one_is_a_failed_trial(self) -> None:
        error = await fails({"recorded": "new.answer"})
        assert error.kind == "not_found"


class TestCommand:
    async def test_json_in_and_out(self) -> None:
        code = "import json,sys; d=json.load(sys.stdin); print(json.dumps({'n': len(d['question'])}))"
        result = await run({"command": ["python3", "-c", code], "output": "json"})
        assert result.output == {"n": 3}

    async def test_arguments_are_templates_and_no_shell_reads_them(self) -> None:
        item = Item(id="i", inputs={"question": "$(touch /tmp/never); `id`"})
        result = await run({"command": ["echo", "{{ question }}"], "input": "none"}, item=item)
        assert result.output == "$(touch /tmp/never); `id`"

    async def test_a_failing_one_says_why(self) -> None:
        error = await fails({"command": ["sh", "-c", "echo broken >&2; exit 3"]})
        assert str(error) == "'sh' exited with 3: broken"

    async def test_a_hanging_one_is_killed_with_its_children(self) -> None:
        error = await fails({"command": ["sh", "-c", "sleep 60 & wait"], "timeout_s": 0.2})
        assert error.kind == "timeout"

    @pytest.mark.parametrize("command", [["yes"], ["sh", "-c", "yes >&2"]])
    async def test_one_that_prints_without_end_neither_hangs_the_run_nor_fills_the_memory(
        self, command: list[str]
    ) -> None:
        error = await asyncio.wait_for(fails({"command": command, "timeout_s": 0.3}), 30)
        assert error.kind in ("timeout", "bad_response")

    async def test_one_that_reads_nothing_of_a_large_input(self) -> None:
        item = Item(id="i", inputs={"question": "x" * 1_000_000})
        assert (await run({"command": ["echo", "done"]}, item=item)).output == "done"

    async def test_inputs_that_are_no_plain_json(self) -> None:
        item = Item(id="i", inputs={"n": 2**70, "text": "half \ud800"})
        result = await run({"command": ["cat"], "output": "text"}, item=item)
        assert json.loads(result.output) == item.inputs

    async def test_a_missing_program(self) -> None:
        assert "cannot start 'no-such-program'" in str(await fails({"command": ["no-such-program"]}))


@pytest.fixture
async def server() -> AsyncIterator[str]:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/slow":
            await asyncio.sleep(30)
        if request.path == "/error":
            return web.Response(status=int(request.query.get("status", "500")), text="key=s3cret was wrong")
        if request.path == "/moved":
            return web.Response(status=307, headers={"Location": request.query["to"]})
        if request.path == "/text":
            return web.Response(text="just text")
        body = await request.json() if request.can_read_body else dict(request.query)
        return web.json_response(
            {"seen": body, "auth": request.headers.get("Authorization"), "choices": [{"text": "four"}]}
        )

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    yield f"http://127.0.0.1:{port}"
    await runner.cleanup()


class TestHttp:
    async def test_all_inputs_by_default(self, server: str) -> None:
        result = await run({"http": {"url": server}})
        assert result.output["seen"] == {"question": "2+2", "lang": "en"}

    async def test_body_template_and_response_path(self, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MY_TOKEN", "s3cret")
        http = {
            "url": server,
            "headers": {"Authorization": "Bearer ${MY_TOKEN}"},
            "body": {"text": "Q: {{ question }}", "n": 3, "list": ["{{ lang }}"]},
            "response": "choices.0.text",
        }
        assert (await run({"http": http})).output == "four"
        whole = await run({"http": {**http, "response": None}})
        assert whole.output["seen"] == {"text": "Q: 2+2", "n": 3, "list": ["en"]}
        assert whole.output["auth"] == "Bearer s3cret"

    async def test_a_lone_variable_keeps_its_type(self, server: str) -> None:
        item = Item(id="i", inputs={"rows": [1, {"a": 2}]})
        result = await run({"http": {"url": server, "body": {"rows": "{{ rows }}"}}}, item=item)
        assert result.output["seen"] == {"rows": [1, {"a": 2}]}

    async def test_get_with_query(self, server: str) -> None:
        result = await run({"http": {"url": server, "method": "GET", "query": {"q": "{{ question }}"}}})
        assert result.output["seen"] == {"q": "2+2"}

    async def test_errors_have_a_class_and_no_secret(self, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MY_TOKEN", "s3cret")
        for status, kind, retryable in ((401, "auth", False), (429, "rate_limit", True), (503, "server", True)):
            url = f"{server}/error?status={status}&key=${{MY_TOKEN}}"
            error = await fails({"http": {"url": url}})
            assert (error.kind, error.retryable) == (kind, retryable)
            assert "s3cret" not in str(error)

    async def test_a_header_is_not_carried_to_where_the_endpoint_points(
        self, server: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MY_TOKEN", "s3cret")
        elsewhere = server.replace("127.0.0.1", "localhost")
        moved = f"{server}/moved?to={elsewhere}/x"
        error = await fails({"http": {"url": moved, "headers": {"x-api-key": "${MY_TOKEN}"}}})
        assert f"HTTP 307: the endpoint moved to '{elsewhere}/x'" in str(error)
        assert "fix: write that address as `url`" in str(error)
        assert (await run({"http": {"url": moved}})).output["seen"] == {"question": "2+2", "lang": "en"}

    async def test_no_such_path_says_what_is_there(self, server: str) -> None:
        error = await fails({"http": {"url": server, "response": "choices.0.content"}})
        assert "no 'content' on the way along 'choices.0.content'; there is 'text'" in str(error)

    async def test_text_where_json_was_asked_for(self, server: str) -> None:
        assert (await run({"http": {"url": f"{server}/text"}})).output == "just text"
        assert "is not JSON" in str(await fails({"http": {"url": f"{server}/text", "response": "a"}}))

    async def test_timeouts_and_refused_connections(self, server: str) -> None:
        assert (await fails({"http": {"url": f"{server}/slow", "timeout_s": 0.1}})).kind == "timeout"
        assert (await fails({"http": {"url": "http://127.0.0.1:9"}})).kind == "connection"

    async def test_a_missing_variable_is_said_before_the_first_call(self) -> None:
        with pytest.raises(SpecError, match="needs the environment variable NO_SUCH_TOKEN"):
            await run({"http": {"url": "http://x", "headers": {"A": "${NO_SUCH_TOKEN}"}}})


def test_specs_are_plain_data() -> None:
    spec = TargetSpec.model_validate({"command": ["a"]})
    assert TargetSpec.model_validate_json(json.dumps(spec.model_dump(mode="json"))) == spec
