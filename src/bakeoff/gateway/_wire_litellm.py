"""Any provider on the wire through LiteLLM's own provider classes, with our HTTP session underneath.

LiteLLM's cost is its client wrapper (logging, callbacks, client look-up), not its provider knowledge. So
its `completion` is run once per variant up to the point where it hands over to a provider's handler:
those arguments are kept. Each call then runs the handler itself with new messages, an HTTP client of
ours and no logging. What goes over the wire, and how the answer is read, is therefore LiteLLM's code;
the contract test compares both routes byte for byte.
"""

from __future__ import annotations

import asyncio
import copy
import time
from contextvars import ContextVar
from functools import cache, wraps
from typing import TYPE_CHECKING, Any

import orjson

from bakeoff.errors import ProviderError
from bakeoff.gateway._answer import Draft, StreamDraft, UnreadableError, read_completion
from bakeoff.gateway._cohere import cohere_chunk
from bakeoff.gateway._errors import bad_response, from_litellm
from bakeoff.gateway._http import Call
from bakeoff.gateway._litellm import litellm_module, load_litellm
from bakeoff.gateway._litellm_client import NotServedError, Post, PostFailed, merged_headers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from bakeoff.gateway._errors import Secrets
    from bakeoff.gateway._http import HttpSession
    from bakeoff.gateway._types import ModelRequest

__all__ = ["Handover", "NotServedError", "run_handler", "take_handover"]

_HANDLERS = (
    "anthropic_chat_completions",
    "azure_chat_completions",
    "base_llm_http_handler",
    "openai_chat_completions",
    "vertex_chat_completion",
)
_SDK_HANDLERS = frozenset({"azure_chat_completions", "openai_chat_completions"})
_capturing: ContextVar[bool] = ContextVar("bakeoff_capturing", default=False)


class Handover:
    """What LiteLLM hands to a provider's handler for the calls of one variant."""

    __slots__ = ("arguments", "handler")

    def __init__(self, handler: str, arguments: dict[str, Any]) -> None:
        self.handler = handler
        self.arguments = arguments

    def keeps(self, messages: Sequence[Mapping[str, Any]]) -> bool:
        """Tell whether LiteLLM left the messages as they are before the handler."""
        return self.arguments["messages"] == [dict(message) for message in messages]


class _Captured(BaseException):
    """Carries the arguments out through LiteLLM's `except Exception`."""

    def __init__(self, handover: Handover) -> None:
        self.handover = handover


class _NoLogging:
    """Stands where LiteLLM expects its logging object, and does nothing."""

    dynamic_success_callbacks: tuple[object, ...] = ()
    dynamic_failure_callbacks: tuple[object, ...] = ()
    stream_options: object = None
    messages: object = None
    litellm_call_id = ""

    def __init__(self) -> None:
        self.model_call_details: dict[str, Any] = {}
        self.litellm_params: dict[str, Any] = {}
        self.optional_params: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("__"):
            raise AttributeError(name)
        return _nothing


def _nothing(*_: object, **__: object) -> None:
    return None


@cache
def _watch_handlers() -> None:
    """Let each handler of LiteLLM stop before it works while a handover is being taken in this context."""
    main = litellm_module("main")
    for name in _HANDLERS:
        handler = getattr(main, name)
        handler.completion = _watched(name, handler.completion)


def _watched(name: str, completion: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(completion)
    def stop_or_go(*positional: Any, **arguments: Any) -> Any:
        if _capturing.get() and not positional:
            raise _Captured(Handover(name, arguments))
        return completion(*positional, **arguments)

    return stop_or_go


def take_handover(arguments: Mapping[str, Any]) -> Handover:
    """Run LiteLLM's `completion` up to the provider's handler and return what it would hand over.

    Makes no call, except that LiteLLM asks an Ollama server about the model; costs 0.3 ms.

    Args:
        arguments: Of `litellm.acompletion`.

    Raises:
        NotServedError: The provider's handler is none of those that take an HTTP client.
        Exception: LiteLLM refuses the parameters; of its own classes.
    """
    litellm = load_litellm()
    _watch_handlers()
    token = _capturing.set(True)
    try:
        unexpected = litellm.completion(acompletion=True, litellm_logging_obj=_NoLogging(), **arguments)
    except _Captured as captured:
        return captured.handover
    finally:
        _capturing.reset(token)
    if asyncio.iscoroutine(unexpected):
        unexpected.close()
    raise NotServedError


async def run_handler(
    handover: Handover, request: ModelRequest, http: HttpSession, *, fresh: bool, secrets: Secrets, timeout_s: float
) -> tuple[Draft, Call, float | None]:
    """Make one call through a provider's handler.

    Args:
        handover: Taken for this variant, or for this very call.
        request: The call.
        http: Makes it.
        fresh: The handover was taken for this call; its messages are the ones to send.
        secrets: What must not appear in a message.
        timeout_s: Time limit, for messages.

    Returns:
        The answer, the call, and the moment of the first token on the performance counter (when streaming).

    Raises:
        ProviderError: The call failed.
        NotServedError: The handler does something else than to post JSON; nothing was sent.
    """
    arguments = dict(handover.arguments)
    if not fresh:
        arguments["messages"] = [dict(message) for message in request.messages]
        arguments["optional_params"] = copy.deepcopy(arguments["optional_params"])
    if handover.handler in _SDK_HANDLERS:
        return await _run_sdk(handover.handler, arguments, request, http, secrets)
    return await _run_client(handover.handler, arguments, request, http, secrets, timeout_s)


# --- Handlers that take an HTTP client ---------------------------------------------------------------------------


async def _run_client(
    name: str, arguments: dict[str, Any], request: ModelRequest, http: HttpSession, secrets: Secrets, timeout_s: float
) -> tuple[Draft, Call, float | None]:
    litellm = load_litellm()
    post = Post(http, request.model)
    headers = arguments.get("headers")
    arguments.update(
        client=post.client(),
        logging_obj=_NoLogging(),
        model_response=litellm.ModelResponse(),
        headers=None if headers is None else dict(headers),
        litellm_params=dict(arguments["litellm_params"]),
    )
    if name == "vertex_chat_completion":
        del arguments["headers"]
        arguments["extra_headers"] = dict(arguments["extra_headers"] or {})
    completion = getattr(litellm_module("main"), name).completion.__wrapped__
    first: float | None = None
    try:
        answer = completion(**arguments)
        if asyncio.iscoroutine(answer):
            answer = await answer
        if request.stream:
            draft, first = await _collect(answer, post, request, secrets)
        else:
            draft = read_completion(answer.model_dump())
    except PostFailed as failed:
        raise failed.error from None
    except ProviderError:
        raise
    except UnreadableError as error:
        raise bad_response(request.model, str(error), post.body_start, secrets, status=post.status) from None
    except Exception as error:  # noqa: BLE001 - provider classes raise classes of many libraries
        raise _translated(error, post, request, secrets, timeout_s) from None
    finally:
        await post.aclose()
    # A handler that asked by other means has been paid all the same: its answer counts.
    return draft, post.call or Call(request.model, "", {}, b""), first


def _translated(
    error: Exception, post: Post, request: ModelRequest, secrets: Secrets, timeout_s: float
) -> ProviderError:
    found = from_litellm(error, model=request.model, secrets=secrets, timeout_s=timeout_s)
    if post.status is not None and 200 <= post.status < 300 and found.kind not in {"content_filter", "rate_limit"}:
        # The provider answered well, and its own class could not read it.
        status = getattr(error, "status_code", None)
        if not (isinstance(status, int) and 400 <= status < 500 and "error" in post.body_start.lower()):
            return bad_response(request.model, "a body that cannot be read", post.body_start, secrets)
    return found


async def _cohere_chunks(lines: AsyncIterator[str]) -> AsyncIterator[dict[str, Any]]:
    async for line in lines:
        if line.startswith("data:") and (data := line[5:].strip()) != "[DONE]":
            yield cohere_chunk(orjson.loads(data))


async def _collect(
    wrapper: Any,
    post: Post,
    request: ModelRequest,
    secrets: Secrets,
) -> tuple[Draft, float | None]:
    """Read a stream below LiteLLM's wrapper, which costs more than the provider's own parser."""
    source = wrapper.completion_stream
    if source is None:
        source = await wrapper.make_call(client=post.client())
    if request.model.startswith("cohere"):
        source = _cohere_chunks(source.streaming_response)
    stream = StreamDraft()
    first: float | None = None
    async for chunk in source:
        if stream.add(_as_chunk(chunk)) and first is None:
            first = time.perf_counter()
    if not stream.complete or post.unfinished:
        raise bad_response(request.model, "a stream that ended before its end", stream.draft().text, secrets)
    return stream.draft(), first


def _as_chunk(chunk: Any) -> dict[str, Any]:
    if chunk is None:
        return {}
    if not isinstance(chunk, dict):
        return chunk.model_dump()
    if "choices" in chunk:
        return chunk
    # LiteLLM's older, flat form of a chunk.
    delta: dict[str, Any] = {"content": chunk.get("text") or ""}
    if chunk.get("tool_use"):
        delta["tool_calls"] = [chunk["tool_use"]]
    usage = chunk.get("usage")
    return {
        "choices": [
            {"delta": delta, "finish_reason": chunk.get("finish_reason") if chunk.get("is_finished") else None}
        ],
        "usage": usage if isinstance(usage, dict) or usage is None else usage.model_dump(),
    }


# --- Handlers that are a vendor's SDK ----------------------------------------------------------------------------


async def _run_sdk(
    name: str, arguments: dict[str, Any], request: ModelRequest, http: HttpSession, secrets: Secrets
) -> tuple[Draft, Call, float | None]:
    """Build what the OpenAI SDK would send, from what LiteLLM would give to it."""
    from bakeoff.gateway._route_openai import call_openai

    url, headers, body = _azure(arguments) if name == "azure_chat_completions" else _openai(arguments)
    if request.stream:
        body["stream"] = True
    call = Call(request.model, url, merged_headers(headers), orjson.dumps(body, default=str))
    draft, first = await call_openai(call, http, secrets=secrets, stream=request.stream)
    return draft, call, first


def _openai(arguments: dict[str, Any]) -> tuple[str, dict[str, str], dict[str, Any]]:
    litellm = load_litellm()
    provider = arguments.get("custom_llm_provider")
    manager = litellm_module("utils").ProviderConfigManager
    try:
        config = manager.get_provider_chat_config(model=arguments["model"], provider=litellm.LlmProviders(provider))
    except ValueError:
        config = None
    config = config or litellm.OpenAIConfig()
    if config.should_fake_stream(
        model=arguments["model"], custom_llm_provider=provider, stream=arguments["optional_params"].get("stream")
    ):
        raise NotServedError
    body, extra_headers = _split_body(config, arguments)
    headers = {"Authorization": f"Bearer {arguments['api_key']}"}
    if arguments.get("organization"):
        headers["OpenAI-Organization"] = arguments["organization"]
    return f"{str(arguments['api_base']).rstrip('/')}/chat/completions", {**_JSON, **headers, **extra_headers}, body


def _azure(arguments: dict[str, Any]) -> tuple[str, dict[str, str], dict[str, Any]]:
    litellm = load_litellm()
    base, key, version = arguments["api_base"], arguments["api_key"], arguments["api_version"]
    if not base or not key or not version or version in {"v1", "latest", "preview"} or "cloudflare" in base:
        raise NotServedError
    model = arguments["litellm_params"].get("base_model") or arguments["model"]
    is_new = litellm.AzureOpenAIGPT5Config.is_model_gpt_5_model(model=model)
    body, extra_headers = _split_body(
        litellm.AzureOpenAIGPT5Config() if is_new else litellm.AzureOpenAIConfig(), arguments
    )
    base = str(base).rstrip("/")
    if "/openai/deployments" in base:
        raise NotServedError
    url = f"{base}/openai/deployments/{arguments['model']}/chat/completions?api-version={version}"
    return url, {**_JSON, "api-key": key, **extra_headers}, body


_JSON = {"Content-Type": "application/json", "Accept": "application/json"}


def _split_body(config: Any, arguments: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    params = dict(arguments["optional_params"])
    if params.pop("json_mode", False):
        raise NotServedError
    params.pop("max_retries", None)
    params.pop("stream", None)
    stream_options = params.pop("stream_options", None)
    headers = arguments.get("headers")
    body = dict(
        config.transform_request(
            model=arguments["model"],
            messages=arguments["messages"],
            optional_params=params,
            litellm_params=arguments["litellm_params"],
            headers=headers or {},
        )
    )
    extra_headers = {**(headers or {}), **(body.pop("extra_headers", None) or {})}
    body.update(body.pop("extra_body", None) or {})
    if stream_options is not None:
        body["stream_options"] = stream_options
    return body, {str(name): str(value) for name, value in extra_headers.items()}
