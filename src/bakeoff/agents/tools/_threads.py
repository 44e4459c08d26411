"""Run blocking functions of users without letting one that hangs hold up anything but its own call."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["in_thread"]


async def in_thread(call: Callable[[], Any], *, name: str, left: list[threading.Thread] | None = None) -> Any:
    """Call in a daemon thread of its own and wait for it.

    Args:
        call: What to run; raises what it raises.
        name: Of the thread.
        left: Gets the thread when nobody waits any more and it still runs.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def deliver(value: Any, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)

    def work() -> None:
        value, failure = None, None
        try:
            value = call()
        except BaseException as error:  # noqa: BLE001 - handed over to the waiting coroutine
            failure = error if isinstance(error, Exception) else RuntimeError(f"{type(error).__name__}: {error}")
        # A StopIteration cannot be set on a future.
        failure = RuntimeError("StopIteration") if isinstance(failure, StopIteration) else failure
        try:
            loop.call_soon_threadsafe(deliver, value, failure)
        except RuntimeError:
            return  # the run is over; nobody waits any more

    # A daemon: one that never ends must not keep the process alive.
    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    try:
        return await future
    finally:
        if left is not None and thread.is_alive():
            left.append(thread)
