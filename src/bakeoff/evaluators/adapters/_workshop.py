"""Where code of other libraries runs: an event loop in a thread of its own, so that nothing of theirs blocks a run."""

from __future__ import annotations

import asyncio
import threading
from functools import cache
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

__all__ = ["run_apart"]

_T = TypeVar("_T")


@cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="bakeoff-libraries", daemon=True).start()
    return loop


async def run_apart(work: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine on the loop of the libraries, and wait for it on this one; cancelled with the caller.

    Examples:
        >>> async def main():
        ...     async def where():
        ...         return threading.current_thread().name
        ...     return await run_apart(where())
        >>> asyncio.run(main())
        'bakeoff-libraries'
    """
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, _loop()))
