"""One pooled HTTP session for every provider: keep-alive, hard time limits, no retry of its own."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from bakeoff.gateway._errors import bad_response, connection_error, from_status, timeout_error

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from bakeoff.gateway._config import LimitsSpec
    from bakeoff.gateway._errors import Secrets

__all__ = ["LARGEST_FILE", "Call", "HttpSession"]

_KEEP_ALIVE_S = 30.0
_DNS_CACHE_S = 300
_LARGEST_ERROR_BODY = 64 * 1024
LARGEST_ANSWER = 256 * 1024 * 1024
"""Two thousand embeddings of the widest model are half of it."""
LARGEST_FILE = 4 * 1024**3


@dataclass(slots=True)
class Call:
    """One request, mostly a POST: what is sent, and what came back of it so far."""

    model: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    started: float = 0.0
    status: int | None = None
    response_headers: Mapping[str, str] | None = None
    method: str = "POST"

    def lower_headers(self) -> dict[str, str]:
        """Return the headers of the answer, names in lower case."""
        return {name.lower(): value for name, value in (self.response_headers or {}).items()}


class HttpSession:
    """Posts JSON and returns bytes.

    The pool has no limit of its own: how many calls are in flight is the limiter's business, and a second
    queue behind it would count waiting as latency. Belongs to one event loop.

    Args:
        limits: Time limits.
        secrets: What must not appear in a message.
        most_bytes: Longest body, unpacked, that is read whole.
    """

    def __init__(self, limits: LimitsSpec, *, secrets: Secrets, most_bytes: int = LARGEST_ANSWER) -> None:
        self._most_bytes = most_bytes
        self._limits = limits
        self._secrets = secrets
        self._session: aiohttp.ClientSession | None = None
        self._proxies: dict[str, str | None] = {}
        self._ssl: ssl.SSLContext | None = None

    async def post(self, call: Call) -> bytes:
        """Post (or what else `call.method` says) and return the body of a successful answer.

        Raises:
            ProviderError: No connection, no answer in time, or an answer that is not a success.
        """
        call.started = time.perf_counter()
        try:
            async with self._request(call) as response:
                body = await self._whole(call, response)
                call.status, call.response_headers = response.status, response.headers
        except TimeoutError as error:
            raise self._timeout(call, error) from None
        except (aiohttp.ClientError, OSError) as error:
            raise connection_error(call.model, error, self._secrets, where=_origin(call.url)) from None
        if call.status != 200 and not 200 <= call.status < 300:
            raise self._refused(call, body)
        return body

    async def _whole(self, call: Call, response: aiohttp.ClientResponse) -> bytes:
        """Read a body, packed or not, up to the limit: a server gone mad must not fill the memory."""
        length = response.content_length
        if length is not None and length <= self._most_bytes and "Content-Encoding" not in response.headers:
            return await response.read()
        body = bytearray()
        async for piece in response.content.iter_any():
            body += piece
            if len(body) > self._most_bytes:
                response.close()
                what = f"more than {self._most_bytes:,} bytes, which begin with"
                raise bad_response(call.model, what, body[:400].decode("utf-8", "replace"), self._secrets)
        return bytes(body)

    async def stream(self, call: Call) -> AsyncGenerator[bytes]:
        """Post and yield the body of a successful answer piece by piece, as it comes.

        Raises:
            ProviderError: As `post`; also when the first piece is later than `first_token_timeout_s`.
        """
        call.started = time.perf_counter()
        first = self._limits.first_token_timeout_s
        deadline = asyncio.timeout(first)
        try:
            async with deadline, self._request(call) as response:
                call.status, call.response_headers = response.status, response.headers
                if not 200 <= response.status < 300:
                    raise self._refused(call, (await response.read())[:_LARGEST_ERROR_BODY])
                async for piece in response.content.iter_any():
                    deadline.reschedule(None)
                    yield piece
        except TimeoutError as error:
            if first is not None and deadline.expired():
                raise timeout_error(call.model, "first token", first) from None
            raise self._timeout(call, error) from None
        except (aiohttp.ClientError, OSError) as error:
            raise connection_error(call.model, error, self._secrets, where=_origin(call.url)) from None

    def _request(self, call: Call) -> aiohttp.client._RequestContextManager:
        session = self._open()
        scheme, _, rest = call.url.partition("://")
        return session.request(
            call.method,
            call.url,
            data=call.body or None,
            headers=call.headers,
            allow_redirects=False,  # a redirected POST would carry the key somewhere else
            proxy=self._proxy(scheme, rest.partition("/")[0]),
            ssl=self._context() if scheme == "https" else True,
        )

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            limits = self._limits
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=_DNS_CACHE_S, keepalive_timeout=_KEEP_ALIVE_S),
                timeout=aiohttp.ClientTimeout(
                    total=limits.timeout_s,
                    connect=None,
                    sock_connect=min(limits.connect_timeout_s, limits.timeout_s),
                    ceil_threshold=limits.timeout_s + 1,  # never round a limit up
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=True,
            )
        return self._session

    def _proxy(self, scheme: str, host: str) -> str | None:
        key = f"{scheme}://{host}"
        if key not in self._proxies:
            proxy = getproxies().get(scheme)
            self._proxies[key] = None if proxy is None or proxy_bypass(host.partition(":")[0]) else proxy
        return self._proxies[key]

    def _context(self) -> ssl.SSLContext:
        if self._ssl is None:
            authorities = os.environ.get("SSL_CERT_FILE")
            if authorities is None:
                import certifi

                authorities = certifi.where()
            self._ssl = ssl.create_default_context(cafile=authorities)
        return self._ssl

    def _timeout(self, call: Call, error: TimeoutError) -> Exception:
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            return timeout_error(call.model, "connection", self._limits.connect_timeout_s)
        return timeout_error(call.model, "complete answer", self._limits.timeout_s)

    def _refused(self, call: Call, body: bytes) -> Exception:
        headers = call.lower_headers()
        moved = headers.get("location", "") if 300 <= (call.status or 0) < 400 else ""
        return from_status(
            call.status or 0,
            f"it points to {_origin(moved)}" if "://" in moved else body.decode("utf-8", "replace"),
            model=call.model,
            headers=headers,
            secrets=self._secrets,
            hint="keys are not carried to another address: set `api_base` to the right one" if moved else "",
        )

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
