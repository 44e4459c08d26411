"""LiteLLM is imported late, silently, offline, and brings nothing that runs by itself."""

from __future__ import annotations

import asyncio
import importlib.metadata
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest

from bakeoff.errors import ProviderError
from bakeoff.gateway import GatewaySpec, LimitsSpec, ModelRequest
from bakeoff.gateway._providers import find_key, is_local, missing_env, required_env, split_model
from bakeoff.gateway._transport import open_transport

IMPORT_OFFLINE = """
import os, socket, sys
os.chdir(sys.argv[1])
def refuse(*arguments, **names):
    raise AssertionError(f"network: {arguments!r}")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from bakeoff.gateway._litellm import bundled_file, litellm_version, load_litellm
bundled_file("model_prices_and_context_window_backup.json"), litellm_version()
assert "litellm" not in sys.modules
module = load_litellm()
assert module is load_litellm()
assert os.environ.get("PLANTED") is None, "a .env of the working directory was read"
import logging
for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy"):
    assert not logging.getLogger(name).handlers
    logging.getLogger(name).warning("must not appear")
assert module.num_retries == 0 and module.suppress_debug_info
print(module.completion_cost(model="gpt-4o-mini", prompt="x", completion="y") > 0)
"""


def test_the_import_is_offline_and_silent(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PLANTED=1\n", encoding="utf-8")
    command = [sys.executable, "-W", "default", "-c", IMPORT_OFFLINE, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "True"), done.stderr
    assert "LiteLLM" not in done.stderr


def test_the_wheel_brings_nothing_that_runs_at_start() -> None:
    # 1.82.8 was malware that ran from a `.pth` file at every start of the interpreter.
    files = importlib.metadata.files("litellm")
    assert files is not None
    assert not [file for file in files if str(file).endswith(".pth")]
    assert len(files) > 1_000


def test_the_version_is_pinned_exactly() -> None:
    import tomllib

    with (Path(__file__).parents[2] / "pyproject.toml").open("rb") as file:
        dependencies = tomllib.load(file)["project"]["dependencies"]
    assert f"litellm=={importlib.metadata.version('litellm')}" in dependencies


def test_no_plain_openai_call_imports_litellm() -> None:
    code = (
        "import asyncio, sys\n"
        "from bakeoff.errors import ProviderError\n"
        "from bakeoff.gateway import GatewaySpec, LimitsSpec, ModelRequest\n"
        "from bakeoff.gateway._transport import open_transport\n"
        "async def main():\n"
        "    transport = open_transport(GatewaySpec(), LimitsSpec(), env={'OPENAI_API_KEY': 'k-0123456789'})\n"
        "    transport.prewarm(['openai/gpt-4o-mini', 'sim/small'])\n"
        "    try:\n"
        "        await transport.send(ModelRequest(model='openai/gpt-4o-mini', api_base='http://127.0.0.1:9/v1',\n"
        "            messages=[{'role': 'user', 'content': 'hi'}], params={'temperature': 0}))\n"
        "    except ProviderError as error:\n"
        "        print(error.kind)\n"
        "    await transport.aclose()\n"
        "asyncio.run(main())\n"
        "print([name for name in ('litellm', 'openai', 'httpx', 'tiktoken') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["connection", "[]"], done.stderr


async def test_both_routes_answer_for_a_simulated_model() -> None:
    messages = [{"role": "user", "content": "Which? Answer with one of: billing, login"}]
    context = {"item_id": "3", "expected": "billing", "choices": ["billing", "login"]}
    params = {"sim": {"latency_ms": 0}}
    for stream in (False, True):
        request = ModelRequest(model="sim/large", messages=messages, params=params, sim_context=context, stream=stream)
        answers = []
        for route in ("auto", "litellm"):
            transport = open_transport(GatewaySpec(route=route), LimitsSpec(), env={})
            answers.append(await transport.send(request))
            await transport.aclose()
        one, other = answers
        assert (one.text, one.model, one.finish_reason) == (other.text, other.model, other.finish_reason)
        assert (one.usage.input_tokens, one.cost_usd) == (other.usage.input_tokens, other.cost_usd)
        assert (one.route, other.route) == ("sim", "litellm")


@pytest.mark.parametrize(
    ("model", "api_base", "needed"),
    [
        ("openai/gpt-5-mini", None, ["OPENAI_API_KEY"]),
        ("gpt-5-mini", None, ["OPENAI_API_KEY"]),
        ("openai/mine", "http://localhost:8000/v1", []),
        ("openai/mine", "https://proxy.example.com/v1", ["OPENAI_API_KEY"]),
        ("azure/dep", None, ["AZURE_API_KEY", "AZURE_API_BASE", "AZURE_API_VERSION"]),
        ("azure/dep", "https://x.openai.azure.com", ["AZURE_API_KEY", "AZURE_API_VERSION"]),
        ("hosted_vllm/m", None, ["HOSTED_VLLM_API_BASE"]),
        ("hosted_vllm/m", "http://gpu:8000/v1", []),
        ("bedrock/anthropic.claude", None, ["AWS_ACCESS_KEY_ID"]),
        ("ollama/llama3", None, []),
        ("sim/small", None, []),
    ],
)
def test_the_variables_that_a_model_needs(model: str, api_base: str | None, needed: list[str]) -> None:
    assert required_env(model, api_base=api_base) == needed
    assert missing_env(model, dict.fromkeys(needed, "x"), api_base=api_base) == []
    assert missing_env(model, {}, api_base=api_base) == needed


@pytest.mark.parametrize("route", ["direct", "litellm"])
async def test_a_key_that_is_not_set_is_named_before_any_call(route: Literal["direct", "litellm"]) -> None:
    for model, variable in (
        ("openai/gpt-4o-mini", "OPENAI_API_KEY"),
        ("anthropic/claude-sonnet-4-5", "ANTHROPIC_API_KEY"),
    ):
        transport = open_transport(GatewaySpec(route=route), LimitsSpec(), env={})
        with pytest.raises(ProviderError, match=f"was not called: {variable} is not set") as caught:
            await transport.send(ModelRequest(model=model, messages=[{"role": "user", "content": "hi"}]))
        assert (caught.value.kind, caught.value.retryable) == ("auth", False)
        await transport.aclose()


async def test_what_a_model_does_not_take_is_said_before_any_call() -> None:
    transport = open_transport(GatewaySpec(), LimitsSpec(), env={"OPENAI_API_KEY": "k-0123456789"})
    for model, params, said in (
        ("openai/gpt-5-mini", {"temperature": 0.3}, "doesn't support temperature=0.3"),
        ("no-such-provider/x", {}, "LLM Provider NOT provided"),
    ):
        asked = ModelRequest(model=model, messages=[{"role": "user", "content": "hi"}], params=params)
        with pytest.raises(ProviderError, match="was not called") as caught:
            await transport.send(asked)
        assert said in str(caught.value)
        assert caught.value.kind == "bad_request"
    await transport.aclose()


async def test_the_direct_route_refuses_what_it_cannot_do() -> None:
    transport = open_transport(GatewaySpec(route="direct"), LimitsSpec(), env={"OPENAI_API_KEY": "k-0123456789"})
    asked = ModelRequest(model="openai/gpt-5-pro", messages=[{"role": "user", "content": "hi"}])
    with pytest.raises(ProviderError, match=r"set gateway\.route to auto or litellm"):
        await transport.send(asked)
    await transport.aclose()


def test_a_key_of_another_name() -> None:
    assert required_env("openai/m", api_key_env="TEAM_KEY") == ["TEAM_KEY"]
    env = {"TEAM_KEY": "a", "OPENAI_API_KEY": "b"}
    assert find_key("openai/m", env, api_key_env="TEAM_KEY") == "a"
    assert find_key("openai/m", env) == "b"
    assert find_key("gemini/m", {"GOOGLE_API_KEY": "g"}) == "g"


def test_what_is_local() -> None:
    private = ["http://10.0.0.5:8000", "http://192.168.1.1", "http://vllm:8000/v1", "http://[::1]:1", "http://a.local"]
    assert all(is_local("openai/m", base) for base in private)
    assert not any(is_local("openai/m", base) for base in ["https://api.openai.com/v1", "http://8.8.8.8"])
    assert split_model("anthropic/claude/x") == ("anthropic", "claude/x")


def test_what_an_earlier_loop_left_in_litellm_does_not_keep_the_next_from_closing() -> None:
    """A notebook, or a script with two `asyncio.run`: LiteLLM's worker is global and belongs to the first loop."""
    from litellm.litellm_core_utils.logging_worker import GLOBAL_LOGGING_WORKER

    from bakeoff.gateway._litellm import close_litellm

    async def leave_a_task() -> None:
        GLOBAL_LOGGING_WORKER.start()
        await asyncio.sleep(0)

    for _ in range(2):
        asyncio.run(leave_a_task())
        asyncio.run(close_litellm())
