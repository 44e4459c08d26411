"""Virtual time: waits of minutes pass at once, in the right order."""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

T = TypeVar("T")


class _InstantSelector(selectors.DefaultSelector):
    """Move the loop's clock instead of sleeping."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            # Nothing is scheduled: only a thread can go on. Nobody answers for a second: a deadlock.
            events = super().select(1.0)
            if not events:
                raise RuntimeError("deadlock: every task waits and nothing is scheduled")
            return events
        events = super().select(0)
        if not events:
            self.loop.now += timeout
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only when everyone waits."""

    def __init__(self) -> None:
        self.now = 1000.0
        selector = _InstantSelector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now


def run_in_virtual_time(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run to the end without sleeping."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)


@pytest.fixture(scope="session")
def virtual() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """A function that runs a coroutine in virtual time."""
    return run_in_virtual_time


@pytest.fixture(scope="session", autouse=True)
def _state_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests never share limits with the user's own runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BAKEOFF_STATE_DIR", str(tmp_path_factory.mktemp("state")))
        yield
