"""An HTTP client that LiteLLM's handlers accept, on our own session: one POST, no retry, our errors."""

from __future__ import annotations

from contextlib import aclosing
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import orjson

from bakeoff.errors import ProviderError
from bakeoff.gateway._http import Call
from bakeoff.gateway._litellm import litellm_module

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping

    from bakeoff.gateway._http import HttpSession

__all__ = ["NotServedError", "Post", "PostFailed"]

_GEMINI_END = b'"finishReason"'
_UNPACKED = frozenset({"content-encoding", "content-length", "transfer-encoding"})


class NotServedError(Exception):
    """LiteLLM does not serve this call through a handler that takes an HTTP client."""


class PostFailed(BaseException):
    """Carries our error out through a handler of LiteLLM."""

    def __init__(self, error: Exception) -> None:
        self.error = error


class Post:
    """The HTTP side of one call through a handler.

    Attributes:
        call: What was sent and came back; None before.
        body_start: The first characters of the answer, for messages.
        unfinished: A Gemini stream without its end: LiteLLM reads "stop" into every piece of one.
    """

    def __init__(self, http: HttpSession, model: str) -> None:
        self.call: Call | None = None
        self.body_start = ""
        self.unfinished = model.startswith(("gemini/", "vertex_ai/"))
        self._http = http
        self._model = model
        self._tail = b""
        self._open: AsyncGenerator[bytes] | None = None

    @property
    def status(self) -> int | None:
        """HTTP status of the answer, when there was one."""
        return None if self.call is None else self.call.status

    def client(self) -> Any:
        """Return the client to hand to a handler."""
        return _client_class()(self)

    async def whole(self, call: Call) -> bytes:
        """Post and return the body."""
        self.call = call
        try:
            body = await self._http.post(call)
        except ProviderError as error:
            raise PostFailed(error) from None
        self.body_start = body[:400].decode("utf-8", "replace")
        return body

    async def pieces(self, call: Call) -> AsyncGenerator[bytes]:
        """Post and yield the body as it comes."""
        self.call = call
        try:
            async with aclosing(self._http.stream(call)) as pieces:
                async for piece in pieces:
                    self._watch(piece)
                    yield piece
        except ProviderError as error:
            raise PostFailed(error) from None

    def open_stream(self, call: Call) -> AsyncGenerator[bytes]:
        """Return `pieces`, and remember it for `aclose`."""
        self._open = self.pieces(call)
        return self._open

    async def aclose(self) -> None:
        """End a stream that nobody reads to its end, so that its connection is freed."""
        if self._open is not None:
            await self._open.aclose()

    def prepare(
        self, url: str, body: object, headers: Mapping[str, str] | None, params: Mapping[str, str] | None
    ) -> Call:
        """Put together what LiteLLM asks to post."""
        import httpx

        if isinstance(body, str):
            payload = body.encode()
        elif isinstance(body, (bytes, bytearray)):
            payload = bytes(body)
        else:
            payload = orjson.dumps(body, default=str)
        target = str(httpx.URL(url, params=dict(params))) if params else url
        sent = {"Content-Type": "application/json", **{name: str(value) for name, value in (headers or {}).items()}}
        return Call(self._model, target, merged_headers(sent), payload)

    def _watch(self, piece: bytes) -> None:
        if self.unfinished:
            self._tail += piece
            self.unfinished = _GEMINI_END not in self._tail
            self._tail = self._tail[-len(_GEMINI_END) :]  # a boundary may cut the mark in two


def merged_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Keep one header of each name, whatever its case; the last wins.

    Examples:
        >>> merged_headers({"Accept": "a", "accept": "b"})
        {'accept': 'b'}
    """
    by_name = {name.lower(): (name, value) for name, value in headers.items()}
    return dict(by_name.values())


def _plain_headers(call: Call) -> list[tuple[str, str]]:
    # The body is already unpacked.
    return [(name, value) for name, value in (call.response_headers or {}).items() if name.lower() not in _UNPACKED]


@cache
def _client_class() -> Callable[[Post], Any]:
    base: Any = litellm_module("llms.custom_httpx.http_handler").AsyncHTTPHandler

    class Client(base):
        def __init__(self, post: Post) -> None:
            self._post = post
            self.timeout: object = None
            self.event_hooks: object = None

        def __del__(self) -> None:
            """Do nothing: the session is closed by its owner."""

        async def post(
            self,
            url: str,
            data: Any = None,
            json: Any = None,
            params: Mapping[str, str] | None = None,
            headers: Mapping[str, str] | None = None,
            timeout: object = None,  # noqa: ASYNC109
            stream: bool = False,
            logging_obj: object = None,
            files: object = None,
            content: Any = None,
        ) -> Any:
            if files is not None:
                raise PostFailed(NotServedError())
            body = next((one for one in (content, data, json) if one is not None), b"")
            call = self._post.prepare(url, body, headers, params)
            return await (_streamed(self._post, call) if stream else _whole(self._post, call))

    return Client


@lru_cache(maxsize=64)
def _request_to(url: str) -> Any:
    import httpx

    return httpx.Request("POST", url)


async def _whole(post: Post, call: Call) -> Any:
    import httpx

    body = await post.whole(call)
    return httpx.Response(call.status or 200, headers=_plain_headers(call), content=body, request=_request_to(call.url))


async def _streamed(post: Post, call: Call) -> Any:
    import httpx

    pieces = post.open_stream(call)
    first = await anext(pieces, b"")  # waits for the status
    stream = _body_class()(first, pieces)
    return httpx.Response(
        call.status or 200, headers=_plain_headers(call), stream=stream, request=_request_to(call.url)
    )


@cache
def _body_class() -> Callable[[bytes, AsyncGenerator[bytes]], Any]:
    import httpx

    base: Any = httpx.AsyncByteStream

    class Body(base):
        def __init__(self, first: bytes, rest: AsyncGenerator[bytes]) -> None:
            self._first = first
            self._rest = rest

        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield self._first
            async for piece in self._rest:
                yield piece

        async def aclose(self) -> None:
            await self._rest.aclose()

    return Body
