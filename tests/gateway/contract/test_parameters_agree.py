"""Any parameters, any plain talk: what goes out without LiteLLM is what LiteLLM would have sent.

LiteLLM builds the request with a client of ours that sends nothing; that body is the oracle.
"""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bakeoff.errors import ProviderError
from bakeoff.gateway import LimitsSpec, ModelRequest
from bakeoff.gateway._errors import Secrets
from bakeoff.gateway._http import Call, HttpSession
from bakeoff.gateway._litellm import load_litellm
from bakeoff.gateway._route_litellm import call_arguments
from bakeoff.gateway._wire_litellm import run_handler, take_handover
from bakeoff.gateway._wire_openai import is_plain, openai_plan

pytestmark = [
    pytest.mark.filterwarnings("ignore:Accessing the 'model_.*' attribute on the instance is deprecated"),
    pytest.mark.filterwarnings("ignore:Items? .* on TypedDict class .* using the `ReadOnly` qualifier"),
]
ENV = {f"{name}_API_KEY": f"k-{name}-0123456789" for name in ("OPENAI", "MISTRAL", "GROQ", "OPENROUTER", "HOSTED_VLLM")}
MODELS = [
    "openai/gpt-4o-mini",
    "openai/gpt-4.1",
    "openai/my-own-model",
    "hosted_vllm/my-model",
    "groq/openai/gpt-oss-20b",
    "mistral/mistral-small-latest",
    "openrouter/openai/gpt-4o-mini",
    "openrouter/meta-llama/llama-3.1-8b-instruct",
]
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "d",
        "parameters": {"type": "object", "properties": {"c": {"type": "string"}}, "additionalProperties": False},
        "strict": True,
    },
}
SCHEMA = {"name": "s", "strict": True, "schema": {"type": "object", "properties": {}, "additionalProperties": False}}
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "temperature": st.sampled_from([0, 0.0, 0.2, 1, 2.0]),
    "top_p": st.sampled_from([0.1, 1, 1.0]),
    "max_tokens": st.sampled_from([1, 16, 4096]),
    "max_completion_tokens": st.sampled_from([1, 4096]),
    "stop": st.sampled_from(["END", ["a", "b"], ["a"]]),
    "seed": st.integers(0, 2**31),
    "n": st.integers(1, 3),
    "presence_penalty": st.sampled_from([-2, 0, 0.5]),
    "frequency_penalty": st.sampled_from([0, 1.5]),
    "logit_bias": st.sampled_from([{"50256": -100}]),
    "logprobs": st.booleans(),
    "top_logprobs": st.integers(0, 5),
    "user": st.sampled_from(["u-1"]),
    "tools": st.just([TOOL]),
    "tool_choice": st.sampled_from(["auto", "none", "required", {"type": "function", "function": {"name": "weather"}}]),
    "parallel_tool_calls": st.booleans(),
    "response_format": st.sampled_from([{"type": "json_object"}, {"type": "json_schema", "json_schema": SCHEMA}]),
    "reasoning_effort": st.sampled_from(["low", "high"]),
    "top_k": st.integers(1, 50),
    "service_tier": st.sampled_from(["auto", "flex"]),
}
PARAMS = st.lists(st.sampled_from(sorted(VALUES)), unique=True, max_size=5).flatmap(
    lambda names: st.fixed_dictionaries({name: VALUES[name] for name in names})
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["system", "user", "assistant"]),
            "content": st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
        }
    ),
    min_size=1,
    max_size=4,
)


class Sealed(HttpSession):
    """Keeps what it should post, and posts nothing."""

    call: Call | None = None

    async def post(self, call: Call) -> bytes:
        self.call = call
        raise ProviderError("sealed")

    async def stream(self, call: Call) -> Any:
        self.call = call
        raise ProviderError("sealed")
        yield b""


def by_litellm(request: ModelRequest) -> Call | None:
    """Return what LiteLLM would post, or None when it refuses the parameters."""
    arguments = call_arguments(request, env=ENV, timeout_s=5)
    if request.stream:
        arguments["stream"] = True
    try:
        handover = take_handover(arguments)
    except load_litellm().UnsupportedParamsError:
        return None
    sealed = Sealed(LimitsSpec(), secrets=Secrets({}))
    run = run_handler(handover, request, sealed, fresh=True, secrets=Secrets({}), timeout_s=5)
    with pytest.raises(ProviderError, match="sealed"):
        asyncio.run(run)
    return sealed.call


@pytest.mark.parametrize("model", MODELS)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(params=PARAMS, messages=MESSAGES, stream=st.booleans())
def test_the_body_is_the_same(model: str, params: dict[str, Any], messages: list[dict[str, str]], stream: bool) -> None:
    base = "https://host.example/v1"
    request = ModelRequest(model=model, messages=messages, params=params, api_base=base, stream=stream)
    plan = openai_plan(request, ENV)
    if plan is None or not is_plain(messages):
        return  # LiteLLM does it
    theirs = by_litellm(request)
    if theirs is None:
        raise AssertionError(f"LiteLLM refuses {params!r}, which we would send")
    assert orjson.loads(plan.body(messages)) == orjson.loads(theirs.body)
    assert plan.url == theirs.url
    ignored = {"accept", "content-type", "user-agent"}
    ours = {name.lower(): value for name, value in plan.headers.items() if name.lower() not in ignored}
    assert ours == {name.lower(): value for name, value in theirs.headers.items() if name.lower() not in ignored}


@pytest.mark.parametrize("model", MODELS)
def test_the_usual_parameters_need_no_litellm(model: str) -> None:
    params = {"temperature": 0, "max_tokens": 20, "top_p": 0.9, "stop": ["END"]}
    request = ModelRequest(model=model, messages=[], params=params, api_base="http://127.0.0.1:1/v1")
    assert openai_plan(request, ENV) is not None
