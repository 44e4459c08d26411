"""One answer for identical calls: from the cache, or from the one that is already on its way."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from bakeoff.errors import ProviderError
from bakeoff.gateway._cache_key import cache_key

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bakeoff.gateway._cache import ResponseCache
    from bakeoff.gateway._counts import Counts
    from bakeoff.gateway._types import ModelRequest, ModelResponse

__all__ = ["Once"]


class Once:
    """Makes each different call once.

    Args:
        answer: Makes a call.
        cache: Where answers are kept; `None` keeps nothing.
        refresh: Ask again for what the cache holds, and overwrite it.
        counts: Where answers that cost nothing are counted.
        keep: Says whether an answer may be kept; all may when omitted.
    """

    def __init__(
        self,
        answer: Callable[[ModelRequest], Awaitable[ModelResponse]],
        cache: ResponseCache | None,
        *,
        refresh: bool,
        counts: Counts,
        keep: Callable[[ModelRequest, ModelResponse], bool] | None = None,
    ) -> None:
        self._answer = answer
        self._cache = cache
        self._refresh = refresh
        self._counts = counts
        self._keep = keep
        self._flights: dict[bytes, list[asyncio.Future[ModelResponse | None]]] = {}

    async def answer(self, request: ModelRequest) -> ModelResponse:
        """Answer from the cache, with an identical call in flight, or by a call of its own."""
        key = cache_key(request)
        if key is None:
            return await self._answer(request)
        cache = self._cache
        if cache is not None and not self._refresh and not request.fresh:
            hit = cache.get(key)
            if hit is not None:
                self._counts.cached += 1
                return hit
        while (followers := self._flights.get(key)) is not None:
            future: asyncio.Future[ModelResponse | None] = asyncio.get_running_loop().create_future()
            followers.append(future)
            joined = await future
            if joined is not None:
                self._counts.shared += 1
                return replace(joined, cached=True, route="cache")
        return await self._lead(request, key)

    async def _lead(self, request: ModelRequest, key: bytes) -> ModelResponse:
        """Make the call on behalf of identical ones that arrive meanwhile."""
        followers: list[asyncio.Future[ModelResponse | None]] = []
        self._flights[key] = followers
        response: ModelResponse | None = None
        failure: ProviderError | None = None
        try:
            response = await self._answer(request)
        except ProviderError as error:
            failure = error
            raise
        finally:
            del self._flights[key]
            for future in followers:
                if future.done():
                    continue
                if failure is not None:
                    future.set_exception(failure)
                else:
                    future.set_result(response)  # None when cancelled: the next in line makes the call
        may_keep = self._keep is None or self._keep(request, response)
        if self._cache is not None and response.fallback_from is None and may_keep:
            self._cache.put(key, response, model=request.model)
        return response
