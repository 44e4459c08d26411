"""The door of one evaluation to models: whatever a library asks goes through the gateway of the run."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from typing_extensions import override

from bakeoff.errors import BakeoffError
from bakeoff.evaluators._protocol import CannotScoreError
from bakeoff.gateway import ModelRequest

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping, Sequence

    from bakeoff.gateway import Embeddings, ModelClient, ModelResponse, Moderation

__all__ = ["MODEL", "Door", "DoorError", "Models"]

MODEL = "bakeoff"
"""What the libraries are told that the model is called; the door puts the real one in its place."""
_NOT_SENT = frozenset({"model", "messages", "n", "stream", "stream_options", "store", "user"})
_T = TypeVar("_T")


class DoorError(Exception):
    """Tells a library that its call did not come about; the door keeps the true reason."""


@runtime_checkable
class _Whole(Protocol):
    """A client that embeds and moderates, as the gateway does."""

    async def embed(self, texts: Sequence[str], *, model: str, **options: Any) -> Embeddings: ...

    async def moderate(self, text: str, *, model: str, **options: Any) -> Moderation: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """Which models stand behind the door."""

    model: str | None = None
    embedding_model: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    """Parameters that go over those of the library; `None` takes one away."""
    api_base: str | None = None
    api_key_env: str | None = None
    version: str = ""


class Door:
    """Passes calls on to the gateway, on the gateway's event loop, and remembers what they cost and what failed.

    After the first failure every further call fails at once: the gateway has done its retries already, and a library
    that swallows the failure must not go on to a made-up score.

    Args:
        client: The gateway of the run; without one every call is refused.
        models: Which models stand behind the door.
        variant: For budgets per variant.
        who: The evaluator, for messages.
    """

    def __init__(self, client: ModelClient | None, models: Models, *, variant: str = "", who: str = "") -> None:
        self._client = client
        self._models = models
        self._variant = variant
        self._who = who
        self._asked: Counter[str] = Counter()
        self._priced = True
        self._cost = 0.0
        self._closed = False
        self._loop = asyncio.get_running_loop() if client is not None else None
        self.calls = 0
        self.answered_by: str | None = None
        self.failure: BakeoffError | None = None

    @property
    def cost_usd(self) -> float | None:
        """What the calls cost, in USD; `None` without calls, or when a price is not known."""
        return self._cost if self.calls and self._priced else None

    def close(self) -> None:
        """Refuse what may still come, for instance from a thread that cannot be stopped."""
        self._closed = True

    async def ask(self, messages: Sequence[Mapping[str, Any]], params: Mapping[str, Any]) -> ModelResponse:
        """Make one chat call, from any event loop.

        Raises:
            DoorError: It failed, or may not be made; `failure` holds the reason.
        """
        models = self._models
        if models.model is None:
            raise self._refuse("asks a model; name it with `model`, for instance `model: openai/gpt-5-mini`")
        merged = {**{key: value for key, value in params.items() if key not in _NOT_SENT}, **models.params}
        sent = {key: value for key, value in merged.items() if value is not None}
        # The same question asked twice within one evaluation wants two samples, not one cached answer.
        key = json.dumps([messages, sent], sort_keys=True, default=str)
        repeat = self._asked[key]
        self._asked[key] += 1
        request = ModelRequest(
            model=models.model,
            messages=[dict(message) for message in messages],
            params=sent,
            repeat=repeat,
            api_base=models.api_base,
            api_key_env=models.api_key_env,
            prompt_version=models.version,
            purpose="judge",
            variant=self._variant,
        )
        client = self._open()
        response = await self._across(client.complete(request))
        self.answered_by = response.model
        self._paid(response.cost_usd)
        return response

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Embed texts, from any event loop.

        Raises:
            DoorError: It failed, or may not be done; `failure` holds the reason.
        """
        if self._models.embedding_model is None:
            raise self._refuse(
                "embeds texts; name a model with `embedding_model`, for instance `openai/text-embedding-3-small`"
            )
        found = await self._across(self._whole().embed(texts, model=self._models.embedding_model, **self._options()))
        self._paid(found.cost_usd)
        return found

    async def moderate(self, text: str) -> Moderation:
        """Moderate a text, from any event loop.

        Raises:
            DoorError: It failed, or may not be done; `failure` holds the reason.
        """
        model = self._models.model or "openai/omni-moderation-latest"
        found = await self._across(self._whole().moderate(text, model=model, **self._options()))
        self._paid(found.cost_usd)
        return found

    def ask_and_wait(self, messages: Sequence[Mapping[str, Any]], params: Mapping[str, Any]) -> ModelResponse:
        """Make one chat call from a thread that is not the gateway's.

        Raises:
            DoorError: It failed, or may not be made; `failure` holds the reason.
        """
        if self._loop is None:
            raise self._refuse("asks a model, but no model client was given")
        return asyncio.run_coroutine_threadsafe(self.ask(messages, params), self._loop).result()

    def _options(self) -> dict[str, Any]:
        models = self._models
        return {"api_base": models.api_base, "api_key_env": models.api_key_env, "variant": self._variant}

    def _open(self) -> ModelClient:
        if self.failure is not None:
            raise DoorError(str(self.failure))
        if self._closed:
            raise self._refuse("asked a model after its time was up")
        if self._client is None:
            raise self._refuse("asks a model, but no model client was given")
        return self._client

    def _whole(self) -> _Whole:
        client = self._open()
        if not isinstance(client, _Whole):
            raise self._refuse("needs a client that embeds and moderates, and none was given")
        return client

    def _refuse(self, why: str) -> DoorError:
        if self.failure is None:
            self.failure = CannotScoreError(f"{self._who} {why}")
        return DoorError(str(self.failure))

    async def _across(self, work: Coroutine[Any, Any, _T]) -> _T:
        assert self._loop is not None
        try:
            if asyncio.get_running_loop() is self._loop:
                return await work
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))
        except BakeoffError as error:
            if self.failure is None:
                self.failure = error
            raise DoorError(str(error)) from error

    def _paid(self, cost_usd: float | None) -> None:
        self.calls += 1
        if cost_usd is None:
            self._priced = False
        else:
            self._cost += cost_usd

    def openai(self) -> Any:
        """Give an `openai.AsyncOpenAI` whose every request goes through this door; close it after use."""
        import httpx
        import openai

        # `.invalid` never resolves: a request that went past the transport would reach nobody.
        http = httpx.AsyncClient(transport=_transport_class()(self), trust_env=False)
        return openai.AsyncOpenAI(
            api_key="none", base_url="http://gateway.invalid/v1", max_retries=0, timeout=None, http_client=http
        )

    async def answer(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer a request of the OpenAI protocol.

        Raises:
            DoorError: The call failed, or the protocol has more than the door passes on.
        """
        if path.endswith("/chat/completions"):
            return await self._chat(body)
        if path.endswith("/embeddings"):
            texts = [body["input"]] if isinstance(body["input"], str) else list(body["input"])
            found = await self.embed(texts)
            rows = [
                {"object": "embedding", "index": index, "embedding": vector.tolist()}
                for index, vector in enumerate(found.vectors)
            ]
            usage = {"prompt_tokens": found.usage.input_tokens, "total_tokens": found.usage.input_tokens}
            return {"object": "list", "data": rows, "model": found.model, "usage": usage}
        if path.endswith("/moderations"):
            said = [await self.moderate(text) for text in _texts(body["input"])]
            results = [
                {"flagged": one.flagged, "categories": dict(one.categories), "category_scores": dict(one.scores)}
                for one in said
            ]
            return {"id": MODEL, "model": said[0].model, "results": results}
        raise self._refuse(f"asked for {path!r}, which does not go through the gateway")

    async def _chat(self, body: Mapping[str, Any]) -> dict[str, Any]:
        if body.get("stream"):
            raise self._refuse("asked for a stream, which the gateway gives to no judge")
        wanted = max(int(body.get("n") or 1), 1)
        answers = [await self.ask(body["messages"], body) for _ in range(wanted)]
        inputs = sum(one.usage.input_tokens for one in answers)
        outputs = sum(one.usage.output_tokens for one in answers)
        usage = {"prompt_tokens": inputs, "completion_tokens": outputs, "total_tokens": inputs + outputs}
        choices = [_choice(index, one) for index, one in enumerate(answers)]
        shared = {"id": MODEL, "object": "chat.completion", "created": 0, "model": answers[0].model}
        return {**shared, "choices": choices, "usage": usage}


def _texts(given: Any) -> list[str]:
    return [given] if isinstance(given, str) else [str(one) for one in given]


def _choice(index: int, response: ModelResponse) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": response.text}
    if response.tool_calls:
        message["tool_calls"] = [dict(call) for call in response.tool_calls]
        message["content"] = response.text or None
    finish = response.finish_reason or ("tool_calls" if response.tool_calls else "stop")
    choice: dict[str, Any] = {"index": index, "message": message, "finish_reason": finish}
    if response.logprobs is not None:
        choice["logprobs"] = {"content": [dict(entry) for entry in response.logprobs]}
    return choice


@cache
def _transport_class() -> Any:
    import httpx

    class DoorTransport(httpx.AsyncBaseTransport):
        """Hands each request to the door instead of a socket."""

        def __init__(self, door: Door) -> None:
            self._door = door

        @override
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            body = json.loads(await request.aread() or b"{}")
            return httpx.Response(200, json=await self._door.answer(request.url.path, body), request=request)

    return DoorTransport
